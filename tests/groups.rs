//! Groups: members under concurrency, in large numbers, and through crashes.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use rollcall::limits::MAX_GROUPS_PER_USER;
use rollcall::store::dynamo::tables::Table;
use serde_json::{Value, json};

use crate::support::budget::Budget;
use crate::support::conflict::Conflict;
use crate::support::crash::Crash;
use crate::support::pause::Pause;
use crate::support::wire::{Answer, DynamoCall, Layer, Lost};
use crate::support::{Harness, ScimResponse, encode, is_embedded, patch};

async fn users(harness: &Harness, prefix: &str, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for i in 0..count {
        ids.push(harness.user(&format!("{prefix}{i}")).await);
    }
    ids
}

async fn group(harness: &Harness, name: &str, members: &[String]) -> String {
    let reply = harness.send("POST", "/Groups", json!({"displayName": name, "members": values(members)})).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    reply.body["id"].as_str().unwrap().to_owned()
}

fn values(ids: &[String]) -> Vec<Value> {
    ids.iter().map(|id| json!({"value": id})).collect()
}

fn add(ids: &[String]) -> Value {
    patch(json!([{"op": "add", "path": "members", "value": values(ids)}]))
}

fn remove(id: &str) -> Value {
    patch(json!([{"op": "remove", "path": format!("members[value eq \"{id}\"]")}]))
}

/// The members that the group shows.
async fn members_of(harness: &Harness, group: &str) -> BTreeSet<String> {
    let body = harness.send("GET", &format!("/Groups/{group}"), None).await.body;
    let members = body["members"].as_array().cloned().unwrap_or_default();
    members.iter().map(|member| member["value"].as_str().unwrap().to_owned()).collect()
}

/// Those of the users who show the group.
async fn who_shows(harness: &Harness, group: &str, users: &[String]) -> BTreeSet<String> {
    let mut showing = BTreeSet::new();
    for id in users {
        let reply = harness.send("GET", &format!("/Users/{id}"), None).await;
        let groups = reply.body["groups"].as_array().cloned().unwrap_or_default();
        if groups.iter().any(|output| output["value"] == group) {
            showing.insert(id.clone());
        }
    }
    showing
}

fn set(ids: &[String]) -> BTreeSet<String> {
    ids.iter().cloned().collect()
}

fn all_succeed(replies: &[ScimResponse]) {
    for reply in replies {
        assert!(reply.status < 300, "{reply:?}");
    }
}

