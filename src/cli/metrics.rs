//! The metrics of `rollcall serve` on a listener of their own, in the text format of OpenMetrics 1.0. A label is a
//! route of the route table or a status: no tenant, key or user is in one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response};
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry, Unit};
use tokio::net::TcpListener;

use super::listener::{self, Service};
use crate::api;
use crate::app::metrics::{Observer, RequestRecord, RequestRecorder};
use crate::limits::METRICS_CONNECTIONS;
use crate::scim::{ErrorCode, ScimError};

/// Where the metrics are.
const PATH: &str = "/metrics";

/// The format (OpenMetrics 1.0, section "Overall Structure").
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The upper ends of the histogram in seconds: from a read of the embedded engine to a request that is given up.
const DURATION_BUCKETS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabels {
    route: &'static str,
    status: u16,
}

/// What requests add to.
#[derive(Debug)]
struct RequestMetrics {
    requests: Family<AnswerLabels, Counter>,
    durations: Family<RouteLabel, Histogram>,
    server_errors: Counter,
    throttled: Counter,
    denied: Counter,
    round_trips: Counter,
    capacity: Counter<f64, AtomicU64>,
    conflicts: Counter,
}

impl RequestMetrics {
    /// Metrics that a registry prints.
    fn register(registry: &mut Registry) -> Self {
        let durations = Family::new_with_constructor((|| Histogram::new(DURATION_BUCKETS)) as fn() -> Histogram);
        let help = "From the start of the handler to its answer, by route";
        registry.register_with_unit("request_duration", help, Unit::Seconds, durations.clone());
        Self {
            requests: counter(registry, "requests", "Requests by route and status"),
            durations,
            server_errors: counter(registry, "server_errors", "Answers with a status of 500 or more"),
            throttled: counter(registry, "throttled", "Answers with status 429"),
            denied: counter(registry, "denied", "Answers with status 401 or 403"),
            round_trips: counter(
                registry,
                "dynamodb_round_trips",
                "Calls to DynamoDB that waited for each other; calls at the same time count once",
            ),
            capacity: counter(registry, "dynamodb_capacity_units", "Read and write units consumed"),
            conflicts: counter(
                registry,
                "dynamodb_conflicts",
                "Writes that DynamoDB cancelled because another transaction was on the same item",
            ),
        }
    }
}

/// A counter that a registry prints.
fn counter<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let counter = M::default();
    registry.register(name, help, counter.clone());
    counter
}

impl RequestRecorder for RequestMetrics {
    fn record(&self, answered: &RequestRecord<'_>) {
        let RequestRecord { route, status, elapsed, spent, .. } = *answered;
        self.requests.get_or_create(&AnswerLabels { route, status }).inc();
        self.durations.get_or_create(&RouteLabel { route }).observe(elapsed.as_secs_f64());
        self.server_errors.inc_by(answered.is_server_error().into());
        self.throttled.inc_by(answered.is_throttled().into());
        self.denied.inc_by(answered.is_denied().into());
        self.round_trips.inc_by(spent.round_trips.into());
        self.capacity.inc_by(spent.capacity);
        self.conflicts.inc_by(spent.conflicts.into());
    }

    fn record_disk_failure(&self) {
        self.server_errors.inc();
    }
}

/// The listener of the metrics, before it serves.
pub(super) struct MetricsListener {
    listener: TcpListener,
    exposition: Exposition,
    metrics: Arc<RequestMetrics>,
}

impl MetricsListener {
    /// Binds the address that `--metrics-listen` names.
    ///
    /// # Errors
    /// When it is in use.
    pub(super) async fn bind(address: SocketAddr) -> Result<Self, String> {
        let listener = listener::bind(address, "--metrics-listen").await?;
        let (exposition, metrics) = exposition();
        Ok(Self { listener, exposition, metrics })
    }

    /// Where the metrics are.
    ///
    /// # Errors
    /// When the system does not say where the listener is.
    pub(super) fn url(&self) -> Result<String, String> {
        let address = self.listener.local_addr().map_err(|e| e.to_string())?;
        Ok(format!("http://{address}{PATH}"))
    }

    /// Who counts requests for it.
    pub(super) fn observer(&self) -> Observer {
        Observer::Recorder(self.metrics.clone())
    }

    /// Serves until the process is asked to stop.
    pub(super) async fn serve(self) {
        if let Err(error) = listener::serve(self.listener, self.exposition).await {
            tracing::error!(%error, "the metrics are not served");
        }
    }
}

/// The metrics as text.
#[derive(Debug, Clone)]
struct Exposition(Arc<Registry>);

/// New metrics, and their text.
fn exposition() -> (Exposition, Arc<RequestMetrics>) {
    let mut registry = Registry::with_prefix("rollcall");
    let metrics = Arc::new(RequestMetrics::register(&mut registry));
    (Exposition(Arc::new(registry)), metrics)
}

impl Exposition {
    fn text(&self) -> String {
        let mut text = String::new();
        // A String takes every write.
        let _ = text::encode(&mut text, &self.0);
        text
    }
}

impl Service for Exposition {
    const LIMIT: usize = 0;
    const CONNECTIONS: usize = METRICS_CONNECTIONS;

    async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        if request.uri().path() != PATH {
            let detail = format!("the page does not exist; read the metrics with GET {PATH}");
            return api::refusal(ScimError::new(ErrorCode::NoEndpoint, detail));
        }
        if request.method() != Method::GET {
            let detail = "the method is not allowed here; use GET";
            let mut refused = api::refusal(ScimError::new(ErrorCode::MethodNotAllowed, detail));
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            return refused;
        }
        let mut answer = Response::new(Bytes::from(self.text()));
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS));
        answer
    }

    async fn is_refused_by_head(&self, request: &Request<Bytes>) -> bool {
        request.uri().path() != PATH || request.method() != Method::GET
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::dynamo::meter::StoreUsage;

    fn answered(status: u16, elapsed: Duration) -> RequestRecord<'static> {
        let spent = StoreUsage { calls: 3, round_trips: 2, capacity: 1.5, conflicts: 1, collection_gigabytes: None };
        RequestRecord {
            request_id: "r",
            route: "users.get",
            tenant: "acme",
            is_authorized: true,
            key: "k",
            status,
            error: "",
            elapsed,
            spent,
            invocation: None,
        }
    }

    #[test]
    fn each_request_is_in_the_text() {
        let (exposition, metrics) = exposition();
        for status in [200, 200, 401, 403, 429, 503] {
            metrics.record(&answered(status, Duration::from_millis(4)));
        }
        metrics.record_disk_failure();
        let text = exposition.text();
        for line in [
            "rollcall_requests_total{route=\"users.get\",status=\"200\"} 2",
            "rollcall_requests_total{route=\"users.get\",status=\"503\"} 1",
            "rollcall_request_duration_seconds_bucket{le=\"0.0025\",route=\"users.get\"} 0",
            "rollcall_request_duration_seconds_bucket{le=\"0.005\",route=\"users.get\"} 6",
            "rollcall_server_errors_total 2",
            "rollcall_throttled_total 1",
            "rollcall_denied_total 2",
            "rollcall_dynamodb_round_trips_total 12",
            "rollcall_dynamodb_capacity_units_total 9.0",
            "rollcall_dynamodb_conflicts_total 6",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
