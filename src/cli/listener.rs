//! HTTP/1.1 on a socket, for the commands that serve.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::request_line::{self, FirstLine};
use crate::api;
use crate::limits::{SERVE_BODY_SECONDS, SERVE_CONNECTIONS, SERVE_HEAD_SECONDS, SERVE_SHUTDOWN_SECONDS};
use crate::scim::{ErrorCode, ScimError};

/// How long a server that is out of file descriptors, say, waits for others to be given back.
const PAUSE: Duration = Duration::from_millis(50);

/// Binds an address.
///
/// # Errors
/// Says how to choose another one when it is in use.
pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|e| match e.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!("{address} is in use by another program; stop it, or choose another address with --listen")
        }
        _ => format!("{address} cannot be listened on ({e}); choose another address with --listen"),
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
    answer: impl Fn(Request<Bytes>) -> F + Clone + Send + Sync + 'static,
) -> Result<(), String>
where
    F: Future<Output = Response<Bytes>> + Send,
{
    let graceful = GracefulShutdown::new();
    let connections = Arc::new(Semaphore::new(SERVE_CONNECTIONS));
    let mut stop = std::pin::pin!(stopped()?);
    loop {
        let next = async {
            // Beyond the bound, clients wait to be accepted.
            let place = connections.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, stream) = tokio::select! {
            () = &mut stop => break,
            (place, accepted) = next => match accepted {
                Ok((stream, _)) => (place, stream),
                Err(_) => { tokio::time::sleep(PAUSE).await; continue }
            },
        };
        let _ = stream.set_nodelay(true);
        let (answer, watcher) = (answer.clone(), graceful.watcher());
        tokio::spawn(async move {
            let head = Duration::from_secs(SERVE_HEAD_SECONDS);
            if let Ok(Some(stream)) = timeout(head, first_line(stream)).await {
                let service = service_fn(move |request| one(request, limit, answer.clone()));
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(head)
                    .serve_connection(TokioIo::new(stream), service);
                // A client that goes away in the middle is its own affair.
                let _ = watcher.watch(connection).await;
            }
            drop(place);
        });
    }
    let _ = timeout(Duration::from_secs(SERVE_SHUTDOWN_SECONDS), graceful.shutdown()).await;
    Ok(())
}

/// The connection, if its first line is of HTTP: what is not is answered here, because hyper would not say why.
async fn first_line(mut stream: TcpStream) -> Option<impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> {
    match request_line::read(&mut stream).await.ok()? {
        FirstLine::Acceptable(read) => Some(request_line::Replayed::new(read, stream)),
        FirstLine::Unencoded => {
            let detail = "the URL has a blank, a quote or another character that is not percent-encoded; write a blank as \
                          %20 and a quote as %22, with curl --get --data-urlencode 'filter=userName eq \"bob\"'";
            let refusal = api::refusal(ScimError::new(ErrorCode::UrlNotEncoded, detail));
            let _ = request_line::refuse(stream, refusal).await;
            None
        }
    }
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
    let body = timeout(Duration::from_secs(SERVE_BODY_SECONDS), Limited::new(body, limit).collect()).await;
    let body = match body {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Bytes::from(vec![b' '; limit + 1]),
        Ok(Err(_)) => {
            let mut broken = Response::new(Full::new(Bytes::new()));
            *broken.status_mut() = StatusCode::BAD_REQUEST;
            return Ok(broken);
        }
        Err(_) => {
            let detail = format!("the request body did not arrive within {SERVE_BODY_SECONDS} seconds; send it again");
            return Ok(api::refusal(ScimError::new(ErrorCode::BodyTooSlow, detail)).map(Full::new));
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
    let on = |kind| signal(kind).map_err(|e| format!("the signals cannot be listened for ({e}); try again"));
    let (mut interrupt, mut terminate) = (on(SignalKind::interrupt())?, on(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