/// `ROLLCALL_ROUNDS=100` asks for more than CI does.
fn rounds() -> usize {
    std::env::var("ROLLCALL_ROUNDS").map_or(10, |rounds| rounds.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn forty_members_added_at_once_are_all_there_every_time() {
    let harness = Harness::with(vec![Conflict::new()]).await;
    let group = group(&harness, "team", &[]).await;
    let path = format!("/Groups/{group}");
    let mut expected = BTreeSet::new();
    for round in 0..rounds() {
        let ids = users(&harness, &format!("r{round}-"), 40).await;
        let bodies: Vec<_> = ids.iter().map(|id| add(std::slice::from_ref(id))).collect();
        all_succeed(&join_all(bodies.into_iter().map(|body| harness.send("PATCH", &path, body))).await);
        expected.extend(ids);
    }
    assert_eq!(members_of(&harness, &group).await, expected);
    eprintln!("{} of {} members are there", expected.len(), 40 * rounds());
}

#[tokio::test(start_paused = true)]
async fn additions_removals_a_rename_and_deleted_users_at_once_end_as_if_one_after_the_other() {
    let harness = Harness::with(vec![Conflict::new()]).await;
    for round in 0..rounds() {
        let ids = users(&harness, &format!("mix{round}-"), 40).await;
        let (before, after) = ids.split_at(20);
        let group = group(&harness, &format!("team {round}"), before).await;
        let path = format!("/Groups/{group}");
        let rename = patch(json!([{"op": "replace", "path": "displayName", "value": format!("renamed {round}")}]));
        let mut requests = vec![("PATCH", path.clone(), Some(rename))];
        requests.extend(after.iter().map(|id| ("PATCH", path.clone(), Some(add(std::slice::from_ref(id))))));
        requests.extend(before[..10].iter().map(|id| ("PATCH", path.clone(), Some(remove(id)))));
        requests.extend(before[10..15].iter().map(|id| ("DELETE", format!("/Users/{id}"), None)));
        let sent = requests.iter().map(|(method, path, body)| harness.send(method, path, body.clone()));
        all_succeed(&join_all(sent).await);
        let expected: BTreeSet<_> = set(after).union(&set(&before[15..])).cloned().collect();
        assert_eq!(members_of(&harness, &group).await, expected);
        assert_eq!(who_shows(&harness, &group, &ids).await, expected);
        let named = harness.send("GET", &format!("{path}?excludedAttributes=members"), None).await;
        assert_eq!(named.body["displayName"], format!("renamed {round}"));
    }
}

#[tokio::test(start_paused = true)]
async fn one_user_joins_and_leaves_many_groups_at_once() {
    let harness = Harness::with(vec![Conflict::new()]).await;
    let id = harness.user("bob").await;
    let mut paths = Vec::new();
    for i in 0..12 {
        paths.push(format!("/Groups/{}", group(&harness, &format!("g{i}"), &[]).await));
    }
    let one = std::slice::from_ref(&id);
    all_succeed(&join_all(paths.iter().map(|path| harness.send("PATCH", path, add(one)))).await);
    let user = harness.send("GET", &format!("/Users/{id}"), None).await.body;
    assert_eq!(user["groups"].as_array().unwrap().len(), 12);
    let rename = patch(json!([{"op": "replace", "path": "userName", "value": "eve"}]));
    let path = format!("/Users/{id}");
    let leaving = join_all(paths.iter().map(|path| harness.send("PATCH", path, remove(&id))));
    let (left, renamed) = futures_util::future::join(leaving, harness.send("PATCH", &path, rename)).await;
    all_succeed(&left);
    assert_eq!(renamed.status, 200);
    let user = harness.send("GET", &path, None).await.body;
    assert_eq!((user.get("groups"), &user["userName"]), (None, &json!("eve")));
}

#[tokio::test(start_paused = true)]
async fn of_forty_groups_of_one_name_exactly_one_is_created() {
    let harness = Harness::with(vec![Conflict::new()]).await;
    let posts = (0..40)
        .map(|i| harness.send("POST", "/Groups", json!({"displayName": if i % 2 == 0 { "Team" } else { "TEAM" }})));
    let replies = join_all(posts).await;
    let creation = replies.iter().filter(|reply| reply.status == 201).count();
    let refused = replies.iter().filter(|reply| reply.status == 409 || reply.status == 503).count();
    assert_eq!((creation, refused), (1, 39), "{replies:?}");
    assert_eq!(harness.send("GET", "/Groups", None).await.body["totalResults"], 1);
}

/// How many members a replacement brings and takes: `ROLLCALL_SCALE=10000` asks for more than CI does, and
/// `ROLLCALL_POINTS` for another number of points at which it is crashed.
fn replaced() -> usize {
    std::env::var("ROLLCALL_SCALE").map_or(30, |count| count.parse().unwrap())
}

/// More members than a transaction takes, crashed at every so manyth call: readers see the old list or the new one, and
/// once the next writer or the worker has passed, the group and every user agree.
#[tokio::test(start_paused = true)]
async fn a_large_replacement_that_crashes_anywhere_is_the_old_list_or_the_new_one() {
    if !is_embedded() {
        return;
    }
    let parts: usize = std::env::var("ROLLCALL_POINTS").map_or(16, |count| count.parse().unwrap());
    let side = replaced();
    let harness = Harness::new().await;
    let ids = users(&harness, "u", 2 * side).await;
    let (mut old, mut new) = ids.split_at(side);
    let path = format!("/Groups/{}", group(&harness, "team", old).await);
    let group = path.rsplit('/').next().unwrap();
    harness.settle().await;
    // Two reads for each who joins or leaves, and one write.
    let calls = 6 * side;
    let points = (1..calls).step_by(calls / parts).flat_map(|at| [Crash::before(at), Crash::after(at)]);
    let mut happened = 0;
    for crash in points {
        let body = json!({"displayName": "team", "members": values(new)});
        let dying = harness.again(vec![crash.clone() as Arc<_>]).await;
        let status = dying.send("PUT", &path, body.clone()).await.status;
        happened += usize::from(crash.happened());
        // A change that is committed is answered as done, though it died while it was carried out.
        assert!(status == 503 || status == 200, "{crash:?}: {status}");
        let seen = members_of(&harness, group).await;
        assert!(seen == set(new) || (status == 503 && seen == set(old)), "half done at {crash:?}");
        if happened % 2 == 0 {
            harness.settle().await;
            assert_eq!(members_of(&harness, group).await, seen, "the worker finishes what was committed, no more");
            assert_eq!(who_shows(&harness, group, &ids).await, seen, "{crash:?}");
        }
        let retried = loop {
            match harness.send("PUT", &path, body.clone()).await.status {
                503 => harness.settle().await,
                status => break status,
            };
        };
        assert_eq!(retried, 200);
        assert_eq!(members_of(&harness, group).await, set(new), "{crash:?}");
        harness.settle().await;
        assert_eq!(who_shows(&harness, group, &ids).await, set(new), "{crash:?}");
        (old, new) = (new, old);
    }
    assert!(happened > parts, "{happened}");
    let rows = harness.count(Table::Links).await;
    assert_eq!(rows, side + 1, "a row for each member, and the name");
    eprintln!("{side} members replaced by {side}, crashed at {happened} points");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_a_large_group_or_of_a_user_in_many() {
    let harness = Harness::new().await;
    let ids = users(&harness, "u", 120).await;
    let large = group(&harness, "large", &ids).await;
    let outer = harness.send("POST", "/Groups", json!({"displayName": "outer", "members": [{"value": large}]})).await;
    assert_eq!(harness.send("DELETE", &format!("/Groups/{large}"), None).await.status, 204);
    assert_eq!(harness.settle().await, 1);
    assert!(who_shows(&harness, &large, &ids).await.is_empty());
    assert!(members_of(&harness, outer.body["id"].as_str().unwrap()).await.is_empty());
    assert!(
        members_of(&harness, &group(&harness, "LARGE", &[]).await).await.is_empty(),
        "a group of that name starts empty"
    );
    let busy = &ids[0];
    for i in 0..60 {
        group(&harness, &format!("g{i}"), std::slice::from_ref(busy)).await;
    }
    assert_eq!(harness.send("DELETE", &format!("/Users/{busy}"), None).await.status, 204);
    assert!(harness.find("userName eq \"u0\"").await.is_empty());
    assert_eq!(harness.user("u0").await.len(), 36);
    assert_eq!(harness.settle().await, 1);
    let rows = harness.dump(Table::Links).await;
    assert!(!format!("{rows:?}").contains(busy.as_str()), "a dangling row");
    assert_eq!(rows.len(), 62, "the names of the groups, and no member");
}

#[tokio::test(start_paused = true)]
async fn a_groups_version_moves_with_its_members_and_guards_it() {
    let harness = Harness::new().await;
    let ids = users(&harness, "u", 2).await;
    let path = format!("/Groups/{}", group(&harness, "team", &ids[..1]).await);
    let etag = harness.send("GET", &path, None).await.headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(harness.send_with("GET", &path, None, &[("if-none-match", &etag)]).await.status, 304);
    assert_eq!(harness.send_with("PATCH", &path, add(&ids), &[("if-match", &etag)]).await.status, 204);
    assert_eq!(harness.send_with("GET", &path, None, &[("if-none-match", &etag)]).await.status, 200);
    for (method, body) in [("PATCH", Some(add(&ids))), ("PUT", Some(json!({"displayName": "x"}))), ("DELETE", None)] {
        assert_eq!(harness.send_with(method, &path, body, &[("if-match", &etag)]).await.status, 412, "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_is_no_member_of_itself_and_ids_have_one_spelling() {
    let harness = Harness::new().await;
    let ids = users(&harness, "u", 2).await;
    let team = group(&harness, "team", &ids).await;
    let path = format!("/Groups/{team}");
    let own = harness.send("PATCH", &path, add(std::slice::from_ref(&team))).await;
    own.assert_error(400, "invalidValue");
    let spelt = [ids[0].replace('-', ""), ids[1].to_uppercase(), ids[1].clone()];
    assert_eq!(harness.send("PATCH", &path, add(&spelt)).await.status, 204);
    let put = harness.send("PUT", &path, json!({"displayName": "team", "members": values(&spelt)})).await;
    assert_eq!((put.status, put.body["members"].as_array().unwrap().len()), (200, 2));
    for filter in ["displayName eq \"team\" or members eq \"\"", &format!("members eq \"{}\"", ids[0].to_uppercase())] {
        let found = harness.send("GET", &format!("/Groups?filter={}", encode(filter)), None).await;
        assert_eq!((found.status, &found.body["totalResults"]), (200, &json!(1)), "{filter}");
    }
}

#[tokio::test(start_paused = true)]
async fn whole_replacements_and_guarded_changes_at_once_are_one_after_the_other() {
    let harness = Harness::with(vec![Conflict::new()]).await;
    let ids = users(&harness, "u", 8).await;
    let path = format!("/Groups/{}", group(&harness, "team", &[]).await);
    let puts =
        ids.iter().map(|id| harness.send("PUT", &path, json!({"displayName": "team", "members": [{"value": id}]})));
    all_succeed(&join_all(puts).await);
    let left = harness.send("GET", &path, None).await;
    assert_eq!(left.body["members"].as_array().unwrap().len(), 1, "one of the lists, not a mixture");
    let etag = [("if-match", left.headers["etag"].to_str().unwrap())];
    let absent: Vec<_> = ids.iter().filter(|id| left.body["members"][0]["value"] != id.as_str()).collect();
    let adds = absent.iter().map(|id| harness.send_with("PATCH", &path, add(std::slice::from_ref(id)), &etag));
    let replies = join_all(adds).await;
    let count = |status| replies.iter().filter(|reply| reply.status == status).count();
    assert_eq!((count(204), count(412)), (1, absent.len() - 1));
}

#[tokio::test(start_paused = true)]
async fn another_tenants_user_is_nobody_to_a_group() {
    let harness = Harness::new().await;
    let header = format!("Bearer {}", harness.globex);
    let body = json!({"userName": "theirs"}).to_string().into_bytes();
    let theirs = harness.raw("POST", "/globex/scim/v2/Users", body, &[("authorization", &header)]).await;
    let theirs = vec![theirs.body["id"].as_str().unwrap().to_owned()];
    let group = group(&harness, "ours", &[]).await;
    let path = format!("/Groups/{group}");
    let put = json!({"displayName": "ours", "members": values(&theirs)});
    for (method, body) in [("PATCH", add(&theirs)), ("PUT", put)] {
        let refused = harness.send(method, &path, body).await;
        refused.assert_error(400, "invalidValue");
    }
    assert!(members_of(&harness, &group).await.is_empty());
    let filter = encode(&format!("members eq \"{}\"", theirs[0]));
    assert_eq!(harness.send("GET", &format!("/Groups?filter={filter}"), None).await.body["totalResults"], 0);
}

/// The endpoint without the protection, which counts the members of a large group before it is deleted.
async fn unprotected(harness: Harness) -> Harness {
    let admin = harness.operator().await;
    let settings = json!({"settings": {"protect": "off"}});
    assert_eq!(crate::admin::ask(&harness, &admin, "PATCH", "/tenants/acme", settings).await.status, 200);
    harness
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_process_has_committed_the_worker_finishes_even_if_it_dies_itself() {
    if !is_embedded() {
        return;
    }
    // Joining 60 members looks each up before it commits, at call 63; deleting the group commits at call 4.
    for (deletes, at) in [(false, 66), (false, 100), (false, 170), (true, 4)] {
        let harness = unprotected(Harness::new().await).await;
        let ids = users(&harness, "u", 60).await;
        let joined = group(&harness, "joined", &[]).await;
        let deleted = group(&harness, "deleted", &ids).await;
        let dying = harness.again(vec![Crash::after(at) as Arc<_>]).await;
        let (method, path, body) = match deletes {
            false => ("PATCH", format!("/Groups/{joined}"), Some(add(&ids))),
            true => ("DELETE", format!("/Groups/{deleted}"), None),
        };
        // What is committed is answered as done, unless the answer to the commit itself is lost.
        assert_eq!(dying.send(method, &path, body).await.status, if deletes { 503 } else { 204 }, "{at}");
        let (joined_now, deleted_now) = match deletes {
            false => (set(&ids), set(&ids)),
            true => (BTreeSet::new(), BTreeSet::new()),
        };
        for at in [3, 40, 120, 1_000] {
            assert_eq!(members_of(&harness, &joined).await, joined_now, "committed, and so seen at once");
            assert_eq!(members_of(&harness, &deleted).await, deleted_now);
            harness.again(vec![Crash::after(at) as Arc<_>]).await.try_to_settle().await;
        }
        assert_eq!(harness.settle().await, 0);
        assert_eq!(who_shows(&harness, &joined, &ids).await, joined_now);
        assert_eq!(who_shows(&harness, &deleted, &ids).await, deleted_now);
        let names = if deletes { 1 } else { 2 };
        assert_eq!(harness.count(Table::Links).await, joined_now.len() + deleted_now.len() + names);
    }
}

/// Loses every answer to the write that commits a large change.
struct LostCommit;

impl Layer for LostCommit {
    fn loses_answers(&self) -> bool {
        true
    }

    fn after(&self, call: &DynamoCall, _: &Answer) -> Result<(), Lost> {
        let is_commit =
            call.operation == "UpdateItem" && call.body["ExpressionAttributeValues"].to_string().contains("\"whole\"");
        if is_commit { Err(Lost) } else { Ok(()) }
    }
}

/// Nobody knows then whether it is committed: what it has written must not be deleted.
#[tokio::test(start_paused = true)]
async fn a_large_change_whose_commit_has_no_answer_is_whole() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let ids = users(&harness, "u", 120).await;
    let (before, after) = ids.split_at(60);
    let group = group(&harness, "team", before).await;
    let lossy = harness.again(vec![Arc::new(LostCommit)]).await;
    let put = json!({"displayName": "team", "members": values(after)});
    assert_eq!(lossy.send("PUT", &format!("/Groups/{group}"), put).await.status, 503);
    assert_eq!(members_of(&harness, &group).await, set(after));
    harness.settle().await;
    assert_eq!(members_of(&harness, &group).await, set(after));
    assert_eq!(who_shows(&harness, &group, &ids).await, set(after));
}

/// A request that has read the group before it was deleted adds a member after it: nobody sees that, and it is swept.
#[tokio::test(start_paused = true)]
async fn what_is_added_to_a_group_while_it_is_deleted_does_not_stay() {
    if !is_embedded() {
        return;
    }
    for members_before in [0, 60] {
        let pause = Pause::at_transaction(1);
        let harness = Harness::new().await;
        let slow = harness.again(vec![pause.clone() as Arc<_>]).await;
        let late = harness.user("late").await;
        let ids = users(&harness, "u", members_before).await;
        let group = group(&harness, "team", &ids).await;
        harness.settle().await;
        let path = format!("/Groups/{group}");
        let adding = slow.send("PATCH", &path, add(std::slice::from_ref(&late)));
        let deleting = async {
            pause.reached().await;
            assert_eq!(harness.send("DELETE", &path, None).await.status, 204);
            pause.go_on();
        };
        let (added, ()) = futures_util::future::join(adding, deleting).await;
        assert!(added.status == 204 || added.status == 404, "{added:?}");
        assert_eq!(who_shows(&harness, &group, std::slice::from_ref(&late)).await, BTreeSet::new());
        assert_eq!(harness.settle().await, 1);
        assert_eq!(harness.count(Table::Links).await, 0);
        let items = format!("{:?}", harness.dump(Table::Users).await);
        assert!(!items.contains("groupIds"), "a user remembers a group that is gone");
    }
}

/// A member that goes away between the reads of a PUT and its transaction is reported as a member that does not exist. The
/// failed condition is the member's, wherever its write stands among the others.
#[tokio::test(start_paused = true)]
async fn a_member_deleted_during_a_put_is_not_reported_as_a_taken_name() {
    if !is_embedded() {
        return;
    }
    let pause = Pause::at_transaction(1);
    let harness = Harness::new().await;
    let slow = harness.again(vec![pause.clone() as Arc<_>]).await;
    let gone = harness.user("gone").await;
    let group = group(&harness, "team", &[]).await;
    let body = json!({"displayName": "team", "members": [{"value": gone}]});
    let (path, user) = (format!("/Groups/{group}"), format!("/Users/{gone}"));
    let replacing = slow.send("PUT", &path, body);
    let deleting = async {
        pause.reached().await;
        assert_eq!(harness.send("DELETE", &user, None).await.status, 204);
        pause.go_on();
    };
    let (replaced, ()) = futures_util::future::join(replacing, deleting).await;
    replaced.assert_error(400, "invalidValue");
    assert!(replaced.body["detail"].as_str().unwrap().contains(&gone), "{replaced:?}");
}

/// What a large change owes to time: a request answers when its change is committed, and the worker does the rest.
#[tokio::test(start_paused = true)]
async fn deleting_much_costs_the_budget_of_deleting_little() {
    if !is_embedded() {
        return;
    }
    let budget = Budget::new();
    let harness = unprotected(Harness::with(vec![budget.clone() as Arc<_>]).await).await;
    let many: usize = std::env::var("ROLLCALL_SCALE").map_or(300, |count| count.parse().unwrap());
    let groups_of_one = many.min(MAX_GROUPS_PER_USER);
    let mut spent = Vec::new();
    for (members, groups) in [(10, 10), (many, groups_of_one)] {
        let ids = users(&harness, &format!("of{members}-"), members).await;
        let large = group(&harness, "large", &[]).await;
        for some in ids.chunks(5_000) {
            while harness.send("PATCH", &format!("/Groups/{large}"), add(some)).await.status != 204 {
                harness.settle().await;
            }
        }
        let busy = harness.user("busy").await;
        let mut of_busy = Vec::new();
        for i in 0..groups {
            of_busy.push(group(&harness, &format!("g{i}"), std::slice::from_ref(&busy)).await);
        }
        harness.settle().await;
        let (user, team) = (format!("/Users/{busy}"), format!("/Groups/{large}"));
        budget.take();
        assert_eq!(harness.send("DELETE", &user, None).await.status, 204);
        let of_user = budget.take();
        assert_eq!(harness.send("DELETE", &team, None).await.status, 204);
        spent.push((of_user, budget.take()));
        assert_eq!(harness.send("GET", &user, None).await.status, 404);
        assert_eq!(harness.send("GET", &team, None).await.status, 404);
        for id in [&of_busy[0], of_busy.last().unwrap()] {
            assert!(members_of(&harness, id).await.is_empty(), "seen before it is swept");
        }
        let again = harness.user("BUSY").await;
        let large_again = group(&harness, "Large", &[]).await;
        assert!(members_of(&harness, &large_again).await.is_empty(), "a group of that name starts empty");
        assert!(who_shows(&harness, &of_busy[0], std::slice::from_ref(&again)).await.is_empty(), "and so does a user");
        harness.settle().await;
        assert_eq!(harness.count(Table::Links).await, groups + 1, "the names of the groups, and no member");
        for path in of_busy.iter().map(|id| format!("/Groups/{id}")).chain([format!("/Users/{again}")]) {
            assert_eq!(harness.send("DELETE", &path, None).await.status, 204);
        }
        assert_eq!(harness.send("DELETE", &format!("/Groups/{large_again}"), None).await.status, 204);
        harness.settle().await;
        assert_eq!(harness.count(Table::Links).await, 0);
    }
    eprintln!("deleting a user in 10 groups and one in {groups_of_one}, a group of 10 and one of {many}: {spent:#?}");
    let ((few, small), (many, large)) = (&spent[0], &spent[1]);
    assert!(many.round_trips <= few.round_trips && many.calls.len() <= few.calls.len());
    assert!(large.round_trips <= small.round_trips && large.calls.len() <= small.calls.len() && large.wcu <= small.wcu);
}
