//! What `rollcall serve --metrics-listen` returns, and the dashboard that asks for it.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::Path;

use serde_json::{Value, json};

use crate::serve::{Server, request, rollcall, text};

const OPTION: [&str; 2] = ["--metrics-listen", "127.0.0.1:0"];

/// The address of the metrics, `host:port`.
fn metrics_address(server: &Server) -> &str {
    server.line("Metrics: ").strip_prefix("http://").unwrap().strip_suffix("/metrics").unwrap()
}

/// Status line and headers, and the body, of one request without credentials.
fn ask(address: &str, method: &str, path: &str) -> (String, String) {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

fn exposition(server: &Server) -> String {
    let (head, body) = ask(metrics_address(server), "GET", "/metrics");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    let kind = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(head.to_ascii_lowercase().lines().any(|line| line == kind), "{head}");
    assert!(body.ends_with("\n# EOF\n"), "{body}");
    body
}

/// The value of a series.
fn value(exposition: &str, series: &str) -> f64 {
    let line = exposition.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} is not in\n{exposition}")).parse().unwrap()
}

/// A few requests of each outcome; what nobody may find in the metrics.
fn send_some(server: &Server) -> Vec<String> {
    let (url, token) = (server.url(), server.line("Secret token: "));
    let send = |token: &str, method: &str, path: &str, body: Value| request(url, token, method, path, &body).unwrap();
    let (status, bob) = send(token, "POST", "/Users", json!({"userName": "bob.builder"}));
    assert_eq!(status, 201);
    assert_eq!(send(token, "POST", "/Users", json!({"userName": "wendy.builder"})).0, 201);
    assert_eq!(send(token, "POST", "/Users", json!({"userName": "bob.builder"})).0, 409);
    let id = bob["id"].as_str().unwrap();
    assert_eq!(send(token, "GET", &format!("/Users/{id}"), Value::Null).0, 200);
    assert_eq!(send(token, "GET", "/Users/00000000-0000-4000-8000-000000000000", Value::Null).0, 404);
    assert_eq!(send("scim_demo_nothing", "GET", "/Users", Value::Null).0, 401);
    assert_eq!(send(token, "GET", "/Nothing", Value::Null).0, 404);
    let key = token.split('_').nth(2).unwrap();
    let private = ["demo", "builder", id, token, key, "Bearer", "127.0.0.1"];
    private.map(str::to_owned).into()
}

