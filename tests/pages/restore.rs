//! Restores on the page: from a history to a plan, and from the plan to a confirmed run.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::browser::{Browser, actions, text};
use super::check_html;
use crate::support::feed::all_events;
use crate::support::{Harness, encode, patch};

/// The addresses of the plans that a page offers.
fn plans(html: &str) -> Vec<String> {
    let links = html.split("href=\"/acme/manage/").skip(1).map(|rest| rest.split('"').next().unwrap());
    links.filter(|link| link.starts_with("restore?")).map(|link| link.replace("&#38;", "&")).collect()
}

/// The hidden fields of the form that runs a plan.
fn fields(html: &str) -> Vec<(String, String)> {
    let form = html.split("/manage/restore/run\"").nth(1).unwrap().split("</form>").next().unwrap();
    let hidden = form.split("<input type=\"hidden\" name=\"").skip(1).map(|rest| rest.split('"').collect::<Vec<_>>());
    hidden.map(|parts| (parts[0].to_owned(), parts[2].to_owned())).filter(|(name, _)| name != "form").collect()
}

fn borrowed(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn off() -> serde_json::Value {
    patch(json!([{"op": "replace", "path": "active", "value": false}]))
}

#[tokio::test(start_paused = true)]
async fn a_person_comes_back_from_the_history_by_a_plan_and_a_confirmation() {
    let harness = Harness::new().await;
    let id = harness.create(json!({"userName": "lela", "title": "<i>Lead</i>"})).await;
    let group = harness.send("POST", "/Groups", json!({"displayName": "Staff", "members": [{"value": id}]})).await;
    let group = group.body["id"].as_str().unwrap().to_owned();
    assert_eq!(harness.send("DELETE", &format!("/Users/{id}"), None).await.status, 204);
    harness.settle().await;
    all_events(&harness).await;
    let later = harness.at(Timestamp::now() + SignedDuration::from_secs(60));
    let signed_in = Browser::open(&harness, "acme", json!({"role": "operate", "actor": "jane"})).await;
    let browser = Browser { harness: &later, tenant: "acme", cookie: signed_in.cookie.clone() };
    let person = text(&browser.get(&format!("people?id={id}")).await);
    check_html(&person);
    let offered = plans(&person);
    assert!(offered.contains(&format!("restore?user={id}")), "{person}");
    assert!(offered.iter().any(|plan| plan.contains("key=") && plan.contains("since=")), "{offered:?}");
    let of_group = plans(&text(&browser.get(&format!("groups?id={group}")).await));
    assert!(of_group.iter().any(|plan| plan.contains("key=")), "{of_group:?}");
    for plan in offered.iter().chain(&of_group) {
        let reply = browser.get(plan).await;
        assert_eq!(reply.status, 200, "{plan}: {reply:?}");
        check_html(&text(&reply));
    }
    // The plan names the user and the group, warns, and writes nothing.
    let plan = text(&browser.get(&format!("restore?user={id}")).await);
    assert!(plan.contains("lela") && plan.contains("comes back") && plan.contains("Staff"), "{plan}");
    assert!(plan.contains("Otherwise its next cycle does the same again"), "{plan}");
    assert_eq!(harness.send("GET", &format!("/Users/{id}"), None).await.status, 404);
    let fields = fields(&plan);
    assert_eq!(browser.post("restore/run", &borrowed(&fields)).await.status, 400, "nobody has confirmed it");
    assert_eq!(harness.send("GET", &format!("/Users/{id}"), None).await.status, 404);
    let confirmed = [borrowed(&fields), vec![("confirm", "yes")]].concat();
    let reply = browser.post("restore/run", &confirmed).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    check_html(&text(&reply));
    assert!(text(&reply).contains("Restored: 1. Were as they should be: 0. Conflicts: 0."), "{reply:?}");
    let user = harness.send("GET", &format!("/Users/{id}"), None).await;
    assert_eq!((user.status, &user.body["groups"][0]["value"]), (200, &json!(group)));
    let admin = harness.operator().await;
    let log = actions(&harness, &admin, "acme").await;
    let ran = log.iter().find(|entry| entry["type"] == "restore.run").unwrap();
    assert_eq!((&ran["actor"]["client"], &ran["actor"]["person"]), (&json!("page"), &json!("jane")));
    // Again, it has nothing to do.
    let reply = text(&browser.post("restore/run", &confirmed).await);
    assert!(reply.contains("Restored: 0."), "{reply}");
}

#[tokio::test(start_paused = true)]
async fn what_a_rejected_hold_has_counted_is_restored_from_the_overview() {
    let harness = Harness::new().await;
    let browser = Browser::open(&harness, "acme", json!({"role": "operate"})).await;
    let settings =
        [("action", "save"), ("deactivation", "disable"), ("protect", "hold"), ("users", "1%/1"), ("window", "60m")];
    assert_eq!(browser.post("settings", &settings).await.status, 303);
    let (first, second) = (harness.user("a").await, harness.user("b").await);
    assert_eq!(harness.send("PATCH", &format!("/Users/{first}"), off()).await.status, 200);
    assert_eq!(harness.send("PATCH", &format!("/Users/{second}"), off()).await.status, 429);
    all_events(&harness).await;
    assert_eq!(browser.post("hold", &[("action", "reject")]).await.status, 303);
    let overview = text(&browser.get("overview").await);
    check_html(&overview);
    let plan = plans(&overview).into_iter().find(|plan| plan.starts_with("restore?hold=")).unwrap();
    let html = text(&browser.get(&plan).await);
    assert!(html.contains("<th scope=\"row\">active</th><td>false</td><td></td>"), "{html}");
    let fields = fields(&html);
    let confirmed = [borrowed(&fields), vec![("confirm", "yes")]].concat();
    let reply = browser.post("restore/run", &confirmed).await;
    assert!(text(&reply).contains("Restored: 1."), "{reply:?}");
    assert_eq!(harness.send("GET", &format!("/Users/{first}"), None).await.body.get("active"), None);
}

#[tokio::test(start_paused = true)]
async fn a_long_restore_goes_on_from_form_to_form_and_counts() {
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let since = Timestamp::now().to_string();
    let mut paths = Vec::new();
    for number in 0..130 {
        paths.push(format!("/Users/{}", harness.user(&format!("user{number}")).await));
    }
    for path in &paths {
        assert_eq!(harness.send("PATCH", path, off()).await.status, 200);
    }
    all_events(&harness).await;
    let browser = Browser::open(&harness, "acme", json!({"role": "operate"})).await;
    let log = crate::admin::ask(&harness, &admin, "GET", "/tenants/acme/log?kind=change&limit=1", json!(null)).await;
    let key = log.body["entries"][0]["actor"]["key"].as_str().unwrap().to_owned();
    // Not what created them: those would be conflicts.
    let first =
        crate::admin::ask(&harness, &admin, "GET", "/tenants/acme/log?kind=change&limit=130", json!(null)).await;
    let since = first.body["entries"]
        .as_array()
        .unwrap()
        .last()
        .map_or(since, |it| it["timestamp"].as_str().unwrap().to_owned());
    let mut html = text(&browser.get(&format!("restore?key={key}&since={}", encode(&since))).await);
    assert!(html.contains("The next page of the plan"), "{html}");
    let second = plans(&html).into_iter().find(|plan| plan.contains("cursor=")).unwrap();
    assert_eq!(browser.get(&second).await.status, 200);
    // The cursor of a run, in an address: a GET writes nothing, whoever has written the link.
    let body = json!({"key": key, "since": since});
    let begun = crate::admin::ask(&harness, &admin, "POST", "/tenants/acme/restore", body).await.body;
    let run = begun["nextCursor"].as_str().unwrap();
    let of_plan = second.split("cursor=").nth(1).unwrap();
    assert_eq!(browser.get(&format!("restore?cursor={run}")).await.status, 400);
    assert_eq!(browser.post("restore/run", &[("confirm", "yes"), ("cursor", of_plan)]).await.status, 400);
    let last = paths.last().unwrap();
    assert_eq!(harness.send("GET", last, None).await.body["active"], json!(false));
    let mut requests = 0;
    while html.contains("/manage/restore/run\"") {
        let fields = fields(&html);
        let confirmed = [borrowed(&fields), vec![("confirm", "yes")]].concat();
        let reply = browser.post("restore/run", &confirmed).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        (html, requests) = (text(&reply), requests + 1);
    }
    assert!(requests >= 2 && html.contains("The restore has ended"), "{requests} {html}");
    for path in &paths {
        assert_eq!(harness.send("GET", path, None).await.body.get("active"), None);
    }
}

#[tokio::test(start_paused = true)]
async fn only_who_operates_restores_and_in_the_own_tenant_alone() {
    let harness = Harness::new().await;
    let id = harness.user("lela").await;
    assert_eq!(harness.send("PATCH", &format!("/Users/{id}"), off()).await.status, 200);
    all_events(&harness).await;
    for role in ["view", "setup"] {
        let browser = Browser::open(&harness, "acme", json!({"role": role})).await;
        let html = text(&browser.get(&format!("people?id={id}")).await);
        assert_eq!(plans(&html), Vec::<String>::new(), "{role}");
        assert_eq!(browser.get(&format!("restore?user={id}")).await.status, 403, "{role}");
        assert_eq!(browser.post("restore/run", &[("user", &id), ("confirm", "yes")]).await.status, 403, "{role}");
    }
    let other = Browser::open(&harness, "globex", json!({"role": "operate"})).await;
    let plan = text(&other.get(&format!("restore?user={id}")).await);
    assert!(plan.contains("Nothing is known of it") && !plan.contains("lela"), "{plan}");
    let run = text(&other.post("restore/run", &[("user", &id), ("confirm", "yes")]).await);
    assert!(run.contains("Restored: 0."), "{run}");
    assert_eq!(harness.send("GET", &format!("/Users/{id}"), None).await.body["active"], json!(false));
    let browser = Browser::open(&harness, "acme", json!({"role": "operate"})).await;
    for (query, status) in
        [("", 400), ("?user=x", 400), ("?key=k", 400), ("?hold=nobody@never", 409), ("?cursor=x", 400)]
    {
        assert_eq!(browser.get(&format!("restore{query}")).await.status, status, "{query}");
    }
}
