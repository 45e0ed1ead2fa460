//! The record of a request: one line, and in it, where metrics are wanted, CloudWatch's embedded metric format. No
//! names, addresses or secrets: the tenant, the key's id, and figures.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::store::dynamo::meter::StoreUsage;

/// A request that was answered.
#[derive(Debug, Clone, Copy)]
pub struct RequestRecord<'a> {
    /// Its id, which is also in what it wrote.
    pub request_id: &'a str,
    /// The row of the route table.
    pub route: &'static str,
    /// As the URL says.
    pub tenant: &'a str,
    /// Whether the caller has proved to be of that tenant.
    pub is_authorized: bool,
    /// The id of the key, if it was authorized.
    pub key: &'a str,
    /// The HTTP status.
    pub status: u16,
    /// The code of the error that it was answered with ([`ErrorCode`](crate::scim::ErrorCode)); empty for a success.
    pub error: &'a str,
    /// How long it took.
    pub elapsed: Duration,
    /// What it spent in the store.
    pub spent: StoreUsage,
    /// The function's invocation, on Lambda.
    pub invocation: Option<&'a Invocation>,
}

/// An invocation of a Lambda function, in the field names of Powertools for AWS Lambda
/// (docs.powertools.aws.dev, logger, "Standard structured keys").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// `function_request_id`: what Lambda's own lines call `requestId`.
    pub request_id: String,
    /// `xray_trace_id`: the trace, without the segment; none where there is no trace.
    pub trace_id: Option<String>,
    /// `cold_start`: whether it is the first one of its process.
    pub is_cold_start: bool,
}

impl Invocation {
    /// From what Lambda says of it; the header of the trace is `Root=…;Parent=…;Sampled=…`. The first one of a process is
    /// its cold start.
    pub fn new(request_id: &str, trace: Option<&str>) -> Self {
        static IS_COLD: AtomicBool = AtomicBool::new(true);
        let is_cold_start = IS_COLD.swap(false, Ordering::Relaxed);
        let root = trace.and_then(|trace| trace.split(';').find_map(|part| part.trim().strip_prefix("Root=")));
        Self { request_id: request_id.to_owned(), trace_id: root.map(str::to_owned), is_cold_start }
    }

    fn add_to(&self, fields: &mut Map<String, Value>) {
        fields.insert("service".into(), json!("rollcall"));
        fields.insert("function_request_id".into(), json!(self.request_id));
        fields.insert("cold_start".into(), json!(self.is_cold_start));
        if let Some(trace) = &self.trace_id {
            fields.insert("xray_trace_id".into(), json!(trace));
        }
    }
}

/// The metrics that also have the dimension `Route`.
const BY_ROUTE: [&str; 3] = ["Requests", "ServerErrors", "Milliseconds"];

/// The metrics that also have the dimension `Tenant`, where they are wanted.
const BY_TENANT: [&str; 3] = ["Requests", "ServerErrors", "Throttled"];

/// Who counts the requests of this process, for a reader of its own.
pub trait RequestRecorder: std::fmt::Debug + Send + Sync {
    /// Records a request.
    fn record(&self, answered: &RequestRecord<'_>);

    /// Records that 503 took the place of an answer, because the disk failed after the request was recorded.
    fn record_disk_failure(&self);
}

/// Where that goes.
#[derive(Debug, Clone)]
pub enum Observer {
    /// To the log, as fields.
    Log,
    /// The same, and to a recorder.
    Recorder(Arc<dyn RequestRecorder>),
    /// To standard output, as a line of JSON with metrics of this namespace.
    EmbeddedMetrics(String),
    /// The same, with metrics of each tenant besides: CloudWatch bills each of them.
    EmbeddedMetricsByTenant(String),
}

impl Observer {
    /// Where it goes on Lambda: a deployment names its namespace of metrics.
    pub fn of_lambda(namespace: Option<String>, is_by_tenant: bool) -> Self {
        let metrics = if is_by_tenant { Self::EmbeddedMetricsByTenant } else { Self::EmbeddedMetrics };
        namespace.map_or(Self::Log, metrics)
    }

