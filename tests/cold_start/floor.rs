//! The smallest Lambda function of this runtime that is connected to DynamoDB before its first request, as Rollcall's are:
//! two calls of a client of the SDK. `make cold-start` measures what the connections cost by it.

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Config, Region};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use lambda_http::{Body, Error, Request, Response, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let (client, table) = (client()?, std::env::var("KEYS_TABLE")?);
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let get = || client.get_item().table_name(&table).key("tenant", text("-")).key("keyId", text("-")).send();
    let (first, second) = futures_util::future::join(get(), get()).await;
    first?;
    second?;
    run(service_fn(|_: Request| async { Ok::<_, Error>(Response::new(Body::Text("hello".to_owned()))) })).await
}

fn client() -> Result<Client, Error> {
    let credentials = Credentials::from_keys(
        std::env::var("AWS_ACCESS_KEY_ID")?,
        std::env::var("AWS_SECRET_ACCESS_KEY")?,
        std::env::var("AWS_SESSION_TOKEN").ok(),
    );
    let trust = match std::env::var("ROLLCALL_CA_FILE") {
        Ok(file) => TrustStore::empty().with_pem_certificate(std::fs::read(file)?),
        Err(_) => TrustStore::empty().with_pem_certificate(include_bytes!("../../src/sigv4/amazon-roots.pem")),
    };
    let context = TlsContext::builder().with_trust_store(trust).build()?;
    let https = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(context).build_https();
    let config = Config::builder().behavior_version_latest().credentials_provider(credentials).http_client(https);
    let config = config
        .region(Region::new(std::env::var("AWS_REGION")?))
        .endpoint_url(std::env::var("AWS_ENDPOINT_URL_DYNAMODB")?);
    Ok(Client::from_conf(config.build()))
}
