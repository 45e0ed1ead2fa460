//! Mutated bytes for whatever reads what strangers send: no panic, no hang, and what is printed again is read as the same.
//!
//! Each target runs a number of executions of one seed, so that CI does the same every time. `make fuzz` runs each for a
//! minute, by `FUZZ_SECONDS`, with a seed of its own, by `FUZZ_SEED`. Both are printed, and the input of a failure.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rollcall::api::gateway::HttpApiEvent;
use rollcall::api::{self, Selection};
use rollcall::auth::PresentedCredential;
use rollcall::auth::jwt::Jwt;
use rollcall::scim::bulk::{BulkRequest, order, response};
use rollcall::scim::filter::{Filter, check, eval, plan};
use rollcall::scim::path::AttributePath;
use rollcall::scim::user::INDEXED;
use rollcall::scim::{Document, Schemas, json as scim_json, patch};
use rollcall::tenant::Profile;
use serde_json::{Value, json};

use crate::support::{Harness, encode};

/// The seed of every run but those of `make fuzz`.
const SEED: u64 = 0x5eed_0001;

/// Longer than this no input may take, on a machine that does other things, too.
const LONGEST: Duration = Duration::from_secs(5);

/// Longest input: mutation doubles.
const MAX_INPUT: usize = 16 * 1024;

/// Words that a mutation inserts: the tokens of the grammars.
const WORDS: &[&str] = &[
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    ":",
    ",",
    ".",
    "null",
    "true",
    "-1",
    "1e308",
    "9007199254740993",
    " and ",
    " or ",
    "not (",
    " eq ",
    " pr",
    " co ",
    "userName",
    "emails[type eq \"work\"]",
    "value",
    "$ref",
    "primary",
    "urn:ietf:params:scim:schemas:core:2.0:User:",
    "urn:a:2.0:User",
    "bulkId:",
    "bulkId:a",
    "\\u0000",
    "\\ud800",
    "é",
    "\u{301}",
    "\u{130}",
    "\u{feff}",
    "2026-01-31T12:00:00Z",
    "op",
    "add",
    "replace",
    "remove",
    "path",
    "Operations",
    "members",
    "%00",
    "eyJ",
    "..",
    "/Users/",
];

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % bound.max(1)
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// Changes an input in some places.
fn mutate(random: &mut Random, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut input = random.of(corpus).clone();
    for _ in 0..=random.below(6) {
        let (at, length) = (random.below(input.len() + 1), 1 + random.below(16));
        let end = (at + length).min(input.len());
        match random.below(8) {
            0 => drop(input.drain(at..end)),
            1 => input.insert(at, u8::try_from(random.below(256)).unwrap()),
            2 => input[at..end].iter_mut().for_each(|byte| *byte ^= 1 << (length % 8)),
            3 | 4 => drop(input.splice(at..at, random.of(WORDS).bytes())),
            5 => {
                let part = input[at..end].to_vec();
                let many = part.repeat(1 + random.below(64));
                input.splice(at..at, many);
            }
            6 => {
                let other = random.of(corpus);
                let from = random.below(other.len() + 1);
                input.splice(at.., other[from..].iter().copied());
            }
            _ => input[at..end].reverse(),
        }
    }
    input.truncate(MAX_INPUT);
    input
}

/// Shows the input at which a target panics.
struct Excerpt<'i>(&'static str, usize, &'i [u8]);

impl Drop for Excerpt<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}, execution {}: {:?}", self.0, self.1, String::from_utf8_lossy(self.2));
        }
    }
}

/// A run of one target.
struct Fuzz {
    name: &'static str,
    corpus: Vec<Vec<u8>>,
    random: Random,
    until: Option<Instant>,
    executions: usize,
    bound: usize,
}

impl Fuzz {
    fn new(name: &'static str, bound: usize, corpus: &[String]) -> Self {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let seed = number("FUZZ_SEED").unwrap_or(SEED);
        eprintln!("fuzz {name}: seed {seed}");
        Self {
            name,
            corpus: corpus.iter().map(|text| text.clone().into_bytes()).collect(),
            random: Random(seed | 1),
            until: number("FUZZ_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds)),
            executions: 0,
            bound,
        }
    }

    /// The next input, if there is to be one.
    fn next(&mut self) -> Option<Vec<u8>> {
        let goes_on = match self.until {
            Some(until) => Instant::now() < until,
            None => self.executions < self.bound,
        };
        if !goes_on {
            eprintln!("fuzz {}: {} executions", self.name, self.executions);
            return None;
        }
        self.executions += 1;
        Some(mutate(&mut self.random, &self.corpus))
    }

    fn run(mut self, target: impl Fn(&[u8])) {
        while let Some(input) = self.next() {
            let _excerpt = Excerpt(self.name, self.executions, &input);
            let started = Instant::now();
            target(&input);
            assert!(started.elapsed() < LONGEST, "took {:?}", started.elapsed());
        }
    }

    fn run_text(self, target: impl Fn(&str)) {
        self.run(|input| target(&String::from_utf8_lossy(input)));
    }
}

fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(|text| (*text).to_owned()).collect()
}

