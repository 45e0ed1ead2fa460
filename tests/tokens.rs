//! Access tokens: they work as long as their client does, however many there are.

use jiff::{SignedDuration, Timestamp};
use rollcall::admin::keys::NewCredentialType;
use rollcall::auth::{AccessToken, KeyRecord, Scope, TokenRecord};
use rollcall::limits::{MAX_TOKENS_PER_WINDOW, TOKEN_SECONDS};
use rollcall::store::ops::tokens::TokenOutcome;
use serde_json::{Value, json};

use crate::admin::ask;
use crate::credentials::{add, get, new_key, tenant, trust, with_issuer};
use crate::support::budget::Budget;
use crate::support::issuer::{claims, token as of_issuer};
use crate::support::{Harness, ScimResponse, is_embedded};
use crate::token_endpoint::{token_by_assertion, token_by_secret};

fn text(reply: &ScimResponse) -> String {
    reply.body["access_token"].as_str().unwrap_or_else(|| panic!("{reply:?}")).to_owned()
}

async fn status(harness: &Harness, token: &str) -> u16 {
    get(harness, &format!("Bearer {token}")).await.status
}

/// Stores tokens of a client as the token endpoint does, but for the check of the client.
pub async fn issue(harness: &Harness, client: &KeyRecord, count: u64, now: Timestamp) -> Vec<String> {
    let mut tokens = Vec::new();
    for _ in 0..count {
        let token = AccessToken::mint(client).unwrap();
        let record = TokenRecord {
            tenant: client.tenant.clone(),
            client: client.id.clone(),
            id: token.id().clone(),
            hash: token.hash(&client.credential),
            scopes: vec![Scope::Read, Scope::Write],
            created: now,
            expires: now + SignedDuration::from_secs(TOKEN_SECONDS),
        };
        let outcome = harness.app.store.issue_token(&record, None, now).await.unwrap();
        assert_eq!(outcome, TokenOutcome::Issued);
        tokens.push(token.reveal());
    }
    tokens
}

