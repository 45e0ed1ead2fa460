//! The loops whose work is a product of two numbers that a client chooses, with their bounds. Each step is a comparison of
//! two values or a look at one attribute; tests count the steps of the worst requests that are allowed.
//!
//! | Loop | Bound of one step | Asks for the deadline |
//! |---|---|---|
//! | terms of a filter x values of a resource | 4 KB of filter, [`MAX_VALUES`](crate::limits::MAX_VALUES) values of an attribute | for each resource |
//! | resources x terms | [`MAX_RESOURCES_READ`](crate::limits::MAX_RESOURCES_READ) | for each resource |
//! | operations of a PATCH x terms of a selector x values | [`MAX_PATCH_OPERATIONS`](crate::limits::MAX_PATCH_OPERATIONS), [`MAX_SELECTOR_TERMS`](crate::limits::MAX_SELECTOR_TERMS), `MAX_VALUES` | for each operation |
//! | operations x values to remove x values | `MAX_VALUES` twice, found by their normal forms, which are computed once each | for each operation |
//! | attributes of a projection x attributes of a resource | a tree of [`MAX_PROJECTION_PATHS`](crate::limits::MAX_PROJECTION_PATHS) paths, so each attribute is looked at once | for each resource |
//! | resources to sort x the logarithm of their number | `MAX_RESOURCES_READ`; each key is computed once | for each key |
//! | operations of a Bulk x their own work | [`MAX_BULK_OPERATIONS`](crate::limits::MAX_BULK_OPERATIONS); the age of the Bulk is that of each | for each operation |
//!
//! Work that waits for the store ends with the request's time-out. Work that waits for nothing cannot be interrupted, so
//! it asks whether there is still time, at the latest after one step of these bounds: some milliseconds.

/// Counts a step.
#[inline]
pub(super) fn count() {
    add(1);
}

/// Counts some steps.
#[inline]
pub(super) fn add(_steps: usize) {
    #[cfg(test)]
    tests::STEPS.with(|count| count.set(count.get() + _steps));
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use serde_json::{Map, Value, json};

    use crate::limits::{
        MAX_BODY_BYTES, MAX_FILTER_BYTES, MAX_PATCH_OPERATIONS, MAX_PROJECTION_PATHS, MAX_SELECTOR_TERMS, MAX_VALUES,
    };
    use crate::scim::filter::{Filter, eval};
    use crate::scim::projection::Projection;
    use crate::scim::{Document, Schemas, patch};

    thread_local! {
        pub(super) static STEPS: Cell<usize> = const { Cell::new(0) };
    }

    fn steps_of(work: impl FnOnce()) -> usize {
        STEPS.set(0);
        work();
        STEPS.get()
    }

    /// A user with as many values as an attribute may have.
    fn largest() -> Map<String, Value> {
        let roles: Vec<_> = (0..MAX_VALUES).map(|n| json!({"value": format!("role{n}"), "type": "a"})).collect();
        json!({"id": "1", "userName": "ada", "roles": roles}).as_object().unwrap().clone()
    }

    fn operations(one: &Value) -> Vec<patch::PatchOperation> {
        let body = json!({"Operations": vec![one; MAX_PATCH_OPERATIONS]});
        patch::parse(body.as_object().unwrap()).unwrap()
    }

    #[test]
    fn a_filter_compares_each_value_once_with_each_term() {
        let schemas = Schemas::standard().unwrap();
        let term = r#"roles.value eq "x""#;
        let terms = (MAX_FILTER_BYTES + 4) / (term.len() + 4);
        let filter = Filter::parse(&vec![term; terms].join(" or ")).unwrap();
        let user = largest();
        let steps = steps_of(|| assert!(!eval::matches(&filter, &user, &schemas.user)));
        assert_eq!(steps, terms * MAX_VALUES);
    }

    #[test]
    fn an_operation_compares_each_value_once_with_each_term_of_its_selector() {
        let schemas = Schemas::standard().unwrap();
        let user = Document::from_request(largest(), &schemas.user).unwrap();
        let selector = [r#"value eq "x""#; MAX_SELECTOR_TERMS].join(" or ");
        let all = operations(&json!({"op": "remove", "path": format!("roles[{selector}]")}));
        let steps = steps_of(|| drop(patch::apply(&user, &all, &schemas.user, &|| Ok(()))));
        assert!(steps <= MAX_PATCH_OPERATIONS * MAX_VALUES * (MAX_SELECTOR_TERMS + 4), "{steps}");
    }

    #[test]
    fn an_operation_reads_each_value_once_whatever_the_number_of_those_to_remove() {
        let schemas = Schemas::standard().unwrap();
        let user = Document::from_request(largest(), &schemas.user).unwrap();
        let listed: Vec<_> = (0..MAX_VALUES).map(|n| json!({"value": format!("none{n}")})).collect();
        let mut all = operations(&json!({"op": "remove", "path": "roles", "value": listed}));
        // As many as a body holds.
        all.truncate(MAX_BODY_BYTES / (MAX_VALUES * r#"{"value":"none0"},"#.len()));
        let steps = steps_of(|| drop(patch::apply(&user, &all, &schemas.user, &|| Ok(()))));
        assert!(steps <= all.len() * MAX_VALUES * 8, "{steps}");
    }

    #[test]
    fn a_projection_looks_at_each_attribute_once_whatever_the_number_of_paths() {
        let schemas = Schemas::standard().unwrap();
        let paths: Vec<_> = (0..MAX_PROJECTION_PATHS - 1).map(|n| format!("roles.x{n}")).collect();
        let projection = Projection::parse(Some(&format!("{},roles.type", paths.join(","))), None).unwrap();
        let user = largest();
        let steps = steps_of(|| drop(projection.apply(user, &schemas.user)));
        assert_eq!(steps, 3 + 2 * MAX_VALUES);
    }

    #[test]
    fn work_ends_when_there_is_no_more_time() {
        let schemas = Schemas::standard().unwrap();
        let user = Document::from_request(largest(), &schemas.user).unwrap();
        let all = operations(&json!({"op": "remove", "path": r#"roles[value eq "x"]"#}));
        let asked = Cell::new(0);
        let on_time = || {
            asked.set(asked.get() + 1);
            if asked.get() > 10 { Err(crate::scim::ScimError::unavailable("too late; try again")) } else { Ok(()) }
        };
        let ended = patch::apply(&user, &all, &schemas.user, &on_time);
        assert_eq!((ended.unwrap_err().status(), asked.get()), (503, 11));
    }
}
