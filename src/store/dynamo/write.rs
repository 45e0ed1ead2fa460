//! One write of a commit: what it puts, changes or deletes, under which condition, and what that condition protects.
//! Attributes are given by name and values by value; the expressions and their bindings are written here and nowhere
//! else.

use aws_sdk_dynamodb::types::AttributeValue;

use super::item::{Item, n};
use super::tables::Table;
use crate::store::model::format::note_format;

/// What an expression's placeholders stand for.
pub(super) type Bindings<V> = std::collections::HashMap<String, V>;

/// One write of a commit.
#[derive(Debug, Clone)]
pub(in crate::store) struct Write {
    pub(super) table: Table,
    pub(super) kind: WriteKind,
    pub(super) condition: Option<String>,
    pub(super) names: Bindings<String>,
    pub(super) values: Bindings<AttributeValue>,
    pub(super) omits_old_item: bool,
    pub(super) guard: Guard,
}

/// What a write does.
#[derive(Debug, Clone)]
pub(super) enum WriteKind {
    Put(Item),
    Update(Item, UpdateExpression),
    Delete(Item),
    /// Nothing is written: the condition alone.
    Check(Item),
}

/// The clauses of an update.
#[derive(Debug, Clone, Default)]
pub(super) struct UpdateExpression {
    set: Vec<String>,
    remove: Vec<String>,
    add: Vec<String>,
    delete: Vec<String>,
}

impl UpdateExpression {
    /// As `UpdateItem` takes it.
    pub(super) fn text(&self) -> String {
        let clauses = [("SET", &self.set), ("REMOVE", &self.remove), ("ADD", &self.add), ("DELETE", &self.delete)];
        let clauses = clauses.into_iter().filter(|(_, parts)| !parts.is_empty());
        clauses.map(|(verb, parts)| format!("{verb} {}", parts.join(", "))).collect::<Vec<_>>().join(" ")
    }
}

/// What a write's condition protects. A failed condition is reported by this name, never by the position of its write,
/// so that writes may be added and reordered without changing what a failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Guard {
    /// A condition that its caller does not distinguish from others.
    Other,
    /// The item is new, or still at the version that the change was computed from.
    Version,
    /// The `userName` or the group's `displayName` belongs to nobody else.
    Name,
    /// The member is there, and none of its memberships has changed since it was read.
    Member,
    /// The batch is still pending, and still this one's to carry out.
    Batch,
    /// The group that a deleted member was in is there.
    Parent,
    /// Nothing of a deletion is left to be carried out.
    Swept,
    /// The credential's id is new.
    KeyId,
    /// The OAuth client has had fewer access tokens than it may have.
    TokenCount,
    /// The tenant's record still has the version that a key copies.
    TenantVersion,
    /// The client assertion was not used before.
    Assertion,
}

