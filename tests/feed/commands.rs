//! The commands and the served feed, as a stranger uses them.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::serve::{ROLLCALL, Server, request};

fn rollcall(folder: &Path, args: &[&str]) -> Output {
    let output = Command::new(ROLLCALL).args(args).arg("--data").arg(folder).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn lines(text: &[u8]) -> Vec<Value> {
    String::from_utf8_lossy(text).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits until something is there, which takes a second at most on an idle machine.
fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "nothing came");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_served_store_reports_what_happens_and_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (url, token) = (server.url().to_owned(), server.line("Secret token: ").to_owned());
    let host = url.strip_suffix("/demo/scim/v2").unwrap().to_owned();
    let added = rollcall(folder.path(), &["key", "add", "demo", "--description", "reader", "--scope", "events"]);
    let key = String::from_utf8(added.stdout).unwrap();
    assert_eq!(key.lines().count(), 1, "the key alone: {key}");
    request(&url, &token, "POST", "/Users", &json!({"userName": "bob"})).unwrap();
    let seen = until(|| {
        let (_, answer) = request(&format!("{host}/demo"), key.trim(), "GET", "/events?limit=100", &Value::Null)?;
        (answer["events"].as_array()?.len() == 1).then_some(answer)
    });
    assert_eq!((&seen["events"][0]["type"], &seen["caughtUp"]), (&json!("user.created"), &json!(true)));
    let printed = rollcall(folder.path(), &["events", "demo"]);
    assert_eq!(lines(&printed.stdout), seen["events"].as_array().unwrap().as_slice());
    drop(server);
    let server = Server::start(folder.path());
    request(server.url(), &token, "POST", "/Users", &json!({"userName": "eve"})).unwrap();
    let both = until(|| {
        let printed = lines(&rollcall(folder.path(), &["events", "demo", "--types", "user.*"]).stdout);
        (printed.len() == 2).then_some(printed)
    });
    assert_eq!(both[1]["resource"]["userName"], "eve");
}

#[test]
fn a_consumer_runs_a_command_for_each_event_once_and_again_where_it_failed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (url, token) = (server.url().to_owned(), server.line("Secret token: ").to_owned());
    for name in ["a", "b", "c"] {
        request(&url, &token, "POST", "/Users", &json!({"userName": name})).unwrap();
    }
    until(|| (lines(&rollcall(folder.path(), &["events", "demo"]).stdout).len() == 3).then_some(()));
    let (log, place) = (folder.path().join("log"), folder.path().join("place"));
    // Fails for the second event, once.
    let command = format!(
        "cd {} && if [ $(wc -l < log) = 1 ] && [ ! -e failed ]; then touch failed; exit 1; fi; cat >> log",
        folder.path().display()
    );
    std::fs::write(&log, "").unwrap();
    let consume = |is_last: bool| {
        let mut consume = Command::new(ROLLCALL);
        consume.args(["consume", "demo", "--once", "--exec", &command]).arg("--cursor").arg(&place);
        let status = consume.arg("--data").arg(folder.path()).stderr(Stdio::null()).status().unwrap();
        assert_eq!(status.success(), is_last);
    };
    consume(false);
    assert_eq!(lines(&std::fs::read(&log).unwrap()).len(), 1);
    consume(true);
    consume(true);
    let report = lines(&std::fs::read(&log).unwrap());
    let names: Vec<_> = report.iter().map(|event| event["resource"]["userName"].as_str().unwrap()).collect();
    assert_eq!(names, ["a", "b", "c"]);
}
