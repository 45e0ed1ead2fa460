//! The Lambda function: serves the rows of the route table that its handler string selects.

use std::process::ExitCode;

use lambda_http::lambda_runtime::{self, Error, LambdaEvent, service_fn};
use rollcall::api::gateway::{Answer, Event};
use rollcall::api::route::FALLBACK;
use rollcall::api::{self, Selection};
use rollcall::app::App;
use rollcall::store::Store;
use rollcall::store::client;
use rollcall::store::tables::TableNames;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let level = variable("LOG_LEVEL").and_then(|level| level.parse().ok()).unwrap_or(tracing::Level::INFO);
    tracing_subscriber::fmt().json().flatten_event(true).with_max_level(level).with_target(false).init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "init");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    let handler = need("_HANDLER")?;
    let selection = Selection::parse(&handler).map_err(|e| format!("_HANDLER: {e}"))?;
    let names = TableNames::each(|table| need(&table.variable()))?;
    let store = Store::new(client::from_lambda_environment(variable)?, names);
    // The fallback reads no table, and its role lets it read none.
    if handler != FALLBACK {
        store.connect().await;
    }
    let app = App { public_url: variable("PUBLIC_URL"), ..App::new(store)? };
    let (app, selection) = (&app, &selection);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Event>| async move {
        let response = api::handle(app, selection, event.payload.into_request()).await;
        Ok::<_, Error>(Answer::from(response))
    }))
    .await
}

fn need(name: &str) -> Result<String, String> {
    variable(name).ok_or_else(|| format!("the environment variable {name} is not set"))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
