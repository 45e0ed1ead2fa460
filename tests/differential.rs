//! Random PATCHes of random users, and filters on what they leave, decided once more by a small model.
//!
//! CI runs one seed. `DIFFERENTIAL_SEED=7 DIFFERENTIAL_ROUNDS=2000` runs others; the seed and the case are printed with a
//! failure.

use serde_json::{Map, Value, json};

use crate::filters::population::Random;
use crate::support::{ENTERPRISE, Harness, encode, patch};

mod model;

use model::{LISTS, Operation, Selector, Target, Term};

const WORDS: [&str; 9] = ["ada", "Bob", "Cy x", "d\"q", "É", "F-1", "O'Neil", "back\\slash", "日本"];
const SIMPLE: [&str; 4] = ["displayName", "title", "nickName", "locale"];
const NAME: [&str; 4] = ["givenName", "familyName", "middleName", "honorificPrefix"];
const EXTENSION: [&str; 3] = ["employeeNumber", "department", "costCenter"];

fn environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

fn word(r: &mut Random) -> Value {
    json!(r.of(&WORDS))
}

fn some<T: Copy>(r: &mut Random, among: &[T], most: usize) -> Vec<T> {
    let count = 1 + r.below(most);
    let start = r.below(among.len());
    among.iter().cycle().skip(start).take(count.min(among.len())).copied().collect()
}

fn types(list: &str) -> &'static [&'static str] {
    match list {
        "phoneNumbers" => &["work", "mobile", "Work"],
        "roles" => &["a", "b"],
        _ => &["work", "home", "WORK"],
    }
}

/// A value of a list, from so few that the same ones meet.
fn element(r: &mut Random, list: &str) -> Value {
    let mut element = Map::new();
    if r.below(10) > 0 {
        element.insert("type".into(), json!(r.of(types(list))));
    }
    match list {
        "addresses" => {
            for sub in some(r, &["streetAddress", "locality", "country"], 3) {
                element.insert(sub.into(), word(r));
            }
        }
        "emails" => {
            let (name, host) = (r.of(&["a", "B", "b", "c"]), r.of(&["x.example", "X.Example"]));
            element.insert("value".into(), json!(format!("{name}@{host}")));
        }
        _ => drop(element.insert("value".into(), json!(r.of(&["1", "22", "x", "X"])))),
    }
    if r.below(3) == 0 {
        element.insert("primary".into(), json!(r.below(3) > 0));
    }
    if list != "addresses" && r.below(3) == 0 {
        element.insert("display".into(), word(r));
    }
    element.into()
}

fn elements(r: &mut Random, list: &str, most: usize) -> Value {
    (0..=r.below(most)).map(|_| element(r, list)).collect()
}

/// A value that may be given to an attribute.
fn value(r: &mut Random, name: &str) -> Value {
    match name {
        _ if LISTS.contains(&name) => elements(r, name, 2),
        "name" => some(r, &NAME, 2).into_iter().map(|sub| (sub.to_owned(), word(r))).collect(),
        ENTERPRISE => some(r, &EXTENSION, 2).into_iter().map(|sub| (sub.to_owned(), word(r))).collect(),
        "manager" => json!({"value": word(r)}),
        "active" => json!(r.below(2) == 0),
        // Nobody else's.
        "externalId" | "userName" => json!(format!("{name}-{}", r.below(1 << 30))),
        _ => word(r),
    }
}

fn user(r: &mut Random, number: u64) -> Value {
    let mut user = Map::from_iter([("userName".to_owned(), json!(format!("user-{number}")))]);
    for name in SIMPLE.into_iter().chain(["active", "externalId", "name", ENTERPRISE]).chain(LISTS) {
        if r.below(2) == 0 {
            user.insert(name.to_owned(), value(r, name));
        }
    }
    user.into()
}

/// Terms that often hold of a value that the user has, in another case at times.
fn selector(r: &mut Random, list: &str, user: &Value) -> Selector {
    let held = user[list].as_array().filter(|_| r.below(5) > 0).map(|elements| r.of(elements));
    let held = held.unwrap_or_else(|| element(r, list));
    let names: Vec<_> = held.as_object().unwrap().keys().map(String::as_str).collect();
    let terms = some(r, &names, 2).into_iter().map(|sub| {
        let operators: &[&str] = match held[sub].is_boolean() {
            true => &["eq", "eq", "ne"],
            false => &["eq", "eq", "eq", "eq", "ne", "co", "sw"],
        };
        let operand = match &held[sub] {
            Value::String(text) if r.below(6) == 0 => json!(text.to_uppercase()),
            other => other.clone(),
        };
        Term { operator: r.of(operators), sub: sub.to_owned(), operand }
    });
    Selector { terms: terms.collect(), is_all: r.below(5) > 0 }
}

