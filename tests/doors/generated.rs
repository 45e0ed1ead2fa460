//! Generated spellings of attribute paths: declared and undeclared ones, and near misses of them. All doors name the same
//! attribute or all refuse, and a refused request changes nothing.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{RngSeed, TestRunner};
use rollcall::scim::filter::{Operator, check::parse_for, eval::matches};
use rollcall::scim::projection::Projection;
use rollcall::scim::sort::Sort;
use rollcall::scim::{Document, ResourceSchema, Schemas, ScimError, ScimType, patch};
use serde_json::{Map, Value, json};

use super::{ENTERPRISE, GROUP, USER};
use crate::support::{Harness, ScimResponse, encode};

/// Text that every generated value has, and nothing else.
const MARK: &str = "zq7";

/// A key or path, and a value for what it was before it was spelled wrongly.
#[derive(Debug, Clone)]
struct Spelled {
    text: String,
    value: Value,
}

/// What follows a URN, or stands alone, and a value for it.
fn attribute() -> impl Strategy<Value = (&'static str, Value)> {
    select(vec![
        ("displayName", json!(MARK)),
        ("externalId", json!(MARK)),
        ("name.givenName", json!(MARK)),
        ("name", json!({"familyName": MARK})),
        ("emails", json!([{"value": MARK}])),
        ("phoneNumbers.value", json!(MARK)),
        ("emails[type eq \"work\"].value", json!(MARK)),
        ("addresses[type eq \"home\" and primary eq true].locality", json!(MARK)),
        ("department", json!(MARK)),
        ("department.x", json!(MARK)),
        ("manager", json!({"value": MARK})),
        ("manager.value", json!(MARK)),
        ("badge", json!(MARK)),
        ("badge.colour", json!(MARK)),
        ("badges[size eq 3].colour", json!(MARK)),
        ("", json!({"nickName": MARK})),
        ("", json!({"badge": {"colour": MARK}})),
    ])
}

fn urn() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        4 => select(vec![USER, ENTERPRISE]),
        1 => select(vec![GROUP, "User", "Group", "enterprise:2.0:User"]),
        2 => select(vec![
            "urn:okta:custom:user:1.0",
            "urn:okta:app_x:1.0:user:custom",
            "urn:acme:scim:user:1.0",
            "urn:acme:crm",
            "urn:ietf:params:scim:schemas:extension:acme:2.0:User",
            "urn:ietf:params:scim:schemas:extension:acme",
        ]),
    ]
}

