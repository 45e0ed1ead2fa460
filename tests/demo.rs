//! `rollcall demo`: what it plays has happened, and the recording in the book is of it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::serve::{ROLLCALL, request, rollcall, text};

/// A play that is short, and has the people of the recording: the first of each customer.
const SHORT: [&str; 9] = ["demo", "--listen", "127.0.0.1:0", "--speed", "0", "--people", "125", "--groups", "5"];

fn play(folder: &Path, colour: (&str, &str)) -> Output {
    Command::new(ROLLCALL).args(SHORT).args(["--exit", "--data"]).arg(folder).env(colour.0, colour.1).output().unwrap()
}

fn listed(folder: &Path, args: &[&str]) -> usize {
    let list = rollcall(folder, &[args, &["--json"]].concat());
    let list: Value = serde_json::from_slice(&list.stdout).unwrap();
    list["Resources"].as_array().unwrap().len()
}

/// A line without what differs between two plays: numbers, addresses and folders.
fn masked(line: &str) -> String {
    let word = |word: &str| match word {
        word if word.contains('@') => "@".to_owned(),
        word if word.contains("://") => "URL".to_owned(),
        word if word.starts_with('/')
            && !word.starts_with("/Users")
            && !word.starts_with("/Groups")
            && word != "/events" =>
        {
            "FOLDER".to_owned()
        }
        word => word
            .chars()
            .map(|c| if c.is_ascii_digit() { '#' } else { c })
            .collect::<String>()
            .replace("##", "#")
            .replace("##", "#"),
    };
    line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

/// The lines of the recording: the text of its elements, without their marks.
fn recorded() -> Vec<String> {
    let svg = include_str!("../docs/src/tutorial/demo.svg");
    let lines = svg.lines().filter_map(|line| line.strip_prefix("<text ")?.split_once('>')?.1.strip_suffix("</text>"));
    let plain = |line: &str| {
        let parts: String = line.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text)).collect();
        parts.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    };
    lines.map(plain).filter(|line| !line.trim().is_empty()).collect()
}

#[test]
fn what_is_played_has_happened_and_the_recording_is_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let output = play(folder, ("NO_COLOR", "1"));
    let (lines, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{errors}");
    // No bars and no colours where there is no terminal, and no warnings of the endpoint in between.
    assert_eq!((errors.as_str(), lines.contains('\u{1b}')), ("", false));
    assert!(lines.contains("your product reads its feed → user.created"), "{lines}");
    assert_eq!(listed(folder, &["user", "list", "demo", "--all"]), 100);
    assert_eq!(listed(folder, &["user", "list", "demo-okta", "--all"]), 25);
    assert_eq!(listed(folder, &["group", "list", "demo", "--all"]), 4);
    assert_eq!(listed(folder, &["group", "list", "demo-okta", "--all"]), 1);
    // The bound of 100 people is 25, and somebody has left and come back before.
    assert_eq!(listed(folder, &["user", "list", "demo", "--all", "--filter", "active eq false"]), 24);
    assert!(lines.contains("24 disabled, 66 held"), "{lines}");
    let refusals = text(&rollcall(folder, &["log", "demo", "--kind", "refusal", "--json"]).stdout);
    for status in ["\"status\":401", "\"status\":429"] {
        assert!(refusals.contains(status), "{status} is in the log: {refusals}");
    }
    assert!(text(&rollcall(folder, &["user", "find", "demo", "david.lind"]).stdout).contains("David Lind"));
    let played: Vec<_> = lines.lines().map(masked).collect();
    let recorded = recorded();
    assert!(recorded.len() > 30, "{recorded:?}");
    for line in recorded.iter().filter(|line| !line.starts_with("$ ")) {
        // A line that is too long for the picture ends somewhere in a word.
        let cut = line.strip_suffix('…').and_then(|line| line.rsplit_once(' ')).map(|(line, _)| masked(line));
        let is_played = match cut {
            Some(start) => played.iter().any(|line| line.starts_with(&start)),
            None => played.contains(&masked(line)) || line.contains("Ctrl-C"),
        };
        assert!(is_played, "run `make recording`: the demo does not print {line}\n{lines}");
    }
}

#[test]
fn a_folder_with_tenants_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    assert!(rollcall(folder.path(), &["tenant", "create", "acme"]).status.success());
    let output = play(folder.path(), ("NO_COLOR", "1"));
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()));
    assert!(text(&output.stderr).contains("choose an empty folder with --data"), "{}", text(&output.stderr));
    assert_eq!(text(&rollcall(folder.path(), &["tenant", "list", "--json"]).stdout).matches("\"name\"").count(), 1);
}

#[test]
fn it_stays_until_it_is_interrupted_and_takes_its_data_along() {
    let mut child = Command::new(ROLLCALL)
        .args(SHORT)
        .env("CLICOLOR_FORCE", "1")
        .env_remove("NO_COLOR")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut lines: Vec<String> = Vec::new();
    for line in output.lines().map_while(Result::ok) {
        lines.push(line);
        if lines.last().unwrap().contains("Ctrl-C stops the endpoint and deletes its data") {
            break;
        }
    }
    let all = lines.join("\n");
    assert!(all.contains("\u{1b}["), "colours are forced");
    let url = all.split_whitespace().find(|word| word.ends_with("/demo/scim/v2")).unwrap();
    assert_eq!(request(url, "wrong", "GET", "/Users", &Value::Null).unwrap().0, 401, "the endpoint still runs");
    let folder = all.split("--data ").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    assert!(Path::new(&folder).exists());
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert!(child.wait().unwrap().success());
    assert!(!Path::new(&folder).exists());
}
