//! The screen for operators: what each tenant has, does and costs, and a form for another one.

use rollcall::api::tenant_load::USER_MONTH_NANODOLLARS;
use rollcall::limits::MAX_PAGE_TENANTS;
use serde_json::{Value, json};

use super::browser::{Browser, actions, text};
use crate::admin::ask;
use crate::support::Harness;

/// The cells of a tenant's row.
fn cells(page: &str, tenant: &str) -> Vec<String> {
    let row = page.split(&format!("<th scope=\"row\">{tenant}</th>")).nth(1).unwrap();
    let row = row.split("</tr>").next().unwrap();
    row.split("<td>").skip(1).take(5).map(|cell| cell.split("</td>").next().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn operators_see_what_each_tenant_has_does_and_costs() {
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    for number in 0..3 {
        harness.create(json!({"userName": format!("u{number}")})).await;
    }
    crate::support::feed::all_events(&harness).await;
    let tenant = ask(&harness, &admin, "GET", "/tenants/acme?load=true", Value::Null).await;
    assert_eq!(tenant.body["load"], json!({"users": 3, "events": 3, "monthlyCostUsd": 0.0}), "{tenant:?}");
    let globex = ask(&harness, &admin, "GET", "/tenants/globex?load=true", Value::Null).await;
    assert_eq!(globex.body["load"]["events"], 0, "{globex:?}");
    assert!(ask(&harness, &admin, "GET", "/tenants/acme", Value::Null).await.body.get("load").is_none());
    let refused = ask(&harness, &admin, "GET", "/tenants/acme?load=1", Value::Null).await;
    assert_eq!((refused.status, &refused.body["scimType"]), (400, &json!("invalidValue")));
    let browser = Browser::open(&harness, "acme", json!({"operator": true})).await;
    let page = text(&browser.get("operator/tenants").await);
    assert_eq!(cells(&page, "acme")[2..], ["3", "3", "0.00"]);
}

#[tokio::test(start_paused = true)]
async fn operators_create_tenants_and_nobody_else_does() {
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let operator = Browser::open(&harness, "acme", json!({"operator": true})).await;
    let fields = |name| [("action", "create"), ("name", name), ("profile", "jostle")];
    let reply = operator.post("tenants", &fields("initech")).await;
    assert_eq!(
        (reply.status, reply.headers["location"].to_str().unwrap()),
        (303, "/acme/manage/operator/tenants?done=created")
    );
    let page = text(&operator.get("operator/tenants?done=created").await);
    assert_eq!(cells(&page, "initech")[0], "jostle");
    let log = actions(&harness, &admin, "initech").await;
    assert_eq!(log[0]["actor"]["client"], "page", "{log:?}");
    assert_eq!(operator.post("tenants", &fields("initech")).await.status, 409, "it exists");
    assert_eq!(operator.post("tenants", &fields("In tech")).await.status, 400, "no name of a tenant");
    for access in [json!({"role": "operate"}), json!({"operator": true, "role": "view"})] {
        let other = Browser::open(&harness, "acme", access).await;
        assert_eq!(other.post("tenants", &fields("umbrella")).await.status, 403);
    }
    assert_eq!(ask(&harness, &admin, "GET", "/tenants/umbrella", Value::Null).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn many_tenants_are_several_screens() {
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    for number in 0..MAX_PAGE_TENANTS {
        let body = json!({"name": format!("tenant-{number:03}")});
        assert_eq!(ask(&harness, &admin, "POST", "/tenants", body).await.status, 201);
    }
    let browser = Browser::open(&harness, "acme", json!({"operator": true})).await;
    let first = text(&browser.get("operator/tenants").await);
    let next = first.split("operator/tenants?after=").nth(1).unwrap().split('"').next().unwrap();
    let second = text(&browser.get(&format!("operator/tenants?after={next}")).await);
    assert!(!second.contains("?after="));
    let rows = |page: &str| page.matches("<th scope=\"row\">").count();
    assert_eq!((rows(&first), rows(&second)), (MAX_PAGE_TENANTS, 3), "with acme, admin and globex");
}

#[test]
fn the_costs_of_a_user_are_those_of_the_costs_page() {
    let page = include_str!("../../infra/costs.md");
    let all = page.lines().find(|line| line.starts_with("| all |")).unwrap();
    let million: f64 = all.split('|').nth(4).unwrap().trim().parse().unwrap();
    assert_eq!(format!("{:.0}", million * 1_000.0), USER_MONTH_NANODOLLARS.to_string());
}
