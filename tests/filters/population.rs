//! Random users, and random filters that some of them satisfy. The same ones at every run.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use jiff::tz::Offset;
use rollcall::app::{App, Clock};
use serde_json::{Map, Value, json};

use super::reference::{Attribute, Filter, Kind, OPERATORS, values};
use crate::support::{ENTERPRISE, Harness, patch};

const ACME: &str = "urn:acme:2.0:User";

const fn attribute(name: &'static str, path: &'static [&'static str], kind: Kind, case_exact: bool) -> Attribute {
    Attribute { name, path, kind, case_exact }
}

/// Every type of RFC 7643 section 2.3, at every place an attribute may have, of both characteristics `caseExact`.
pub static ATTRIBUTES: &[Attribute] = &[
    attribute("userName", &["userName"], Kind::Text, false),
    attribute("displayName", &["displayName"], Kind::Text, false),
    attribute("urn:ietf:params:scim:schemas:core:2.0:User:title", &["title"], Kind::Text, false),
    attribute("nickName", &["nickName"], Kind::Text, false),
    attribute("id", &["id"], Kind::Text, true),
    attribute("externalId", &["externalId"], Kind::Text, true),
    attribute("profileUrl", &["profileUrl"], Kind::Text, true),
    attribute("schemas", &["schemas"], Kind::Text, true),
    attribute("name", &["name"], Kind::Complex, false),
    attribute("name.familyName", &["name", "familyName"], Kind::Text, false),
    attribute("active", &["active"], Kind::Boolean, false),
    attribute("meta.created", &["meta", "created"], Kind::DateTime, true),
    attribute("meta.lastModified", &["meta", "lastModified"], Kind::DateTime, true),
    attribute("meta.location", &["meta", "location"], Kind::Text, true),
    attribute("emails", &["emails"], Kind::Text, false),
    attribute("emails.value", &["emails", "value"], Kind::Text, false),
    attribute("emails.type", &["emails", "type"], Kind::Text, false),
    attribute("emails.primary", &["emails", "primary"], Kind::Boolean, false),
    attribute("phoneNumbers.value", &["phoneNumbers", "value"], Kind::Text, false),
    attribute("roles.value", &["roles", "value"], Kind::Text, false),
    attribute("roles.primary", &["roles", "primary"], Kind::Boolean, false),
    attribute("photos.value", &["photos", "value"], Kind::Text, true),
    attribute("x509Certificates", &["x509Certificates"], Kind::Binary, true),
    attribute("x509Certificates.value", &["x509Certificates", "value"], Kind::Binary, true),
    attribute(
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
        &[ENTERPRISE, "department"],
        Kind::Text,
        false,
    ),
    attribute("manager", &[ENTERPRISE, "manager"], Kind::Text, true),
    attribute(
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
        &[ENTERPRISE, "manager", "value"],
        Kind::Text,
        true,
    ),
    attribute("urn:acme:2.0:User", &[ACME], Kind::Extension, false),
    attribute(ENTERPRISE, &[ENTERPRISE], Kind::Extension, false),
    attribute("urn:acme:2.0:User:level", &[ACME, "level"], Kind::Number, false),
    attribute("urn:acme:2.0:User:scores", &[ACME, "scores"], Kind::Number, false),
    attribute("badge.colour", &["badge", "colour"], Kind::Text, false),
    attribute("badge.size", &["badge", "size"], Kind::Number, false),
    attribute("codes", &["codes"], Kind::Text, false),
];

/// The multi-valued attributes whose values are complex.
pub const LISTS: [&str; 5] = ["emails", "phoneNumbers", "roles", "photos", "x509Certificates"];

/// SplitMix64.
pub struct Random(u64);

impl Random {
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn of<T: Clone>(&mut self, among: &[T]) -> T {
        among[self.below(among.len())].clone()
    }

    /// Of few letters, so that comparisons hit; those of one line fold to the same.
    fn word(&mut self) -> String {
        const LETTERS: [&str; 26] = [
            "a", "A", "b", "B", "9", " ", "\"", "\\", "😀", "s", "S", "ſ", "ß", "ẞ", "ss", "e", "E", "é", "É",
            "e\u{301}", "E\u{301}", "i", "İ", "ı", "Σ", "ς",
        ];
        (0..=self.below(3)).map(|_| self.of(&LETTERS)).collect()
    }

    fn number(&mut self) -> Value {
        let numbers = [json!(-2), json!(0), json!(1), json!(2), json!(2.5), json!(-0.5), json!(1e-300)];
        // Neighbours that are one and the same double.
        let large =
            [json!(9_007_199_254_740_992_u64), json!(9_007_199_254_740_993_u64), json!(u64::MAX), json!(i64::MIN)];
        if self.chance(70) { self.of(&numbers) } else { self.of(&large) }
    }

    fn certificate(&mut self) -> &'static str {
        self.of(&["AQID", "aqid", "AQIDBA==", "////", "+/+/"])
    }
}

