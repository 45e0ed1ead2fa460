//! What operators read of a tenant: the lists of the admin API, and `rollcall user` and `rollcall group` on top of them.

use std::path::Path;
use std::process::Command;

use rollcall::tenant::Profile;
use serde_json::{Value, json};

use crate::admin::ask;
use crate::serve::{ROLLCALL, Server, request, rollcall, text};
use crate::support::{Harness, ScimResponse, encode};

async fn get(harness: &Harness, admin: &str, path: &str) -> ScimResponse {
    ask(harness, admin, "GET", &format!("/tenants{path}"), Value::Null).await
}

fn names(list: &Value, attribute: &str) -> Vec<String> {
    list["Resources"].as_array().unwrap().iter().map(|found| found[attribute].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn an_operator_reads_what_the_clients_of_the_tenant_read() {
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    for name in ["anna", "ben", "carl"] {
        harness.user(name).await;
    }
    for query in ["", "?count=2&startIndex=2", "?sortBy=userName&sortOrder=descending", "?attributes=userName"] {
        let own = harness.send("GET", &format!("/Users{query}"), None).await;
        let of_operator = get(&harness, &admin, &format!("/acme/users{query}")).await;
        assert_eq!((of_operator.status, &of_operator.body), (200, &own.body), "{query}");
        assert_eq!(of_operator.headers["cache-control"], "no-store");
    }
    let filter = encode("userName sw \"b\" or emails.value eq \"anna@example.com\"");
    let own = harness.send("GET", &format!("/Users?filter={filter}"), None).await;
    assert_eq!(get(&harness, &admin, &format!("/acme/users?filter={filter}")).await.body, own.body);
    let globex = get(&harness, &admin, "/globex/users").await;
    assert_eq!(globex.body["totalResults"], 0, "another tenant has other users");
    for (path, status) in [
        ("/nobody/users", 404),
        ("/nobody/groups", 404),
        ("/acme/users?filter=userName", 400),
        ("/acme/users?count=x", 400),
        ("/acme/groups/2819c223-7f76-453a-919d-413861904646/members", 404),
        ("/acme/groups/x/members", 404),
    ] {
        assert_eq!(get(&harness, &admin, path).await.status, status, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_goes_on_by_its_cursor_at_its_own_tenant_alone() {
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let mut ids = Vec::new();
    for name in ["anna", "ben", "carl", "dora", "eve"] {
        ids.push(harness.user(name).await);
    }
    let members: Vec<_> = ids.iter().map(|id| json!({"value": id})).collect();
    let group = harness.send("POST", "/Groups", json!({"displayName": "all", "members": members})).await.body;
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = get(&harness, &admin, &format!("/acme/users?count=2&cursor={cursor}")).await.body;
        found.extend(names(&page, "id"));
        let Some(next) = page["nextCursor"].as_str() else { break };
        next.clone_into(&mut cursor);
        let elsewhere = get(&harness, &admin, &format!("/globex/users?count=2&cursor={cursor}")).await;
        assert_eq!((elsewhere.status, &elsewhere.body["scimType"]), (400, &json!("invalidCursor")));
    }
    ids.sort();
    assert_eq!(found, ids);
    let path = format!("/acme/groups/{}/members", group["id"].as_str().unwrap());
    let first = get(&harness, &admin, &format!("{path}?count=3&filter=member.value+eq+%22x%22")).await.body;
    let next = first["nextCursor"].as_str().unwrap();
    let second = get(&harness, &admin, &format!("{path}?count=3&cursor={next}")).await.body;
    let pages = [&first, &second].map(|page| page["Resources"].as_array().unwrap().clone());
    assert_eq!(pages.each_ref().map(Vec::len), [3, 2]);
    let mut members: Vec<_> = pages.concat().iter().map(|found| found["member"]["value"].clone()).collect();
    members.sort_by_key(Value::to_string);
    assert_eq!(members, ids);
}

#[tokio::test(start_paused = true)]
async fn the_groups_of_a_tenant_without_groups_are_refused_with_the_reason() {
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let mut profile: Value = serde_json::from_str(Profile::shipped("default").unwrap()).unwrap();
    (profile["name"], profile["groups"]) = (json!("mine"), json!(false));
    let body = json!({"name": "initech", "profile": profile});
    assert_eq!(ask(&harness, &admin, "POST", "/tenants", body).await.status, 201);
    let reply = get(&harness, &admin, "/initech/groups").await;
    assert_eq!(reply.status, 404);
    assert!(reply.body["detail"].as_str().unwrap().contains("offers no groups"), "{reply:?}");
}

/// What a command prints, if it succeeds.
fn printed(folder: &Path, args: &[&str]) -> String {
    let output = rollcall(folder, args);
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Why a command fails.
fn refused(folder: &Path, args: &[&str]) -> String {
    let output = rollcall(folder, args);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()), "{args:?}");
    text(&output.stderr)
}

#[test]
fn people_and_groups_are_listed_printed_and_found_by_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = Server::start(folder);
    let (url, token) = (server.url().to_owned(), server.line("Secret token: ").to_owned());
    let post = |path: &str, body: Value| request(&url, &token, "POST", path, &body).unwrap().1;
    let person = |name: &str, active: bool| {
        let emails = json!([{"value": format!("{name}@home.example", ), "type": "home"},
            {"value": format!("{name}@acme.example"), "type": "work", "primary": true}]);
        post(
            "/Users",
            json!({"userName": name, "displayName": format!("{name} Ek"), "active": active, "emails": emails}),
        )
    };
    let (anna, ben) = (person("anna", true), person("ben", false));
    let group = post("/Groups", json!({"displayName": "Tour Guides", "members": [{"value": anna["id"]}]}));
    let id = |resource: &Value| resource["id"].as_str().unwrap().to_owned();
    post("/Groups", json!({"displayName": "Everyone", "members": [{"value": id(&group)}, {"value": id(&ben)}]}));
    let by_name = ["user", "list", "demo", "--sort-by", "userName", "--attributes", "userName,active,emails"];
    let table = "USERNAME  ACTIVE  EMAILS\nanna      true    anna@acme.example\nben       false   ben@acme.example\n";
    assert_eq!(printed(folder, &by_name), table, "by the server that has the folder open");
    let page = rollcall(folder, &["user", "list", "demo", "--count", "1"]);
    assert!(text(&page.stderr).contains("users 1 to 1 of 2. Continue with --start 2"), "{}", text(&page.stderr));
    assert_eq!(text(&page.stdout).lines().count(), 2);
    drop(server);
    assert_eq!(printed(folder, &by_name), table, "and without one");
    let all = printed(folder, &["user", "list", "demo", "--all", "--filter", "active eq true", "--json"]);
    assert_eq!(names(&serde_json::from_str(&all).unwrap(), "userName"), ["anna"]);
    let output = printed(folder, &["user", "get", "demo", "ANNA"]);
    for line in [
        "userName           anna",
        "emails             anna@home.example (home)",
        "                   anna@acme.example (work, primary)",
    ] {
        assert!(output.lines().any(|found| found == line), "{line} of {output}");
    }
    assert_eq!(
        serde_json::from_str::<Value>(&printed(folder, &["user", "get", "demo", &id(&anna), "--json"])).unwrap()["id"],
        anna["id"]
    );
    for (sought, found) in [("anna@acme.example", "anna"), ("be", "ben"), ("N eK", "ben")] {
        let list = printed(folder, &["user", "find", "demo", sought, "--json"]);
        assert_eq!(names(&serde_json::from_str(&list).unwrap(), "userName"), [found], "{sought}");
    }
    let output = printed(folder, &["group", "get", "demo", "everyone"]);
    let members = output.split_once("\n\n").unwrap().1;
    for (id, kind, name) in [(id(&group), "Group", "Tour Guides"), (id(&ben), "User ", "ben")] {
        assert!(members.contains(&format!("{id}  {kind}  {name}")), "{members}");
    }
    let output = rollcall(folder, &["group", "get", "demo", "Everyone", "--members", "1"]);
    assert!(text(&output.stderr).contains("Show more with --members"), "{}", text(&output.stderr));
    let whole = printed(folder, &["group", "get", "demo", &id(&group), "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&whole).unwrap()["members"][0]["display"], "anna");
    assert!(printed(folder, &["group", "find", "demo", "guide"]).contains("Tour Guides"));
    assert!(printed(folder, &["group", "list", "demo", "--filter", "displayName sw \"E\""]).contains("Everyone"));
    for (args, why) in [
        (["user", "find", "demo", "nobody"], "shorten the text, or list all: rollcall user list demo"),
        (["user", "get", "demo", "nobody"], "search: rollcall user find demo TEXT"),
        (["group", "get", "demo", "nothing"], "search: rollcall group find demo TEXT"),
        (["group", "get", "nowhere", "nothing"], "tenant nowhere does not exist; list the tenants, or create it"),
    ] {
        let said = refused(folder, &args);
        assert!(said.contains(why), "{args:?}: {said}");
    }
}

#[test]
fn the_same_is_read_from_another_machine_with_an_admin_key() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = Server::start(folder);
    let (url, token) = (server.url().to_owned(), server.line("Secret token: ").to_owned());
    request(&url, &token, "POST", "/Users", &json!({"userName": "anna"})).unwrap();
    let key = rollcall(folder, &["key", "create", "admin", "--description", "x", "--scope", "admin"]);
    let key = text(&key.stdout);
    let (host, _) = url.split_once("/demo/").unwrap();
    let list = |key: &str| {
        let args = ["user", "list", "demo", "--attributes", "userName", "--url", host];
        Command::new(ROLLCALL).args(args).env("ROLLCALL_ADMIN_KEY", key).output().unwrap()
    };
    let listed = list(key.trim());
    assert_eq!(text(&listed.stdout), "USERNAME\nanna\n", "{}", text(&listed.stderr));
    assert_eq!(list(&token).status.code(), Some(1), "a key of the tenant is none of the operators");
}
