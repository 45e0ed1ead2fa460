//! The life of a key: waiting, used, rotated, expiring; and what a new one must be.

use jiff::{SignedDuration, Timestamp};
use rollcall::admin::keys::{self, Expiry, NewCredentialType, NewKey};
use rollcall::auth::record::State;
use rollcall::auth::{FederatedIssuer, Scope, TrustedSubject};
use rollcall::limits::DEFAULT_KEY_LIFE_DAYS;

use crate::credentials::{ROBOT, add, at, get, header_of, new_key, tenant, trust, with_issuer};
use crate::support::budget::Budget;
use crate::support::{Harness, is_embedded};

/// The time, as it is stored.
fn now() -> Timestamp {
    Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_key_works_from_when_its_automation_user_is_active() {
    let harness = Harness::new().await;
    let (store, acme, now) = (&harness.app.store, tenant("acme"), Timestamp::now());
    let refused = keys::add(store, new_key("acme", NewCredentialType::Bearer), now).await.err().unwrap();
    assert!(refused.to_string().contains("no automation user"), "{refused}");
    keys::put_automation_user(store, &acme, ROBOT, false, now).await.unwrap();
    let creation = add(&harness, new_key("acme", NewCredentialType::Bearer)).await;
    assert_eq!(creation.record.state(now), State::Waiting);
    assert_eq!(get(&harness, &header_of(&creation)).await.status, 401);
    for _ in 0..2 {
        keys::put_automation_user(store, &acme, ROBOT, true, now).await.unwrap();
        assert_eq!(get(&harness, &header_of(&creation)).await.status, 200);
    }
    let next = add(&harness, new_key("acme", NewCredentialType::Jwt)).await;
    assert_eq!(get(&harness, &header_of(&next)).await.status, 200, "a key of an active user works at once");
}

#[tokio::test(start_paused = true)]
async fn the_use_of_a_key_is_written_down_four_times_an_hour_at_the_most() {
    if !is_embedded() {
        return;
    }
    let budget = Budget::new();
    let (harness, _) = with_issuer(Some(budget.clone())).await;
    let creation = add(&harness, new_key("acme", NewCredentialType::Bearer)).await;
    let used = async || harness.app.store.key(&tenant("acme"), &creation.record.id).await.unwrap().unwrap().used;
    assert_eq!(used().await, None);
    for (after, writes) in [(0, 1), (10, 0), (899, 0), (901, 1), (1_000, 0)] {
        let then = at(&harness, after);
        budget.take();
        assert_eq!(get(&then, &header_of(&creation)).await.status, 200);
        let spent = budget.take();
        let updates = spent.calls.iter().filter(|call| *call == "UpdateItem").count();
        assert_eq!(updates, writes, "after {after} s: {spent:?}");
        assert!(used().await.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotated_key_works_on_for_the_overlap_and_no_request_is_lost() {
    let (harness, _) = with_issuer(None).await;
    let (store, acme, now) = (&harness.app.store, tenant("acme"), Timestamp::now());
    for form in [NewCredentialType::Bearer, NewCredentialType::Basic, NewCredentialType::Jwt] {
        let old = add(&harness, new_key("acme", form)).await;
        let current = std::sync::Mutex::new(header_of(&old));
        let client = |number: usize| {
            let (harness, current) = (&harness, &current);
            async move {
                for i in 0..20 {
                    let header = current.lock().unwrap().clone();
                    // The request is under way while the key is rotated.
                    tokio::time::sleep(std::time::Duration::from_millis((number % 5) as u64)).await;
                    let reply = get(harness, &header).await;
                    assert_eq!(reply.status, 200, "client {number}, request {i}");
                }
            }
        };
        let rotation = async {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            let overlap = SignedDuration::from_hours(1);
            let new =
                keys::rotate(store, &acme, &old.record.id, overlap, Expiry::Default, now).await.unwrap().successor;
            *current.lock().unwrap() = header_of(&new);
            new
        };
        let load = futures_util::future::join_all((0..16).map(client));
        let (new, _) = futures_util::future::join(rotation, load).await;
        let (before, after) = (at(&harness, 3_500), at(&harness, 3_700));
        assert_eq!(get(&before, &header_of(&old)).await.status, 200);
        assert_eq!(get(&after, &header_of(&old)).await.status, 401);
        assert_eq!(get(&after, &header_of(&new)).await.status, 200);
        assert_eq!(new.record.description, old.record.description);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_is_called_expiring_a_month_before_its_end() {
    let (harness, _) = with_issuer(None).await;
    let now = Timestamp::now();
    for (days, state) in [(29, State::Expiring), (31, State::Live)] {
        let mut new = new_key("acme", NewCredentialType::Bearer);
        new.expires = Expiry::At(now + SignedDuration::from_hours(24 * days));
        assert_eq!(add(&harness, new).await.record.state(now), state);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_request_for_a_key_names_the_field_and_the_rule() {
    let (harness, _) = with_issuer(None).await;
    let now = Timestamp::now();
    let with = |change: &dyn Fn(&mut NewKey)| {
        let mut new = new_key("acme", NewCredentialType::Bearer);
        change(&mut new);
        new
    };
    let trusting = |change: fn(&mut FederatedIssuer)| {
        let mut trust = trust();
        change(&mut trust);
        NewCredentialType::Federation(trust)
    };
    for (field, new) in [
        ("description", with(&|new| new.description = " ".to_owned())),
        ("scopes", with(&|new| new.scopes.clear())),
        ("expires", with(&|new| new.expires = Expiry::At(now))),
        (
            "notBefore",
            with(&|new| {
                new.not_before = Some(now + SignedDuration::from_hours(2));
                new.expires = Expiry::At(now + SignedDuration::from_hours(1));
            }),
        ),
        (
            "jwksUri",
            with(&|new| {
                new.credential_type = trusting(|trust| trust.jwks_uri = "http://localhost:x@example.com/".to_owned())
            }),
        ),
        ("automation", with(&|new| (new.automation, new.credential_type) = (None, NewCredentialType::Jwt))),
        ("automation", with(&|new| (new.automation, new.credential_type) = (None, NewCredentialType::Basic))),
        (
            "issuer",
            with(&|new| new.credential_type = trusting(|trust| trust.issuer = "http://issuer.example.com".to_owned())),
        ),
        (
            "jwksUri",
            with(&|new| new.credential_type = trusting(|trust| trust.jwks_uri = "file:///etc/passwd".to_owned())),
        ),
        ("audience", with(&|new| new.credential_type = trusting(|trust| trust.audience.clear()))),
        (
            "subject is empty",
            with(&|new| {
                new.credential_type = trusting(|trust| trust.subject = TrustedSubject::Only(String::new()));
            }),
        ),
        (
            "subject is missing, and https://accounts.google.com signs",
            with(&|new| {
                new.credential_type = trusting(|trust| {
                    trust.issuer = "https://accounts.google.com".to_owned();
                    trust.subject = TrustedSubject::Any;
                });
            }),
        ),
        (
            "jwksUri",
            with(&|new| {
                new.credential_type = trusting(|trust| trust.jwks_uri = "https://169.254.169.254/keys".to_owned());
            }),
        ),
        ("scopes cannot contain admin", with(&|new| new.scopes.push(Scope::Admin))),
    ] {
        let refused = keys::add(&harness.app.store, new, now).await.err().unwrap().to_string();
        assert!(refused.starts_with(field), "{refused}");
    }
    for name in ["", "a:b", "a/b", "a%41", "a\nb", &"x".repeat(300)] {
        let refused = keys::put_automation_user(&harness.app.store, &tenant("acme"), name, true, now).await;
        assert!(refused.is_err(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotated_key_lives_as_long_as_the_old_one_did() {
    let (harness, _) = with_issuer(None).await;
    let mut new = new_key("acme", NewCredentialType::Bearer);
    let start = now();
    new.expires = Expiry::At(start + SignedDuration::from_hours(24 * 365));
    let old = keys::add(&harness.app.store, new, start).await.unwrap().record;
    let later = start + SignedDuration::from_hours(24 * 300);
    let overlap = SignedDuration::from_hours(1);
    // A second time as the first, though the old key ends with the overlap.
    for _ in 0..2 {
        let store = &harness.app.store;
        let rotated = keys::rotate(store, &tenant("acme"), &old.id, overlap, Expiry::Default, later).await.unwrap();
        let life = rotated.successor.record.expires.unwrap().duration_since(later);
        assert_eq!(life.as_hours(), 24 * 365);
        assert_eq!(rotated.ends, later + overlap);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_without_an_end_is_rotated_to_one_without_an_end() {
    let (harness, _) = with_issuer(None).await;
    let (store, acme, now) = (&harness.app.store, tenant("acme"), now());
    let mut new = new_key("acme", NewCredentialType::Bearer);
    new.expires = Expiry::Never;
    let old = add(&harness, new).await;
    assert_eq!(old.record.ends(), None);
    let (long, short) = (SignedDuration::from_hours(24), SignedDuration::from_hours(1));
    for (overlap, ends) in [(long, long), (short, short), (long, short)] {
        let rotated = keys::rotate(store, &acme, &old.record.id, overlap, Expiry::Default, now).await.unwrap();
        assert_eq!(rotated.successor.record.ends(), None);
        assert_eq!(rotated.ends, now + ends, "the earliest end stays");
        assert_eq!(keys::find(store, &acme, &old.record.id).await.unwrap().ends(), Some(now + ends));
    }
    let mut last = None;
    for expires in [Expiry::Never, Expiry::At(now + long)] {
        last = Some(keys::rotate(store, &acme, &old.record.id, long, expires, now).await.unwrap().successor.record);
    }
    assert_eq!(last.unwrap().ends(), Some(now + long), "as is said");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_ends_before_the_overlap_ends_as_it_would() {
    let (harness, _) = with_issuer(None).await;
    let now = now();
    let mut new = new_key("acme", NewCredentialType::Bearer);
    new.expires = Expiry::At(now + SignedDuration::from_mins(10));
    let old = add(&harness, new).await;
    let day = SignedDuration::from_hours(24);
    let store = &harness.app.store;
    let rotated = keys::rotate(store, &tenant("acme"), &old.record.id, day, Expiry::Default, now).await.unwrap();
    assert_eq!(Some(rotated.ends), old.record.ends());
    assert_eq!(get(&at(&harness, 590), &header_of(&old)).await.status, 200);
    assert_eq!(get(&at(&harness, 610), &header_of(&old)).await.status, 401);
}

#[tokio::test(start_paused = true)]
async fn a_key_ends_after_a_year_unless_it_is_said_otherwise() {
    let (harness, _) = with_issuer(None).await;
    let now = now();
    let year = SignedDuration::from_hours(24 * DEFAULT_KEY_LIFE_DAYS);
    for form in [
        NewCredentialType::Bearer,
        NewCredentialType::Basic,
        NewCredentialType::Client,
        NewCredentialType::Jwt,
        NewCredentialType::Federation(trust()),
    ] {
        let is_jwt = form == NewCredentialType::Jwt;
        let creation = keys::add(&harness.app.store, new_key("acme", form.clone()), now).await.unwrap();
        assert_eq!(creation.record.ends(), Some(now + year));
        harness.app.store.revoke_key(&tenant("acme"), &creation.record.id, now).await.unwrap();
        let mut later = new_key("acme", form.clone());
        later.not_before = Some(now + year);
        let creation = keys::add(&harness.app.store, later, now).await.unwrap();
        assert_eq!(creation.record.ends(), Some(now + year + year), "from when it begins to work");
        harness.app.store.revoke_key(&tenant("acme"), &creation.record.id, now).await.unwrap();
        let never = NewKey { expires: Expiry::Never, ..new_key("acme", form) };
        match keys::add(&harness.app.store, never, now).await {
            Ok(creation) => assert!(!is_jwt && creation.record.ends().is_none()),
            Err(error) => {
                assert!(is_jwt && error.to_string().starts_with("expires cannot be never for a JWT"), "{error}")
            }
        }
    }
}
