//! `rollcall doctor`: nothing is wrong with `rollcall serve`, and of each broken endpoint it names the fault.

mod broken;
mod endpoint;

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::serve::{ROLLCALL, Server, request};
use broken::Broken;
use endpoint::Endpoint;

/// What a run of the command reported.
struct Report {
    status: i32,
    report: Value,
    errors: String,
}

/// The requirements of each gallery, too: what is advised may be unmet there.
const BOTH_GALLERIES: [&str; 2] = ["--gallery", "entra,okta"];

impl Report {
    fn names(&self, outcome: &str) -> Vec<&str> {
        let checks = self.report["checks"].as_array().unwrap().iter();
        checks.filter(|check| check["outcome"] == outcome).map(|check| check["name"].as_str().unwrap()).collect()
    }
}

fn doctor(url: &str, token: &str, args: &[&str]) -> Output {
    Command::new(ROLLCALL).arg("doctor").arg(url).args(args).env("ROLLCALL_TOKEN", token).output().unwrap()
}

fn report(url: &str, token: &str, options: &[&str]) -> Report {
    let output = doctor(url, token, &[&["--json"], options].concat());
    let errors = String::from_utf8(output.stderr).unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_default();
    assert!(!String::from_utf8_lossy(&output.stdout).contains(token) && !errors.contains(token), "the token is shown");
    Report { status: output.status.code().unwrap(), report, errors }
}

/// Examines an endpoint that is broken in this way.
async fn examined(broken: Broken, options: &'static [&'static str]) -> Report {
    let endpoint = Endpoint::start(broken).await;
    let (url, token) = (endpoint.url.clone(), endpoint.token.clone());
    let report = tokio::task::spawn_blocking(move || report(&url, &token, options)).await.unwrap();
    assert!(report.report["checks"].is_array(), "{}", report.errors);
    report
}

