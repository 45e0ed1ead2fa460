//! The signature of a call (AWS Signature Version 4), with the key of the day derived once. The SDK's own signer derives
//! it for every call, and sorts and escapes what is the same in all of them (ADR 0067).

use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::ConfigBag;
use aws_sdk_dynamodb::error::BoxError;
use aws_sigv4::sign::v4::generate_signing_key;
use aws_smithy_runtime_api::client::auth::{AuthScheme, AuthSchemeEndpointConfig, AuthSchemeId, Sign};
use aws_smithy_runtime_api::client::identity::{Identity, SharedIdentityResolver};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::{GetIdentityResolver, RuntimeComponents};
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use ring::hmac;

const SERVICE: &str = "dynamodb";

/// The SDK's scheme `sigv4`, for requests of DynamoDB: a POST to `/` without a query, with a body that is in memory.
#[derive(Debug)]
pub(super) struct DayKeyAuthScheme(DayKeySigner);

impl DayKeyAuthScheme {
    pub(super) fn new(region: String) -> Self {
        Self(DayKeySigner { region, key: Mutex::default() })
    }
}

impl AuthScheme for DayKeyAuthScheme {
    fn scheme_id(&self) -> AuthSchemeId {
        aws_runtime::auth::sigv4::SCHEME_ID
    }

    fn identity_resolver(&self, resolvers: &dyn GetIdentityResolver) -> Option<SharedIdentityResolver> {
        resolvers.identity_resolver(self.scheme_id())
    }

    fn signer(&self) -> &dyn Sign {
        &self.0
    }
}

struct DayKeySigner {
    region: String,
    key: Mutex<Option<Arc<DayKey>>>,
}

impl std::fmt::Debug for DayKeySigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DayKeySigner").field("region", &self.region).finish_non_exhaustive()
    }
}

/// The key that a secret gives for one day.
struct DayKey {
    day: String,
    credentials: Credentials,
    key: hmac::Key,
}

impl Sign for DayKeySigner {
    fn sign_http_request(
        &self,
        request: &mut HttpRequest,
        identity: &Identity,
        _: AuthSchemeEndpointConfig<'_>,
        components: &RuntimeComponents,
        _: &ConfigBag,
    ) -> Result<(), BoxError> {
        let credentials = identity.data::<Credentials>().ok_or("a call is signed with AWS credentials")?;
        self.sign(request, credentials, components.time_source().unwrap_or_default().now())
    }
}

impl DayKeySigner {
    fn sign(&self, request: &mut HttpRequest, credentials: &Credentials, now: SystemTime) -> Result<(), BoxError> {
        let time = Timestamp::try_from(now)?.strftime("%Y%m%dT%H%M%SZ").to_string();
        let day = time.get(..8).unwrap_or_default();
        let headers = request.headers_mut();
        // The SDK signs a repeated attempt again.
        headers.remove("authorization");
        headers.insert("x-amz-date", time.clone());
        if let Some(token) = credentials.session_token() {
            headers.insert("x-amz-security-token", token.to_owned());
        }
        let (names, canonical) = canonical(request)?;
        let scope = format!("{day}/{}/{SERVICE}/aws4_request", self.region);
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex::encode(digest(&SHA256, canonical.as_bytes())));
        let signature = hex::encode(hmac::sign(&self.key_of(day, credentials, now).key, text.as_bytes()));
        let id = credentials.access_key_id();
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}");
        request.headers_mut().insert("authorization", authorization);
        Ok(())
    }

    /// The key of the day: the one in memory, or a new one.
    fn key_of(&self, day: &str, credentials: &Credentials, now: SystemTime) -> Arc<DayKey> {
        let mut held = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = held.as_ref().filter(|key| key.day == day && key.credentials == *credentials) {
            return Arc::clone(key);
        }
        let key = generate_signing_key(credentials.secret_access_key(), now, &self.region, SERVICE);
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_ref());
        Arc::clone(held.insert(Arc::new(DayKey { day: day.to_owned(), credentials: credentials.clone(), key })))
    }
}

