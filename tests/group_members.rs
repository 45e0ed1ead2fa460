//! `/GroupMembers`: memberships one by one (draft-zollner-scim-group-members-01), by cursor (RFC 9865).

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use jiff::{SignedDuration, Timestamp};
use rollcall::app::{App, Clock};
use rollcall::limits::{CURSOR_SECONDS, MAX_GROUP_BYTES, MAX_MEMBERS_LISTED, MAX_MEMBERSHIPS_PAGE};
use rollcall::scim::list::escaped_length;
use rollcall::store::dynamo::tables::Table;
use serde_json::{Value, json};

use crate::support::crash::Crash;
use crate::support::{Harness, ScimResponse, encode, is_embedded, key, patch};

const METADATA: &str = "urn:ietf:params:scim:schemas:extension:groupMembers:2.0:Group";

async fn team(harness: &Harness, name: &str, members: &[String]) -> String {
    let members: Vec<_> = members.iter().map(|id| json!({"value": id})).collect();
    let reply = harness.send("POST", "/Groups", json!({"displayName": name, "members": members})).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    reply.body["id"].as_str().unwrap().to_owned()
}

async fn users(harness: &Harness, prefix: &str, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for i in 0..count {
        ids.push(harness.user(&format!("{prefix}{i}")).await);
    }
    ids
}

async fn list(harness: &Harness, filter: &str, more: &str) -> ScimResponse {
    let filter = if filter.is_empty() { String::new() } else { format!("filter={}&", encode(filter)) };
    harness.send("GET", &format!("/GroupMembers?{filter}{more}"), None).await
}

/// Every membership that a filter finds, page by page: group and member.
async fn walk(harness: &Harness, filter: &str, count: usize) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = list(harness, filter, &format!("count={count}&cursor={cursor}")).await;
        assert_eq!(page.status, 200, "{page:?}");
        assert!(page.body["itemsPerPage"].as_u64().unwrap() as usize <= count);
        found.extend(page.body["Resources"].as_array().unwrap().iter().map(pair));
        match page.body["nextCursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return found,
        }
    }
}

fn pair(resource: &Value) -> (String, String) {
    let id = |name: &str| resource[name]["value"].as_str().unwrap().to_owned();
    (id("group"), id("member"))
}

fn pairs(group: &str, members: &[String]) -> Vec<(String, String)> {
    let members: BTreeSet<_> = members.iter().collect();
    members.into_iter().map(|member| (group.to_owned(), member.clone())).collect()
}