fn bodies(all: &[Value]) -> Vec<String> {
    all.iter().map(Value::to_string).collect()
}

fn document() -> Document {
    let user = json!({
        "userName": "bob", "title": "x", "name": {"givenName": "B"}, "externalId": "E", "active": true,
        "emails": [{"value": "a@x", "type": "work", "primary": true}, {"value": "b@x", "type": "home"}],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "d", "manager": {"value": "1"}},
        "urn:acme:2.0:User": {"a": [1, "b"]}, "loose": [{"a": 1}, "x"],
    });
    Document::from_request(user.as_object().unwrap().clone(), &Schemas::standard().unwrap().user).unwrap()
}

#[test]
fn filters() {
    let (schemas, user) = (Schemas::standard().unwrap(), document());
    let corpus = texts(&[
        "userName eq \"bob\" and (title pr or not (active eq true))",
        "emails[type eq \"work\" and value co \"@x\"].value sw \"a\" or id eq 2819c223-7f76-453a-919d-413861904646",
        "meta.lastModified gt \"2026-01-31T12:00:00Z\" and urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value ne null",
        "urn:acme:2.0:User:a le 1.5e3 and externalId ew \"\\u00e9\"",
        "not(((a.b gt -1)))",
    ]);
    Fuzz::new("filter", 20_000, &corpus).run_text(|text| {
        let Ok(filter) = Filter::parse(text) else { return };
        let printed = filter.to_string();
        if let Ok(again) = Filter::parse(&printed) {
            assert_eq!(again, filter, "{printed}");
        }
        let _ = check::parse_for(text, &schemas.user);
        eval::matches(&filter, user.attributes(), &schemas.user);
        plan::plan(&filter, &schemas.user, INDEXED);
    });
}

#[test]
fn paths() {
    let schemas = Schemas::standard().unwrap();
    let corpus = texts(&[
        "emails[type eq \"work\" and value ew \"example.com\"].value",
        "urn:ietf:params:scim:schemas:core:2.0:User:name.familyName",
        "urn:acme:crm:1.0",
        "members.$ref",
    ]);
    Fuzz::new("path", 40_000, &corpus).run_text(|text| {
        let Ok(path) = AttributePath::parse(text) else { return };
        if let Ok(again) = AttributePath::parse(&path.to_string()) {
            assert_eq!(again, path);
        }
        let _ = schemas.user.check_path(&path);
        schemas.user.locate(&path);
        schemas.group.locate(&path);
    });
}

