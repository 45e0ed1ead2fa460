//! Calls of AWS services for which no SDK is linked, signed with the SigV4 that the SDK of DynamoDB links. A second SDK
//! would cost the Lambda binary 1 to 2 MB for one call.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;

use crate::limits::{MAX_SERVICE_ANSWER_BYTES, SERVICE_ANSWER_SECONDS};

/// Amazon's published root certificates. Reading the system's store at start would cost ten times as much.
pub const AMAZON_ROOTS: &[u8] = include_bytes!("sigv4/amazon-roots.pem");

/// A call of a service.
#[derive(Debug, Clone, Copy)]
pub struct ServiceCall<'a> {
    /// The name that the signature has, such as `events`.
    pub service: &'a str,
    /// The first labels of the host, such as `events`; the Region and the domain follow.
    pub host: &'a str,
    /// `POST` or `GET`.
    pub method: &'a str,
    /// The path, encoded.
    pub path: &'a str,
    /// Headers besides those of the signature.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
}

/// Why a call did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// No answer, or one that asks to try again.
    #[error("the service did not answer ({0}); try again")]
    Unavailable(String),
    /// The service answers with an error: its body.
    #[error("the service answered {0} ({1}); check its permissions and settings")]
    Refused(u16, String),
}

impl ServiceError {
    /// The status of the answer; none where another attempt may succeed.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Unavailable(_) => None,
            Self::Refused(status, _) => Some(*status),
        }
    }
}

/// Sends signed calls.
#[derive(Debug, Clone)]
pub struct SignedClient {
    region: String,
    credentials: SharedCredentialsProvider,
    /// Another address for every service: an emulator's.
    endpoint: Option<String>,
    connector: SharedHttpConnector,
}

impl SignedClient {
    /// A client for a Lambda function.
    ///
    /// # Errors
    /// Names the environment variable that is missing or wrong.
    pub fn from_lambda_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let need = |name: &str| {
            variable(name).ok_or_else(|| {
                format!("the environment variable {name} is not set; deploy with template.yaml, which sets it")
            })
        };
        let credentials = Credentials::from_keys(
            need("AWS_ACCESS_KEY_ID")?,
            need("AWS_SECRET_ACCESS_KEY")?,
            variable("AWS_SESSION_TOKEN"),
        );
        let roots = match variable("ROLLCALL_CA_FILE") {
            Some(file) => std::fs::read(&file)
                .map_err(|e| format!("ROLLCALL_CA_FILE {file} cannot be read ({e}); name a file of certificates"))?,
            None => AMAZON_ROOTS.to_vec(),
        };
        let endpoint = variable("AWS_ENDPOINT_URL");
        Self::new(need("AWS_REGION")?, SharedCredentialsProvider::new(credentials), endpoint, roots)
    }

    /// A client with those credentials; with an endpoint, every service is there.
    ///
    /// # Errors
    /// When the certificates cannot be read.
    pub fn new(
        region: String,
        credentials: SharedCredentialsProvider,
        endpoint: Option<String>,
        roots: Vec<u8>,
    ) -> Result<Self, String> {
        let trust = TrustStore::empty().with_pem_certificate(roots);
        let context = TlsContext::builder().with_trust_store(trust).build().map_err(|e| e.to_string())?;
        let limit = Duration::from_secs(SERVICE_ANSWER_SECONDS);
        let settings = HttpConnectorSettings::builder().connect_timeout(limit).read_timeout(limit).build();
        let connector = Connector::builder()
            .connector_settings(settings)
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(context)
            .build();
        let endpoint = endpoint.map(|url| url.trim_end_matches('/').to_owned()).filter(|url| !url.is_empty());
        Ok(Self { region, credentials, endpoint, connector: SharedHttpConnector::new(connector) })
    }

    /// The Region that it calls.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Sends one call, and returns the body of the answer.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`] where another attempt may succeed: no answer in time, 5xx, 429, throttling.
    pub async fn send(&self, call: ServiceCall<'_>) -> Result<Vec<u8>, ServiceError> {
        let request = self.signed(call).await?;
        let limit = Duration::from_secs(SERVICE_ANSWER_SECONDS);
        let answer = tokio::time::timeout(limit, self.answer(request)).await;
        let (status, body) = answer.map_err(|_| ServiceError::Unavailable("no answer in time".to_owned()))??;
        if (200..300).contains(&status) {
            return Ok(body);
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        let is_temporary = status >= 500 || status == 429 || text.contains("Throttl");
        if is_temporary {
            return Err(ServiceError::Unavailable(format!("status {status}: {text}")));
        }
        Err(ServiceError::Refused(status, text))
    }

    async fn answer(&self, request: HttpRequest) -> Result<(u16, Vec<u8>), ServiceError> {
        let failed = |e: String| ServiceError::Unavailable(e);
        let response = self.connector.call(request).await.map_err(|e| failed(format!("{e:?}")))?;
        let status = response.status().as_u16();
        let mut stream = ByteStream::new(response.into_body());
        let mut body = Vec::new();
        while let Some(chunk) = stream.next().await {
            body.extend_from_slice(&chunk.map_err(|e| failed(e.to_string()))?);
            if body.len() > MAX_SERVICE_ANSWER_BYTES {
                return Err(failed(format!("the answer has more than {MAX_SERVICE_ANSWER_BYTES} bytes")));
            }
        }
        Ok((status, body))
    }

    /// The request with its signature. It cannot fail for a call that this crate makes: what fails is a credential.
    async fn signed(&self, call: ServiceCall<'_>) -> Result<HttpRequest, ServiceError> {
        let failed = |e: &dyn std::fmt::Display| ServiceError::Refused(0, format!("cannot sign the call: {e}"));
        let credentials = self.credentials.provide_credentials().await.map_err(|e| failed(&e))?;
        let identity = credentials.into();
        let mut settings = SigningSettings::default();
        if call.service == "s3" {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(call.service)
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .map_err(|e| failed(&e))?
            .into();
        let url = format!("{}{}", self.base(call.host), call.path);
        let mut request = http::Request::builder().method(call.method).uri(&url);
        for (name, value) in call.headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(SdkBody::from(call.body.to_vec())).map_err(|e| failed(&e))?;
        let signable =
            SignableRequest::new(call.method, url, call.headers.iter().copied(), SignableBody::Bytes(call.body))
                .map_err(|e| failed(&e))?;
        let (instructions, _) = sign(signable, &params).map_err(|e| failed(&e))?.into_parts();
        instructions.apply_to_request_http1x(&mut request);
        HttpRequest::try_from(request).map_err(|e| failed(&e))
    }

    fn base(&self, host: &str) -> String {
        let domain = if self.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let own = || format!("https://{host}.{}.{domain}", self.region);
        self.endpoint.clone().unwrap_or_else(own)
    }
}