/// What must hold of the item as it is. An attribute may be a path into maps, such as `memberBatch.req`.
#[derive(Debug, Clone)]
pub(in crate::store) enum Condition {
    /// The attribute is there.
    Exists(&'static str),
    /// The attribute is not there.
    Absent(&'static str),
    /// The attribute compares so with the value.
    Compares(&'static str, &'static str, AttributeValue),
    /// Both hold.
    Both(Box<Condition>, Box<Condition>),
    /// One of the two holds.
    Either(Box<Condition>, Box<Condition>),
}

impl Condition {
    pub(in crate::store) fn equals(attribute: &'static str, value: AttributeValue) -> Self {
        Self::Compares(attribute, "=", value)
    }

    pub(in crate::store) fn less(attribute: &'static str, value: AttributeValue) -> Self {
        Self::Compares(attribute, "<", value)
    }

    pub(in crate::store) fn at_most(attribute: &'static str, value: AttributeValue) -> Self {
        Self::Compares(attribute, "<=", value)
    }

    pub(in crate::store) fn greater(attribute: &'static str, value: AttributeValue) -> Self {
        Self::Compares(attribute, ">", value)
    }

    /// The attribute is not there, or has that value.
    pub(in crate::store) fn absent_or_equals(attribute: &'static str, value: AttributeValue) -> Self {
        Self::Absent(attribute).or(Self::equals(attribute, value))
    }

    pub(in crate::store) fn and(self, other: Self) -> Self {
        Self::Both(Box::new(self), Box::new(other))
    }

    pub(in crate::store) fn or(self, other: Self) -> Self {
        Self::Either(Box::new(self), Box::new(other))
    }
}

impl Write {
    /// The whole item, with its format.
    pub(in crate::store) fn put(table: Table, mut item: Item) -> Self {
        note_format(&mut item);
        Self::new(table, WriteKind::Put(item))
    }

    /// An update, to be followed by what it changes.
    pub(in crate::store) fn update(table: Table, key: Item) -> Self {
        Self::new(table, WriteKind::Update(key, UpdateExpression::default()))
    }

    pub(in crate::store) fn delete(table: Table, key: Item) -> Self {
        Self::new(table, WriteKind::Delete(key))
    }

    /// A condition on an item that the other writes of the commit depend on.
    pub(in crate::store) fn check(table: Table, key: Item) -> Self {
        Self::new(table, WriteKind::Check(key))
    }

    fn new(table: Table, kind: WriteKind) -> Self {
        Self {
            table,
            kind,
            condition: None,
            names: Bindings::new(),
            values: Bindings::new(),
            omits_old_item: false,
            guard: Guard::Other,
        }
    }

    /// Adds to the condition.
    pub(in crate::store) fn require(mut self, condition: &Condition) -> Self {
        let text = self.condition_text(condition);
        self.condition = Some(match self.condition {
            Some(before) => format!("{before} AND {text}"),
            None => text,
        });
        self
    }

    /// Adds a way for the condition to hold, to the write of a guard.
    pub(in crate::store) fn allow(mut self, guard: Guard, condition: &Condition) -> Self {
        if self.guard == guard {
            let text = self.condition_text(condition);
            self.condition = self.condition.map(|before| format!("{before} OR {text}"));
        }
        self
    }

    /// Names what the condition protects.
    pub(in crate::store) fn guard(mut self, guard: Guard) -> Self {
        self.guard = guard;
        self
    }

    /// Has a failed condition return no item: for a role that may name some attributes alone.
    pub(in crate::store) fn without_returning_old(mut self) -> Self {
        self.omits_old_item = true;
        self
    }

    /// Sets an attribute.
    pub(in crate::store) fn set(mut self, attribute: &str, value: AttributeValue) -> Self {
        let (name, value) = (self.bind_name(attribute), self.bind_value(attribute, value));
        self.expression(|expression| expression.set.push(format!("{name} = {value}")))
    }

    /// Sets an attribute, or removes it for `None`.
    pub(in crate::store) fn set_or_remove(self, attribute: &str, value: Option<AttributeValue>) -> Self {
        match value {
            Some(value) => self.set(attribute, value),
            None => self.remove(attribute),
        }
    }

    /// Adds one to a number, which counts from 0 if it is not there.
    pub(in crate::store) fn increment(mut self, attribute: &str) -> Self {
        let name = self.bind_name(attribute);
        let (zero, one) = (self.bind_value("zero", n(0)), self.bind_value("one", n(1)));
        self.expression(|expression| expression.set.push(format!("{name} = if_not_exists({name}, {zero}) + {one}")))
    }

    /// Adds to a number, which counts from 0 if it is not there.
    pub(in crate::store) fn add(self, attribute: &str, number: AttributeValue) -> Self {
        self.add_to_set(attribute, number)
    }

    /// Removes an attribute.
    pub(in crate::store) fn remove(mut self, attribute: &str) -> Self {
        let name = self.bind_name(attribute);
        self.expression(|expression| expression.remove.push(name))
    }

    /// Adds values to a set.
    pub(in crate::store) fn add_to_set(mut self, attribute: &str, values: AttributeValue) -> Self {
        let (name, values) = (self.bind_name(attribute), self.bind_value(attribute, values));
        self.expression(|expression| expression.add.push(format!("{name} {values}")))
    }

    /// Deletes values from a set.
    pub(in crate::store) fn delete_from_set(mut self, attribute: &str, values: AttributeValue) -> Self {
        let (name, values) = (self.bind_name(attribute), self.bind_value(attribute, values));
        self.expression(|expression| expression.delete.push(format!("{name} {values}")))
    }

    /// Whether it is an update that names an attribute.
    pub(in crate::store) fn updates(&self, attribute: &str) -> bool {
        matches!(self.kind, WriteKind::Update(..)) && self.names.values().any(|name| name == attribute)
    }

    /// Changes the expression of an update; any other write has none.
    fn expression(mut self, change: impl FnOnce(&mut UpdateExpression)) -> Self {
        if let WriteKind::Update(_, expression) = &mut self.kind {
            change(expression);
        }
        self
    }

    fn condition_text(&mut self, condition: &Condition) -> String {
        match condition {
            Condition::Exists(attribute) => format!("attribute_exists({})", self.bind_name(attribute)),
            Condition::Absent(attribute) => format!("attribute_not_exists({})", self.bind_name(attribute)),
            Condition::Compares(attribute, operator, value) => {
                let (name, value) = (self.bind_name(attribute), self.bind_value(attribute, value.clone()));
                format!("{name} {operator} {value}")
            }
            Condition::Both(a, b) => format!("{} AND {}", self.condition_text(a), self.condition_text(b)),
            Condition::Either(a, b) => format!("({} OR {})", self.condition_text(a), self.condition_text(b)),
        }
    }

    /// The placeholder of an attribute or of a path of attributes.
    fn bind_name(&mut self, path: &str) -> String {
        for attribute in path.split('.') {
            self.names.insert(format!("#{attribute}"), attribute.to_owned());
        }
        path.split('.').map(|attribute| format!("#{attribute}")).collect::<Vec<_>>().join(".")
    }

    /// A placeholder of its own for each value: one attribute may be compared with several.
    fn bind_value(&mut self, attribute: &str, value: AttributeValue) -> String {
        let placeholder = format!(":{}{}", attribute.replace('.', "_"), self.values.len());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::dynamo::item::s;

    #[test]
    fn clauses_conditions_and_their_bindings_are_written_together() {
        let write = Write::update(Table::Users, Item::new())
            .set("doc", s("{}"))
            .set_or_remove("email", None)
            .increment("ver")
            .add_to_set("groupIds", s("g"))
            .require(&Condition::equals("ver", n(7)).and(Condition::absent_or_equals("batch.req", s("r"))))
            .require(&Condition::Exists("id"));
        let WriteKind::Update(_, expression) = &write.kind else { panic!() };
        assert_eq!(
            expression.text(),
            "SET #doc = :doc0, #ver = if_not_exists(#ver, :zero1) + :one2 REMOVE #email ADD #groupIds :groupIds3"
        );
        assert_eq!(
            write.condition.as_deref(),
            Some(
                "#ver = :ver4 AND (attribute_not_exists(#batch.#req) OR #batch.#req = :batch_req5) \
                 AND attribute_exists(#id)"
            )
        );
        let mut names: Vec<_> = write.names.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["#batch", "#doc", "#email", "#groupIds", "#id", "#req", "#ver"]);
        assert_eq!(write.values.len(), 6);
    }
}