/// Rows of members without the members: as many as making them takes too long.
async fn fill(harness: &Harness, group: &str, count: usize) {
    let client = harness.app.store.client();
    let row = |i: usize| {
        let text = |text: String| AttributeValue::S(text);
        let put = PutRequest::builder()
            .item("pk", text(format!("acme#member#{group}")))
            .item("sk", text(uuid::Uuid::from_u128(i as u128).to_string()))
            .item("t", text("User".into()));
        WriteRequest::builder().put_request(put.build().unwrap()).build()
    };
    for start in (0..count).step_by(25) {
        let rows: Vec<_> = (start..count.min(start + 25)).map(row).collect();
        client.batch_write_item().request_items(harness.app.store.names().of(Table::Links), rows).send().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_membership_is_created_returned_and_ended_as_a_resource_and_the_group_agrees() {
    let harness = Harness::new().await;
    let (user, group) = (harness.user("bob").await, team(&harness, "Team", &[]).await);
    let body = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:GroupMember"],
        "group": {"value": group}, "member": {"value": user}});
    let creation = harness.send("POST", "/GroupMembers", body.clone()).await;
    assert_eq!(creation.status, 201, "{creation:?}");
    let path = format!("/GroupMembers/{}", creation.body["id"].as_str().unwrap());
    assert!(creation.headers["location"].to_str().unwrap().ends_with(&path));
    assert_eq!(creation.body["group"]["display"], "Team");
    assert_eq!((&creation.body["member"]["type"], &creation.body["member"]["value"]), (&json!("User"), &json!(user)));
    assert_eq!(creation.body["meta"]["resourceType"], "GroupMember");
    assert_eq!(harness.send("GET", &path, None).await.body, creation.body);
    assert_eq!(harness.send("POST", "/GroupMembers", body).await.status, 409);
    let output = harness.send("GET", &format!("/Groups/{group}"), None).await.body;
    assert_eq!(output["members"][0]["value"], json!(user));
    assert_eq!(harness.send("GET", &format!("/Users/{user}"), None).await.body["groups"][0]["value"], json!(group));
    assert_eq!(harness.send("DELETE", &path, None).await.status, 204);
    assert_eq!(harness.send("DELETE", &path, None).await.status, 404);
    assert_eq!(harness.send("GET", &path, None).await.status, 404);
    assert_eq!(harness.send("GET", &format!("/Groups/{group}"), None).await.body["members"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_membership_of_nobody_or_in_no_group_is_refused_by_name() {
    let harness = Harness::new().await;
    let (user, group) = (harness.user("bob").await, team(&harness, "Team", &[]).await);
    let nobody = "2819c223-7f76-453a-919d-413861904646";
    for (body, named) in [
        (json!({"group": {"value": nobody}, "member": {"value": user}}), "group.value"),
        (json!({"group": {"value": "x"}, "member": {"value": user}}), "group.value"),
        (json!({"group": {"value": group}, "member": {"value": nobody}}), nobody),
        (json!({"group": {"value": group}, "member": {"value": group}}), "itself"),
        (json!({"group": {"value": group}}), "member.value"),
    ] {
        let refused = harness.send("POST", "/GroupMembers", body).await;
        refused.assert_error(400, "invalidValue");
        assert!(refused.body["detail"].as_str().unwrap().contains(named), "{refused:?}");
    }
    for path in ["/GroupMembers/x", &format!("/GroupMembers/{group}.{user}"), &format!("/GroupMembers/{group}")] {
        assert_eq!(harness.send("GET", path, None).await.status, 404, "{path}");
    }
    assert_eq!(harness.send("PATCH", &format!("/GroupMembers/{group}.{user}"), json!({})).await.status, 405);
    for path in ["/ResourceTypes/GroupMember", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:GroupMember"] {
        assert_eq!(harness.send("GET", path, None).await.body["name"], "GroupMember", "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn pages_by_cursor_hold_every_membership_once_by_group_by_member_and_all_in_all() {
    let harness = Harness::new().await;
    let ids = users(&harness, "u", 30).await;
    let mut groups = Vec::new();
    for (i, members) in [&ids[..], &ids[..1], &[], &ids[3..10]].into_iter().enumerate() {
        groups.push((team(&harness, &format!("Team {i}"), members).await, members.to_vec()));
    }
    groups.sort();
    for count in [1, 7, 29, 30, 31, 1_000] {
        for (group, members) in &groups {
            let found = walk(&harness, &format!("group.value eq \"{group}\""), count).await;
            assert_eq!(found, pairs(group, members), "{count}");
        }
        let all: Vec<_> = groups.iter().flat_map(|(group, members)| pairs(group, members)).collect();
        assert_eq!(walk(&harness, "", count).await, all, "{count}");
        let of_one: Vec<_> = all.iter().filter(|(_, member)| *member == ids[4]).cloned().collect();
        assert_eq!(of_one.len(), 2);
        assert_eq!(walk(&harness, &format!("member.value eq \"{}\"", ids[4]), count).await, of_one, "{count}");
        let both = format!("member.value eq \"{}\" and group.value eq \"{}\"", of_one[0].1, of_one[0].0);
        assert_eq!(walk(&harness, &both, count).await, of_one[..1]);
        let thinned = format!("member.type eq \"User\" and member.value gt \"{}\"", ids[4]);
        let above: Vec<_> = all.iter().filter(|(_, member)| *member > ids[4]).cloned().collect();
        assert_eq!(walk(&harness, &thinned, count).await, above, "{count}");
    }
    assert!(walk(&harness, "group.value eq \"nobody\"", 10).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_page_says_how_many_there_are_and_index_paging_is_offered_as_far_as_it_can_be_counted() {
    let harness = Harness::new().await;
    let ids = users(&harness, "u", 5).await;
    let group = team(&harness, "Team", &ids).await;
    let filter = format!("group.value eq \"{group}\"");
    let whole = list(&harness, &filter, "").await.body;
    assert_eq!((&whole["totalResults"], whole.get("nextCursor")), (&json!(5), None));
    let first = list(&harness, &filter, "count=2").await.body;
    assert!(first["nextCursor"].is_string() && first.get("startIndex").is_none());
    let page = list(&harness, &filter, "startIndex=4&count=3").await.body;
    assert_eq!((&page["totalResults"], &page["startIndex"], &page["itemsPerPage"]), (&json!(5), &json!(4), &json!(2)));
    fill(&harness, &group, MAX_MEMBERS_LISTED + 1).await;
    let refused = list(&harness, &filter, "startIndex=1").await;
    refused.assert_error(400, "tooMany");
    assert_eq!(list(&harness, &filter, "sortBy=id").await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn a_group_too_large_for_an_answer_says_where_its_members_are() {
    let harness = Harness::new().await;
    let group = team(&harness, "Everybody", &[]).await;
    let path = format!("/Groups/{group}");
    let asked = harness.send("GET", &format!("{path}?attributes={METADATA}"), None).await.body;
    assert_eq!(asked[METADATA]["membersMetadata"]["policy"], "hybrid");
    // What the client read is what it may send back; it is not for the client to say.
    let put = harness.send(
        "PUT",
        &path,
        json!({"displayName": "Everybody", METADATA: {"membersMetadata": {"policy": "inline"}}}),
    );
    assert_eq!(put.await.status, 200);
    assert!(harness.send("GET", &path, None).await.body.get(METADATA).is_none());
    fill(&harness, &group, MAX_MEMBERS_LISTED + 1).await;
    let listed = harness.send("GET", "/Groups", None).await.body["Resources"][0].clone();
    assert_eq!(listed[METADATA]["membersMetadata"]["policy"], "external");
    let whole = harness.send("GET", &path, None).await.body;
    assert_eq!((whole["members"].as_array().unwrap().len(), whole.get(METADATA)), (MAX_MEMBERS_LISTED + 1, None));
    let fit = MAX_GROUP_BYTES / escaped_length(&whole["members"][0]);
    fill(&harness, &group, fit).await;
    let output = harness.send("GET", &path, None).await;
    assert_eq!((output.status, &output.body), (200, &listed));
    assert!(output.body.get("members").is_none());
    assert!(output.body["schemas"].as_array().unwrap().contains(&json!(METADATA)));
    let metadata = &output.body[METADATA]["membersMetadata"];
    assert_eq!(metadata["policy"], "external");
    let reference = metadata["ref"].as_str().unwrap().split_once("/scim/v2").unwrap().1.to_owned();
    let first = harness.send("GET", &reference, None).await;
    assert_eq!((first.status, first.body["Resources"].as_array().unwrap().len()), (200, 100));
    let found = walk(&harness, &format!("group.value eq \"{group}\""), MAX_MEMBERSHIPS_PAGE).await;
    assert_eq!(found.len(), fit);
    let renamed = patch(json!([{"op": "replace", "path": "displayName", "value": "All"}]));
    assert_eq!(harness.send("PATCH", &path, renamed).await.status, 204);
}

#[tokio::test(start_paused = true)]
async fn a_cursor_is_good_for_its_key_its_query_and_its_hour_alone() {
    let harness = Harness::new().await;
    let ids = users(&harness, "u", 3).await;
    let group = team(&harness, "Team", &ids).await;
    let filter = format!("group.value eq \"{group}\"");
    let cursor = list(&harness, &filter, "count=1").await.body["nextCursor"].as_str().unwrap().to_owned();
    assert_eq!(list(&harness, &filter, &format!("count=1&cursor={cursor}")).await.status, 200);
    let refused = |reply: ScimResponse, kind: &str| reply.assert_error(400, kind);
    refused(list(&harness, &filter, &format!("count=2&cursor={cursor}")).await, "invalidCount");
    refused(list(&harness, "", &format!("cursor={cursor}")).await, "invalidCursor");
    refused(list(&harness, &filter, "cursor=AAAA").await, "invalidCursor");
    let last = if cursor.ends_with('A') { 'Q' } else { 'A' };
    refused(list(&harness, &filter, &format!("cursor={}{last}", &cursor[..cursor.len() - 1])).await, "invalidCursor");
    let other = key(&harness.app.store, &"acme".parse().unwrap(), |_| {}).await;
    let theirs = Harness { acme: other, ..harness.again(Vec::new()).await };
    refused(list(&theirs, &filter, &format!("cursor={cursor}")).await, "invalidCursor");
    let later = || Timestamp::now() + SignedDuration::from_secs(CURSOR_SECONDS + 2);
    let app = App { clock: Clock::Fixed(Arc::new(later)), ..(*harness.app).clone() };
    let tomorrow = Harness { app: Arc::new(app), ..harness.again(Vec::new()).await };
    refused(list(&tomorrow, &filter, &format!("cursor={cursor}")).await, "expiredCursor");
}

#[tokio::test(start_paused = true)]
async fn a_walk_sees_a_pending_change_as_done_and_no_tombstone() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let ids = users(&harness, "u", 120).await;
    let (old, new) = ids.split_at(60);
    let group = team(&harness, "Team", old).await;
    let members: Vec<_> = new.iter().map(|id| json!({"value": id})).collect();
    let replace = patch(json!([{"op": "replace", "path": "members", "value": members}]));
    // Each of 120 is looked up, the change is committed, and a few members have joined.
    let dying = harness.again(vec![Crash::after(150)]).await;
    assert_eq!(dying.send("PATCH", &format!("/Groups/{group}"), replace).await.status, 204);
    let filter = format!("group.value eq \"{group}\"");
    for count in [7, 1_000] {
        assert_eq!(walk(&harness, &filter, count).await, pairs(&group, new), "{count}");
    }
    harness.settle().await;
    assert_eq!(walk(&harness, &filter, 7).await, pairs(&group, new));
    // A user in many groups is gone from each at once, before anything is swept.
    let busy = new[0].clone();
    for i in 0..50 {
        team(&harness, &format!("of busy {i}"), std::slice::from_ref(&busy)).await;
    }
    assert_eq!(harness.send("DELETE", &format!("/Users/{busy}"), None).await.status, 204);
    assert_eq!(walk(&harness, "", 1_000).await, pairs(&group, &new[1..]));
    assert!(walk(&harness, &format!("member.value eq \"{busy}\""), 10).await.is_empty());
    let about = format!("id eq \"{group}\" and members eq \"{busy}\"");
    let found = harness.send("GET", &format!("/Groups?filter={}", encode(&about)), None).await;
    assert_eq!(found.body["totalResults"], 0);
    assert_eq!(harness.settle().await, 1);
    assert_eq!(walk(&harness, "", 1_000).await, pairs(&group, &new[1..]));
}
