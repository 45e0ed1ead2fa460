//! Properties of the parser and of PATCH.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rollcall::scim::filter::{Filter, Operator};
use rollcall::scim::path::AttributePath;
use rollcall::scim::{Document, Schemas, filter, patch};
use serde_json::{Map, Value, json};

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z][a-zA-Z0-9_-]{0,6}".prop_filter("a word of the grammar", |name| {
        !["and", "or", "not", "pr"].contains(&name.to_lowercase().as_str())
    })
}

fn plain_path() -> impl Strategy<Value = AttributePath> {
    let urn = prop::option::weighted(0.2, Just("urn:acme:2.0:User".to_owned()));
    (urn, name(), prop::option::of(name())).prop_map(|(urn, name, sub)| AttributePath {
        urn,
        name,
        selector: None,
        sub,
    })
}

fn literal() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<String>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9).prop_map(|number: f64| json!(number)),
        Just(Value::Null),
    ]
}

fn leaf(path: impl Strategy<Value = AttributePath> + 'static) -> BoxedStrategy<Filter> {
    let operator = prop::sample::select(Operator::ALL.to_vec());
    let path = path.boxed();
    prop_oneof![
        path.clone().prop_map(Filter::Present),
        (path, operator, literal()).prop_map(|(path, operator, value)| Filter::Compare(path, operator, value)),
    ]
    .boxed()
}

fn tree(leaf: BoxedStrategy<Filter>) -> BoxedStrategy<Filter> {
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::Or),
            inner.prop_map(|filter| Filter::Not(Box::new(filter))),
        ]
    })
    .boxed()
}

fn any_filter() -> BoxedStrategy<Filter> {
    let selecting = (plain_path(), tree(leaf(plain_path())), prop::option::of(name()))
        .prop_map(|(path, selector, sub)| AttributePath { selector: Some(Box::new(selector)), sub, ..path })
        .boxed();
    let value_path = selecting.clone().prop_map(|path| Filter::ValuePath(AttributePath { sub: None, ..path })).boxed();
    tree(prop_oneof![4 => leaf(plain_path()), 1 => leaf(selecting), 1 => value_path].boxed())
}

/// Paths that lead everywhere in a user, and to where nothing is.
fn patch_path() -> impl Strategy<Value = Option<String>> {
    prop::option::weighted(
        0.8,
        prop_oneof![
            Just("displayName".to_owned()),
            Just("active".into()),
            Just("name".into()),
            Just("name.givenName".into()),
            Just("emails".into()),
            Just("emails.value".into()),
            Just("emails[type eq \"work\"]".into()),
            Just("emails[type eq \"work\"].value".into()),
            Just("emails[primary eq true].type".into()),
            Just("roles[primary eq \"True\"].value".into()),
            Just("manager".into()),
            Just("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User".into()),
            Just("urn:acme:2.0:User:x".into()),
            Just("urn:acme:2.0:User:x.y".into()),
            Just("userName".into()),
            Just("id".into()),
            Just("shoe".into()),
            Just("shoe[size gt 3]".into()),
            any::<String>(),
            name(),
        ],
    )
}

fn json_value() -> BoxedStrategy<Value> {
    let key = prop_oneof![
        name(),
        Just("value".to_owned()),
        Just("type".into()),
        Just("primary".into()),
        Just("emails".into()),
        Just("userName".into()),
        Just("name.givenName".into()),
        Just("urn:acme:2.0:User:x".into()),
        Just("urn:acme:2.0:User".into())
    ];
    let leaf = prop_oneof![
        Just(json!("work")),
        Just(json!("True")),
        Just(json!("")),
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z]{1,6}".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 16, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((key.clone(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
    .boxed()
}

fn operation() -> impl Strategy<Value = Value> {
    (prop::sample::select(vec!["add", "Replace", "remove"]), patch_path(), prop::option::weighted(0.9, json_value()))
        .prop_map(|(op, path, value)| {
            let mut operation = Map::from_iter([("op".to_owned(), json!(op))]);
            operation.extend(path.map(|path| ("path".to_owned(), json!(path))));
            operation.extend(value.map(|value| ("value".to_owned(), value)));
            Value::Object(operation)
        })
}

