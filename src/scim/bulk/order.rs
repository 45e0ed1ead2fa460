//! In which order the operations of a Bulk are done: what refers to a new resource after what creates it, and what
//! names one resource as the request has it. Whatever else there is may be done at once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{BulkOperation, excerpt, reference, visit};
use crate::scim::fold::fold;
use crate::scim::json::member;
use crate::scim::membership::canonical;
use crate::scim::{ErrorCode, ScimError};

/// An operation in its place. The numbers are those of steps, and every one is of an earlier step.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedOperation<'a> {
    /// The operation's place in the request.
    pub index: usize,
    /// The steps whose new ids it needs, by bulkId.
    pub refers: BTreeMap<&'a str, usize>,
    /// The steps that must have ended before, well or not.
    pub follows: BTreeSet<usize>,
    /// Why it cannot be done at all.
    pub refusal: Option<ScimError>,
}

/// The POST operations that each operation refers to, by bulkId.
type Refers<'a> = Vec<BTreeMap<&'a str, usize>>;

/// Puts operations in order.
pub fn steps(operations: &[BulkOperation]) -> Vec<PlannedOperation<'_>> {
    let (mut refers, mut refusals) = references(operations);
    for index in circular(&refers) {
        let (Some(refers), Some(refusal)) = (refers.get_mut(index), refusals.get_mut(index)) else { continue };
        *refusal = Some(is_circular(refers));
        refers.clear();
    }
    let mut placing = Placing { refers: &refers, steps: vec![None; operations.len()], order: Vec::new() };
    (0..operations.len()).for_each(|index| placing.place(index));
    let Placing { steps, order, .. } = placing;
    let step_of = |index: usize| steps.get(index).copied().flatten();
    let follows = follows(operations, &order);
    let step = |(index, follows): (usize, BTreeSet<usize>)| PlannedOperation {
        index,
        refers: refers
            .get(index)
            .into_iter()
            .flatten()
            .filter_map(|(bulk_id, index)| Some((*bulk_id, step_of(*index)?)))
            .collect(),
        follows,
        refusal: operations
            .get(index)
            .and_then(|operation| operation.refusal.clone())
            .or(refusals.get(index).cloned().flatten()),
    };
    order.iter().copied().zip(follows).map(step).collect()
}

/// What each operation refers to, or why it cannot. A bulkId is the name of what a POST creates, and of nothing else.
fn references(operations: &[BulkOperation]) -> (Refers<'_>, Vec<Option<ScimError>>) {
    let mut created: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, operation) in operations.iter().enumerate().filter(|(_, operation)| operation.is_post()) {
        // One that repeats a bulkId is refused, and does not have it.
        if let Some(bulk_id) = operation.bulk_id.as_deref() {
            created.entry(bulk_id).or_insert(index);
        }
    }
    let known = |bulk_id| match created.get(bulk_id) {
        Some(index) => Ok((bulk_id, *index)),
        None => Err(ScimError::invalid_value(format!(
            "bulkId:{} refers to no POST of this request; send that one too (RFC 7644 section 3.7.2)",
            excerpt(bulk_id)
        ))),
    };
    operations
        .iter()
        .map(|operation| match operation.references().into_iter().map(known).collect() {
            Ok(refers) => (refers, None),
            Err(refusal) => (BTreeMap::new(), Some(refusal)),
        })
        .unzip()
}

/// The operations that would have to wait for themselves: those that lead to a circle and are led to by one.
fn circular(refers: &Refers<'_>) -> Vec<usize> {
    let forward: Vec<Vec<usize>> = refers.iter().map(|refers| refers.values().copied().collect()).collect();
    let mut backward = vec![Vec::new(); forward.len()];
    for (from, to) in forward.iter().enumerate().flat_map(|(from, all)| all.iter().map(move |to| (from, *to))) {
        backward.get_mut(to).into_iter().for_each(|all| all.push(from));
    }
    let (lead_to_one, are_led_to) = (endless(&forward, &backward), endless(&backward, &forward));
    (0..).zip(lead_to_one.into_iter().zip(are_led_to)).filter(|(_, (a, b))| *a && *b).map(|(index, _)| index).collect()
}

/// From which places one can go on for ever: those left when places without a way on are removed again and again.
fn endless(ways: &[Vec<usize>], back: &[Vec<usize>]) -> Vec<bool> {
    let mut left: Vec<usize> = ways.iter().map(Vec::len).collect();
    let mut ends: Vec<usize> = (0..).zip(&left).filter(|(_, count)| **count == 0).map(|(place, _)| place).collect();
    while let Some(end) = ends.pop() {
        for before in back.get(end).into_iter().flatten() {
            let Some(count) = left.get_mut(*before) else { continue };
            *count -= 1;
            if *count == 0 {
                ends.push(*before);
            }
        }
    }
    left.into_iter().map(|count| count > 0).collect()
}