#[test]
fn nothing_is_wrong_with_rollcall_serve_and_everything_is_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (url, token) = (server.url(), server.line("Secret token: "));
    let bob = request(url, token, "POST", "/Users", &json!({"userName": "bob"})).unwrap().1;
    // A new tenant is not protected yet.
    let advised = report(url, token, &[]);
    assert_eq!((advised.status, advised.names("advice")), (0, vec!["protection"]), "{:#}", advised.report);
    let hold = ["tenant", "set", "demo", "--protect", "hold", "--data"];
    assert!(Command::new(ROLLCALL).args(hold).arg(folder.path()).status().unwrap().success());
    let output = doctor(url, token, &["--gallery", "entra", "--gallery", "okta"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("checks passed, 0 faults, 0 with advice, 0 skipped"), "{text}");
    // TLS cannot be examined on this machine.
    assert!(text.contains("Microsoft Entra application gallery: 31 ok, 0 UNMET, 1 not examined, 16 by hand"), "{text}");
    assert!(text.contains("Okta Integration Network: 18 ok, 0 UNMET, 1 not examined, 13 by hand"), "{text}");
    for source in ["app-gallery-user-provisioning-requirements", "developer.okta.com/docs/api/openapi/okta-scim"] {
        assert!(text.contains(source), "{text}");
    }
    let users = request(url, token, "GET", "/Users", &Value::Null).unwrap().1;
    assert_eq!(users["Resources"], json!([bob]));
    assert_eq!(request(url, token, "GET", "/Groups", &Value::Null).unwrap().1["totalResults"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_broken_endpoint_gets_its_fault_reported_and_no_other() {
    let cases = [
        (
            "404 for a filter without a match",
            broken::no_match_is_404 as Broken,
            &["filter-without-match", "groups-without-match"][..],
        ),
        ("userName compared with its case", broken::compares_case, &["match-username-case"]),
        ("500 for a duplicate", broken::duplicate_is_500, &["duplicate-user"]),
        ("Replace is not replace", broken::ignores_capital_ops, &["patch-capital-op"]),
        ("active stored as a text", broken::stores_active_as_text, &["disable-text", "restore-text"]),
        ("active never changes", broken::keeps_active, &["disable-text", "disable-okta"]),
        ("disabled users vanish", broken::hides_disabled, &["disabled-user-found"]),
        ("removing one member removes all", broken::removes_all_members, &["remove-member-by-value"]),
        ("members are read, changed and written back", broken::loses_members, &["concurrent-members"]),
        ("any token is good", broken::accepts_any_token, &["wrong-token"]),
        ("plain text", broken::says_plain_text, &["content-type"]),
        ("lists without schemas", broken::lists_without_schemas, &["list-schema"]),
        ("errors of a gateway", broken::errors_without_body, &["unauthorized-body", "error-body"]),
        ("totalResults of the page", broken::counts_the_page, &["total-results"]),
        ("DELETE that does nothing", broken::deletes_nothing, &["delete-group", "delete-user", "clean-up"]),
        ("users of Okta's form are refused", broken::refuses_passwords, &["create-user-okta"]),
        ("a schema of Entra ID's own is refused", broken::refuses_schemas, &["create-group"]),
        ("a URN joined by a dot is stored aside", broken::ignores_dots, &["urn-dot", "add-member-urn-dot"]),
        ("URNs are cut after user", broken::cuts_urns, &["undeclared-extension"]),
        (
            "single quotes are part of the value",
            broken::reads_quotes_as_text,
            &["filter-quotes", "path-quotes", "remove-member-quotes"],
        ),
        ("no element made for a value path", broken::needs_an_element, &["patch-value-path-new"]),
    ];
    let all =
        futures_util::future::join_all(cases.map(|(_, broken, _)| tokio::spawn(examined(broken, &BOTH_GALLERIES))))
            .await;
    for ((what, _, faults), report) in cases.into_iter().zip(all) {
        let report = report.unwrap();
        assert_eq!(report.names("fault"), faults, "{what}: {:#}", report.report);
        assert_eq!(report.status, 1, "{what}");
        for check in report.report["checks"].as_array().unwrap().iter().filter(|check| check["outcome"] == "fault") {
            for part in ["sent", "expected", "came", "change"] {
                assert!(!check[part].as_str().unwrap().is_empty(), "{what}: {part} of {check}");
            }
            assert_is_required(&report, check["name"].as_str().unwrap(), what);
        }
    }
}

/// A fault is a requirement of a gallery that is unmet, with its document; but for what the doctor asks for its own sake.
fn assert_is_required(report: &Report, fault: &str, what: &str) {
    if fault == "clean-up" {
        return;
    }
    let galleries = report.report["galleries"].as_array().unwrap();
    let requirements = galleries.iter().flat_map(|gallery| gallery["requirements"].as_array().unwrap());
    let mut unmet =
        requirements.filter(|found| found["failed"].as_array().is_some_and(|names| names.contains(&json!(fault))));
    let first = unmet.next().unwrap_or_else(|| panic!("{what}: no requirement names {fault}"));
    for requirement in std::iter::once(first).chain(unmet) {
        assert_eq!(requirement["state"], "UNMET", "{requirement}");
        assert!(requirement["source"]["url"].as_str().unwrap().starts_with("https://"), "{requirement}");
        assert!(!requirement["source"]["title"].as_str().unwrap().is_empty(), "{requirement}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_without_groups_is_advised_and_not_faulted() {
    let report = examined(broken::has_no_groups, &[]).await;
    assert_eq!((report.status, report.names("fault")), (0, vec![]), "{:#}", report.report);
    assert!(report.names("advice").contains(&"groups-offered") && !report.names("skipped").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_429_is_waited_for_and_advised_against() {
    let report = examined(broken::is_busy_now_and_then, &[]).await;
    assert_eq!((report.status, report.names("advice")), (0, vec!["protection", "rate"]), "{:#}", report.report);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_created_is_deleted_also_after_an_interruption() {
    let endpoint = Endpoint::start(broken::is_slow).await;
    let mut child = Command::new(ROLLCALL)
        .args(["doctor", &endpoint.url])
        .env("ROLLCALL_TOKEN", &endpoint.token)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    endpoint.has_users(3).await;
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    assert_eq!(status.code(), Some(2));
    assert_eq!(endpoint.users().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_cannot_be_examined_is_reported_apart() {
    let endpoint = Endpoint::start(broken::not_at_all).await;
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let elsewhere = endpoint.url.replace("/acme/scim/v2", "/elsewhere");
    for (url, token, said) in [
        (endpoint.url.as_str(), "wrong", "refuses the token"),
        (&elsewhere, &endpoint.token, "pass what comes before /Users"),
        (&format!("http://{unused}/scim/v2"), "t", "nothing listens there"),
        ("https://doctor.invalid/scim/v2", "t", "the host name is not known"),
        (&endpoint.url.replace("http:", "https:"), "t", "does not speak TLS"),
        ("example.com/scim/v2", "t", "write one such as https://HOST/TENANT/scim/v2"),
        ("ftp://example.com/scim/v2", "t", "use HTTPS"),
        ("http://example.com/scim/v2", "t", "so others could read the secret"),
        ("http://localhost@example.com/scim/v2", "t", "contains a user name"),
        (&endpoint.url, "", "the token is empty"),
    ] {
        let (url, token) = (url.to_owned(), token.to_owned());
        let output = tokio::task::spawn_blocking(move || doctor(&url, &token, &[])).await.unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}: {errors}");
        assert!(errors.contains(said), "{said}: {errors}");
    }
}