#[test]
fn patches() {
    let (schemas, user) = (Schemas::standard().unwrap(), document());
    let operations = |operations: Value| json!({"Operations": operations});
    let corpus = bodies(&[
        operations(
            json!([{"op": "add", "path": "emails", "value": [{"value": "A@x", "type": "work"}, {"value": "c@x", "primary": true}]}]),
        ),
        operations(
            json!([{"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "n@x"}, {"op": "remove", "path": "name.givenName"}]),
        ),
        operations(
            json!([{"op": "replace", "value": {"name.familyName": "F", "urn:acme:2.0:User": {"a": null}, "active": "False"}}]),
        ),
        operations(
            json!([{"op": "remove", "path": "emails", "value": [{"value": "a@x"}]}, {"op": "add", "path": "loose", "value": [1]}]),
        ),
        operations(
            json!([{"op": "replace", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager", "value": "2"}]),
        ),
    ]);
    Fuzz::new("patch", 20_000, &corpus).run(|input| {
        let Ok(operations) = scim_json::parse_object(input).and_then(|body| patch::parse(&body)) else { return };
        if let Ok(patched) = patch::apply(&user, &operations, &schemas.user, &|| Ok(())) {
            let stored = patched.to_stored();
            assert_eq!(Document::from_stored(&stored).unwrap(), patched);
            for email in patched.attributes().get("emails").and_then(Value::as_array).into_iter().flatten() {
                assert!(email.is_object(), "{stored}");
            }
        }
    });
}

#[test]
fn documents() {
    let schemas = Schemas::standard().unwrap();
    let corpus =
        [document().to_stored(), json!({"displayName": "g", "members": [{"value": "1", "type": "User"}]}).to_string()];
    Fuzz::new("document", 20_000, &corpus).run(|input| {
        let Ok(body) = scim_json::parse_object(input) else { return };
        for schema in [&schemas.user, &schemas.group] {
            if let Ok(read) = Document::from_request(body.clone(), schema) {
                // What was read once, and is returned with its `schemas`, is read again as the same.
                let mut again = read.attributes().clone();
                let urns: Vec<_> = again.keys().filter(|name| name.starts_with("urn:")).cloned().collect();
                again.insert("schemas".to_owned(), urns.into());
                assert_eq!(Document::from_request(again, schema).unwrap(), read);
            }
        }
    });
}

#[test]
fn profiles() {
    let corpus: Vec<String> = Profile::shipped_names().map(|name| Profile::shipped(name).unwrap().to_owned()).collect();
    Fuzz::new("profile", 2_000, &corpus).run_text(|text| {
        if let Ok(profile) = Profile::parse(text) {
            let _ = profile.check_required(&document());
        }
        let _ = Profile::parse_own(text);
    });
}

#[test]
fn bulks() {
    let bulk = |operations: Value| json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "failOnErrors": 2, "Operations": operations});
    let group =
        json!({"method": "POST", "path": "/Groups", "bulkId": "g", "data": {"members": [{"value": "bulkId:a"}]}});
    let corpus = bodies(&[
        bulk(json!([group, {"method": "POST", "path": "/Users", "bulkId": "a", "data": {"userName": "a"}}])),
        bulk(
            json!([{"method": "DELETE", "path": "/Users/1", "version": "W/\"1\""}, {"method": "PUT", "path": "/Groups/bulkId:g", "data": {}}, group]),
        ),
        bulk(json!([{"method": "PATCH", "path": "/Users/bulkId:a", "data": [{"op": "remove", "path": "x"}]}, group])),
    ]);
    Fuzz::new("bulk", 20_000, &corpus).run(|input| {
        let Ok(request) = BulkRequest::parse(input) else { return };
        let steps = order::steps(&request.operations);
        assert_eq!(steps.len(), request.operations.len());
        for (number, step) in steps.iter().enumerate() {
            assert!(step.refers.values().chain(&step.follows).all(|before| *before < number), "{steps:?}");
        }
        response(std::iter::empty());
    });
}

#[test]
fn credentials() {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let claims = part(r#"{"iss":"https://i","aud":["a"],"sub":"s","exp":4102444800,"jti":"x"}"#);
    let jwt = &format!("{}.{claims}.AAAA", part(r#"{"alg":"EdDSA","kid":"x"}"#));
    let corpus = texts(&[
        jwt,
        &format!("Bearer {jwt}"),
        "Bearer scim_acme_00000000000000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "Basic YWNtZTpzY2ltX2FjbWVfMDAwMDAwMDAwMDAwMDBfQUFBQQ==",
    ]);
    Fuzz::new("credential", 40_000, &corpus).run(|input| {
        let _ = PresentedCredential::read([input].into_iter(), "acme");
        let text = String::from_utf8_lossy(input);
        let _ = Jwt::parse(&text);
        let _ = PresentedCredential::of_assertion(&text, "acme");
        let _ = PresentedCredential::of_client(&text, &text, "acme");
    });
}

#[tokio::test(start_paused = true)]
async fn cursors() {
    let harness = Harness::new().await;
    for name in ["a", "b", "c"] {
        harness.user(name).await;
    }
    let first = harness.send("GET", "/Users?cursor=&count=1", None).await.body;
    let second = harness
        .send("GET", &format!("/Users?count=1&cursor={}", first["nextCursor"].as_str().unwrap()), None)
        .await
        .body;
    let corpus = [first["nextCursor"].to_string().replace('"', ""), second["nextCursor"].to_string().replace('"', "")];
    let mut fuzz = Fuzz::new("cursor", 400, &corpus);
    while let Some(input) = fuzz.next() {
        let _excerpt = Excerpt("cursor", fuzz.executions, &input);
        let cursor: String = String::from_utf8_lossy(&input).chars().take(2_000).collect();
        let reply = harness.send("GET", &format!("/Users?count=1&cursor={}", encode(&cursor)), None).await;
        assert!(reply.status == 200 || reply.status == 400, "{reply:?}");
        assert!(reply.status == 400 || cursor.is_empty() || corpus.contains(&cursor), "{cursor} was taken");
    }
}

#[tokio::test(start_paused = true)]
async fn events() {
    let harness = Harness::new().await;
    let event = |method: &str, path: &str, body: Value| {
        json!({
            "version": "2.0", "rawPath": path, "rawQueryString": "filter=userName+eq+%22a%22&count=1", "isBase64Encoded": false,
            "headers": {"authorization": format!("Bearer {}", harness.acme), "if-match": "W/\"1\"", "idempotency-key": "k"},
            "body": body.to_string(), "requestContext": {"domainName": "x.example", "http": {"method": method}},
        })
    };
    let corpus = bodies(&[
        event("GET", "/acme/scim/v2/Users", Value::Null),
        event("POST", "/acme/scim/v2/Users", json!({"userName": "a"})),
        event("PATCH", "/acme/scim/Users/2819c223-7f76-453a-919d-413861904646", json!({"Operations": []})),
        event("POST", "/acme/oauth/token", json!("grant_type=client_credentials")),
        event("HEAD", "/.well-known/oauth-authorization-server/acme", Value::Null),
        event("GET", "/admin/v1/tenants/acme/keys", Value::Null),
    ]);
    let mut fuzz = Fuzz::new("event", 2_000, &corpus);
    while let Some(input) = fuzz.next() {
        let _excerpt = Excerpt("event", fuzz.executions, &input);
        let Ok(event) = serde_json::from_slice::<HttpApiEvent>(&input) else { continue };
        let response = api::handle(&harness.app, &Selection::all(), event.into_request()).await;
        assert!(response.status().as_u16() < 500, "{response:?}");
    }
}
