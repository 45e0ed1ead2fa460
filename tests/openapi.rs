//! The description that ships is what the route table and the schemas say. `tests/support` holds every answer of every
//! test against it.

use rollcall::api::ROUTES;
use rollcall::cli::openapi;
use serde_json::Value;

fn shipped() -> Value {
    serde_json::from_str(include_str!("../openapi.json")).unwrap()
}

#[test]
fn the_file_is_what_the_command_prints() {
    assert!(openapi::description().unwrap() == include_str!("../openapi.json"), "run `make openapi`");
}

#[test]
fn every_route_is_an_operation_with_its_statuses() {
    let description = shipped();
    for route in ROUTES {
        let operation = &description["paths"][openapi::path(route)][route.method.as_str().to_ascii_lowercase()];
        assert_eq!(operation["operationId"], route.name);
        let documented: Vec<u16> =
            operation["responses"].as_object().unwrap().keys().map(|status| status.parse().unwrap()).collect();
        assert_eq!(documented, openapi::statuses(route), "{}", route.name);
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_referred_to() {
    let description = shipped();
    let mut references = Vec::new();
    collect(&description, &mut references);
    references.sort();
    references.dedup();
    let schemas = description["components"]["schemas"].as_object().unwrap();
    let responses = description["components"]["responses"].as_object().unwrap();
    let names = schemas.keys().map(|name| format!("#/components/schemas/{name}"));
    let mut names: Vec<_> =
        names.chain(responses.keys().map(|name| format!("#/components/responses/{name}"))).collect();
    names.sort();
    assert_eq!(references, names);
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            references.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| collect(value, references));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}
