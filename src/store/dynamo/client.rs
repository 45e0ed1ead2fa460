//! The DynamoDB client, built by hand: region and keys from the environment that Lambda guarantees, no profile, no
//! instance metadata, no extra start-up work.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{
    Builder, Config, Region, SharedCredentialsProvider, SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
#[cfg(feature = "local")]
use aws_smithy_runtime_api::client::auth::AuthSchemeId;
use aws_smithy_runtime_api::client::http::{HttpClient, http_client_fn};

use crate::sigv4::AMAZON_ROOTS;
#[cfg(feature = "local")]
use crate::store::dynamo::embedded::Engine;
use crate::store::dynamo::meter::Metering;
use crate::store::dynamo::signer::DayKeyAuthScheme;
#[cfg(feature = "local")]
use crate::store::dynamo::streams::Streams;
use crate::store::dynamo::thrift::{OneEndpoint, WithoutStatistics};

/// One attempt of one call: an order of magnitude above DynamoDB's slow percentile.
const ATTEMPT: Duration = Duration::from_secs(1);
/// A call with its retries: well below a function's time-out.
const OPERATION: Duration = Duration::from_secs(5);

/// A client for a Lambda function.
///
/// # Errors
/// Names the environment variable that is missing or wrong.
pub fn from_lambda_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Client, String> {
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
    let mut config = config(need("AWS_REGION")?, Metering { asks_size: true })
        .credentials_provider(SharedCredentialsProvider::new(credentials));
    config.set_endpoint_url(variable("AWS_ENDPOINT_URL_DYNAMODB").filter(|url| !url.is_empty()));
    let roots = match variable("ROLLCALL_CA_FILE") {
        Some(file) => std::fs::read(&file)
            .map_err(|e| format!("ROLLCALL_CA_FILE {file} cannot be read ({e}); name a file of certificates"))?,
        None => AMAZON_ROOTS.to_vec(),
    };
    Ok(Client::from_conf(config.http_client(https(roots)?).build()))
}

/// A client for an operator's command line: profile, environment and single sign-on as every AWS tool reads them.
///
/// # Errors
/// When no region is configured.
#[cfg(feature = "local")]
pub async fn from_aws_environment(endpoint_url: Option<String>) -> Result<Client, String> {
    let shared = aws_environment().await;
    if shared.region().is_none() {
        return Err("no AWS region is configured; set AWS_REGION or a profile's region".to_owned());
    }
    let mut config = aws_sdk_dynamodb::config::Builder::from(&shared).interceptor(Metering { asks_size: false });
    if let Some(url) = endpoint_url {
        config = config.endpoint_url(url);
    }
    Ok(Client::from_conf(config.build()))
}

#[cfg(feature = "local")]
async fn aws_environment() -> aws_config::SdkConfig {
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    aws_config::defaults(aws_config::BehaviorVersion::latest()).http_client(http).load().await
}

/// The streams of a DynamoDB endpoint, with the credentials and region of the AWS environment.
///
/// # Errors
/// When no region or no credentials are configured.
#[cfg(feature = "local")]
pub async fn streams_of_endpoint(url: &str) -> Result<Streams, String> {
    let shared = aws_environment().await;
    let region = shared.region().ok_or("no AWS region is configured; set AWS_REGION or a profile's region")?;
    let credentials = shared.credentials_provider().ok_or("no AWS credentials are configured; set AWS_PROFILE")?;
    Streams::of_endpoint(url, region.to_string(), credentials)
}

/// A client of an engine in the process, which needs no signature and does not fail at random.
#[cfg(feature = "local")]
pub fn of_engine(engine: &Engine) -> Client {
    let config = config("local".to_owned(), Metering { asks_size: false })
        .allow_no_auth()
        .auth_scheme_preference([AuthSchemeId::from("noAuth")])
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled())
        .http_client(engine.http_client());
    Client::from_conf(config.build())
}

/// A client on another connector, such as a test's.
pub fn from_connector(connector: SharedHttpClient) -> Client {
    let config = config("local".to_owned(), Metering { asks_size: false })
        .credentials_provider(SharedCredentialsProvider::new(Credentials::from_keys("local", "local", None)))
        // An engine on a busy disk may take longer than a network of machines.
        .timeout_config(
            TimeoutConfig::builder()
                .operation_timeout(Duration::from_secs(30))
                .disable_operation_attempt_timeout()
                .build(),
        )
        .http_client(connector);
    Client::from_conf(config.build())
}

fn config(region: String, metering: Metering) -> Builder {
    Config::builder()
        .behavior_version_latest()
        .interceptor(metering)
        .interceptor(WithoutStatistics)
        .endpoint_resolver(OneEndpoint::default())
        .push_auth_scheme(DayKeyAuthScheme::new(region.clone()))
        // Bodies are small and whole: the time-out of the attempt is enough.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .region(Region::new(region))
        .retry_config(RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(50)))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(ATTEMPT)
                .operation_attempt_timeout(ATTEMPT)
                .operation_timeout(OPERATION)
                .build(),
        )
}

/// Also of an endpoint without TLS, an emulator's: a client for that alone would be the same code a second time. `ring` instead of the SDK's default: that gathers 25 ms of CPU jitter for entropy on the first call.
fn https(roots: Vec<u8>) -> Result<SharedHttpClient, String> {
    let trust = TrustStore::empty().with_pem_certificate(roots);
    let context = TlsContext::builder().with_trust_store(trust).build().map_err(|e| e.to_string())?;
    let https = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(context)
        .build_https();
    // Around it: the SDK checks a configuration by a connector that it drops, and that had read the certificates.
    Ok(http_client_fn(move |settings, components| https.http_connector(settings, components)))
}
