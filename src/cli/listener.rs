//! HTTP/1.1 on a socket, for the commands that serve.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;

/// How long a client may take over the head of a request: a slow one must not hold a connection for ever.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// How long requests under way may take after Ctrl-C.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Binds an address.
///
/// # Errors
/// Says how to choose another one when it is in use.
pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|e| match e.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!("{address} is in use by another program; stop it, or choose another address with --listen")
        }
        _ => format!("cannot listen on {address}: {e}"),
    })
}

/// Serves until Ctrl-C or SIGTERM, then lets what is under way finish. A body longer than `limit` is cut to one byte
/// more, so that the service can refuse it in its own words.
///
/// # Errors
/// When the process cannot listen for signals.
pub(super) async fn serve<F>(
    listener: TcpListener,
    limit: usize,
    answer: impl Fn(Request<Bytes>) -> F + Clone + Send + 'static,
) -> Result<(), String>
where
    F: Future<Output = Response<Bytes>> + Send,
{
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stopped()?);
    loop {
        let stream = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // Out of file descriptors, say: others may be given back meanwhile.
                Err(_) => { tokio::time::sleep(Duration::from_millis(50)).await; continue }
            },
        };
        let _ = stream.set_nodelay(true);
        let answer = answer.clone();
        let service = service_fn(move |request| one(request, limit, answer.clone()));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A client that goes away in the middle is its own affair.
            let _ = connection.await;
        });
    }
    let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, graceful.shutdown()).await;
    Ok(())
}

async fn one<F>(
    request: Request<Incoming>,
    limit: usize,
    answer: impl Fn(Request<Bytes>) -> F,
) -> Result<Response<Full<Bytes>>, Infallible>
where
    F: Future<Output = Response<Bytes>>,
{
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, limit).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => Bytes::from(vec![b' '; limit + 1]),
        Err(_) => {
            let mut broken = Response::new(Full::new(Bytes::new()));
            *broken.status_mut() = StatusCode::BAD_REQUEST;
            return Ok(broken);
        }
    };
    Ok(answer(Request::from_parts(head, body)).await.map(Full::new))
}

/// Waits for Ctrl-C or SIGTERM.
///
/// # Errors
/// When the process cannot listen for signals.
pub(super) fn stopped() -> Result<impl Future<Output = ()>, String> {
    use tokio::signal::unix::{SignalKind, signal};
    let on = |kind| signal(kind).map_err(|e| format!("cannot listen for signals: {e}"));
    let (mut interrupt, mut terminate) = (on(SignalKind::interrupt())?, on(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