/// Random users, as they are returned, and the endpoint that has them.
pub struct Population {
    pub harness: Harness,
    pub users: Vec<Value>,
}

impl Population {
    pub async fn of(count: usize, random: &mut Random) -> Self {
        let now = Arc::new(AtomicI64::new(0));
        let harness = at_times(Harness::new().await, now.clone());
        let mut ids = Vec::new();
        for number in 0..count {
            // Quarters of a second, so that many are of the same instant.
            let mut tick =
                || now.store(1_790_000_000_000 + 250 * i64::try_from(random.below(40)).unwrap(), Ordering::Relaxed);
            tick();
            let id = harness.create(user(number, count, random)).await;
            if number % 4 == 0 {
                now.fetch_add(1_000, Ordering::Relaxed);
                let change = patch(json!([{"op": "add", "path": "locale", "value": "de"}]));
                assert_eq!(harness.send("PATCH", &format!("/Users/{id}"), change).await.status, 200);
            }
            ids.push(id);
        }
        let mut users = Vec::new();
        for id in ids {
            users.push(harness.send("GET", &format!("/Users/{id}"), None).await.body);
        }
        Self { harness, users }
    }

    /// The value of some user.
    fn held(&self, attribute: &Attribute, random: &mut Random) -> Option<Value> {
        (0..8).find_map(|_| {
            let found = values(&self.users[random.below(self.users.len())], attribute.path);
            let value = (!found.is_empty()).then(|| random.of(&found))?;
            let value = if value.is_object() { value.get("value")? } else { value };
            Some(value.clone())
        })
    }

    /// Something to compare an attribute with: mostly what some user has, or almost.
    pub fn operand(&self, attribute: &Attribute, operator: &str, random: &mut Random) -> Value {
        let held = self.held(attribute, random).filter(|_| random.chance(75));
        match attribute.kind {
            Kind::Boolean => random.of(&[json!(true), json!(false)]),
            Kind::Number => held.unwrap_or_else(|| random.number()),
            Kind::Complex | Kind::Extension => json!("x"),
            Kind::DateTime if !["co", "sw", "ew"].contains(&operator) => {
                let held = held.unwrap_or_else(|| json!("2026-09-21T14:13:25Z"));
                respelled(held.as_str().unwrap(), random).into()
            }
            Kind::Binary if held.is_none() => random.certificate().into(),
            _ => {
                let text = held.map_or_else(|| random.word(), |held| held.as_str().unwrap().to_owned());
                in_some_case(&part_of(&text, operator, random), random).into()
            }
        }
    }

    /// A comparison that an index answers: `eq` of some user's value.
    fn indexed_equality(&self, random: &mut Random) -> Filter {
        let attribute = named(random.of(&["userName", "id", "externalId", "emails.value", "emails"]));
        let held = self.held(attribute, random).unwrap_or_else(|| "nobody's".into());
        let held = if random.chance(30) { in_some_case(held.as_str().unwrap(), random).into() } else { held };
        Filter::Compare(attribute, "eq", held)
    }