    /// Records a request.
    pub fn record(&self, answered: &RequestRecord<'_>) {
        match self {
            Self::Log => answered.log(),
            Self::Recorder(recorder) => {
                answered.log();
                recorder.record(answered);
            }
            Self::EmbeddedMetrics(namespace) => {
                emit(&answered.metrics(namespace, false, jiff::Timestamp::now().as_millisecond()));
            }
            Self::EmbeddedMetricsByTenant(namespace) => {
                emit(&answered.metrics(namespace, true, jiff::Timestamp::now().as_millisecond()));
            }
        }
    }
}

impl Observer {
    /// Records that 503 took the place of an answer, because the disk failed after the request was recorded.
    pub fn record_disk_failure(&self) {
        if let Self::Recorder(recorder) = self {
            recorder.record_disk_failure();
        }
    }

    /// Records the age in milliseconds of a batch's oldest change when it was in the feed.
    pub fn record_feed_lag(&self, milliseconds: u64) {
        self.record_figure(("FeedLag", "Milliseconds"), json!(milliseconds));
    }

    /// Records by how many users the stored numbers of users were off.
    pub fn record_count_drift(&self, users: u64) {
        self.record_figure(("CountDrift", "Count"), json!(users));
    }

    /// Records the largest item collection that the worker has written to; of requests, their own lines have it.
    pub fn record_collection(&self, gigabytes: f64) {
        self.record_figure(("CollectionGigabytes", "Gigabytes"), json!(gigabytes));
    }

    /// Records how many lanes of a batch have events that the bus did not take; nothing of none.
    pub fn record_bus_failures(&self, count: u64) {
        match self {
            _ if count == 0 => {}
            Self::Log | Self::Recorder(_) => tracing::warn!(count, "the bus did not take events"),
            _ => self.record_figure(("BusFailures", "Count"), json!(count)),
        }
    }

    /// Records one figure of the worker, in a line of its own.
    fn record_figure(&self, (name, unit): (&str, &str), value: Value) {
        match self {
            Self::Log | Self::Recorder(_) => tracing::debug!(name, %value, "feed"),
            Self::EmbeddedMetrics(namespace) | Self::EmbeddedMetricsByTenant(namespace) => {
                let now = jiff::Timestamp::now().as_millisecond();
                emit(&feed_metrics(namespace, (name, unit), value, now));
            }
        }
    }
}

/// What the worker found when it looked for work that requests have left.
#[derive(Debug, Clone, Copy)]
pub struct SweepRecord {
    /// Rows that cannot be read.
    pub unreadable_rows: usize,
    /// Jobs that failed.
    pub failed_jobs: usize,
    /// The age of the oldest job, in seconds.
    pub oldest_seconds: u64,
}

impl Observer {
    /// Reports the worker's look for work.
    pub fn record_sweep(&self, sweep: &SweepRecord) {
        match self {
            Self::Log | Self::Recorder(_) => tracing::debug!(?sweep, "sweep"),
            Self::EmbeddedMetrics(namespace) | Self::EmbeddedMetricsByTenant(namespace) => {
                emit(&sweep.metrics(namespace, jiff::Timestamp::now().as_millisecond()));
            }
        }
    }
}

impl SweepRecord {
    fn metrics(&self, namespace: &str, timestamp: i64) -> Value {
        let metric = |name: &str, unit: &str| json!({"Name": name, "Unit": unit});
        let metrics =
            json!([metric("UnreadableRows", "Count"), metric("FailedJobs", "Count"), metric("JobAge", "Seconds")]);
        let directives = json!([{"Namespace": namespace, "Dimensions": [[]], "Metrics": metrics}]);
        json!({"level": "INFO", "message": "sweep", "UnreadableRows": self.unreadable_rows,
            "FailedJobs": self.failed_jobs, "JobAge": self.oldest_seconds,
            "_aws": {"Timestamp": timestamp, "CloudWatchMetrics": directives}})
    }
}

fn feed_metrics(namespace: &str, (name, unit): (&str, &str), value: Value, timestamp: i64) -> Value {
    let metrics = json!([{"Name": name, "Unit": unit}]);
    let directives = json!([{"Namespace": namespace, "Dimensions": [[]], "Metrics": metrics}]);
    json!({"level": "INFO", "message": "feed", name: value,
        "_aws": {"Timestamp": timestamp, "CloudWatchMetrics": directives}})
}

impl RequestRecord<'_> {
    /// Whether the endpoint failed.
    pub fn is_server_error(&self) -> bool {
        is_server_error(self.status)
    }