#[tokio::test(start_paused = true)]
async fn a_client_with_all_tokens_that_it_may_have_is_revoked_by_one_write() {
    if !is_embedded() {
        return;
    }
    let budget = Budget::new();
    let (harness, _) = with_issuer(Some(budget.clone())).await;
    let admin = harness.operator().await;
    let creation = add(&harness, new_key("acme", NewCredentialType::Client)).await;
    let client = &creation.record;
    // Two hours as the clock has them, in both of which tokens are issued that live at one moment.
    let hour = Timestamp::now().as_second() / TOKEN_SECONDS + 1;
    let second = |second: i64| Timestamp::from_second(hour * TOKEN_SECONDS + second).unwrap();
    let (before, after) = (harness.at(second(-1)), harness.at(second(1)));
    let mut tokens = issue(&before, client, MAX_TOKENS_PER_WINDOW, second(-1)).await;
    let refused = token_by_secret(&before, &creation).await;
    assert_eq!((refused.status, &refused.headers["retry-after"]), (429, &"2".parse().unwrap()), "{refused:?}");
    assert_eq!(token_by_secret(&after, &creation).await.status, 200, "the next hour counts by itself");
    tokens.extend(issue(&after, client, MAX_TOKENS_PER_WINDOW - 1, second(1)).await);
    let refused = token_by_secret(&after, &creation).await;
    assert_eq!((refused.status, &refused.headers["retry-after"]), (429, &"3600".parse().unwrap()));
    for token in tokens.iter().step_by(101) {
        assert_eq!(status(&after, token).await, 200);
    }
    // The first use within a quarter of an hour is written down.
    assert_eq!(ask(&after, &admin, "GET", "/tenants/acme", Value::Null).await.status, 200);
    let path = format!("/tenants/acme/keys/{}", client.id);
    budget.take();
    assert_eq!(ask(&after, &admin, "DELETE", &path, Value::Null).await.status, 204);
    let spent = budget.take();
    // One write, and in its transaction who has done it: two small items, twice.
    assert_eq!((spent.round_trips, spent.wcu), (2, 4.0), "{spent:?}");
    assert_eq!(spent.calls, ["GetItem", "GetItem", "TransactWriteItems"]);
    let elsewhere = harness.again(Vec::new()).await.at(second(1));
    for token in &tokens {
        assert_eq!(status(&elsewhere, token).await, 401);
    }
    assert_eq!(u64::try_from(tokens.len()).unwrap(), 2 * MAX_TOKENS_PER_WINDOW - 1);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_tenant_costs_no_more_for_tokens_and_they_follow_it_at_once() {
    if !is_embedded() {
        return;
    }
    let budget = Budget::new();
    let (harness, _) = with_issuer(Some(budget.clone())).await;
    let admin = harness.operator().await;
    let client = add(&harness, new_key("acme", NewCredentialType::Client)).await;
    let mut spent = Vec::new();
    let mut tokens = Vec::new();
    for (profile, schemes) in [("jostle", 2), ("default", 3)] {
        budget.take();
        let changed = ask(&harness, &admin, "PATCH", "/tenants/acme", json!({"profile": profile})).await;
        assert_eq!(changed.status, 200, "{changed:?}");
        spent.push(budget.take());
        tokens.extend(issue(&harness, &client.record, 50, Timestamp::now()).await);
        let header = format!("Bearer {}", tokens[0]);
        let elsewhere = harness.again(Vec::new()).await;
        let headers = [("authorization", header.as_str())];
        let reply = elsewhere.raw("GET", "/acme/scim/v2/ServiceProviderConfig", Vec::new(), &headers).await;
        assert_eq!(reply.body["authenticationSchemes"].as_array().unwrap().len(), schemes, "{profile}: {reply:?}");
    }
    assert_eq!(spent[0].calls, spent[1].calls);
}

#[tokio::test(start_paused = true)]
async fn the_check_of_a_token_is_one_round_trip_and_one_unit_more_than_that_of_a_key() {
    if !is_embedded() {
        return;
    }
    let budget = Budget::new();
    let (harness, _) = with_issuer(Some(budget.clone())).await;
    let client = add(&harness, new_key("acme", NewCredentialType::Client)).await;
    budget.take();
    let token = text(&token_by_secret(&harness, &client).await);
    let issued = budget.take();
    assert_eq!(issued.round_trips, 2, "{issued:?}");
    assert_eq!(issued.calls, ["GetItem", "TransactWriteItems", "UpdateItem"], "the client, the token, the use");
    assert_eq!(status(&harness, &token).await, 200);
    let spent = budget.take();
    assert_eq!((spent.round_trips, spent.rcu, spent.wcu), (1, 3.0, 0.0), "{spent:?}");
    assert_eq!(spent.calls, ["GetItem", "GetItem", "GetItem"], "the client, the token, the user");
}

#[tokio::test(start_paused = true)]
async fn a_trust_that_is_created_again_does_not_take_the_tokens_of_the_revoked_one() {
    let (harness, _) = with_issuer(None).await;
    let ask = async || text(&token_by_assertion(&harness, &of_issuer("first", &claims())).await);
    let first = add(&harness, new_key("acme", NewCredentialType::Federation(trust()))).await;
    let old = ask().await;
    assert_eq!(status(&harness, &old).await, 200);
    harness.app.store.revoke_key(&tenant("acme"), &first.record.id, Timestamp::now()).await.unwrap();
    assert_eq!(status(&harness, &old).await, 401);
    let again = add(&harness, new_key("acme", NewCredentialType::Federation(trust()))).await;
    assert_eq!(again.record.id, first.record.id);
    assert_eq!(status(&harness, &ask().await).await, 200);
    assert_eq!(status(&harness, &old).await, 401, "it was the other one's");
}

#[tokio::test(start_paused = true)]
async fn a_token_does_what_it_was_issued_for_as_far_as_its_client_may() {
    let (harness, _) = with_issuer(None).await;
    let creation = add(&harness, new_key("acme", NewCredentialType::Client)).await;
    let token = issue(&harness, &creation.record, 1, Timestamp::now()).await.remove(0);
    let post = async |token: &str| {
        let header = format!("Bearer {token}");
        harness.raw("POST", "/acme/scim/v2/Users", b"{}".to_vec(), &[("authorization", &header)]).await.status
    };
    assert_eq!(post(&token).await, 400, "let in, with a body that is no user");
    let mut reader = new_key("acme", NewCredentialType::Client);
    reader.scopes = vec![Scope::Read];
    let reader = add(&harness, reader).await;
    // Its record says more than its client's.
    let token = issue(&harness, &reader.record, 1, Timestamp::now()).await.remove(0);
    assert_eq!((status(&harness, &token).await, post(&token).await), (200, 403));
    let unknown = AccessToken::mint(&creation.record).unwrap().reveal();
    assert_eq!(status(&harness, &unknown).await, 401);
    let bearer = add(&harness, new_key("acme", NewCredentialType::Bearer)).await;
    let token = issue(&harness, &bearer.record, 1, Timestamp::now()).await.remove(0);
    assert_eq!(status(&harness, &token).await, 401, "a key that is no client has no tokens");
}
