//! The template is what the route table and the store say, and there is an event for every function.

use std::collections::BTreeSet;

use http::Method;
use rollcall::api::gateway::HttpApiEvent;
use rollcall::api::{self, Base, ROUTES, Route, Selection};
use rollcall::app::Clock;
use rollcall::auth::Scope;
use rollcall::cli::template;
use rollcall::store::dynamo::tables::{ADMIN_LANE, DEFINITIONS, DELETION_LANE, REFUSAL_LANE};
use rollcall::worker;

use crate::support::{Harness, key};

fn read(file: &str) -> String {
    std::fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn the_functions_are_those_of_the_route_table() {
    let text = read("template.yaml");
    assert!(template::renewed(&text).unwrap() == text, "run `make template`");
    for route in ROUTES {
        assert_eq!(text.matches(&format!("      Handler: {}\n", route.function())).count(), 1);
        assert!(Selection::parse(route.function()).unwrap().includes(route));
    }
}

#[test]
fn a_rollout_heeds_every_alarm_on_functions_and_none_that_is_not_there() {
    let text = read("template.yaml");
    let heeded = text.lines().find(|line| line.trim_start().starts_with("Alarms:")).unwrap();
    let heeded: Vec<_> = heeded.split("!Ref ").skip(1).map(|name| name.trim_end_matches([',', ' ', ']'])).collect();
    let functions = template::functions();
    for creation in functions.lines().filter(|line| line.starts_with("  FunctionErrors")) {
        assert!(heeded.contains(&creation.trim().trim_end_matches(':')), "{creation}");
    }
    for name in heeded {
        assert!(text.contains(&format!("\n  {name}:\n    Type: AWS::CloudWatch::Alarm\n")), "{name}");
    }
}

#[test]
fn no_policy_has_a_wildcard() {
    let text = template::functions();
    // The lane of every tenant, in a condition that narrows a statement.
    let lanes = [ADMIN_LANE, DELETION_LANE, REFUSAL_LANE].map(|lane| format!("dynamodb:LeadingKeys: [\"*{lane}\"]"));
    let text = lanes.iter().fold(text, |text, lane| text.replace(lane, ""));
    // Objects have no names yet: Lambda writes them below this prefix of one bucket.
    let text = text.replace("lost-batches\"}, /aws/lambda/*]", "");
    // Families of rows that one function serves.
    let families: BTreeSet<_> = ROUTES.iter().map(Route::function).filter(|name| name.ends_with(".*")).collect();
    let text = families.iter().fold(text, |text, family| text.replace(&format!("Handler: {family}\n"), ""));
    assert!(!text.contains('*'), "a wildcard in the generated functions");
    let of_fallback = text.split("  FallbackRole:").nth(1).unwrap().split("\n  FunctionErrors").next().unwrap();
    assert!(of_fallback.contains("logs:PutLogEvents") && !of_fallback.contains("dynamodb"), "it reads no table");
}

#[test]
fn the_tables_are_those_of_the_store_and_are_kept() {
    let text = read("infra/data.yaml");
    for definition in DEFINITIONS {
        let name = definition.table.as_str();
        let id = format!("  {}{}Table:\n", name[..1].to_uppercase(), &name[1..]);
        let block = text.split(&id).nth(1).unwrap().split("\n\n").next().unwrap();
        let keys = format!(
            "- {{AttributeName: {}, KeyType: HASH}}\n        - {{AttributeName: {}, KeyType: RANGE}}",
            definition.partition, definition.sort
        );
        let name = format!("TableName: !Sub \"${{TablePrefix}}-{name}\"");
        let kept = [
            "DeletionPolicy: Retain",
            "UpdateReplacePolicy: Retain",
            "DeletionProtectionEnabled: true",
            "PointInTimeRecoveryEnabled: true",
            "SSEEnabled: true",
            "PAY_PER_REQUEST",
        ];
        for part in kept.into_iter().chain([keys.as_str(), name.as_str()]) {
            assert!(block.contains(part), "{id} lacks {part}");
        }
        assert_eq!(block.matches("IndexName").count(), definition.indexes.len());
        for (index, attribute) in definition.indexes {
            let index = format!(
                "- IndexName: {index}\n          KeySchema: [{{AttributeName: tenant, KeyType: HASH}}, {{AttributeName: {attribute}, KeyType: RANGE}}]\n          Projection: {{ProjectionType: KEYS_ONLY}}"
            );
            assert!(block.contains(&index), "{id} lacks {index}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn there_is_an_event_for_every_function_that_reaches_it() {
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let reader = key(&harness.app.store, &"acme".parse().unwrap(), |record| record.scopes = vec![Scope::Events]).await;
    for route in ROUTES {
        let event: HttpApiEvent = serde_json::from_str(&read(&format!("events/{}.json", route.name))).unwrap();
        let mut request = event.into_request();
        assert_eq!(*request.method(), route.method);
        let selection = Selection::parse(route.name).unwrap();
        let refused = api::handle(&harness.app, &selection, request.clone()).await;
        if route.base == Base::WellKnown || ["pages.public.entry", "pages.public.asset"].contains(&route.name) {
            assert_eq!(refused.status(), 200);
            continue;
        }
        assert_eq!(refused.status(), 401, "{}", route.name);
        if matches!(route.base, Base::OAuth | Base::Pages) {
            continue;
        }
        let key = match route.base {
            Base::Admin => &admin,
            Base::Events => &reader,
            _ => &harness.acme,
        };
        request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        let answer = api::handle(&harness.app, &selection, request).await;
        let is_by_id = ["Users/{id}", "Groups/{id}", "GroupMembers/{id}", "users/{id}", "groups/{id}"];
        let is_by_id = is_by_id.iter().any(|path| route.path.contains(path));
        let expected = if route.name == "groupmembers.create" {
            // The event names a group that is not there.
            400
        } else if ["admin.hold.decide", "admin.restore"].contains(&route.name) {
            // Nobody has lost access.
            409
        } else if route.path == "/Me" {
            // The harness's key acts in no user's name.
            404
        } else if is_by_id || route.path.contains("{key}") || route.path.contains("{link}") {
            404
        } else if route.method == Method::POST && !answers_200(route.path) {
            201
        } else {
            200
        };
        assert_eq!(answer.status(), expected, "{}", route.name);
    }
    let event = serde_json::from_str(&read("events/stream.json")).unwrap();
    let answer = worker::handle(&harness.app.store, &Clock::System, event).await;
    assert_eq!(serde_json::to_string(&answer).unwrap(), r#"{"batchItemFailures":[]}"#);
    let event: HttpApiEvent = serde_json::from_str(&read("events/fallback.json")).unwrap();
    let answer = api::handle(&harness.app, &Selection::parse("fallback").unwrap(), event.into_request()).await;
    assert_eq!(answer.status(), 404);
}

#[tokio::test(start_paused = true)]
async fn a_function_serves_its_own_row_alone() {
    let harness = Harness::new().await;
    let event = || serde_json::from_str::<HttpApiEvent>(&read("events/users.create.json")).unwrap().into_request();
    let other = api::handle(&harness.app, &Selection::parse("users.get").unwrap(), event()).await;
    assert_eq!(other.status(), 404);
    let mut slash = event();
    *slash.uri_mut() = "/acme/scim/v2/Users/?a=b".parse().unwrap();
    let redirected = api::handle(&harness.app, &Selection::parse("fallback").unwrap(), slash).await;
    assert_eq!(
        (redirected.status().as_u16(), &redirected.headers()["location"]),
        (308, &"/acme/scim/v2/Users?a=b".parse().unwrap())
    );
}

/// Whether a POST creates nothing.
fn answers_200(path: &str) -> bool {
    let ends = ["/.search", "/Bulk", "/reopen", "/upgrade", "/count", "/verify", "/import"];
    ends.iter().any(|end| path.ends_with(end))
}