fn operation(r: &mut Random, user: &Value) -> Operation {
    let kind = r.of(&["add", "replace", "remove"]);
    let list = r.of(&LISTS);
    let roll = r.below(12);
    let (target, value) = match roll {
        0 => {
            let names = some(r, &["title", "name", "active", "emails", "roles", "addresses", ENTERPRISE], 3);
            (Target::Whole, names.into_iter().map(|name| (name.to_owned(), value(r, name))).collect())
        }
        1 => {
            let name = r.of(&["title", "displayName", "userName", "externalId", "nickName"]);
            let value = if r.below(5) == 0 { json!("") } else { value(r, name) };
            (Target::Attribute(name), value)
        }
        2 => (Target::Attribute("name"), value(r, "name")),
        3 => (Target::SubAttribute("name", r.of(&NAME)), word(r)),
        4 => (Target::Extension, value(r, ENTERPRISE)),
        5 => {
            let name = r.of(&["employeeNumber", "department", "manager"]);
            (Target::ExtensionAttribute(name), value(r, name))
        }
        6 | 7 => (Target::Attribute(list), elements(r, list, 2)),
        8 | 9 => (Target::Selected(list, selector(r, list, user), None), element(r, list)),
        _ => {
            let mut subs = vec!["type", "primary", "display"];
            subs.extend(if list == "addresses" { ["locality"; 2] } else { ["value"; 2] });
            let sub = r.of(&subs);
            let value = match sub {
                "type" => json!(r.of(types(list))),
                "primary" => json!(r.below(2) == 0),
                _ => word(r),
            };
            (Target::Selected(list, selector(r, list, user), Some(sub)), value)
        }
    };
    let kind = if kind == "remove" && roll == 0 { "add" } else { kind };
    // Of lists that have a `value`, a removal may say which values go.
    let lists = kind != "remove" || matches!(target, Target::Attribute("emails" | "roles")) && r.below(2) == 0;
    Operation { kind, target, value: lists.then_some(value) }
}

/// The operation in one of the forms in which clients send it.
fn sent(r: &mut Random, operation: &Operation) -> Value {
    let mut sent = Map::new();
    let kind = operation.kind;
    let capital = kind[..1].to_uppercase() + &kind[1..];
    sent.insert("op".into(), json!(if r.below(3) == 0 { capital } else { kind.to_owned() }));
    let is_plain = matches!(operation.target, Target::Attribute(_) | Target::SubAttribute(..));
    sent.extend(
        operation.path().map(|path| {
            ("path".to_owned(), json!(if is_plain && r.below(8) == 0 { path.to_uppercase() } else { path }))
        }),
    );
    sent.extend(operation.value.clone().map(|value| ("value".to_owned(), value)));
    sent.into()
}

/// What documents are compared by.
fn compared(document: &Value) -> Value {
    let mut document = document.as_object().unwrap().clone();
    document.retain(|name, _| !["schemas", "id", "meta", "groups"].contains(&name.as_str()));
    model::normal(&document.into())
}

async fn is_patched_as_the_model_says(harness: &Harness, r: &mut Random, number: u64) -> Value {
    let body = user(r, number);
    let created = harness.send("POST", "/Users", body.clone()).await.body;
    let before = model::posted(&body);
    assert_eq!(compared(&created), compared(&before.clone().into()), "POST {body}");
    let operations: Vec<_> = (0..=r.below(3)).map(|_| operation(r, &body)).collect();
    let mut after = before.clone();
    let outcome = operations.iter().try_for_each(|operation| model::apply(&mut after, operation));
    let path = format!("/Users/{}", created["id"].as_str().unwrap());
    let sent: Value = operations.iter().map(|operation| sent(r, operation)).collect();
    let reply = harness.send("PATCH", &path, patch(sent.clone())).await;
    let case = || format!("user {number}: {body}\n{sent}\n{}", reply.body);
    let read = harness.send("GET", &path, None).await.body;
    match outcome {
        Ok(()) => {
            assert_eq!(reply.status, 200, "{}", case());
            assert_eq!(reply.body, read, "{}", case());
            assert_eq!(compared(&read), compared(&after.into()), "{}", case());
        }
        Err(refusal) => {
            assert_eq!((reply.status, &reply.body["scimType"]), (400, &json!(refusal)), "{}", case());
            assert_eq!(read, created, "{}", case());
        }
    }
    read
}

#[tokio::test(start_paused = true)]
async fn random_patches_and_filters_do_what_the_model_says() {
    let (seed, rounds) = (environment("DIFFERENTIAL_SEED", 7644), environment("DIFFERENTIAL_ROUNDS", 50));
    println!("DIFFERENTIAL_SEED={seed} DIFFERENTIAL_ROUNDS={rounds}");
    let (harness, mut random) = (Harness::new().await, Random::seeded(seed));
    let mut users = Vec::new();
    for number in 0..rounds {
        users.push(is_patched_as_the_model_says(&harness, &mut random, number).await);
    }
    for _ in 0..rounds / 3 {
        let (list, user) = (random.of(&LISTS), random.of(&users));
        let selector = selector(&mut random, list, &user);
        let filter = format!("{list}[{selector}]");
        let is_found = |user: &&Value| user[list].as_array().into_iter().flatten().any(|e| selector.holds(e));
        let expected = users.iter().filter(is_found).count();
        let found = harness.send("GET", &format!("/Users?count=0&filter={}", encode(&filter)), None).await;
        assert_eq!(found.body["totalResults"], json!(expected), "{filter}: {}", found.body);
    }
}
