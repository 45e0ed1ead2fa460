//! What operators do is in the log, with how it was before and after; what they do not do is not.

use super::*;

#[tokio::test(start_paused = true)]
async fn each_admin_action_is_one_entry_with_before_and_after() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let act = async |method: &str, path: &str, body: Value, status: u16| {
        let reply = ask(&harness, &admin, method, path, body).await;
        assert_eq!(reply.status, status, "{method} {path}: {reply:?}");
        reply.body
    };
    act("POST", "/tenants", json!({"name": "initech"}), 201).await;
    act("POST", "/tenants", json!({"name": "initech"}), 409).await;
    let change = json!({"settings": {"inviteAutomatically": true}});
    act("PATCH", "/tenants/initech", change.clone(), 200).await;
    act("PATCH", "/tenants/initech", change, 200).await;
    let robot = "/tenants/initech/automation-users/robot";
    for active in [false, true, true] {
        act("PUT", robot, json!({"active": active}), 200).await;
    }
    let keys = "/tenants/initech/keys";
    let created = act("POST", keys, json!({"description": "Entra", "scopes": ["read"]}), 201).await;
    let id = created["id"].as_str().unwrap();
    let successor = act("POST", &format!("{keys}/{id}/rotate"), Value::Null, 201).await;
    for _ in 0..2 {
        act("DELETE", &format!("{keys}/{id}"), Value::Null, 204).await;
    }
    act("DELETE", &format!("{keys}/00000000000000"), Value::Null, 404).await;
    let admin_entries = entries(&harness, &admin, "initech", "kind=admin").await;
    let mut types = texts(&admin_entries, "/type");
    types.sort_unstable();
    let expected = [
        "automation-user.activated",
        "automation-user.created",
        "key.created",
        "key.created",
        "key.revoked",
        "key.rotated",
        "tenant.changed",
        "tenant.created",
    ];
    assert_eq!(types, expected, "{admin_entries:#?}");
    let of = |kind: &str| admin_entries.iter().rfind(|entry| entry["type"] == kind).unwrap();
    let operator = &of("tenant.created")["actor"]["key"];
    assert!(operator.as_str().is_some_and(|key| admin.contains(key)), "{operator}");
    assert_eq!(of("tenant.created")["request"].as_str().unwrap().len(), 32);
    let changed = of("tenant.changed");
    assert_eq!(
        (&changed["before"]["inviteAutomatically"], &changed["after"]["inviteAutomatically"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(of("key.rotated")["after"]["successor"], successor["id"]);
    assert_eq!(of("key.rotated")["before"]["ends"], created["expires"]);
    assert_eq!(of("key.revoked")["before"]["description"], "Entra");
    assert_eq!(
        (&of("key.revoked")["resource"]["id"], &of("key.created")["resource"]["type"]),
        (&json!(id), &json!("Key"))
    );
    for secret in [&created, &successor] {
        let secret = secret["secret"].as_str().unwrap();
        assert!(!json!(admin_entries).to_string().contains(&secret[secret.len() - 20..]), "no secret is in the log");
    }
    // What an operator was refused is in the operators' own log.
    let refused = entries(&harness, &admin, "admin", "kind=refusal").await;
    assert_eq!(texts(&refused, "/target"), ["initech/00000000000000", "-"]);
}

#[tokio::test(start_paused = true)]
async fn an_action_and_its_entry_are_there_together_or_not_at_all() {
    if !is_embedded() {
        return;
    }
    for at in 1..=3 {
        for crash in [crate::support::crash::Crash::before(at), crate::support::crash::Crash::after(at)] {
            let harness = Harness::new().await;
            let admin = harness.operator().await;
            let dying = harness.again(vec![crash]).await;
            ask(&dying, &admin, "POST", "/tenants", json!({"name": "initech"})).await;
            let is_there = harness.app.store.tenant(&"initech".parse().unwrap()).await.unwrap().is_some();
            let rows = harness.dump(Table::Changes).await;
            let has_entry = rows.iter().any(|row| row["pk"].as_s().unwrap() == "initech#a");
            assert_eq!(is_there, has_entry, "call {at}");
        }
    }
}
