//! The commands as others script against them: `rollcall serve`, `rollcall tenant`, `rollcall key`.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub const ROLLCALL: &str = env!("CARGO_BIN_EXE_rollcall");

/// A running `rollcall serve`, ended when dropped.
pub struct Server {
    child: Child,
    lines: Vec<String>,
}

impl Server {
    /// Starts on a free port and waits until it has said where it listens.
    pub fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[])
    }

    /// The same, with further options.
    pub fn start_with(folder: &Path, options: &[&str]) -> Self {
        let mut child = Command::new(ROLLCALL)
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder)
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut lines: Vec<String> = Vec::new();
        while !lines
            .iter()
            .any(|line| line.starts_with("Try it:") || line.starts_with("Rollcall prints a secret token once"))
        {
            lines.push(output.next().unwrap().unwrap());
        }
        Self { child, lines }
    }

    pub fn line(&self, start: &str) -> &str {
        self.find_line(start).unwrap()
    }

    pub fn find_line(&self, start: &str) -> Option<&str> {
        self.lines.iter().find_map(|line| line.strip_prefix(start))
    }

    pub fn url(&self) -> &str {
        self.line("Tenant URL: ")
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn rollcall(folder: &Path, args: &[&str]) -> Output {
    Command::new(ROLLCALL).args(args).arg("--data").arg(folder).output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// One HTTP request, by hand: status and JSON body, or `None` when the connection breaks.
pub fn request(url: &str, token: &str, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
    use std::io::{Read, Write};
    let (host, base) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut stream = std::net::TcpStream::connect(host).ok()?;
    write!(
        stream,
        "{method} /{base}{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .ok()?;
    let mut response = String::new();
    stream.read_to_string(&mut response).ok()?;
    let (head, body) = response.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, if body.is_empty() { Value::Null } else { serde_json::from_str(body).ok()? }))
}

#[test]
fn a_first_start_prints_what_a_client_needs_and_a_second_one_how_to_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (url, token) = (server.url().to_owned(), server.line("Secret token: ").to_owned());
    assert!(url.starts_with("http://127.0.0.1:") && url.ends_with("/demo/scim/v2") && token.starts_with("scim_demo_"));
    assert!(server.line("Try it: curl ").contains(&token));
    let (status, body) = request(&url, &token, "GET", "/Users", &Value::Null).unwrap();
    assert_eq!((status, &body["totalResults"]), (200, &json!(0)));
    let created = request(&url, &token, "POST", "/Users", &json!({"userName": "bob"})).unwrap();
    assert_eq!(created.0, 201);
    let location = created.1["meta"]["location"].as_str().unwrap();
    assert!(location.starts_with(&format!("{url}/Users/")), "{location}");
    drop(server);
    let again = Server::start(folder.path());
    assert!(
        again.lines.iter().any(|line| line.contains("rollcall key create demo --description TEXT")),
        "{:?}",
        again.lines
    );
    assert!(!again.lines.concat().contains("scim_demo_"));
    let (_, body) = request(again.url(), &token, "GET", "/Users", &Value::Null).unwrap();
    assert_eq!(body["totalResults"], 1, "data survives a restart");
}

#[test]
fn tenants_and_keys_are_created_and_revoked_while_the_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let url = server.url().replace("/demo/", "/acme/");
    assert!(rollcall(folder.path(), &["tenant", "create", "acme"]).status.success());
    assert!(rollcall(folder.path(), &["automation", "create", "acme", "bot"]).status.success());
    let added = rollcall(
        folder.path(),
        &["key", "create", "acme", "--description", "Entra of Acme", "--automation", "bot", "--expires", "90d"],
    );
    assert!(added.status.success(), "{}", text(&added.stderr));
    let token = text(&added.stdout).trim_end().to_owned();
    assert!(token.starts_with("scim_acme_") && !token.contains(char::is_whitespace), "the key alone: {token}");
    assert_eq!(request(&url, &token, "GET", "/Users", &Value::Null).unwrap().0, 401, "its user is not active");
    assert!(rollcall(folder.path(), &["automation", "activate", "acme", "bot"]).status.success());
    assert_eq!(request(&url, &token, "GET", "/Users", &Value::Null).unwrap().0, 200);
    let listed = text(&rollcall(folder.path(), &["key", "list", "acme"]).stdout);
    let id = token.split('_').nth(2).unwrap();
    for part in [id, "live", "read,write", "Entra of Acme", "bot"] {
        assert!(listed.contains(part), "{listed}");
    }
    assert!(!listed.contains(token.rsplit('_').next().unwrap()));
    assert!(rollcall(folder.path(), &["key", "revoke", "acme", id]).status.success());
    assert_eq!(request(&url, &token, "GET", "/Users", &Value::Null).unwrap().0, 401);
    assert!(text(&rollcall(folder.path(), &["key", "list", "acme"]).stdout).contains("revoked"));
    let tenants = text(&rollcall(folder.path(), &["tenant", "list"]).stdout);
    assert_eq!(
        tenants.lines().map(|line| line.split(' ').next().unwrap()).collect::<Vec<_>>(),
        ["NAME", "acme", "demo"]
    );
}

