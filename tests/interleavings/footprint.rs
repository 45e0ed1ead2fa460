//! What each operation of a set touches. A call that no other operation is in the way of is released at once: whichever
//! way it is ordered, the run goes on alike (a persistent set of one call: Godefroid, Partial-Order Methods, 1996).
//!
//! Nobody says beforehand what an operation will touch. So a set is explored with what its runs have touched until then,
//! and anew where a run touches something else that matters, until a whole exploration has not.

use std::collections::BTreeSet;

use serde_json::Value;

use super::state::writes;
use crate::support::wire::{DynamoCall, key_names};

/// Items of a table: one, those of a partition, or all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Items {
    table: String,
    partition: Option<String>,
    sort: Option<String>,
}

impl Items {
    fn overlap(&self, other: &Self) -> bool {
        let is_either = |one: &Option<String>, other: &Option<String>| one.is_none() || other.is_none() || one == other;
        self.table == other.table && is_either(&self.partition, &other.partition) && is_either(&self.sort, &other.sort)
    }
}

/// What one operation, or one call, reads and writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Footprint {
    reads: BTreeSet<Items>,
    writes: BTreeSet<Items>,
}

impl Footprint {
    /// Of a call whose body has names for ids. `is_named` says whether a text is such a name.
    pub fn of(call: &DynamoCall, is_named: impl Fn(&str) -> bool) -> Self {
        let mut footprint = Self::default();
        let body = &call.body;
        match call.operation.as_str() {
            "GetItem" => _ = footprint.reads.insert(item(body["TableName"].as_str().unwrap(), &body["Key"])),
            "Query" => footprint.reads.extend(query(body, is_named)),
            "BatchGetItem" => {
                for (table, request) in body["RequestItems"].as_object().unwrap() {
                    footprint.reads.extend(request["Keys"].as_array().unwrap().iter().map(|key| item(table, key)));
                }
            }
            "PutItem" | "UpdateItem" | "DeleteItem" | "BatchWriteItem" | "TransactWriteItems" => {
                let keys = writes(call).into_iter().flat_map(|write| write.written_keys());
                footprint.writes.extend(keys.map(|(table, key)| item(&table, &key)));
            }
            // To be sure: everything.
            _ => {
                let table = body["TableName"].as_str().unwrap().to_owned();
                footprint.writes.insert(Items { table, partition: None, sort: None });
            }
        }
        // Each store has a key of its own, which operations only read.
        footprint.reads.retain(|items| !items.table.ends_with("-keys"));
        assert!(footprint.writes.iter().all(|items| !items.table.ends_with("-keys")), "{call:?}");
        footprint
    }

    /// Whether the order of the two matters.
    pub fn meets(&self, other: &Self) -> bool {
        let any =
            |one: &BTreeSet<Items>, other: &BTreeSet<Items>| one.iter().any(|a| other.iter().any(|b| a.overlap(b)));
        any(&self.writes, &other.writes) || any(&self.writes, &other.reads) || any(&self.reads, &other.writes)
    }

    /// What of this is not in another one.
    fn beyond(&self, known: &Self) -> Self {
        let new = |own: &BTreeSet<Items>, known: &BTreeSet<Items>| own.difference(known).cloned().collect();
        Self { reads: new(&self.reads, &known.reads), writes: new(&self.writes, &known.writes) }
    }

    pub fn extend(&mut self, other: &Self) {
        self.reads.extend(other.reads.iter().cloned());
        self.writes.extend(other.writes.iter().cloned());
    }
}

/// What the operations of a set have touched in its runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Footprints(Vec<Footprint>);

impl Footprints {
    pub fn new(threads: usize) -> Self {
        Self(vec![Footprint::default(); threads])
    }

    pub fn add(&mut self, thread: usize, footprint: &Footprint) {
        self.0[thread].extend(footprint);
    }

    pub fn extend(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(own, other)| own.extend(other));
    }

    /// Whether one operation touches something that is not `known` of it, and that another one is in the way of.
    pub fn meet_beyond(&self, known: &Self) -> bool {
        let new = self.0.iter().zip(&known.0).map(|(own, known)| own.beyond(known));
        new.enumerate().any(|(thread, new)| self.meet(thread, &new))
    }

    /// Whether another operation touches what this call of a thread does.
    pub fn meet(&self, thread: usize, call: &Footprint) -> bool {
        self.0.iter().enumerate().any(|(other, footprint)| other != thread && call.meets(footprint))
    }
}

fn item(table: &str, keys: &Value) -> Items {
    let text = |name: &str| keys[name]["S"].as_str().unwrap_or_default().to_owned();
    // The first of two is the tenant, of which a set has one, or a partition.
    let (partition, sort) = match key_names(table) {
        ["tenant", id] => (text(id), String::new()),
        [partition, sort] => (text(partition), text(sort)),
    };
    Items { table: table.to_owned(), partition: Some(partition), sort: Some(sort) }
}

/// What a query reads: the item whose id it asks for, a partition, or, to be sure, the table.
fn query(body: &Value, is_named: impl Fn(&str) -> bool) -> Vec<Items> {
    let table = body["TableName"].as_str().unwrap().to_owned();
    let condition = body["KeyConditionExpression"].as_str().unwrap_or_default();
    let value = |name: &str| body["ExpressionAttributeValues"][name]["S"].as_str().map(str::to_owned);
    if condition.starts_with("#pk = :pk") {
        let sort = if condition == "#pk = :pk AND #sk = :sk" { value(":sk") } else { None };
        return vec![Items { table, partition: value(":pk"), sort }];
    }
    let asked = condition.strip_prefix("#tenant = :tenant AND ").and_then(|rest| rest.split_once(" = "));
    let asked = asked.and_then(|(_, name)| value(name)).filter(|text| is_named(text));
    vec![Items { table, sort: asked.as_ref().map(|_| String::new()), partition: asked }]
}
