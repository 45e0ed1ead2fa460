//! All that the page does, for the test of declared accesses.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::browser::{Browser, ORIGIN, link, secret, sign_in};
use crate::admin::ask;
use crate::support::{Harness, patch};

/// The page through all that its roles may need, for the test of declared accesses.
pub async fn drive(harness: &Harness) {
    let admin = harness.operator().await;
    let link = link(harness, &admin, "acme", json!({})).await;
    let path = format!("/tenants/acme/links/{}", link["id"].as_str().unwrap());
    let operator = format!("Bearer {admin}");
    let dry = [("authorization", operator.as_str()), ("rollcall-dry-run", "true")];
    for (method, path, status) in [("POST", "/tenants/acme/links", 201), ("DELETE", path.as_str(), 204)] {
        let reply = harness.raw(method, &format!("/admin/v1{path}"), Vec::new(), &dry).await;
        assert_eq!(reply.status, status, "{reply:?}");
    }
    assert_eq!(ask(harness, &admin, "DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(sign_in(harness, "acme", secret(&link)).await.status, 401);
    let browser = Browser::open(harness, "acme", json!({"operator": true})).await;
    let two = json!([{"value": "p@x"}, {"value": "q@x"}]);
    let id = harness.create(json!({"userName": "page", "externalId": "P", "emails": two})).await;
    let group = harness.send("POST", "/Groups", json!({"displayName": "of-page", "members": [{"value": id}]})).await;
    let group = group.body["id"].as_str().unwrap();
    crate::support::feed::all_events(harness).await;
    for page in [
        "overview",
        "connect",
        "keys",
        "settings",
        "activity",
        "people?q=page",
        "people?q=q@x",
        "operator/tenants",
        "nothing",
    ] {
        assert!([200, 404].contains(&Box::pin(browser.get(page)).await.status), "{page}");
    }
    for page in [format!("people?id={id}"), "groups?q=of-page".to_owned(), format!("groups?id={group}")] {
        assert_eq!(browser.get(&page).await.status, 200, "{page}");
    }
    let later = harness.at(Timestamp::now() + SignedDuration::from_mins(30));
    for (page, status) in [("overview", 200), ("operator/tenants", 200)] {
        assert_eq!(Box::pin(browser.get_on(&later, page)).await.status, status);
        // Seen again, half an hour after the last time.
        let again = Browser::open(harness, "acme", json!({"operator": true})).await;
        assert_eq!(again.get_on(&later, page).await.status, 200);
    }
    let late = Browser {
        harness: &later,
        tenant: "acme",
        cookie: Browser::open(harness, "acme", json!({"operator": true})).await.cookie,
    };
    let token = Browser { harness, tenant: "acme", cookie: late.cookie.clone() }.token().await;
    let forms: [(&str, &[(&str, &str)]); 7] = [
        ("automation", &[("action", "create"), ("name", "of-page")]),
        ("keys", &[("action", "create"), ("description", "x"), ("automation", "of-page")]),
        ("automation", &[("action", "activate"), ("name", "of-page")]),
        (
            "settings",
            &[
                ("action", "save"),
                ("deactivation", "disable"),
                ("protect", "hold"),
                ("users", "1%/1"),
                ("window", "60m"),
            ],
        ),
        ("links", &[("action", "create"), ("tenant", "globex"), ("role", "view")]),
        ("tenants", &[("action", "create"), ("name", "by-page"), ("profile", "default")]),
        ("nothing", &[("action", "x")]),
    ];
    for (page, fields) in forms {
        let reply = Box::pin(late.post_with(page, &token, fields, &[ORIGIN])).await;
        assert!([200, 303, 404].contains(&reply.status), "{page}: {reply:?}");
    }
    assert_eq!(Box::pin(browser.post("doctor/run", &[])).await.status, 200);
    let off = patch(json!([{"op": "replace", "path": "active", "value": false}]));
    harness.send("PATCH", &format!("/Users/{id}"), off).await;
    assert_eq!(browser.post("hold", &[("action", "approve")]).await.status, 303);
    assert_eq!(browser.post("", &[("action", "end")]).await.status, 200);
    assert_eq!(browser.get("operator/tenants").await.status, 401);
}

/// Everything that a restore may have to write, by the page; and a form of it half an hour after the last.
pub async fn drive_restore(harness: &Harness) {
    let (key, since, _) = Box::pin(crate::access::operators::damage(harness, "page-")).await;
    let browser = Browser::open(harness, "acme", json!({"role": "operate"})).await;
    let token = browser.token().await;
    let late = harness.at(Timestamp::now() + SignedDuration::from_mins(30));
    let late = Browser { harness: &late, tenant: "acme", cookie: browser.cookie.clone() };
    for scope in [vec![("key", key.as_str()), ("since", since.as_str())], vec![("hold", "nobody@never")]] {
        let fields = [scope, vec![("confirm", "yes")]].concat();
        let reply = Box::pin(late.post_with("restore/run", &token, &fields, &[ORIGIN])).await;
        assert!([200, 409].contains(&reply.status), "{reply:?}");
    }
    let other = Browser::open(harness, "acme", json!({"role": "view"})).await;
    let token = other.token().await;
    let other = Browser { harness: late.harness, tenant: "acme", cookie: other.cookie.clone() };
    for (token, status) in [(token.as_str(), 200), ("of another session", 403)] {
        let reply = Box::pin(other.post_with("doctor/run", token, &[], &[ORIGIN])).await;
        assert_eq!(reply.status, status, "{reply:?}");
    }
}