    /// Whether the client sent more than it may.
    pub fn is_throttled(&self) -> bool {
        self.status == 429
    }

    /// Whether the caller may not do that.
    pub fn is_denied(&self) -> bool {
        matches!(self.status, 401 | 403)
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX)
    }

    fn log(&self) {
        let Self { request_id, route, tenant, key, status, error, spent, .. } = self;
        let StoreUsage { round_trips, capacity, conflicts, .. } = spent;
        tracing::info!(
            request_id,
            route,
            tenant,
            key,
            status,
            error,
            milliseconds = self.milliseconds(),
            round_trips,
            capacity,
            conflicts,
            "request"
        );
    }

    /// The line (docs.aws.amazon.com, CloudWatch_Embedded_Metric_Format_Specification).
    fn metrics(&self, namespace: &str, is_by_tenant: bool, timestamp: i64) -> Value {
        let Self { request_id, route, tenant, is_authorized, key, status, error, spent, invocation, .. } = self;
        let metric = |name: &str, unit: &str| json!({"Name": name, "Unit": unit});
        let mut metrics = vec![
            metric("Requests", "Count"),
            metric("ServerErrors", "Count"),
            metric("Throttled", "Count"),
            metric("Denied", "Count"),
            metric("Milliseconds", "Milliseconds"),
            metric("RoundTrips", "Count"),
            metric("Capacity", "Count"),
            metric("Conflicts", "Count"),
        ];
        let line = json!({
            "level": "INFO", "message": "request", "request_id": request_id, "tenant": tenant, "key": key,
            "status": status, "error": error, "Route": route, "Requests": 1,
            "ServerErrors": u8::from(self.is_server_error()), "Throttled": u8::from(self.is_throttled()),
            "Denied": u8::from(self.is_denied()), "Milliseconds": self.milliseconds(), "RoundTrips": spent.round_trips,
            "Calls": spent.calls, "Capacity": spent.capacity, "Conflicts": spent.conflicts,
        });
        let Value::Object(mut fields) = line else { return Value::Null };
        if let Some(invocation) = invocation {
            invocation.add_to(&mut fields);
        }
        if let Some(gigabytes) = spent.collection_gigabytes {
            metrics.push(metric("CollectionGigabytes", "Gigabytes"));
            fields.insert("CollectionGigabytes".into(), json!(gigabytes));
        }
        // Every metric of every route would be 150, at 30 cents a month: three are distinguished by route.
        let some = |names: &[&str]| {
            let is_one = |metric: &&Value| names.iter().any(|name| metric.get("Name") == Some(&json!(name)));
            metrics.iter().filter(is_one).cloned().collect::<Vec<_>>()
        };
        let mut directives = vec![
            json!({"Namespace": namespace, "Dimensions": [["Route"]], "Metrics": some(&BY_ROUTE)}),
            json!({"Namespace": namespace, "Dimensions": [[]], "Metrics": metrics}),
        ];
        // Whoever names a tenant without a key of it creates no metric.
        if is_by_tenant && *is_authorized {
            directives.push(json!({"Namespace": namespace, "Dimensions": [["Tenant"]], "Metrics": some(&BY_TENANT)}));
            fields.insert("Tenant".into(), json!(tenant));
        }
        fields.insert("_aws".into(), json!({"Timestamp": timestamp, "CloudWatchMetrics": directives}));
        Value::Object(fields)
    }
}

/// CloudWatch reads metrics from standard output.
#[expect(clippy::print_stdout, reason = "Lambda has no closed pipe")]
fn emit(line: &Value) {
    println!("{line}");
}

