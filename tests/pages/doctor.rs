//! The checks of the page: what they find, and that they write nothing.

use jiff::{SignedDuration, Timestamp};
use rollcall::limits::WORKER_SILENT_SECONDS;
use rollcall::store::dynamo::tables::Table;
use serde_json::{Value, json};

use super::browser::{Browser, text};
use super::check_html;
use crate::admin::ask;
use crate::support::Harness;
use crate::support::feed::all_events;

/// Titles and outcomes of the findings, in order.
fn findings(html: &str) -> Vec<(String, String)> {
    let all = html.split("<li class=\"panel ").skip(1);
    let one = |item: &str| {
        let class = item.split('"').next().unwrap().to_owned();
        let title = item.split("<h3>").nth(1).unwrap().split(" <span").next().unwrap().to_owned();
        (title, class)
    };
    all.map(one).collect()
}

fn outcome(html: &str, title: &str) -> String {
    let found = findings(html).into_iter().find(|(name, _)| name == title);
    found.unwrap_or_else(|| panic!("{title} in {html}")).1
}

#[tokio::test(start_paused = true)]
async fn every_role_runs_the_checks_and_they_write_nothing() {
    let harness = Harness::new().await;
    let id = harness.user("lela").await;
    all_events(&harness).await;
    for role in ["view", "setup", "operate"] {
        let browser = Browser::open(&harness, "acme", json!({"role": role})).await;
        let screen = text(&browser.get("doctor").await);
        check_html(&screen);
        assert!(screen.contains("rollcall doctor http") && findings(&screen).is_empty(), "{screen}");
        let dump = async || {
            let mut all = Vec::new();
            for table in [Table::Users, Table::Groups, Table::Links, Table::Keys, Table::Changes] {
                all.push(harness.dump(table).await);
            }
            all
        };
        let before = dump().await;
        let reply = browser.post("doctor/run", &[]).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let html = text(&reply);
        check_html(&html);
        assert_eq!(dump().await, before, "{role}");
        for title in ["Create a user, as a dry run", "Change a user, as a dry run", "Create a group, as a dry run"] {
            assert_eq!(outcome(&html, title), "good", "{title}: {html}");
        }
        for title in ["Description of the endpoint", "Find a user who does not exist", "Keys", "Log and feed"] {
            assert_eq!(outcome(&html, title), "good", "{title}: {html}");
        }
        // Nobody but the page's own checks is tried: no write goes through the session.
        assert!(!html.contains("Faults: 1"), "{html}");
    }
    assert_eq!(harness.send("GET", &format!("/Users/{id}"), None).await.body["userName"], json!("lela"));
}

#[tokio::test(start_paused = true)]
async fn each_finding_says_what_to_do() {
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let tenant = |path: &str| format!("/tenants/acme{path}");
    let browser = Browser::open(&harness, "acme", json!({"role": "operate"})).await;
    assert_eq!(browser.post("automation", &[("action", "create"), ("name", "robot")]).await.status, 303);
    let waiting = json!({"description": "Azure", "automation": "robot"});
    assert_eq!(ask(&harness, &admin, "POST", &tenant("/keys"), waiting).await.status, 201);
    let settings = json!({"settings": {"protect": "off", "rate": "5/10"}});
    assert_eq!(ask(&harness, &admin, "PATCH", &tenant(""), settings).await.status, 200);
    assert_eq!(harness.send("POST", "/Users", json!({"displayName": "nobody"})).await.status, 400);
    let html = text(&browser.post("doctor/run", &[]).await);
    for (title, class) in [
        ("Address", "quiet"),
        ("Protection", "quiet"),
        ("Rate", "quiet"),
        ("Refused requests", "quiet"),
        ("Change a user, as a dry run", "skipped"),
    ] {
        assert_eq!(outcome(&html, title), class, "{title}: {html}");
    }
    assert!(html.contains("Azure” waits for its automation user") && html.contains("userName"), "{html}");
    assert!(html.matches("<strong>What to do:</strong>").count() >= 5, "{html}");
    // A worker that has not been there for a day.
    let last = Timestamp::now();
    for table in [Table::Users, Table::Groups] {
        harness.app.store.put_worker_presence(table, last).await.unwrap();
    }
    let late = harness.at(last + SignedDuration::from_secs(WORKER_SILENT_SECONDS + 60));
    let again = Browser::open(&late, "acme", json!({"role": "view"})).await;
    let html = text(&again.post("doctor/run", &[]).await);
    assert_eq!(outcome(&html, "Log and feed"), "fault", "{html}");
    let revoke = async |key: &Value| {
        let path = tenant(&format!("/keys/{}", key["id"].as_str().unwrap()));
        assert_eq!(ask(&harness, &admin, "DELETE", &path, Value::Null).await.status, 204);
    };
    for key in ask(&harness, &admin, "GET", &tenant("/keys"), Value::Null).await.body["keys"].as_array().unwrap() {
        revoke(key).await;
    }
    assert_eq!(outcome(&text(&browser.post("doctor/run", &[]).await), "Keys"), "fault");
}

#[tokio::test(start_paused = true)]
async fn a_check_meets_what_the_profile_requires() {
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let mut profile = json!({"name": "strict", "description": "Strict", "credentials": ["bearer"], "groups": false});
    profile["baseUrl"] = json!("/{tenant}/scim/v2");
    profile["required"] = json!([{"path": "title", "unless": "nickName pr"}]);
    for (name, profile, class) in [("plain", json!("jostle"), "good"), ("strict", profile, "fault")] {
        let tenant = ask(&harness, &admin, "POST", "/tenants", json!({"name": name, "profile": profile})).await;
        assert_eq!(tenant.status, 201, "{tenant:?}");
        let browser = Browser::open(&harness, name, json!({"role": "view"})).await;
        let html = text(&browser.post("doctor/run", &[]).await);
        assert_eq!(outcome(&html, "Create a user, as a dry run"), class, "{html}");
        assert_eq!(html.contains("Create a group, as a dry run"), name == "plain");
        assert!(class == "good" || html.contains("<p lang=\"en\">"), "{html}");
    }
}
