//! A load program that checks every answer: it reads a plan from stdin, and writes the times as JSON.
//!
//! The plan: `{"address": "127.0.0.1:3000", "headers": {…}, "clients": 16, "requests": [{"method", "path", "body",
//! "status", "holds": ["text", …]}, …]}`. Each client has one connection and takes the next request when it has its
//! answer. The answer must have that status, and its body all those texts. Times are microseconds, from the first byte
//! sent to the last byte read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Deserialize)]
struct Plan {
    address: String,
    headers: BTreeMap<String, String>,
    clients: usize,
    requests: Vec<Planned>,
}

#[derive(Deserialize)]
struct Planned {
    method: String,
    path: String,
    body: Option<String>,
    status: u16,
    holds: Vec<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let plan: Arc<Plan> = Arc::new(serde_json::from_reader(std::io::stdin().lock())?);
    let next = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let clients = (0..plan.clients).map(|_| tokio::spawn(client(plan.clone(), next.clone())));
    let clients: Vec<_> = clients.collect();
    let mut times = Vec::with_capacity(plan.requests.len());
    for client in clients {
        times.extend(client.await??);
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{}", serde_json::json!({"microseconds": times, "seconds": seconds}));
    Ok(())
}

async fn client(plan: Arc<Plan>, next: Arc<AtomicUsize>) -> Result<Vec<u128>, Failure> {
    let mut connection = None;
    let mut times = Vec::new();
    loop {
        let Some(planned) = plan.requests.get(next.fetch_add(1, Ordering::Relaxed)) else { return Ok(times) };
        // A server that closes each connection is connected to again, and that is part of the time.
        let start = Instant::now();
        let mut sender = match connection.take().filter(|sender: &SendRequest<_>| sender.is_ready()) {
            Some(sender) => sender,
            None => connect(&plan.address).await?,
        };
        let mut request = Request::builder().method(planned.method.as_str()).uri(planned.path.as_str());
        for (name, value) in &plan.headers {
            request = request.header(name, value);
        }
        let body = planned.body.clone().unwrap_or_default();
        let answer = sender.send_request(request.body(Full::new(Bytes::from(body)))?).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        times.push(start.elapsed().as_micros());
        check(planned, status.as_u16(), &String::from_utf8_lossy(&body))?;
        let _ = sender.ready().await;
        connection = Some(sender);
    }
}

async fn connect(address: &str) -> Result<SendRequest<Full<Bytes>>, Failure> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

fn check(planned: &Planned, status: u16, body: &str) -> Result<(), Failure> {
    let missing = planned.holds.iter().find(|text| !body.contains(text.as_str()));
    if status == planned.status && missing.is_none() {
        return Ok(());
    }
    let start: String = body.chars().take(300).collect();
    Err(format!("{} {}: {status}, without {missing:?}: {start}", planned.method, planned.path).into())
}