/// Whether a status is a fault of the endpoint.
fn is_server_error(status: u16) -> bool {
    status >= 500
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_5xx_is_a_server_error() {
        let counted = [404, 429, 500, 503, 507].map(is_server_error);
        assert_eq!(counted, [false, false, true, true, true]);
    }

    #[test]
    fn the_feed_reports_its_lag() {
        let line = feed_metrics("Rollcall/test", ("FeedLag", "Milliseconds"), json!(1_234), 5);
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!((&directive["Metrics"][0]["Name"], &line["FeedLag"]), (&json!("FeedLag"), &json!(1_234)));
    }

    #[test]
    fn the_worker_reports_what_it_cannot_read() {
        let line = SweepRecord { unreadable_rows: 2, failed_jobs: 1, oldest_seconds: 90 }.metrics("Rollcall/test", 5);
        let metrics = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap();
        let values: Vec<_> = metrics.iter().map(|metric| line[metric["Name"].as_str().unwrap()].clone()).collect();
        assert_eq!(values, [json!(2), json!(1), json!(90)]);
        assert_eq!(metrics[0], json!({"Name": "UnreadableRows", "Unit": "Count"}));
    }

    #[test]
    fn a_line_has_figures_for_each_metric_it_names_and_nothing_personal() {
        let spent =
            StoreUsage { calls: 3, round_trips: 2, capacity: 5.5, conflicts: 1, collection_gigabytes: Some(0.5) };
        let answered = RequestRecord {
            request_id: "r",
            route: "users.get",
            tenant: "acme",
            is_authorized: true,
            key: "k",
            status: 503,
            error: "throttled",
            elapsed: Duration::from_micros(7_900),
            spent,
            invocation: None,
        };
        let line = answered.metrics("Rollcall/test", false, 1_700_000_000_000);
        let directives = &line["_aws"]["CloudWatchMetrics"];
        let directive = &directives[1];
        assert_eq!(
            (&line["_aws"]["Timestamp"], &directive["Namespace"]),
            (&json!(1_700_000_000_000_i64), &json!("Rollcall/test"))
        );
        assert_eq!((&directives[0]["Dimensions"], &directive["Dimensions"]), (&json!([["Route"]]), &json!([[]])));
        assert_eq!(directives[0]["Metrics"].as_array().unwrap().len(), BY_ROUTE.len());
        for metric in directive["Metrics"].as_array().unwrap() {
            assert!(line[metric["Name"].as_str().unwrap()].is_number(), "{metric}");
        }
        assert_eq!(
            [&line["Route"], &line["ServerErrors"], &line["RoundTrips"], &line["Milliseconds"]],
            [&json!("users.get"), &json!(1), &json!(2), &json!(7)]
        );
        assert_eq!(
            (&line["error"], &line["Capacity"], &line["CollectionGigabytes"]),
            (&json!("throttled"), &json!(5.5), &json!(0.5))
        );
        assert!(line.get("Tenant").is_none() && line.get("function_request_id").is_none());
        let trace = Some("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1");
        let invocation = Invocation::new("8a3c", trace);
        let of_lambda = RequestRecord { invocation: Some(&invocation), ..answered }.metrics("Rollcall/test", false, 1);
        assert_eq!(
            [&of_lambda["function_request_id"], &of_lambda["xray_trace_id"], &of_lambda["cold_start"]],
            [&json!("8a3c"), &json!("1-5759e988-bd862e3fe1be46a994272793"), &json!(true)]
        );
        let by_tenant = |is_authorized| {
            RequestRecord { is_authorized, ..answered }.metrics("Rollcall/test", true, 1)["_aws"]["CloudWatchMetrics"]
                .clone()
        };
        assert_eq!(by_tenant(true)[2]["Dimensions"], json!([["Tenant"]]));
        assert_eq!(by_tenant(true)[2]["Metrics"].as_array().unwrap().len(), BY_TENANT.len());
        assert_eq!(by_tenant(false).as_array().unwrap().len(), 2);
    }
}
