//! HTTP/1.1 on a socket, for the commands that serve.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, EXPECT};
use http::request::Parts;
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

pub(super) use super::platform::stopped;
use super::request_line::{self, FirstLine};
use crate::api;
use crate::limits::{SERVE_BODY_SECONDS, SERVE_CONNECTIONS, SERVE_HEAD_SECONDS, SERVE_SHUTDOWN_SECONDS};
use crate::scim::{ErrorCode, ScimError};

/// How long a server that is out of file descriptors, say, waits for others to be given back.
const PAUSE: Duration = Duration::from_millis(50);

/// Binds the address that an option names.
///
/// # Errors
/// Says how to choose another one when it is in use.
pub(super) async fn bind(address: SocketAddr, option: &str) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|e| match e.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!("{address} is in use by another program; stop it, or choose another address with {option}")
        }
        _ => format!("{address} cannot be listened on ({e}); choose another address with {option}"),
    })
}

/// Who answers requests.
pub(super) trait Service: Clone + Send + Sync + 'static {
    /// The longest body in bytes. A longer one is cut to one byte more, so that the service can refuse it in its own
    /// words.
    const LIMIT: usize;

    /// Most connections at once.
    const CONNECTIONS: usize = SERVE_CONNECTIONS;

    fn answer(&self, request: Request<Bytes>) -> impl Future<Output = Response<Bytes>> + Send;

    /// Whether a request is refused whatever its body says; the one at hand stands for the real one.
    fn is_refused_by_head(&self, request: &Request<Bytes>) -> impl Future<Output = bool> + Send;
}

/// Serves until Ctrl-C or SIGTERM, then lets what is under way finish.
///
/// # Errors
/// When the process cannot listen for signals.
pub(super) async fn serve<S: Service>(listener: TcpListener, service: S) -> Result<(), String> {
    let graceful = GracefulShutdown::new();
    let connections = Arc::new(Semaphore::new(S::CONNECTIONS));
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
        let (service, watcher) = (service.clone(), graceful.watcher());
        tokio::spawn(async move {
            let head = Duration::from_secs(SERVE_HEAD_SECONDS);
            if let Ok(Some(stream)) = timeout(head, first_line(stream)).await {
                let service = service_fn(move |request| one(request, service.clone()));
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

async fn one<S: Service>(request: Request<Incoming>, service: S) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    // Who expects "100 Continue" gets it once the body is read (RFC 9110 section 10.1.1).
    if head.headers.contains_key(EXPECT)
        && let Some(refused) = refused_by_head(&head, &service).await
    {
        return Ok(service.answer(refused).await.map(Full::new));
    }
    let answer = match read(body, S::LIMIT).await {
        Ok(body) => service.answer(Request::from_parts(head, body)).await,
        Err(refusal) => refusal,
    };
    Ok(answer.map(Full::new))
}

/// A request that is refused whatever its body says, with blanks in the body's place: as many as its refusal needs.
async fn refused_by_head<S: Service>(head: &Parts, service: &S) -> Option<Request<Bytes>> {
    let length = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let is_too_long = length.is_some_and(|length| length > S::LIMIT);
    let blanks = vec![b' '; if is_too_long { S::LIMIT + 1 } else { 1 }];
    let request = Request::from_parts(head.clone(), Bytes::from(blanks));
    (is_too_long || service.is_refused_by_head(&request).await).then_some(request)
}

async fn read(body: Incoming, limit: usize) -> Result<Bytes, Response<Bytes>> {
    match timeout(Duration::from_secs(SERVE_BODY_SECONDS), Limited::new(body, limit).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Ok(Bytes::from(vec![b' '; limit + 1])),
        Ok(Err(_)) => {
            let mut broken = Response::new(Bytes::new());
            *broken.status_mut() = StatusCode::BAD_REQUEST;
            Err(broken)
        }
        Err(_) => {
            let detail = format!("the request body did not arrive within {SERVE_BODY_SECONDS} seconds; send it again");
            Err(api::refusal(ScimError::new(ErrorCode::BodyTooSlow, detail)))
        }
    }
}
