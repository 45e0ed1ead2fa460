//! API Gateway's HTTP API events (payload version 2.0) to requests and back. Our own reading, because
//! `lambda_http`'s ends the process on a path or query that is not a URI: here every event becomes a request.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, COOKIE, SET_COOKIE};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::Origin;

/// An event, as far as it is used. No `Debug`: it holds a key and a user.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpApiEvent {
    raw_path: String,
    #[serde(default)]
    raw_query_string: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Each cookie, which the API takes out of the headers.
    #[serde(default)]
    cookies: Vec<String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
    request_context: Context,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    #[serde(default)]
    domain_name: Option<String>,
    http: Http,
}

#[derive(Deserialize)]
struct Http {
    method: String,
}

/// The answer to an event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpApiResponse {
    status_code: u16,
    headers: BTreeMap<String, String>,
    /// Each a header `Set-Cookie`: a map of headers holds one of a name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cookies: Vec<String>,
    body: String,
    is_base64_encoded: bool,
}

/// Characters that a URI must encode. Gateways decode `rawPath`, so it has plain blanks, quotes and `?`.
const NOT_IN_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'\\')
    .add(b'^')
    .add(b'|');
const NOT_IN_QUERY: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b'\\')
    .add(b'^')
    .add(b'|')
    .add(b'{')
    .add(b'}');

impl HttpApiEvent {
    /// The request that the event is of. What HTTP does not allow in a header or method is left out.
    pub fn into_request(self) -> Request<Bytes> {
        let mut target = utf8_percent_encode(&self.raw_path, NOT_IN_PATH).to_string();
        if !self.raw_query_string.is_empty() {
            target.push('?');
            target.extend(utf8_percent_encode(&self.raw_query_string, NOT_IN_QUERY));
        }
        let body = self.body.unwrap_or_default();
        let body = if self.is_base64_encoded { STANDARD.decode(&body).unwrap_or_default() } else { body.into_bytes() };
        let mut request = Request::new(Bytes::from(body));
        *request.uri_mut() = PathAndQuery::try_from(target).map_or_else(|_| Uri::from_static("/"), Uri::from);
        *request.method_mut() =
            Method::from_bytes(self.request_context.http.method.as_bytes()).unwrap_or(Method::TRACE);
        for (name, value) in self.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                request.headers_mut().insert(name, value);
            }
        }
        if let Ok(cookies) = HeaderValue::try_from(self.cookies.join("; "))
            && !cookies.is_empty()
        {
            request.headers_mut().insert(COOKIE, cookies);
        }
        if let Some(host) = self.request_context.domain_name {
            request.extensions_mut().insert(Origin(format!("https://{host}")));
        }
        request
    }
}

impl From<Response<Bytes>> for HttpApiResponse {
    fn from(response: Response<Bytes>) -> Self {
        let (head, body) = response.into_parts();
        let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
        // API Gateway counts the bytes itself.
        let kept = head.headers.iter().filter(|(name, _)| !matches!(**name, CONTENT_LENGTH | SET_COOKIE));
        // Bytes that are no text travel in base64, and API Gateway sends them as they were.
        let is_base64_encoded = head.headers.contains_key(CONTENT_ENCODING);
        let text_body = || String::from_utf8_lossy(&body).into_owned();
        Self {
            cookies: head.headers.get_all(SET_COOKIE).iter().map(text).collect(),
            status_code: head.status.as_u16(),
            headers: kept.map(|(name, value)| (name.to_string(), text(value))).collect(),
            body: if is_base64_encoded { STANDARD.encode(&body) } else { text_body() },
            is_base64_encoded,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(event: serde_json::Value) -> Request<Bytes> {
        serde_json::from_value::<HttpApiEvent>(event).unwrap().into_request()
    }

    #[test]
    fn an_event_of_any_content_becomes_a_request() {
        for (path, query) in [
            ("/acme/scim/v2/Users", "filter=userName+eq+\"a b\""),
            ("/acme/scim/v2/Users/a?b#c", ""),
            ("/\u{0}\u{7f}é\"<>{}|\\^`", "\u{0}é\"#"),
            ("", "x"),
            ("no slash", ""),
        ] {
            let event = json!({"rawPath": path, "rawQueryString": query, "headers": {"a b": "x", "ok": "\u{0}"},
                "requestContext": {"http": {"method": "B A D"}}});
            request(event);
        }
    }

    #[test]
    fn cookies_come_and_go_in_a_list_of_their_own() {
        let read = request(json!({"rawPath": "/acme/manage/overview", "cookies": ["a=1", "b=2"],
            "requestContext": {"http": {"method": "GET"}}}));
        assert_eq!(read.headers()["cookie"], "a=1; b=2");
        let mut response = Response::new(Bytes::new());
        for cookie in ["a=1; Path=/", "b=2"] {
            response.headers_mut().append("set-cookie", HeaderValue::from_static(cookie));
        }
        let answer = serde_json::to_value(HttpApiResponse::from(response)).unwrap();
        assert_eq!(answer["cookies"], json!(["a=1; Path=/", "b=2"]));
        assert!(answer["headers"].get("set-cookie").is_none());
        let without = serde_json::to_value(HttpApiResponse::from(Response::new(Bytes::new()))).unwrap();
        assert!(without.get("cookies").is_none(), "answers without cookies are what they were");
    }

    #[test]
    fn a_compressed_answer_travels_in_base64_and_any_other_one_as_text() {
        let plain = Response::new(Bytes::from_static(b"{}"));
        let mut packed = Response::new(Bytes::from_static(b"\x1f\x8b\xff"));
        packed.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        for (response, body, is_base64) in [(plain, "{}", false), (packed, "H4v/", true)] {
            let event = serde_json::to_value(HttpApiResponse::from(response)).unwrap();
            assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!(body), &json!(is_base64)));
        }
    }

    #[test]
    fn method_headers_query_body_and_host_arrive() {
        let read =
            request(json!({"rawPath": "/acme/scim/v2/Users", "rawQueryString": "filter=userName+eq+%22a%2Bb%22",
            "headers": {"authorization": "Bearer x"}, "body": "e30=", "isBase64Encoded": true,
            "requestContext": {"domainName": "api.example.com", "http": {"method": "POST"}}}));
        assert_eq!((read.method(), read.uri().path()), (&Method::POST, "/acme/scim/v2/Users"));
        assert_eq!(read.uri().query(), Some("filter=userName+eq+%22a%2Bb%22"));
        assert_eq!(
            (&read.headers()["authorization"], read.body().as_ref()),
            (&HeaderValue::from_static("Bearer x"), b"{}".as_slice())
        );
        assert_eq!(read.extensions().get::<Origin>().unwrap().0, "https://api.example.com");
    }
}