    /// A filter that an index answers, in each of the forms that the planner knows.
    pub fn indexed(&self, random: &mut Random) -> Filter {
        let equality = |value: &str, attribute| Filter::Compare(named(attribute), "eq", json!(value));
        match random.below(7) {
            // Nothing but a filter where no index knows the time.
            6 => {
                let operator = random.of(&["gt", "ge"]);
                let operand = self.operand(named("meta.lastModified"), operator, random);
                Filter::Compare(named("meta.lastModified"), operator, operand)
            }
            0 => {
                let held = self.held(named("userName"), random).unwrap();
                let start: String = held.as_str().unwrap().chars().take(1 + random.below(2)).collect();
                Filter::Compare(named("userName"), "sw", in_some_case(&start, random).into())
            }
            1 => Filter::Or((0..2 + random.below(3)).map(|_| self.indexed_equality(random)).collect()),
            form @ (2 | 3) => {
                let held = self.held(named("emails.value"), random).unwrap_or_else(|| "nobody's".into());
                let of_type = equality(random.of(&["work", "Home"]), "emails.type");
                let value = equality(held.as_str().unwrap(), "emails.value");
                match form {
                    2 => Filter::ValuePath("emails", Box::new(Filter::And(vec![of_type, value]))),
                    _ => Filter::Selected("emails", Box::new(of_type), Box::new(value)),
                }
            }
            _ => self.indexed_equality(random),
        }
    }

    /// A comparison of any attribute that the server does not refuse.
    fn comparison(&self, among: &[&'static Attribute], random: &mut Random) -> Filter {
        loop {
            let (attribute, operator) = (random.of(among), random.of(&OPERATORS));
            if random.chance(10) {
                return Filter::Present(attribute);
            }
            let is_null = random.chance(4);
            let operand = if is_null { Value::Null } else { self.operand(attribute, operator, random) };
            if !attribute.refuses(operator, &operand) {
                return Filter::Compare(attribute, operator, operand);
            }
        }
    }

    /// Any filter.
    pub fn filter(&self, depth: usize, random: &mut Random) -> Filter {
        let every: Vec<_> = ATTRIBUTES.iter().collect();
        match random.below(10) {
            0..4 => {
                let parent = random.of(&LISTS);
                Filter::ValuePath(parent, Box::new(self.tree(depth, &below(parent), random)))
            }
            4 => self.indexed(random),
            _ => self.tree(depth, &every, random),
        }
    }

    fn tree(&self, depth: usize, among: &[&'static Attribute], random: &mut Random) -> Filter {
        // At the top of a tree over all attributes a part may be any filter, a value path as well.
        let part = |random: &mut Random| match among.len() == ATTRIBUTES.len() {
            true => self.filter(depth - 1, random),
            false => self.tree(depth - 1, among, random),
        };
        match random.below(if depth == 0 { 1 } else { 5 }) {
            1 => Filter::And((0..2 + random.below(2)).map(|_| part(random)).collect()),
            2 => Filter::Or((0..2 + random.below(2)).map(|_| part(random)).collect()),
            3 => Filter::not(part(random)),
            _ => self.comparison(among, random),
        }
    }
}

fn named(name: &str) -> &'static Attribute {
    ATTRIBUTES.iter().find(|attribute| attribute.name == name).unwrap()
}

/// The sub-attributes of a multi-valued attribute.
fn below(parent: &str) -> Vec<&'static Attribute> {
    ATTRIBUTES.iter().filter(|attribute| attribute.path[0] == parent && attribute.path.len() == 2).collect()
}

fn at_times(harness: Harness, now: Arc<AtomicI64>) -> Harness {
    let clock = Clock::Fixed(Arc::new(move || Timestamp::from_millisecond(now.load(Ordering::Relaxed)).unwrap()));
    Harness { app: Arc::new(App { clock, ..App::clone(&harness.app) }), ..harness }
}