/// The names of the headers that are signed, and the canonical request. Proxies on the way may change the other headers.
fn canonical(request: &HttpRequest) -> Result<(String, String), BoxError> {
    let uri: http::Uri = request.uri().parse()?;
    let body = request.body().bytes().ok_or("the body of a call is in memory")?;
    let host = uri.authority().ok_or("the URL of a call has a host")?.as_str();
    let host = host.strip_suffix(if uri.scheme_str() == Some("https") { ":443" } else { ":80" }).unwrap_or(host);
    let (mut names, mut canonical) = (String::new(), format!("{}\n{}\n\n", request.method(), uri.path()));
    for name in ["content-type", "host", "x-amz-date", "x-amz-security-token", "x-amz-target"] {
        let value = if name == "host" { Some(host) } else { request.headers().get(name) };
        let Some(value) = value else { continue };
        writeln!(canonical, "{name}:{}", value.trim())?;
        write!(names, "{}{name}", if names.is_empty() { "" } else { ";" })?;
    }
    write!(canonical, "\n{names}\n{}", hex::encode(digest(&SHA256, body)))?;
    Ok((names, canonical))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
    use aws_sigv4::sign::v4::SigningParams;
    use aws_smithy_types::body::SdkBody;

    use super::*;

    const NOON: Duration = Duration::from_secs(1_790_000_000);

    fn request(url: &str, body: &str) -> HttpRequest {
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method("POST").unwrap();
        request.set_uri(url).unwrap();
        request.headers_mut().insert("content-type", "application/x-amz-json-1.0");
        request.headers_mut().insert("x-amz-target", "DynamoDB_20120810.GetItem");
        request
    }

    /// The header of the crate that the SDK signs with.
    fn reference(request: &HttpRequest, credentials: &Credentials, now: SystemTime) -> String {
        let identity = credentials.clone().into();
        let params = SigningParams::builder().identity(&identity).region("eu-west-1").name(SERVICE).time(now);
        let params = params.settings(SigningSettings::default()).build().unwrap().into();
        let body = SignableBody::Bytes(request.body().bytes().unwrap());
        let signable = SignableRequest::new("POST", request.uri(), request.headers().iter(), body).unwrap();
        let mut plain = http::Request::builder().uri(request.uri()).body(()).unwrap();
        sign(signable, &params).unwrap().into_parts().0.apply_to_request_http1x(&mut plain);
        plain.headers()["authorization"].to_str().unwrap().to_owned()
    }

    #[test]
    fn the_signature_is_that_of_the_crate() {
        let signer = DayKeySigner { region: "eu-west-1".to_owned(), key: Mutex::default() };
        let plain = Credentials::from_keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None);
        let session = Credentials::from_keys("ASIAEXAMPLE", "another/secret", Some("token+/=".to_owned()));
        let day = Duration::from_secs(86_400);
        for url in ["https://dynamodb.eu-west-1.amazonaws.com/", "https://a.example:443", "http://127.0.0.1:8000/"] {
            // In turn, so that the key in memory is now of another secret, now of another day.
            for (credentials, after) in [(&plain, NOON), (&session, NOON), (&session, NOON + day), (&plain, NOON)] {
                let now = SystemTime::UNIX_EPOCH + after;
                let mut ours = request(url, r#"{"TableName":"users"}"#);
                let expected = reference(&ours, credentials, now);
                for _ in 0..2 {
                    signer.sign(&mut ours, credentials, now).unwrap();
                    assert_eq!(ours.headers().get("authorization"), Some(expected.as_str()), "{url}");
                }
            }
        }
    }

    #[test]
    fn a_call_that_is_not_dynamodbs_is_refused() {
        let signer = DayKeySigner { region: "eu-west-1".to_owned(), key: Mutex::default() };
        let credentials = Credentials::from_keys("id", "secret", None);
        let mut without_host = request("/", "{}");
        assert!(signer.sign(&mut without_host, &credentials, SystemTime::UNIX_EPOCH).is_err());
        assert!(!format!("{signer:?}").contains("secret"));
    }
}
