//! Refuses what the route under test has not declared, as its IAM role would, and notes what it used.

use std::collections::BTreeSet;
use std::sync::Mutex;

use rollcall::api::Route;
use rollcall::store::dynamo::tables::{AccessList, Table, TablePermission};
use serde_json::{Value, json};

use super::wire::{Answer, DynamoCall, Layer, Lost};

tokio::task_local! {
    /// The route that the request under way goes to, or the worker: its name and what it declares.
    pub static ROLE: Option<Role>;
}

pub type Role = (&'static str, AccessList);

pub fn role(route: &'static Route) -> Role {
    (route.name, route.access)
}

/// What each role was seen to use.
pub static USED: Mutex<BTreeSet<(&'static str, TablePermission)>> = Mutex::new(BTreeSet::new());

pub struct Guard;

impl Layer for Guard {
    fn before(&self, call: &DynamoCall) -> Result<Option<Answer>, Lost> {
        // A task that the request started, or none: nothing to hold it to.
        let Ok(role) = ROLE.try_with(|role| *role) else { return Ok(None) };
        let Some((name, declared)) = role else { return Ok(Some(denied("no route"))) };
        for Wanted { table, action, index, body } in accesses(call) {
            let is_it = |a: &&TablePermission| (a.table, a.action, a.index) == (table, &action, index.as_deref());
            let partition = body.pointer("/Item/pk/S").and_then(Value::as_str).unwrap_or_default();
            let mut allowed: Vec<_> = declared
                .iter()
                .copied()
                .flatten()
                .filter(is_it)
                .filter(|a| a.attributes.is_none_or(|only| keeps_to(&body, only)))
                .filter(|a| a.lane.is_none_or(|lane| partition.ends_with(lane)))
                .collect();
            // The narrowest one is what it needs.
            allowed.sort_by_key(|a| a.lane.is_none());
            match allowed.first() {
                Some(access) => USED.lock().unwrap().insert((name, **access)),
                None => {
                    let what = format!("{name} may not {action} on {table:?} {index:?}");
                    eprintln!("{what}");
                    return Ok(Some(denied(&what)));
                }
            };
        }
        Ok(None)
    }
}

/// What a call does to one table.
struct Wanted {
    table: Table,
    action: String,
    index: Option<String>,
    body: Value,
}

/// Whether an update names no other attributes, and asks for no whole item: what the condition of its statement says.
/// Names stand in expressions by `#` alone.
fn keeps_to(body: &Value, only: &[&str]) -> bool {
    let key = body["Key"].as_object().unwrap().keys().map(String::as_str);
    let named = body["ExpressionAttributeNames"].as_object().unwrap().values().map(|name| name.as_str().unwrap());
    let returns =
        ["ReturnValues", "ReturnValuesOnConditionCheckFailure"].map(|what| body[what].as_str().unwrap_or("NONE"));
    key.chain(named).all(|name| only.contains(&name)) && returns == ["NONE"; 2]
}

fn accesses(call: &DynamoCall) -> Vec<Wanted> {
    let one = |action: &str, body: &Value| {
        let name = body["TableName"].as_str().unwrap();
        let table = Table::ALL.into_iter().find(|table| name.ends_with(table.as_str())).unwrap();
        let index = body["IndexName"].as_str().map(str::to_owned);
        Wanted { table, action: action.to_owned(), index, body: body.clone() }
    };
    if let Some(tables) = call.body["RequestItems"].as_object() {
        return tables.keys().map(|name| one(&call.operation, &serde_json::json!({"TableName": name}))).collect();
    }
    match call.body["TransactItems"].as_array() {
        None => vec![one(&call.operation, &call.body)],
        Some(items) => items
            .iter()
            .flat_map(|item| item.as_object().unwrap())
            .map(|(kind, body)| one(action_of(kind), body))
            .collect(),
    }
}

fn action_of(kind: &str) -> &'static str {
    match kind {
        "Put" => "PutItem",
        "Update" => "UpdateItem",
        "Delete" => "DeleteItem",
        "ConditionCheck" => "ConditionCheckItem",
        other => panic!("{other}"),
    }
}

fn denied(what: &str) -> Answer {
    (400, json!({"__type": "com.amazon.coral.service#AccessDeniedException", "message": what}))
}
