//! The endpoint under examination, over HTTP; it remembers what it was asked to create.

use std::error::Error;
use std::io;
use std::iter::successors;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::answer::{Answer, Seen};
use crate::cli::operator;

/// Above any useful answer: Okta gives up after 60 seconds, and Entra ID says nothing of its own limit.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// A page of users is far less; a body without an end must not fill the memory.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// How often a request is sent that meets 429.
const MAX_ATTEMPTS: u32 = 4;
/// The longest wait that a `Retry-After` may ask for.
const MAX_PAUSE_SECONDS: u64 = 30;

/// What Entra ID and Okta send with every body (Okta, reference/scim/scim-20; captures of scimvalidator.microsoft.com).
const SCIM_JSON: HeaderValue = HeaderValue::from_static("application/scim+json; charset=utf-8");

/// Who is asking.
#[derive(Debug, Clone)]
pub(super) enum Caller {
    /// With the token of the command line.
    Known,
    /// With this `Authorization`, or none.
    As(Option<HeaderValue>),
}

/// A resource that was asked for: its route, the name it was to have, and its path if one was created.
#[derive(Debug, Clone)]
pub(super) struct CreatedResource {
    pub(super) route: &'static str,
    pub(super) name: String,
    pub(super) path: Option<String>,
}

#[derive(Debug)]
pub(super) struct Endpoint {
    http: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
    authorization: HeaderValue,
    resources: Mutex<Vec<CreatedResource>>,
    seen: Mutex<Seen>,
}

impl Endpoint {
    /// Trusts the authorities that browsers trust, and no others: nor do Entra ID and Okta.
    ///
    /// # Errors
    /// What is wrong with the URL or the token.
    pub(super) fn new(url: &str, token: &str, is_basic: bool) -> Result<Self, String> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let connector =
            HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().wrap_connector(tcp);
        Ok(Self {
            http: Client::builder(TokioExecutor::new()).build(connector),
            base: base_of(url)?,
            authorization: authorization(token, is_basic)?,
            resources: Mutex::default(),
            seen: Mutex::default(),
        })
    }

    /// The URL that paths are appended to.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub(super) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PUT, path, Some(body)).await
    }

    pub(super) async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub(super) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    /// Creates a resource, and remembers it even if the answer is wrong or is lost.
    pub(super) async fn create(&self, route: &'static str, name: &str, body: &Value) -> Answer {
        lock(&self.resources).push(CreatedResource { route, name: name.to_owned(), path: None });
        let answer = self.send(Method::POST, route, Some(body)).await;
        if let Some(id) = answer.id() {
            lock(&self.resources).push(CreatedResource {
                route,
                name: name.to_owned(),
                path: Some(format!("{route}/{id}")),
            });
        }
        answer
    }

    /// What was asked for, in that order.
    pub(super) fn resources(&self) -> Vec<CreatedResource> {
        lock(&self.resources).clone()
    }

    /// What was remarkable about any answer so far.
    pub(super) fn seen(&self) -> Seen {
        lock(&self.seen).clone()
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        self.send_as(&Caller::Known, method, path, body).await
    }

    /// Sends a request, again after a pause if it is one too many.
    pub(super) async fn send_as(&self, caller: &Caller, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let text = body.map(Value::to_string).unwrap_or_default();
        let sent = format!("{method} {path} {text}").trim_end().to_owned();
        for attempt in 1_u32.. {
            let answer = match self.request(caller, &method, path, &text) {
                Ok(request) => self.exchange(request, sent.clone()).await,
                Err(why) => Answer::none(sent.clone(), why),
            };
            lock(&self.seen).note(&answer);
            if !answer.has(StatusCode::TOO_MANY_REQUESTS) || attempt >= MAX_ATTEMPTS {
                return answer;
            }
            tokio::time::sleep(pause(&answer.headers)).await;
        }
        Answer::none(sent, "it was never sent".to_owned())
    }

    fn request(
        &self,
        caller: &Caller,
        method: &Method,
        path: &str,
        body: &str,
    ) -> Result<Request<Full<Bytes>>, String> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        request = request.header(ACCEPT, "application/scim+json");
        let authorization = match caller {
            Caller::Known => Some(self.authorization.clone()),
            Caller::As(other) => other.clone(),
        };
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, SCIM_JSON);
        }
        request.body(Full::new(Bytes::from(body.to_owned()))).map_err(|e| format!("cannot be sent: {e}"))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>, sent: String) -> Answer {
        let exchange = async {
            let response = self.http.request(request).await.map_err(|e| trouble(&e))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
            let body =
                body.map_err(|e| format!("the endpoint closed the connection during its answer ({e})"))?.to_bytes();
            Ok((head.status, head.headers, body))
        };
        let late = || Err(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()));
        match tokio::time::timeout(ANSWER_TIMEOUT, exchange).await.unwrap_or_else(|_| late()) {
            Ok((status, headers, body)) => Answer::new(sent, status, headers, &body),
            Err(why) => Answer::none(sent, why),
        }
    }
}

