//! A store that one process has open, and what `rollcall serve` says to requests that are hardly HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::serve::{ROLLCALL, Server, request};

fn rollcall(folder: &Path, args: &[&str]) -> Output {
    Command::new(ROLLCALL).args(args).arg("--data").arg(folder).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// What the server answers to these bytes, whatever they are: head and body.
fn raw(url: &str, text: &str) -> (String, String) {
    let host = url.strip_prefix("http://").unwrap().split('/').next().unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[test]
fn a_url_that_is_not_encoded_and_a_request_without_host_get_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (url, token) = (server.url(), server.line("Secret token: "));
    let path = "/demo/scim/v2/Users";
    let end = format!("Authorization: Bearer {token}\r\nConnection: close\r\n\r\n");
    let host = "Host: x\r\n";
    for (line, host, status, detail) in [
        (format!("GET {path}?filter=userName eq \"bob\" HTTP/1.1"), host, 400, "%22"),
        (format!("GET {path}?filter=userName%20eq%20\"bob\" HTTP/1.1"), host, 400, "--data-urlencode"),
        (format!("GET {path}?filter=userName%20eq%20%22bob%22 HTTP/1.1"), host, 200, ""),
        (format!("GET {path} HTTP/1.1"), "", 400, "Host"),
        (format!("GET {path} HTTP/1.1"), "Host: x\r\nHost: y\r\n", 400, "Host"),
        (format!("GET {path} HTTP/1.0"), "", 200, ""),
        (format!("HEAD {path} HTTP/1.1"), host, 200, ""),
    ] {
        let (head, body) = raw(url, &format!("{line}\r\n{host}{end}"));
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status}")) || head.starts_with(&format!("HTTP/1.0 {status}")),
            "{line}: {head}"
        );
        assert!(head.contains("x-request-id: ") && head.contains("x-content-type-options: nosniff"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if line.starts_with("HEAD") {
            assert!(body.is_empty() && length != "0", "{head}");
            continue;
        }
        assert_eq!(length, body.len().to_string());
        let body: Value = serde_json::from_str(&body).unwrap();
        assert!(body["detail"].as_str().unwrap_or_default().contains(detail), "{line}: {body}");
    }
    // One after the other on one connection, the first line read by us and the rest by hyper.
    let two = format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\nGET {path} HTTP/1.1\r\n{host}{end}"
    );
    assert_eq!(raw(url, &two).1.matches("\"totalResults\":0").count(), 2);
}

/// How often a process has a file open, as Linux counts; 1 where nothing counts.
fn open_to_write(process: u32, file: &Path) -> usize {
    let Ok(open) = std::fs::read_dir(format!("/proc/{process}/fd")) else { return 1 };
    let file = file.canonicalize().unwrap();
    let is_file = |path: &Path| std::fs::read_link(path).is_ok_and(|to| to == file);
    // The mode of the link is that of the opened file.
    let is_writable = |path: &Path| std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o200 != 0;
    open.map(|entry| entry.unwrap().path()).filter(|path| is_file(path) && is_writable(path)).count()
}

#[test]
fn the_folder_is_its_owners_and_one_process_has_the_store_open() {
    let parent = tempfile::tempdir().unwrap();
    let folder = &parent.path().join("store");
    let server = Server::start(folder);
    let (url, token) = (server.url().to_owned(), server.line("Secret token: ").to_owned());
    request(&url, &token, "POST", "/Users", &json!({"userName": "bob"})).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(folder), 0o700);
    for file in ["rollcall.db", "rollcall.db-wal", "rollcall.db-shm", "format", "lock", "server.json"] {
        assert_eq!(mode(&folder.join(file)), 0o600, "{file}");
    }
    // A fault of SQLite before 3.51.3 can lose writes where two connections write one file or end its log.
    assert_eq!(open_to_write(server.id(), &folder.join("rollcall.db")), 1, "connections of the server that write");
    // What needs the store itself is refused with the address of who has it.
    let host = url.strip_suffix("/demo/scim/v2").unwrap();
    for command in
        [&["work"][..], &["tables"], &["serve", "--listen", "127.0.0.1:0"], &["engine", "--listen", "127.0.0.1:0"]]
    {
        let refused = rollcall(folder, command);
        assert!(!refused.status.success() && said(&refused).contains(host), "{command:?}: {}", said(&refused));
    }
    // The rest asks the server.
    for command in [
        &["explain", "demo", "userName eq \"bob\""][..],
        &["key", "create", "admin", "--description", "x", "--scope", "admin"],
        &["tenant", "set", "demo", "--invite", "true"],
        &["key", "list", "demo"],
    ] {
        let done = rollcall(folder, command);
        assert!(done.status.success(), "{command:?}: {}", said(&done));
    }
    let explained = said(&rollcall(folder, &["explain", "demo", "userName eq \"bob\""]));
    assert!(explained.contains("index: userName eq \"bob\"") && explained.contains("found\t1"), "{explained}");
    let refused = said(&rollcall(folder, &["explain", "nobody", "userName eq \"bob\""]));
    assert!(refused.contains("nobody"), "{refused}");
    // Who does not know the secret has no door.
    for secret in ["", "0", &"0".repeat(64)] {
        let text = format!(
            "GET /admin/v1/tenants HTTP/1.1\r\nHost: x\r\nX-Rollcall-Operator: {secret}\r\nConnection: close\r\n\r\n"
        );
        assert!(raw(&url, &text).0.starts_with("HTTP/1.1 401"), "{secret}");
    }
    // Killed, it leaves its file; the lock is gone.
    drop(server);
    assert!(folder.join("server.json").exists());
    let listed = rollcall(folder, &["key", "list", "demo"]);
    assert!(listed.status.success() && !folder.join("server.json").exists(), "{}", said(&listed));
}

#[test]
fn commands_at_once_wait_for_each_other_and_an_engine_is_named() {
    let folder = tempfile::tempdir().unwrap();
    assert!(rollcall(folder.path(), &["tenant", "create", "acme"]).status.success());
    let create = || {
        let args = ["key", "create", "acme", "--description", "x", "--data"];
        let child =
            Command::new(ROLLCALL).args(args).arg(folder.path()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        child.unwrap()
    };
    for child in [create(), create(), create(), create()] {
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "{}", said(&done));
    }
    let mut engine = Command::new(ROLLCALL);
    engine.args(["engine", "--listen", "127.0.0.1:0", "--data"]).arg(folder.path());
    let mut engine = engine.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(engine.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let refused = rollcall(folder.path(), &["key", "list", "acme"]);
    engine.kill().unwrap();
    engine.wait().unwrap();
    let address = line.trim().rsplit(' ').next().unwrap();
    assert!(said(&refused).contains(&format!("--endpoint-url {address}")), "{line}: {}", said(&refused));
}

#[test]
fn a_doctor_whose_report_nobody_reads_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (url, token) = (server.url(), server.line("Secret token: "));
    for json in [&[][..], &["--json"]] {
        let mut doctor = Command::new(ROLLCALL);
        doctor.args(["doctor", url, token]).args(json);
        let mut doctor = doctor.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // As `head -1` does.
        let mut lines = BufReader::new(doctor.stdout.take().unwrap());
        if json.is_empty() {
            lines.read_line(&mut String::new()).unwrap();
        }
        drop(lines);
        drop(doctor.stderr.take());
        assert_eq!(doctor.wait().unwrap().code(), Some(0));
        for endpoint in ["/Users", "/Groups"] {
            assert_eq!(request(url, token, "GET", endpoint, &Value::Null).unwrap().1["totalResults"], 0, "{endpoint}");
        }
    }
}
