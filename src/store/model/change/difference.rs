//! What differs between two documents.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The attributes that differ, whole, and the paths of what differs in them.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Difference {
    /// Such as `title` and `name.familyName`.
    pub(super) changed: Vec<String>,
    /// The attributes as they were; not among them what was not there.
    pub(super) before: Map<String, Value>,
    /// The attributes as they are; null for what is not there any more.
    pub(super) after: Map<String, Value>,
    /// The names of all attributes in their old order, where the new document has another one.
    pub(super) order: Option<Vec<String>>,
}

impl Difference {
    pub(super) fn between(before: &Map<String, Value>, after: &Map<String, Value>) -> Self {
        let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
        let mut difference = Self::default();
        for name in names.filter(|name| before.get(*name) != after.get(*name)) {
            let (old, new) = (before.get(name), after.get(name));
            difference.changed.extend(paths(name, old, new));
            difference.before.extend(old.map(|old| (name.clone(), old.clone())));
            difference.after.insert(name.clone(), new.cloned().unwrap_or_default());
        }
        // What stayed is in its place, and what came is at the end: otherwise the order is another one.
        let is_in_order = before.keys().eq(after.keys().filter(|name| before.contains_key(*name)));
        difference.order = (!is_in_order).then(|| before.keys().cloned().collect());
        difference
    }

    /// After a rename: `former` has what has changed, as it was, and null for what was not there. Without it, because it
    /// was too long to be kept, the event has the whole value.
    pub(super) fn after_rename(former: Option<Map<String, Value>>, after: &Map<String, Value>) -> Self {
        let Some(former) = former else { return Self { order: None, ..Self::between(&Map::new(), after) } };
        let now = former.keys().filter_map(|name| Some((name.clone(), after.get(name)?.clone()))).collect();
        let before = former.into_iter().filter(|(_, value)| !value.is_null()).collect();
        Self { order: None, ..Self::between(&before, &now) }
    }

    /// What `active` has become, if it has changed. A user without `active` is active.
    pub(super) fn activation(&self) -> Option<bool> {
        let is_active = |document: &Map<String, Value>| document.get("active").and_then(Value::as_bool).unwrap_or(true);
        if !self.changed.iter().any(|path| path == "active") {
            return None;
        }
        let (before, after) = (is_active(&self.before), is_active(&self.after));
        (before != after).then_some(after)
    }
}

fn paths(name: &str, old: Option<&Value>, new: Option<&Value>) -> Vec<String> {
    let (Some(Value::Object(old)), Some(Value::Object(new))) = (old, new) else { return vec![name.to_owned()] };
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differing = names.into_iter().filter(|sub| old.get(*sub) != new.get(*sub));
    let separator = if name.contains(':') { ':' } else { '.' };
    differing.map(|sub| format!("{name}{separator}{sub}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_differs_is_reported_by_path_and_whole() {
        let urn = "urn:x:User";
        let before = map(json!({"a": 1, "name": {"x": 1, "y": 2}, "gone": 1, "active": true, urn: {"d": 1}}));
        let after = map(json!({"a": 1, "name": {"x": 1, "y": 3}, "new": [1], "active": false, urn: {"d": 2}}));
        let difference = Difference::between(&before, &after);
        assert_eq!(difference.changed, ["name.y", "gone", "active", "urn:x:User:d", "new"]);
        assert_eq!(difference.before["name"], json!({"x": 1, "y": 2}));
        assert_eq!(difference.after["gone"], Value::Null);
        assert_eq!(difference.activation(), Some(false));
        assert_eq!(difference.order.as_deref(), Some(&["a", "name", "gone", "active", urn].map(str::to_owned)[..]));
        assert_eq!(Difference::between(&map(json!({"a": 1})), &map(json!({"a": 2, "b": 1}))).order, None);
        assert_eq!(Difference::between(&before, &before), Difference::default());
    }

    #[test]
    fn a_rename_reports_what_came_with_it_and_what_went() {
        let former = map(json!({"userName": "bob", "nick": null, "gone": 1}));
        let after = map(json!({"userName": "eve", "nick": "e", "same": 1}));
        let difference = Difference::after_rename(Some(former), &after);
        assert_eq!(difference.changed, ["userName", "gone", "nick"]);
        assert_eq!(Value::from(difference.before), json!({"userName": "bob", "gone": 1}));
        assert_eq!(Value::from(difference.after), json!({"userName": "eve", "gone": null, "nick": "e"}));
        assert_eq!(Difference::after_rename(None, &after).after, after);
    }

    #[test]
    fn who_has_no_active_is_active() {
        let activation = |before, after| Difference::between(&map(before), &map(after)).activation();
        assert_eq!(activation(json!({}), json!({"active": false})), Some(false));
        assert_eq!(activation(json!({}), json!({"active": true})), None);
        assert_eq!(activation(json!({"active": false}), json!({})), Some(true));
        assert_eq!(activation(json!({"a": 1}), json!({"a": 2})), None);
    }
}
