//! Documents of identity providers, by the HTTP client that the SDK brings along. The roots are the system's, read when
//! the first document is asked for: Amazon's, which are in the binary, did not sign those.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::byte_stream::ByteStream;

use crate::auth::issuer::Fetch;
use crate::limits::{JWKS_ANSWER_SECONDS, MAX_JWKS_BYTES};

/// Gets documents over HTTPS. A connection is created for each: there is one an hour.
#[derive(Debug, Clone, Copy)]
pub struct Https;

impl Fetch for Https {
    fn fetch<'a>(&'a self, url: &'a str) -> Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + Send + 'a>> {
        Box::pin(async move {
            let limit = Duration::from_secs(JWKS_ANSWER_SECONDS);
            tokio::time::timeout(limit, document(url)).await.map_err(|_| "no answer in time".to_owned())?
        })
    }
}

async fn document(url: &str) -> Result<Vec<u8>, String> {
    let settings = HttpConnectorSettings::builder().connect_timeout(Duration::from_secs(JWKS_ANSWER_SECONDS)).build();
    let builder = Connector::builder().connector_settings(settings);
    let connector = builder.tls_provider(Provider::Rustls(CryptoMode::Ring)).build();
    let request = HttpRequest::get(url).map_err(|e| e.to_string())?;
    let response = connector.call(request).await.map_err(|e| format!("{e:?}"))?;
    if !response.status().is_success() {
        return Err(format!("status {}", response.status().as_u16()));
    }
    let mut body = ByteStream::new(response.into_body());
    let mut document = Vec::new();
    while let Some(chunk) = body.next().await {
        document.extend_from_slice(&chunk.map_err(|e| e.to_string())?);
        if document.len() > MAX_JWKS_BYTES {
            return Err(format!("longer than {MAX_JWKS_BYTES} bytes"));
        }
    }
    Ok(document)
}
