//! The Lambda function: serves the rows of the route table that its handler string selects.

use std::convert::Infallible;
use std::process::ExitCode;

use bytes::Bytes;
use lambda_http::request::RequestContext;
use lambda_http::{Body, RequestExt, service_fn};
use rollcall::api::route::FALLBACK;
use rollcall::api::{self, Origin, Selection};
use rollcall::app::App;
use rollcall::store::Store;
use rollcall::store::client;
use rollcall::store::tables::TableNames;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(level())
        .with_target(false)
        .without_time()
        .init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "init");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), String> {
    let handler = variable("_HANDLER").ok_or("the environment variable _HANDLER is not set")?;
    let selection = Selection::parse(&handler).map_err(|e| format!("_HANDLER: {e}"))?;
    let names = TableNames::each(|table| {
        variable(&table.variable()).ok_or_else(|| format!("the environment variable {} is not set", table.variable()))
    })?;
    let store = Store::new(client::from_lambda_environment(variable)?, names);
    if handler != FALLBACK {
        store.connect().await;
    }
    let app = App { public_url: variable("PUBLIC_URL"), ..App::new(store).map_err(|e| e.to_string())? };
    let (app, selection) = (&app, &selection);
    lambda_http::run(service_fn(move |request: lambda_http::Request| async move {
        Ok::<_, Infallible>(api::handle(app, selection, received(request)).await.map(|body| Body::Text(text(&body))))
    }))
    .await
    .map_err(|e| e.to_string())
}

/// The request as the API has it, with the host that API Gateway received it for.
fn received(request: lambda_http::Request) -> http::Request<Bytes> {
    let host = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.domain_name.clone(),
        _ => None,
    };
    let (head, body) = request.into_parts();
    let mut request = http::Request::from_parts(head, Bytes::copy_from_slice(body.as_ref()));
    if let Some(host) = host {
        request.extensions_mut().insert(Origin(format!("https://{host}")));
    }
    request
}

fn text(body: &Bytes) -> String {
    String::from_utf8_lossy(body).into_owned()
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn level() -> tracing::Level {
    variable("LOG_LEVEL").and_then(|level| level.parse().ok()).unwrap_or(tracing::Level::INFO)
}
