//! Profiles and settings of tenants, through the endpoint and on the command line.

use std::path::Path;
use std::process::{Command, Output};

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use rollcall::limits::KEYS_AT_ONCE;
use rollcall::store::StoreError;
use rollcall::store::dynamo::tables::Table;
use rollcall::tenant::{OnDeactivation, Profile, ProfileRef, Settings, TenantConfig, TenantName};
use serde_json::{Value, json};

use crate::support::budget::Budget;
use crate::support::crash::Crash;
use crate::support::{ENTERPRISE, Harness, Item, ScimResponse, encode, is_embedded, key, patch};

const JOSTLE: &str = "urn:ietf:params:scim:schemas:extension:jostle:2.0:User";
const APP: &str = "urn:example:params:scim:app:2.0:User";
const WORK: &str = "emails[type eq \"work\"].value";

/// A tenant with a profile, and a key of it.
struct Tenant<'h> {
    harness: &'h Harness,
    name: TenantName,
    token: String,
}

impl<'h> Tenant<'h> {
    async fn new(harness: &'h Harness, profile: ProfileRef) -> Self {
        let name: TenantName = "saas".parse().unwrap();
        let store = &harness.app.store;
        let config = TenantConfig { profile, ..TenantConfig::default() };
        assert!(store.add_tenant(&name, &config, Timestamp::now()).await.unwrap());
        let token = key(store, &name, |_| {}).await;
        Self { harness, name, token }
    }

    async fn shipped(harness: &'h Harness, profile: &str) -> Self {
        Self::new(harness, ProfileRef::shipped(profile).unwrap()).await
    }

    async fn own(harness: &'h Harness, profile: &Value) -> Self {
        let reference = keep(harness, profile).await;
        Self::new(harness, reference).await
    }

    async fn send(&self, method: &str, path: &str, body: impl Into<Option<Value>>) -> ScimResponse {
        let body = body.into().map(|body| body.to_string()).unwrap_or_default();
        let authorization = format!("Bearer {}", self.token);
        let uri = format!("/{}/scim/v2{path}", self.name);
        self.harness.raw(method, &uri, body.into(), &[("authorization", &authorization)]).await
    }

    async fn create(&self, body: Value) -> String {
        let reply = self.send("POST", "/Users", body).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.body["id"].as_str().unwrap().to_owned()
    }

    /// The ids in a list.
    async fn ids(&self, path: &str) -> Vec<String> {
        let reply = self.send("GET", path, None).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let all = reply.body["Resources"].as_array().unwrap();
        all.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    }

    async fn set(&self, profile: ProfileRef, settings: Settings) -> usize {
        let store = &self.harness.app.store;
        let record = store.tenant(&self.name).await.unwrap().unwrap();
        store.set_tenant(&record, profile, settings, Timestamp::now()).await.unwrap()
    }
}

/// Keeps a profile's text for the tenant.
async fn keep(harness: &Harness, profile: &Value) -> ProfileRef {
    let text = profile.to_string();
    let reference = ProfileRef::own(&Profile::parse_own(&text).unwrap(), &text);
    let saas = "saas".parse().unwrap();
    harness.app.store.add_profile(&saas, reference.digest().unwrap(), &text).await.unwrap();
    reference
}

/// A profile of a company's own: no groups, an extension whose one attribute minds case and whose other is a number.
fn own_profile() -> Value {
    json!({
        "name": "app", "credentials": ["bearer"], "groups": false, "required": [format!("{APP}:badge")],
        "schemas": [{"id": APP, "name": "AppUser", "attributes": [
            {"name": "badge", "type": "string", "caseExact": true},
            {"name": "alias", "type": "string"},
            {"name": "level", "type": "integer"},
        ]}],
    })
}

fn of_jostle(name: &str) -> Value {
    json!({"userName": name, "emails": [{"type": "work", "value": format!("{name}@example.com")}]})
}