fn is_circular(refers: &BTreeMap<&str, usize>) -> ScimError {
    let named: Vec<_> = refers.keys().take(4).map(|bulk_id| format!("bulkId:{}", excerpt(bulk_id))).collect();
    ScimError::new(
        ErrorCode::BulkReference,
        format!(
            "the references are circular (RFC 7644 section 3.7.1): this operation would have to wait for itself, by way \
             of {}; leave one reference out, and add it by a PATCH",
            named.join(", ")
        ),
    )
}

/// Each operation after what it refers to, and as early as that lets it. Operations on one resource stay in the order
/// of the request, as nothing refers to them.
struct Placing<'a> {
    refers: &'a Refers<'a>,
    steps: Vec<Option<usize>>,
    order: Vec<usize>,
}

impl Placing<'_> {
    /// There are no circles any more; so deep at the most as there are operations.
    fn place(&mut self, index: usize) {
        if self.steps.get(index).is_none_or(Option::is_some) {
            return;
        }
        let refers = self.refers;
        refers.get(index).into_iter().flat_map(BTreeMap::values).for_each(|before| self.place(*before));
        if let Some(step) = self.steps.get_mut(index) {
            *step = Some(self.order.len());
            self.order.push(index);
        }
    }
}

/// The steps so far that have to do with a resource, or with a name that one resource alone has.
#[derive(Default)]
struct RelatedSteps {
    /// The last one on it.
    on: Option<usize>,
    /// Those since that name it in their data.
    naming: Vec<usize>,
}

/// The steps that each must wait for because of a resource that one has in its path, and the other in its path or
/// data: a member is added before it is deleted, if the request says so. What gives a name waits for what gave or took
/// it before.
fn follows(operations: &[BulkOperation], order: &[usize]) -> Vec<BTreeSet<usize>> {
    let on = operations.iter().filter_map(BulkOperation::resource).map(canonical);
    let mut seen: BTreeMap<String, RelatedSteps> = on.map(|resource| (resource, RelatedSteps::default())).collect();
    let names = names(operations);
    seen.extend(names.iter().flatten().map(|name| (name.clone(), RelatedSteps::default())));
    let ordered = order.iter().filter_map(|index| operations.get(*index).zip(names.get(*index)));
    let mut all = Vec::with_capacity(operations.len());
    for (step, (operation, names)) in ordered.enumerate() {
        let mut follows = BTreeSet::new();
        for named in named(operation) {
            let Some(seen) = seen.get_mut(&named) else { continue };
            follows.extend(seen.on);
            seen.naming.push(step);
        }
        for key in operation.resource().map(canonical).iter().chain(names) {
            let Some(seen) = seen.get_mut(key) else { continue };
            follows.extend(seen.on.replace(step));
            follows.extend(seen.naming.drain(..));
        }
        follows.remove(&step);
        all.push(follows);
    }
    all
}

/// The names that each operation sets or frees, as far as the request says: `userName` of users and `displayName` of
/// groups that it writes, and that the POST writes which creates its resource.
fn names(operations: &[BulkOperation]) -> Vec<BTreeSet<String>> {
    let given: Vec<BTreeSet<String>> = operations.iter().map(given_names).collect();
    let posts = operations.iter().zip(&given).filter(|(operation, _)| operation.is_post());
    let of_post: BTreeMap<&str, &BTreeSet<String>> =
        posts.filter_map(|(operation, given)| Some((operation.bulk_id.as_deref()?, given))).collect();
    let all = operations.iter().zip(&given).map(|(operation, given)| {
        let created = operation.resource().and_then(reference).and_then(|bulk_id| of_post.get(bulk_id));
        given.iter().chain(created.into_iter().copied().flatten()).cloned().collect()
    });
    all.collect()
}

/// The names that an operation writes, with what they are unique among.
fn given_names(operation: &BulkOperation) -> BTreeSet<String> {
    let (among, attribute) = match operation.path.split('/').nth(1) {
        Some("Users") => ("Users", "userName"),
        Some("Groups") => ("Groups", "displayName"),
        _ => return BTreeSet::new(),
    };
    let is_it = |text: &str| text.rsplit([':', '.']).next().is_some_and(|end| end.eq_ignore_ascii_case(attribute));
    let of_object = |value: &Value| -> Vec<String> {
        let members = value.as_object().into_iter().flatten().filter(|(name, _)| is_it(name));
        members.filter_map(|(_, value)| value.as_str().map(str::to_owned)).collect()
    };
    let mut given = of_object(&operation.data);
    let changes = operation.data.as_object().and_then(|data| member(data, "Operations")).and_then(Value::as_array);
    for change in changes.into_iter().flatten().filter_map(Value::as_object) {
        match (member(change, "path").and_then(Value::as_str), member(change, "value")) {
            (Some(path), Some(Value::String(name))) if is_it(path) => given.push(name.clone()),
            (None, Some(value)) => given.extend(of_object(value)),
            _ => {}
        }
    }
    given.into_iter().map(|name| format!("{among} {}", fold(&name))).collect()
}