#[test]
fn mistakes_on_the_command_line_are_reported_plainly() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let address = server.url().strip_prefix("http://").unwrap().split('/').next().unwrap();
    for (args, said) in [
        (vec!["serve", "--listen", address], "is in use"),
        (vec!["tenant", "create", "Not_OK"], "lower-case letters"),
        (vec!["tenant", "create", "demo"], "belongs to an existing tenant; choose"),
        (vec!["key", "create", "nobody", "--description", "x"], "tenant nobody does not exist; "),
        (vec!["key", "create", "demo", "--description", ""], "description is empty or too long; "),
        (vec!["key", "create", "demo", "--description", "x", "--scope", "root"], "read, write, admin or events"),
        (vec!["key", "create", "demo", "--description", "x", "--expires", "2001-01-01"], "in the past"),
        (vec!["key", "revoke", "demo", "nonsense"], "is not a key's id"),
        (vec!["key", "revoke", "demo", "00000000000000"], "key 00000000000000 does not exist"),
    ] {
        let output = rollcall(folder.path(), &args);
        assert!(!output.status.success() && output.stdout.is_empty(), "{args:?}");
        assert!(text(&output.stderr).contains(said), "{args:?}: {}", text(&output.stderr));
    }
}

/// What a request whose body never comes is answered first; `None` for nothing within a moment.
fn first_answer(url: &str, method: &str, path: &str, headers: &str) -> Option<String> {
    let (host, base) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    write!(stream, "{method} /{base}{path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n").unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    Some(line.trim().to_owned())
}

/// RFC 9110 section 10.1.1: a client that asks first sends no body in vain.
#[test]
fn a_request_that_is_refused_anyway_is_refused_before_its_body() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (url, good) = (server.url(), format!("Authorization: Bearer {}\r\n", server.line("Secret token: ")));
    let asks = "Content-Type: application/scim+json\r\nExpect: 100-continue\r\n";
    let wrong = "Authorization: Bearer scim_demo_nothing\r\n";
    for (method, path, headers, status) in [
        ("POST", "/Users", format!("{good}Content-Length: 20\r\n"), "100 Continue"),
        ("POST", "/Users", format!("{wrong}Content-Length: 20\r\n"), "401 Unauthorized"),
        ("PATCH", "/Users/x", "Content-Length: 20\r\n".to_owned(), "401 Unauthorized"),
        ("POST", "/Users", format!("{good}Content-Length: 99000000\r\n"), "413 Payload Too Large"),
        (
            "POST",
            "/Users",
            format!("{good}Content-Encoding: gzip\r\nContent-Length: 20\r\n"),
            "415 Unsupported Media Type",
        ),
        ("POST", "/Nope", format!("{good}Content-Length: 20\r\n"), "404 Not Found"),
        ("PUT", "/Users", format!("{good}Content-Length: 20\r\n"), "405 Method Not Allowed"),
    ] {
        let answer = first_answer(url, method, path, &format!("{headers}{asks}"));
        assert_eq!(answer.as_deref(), Some(&*format!("HTTP/1.1 {status}")), "{method} {path} {headers}");
    }
}

#[test]
fn a_server_whose_output_nobody_reads_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(ROLLCALL)
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    drop(child.stderr.take());
    let url = line.trim().strip_prefix("Tenant URL: ").unwrap().to_owned();
    // Each is a line in the log.
    let statuses =
        [(); 3].map(|()| request(&url, "scim_demo_nothing", "GET", "/Users", &Value::Null).map(|(status, _)| status));
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!(statuses, [Some(401); 3]);
}

#[test]
fn a_full_disk_is_no_panic() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = Command::new(ROLLCALL).arg("openapi").stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("the output cannot be written"), "{}", text(&output.stderr));
}