fn shipped(name: &str) -> ProfileRef {
    ProfileRef::shipped(name).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_configuration_says_how_clients_of_the_profile_show_who_they_are() {
    for (profile, expected) in [
        ("default", vec!["oauthbearertoken", "httpbasic", "oauth2"]),
        ("jostle", vec!["oauthbearertoken", "oauth2"]),
        ("jive", vec!["httpbasic", "oauth2"]),
    ] {
        let harness = Harness::new().await;
        let tenant = Tenant::shipped(&harness, profile).await;
        let config = tenant.send("GET", "/ServiceProviderConfig", None).await.body;
        let schemes = config["authenticationSchemes"].as_array().unwrap();
        assert_eq!(schemes.iter().map(|scheme| scheme["type"].as_str().unwrap()).collect::<Vec<_>>(), expected);
        assert_eq!(schemes.iter().filter(|scheme| scheme["primary"] == true).count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn discovery_shows_the_profile_of_the_tenant() {
    let harness = Harness::new().await;
    let tenant = Tenant::shipped(&harness, "jostle").await;
    let core = "urn:ietf:params:scim:schemas:core:2.0:User";
    let schemas = tenant.ids("/Schemas").await;
    assert!(schemas.contains(&JOSTLE.to_owned()) && !schemas.contains(&ENTERPRISE.to_owned()), "{schemas:?}");
    assert_eq!(tenant.ids("/ResourceTypes").await, ["User", "Group"]);
    let user = tenant.send("GET", "/ResourceTypes/User", None).await.body;
    assert_eq!(user["schemaExtensions"], json!([{"schema": JOSTLE, "required": false}]));
    let published = tenant.send("GET", &format!("/Schemas/{core}"), None).await.body;
    let names: Vec<_> = published["attributes"].as_array().unwrap().iter().map(|a| a["name"].clone()).collect();
    assert_eq!(names, ["userName", "name", "active", "emails", "groups"]);
    assert_eq!(published["attributes"][3]["required"], true);
    let of_extension = tenant.send("GET", &format!("/Schemas/{JOSTLE}"), None).await.body;
    assert_eq!(of_extension["attributes"][0]["name"], "alternateEmail1Label");
    // The other tenants' documents are as they were.
    let default = harness.send("GET", "/Schemas", None).await.body;
    assert_eq!(default["totalResults"], 4);
    assert!(!default.to_string().contains("jostle"));
}

#[tokio::test(start_paused = true)]
async fn what_a_profile_requires_is_required_on_every_way_of_writing() {
    let harness = Harness::new().await;
    let tenant = Tenant::shipped(&harness, "jostle").await;
    let id = tenant.create(of_jostle("bob")).await;
    let before = harness.dump(Table::Users).await;
    let path = format!("/Users/{id}");
    let bare = json!({"userName": "bob", "emails": [{"type": "home", "value": "bob@example.org"}]});
    let removed = patch(json!([{"op": "remove", "path": WORK}]));
    let emptied = patch(json!([{"op": "Replace", "path": WORK, "value": ""}]));
    let cleared = patch(json!([{"op": "remove", "path": "emails"}]));
    let moved = patch(json!([{"op": "replace", "path": "emails[type eq \"work\"].type", "value": "home"}]));
    for (method, path, body) in [
        ("POST", "/Users", json!({"userName": "eve"})),
        ("POST", "/Users", json!({"userName": "eve", "emails": [{"type": "work", "value": ""}]})),
        ("PUT", path.as_str(), bare.clone()),
        ("PATCH", path.as_str(), removed.clone()),
        ("PATCH", path.as_str(), emptied),
        ("PATCH", path.as_str(), cleared),
    ] {
        let reply = tenant.send(method, path, body).await;
        reply.assert_error(400, "invalidValue");
        let detail = reply.body["detail"].as_str().unwrap();
        assert!(detail.starts_with(&format!("{WORK} is required")) && detail.contains("jostle"), "{detail}");
    }
    let relabelled = tenant.send("PATCH", &path, moved).await;
    assert_eq!(relabelled.status, 400, "{relabelled:?}");
    let bulk = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [
        {"method": "POST", "path": "/Users", "bulkId": "a", "data": {"userName": "eve"}},
        {"method": "PUT", "path": path, "data": bare},
        {"method": "PATCH", "path": path, "data": removed},
    ]});
    let reply = tenant.send("POST", "/Bulk", bulk).await;
    for operation in reply.body["Operations"].as_array().unwrap() {
        assert_eq!(operation["status"], "400", "{operation}");
        assert!(operation["response"]["detail"].as_str().unwrap().starts_with(WORK), "{operation}");
    }
    assert_eq!(harness.dump(Table::Users).await, before, "nothing was written");
}

#[tokio::test(start_paused = true)]
async fn a_key_of_a_user_changes_that_user_by_the_same_rules() {
    let harness = Harness::new().await;
    let tenant = Tenant::shipped(&harness, "jostle").await;
    tenant.create(of_jostle("bot")).await;
    let store = &harness.app.store;
    let token = key(store, &tenant.name, |record| record.automation = Some("bot".into())).await;
    let bot = Tenant { harness: &harness, name: tenant.name.clone(), token };
    let refused = bot.send("PATCH", "/Me", patch(json!([{"op": "remove", "path": "emails"}]))).await;
    assert_eq!(refused.status, 400);
    assert!(refused.body["detail"].as_str().unwrap().starts_with(WORK));
    assert_eq!(bot.send("PUT", "/Me", of_jostle("bot")).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn what_a_profile_does_not_name_is_stored_and_returned() {
    let harness = Harness::new().await;
    let tenant = Tenant::shipped(&harness, "jostle").await;
    let mut user = of_jostle("bob");
    user["title"] = json!("Tour Guide");
    user["shoeSize"] = json!(43);
    user[ENTERPRISE] = json!({"department": "Sales", "manager": "26118915"});
    user["urn:example:other:2.0:User"] = json!({"a": 1});
    let id = tenant.create(user).await;
    let read = tenant.send("GET", &format!("/Users/{id}"), None).await.body;
    assert_eq!((&read["title"], &read["shoeSize"]), (&json!("Tour Guide"), &json!(43)));
    assert_eq!(read[ENTERPRISE], json!({"department": "Sales", "manager": {"value": "26118915"}}));
    assert_eq!(read["urn:example:other:2.0:User"]["a"], 1);
    assert_eq!(tenant.ids(&format!("/Users?filter={}", encode("title eq \"tour guide\""))).await, [id]);
}

#[tokio::test(start_paused = true)]
async fn a_profile_of_ones_own_has_types_that_are_kept_and_searched() {
    let harness = Harness::new().await;
    let tenant = Tenant::own(&harness, &own_profile()).await;
    let user = |badge: &str| json!({"userName": badge, APP: {"badge": badge, "level": 3, "alias": "Bobby"}});
    let id = tenant.create(user("aB")).await;
    tenant.create(user("AB2")).await;
    let refused = tenant.send("POST", "/Users", json!({"userName": "x", APP: {"badge": "c", "level": "three"}})).await;
    assert_eq!(refused.status, 400);
    assert!(refused.body["detail"].as_str().unwrap().contains("level must be an integer"));
    let refused = tenant.send("POST", "/Users", json!({"userName": "x"})).await;
    assert!(refused.body["detail"].as_str().unwrap().starts_with(&format!("{APP}:badge is required")));
    let found = std::slice::from_ref(&id);
    let find = |filter: String| {
        let tenant = &tenant;
        async move { tenant.ids(&format!("/Users?filter={}", encode(&filter))).await }
    };
    assert_eq!(find(format!("{APP}:badge eq \"aB\"")).await, found);
    assert!(find(format!("{APP}:badge eq \"AB\"")).await.is_empty(), "case matters, as declared");
    assert_eq!(find(format!("{APP}:alias eq \"BOBBY\"")).await.len(), 2, "and here it does not");
    assert_eq!(find("badge eq \"aB\"".to_owned()).await, found, "a bare name is that of the one extension");
    assert_eq!(find(format!("{APP}:level gt 2")).await.len(), 2);
    let by_name = format!("userName eq \"ab\" and {APP}:badge eq");
    assert_eq!(find(format!("{by_name} \"aB\"")).await, found, "also beside an index");
    assert!(find(format!("{by_name} \"ab\"")).await.is_empty());
    let wrong = tenant.send("GET", &format!("/Users?filter={}", encode(&format!("{APP}:level co \"3\""))), None).await;
    wrong.assert_error(400, "invalidFilter");
    let change = patch(
        json!([{"op": "replace", "path": format!("{APP}:level"), "value": 4}, {"op": "add", "path": "alias", "value": "B"}]),
    );
    let changed = tenant.send("PATCH", &format!("/Users/{id}"), change).await;
    assert_eq!(changed.body[APP], json!({"badge": "aB", "level": 4, "alias": "B"}));
    let types = tenant.send("GET", "/ResourceTypes/User", None).await.body;
    assert_eq!(types["schemaExtensions"][1], json!({"schema": APP, "required": true}));
}

#[tokio::test(start_paused = true)]
async fn a_profile_without_groups_has_no_endpoint_of_groups() {
    let harness = Harness::new().await;
    let tenant = Tenant::own(&harness, &own_profile()).await;
    let id = tenant.create(json!({"userName": "bob", APP: {"badge": "b"}})).await;
    assert_eq!(tenant.ids("/ResourceTypes").await, ["User"]);
    assert!(tenant.ids("/Schemas").await.iter().all(|id| !id.contains("Group")));
    for path in
        ["/ResourceTypes/Group", "/ResourceTypes/GroupMember", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:Group"]
    {
        assert_eq!(tenant.send("GET", path, None).await.status, 404, "{path}");
    }
    let group = json!({"displayName": "team"});
    let search = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]});
    for (method, path, body) in [
        ("GET", "/Groups".to_owned(), None),
        ("POST", "/Groups".to_owned(), Some(group.clone())),
        ("POST", "/Groups/.search".to_owned(), Some(search.clone())),
        ("GET", format!("/Groups/{id}"), None),
        ("PUT", format!("/Groups/{id}"), Some(group.clone())),
        ("PATCH", format!("/Groups/{id}"), Some(patch(json!([])))),
        ("DELETE", format!("/Groups/{id}"), None),
        ("GET", "/GroupMembers".to_owned(), None),
        ("POST", "/GroupMembers/.search".to_owned(), Some(search)),
        ("POST", "/GroupMembers".to_owned(), Some(json!({}))),
        ("DELETE", format!("/GroupMembers/{id}.{id}"), None),
    ] {
        let reply = tenant.send(method, &path, body).await;
        assert_eq!(reply.status, 404, "{method} {path}: {reply:?}");
        assert!(reply.body["detail"].as_str().unwrap().contains("offers no groups"), "{method} {path}: {reply:?}");
    }
    let bulk = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [{"method": "POST", "path": "/Groups", "bulkId": "g", "data": group}]});
    assert_eq!(tenant.send("POST", "/Bulk", bulk).await.body["Operations"][0]["status"], "404");
    assert_eq!(tenant.ids("/").await, [id], "a search of everything is one of users");
    assert_eq!(harness.count(Table::Groups).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_profile_costs_no_read_but_one_of_ones_own_once_in_a_process() {
    if !is_embedded() {
        return;
    }
    let setup = Harness::new().await;
    let tenant = Tenant::own(&setup, &own_profile()).await;
    let id = tenant.create(json!({"userName": "bob", APP: {"badge": "b"}})).await;
    let budget = Budget::new();
    let harness = setup.again(vec![budget.clone()]).await;
    let tenant = Tenant { harness: &harness, name: tenant.name.clone(), token: tenant.token.clone() };
    let mut spent = Vec::new();
    for _ in 0..3 {
        budget.take();
        assert_eq!(tenant.send("GET", &format!("/Users/{id}"), None).await.status, 200);
        spent.push(budget.take().calls.len());
    }
    assert_eq!(spent, [3, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn every_write_of_a_user_says_which_settings_are_in_force() {
    let harness = Harness::new().await;
    let tenant = Tenant::shipped(&harness, "jostle").await;
    let report = || async {
        let items: Vec<Item> = harness.dump(Table::Users).await;
        let settings = items[0]["settings"].as_m().unwrap().clone();
        (*settings["inviteAutomatically"].as_bool().unwrap(), settings["onDeactivation"].as_s().unwrap().clone())
    };
    let id = tenant.create(of_jostle("bob")).await;
    assert_eq!(report().await, (false, "disable".to_owned()));
    let settings =
        Settings { invite_automatically: true, on_deactivation: OnDeactivation::Suspend, ..Settings::default() };
    assert_eq!(tenant.set(shipped("jostle"), settings).await, 1);
    let record = harness.app.store.tenant(&tenant.name).await.unwrap().unwrap();
    assert_eq!(record.config.settings, settings);
    assert_eq!(report().await.1, "disable", "who is not written is not changed");
    let off = patch(json!([{"op": "replace", "path": "active", "value": false}]));
    let patched = tenant.send("PATCH", &format!("/Users/{id}"), off).await;
    assert_eq!((patched.status, report().await), (200, (true, "suspend".to_owned())));
    assert!(patched.body.get("settings").is_none(), "nothing of it is told to clients");
    let keep_inviting = Settings { on_deactivation: OnDeactivation::Disable, ..settings };
    tenant.set(shipped("jostle"), keep_inviting).await;
    assert_eq!(tenant.send("PUT", &format!("/Users/{id}"), of_jostle("robert")).await.status, 200);
    assert_eq!(report().await, (true, "disable".to_owned()), "also in the new item of a rename");
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_there_follow_the_tenant_from_the_next_request_on() {
    let harness = Harness::new().await;
    let tenant = Tenant::shipped(&harness, "default").await;
    assert_eq!(tenant.send("POST", "/Users", json!({"userName": "bob"})).await.status, 201);
    key(&harness.app.store, &tenant.name, |_| {}).await;
    assert_eq!(tenant.set(shipped("jostle"), Settings::default()).await, 2);
    assert_eq!(tenant.send("POST", "/Users", json!({"userName": "eve"})).await.status, 400);
    assert_eq!(tenant.set(shipped("jostle"), Settings::default()).await, 0, "done again it does nothing");
    let own = keep(&harness, &own_profile()).await;
    tenant.set(own, Settings::default()).await;
    assert_eq!(tenant.send("GET", "/Groups", None).await.status, 404);
    assert_eq!(harness.app.store.keys(&tenant.name).await.unwrap().len(), 2, "a profile's text is no key");
}

/// ADR 0003: its price is one write for each key that may still work, many at once.
#[tokio::test(start_paused = true)]
async fn a_change_of_a_tenant_costs_one_write_for_each_key_that_may_still_work() {
    let harness = Harness::new().await;
    let tenant = Tenant::shipped(&harness, "default").await;
    let keys = std::env::var("ROLLCALL_KEYS").map_or(2 * KEYS_AT_ONCE + 1, |text| text.parse().unwrap());
    for _ in 1..keys {
        key(&harness.app.store, &tenant.name, |_| {}).await;
    }
    key(&harness.app.store, &tenant.name, |record| record.revoked = Some(Timestamp::now())).await;
    let budget = Budget::new();
    let counted = harness.again(vec![budget.clone()]).await;
    let record = harness.app.store.tenant(&tenant.name).await.unwrap().unwrap();
    let started = std::time::Instant::now();
    let behind =
        counted.app.store.set_tenant(&record, shipped("jostle"), Settings::default(), Timestamp::now()).await.unwrap();
    let spent = budget.take();
    println!("{keys} keys: {} ms", started.elapsed().as_millis());
    let writes = spent.calls.iter().filter(|call| *call != "Query").count();
    assert_eq!((behind, writes), (keys, keys + 1), "the tenant's record and its action are one transaction");
    // The keys are read by pages of 1 MB.
    let reads = spent.calls.len() - writes;
    assert_eq!(spent.round_trips, 1 + reads + keys.div_ceil(KEYS_AT_ONCE));
}

#[tokio::test(start_paused = true)]
async fn a_change_of_a_tenant_that_dies_at_any_call_is_completed_by_doing_it_again() {
    if !is_embedded() {
        return;
    }
    for (at, is_after) in (1..=4).flat_map(|at| [(at, false), (at, true)]) {
        let harness = Harness::new().await;
        let tenant = Tenant::shipped(&harness, "default").await;
        let second = Tenant {
            harness: &harness,
            name: tenant.name.clone(),
            token: key(&harness.app.store, &tenant.name, |_| {}).await,
        };
        let record = harness.app.store.tenant(&tenant.name).await.unwrap().unwrap();
        let crash = if is_after { Crash::after(at) } else { Crash::before(at) };
        let dying = harness.again(vec![crash.clone()]).await;
        let died = dying.app.store.set_tenant(&record, shipped("jostle"), Settings::default(), Timestamp::now()).await;
        assert!(died.is_err() && crash.happened(), "{at} {is_after}");
        for tenant in [&tenant, &second] {
            let status = tenant.send("POST", "/Users", json!({"userName": "x"})).await.status;
            assert!([201, 400, 409].contains(&status), "in between each key has one of the two: {status}");
        }
        tenant.set(shipped("jostle"), Settings::default()).await;
        for tenant in [&tenant, &second] {
            assert_eq!(tenant.send("POST", "/Users", json!({"userName": "y"})).await.status, 400, "{at} {is_after}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_is_not_created_with_what_its_tenant_was_a_moment_ago() {
    let harness = Harness::new().await;
    let tenant = Tenant::shipped(&harness, "default").await;
    let store = &harness.app.store;
    let old = store.tenant(&tenant.name).await.unwrap().unwrap();
    tenant.set(shipped("jostle"), Settings::default()).await;
    let mut late = store.keys(&tenant.name).await.unwrap().remove(0);
    late.id = rollcall::auth::ApiKey::mint(&tenant.name).unwrap().id().clone();
    late.config = old.config.clone();
    assert_eq!(store.add_key(&late, late.created).await, Err(StoreError::Contended(1)), "it may be done again");
    let refused = store.set_tenant(&old, shipped("jive"), Settings::default(), Timestamp::now()).await;
    assert_eq!(refused, Err(StoreError::Contended(1)));
}

#[tokio::test(start_paused = true)]
async fn tenants_and_keys_of_before_there_were_profiles_have_the_default_one() {
    let harness = Harness::new().await;
    let tenant = Tenant::shipped(&harness, "default").await;
    let client = harness.app.store.client();
    for item in harness.dump(Table::Keys).await {
        if item["tenant"].as_s().unwrap() != "saas" {
            continue;
        }
        let table = harness.app.store.names().of(Table::Keys);
        let update = client.update_item().table_name(table).update_expression("REMOVE profile, settings, ver");
        let update = update.key("tenant", AttributeValue::S("saas".into())).key("keyId", item["keyId"].clone());
        update.send().await.unwrap();
    }
    assert_eq!(tenant.send("POST", "/Users", json!({"userName": "bob"})).await.status, 201);
    let record = harness.app.store.tenant(&tenant.name).await.unwrap().unwrap();
    assert_eq!(record.config, TenantConfig::default());
    key(&harness.app.store, &tenant.name, |_| {}).await;
    assert_eq!(tenant.set(shipped("jostle"), Settings::default()).await, 2);
    assert_eq!(tenant.send("POST", "/Users", json!({"userName": "eve"})).await.status, 400);
}

fn rollcall(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rollcall")).args(args).arg("--data").arg(folder).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The lines of a table, their columns one blank apart.
fn fields(bytes: &[u8]) -> String {
    text(bytes).lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n").collect()
}

#[test]
fn tenants_are_created_returned_and_changed_on_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| rollcall(folder.path(), args);
    let added =
        run(&["tenant", "create", "acme", "--profile", "mindtickle", "--invite", "--on-deactivation", "suspend"]);
    assert!(added.status.success() && text(&added.stderr).contains("Its path is /acme/scim."), "{added:?}");
    let refused = run(&["key", "create", "acme", "--description", "x"]);
    assert!(!refused.status.success() && refused.stdout.is_empty());
    let said = text(&refused.stderr);
    assert!(
        said.contains("mindtickle") && said.contains("bearer") && said.contains("jwt, client, federation"),
        "{said}"
    );
    let output = run(&["tenant", "show", "acme"]);
    for line in ["profile mindtickle\n", "path /acme/scim\n", "inviteAutomatically true\n", "onDeactivation suspend\n"]
    {
        assert!(fields(&output.stdout).contains(line), "{output:?}");
    }
    let own = folder.path().join("app.json");
    std::fs::write(&own, own_profile().to_string()).unwrap();
    let set = run(&["tenant", "set", "acme", "--profile", own.to_str().unwrap(), "--invite", "false"]);
    assert!(set.status.success(), "{set:?}");
    let output = run(&["tenant", "show", "acme"]);
    for line in [
        "profile app@",
        "path /acme/scim/v2\n",
        &format!("required {APP}:badge\n"),
        "inviteAutomatically false\n",
        "onDeactivation suspend\n",
    ] {
        assert!(fields(&output.stdout).contains(line), "{output:?}");
    }
    assert!(run(&["key", "create", "acme", "--description", "x"]).status.success());
    assert!(run(&["tenant", "set", "acme", "--invite", "true"]).status.success());
    assert!(fields(&run(&["tenant", "show", "acme"]).stdout).contains("inviteAutomatically true"));
}

#[test]
fn profiles_are_listed_returned_and_checked_on_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| Command::new(env!("CARGO_BIN_EXE_rollcall")).args(args).output().unwrap();
    let listed = run(&["profile", "list"]);
    for name in ["default", "jostle", "juno-journey", "mindtickle", "jive"] {
        assert!(text(&listed.stdout).contains(name), "{listed:?}");
        assert_eq!(text(&run(&["profile", "show", name]).stdout), Profile::shipped(name).unwrap());
    }
    let file = folder.path().join("mine.json");
    let check = |profile: &str| {
        std::fs::write(&file, profile).unwrap();
        run(&["profile", "check", file.to_str().unwrap()])
    };
    assert!(text(&check(&own_profile().to_string()).stdout).contains("is valid"));
    let mut bad = own_profile();
    bad["schemas"][0]["attributes"][2]["type"] = json!("int");
    for (profile, said) in
        [(bad.to_string(), "schemas[0].attributes[2].type has an unknown variant"), ("{\n".into(), "line 2 column")]
    {
        let refused = check(&profile);
        assert!(!refused.status.success() && text(&refused.stderr).contains(said), "{refused:?}");
        let file = file.to_str().unwrap();
        let refused = rollcall(folder.path(), &["tenant", "create", "acme", "--profile", file]);
        assert!(!refused.status.success() && text(&refused.stderr).contains(said), "{refused:?}");
    }
    let nowhere = rollcall(folder.path(), &["tenant", "create", "acme", "--profile", "nonesuch"]);
    assert!(text(&nowhere.stderr).contains("use one of default, jostle"), "{nowhere:?}");
}