#[test]
fn metrics_count_requests_by_route_and_status_and_name_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &OPTION);
    let begin = exposition(&server);
    assert_eq!(value(&begin, "rollcall_server_errors_total"), 0.0);
    assert!(!begin.contains("route="), "{begin}");
    let private = send_some(&server);
    let text = exposition(&server);
    for (series, expected) in [
        (r#"rollcall_requests_total{route="users.create",status="201"}"#, 2.0),
        (r#"rollcall_requests_total{route="users.create",status="409"}"#, 1.0),
        (r#"rollcall_requests_total{route="users.get",status="200"}"#, 1.0),
        (r#"rollcall_requests_total{route="users.get",status="404"}"#, 1.0),
        (r#"rollcall_requests_total{route="users.list",status="401"}"#, 1.0),
        (r#"rollcall_requests_total{route="none",status="404"}"#, 1.0),
        (r#"rollcall_request_duration_seconds_count{route="users.create"}"#, 3.0),
        (r#"rollcall_request_duration_seconds_bucket{le="+Inf",route="users.create"}"#, 3.0),
        ("rollcall_denied_total", 1.0),
        ("rollcall_throttled_total", 0.0),
        ("rollcall_server_errors_total", 0.0),
        ("rollcall_dynamodb_conflicts_total", 0.0),
    ] {
        assert_eq!(value(&text, series), expected, "{series}");
    }
    assert_eq!(text.matches("rollcall_requests_total{").count(), 6, "{text}");
    let seconds = value(&text, r#"rollcall_request_duration_seconds_sum{route="users.create"}"#);
    assert!(seconds > 0.0 && seconds < 60.0, "{seconds}");
    // A creation reads the key and writes the user.
    assert!(value(&text, "rollcall_dynamodb_round_trips_total") >= 6.0, "{text}");
    assert!(value(&text, "rollcall_dynamodb_capacity_units_total") > 0.0, "{text}");
    for part in private {
        assert!(!text.contains(&part), "{part} is in\n{text}");
    }
    let labels: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.split_once('{')?.1.split_once('}'))
        .flat_map(|(labels, _)| labels.split(',').map(|label| label.split('=').next().unwrap()))
        .collect();
    assert_eq!(labels, ["le", "route", "status"].into());
}

#[test]
fn the_listener_answers_nothing_else_and_scim_has_no_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &OPTION);
    let address = metrics_address(&server);
    for (method, path, status) in [
        ("POST", "/metrics", "405 Method Not Allowed"),
        ("PUT", "/metrics", "405 Method Not Allowed"),
        ("DELETE", "/metrics", "405 Method Not Allowed"),
        ("OPTIONS", "/metrics", "405 Method Not Allowed"),
        ("HEAD", "/metrics", "405 Method Not Allowed"),
        ("GET", "/", "404 Not Found"),
        ("GET", "/metrics/", "404 Not Found"),
        ("GET", "/demo/scim/v2/Users", "404 Not Found"),
        ("POST", "/demo/scim/v2/Users", "404 Not Found"),
    ] {
        let (head, body) = ask(address, method, path);
        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{method} {path}: {head}");
        assert!(!body.contains("rollcall_"), "{method} {path}: {body}");
        assert_eq!(head.to_ascii_lowercase().contains("\r\nallow: get"), status.starts_with("405"), "{head}");
    }
    let scim = server.url().strip_prefix("http://").unwrap().split('/').next().unwrap();
    assert!(ask(scim, "GET", "/metrics").0.starts_with("HTTP/1.1 404 "));
    let origin = format!("http://{scim}/");
    let (status, _) = request(&origin, server.line("Secret token: "), "GET", "metrics", &Value::Null).unwrap();
    assert_eq!(status, 404, "with a key");
}

#[test]
fn metrics_are_off_by_default_and_an_address_in_use_names_the_option() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    assert_eq!(server.find_line("Metrics: "), None);
    let taken = server.url().strip_prefix("http://").unwrap().split('/').next().unwrap();
    let other = tempfile::tempdir().unwrap();
    let refused = rollcall(other.path(), &["serve", "--listen", "127.0.0.1:0", "--metrics-listen", taken]);
    let said = text(&refused.stderr);
    assert!(!refused.status.success() && said.contains("choose another address with --metrics-listen"), "{said}");
}

/// The words of a text that begin as a metric does.
fn names(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with("rollcall_")).collect()
}

#[test]
fn dashboard_collector_and_reference_name_metrics_that_serve_has() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &OPTION);
    send_some(&server);
    let text = exposition(&server);
    let series: BTreeSet<&str> =
        text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(['{', ' ']).next().unwrap()).collect();
    let file = |name: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
    for name in ["serve.json", "collector.yaml", "prometheus.yaml"] {
        let file = file(&format!("infra/observability/{name}"));
        let unknown: Vec<&str> = names(&file).difference(&series).copied().collect();
        assert_eq!(unknown, Vec::<&str>::new(), "{name} names what serve does not return:\n{text}");
    }
    let dashboard = file("infra/observability/serve.json");
    assert!(names(&dashboard).len() > 5, "the dashboard names metrics");
    // A histogram has three series, and the page names it once.
    let parts = ["_bucket", "_count", "_sum"];
    let metrics: BTreeSet<&str> =
        series.iter().map(|name| parts.iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name)).collect();
    let page = file("docs/src/reference/metrics.md");
    let section = page.split("\n## Metrics of `rollcall serve`\n").nth(1).unwrap().split("\n## ").next().unwrap();
    assert_eq!(names(section), metrics);
}