/// The URL without what is not part of every request: `?aadOptscim062020`, a slash at the end.
fn base_of(url: &str) -> Result<String, String> {
    let without_query = url.split(['?', '#']).next().unwrap_or_default();
    operator::check_url(("the URL", without_query), "https://HOST/TENANT/scim/v2")?;
    Ok(without_query.trim_end_matches('/').to_owned())
}

fn authorization(token: &str, is_basic: bool) -> Result<HeaderValue, String> {
    let token = token.trim();
    if token.is_empty() {
        return Err("the token is empty; paste the secret token of the tenant".to_owned());
    }
    if is_basic && !token.contains(':') {
        return Err("the token has no colon; with --basic, send USER:PASSWORD".to_owned());
    }
    let text = match is_basic {
        true => format!("Basic {}", BASE64_STANDARD.encode(token)),
        false => format!("Bearer {token}"),
    };
    let mut value =
        HeaderValue::from_str(&text).map_err(|_| "the token has characters that no header can hold; copy it again")?;
    value.set_sensitive(true);
    Ok(value)
}

fn pause(headers: &HeaderMap) -> Duration {
    let asked = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    Duration::from_secs(asked.unwrap_or(1).min(MAX_PAUSE_SECONDS))
}

/// Why there is no answer, for who has to repair it.
fn trouble(error: &hyper_util::client::legacy::Error) -> String {
    let chain: Vec<_> = successors(Some(error as &(dyn Error + 'static)), |error| (*error).source()).collect();
    let text = chain.iter().map(ToString::to_string).collect::<Vec<_>>().join(": ");
    let refused = |e: &io::Error| e.kind() == io::ErrorKind::ConnectionRefused;
    let what = match &text {
        _ if chain.iter().filter_map(|e| e.downcast_ref()).any(refused) => {
            "nothing listens there: host or port is wrong, or the endpoint is down"
        }
        text if text.contains("dns error") => {
            "the host name is not known: is it spelt right, and is it in the public DNS?"
        }
        text if text.contains("certificate") => {
            "its certificate is not one that identity providers accept: it must be valid, for this host, and by a public authority"
        }
        text if text.contains("tls") || text.contains("TLS") || text.contains("corrupt message") => {
            "it does not speak TLS 1.2 or 1.3 on this port"
        }
        _ if error.is_connect() => "no connection",
        _ => "the connection broke",
    };
    format!("{what} ({text})")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_as_identity_providers_are_given_it() {
        for url in [
            "https://a.example/t/scim/v2",
            "https://a.example/t/scim/v2/",
            "https://a.example/t/scim/v2?aadOptscim062020",
        ] {
            assert_eq!(base_of(url).unwrap(), "https://a.example/t/scim/v2");
        }
        for (url, why) in [
            ("a.example/scim", "lacks https://"),
            ("ftp://a.example/scim", "does not start with https://"),
            ("http://a.example/scim", "does not start with https://"),
            ("https://u:p@a.example/scim", "contains a user name"),
            ("https://a b/scim", "is not a URL"),
        ] {
            let refusal = base_of(url).unwrap_err();
            assert!(refusal.contains(why), "{refusal}");
        }
        assert_eq!(base_of("http://127.0.0.1:8080/scim").unwrap(), "http://127.0.0.1:8080/scim");
    }

    #[test]
    fn a_token_is_sent_as_bearer_or_basic_and_never_returned() {
        assert_eq!(authorization(" t1\n", false).unwrap(), "Bearer t1");
        assert_eq!(authorization("u:p", true).unwrap(), "Basic dTpw");
        assert!(authorization("t1", true).unwrap_err().contains("USER:PASSWORD"));
        assert!(authorization("", false).is_err() && authorization("a\nb", false).is_err());
        assert!(!format!("{:?}", authorization("t1", false).unwrap()).contains("t1"));
    }
}
