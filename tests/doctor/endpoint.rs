//! A real endpoint in this process, on a socket, whose requests and answers something may change on the way.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;

use super::broken::Broken;
use crate::support::{Harness, ScimResponse};

pub struct Endpoint {
    pub url: String,
    pub token: String,
    real: Arc<Real>,
}

/// What is behind the broken part, and what that remembers.
pub struct Real {
    harness: Harness,
    pub memory: Mutex<BTreeMap<String, Value>>,
}

/// A request, its path with the query, its body as JSON.
#[derive(Clone)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub body: Value,
    pub authorization: Option<String>,
}

impl Endpoint {
    pub async fn start(broken: Broken) -> Self {
        let harness = Harness::new().await;
        let token = harness.acme.clone();
        let real = Arc::new(Real { harness, memory: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/acme/scim/v2", listener.local_addr().unwrap());
        tokio::spawn(serve(listener, real.clone(), broken));
        Self { url, token, real }
    }

    pub async fn users(&self) -> u64 {
        self.real.harness.send("GET", "/Users?count=0", None).await.body["totalResults"].as_u64().unwrap()
    }

    /// Waits until so many users are there.
    pub async fn has_users(&self, count: u64) {
        for _ in 0..600 {
            if self.users().await >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("there are no {count} users after half a minute");
    }
}

impl Real {
    pub async fn answer(&self, asked: &Asked) -> ScimResponse {
        let body = if asked.body.is_null() { Vec::new() } else { asked.body.to_string().into_bytes() };
        let authorization = asked.authorization.iter().map(|value| ("authorization", value.as_str()));
        self.harness.raw(&asked.method, &asked.path, body, &authorization.collect::<Vec<_>>()).await
    }

    /// With the token that is right.
    pub fn token(&self) -> String {
        format!("Bearer {}", self.harness.acme)
    }
}

async fn serve(listener: TcpListener, real: Arc<Real>, broken: Broken) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let real = real.clone();
        let service = service_fn(move |request| one(real.clone(), broken, request));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn one(real: Arc<Real>, broken: Broken, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let asked = Asked {
        method: head.method.to_string(),
        path: head.uri.to_string(),
        body: if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() },
        authorization: head.headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned()),
    };
    let reply = broken(real, asked).await;
    let text = if reply.body.is_null() { String::new() } else { reply.body.to_string() };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = reply.status.try_into().unwrap();
    *response.headers_mut() = reply.headers;
    response.headers_mut().remove("content-length");
    if reply.body.is_null() {
        response.headers_mut().remove(CONTENT_TYPE);
    }
    Ok(response)
}