fn start() -> (Schemas, Document) {
    let schemas = Schemas::standard().unwrap();
    let Value::Object(body) = json!({"userName": "bob", "emails": [{"value": "a", "type": "work", "primary": true}, {"value": "b", "type": "home"}],
        "name": {"givenName": "B"}, "shoe": [{"size": 4}], "urn:acme:2.0:User": {"x": {"y": 1}}})
    else {
        unreachable!()
    };
    let document = Document::from_request(body, &schemas.user).unwrap();
    (schemas, document)
}

fn apply(document: &Document, operations: &[Value], schemas: &Schemas) -> Result<Document, rollcall::scim::ScimError> {
    let Value::Object(body) = json!({"Operations": operations}) else { unreachable!() };
    patch::apply(document, &patch::parse(&body)?, &schemas.user, &|| Ok(()))
}

/// The same cases at every run, so that CI does not fail by chance; `PROPTEST_CASES=50000` explores others.
fn config() -> ProptestConfig {
    let defaults = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    match std::env::var("PROPTEST_CASES") {
        Ok(_) => defaults,
        Err(_) => ProptestConfig { cases: 512, rng_seed: RngSeed::Fixed(7644), ..defaults },
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_printed_filter_parses_to_itself(filter in any_filter()) {
        let text = filter.to_string();
        if text.len() <= rollcall::limits::MAX_FILTER_BYTES {
            prop_assert_eq!(Filter::parse(&text).unwrap(), filter, "{}", text);
        }
    }

    #[test]
    fn no_text_makes_the_parsers_panic(text in "\\PC{0,60}", spiced in "[a-c(). \\[\\]\"\\\\:eqandort0-9]{0,60}") {
        let schemas = Schemas::standard().unwrap();
        for text in [text, spiced] {
            let _ = AttributePath::parse(&text);
            if let Ok(filter) = filter::check::parse_for(&text, &schemas.user) {
                filter::eval::matches(&filter, start().1.attributes(), &schemas.user);
            }
        }
    }

    #[test]
    fn no_filter_makes_the_evaluator_panic(filter in any_filter()) {
        let (schemas, document) = start();
        if filter::check::check(&filter, &schemas.user).is_ok() {
            let matched = filter::eval::matches(&filter, document.attributes(), &schemas.user);
            let negated = Filter::Not(Box::new(filter));
            prop_assert_ne!(matched, filter::eval::matches(&negated, document.attributes(), &schemas.user));
        }
    }

    #[test]
    fn a_patch_never_panics_is_all_or_nothing_and_leaves_a_sound_document(operations in prop::collection::vec(operation(), 0..5)) {
        let (schemas, document) = start();
        let before = document.clone();
        if let Ok(after) = apply(&document, &operations, &schemas) {
            // What is stored reads back as itself: nothing unassigned, no name twice, every value of its type.
            let again = Document::from_request(after.attributes().clone(), &schemas.user).unwrap();
            prop_assert_eq!(&again, &after, "{:?}", operations);
            prop_assert!(!after.to_stored().contains("null"));
        }
        prop_assert_eq!(document, before);
    }

    #[test]
    fn a_replace_done_twice_is_done_once(path in patch_path(), value in json_value()) {
        let (schemas, document) = start();
        let mut operation = Map::from_iter([("op".to_owned(), json!("replace")), ("value".to_owned(), value)]);
        operation.extend(path.map(|path| ("path".to_owned(), json!(path))));
        let operation = [Value::Object(operation)];
        if let Ok(once) = apply(&document, &operation, &schemas) {
            // A replaced selector may no longer select: `emails[primary eq true].type` is not among those, see above.
            let twice = apply(&once, &operation, &schemas);
            if let Ok(twice) = twice {
                prop_assert_eq!(twice, once);
            }
        }
    }
}