#[test]
fn a_server_killed_under_load_twenty_times_loses_no_acknowledged_write() {
    let folder = tempfile::tempdir().unwrap();
    let first = Server::start(folder.path());
    let token = first.line("Secret token: ").to_owned();
    drop(first);
    let mut acknowledged = BTreeSet::new();
    for round in 0..20 {
        let server = Server::start(folder.path());
        let url = server.url().to_owned();
        let writes = Arc::new(AtomicUsize::new(0));
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (url, token, writes) = (url.clone(), token.clone(), writes.clone());
                std::thread::spawn(move || write_until_it_breaks(&url, &token, &format!("{round}-{writer}"), &writes))
            })
            .collect();
        // In the middle of a write, however slow the machine is.
        while writes.load(Ordering::Relaxed) < 6 && !writers.iter().all(std::thread::JoinHandle::is_finished) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        std::thread::sleep(std::time::Duration::from_millis(3 * round));
        server.kill();
        acknowledged.extend(writers.into_iter().flat_map(|writer| writer.join().unwrap()));
    }
    let server = Server::start(folder.path());
    assert!(acknowledged.len() > 100, "only {} writes", acknowledged.len());
    for (name, title) in &acknowledged {
        let (_, found) =
            request(server.url(), &token, "GET", &format!("/Users?filter=userName+eq+%22{name}%22"), &Value::Null)
                .unwrap();
        assert_eq!(found["totalResults"], 1, "{name} was acknowledged and is gone");
        let user = &found["Resources"][0];
        assert!(title.is_empty() || user["title"] == title.as_str(), "{user}");
        // Each index agrees with the item: nothing is half there.
        for email in user["emails"].as_array().unwrap() {
            let filter = format!("/Users?filter=emails.value+eq+%22{}%22", email["value"].as_str().unwrap());
            let (_, by_email) = request(server.url(), &token, "GET", &filter, &Value::Null).unwrap();
            assert_eq!(by_email["Resources"][0]["id"], user["id"]);
        }
    }
    eprintln!("{} acknowledged writes survived 20 kills", acknowledged.len());
}

/// Creates users and changes them; what was acknowledged, with the title it ended on.
fn write_until_it_breaks(url: &str, token: &str, prefix: &str, writes: &AtomicUsize) -> Vec<(String, String)> {
    let mut done = Vec::new();
    // Bounded: the server is killed long before.
    for i in 0..2_000 {
        let name = format!("u{prefix}-{i}");
        let emails = json!([{"value": format!("{name}@a")}, {"value": format!("{name}@b")}]);
        let Some((201, user)) = request(url, token, "POST", "/Users", &json!({"userName": name, "emails": emails}))
        else {
            break;
        };
        done.push((name.clone(), String::new()));
        writes.fetch_add(1, Ordering::Relaxed);
        let path = format!("/Users/{}", user["id"].as_str().unwrap());
        let change = json!({"Operations": [{"op": "replace", "value": {"title": "changed"}}]});
        match request(url, token, "PATCH", &path, &change) {
            Some((200, _)) => done.last_mut().unwrap().1 = "changed".to_owned(),
            _ => break,
        }
    }
    done
}

#[test]
fn a_folder_of_an_older_format_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rollcall.db");
    std::fs::write(&file, "what an older release stored").unwrap();
    let refused = rollcall(folder.path(), &["tenant", "list"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("has format 1") && said.contains("--data"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "what an older release stored");
    assert!(!folder.path().join("format").exists());
}

#[test]
fn a_large_change_is_answered_when_it_is_committed_and_its_users_follow() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let token = server.line("Secret token: ").to_owned();
    let send = |method: &str, path: &str, body: &Value| request(server.url(), &token, method, path, body).unwrap();
    let users: Vec<Value> = (0..240)
        .map(|number| send("POST", "/Users", &json!({"userName": format!("u{number}")})).1["id"].clone())
        .map(|id| json!({"value": id}))
        .collect();
    let (status, group) = send("POST", "/Groups", &json!({"displayName": "large", "members": users[..200]}));
    assert_eq!((status, group["members"].as_array().unwrap().len()), (201, 200));
    let path = format!("/Groups/{}", group["id"].as_str().unwrap());
    let add = json!({"Operations": [{"op": "add", "path": "members", "value": users[200..]}]});
    // It waits for the first one, or settles it.
    assert_eq!(send("PATCH", &path, &add).0, 204);
    assert_eq!(send("GET", &path, &Value::Null).1["members"].as_array().unwrap().len(), 240);
    let last = format!("/Users/{}", users[239]["value"].as_str().unwrap());
    let until = Instant::now() + Duration::from_secs(20);
    while send("GET", &last, &Value::Null).1["groups"].as_array().is_none_or(Vec::is_empty) {
        assert!(Instant::now() < until, "the users do not follow");
        std::thread::sleep(Duration::from_millis(50));
    }
}