/// What an operation names besides the resource it is on; the id of a membership is created of two.
fn named(operation: &BulkOperation) -> BTreeSet<String> {
    let parts = operation.resource().filter(|resource| resource.contains('.')).into_iter();
    let mut named: BTreeSet<String> = parts.flat_map(|resource| resource.split('.')).map(canonical).collect();
    visit(&operation.data, &mut |text| {
        named.insert(canonical(text));
    });
    named
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Method;
    use super::*;

    fn operation(method: Method, path: &str, bulk_id: Option<&str>, data: Value) -> BulkOperation {
        BulkOperation {
            method: Some(method),
            bulk_id: bulk_id.map(str::to_owned),
            version: None,
            path: path.to_owned(),
            data,
            refusal: None,
        }
    }

    fn group(bulk_id: &str, members: &[&str]) -> BulkOperation {
        let members: Vec<_> = members.iter().map(|id| json!({"value": id})).collect();
        operation(Method::Post, "/Groups", Some(bulk_id), json!({"members": members}))
    }

    fn statuses(operations: &[BulkOperation]) -> Vec<u16> {
        let mut steps = steps(operations);
        steps.sort_by_key(|step| step.index);
        steps.iter().map(|step| step.refusal.as_ref().map_or(0, |refusal| refusal.status())).collect()
    }

    #[test]
    fn what_refers_comes_after_what_it_refers_to_wherever_it_stands() {
        let operations = [group("a", &["bulkId:b", "bulkId:c"]), group("b", &["bulkId:c"]), group("c", &[])];
        let steps = steps(&operations);
        let order: Vec<_> = steps.iter().map(|step| step.index).collect();
        assert_eq!(order, [2, 1, 0]);
        assert_eq!(steps[2].refers, BTreeMap::from([("b", 1), ("c", 0)]));
        assert!(steps[0].follows.is_empty() && steps[1].follows.is_empty());
    }

    #[test]
    fn circles_are_refused_and_what_only_refers_to_one_is_not() {
        let operations = [
            group("a", &["bulkId:b"]),
            group("b", &["bulkId:c"]),
            group("c", &["bulkId:a"]),
            group("d", &["bulkId:a"]),
            group("e", &["bulkId:e"]),
            group("f", &["bulkId:nobody"]),
            group("g", &[]),
        ];
        assert_eq!(statuses(&operations), [409, 409, 409, 0, 409, 400, 0]);
    }

    #[test]
    fn a_bulk_id_of_an_operation_that_creates_nothing_cannot_be_referred_to() {
        let put = operation(Method::Put, "/Users/1", Some("a"), json!({}));
        assert_eq!(statuses(&[put, group("b", &["bulkId:a"])]), [0, 400]);
    }

    #[test]
    fn operations_on_one_resource_follow_each_other_in_whatever_way_it_is_written() {
        let id = "2819c223-7f76-453a-919d-413861904646";
        let path = |id: &str| format!("/Users/{id}");
        let operations = [
            operation(Method::Patch, &path(id), None, json!({"x": "bulkId:z"})),
            operation(Method::Patch, &path(&id.to_uppercase()), None, json!({})),
            group("g", &[id]),
            operation(Method::Delete, &path(&id.replace('-', "")), None, Value::Null),
            operation(Method::Delete, "/Users/other", None, Value::Null),
            group("z", &[]),
        ];
        let steps = steps(&operations);
        let order: Vec<_> = steps.iter().map(|step| step.index).collect();
        assert_eq!(order, [5, 0, 1, 2, 3, 4], "the first is not overtaken by the second");
        let follows: Vec<_> = steps.iter().map(|step| step.follows.iter().copied().collect::<Vec<_>>()).collect();
        assert_eq!(follows, [vec![], vec![], vec![1], vec![2], vec![2, 3], vec![]]);
    }

    #[test]
    fn operations_that_give_or_take_one_name_follow_each_other() {
        let user = |bulk_id, name: &str| operation(Method::Post, "/Users", Some(bulk_id), json!({"userName": name}));
        let change = |path: &str, change: Value| {
            operation(Method::Patch, path, None, json!({"Operations": [{"op": "replace", "value": change}]}))
        };
        let operations = [
            user("a", "Zoë"),
            change("/Users/bulkId:a", json!({"urn:ietf:params:scim:schemas:core:2.0:User:userName": "new"})),
            user("b", "ZOË"),
            user("c", "other"),
            operation(Method::Post, "/Groups", None, json!({"displayName": "zoë"})),
            operation(Method::Put, "/Users/1", None, json!({"USERNAME": "New"})),
        ];
        let follows: Vec<Vec<_>> = steps(&operations).into_iter().map(|s| s.follows.into_iter().collect()).collect();
        assert_eq!(follows, [vec![], vec![0], vec![1], vec![], vec![], vec![1]]);
    }

    #[test]
    fn a_thousand_operations_in_a_chain_are_put_in_order() {
        let operations: Vec<_> = (0..1_000)
            .map(|i| group(&format!("{i}"), &[&format!("bulkId:{}", i + 1)]))
            .chain([group("1000", &[])])
            .collect();
        let steps = steps(&operations);
        assert!(steps.iter().map(|step| step.index).eq((0..=1_000).rev()));
    }
}