/// One way to spell it otherwise.
#[derive(Debug, Clone)]
enum Slip {
    CutSegment(Index),
    Separator(Index, &'static str),
    Insert(Index, &'static str),
    Append(&'static str),
    Prepend(&'static str),
    OtherCase(Index),
}

fn slip() -> impl Strategy<Value = Slip> {
    prop_oneof![
        any::<Index>().prop_map(Slip::CutSegment),
        (any::<Index>(), select(vec![".", "/", "::", " :", ": ", "..", "%3A", "-", ":."]))
            .prop_map(|(i, s)| Slip::Separator(i, s)),
        (any::<Index>(), select(vec![" ", ".", ":", "_", "\u{a0}"])).prop_map(|(i, s)| Slip::Insert(i, s)),
        select(vec![":", ".", " ", ":x", ".x", "]", "[]", ":displayName"]).prop_map(Slip::Append),
        select(vec![" ", ".", ":", "\u{3000}", "urn:"]).prop_map(Slip::Prepend),
        any::<Index>().prop_map(Slip::OtherCase),
    ]
}

impl Slip {
    fn apply(&self, text: &str) -> String {
        let separators: Vec<usize> = text.match_indices([':', '.']).map(|(at, _)| at).collect();
        let separator = |index: &Index| (!separators.is_empty()).then(|| separators[index.index(separators.len())]);
        match self {
            Self::CutSegment(index) => {
                let mut segments: Vec<_> = text.split(':').collect();
                segments.remove(index.index(segments.len()));
                segments.join(":")
            }
            Self::Separator(index, other) => match separator(index) {
                Some(at) => format!("{}{other}{}", &text[..at], &text[at + 1..]),
                None => text.to_owned(),
            },
            Self::Insert(index, more) => {
                let places: Vec<_> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
                let at = places[index.index(places.len())];
                format!("{}{more}{}", &text[..at], &text[at..])
            }
            Self::Append(more) => format!("{text}{more}"),
            Self::Prepend(more) => format!("{more}{text}"),
            Self::OtherCase(index) => {
                let change =
                    |(at, c): (usize, char)| if at % (1 + index.index(3)) == 0 { c.to_ascii_uppercase() } else { c };
                let (path, filter) = text.split_once('[').map_or((text, ""), |(path, _)| (path, &text[path.len()..]));
                path.chars().enumerate().map(change).chain(filter.chars()).collect()
            }
        }
    }
}

fn spelled() -> impl Strategy<Value = Spelled> {
    let slips = prop_oneof![3 => Just(0), 4 => Just(1), 2 => Just(2)]
        .prop_flat_map(|count| prop::collection::vec(slip(), count));
    let joined = select(vec![":", ":", "."]);
    (prop::option::weighted(0.8, urn()), joined, attribute(), slips)
        .prop_map(|(urn, joint, (name, value), slips)| {
            let text = match (urn, name) {
                (Some(urn), "") => urn.to_owned(),
                (Some(urn), name) => format!("{urn}{joint}{name}"),
                (None, "") => "badge".to_owned(),
                (None, name) => name.to_owned(),
            };
            Spelled { text: slips.iter().fold(text, |text, slip| slip.apply(&text)), value }
        })
        .prop_filter("a path alone", is_alone)
}

/// Not without text, which means the whole resource or no attributes; not what is a comparison in a filter; not `id`,
/// which POST and PUT ignore.
fn is_alone(case: &Spelled) -> bool {
    let second = case.text.split_whitespace().nth(1);
    let is_id = case.text.trim().rsplit(':').next().is_some_and(|name| name.eq_ignore_ascii_case("id"));
    !case.text.trim().is_empty()
        && !is_id
        && !second.is_some_and(|word| Operator::ALL.iter().any(|operator| operator.as_str().eq_ignore_ascii_case(word)))
}

/// The same cases at every run; `PROPTEST_CASES=50000` explores others.
fn runner(cases: u32) -> TestRunner {
    let defaults = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(match std::env::var("PROPTEST_CASES") {
        Ok(_) => defaults,
        Err(_) => ProptestConfig { cases, rng_seed: RngSeed::Fixed(13), ..defaults },
    })
}

/// How a door answers: with what it has then, with a refusal of the name, or of something else.
#[derive(Debug, Clone, PartialEq)]
enum Answer {
    Written(Value),
    NameRefused,
    OtherwiseRefused(Option<ScimType>),
}

impl From<Result<Document, ScimError>> for Answer {
    fn from(outcome: Result<Document, ScimError>) -> Self {
        match outcome {
            Ok(document) => Self::Written(Value::Object(document.attributes().clone())),
            Err(error) => match error.scim_type() {
                Some(ScimType::InvalidPath | ScimType::InvalidFilter) => Self::NameRefused,
                other => Self::OtherwiseRefused(other),
            },
        }
    }
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("{value} is no object") };
    map
}

/// What each door of the library does with a spelling.
fn check_in_library(schema: &ResourceSchema, Spelled { text, value }: &Spelled) -> Result<Answer, TestCaseError> {
    let user = Document::from_request(object(json!({"userName": "ada"})), schema).unwrap();
    let apply = |document: &Document, operation: Value| {
        let operations = patch::parse(&object(json!({"Operations": [operation]})))?;
        patch::apply(document, &operations, schema, &|| Ok(()))
    };
    let body = object(json!({"userName": "ada", text: value}));
    let posted = Answer::from(Document::from_request(body, schema));
    for operation in [
        json!({"op": "add", "path": text, "value": value}),
        json!({"op": "add", "value": {text: value}}),
        json!({"op": "replace", "path": text, "value": value}),
        json!({"op": "replace", "value": {text: value}}),
    ] {
        prop_assert_eq!(&Answer::from(apply(&user, operation.clone())), &posted, "{}", operation);
    }
    let is_refused = posted == Answer::NameRefused;
    let filter = parse_for(&format!("{text} pr"), schema);
    prop_assert_eq!(filter.is_err(), is_refused, "filter {}: {:?}", text, posted);
    let project = |attributes, excluded| {
        Projection::parse(attributes, excluded).and_then(|projection| projection.check(schema).map(|()| projection))
    };
    let (included, excluded) = (project(Some(text), None), project(None, Some(text)));
    prop_assert_eq!(
        (included.is_err(), excluded.is_err()),
        (is_refused, is_refused),
        "attributes {}: {:?}",
        text,
        posted
    );
    let sort = Sort::parse(text, None).and_then(|sort| sort.check(schema));
    prop_assert_eq!(sort.is_err(), is_refused || text.contains('['), "sortBy {}: {:?}", text, posted);
    let Answer::Written(resource) = &posted else { return Ok(posted) };
    let stored = object(resource.clone());
    let shows = |value: Map<String, Value>| Value::Object(value).to_string().contains(MARK);
    prop_assert!(matches(&filter.unwrap(), &stored, schema), "filter {} finds {}", text, resource);
    prop_assert!(shows(included.unwrap().apply(stored.clone(), schema)), "attributes {} of {}", text, resource);
    prop_assert!(
        !shows(excluded.unwrap().apply(stored.clone(), schema)),
        "excludedAttributes {} of {}",
        text,
        resource
    );
    let read_back = Document::from_request(stored, schema);
    prop_assert!(read_back.is_ok(), "{:?} is stored, and not read back: {}", read_back, resource);
    let removed = apply(&read_back.unwrap(), json!({"op": "remove", "path": text}));
    // The core schema cannot be removed as a whole.
    let is_whole = removed.as_ref().is_err_and(|error| error.scim_type() == Some(ScimType::Mutability));
    prop_assert!(is_whole || !shows(removed.unwrap().attributes().clone()), "remove {} of {}", text, resource);
    Ok(posted)
}

/// Runs a check on each different case; how many there were, and of how many it was true.
fn run(
    cases: u32,
    strategy: impl Strategy<Value = Spelled>,
    check: impl Fn(&Spelled) -> Result<bool, TestCaseError>,
) -> (usize, usize) {
    let (seen, written) = (RefCell::new(BTreeSet::new()), Cell::new(0));
    let outcome = runner(cases).run(&strategy, |case| {
        if seen.borrow_mut().insert(case.text.clone()) {
            written.set(written.get() + usize::from(check(&case)?));
        }
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    (seen.into_inner().len(), written.get())
}

#[test]
fn every_generated_spelling_names_one_attribute_in_the_library() {
    let schema = Schemas::standard().unwrap().user;
    let (all, written) =
        run(6_000, spelled(), |case| Ok(matches!(check_in_library(&schema, case)?, Answer::Written(_))));
    println!("{all} spellings by 10 doors of the library: {written} name an attribute");
    assert!(written * 9 > all && (all - written) * 9 > all, "{all} {written}");
}

/// An endpoint, a resource of it, and what it is created with.
struct Doors<'a> {
    harness: &'a Harness,
    endpoint: &'static str,
    base: Map<String, Value>,
    path: String,
}

impl Doors<'_> {
    async fn read(&self, path: &str) -> Map<String, Value> {
        let mut resource = object(self.harness.send("GET", path, None).await.body);
        let is_empty = |value: &Value| value == &json!([]);
        resource.retain(|name, value| !["id", "meta", "schemas"].contains(&name.as_str()) && !is_empty(value));
        resource
    }

    async fn answer(&self, response: &ScimResponse, path: &str) -> Answer {
        match (response.status, response.body["scimType"].as_str()) {
            (200..=299, _) => Answer::Written(self.read(path).await.into()),
            (400, Some("invalidPath" | "invalidFilter")) => Answer::NameRefused,
            (400, Some("invalidValue")) => Answer::OtherwiseRefused(Some(ScimType::InvalidValue)),
            (400, Some("invalidSyntax")) => Answer::OtherwiseRefused(Some(ScimType::InvalidSyntax)),
            (400, Some("mutability")) => Answer::OtherwiseRefused(Some(ScimType::Mutability)),
            (400, Some("noTarget")) => Answer::OtherwiseRefused(Some(ScimType::NoTarget)),
            other => panic!("{other:?}: {}", response.body),
        }
    }

    /// What a POST creates, alone or in a Bulk; it is deleted again.
    async fn create(&self, body: &Value, is_bulk: bool) -> Answer {
        let mut response = match is_bulk {
            false => self.harness.send("POST", self.endpoint, body.clone()).await,
            true => {
                let operation = json!({"method": "POST", "path": self.endpoint, "bulkId": "a", "data": body});
                let bulk = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [operation]});
                self.harness.send("POST", "/Bulk", bulk).await
            }
        };
        let mut location = response.body["meta"]["location"].clone();
        if is_bulk {
            let outcome = response.body["Operations"][0].take();
            response.status = outcome["status"].as_str().unwrap().parse().unwrap();
            location = outcome["location"].clone();
            response.body = outcome["response"].clone();
        }
        let id = location.as_str().and_then(|location| location.rsplit('/').next()).unwrap_or_default();
        let path = format!("{}/{id}", self.endpoint);
        let answer = self.answer(&response, &path).await;
        if !id.is_empty() {
            assert_eq!(self.harness.send("DELETE", &path, None).await.status, 204);
        }
        answer
    }

    /// A change of the resource, which is as it was before afterwards. What is refused changes nothing.
    async fn change(&self, method: &str, body: &Value) -> Result<Answer, TestCaseError> {
        let response = self.harness.send(method, &self.path, body.clone()).await;
        let answer = self.answer(&response, &self.path).await;
        match answer {
            Answer::Written(_) => self.reset().await,
            _ => prop_assert_eq!(self.read(&self.path).await, self.base.clone(), "{} {}", method, body),
        }
        Ok(answer)
    }

    async fn reset(&self) {
        let response = self.harness.send("PUT", &self.path, Value::Object(self.base.clone())).await;
        assert_eq!(response.status, 200, "{}", response.body);
    }

    /// What every door of the endpoint does with a spelling; whether it names an attribute.
    async fn check(&self, case: &Spelled, mark: &str) -> Result<bool, TestCaseError> {
        if self.base.contains_key(&case.text) {
            return Ok(false);
        }
        let total = async || self.harness.send("GET", self.endpoint, None).await.body["totalResults"].clone();
        let before = total().await;
        let posted = self.check_writes(case).await?;
        prop_assert_eq!(total().await, before, "{}", &case.text);
        if let Answer::Written(_) = posted {
            let mut body = self.base.clone();
            body.insert(case.text.clone(), case.value.clone());
            self.harness.send("PUT", &self.path, Value::Object(body)).await;
        }
        self.check_reads(&case.text, &posted, mark).await?;
        let Answer::Written(_) = posted else { return Ok(false) };
        let removal = json!({"Operations": [{"op": "remove", "path": case.text}]});
        let response = self.harness.send("PATCH", &self.path, removal).await;
        let rest = Value::Object(self.read(&self.path).await).to_string();
        // The core schema cannot be removed as a whole.
        prop_assert!(response.body["scimType"] == "mutability" || !rest.contains(mark), "remove {}", &case.text);
        self.reset().await;
        Ok(true)
    }

    async fn check_writes(&self, Spelled { text, value }: &Spelled) -> Result<Answer, TestCaseError> {
        let mut body = self.base.clone();
        body.insert(text.clone(), value.clone());
        let body = Value::Object(body);
        let posted = self.create(&with_other_name(&body), false).await;
        let in_bulk = self.create(&with_other_name(&body), true).await;
        prop_assert_eq!(&in_bulk, &posted, "Bulk {}", text);
        // What a POST has twice, a PATCH has once.
        let is_twice = posted == Answer::OtherwiseRefused(Some(ScimType::InvalidSyntax));
        for (method, change) in [
            ("PATCH", json!({"Operations": [{"op": "add", "value": {text: value}}]})),
            ("PATCH", json!({"Operations": [{"op": "add", "path": text, "value": value}]})),
            ("PUT", body),
        ] {
            let answer = match self.change(method, &change).await? {
                Answer::Written(resource) => Answer::Written(with_other_name(&resource)),
                refused => refused,
            };
            let is_same = answer == posted || is_twice && method == "PATCH";
            prop_assert!(is_same, "{} {}: {:?}, not {:?}", method, change, answer, posted);
        }
        Ok(posted)
    }

    async fn check_reads(&self, text: &str, posted: &Answer, mark: &str) -> Result<(), TestCaseError> {
        let list = async |name: &str, path: &str| {
            self.harness.send("GET", &format!("{}?{name}={}", self.endpoint, encode(path)), None).await
        };
        let found = list("filter", &format!("{text} pr")).await;
        let included = list("attributes", text).await;
        let excluded = list("excludedAttributes", text).await;
        let sorted = list("sortBy", text).await;
        let is_refused = *posted == Answer::NameRefused;
        for (door, response) in
            [("filter", &found), ("attributes", &included), ("excludedAttributes", &excluded), ("sortBy", &sorted)]
        {
            let expected = if is_refused || door == "sortBy" && text.contains('[') { 400 } else { 200 };
            prop_assert_eq!(response.status, expected, "{} {}: {} {:?}", door, text, &response.body, posted);
        }
        let Answer::Written(_) = posted else { return Ok(()) };
        let shows = |response: &ScimResponse| response.body["Resources"].to_string().contains(mark);
        prop_assert!(shows(&found), "filter {}: {}", text, found.body);
        prop_assert!(shows(&included), "attributes {}: {}", text, included.body);
        prop_assert!(!shows(&excluded), "excludedAttributes {}: {}", text, excluded.body);
        Ok(())
    }
}

/// The names of two resources differ, and nothing else is to.
fn with_other_name(resource: &Value) -> Value {
    let mut resource = resource.clone();
    for name in ["userName", "displayName"] {
        if resource.get(name).is_some_and(|name| name == "ada") {
            resource[name] = json!("eve");
        }
    }
    resource
}

fn on_harness(cases: u32, is_of_groups: bool) -> (usize, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let harness = runtime.block_on(Harness::new());
    let member = runtime.block_on(harness.user("bob"));
    let (endpoint, base) = match is_of_groups {
        true => ("/Groups", json!({"displayName": "ada", "externalId": "base"})),
        false => ("/Users", json!({"userName": "ada", "externalId": "base"})),
    };
    let mark = if is_of_groups { member.clone() } else { MARK.to_owned() };
    let created = runtime.block_on(harness.send("POST", endpoint, base.clone()));
    let path = format!("{endpoint}/{}", created.body["id"].as_str().unwrap());
    let doors = Doors { harness: &harness, endpoint, base: object(base), path };
    let strategy = match is_of_groups {
        true => of_groups(&member).boxed(),
        false => spelled().boxed(),
    };
    run(cases, strategy, |case| runtime.block_on(doors.check(case, &mark)))
}

/// Spellings of what a group has.
fn of_groups(member: &str) -> impl Strategy<Value = Spelled> + use<> {
    let value = json!([{"value": member}]);
    let members = select(vec![GROUP, GROUP, GROUP, "Group", USER, "urn:acme:2.0:Group"]);
    let slips = prop_oneof![2 => Just(0), 4 => Just(1)].prop_flat_map(|count| prop::collection::vec(slip(), count));
    (prop::option::weighted(0.8, members), select(vec![":", "."]), slips)
        .prop_map(move |(urn, joint, slips)| {
            let text = urn.map_or_else(|| "members".to_owned(), |urn| format!("{urn}{joint}members"));
            Spelled { text: slips.iter().fold(text, |text, slip| slip.apply(&text)), value: value.clone() }
        })
        .prop_filter("a path alone", is_alone)
}

fn check_by_every_door(cases: u32, of_groups: bool) {
    let (all, written) = on_harness(cases, of_groups);
    println!("{all} spellings by 10 doors: {written} name an attribute, and what was refused changed nothing");
    assert!(written * 9 > all && (all - written) * 9 > all, "{all} {written}");
}

#[test]
fn every_generated_spelling_names_one_attribute_by_every_door_of_users() {
    check_by_every_door(60, false);
}

#[test]
fn every_generated_spelling_names_one_attribute_by_every_door_of_groups() {
    check_by_every_door(40, true);
}
