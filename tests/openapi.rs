//! The description that ships is what the route table and the schemas say. `tests/support` holds every answer of every
//! test against it.

use std::collections::BTreeSet;

use rollcall::api::{Base, ROUTES};
use rollcall::auth::Scope;
use rollcall::cli::openapi;
use serde_json::{Value, json};

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
    for route in ROUTES.iter().filter(|route| route.base != Base::Pages) {
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

/// Every object of the description that has a key.
fn with<'v>(value: &'v Value, key: &str, found: &mut Vec<&'v Value>) {
    match value {
        Value::Object(map) => {
            found.extend(map.contains_key(key).then_some(value));
            map.values().for_each(|value| with(value, key, found));
        }
        Value::Array(values) => values.iter().for_each(|value| with(value, key, found)),
        _ => {}
    }
}

#[test]
fn generators_find_each_required_property_and_no_two_names_of_one_value() {
    let description = shipped();
    let (mut objects, mut choices) = (Vec::new(), Vec::new());
    with(&description["components"]["schemas"], "required", &mut objects);
    for schema in objects.iter().filter(|schema| schema["required"].is_array()) {
        for name in schema["required"].as_array().unwrap() {
            assert!(schema["properties"].get(name.as_str().unwrap()).is_some(), "{name} of {schema}");
        }
    }
    with(&description, "enum", &mut choices);
    for schema in choices.iter().filter(|schema| schema["enum"].is_array()) {
        let values = schema["enum"].as_array().unwrap().iter().map(|value| value.to_string().to_lowercase());
        let (all, different) = (values.clone().count(), values.collect::<BTreeSet<_>>().len());
        assert_eq!(all, different, "{schema}");
    }
    assert!(objects.len() > 10 && choices.len() > 3);
}

#[test]
fn keys_may_have_every_scope() {
    let scopes: Vec<_> = Scope::ALL.map(Scope::as_str).to_vec();
    for schema in ["Key", "KeyRequest"] {
        let pointer = format!("/components/schemas/{schema}/properties/scopes/items/enum");
        assert_eq!(shipped().pointer(&pointer), Some(&json!(scopes)), "{schema}");
    }
}

#[test]
fn every_operation_says_what_it_is_and_how_to_authenticate() {
    let description = shipped();
    let schemes = description["components"]["securitySchemes"].as_object().unwrap();
    assert_eq!(schemes.keys().collect::<Vec<_>>(), ["bearer", "basic", "oauth"]);
    let tags: BTreeSet<_> = description["tags"].as_array().unwrap().iter().map(|tag| tag["name"].to_string()).collect();
    for route in ROUTES.iter().filter(|route| route.base != Base::Pages) {
        let operation = &description["paths"][openapi::path(route)][route.method.as_str().to_ascii_lowercase()];
        let name = route.name;
        assert!(tags.contains(&operation["tags"][0].to_string()), "{name}");
        assert!(["summary", "description"].iter().all(|part| operation[part].as_str().is_some_and(|t| !t.is_empty())));
        let ways = operation["security"].as_array().unwrap();
        assert_eq!(ways.is_empty(), matches!(route.base, Base::OAuth | Base::WellKnown), "{name}");
        assert!(ways.iter().flat_map(|way| way.as_object().unwrap().keys()).all(|way| schemes.contains_key(way)));
    }
    assert_eq!(
        description["paths"]["/admin/v1/tenants/{tenant}/keys/{key}/rotate"]["post"]["requestBody"]["required"],
        false
    );
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
