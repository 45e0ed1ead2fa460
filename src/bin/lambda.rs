//! The Lambda function: serves the rows of the route table that its handler string selects, or is the stream worker.

use std::process::ExitCode;

use lambda_http::lambda_runtime::{self, Error, LambdaEvent, service_fn};
use rollcall::api::gateway::{HttpApiEvent, HttpApiResponse};
use rollcall::api::route::FALLBACK;
use rollcall::api::{self, Selection};
use rollcall::app::metrics::{Invocation, Observer, SweepRecord};
use rollcall::app::{App, Clock};
use rollcall::sigv4::SignedClient;
use rollcall::store::Store;
use rollcall::store::dynamo::client;
use rollcall::store::dynamo::meter::Meter;
use rollcall::store::dynamo::tables::TableNames;
use rollcall::worker::{self, Channels};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

/// An eighth of the instructions of a request went into the allocator of the C library (ADR 0071).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let level = variable("LOG_LEVEL").and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    // Ours alone may say more: at trace the runtime and the SDK print whole events, with keys and users.
    let targets = Targets::new().with_target("rollcall", level).with_target("bootstrap", level);
    let targets = targets.with_default(level.min(LevelFilter::WARN));
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_target(false);
    tracing_subscriber::registry().with(lines.with_filter(targets)).init();
    // Lambda sends it only where an extension is registered, and between requests; emulators and containers send it, too.
    let ended = tokio::select! {
        ended = Box::pin(run()) => ended,
        () = terminated() => Ok(()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "init");
            ExitCode::FAILURE
        }
    }
}

/// Waits for SIGTERM, which no other system than Unix has.
async fn terminated() {
    #[cfg(unix)]
    if let Ok(mut signal) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        signal.recv().await;
        return;
    }
    std::future::pending().await
}

async fn run() -> Result<(), Error> {
    let handler = need("_HANDLER")?;
    if handler == worker::HANDLER {
        let channels = Channels::of_function(SignedClient::from_lambda_environment(variable)?, variable);
        return Box::pin(work(&store()?, &channels, &observer())).await;
    }
    let selection = Selection::parse(&handler).map_err(|e| format!("_HANDLER: {e}"))?;
    let store = store()?;
    let connect = async {
        // The fallback reads no table, and its role lets it read none.
        if handler != FALLBACK {
            store.connect().await;
        }
    };
    // While the tables answer, the function reads its schemas.
    let ((), app) = futures_util::future::join(connect, async { App::new(store.clone()) }).await;
    let app = App { observer: observer(), ..app? }.with_settings(variable)?;
    let (app, selection) = (&app, &selection);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<HttpApiEvent>| async move {
        let (payload, context) = event.into_parts();
        let mut request = payload.into_request();
        request.extensions_mut().insert(Invocation::new(&context.request_id, context.xray_trace_id.as_deref()));
        let response = api::handle(app, selection, request).await;
        Ok::<_, Error>(HttpApiResponse::from(response))
    }))
    .await
}

/// Carries out what requests have left, and writes the feed, as the change records of the tables say.
async fn work(store: &Store, channels: &Channels, observer: &Observer) -> Result<(), Error> {
    lambda_runtime::run(service_fn(move |event: LambdaEvent<worker::StreamEvent>| async move {
        let work = Box::pin(worker::handle_with(store, &Clock::System, channels, event.payload));
        let (answer, spent) = Meter::measure(work).await;
        spent.collection_gigabytes.into_iter().for_each(|gigabytes| observer.record_collection(gigabytes));
        answer.feed_lag().into_iter().for_each(|milliseconds| observer.record_feed_lag(milliseconds));
        observer.record_bus_failures(answer.bus_failures());
        answer.count_drift().into_iter().for_each(|users| observer.record_count_drift(users));
        if let Some(error) = answer.error() {
            return Err(Error::from(error.to_owned()));
        }
        let Some(sweep) = answer.sweep() else { return Ok(answer) };
        observer.record_sweep(&SweepRecord {
            unreadable_rows: sweep.unreadable,
            failed_jobs: sweep.failed,
            oldest_seconds: sweep.oldest_seconds,
        });
        // The alarm on errors of functions reports it.
        if sweep.unread_lanes > 0 { Err("lanes of jobs cannot be read".into()) } else { Ok(answer) }
    }))
    .await
}

fn observer() -> Observer {
    Observer::of_lambda(variable("METRICS_NAMESPACE"), variable("METRICS_BY_TENANT").as_deref() == Some("true"))
}

fn store() -> Result<Store, String> {
    let names = TableNames::each(|table| need(&table.variable()))?;
    let store = Store::new(client::from_lambda_environment(variable)?, names);
    let Some(days) = variable("CHANGES_RETENTION_DAYS") else { return Ok(store) };
    let days = days.parse().map_err(|_| "CHANGES_RETENTION_DAYS is not a number; set a number of days")?;
    Ok(store.with_retention_days(days))
}

fn need(name: &str) -> Result<String, String> {
    variable(name).ok_or_else(|| format!("the environment variable {name} is not set; deploy with template.yaml"))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