/// A user of whom anything but the name may be missing.
fn user(number: usize, count: usize, random: &mut Random) -> Value {
    let mut user = Map::from_iter([("userName".to_owned(), json!(format!("{}-{number:x}", random.word())))]);
    let mut add = |random: &mut Random, name: &str, value: &dyn Fn(&mut Random) -> Value| {
        if random.chance(50) {
            user.insert(name.to_owned(), value(random));
        }
    };
    for name in ["displayName", "title", "nickName"] {
        add(random, name, &|random| random.word().into());
    }
    // Some share one, but no address is shared by more users than an index read takes.
    let shared = move |random: &mut Random| format!("{}{}", random.word(), random.below(2 + count / 40));
    add(random, "externalId", &move |random| shared(random).into());
    add(random, "profileUrl", &|random| format!("https://x.org/{}", random.of(&["a", "A", "b"])).into());
    add(random, "name", &|random| json!({"familyName": random.word()}));
    add(random, "active", &|random| json!(random.chance(50)));
    add(random, "emails", &|random| several(random, &|random| (shared(random) + "@x.org").into()));
    for name in ["phoneNumbers", "roles"] {
        add(random, name, &|random| several(random, &|random| random.word().into()));
    }
    add(random, "photos", &|random| several(random, &|random| format!("https://x.org/{}", random.word()).into()));
    add(random, "x509Certificates", &|random| several(random, &|random| random.certificate().into()));
    add(random, ENTERPRISE, &|random| json!({"department": random.word(), "manager": {"value": random.word()}}));
    add(random, ENTERPRISE, &|random| json!({"manager": {"displayName": random.word()}}));
    add(random, ACME, &|random| json!({"level": random.number(), "scores": [random.number(), random.number()]}));
    add(random, "badge", &|random| json!({"colour": random.word(), "size": random.number()}));
    add(random, "codes", &|random| json!([random.word(), random.word()]));
    user.into()
}

/// Up to three values, each of which may lack any sub-attribute, or all but one.
fn several(random: &mut Random, value: &dyn Fn(&mut Random) -> Value) -> Value {
    let element = |random: &mut Random| {
        let mut element = Map::from_iter([("display".to_owned(), "x".into())]);
        if random.chance(85) {
            element.insert("value".to_owned(), value(random));
        }
        if random.chance(75) {
            element.insert("type".to_owned(), json!(random.of(&["work", "Work", "home"])));
        }
        if random.chance(50) {
            element.insert("primary".to_owned(), json!(random.chance(50)));
        }
        Value::Object(element)
    };
    (0..random.below(4)).map(|_| element(random)).collect()
}

/// The same instant as another zone, or as another precision, has it.
fn respelled(instant: &str, random: &mut Random) -> String {
    let instant: Timestamp = instant.parse().unwrap();
    match random.below(4) {
        0 => instant.display_with_offset(Offset::constant(-7)).to_string(),
        1 => format!("{instant:.7}"),
        // Without a zone.
        2 => format!("{instant:.3}").trim_end_matches('Z').to_owned(),
        _ => instant.to_string(),
    }
}

fn part_of(text: &str, operator: &str, random: &mut Random) -> String {
    let letters: Vec<char> = text.chars().collect();
    let (from, to) = (random.below(letters.len() + 1), random.below(letters.len() + 1));
    let part = match operator {
        "co" => &letters[from.min(to)..from.max(to)],
        "sw" => &letters[..to],
        "ew" => &letters[from..],
        _ => &letters[..],
    };
    part.iter().collect()
}

fn in_some_case(text: &str, random: &mut Random) -> String {
    match random.below(4) {
        0 => text.to_uppercase(),
        1 => text.to_lowercase(),
        _ => text.to_owned(),
    }
}
