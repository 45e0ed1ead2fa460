//! Where real clients depart from the RFCs, and what Rollcall does about each: one named rule, its clients and its
//! source. The engine calls these rules; it holds no client's special case itself.
//!
//! Rules of HTTP rather than of SCIM's data live with the router ([`crate::api`]): a trailing slash, a base URL
//! without `/v2`, any `Accept` and `Content-Type`, unknown query parameters, `+` for a blank.
//!
//! Sources: *entra-docs* is MicrosoftDocs/entra-docs `docs/identity/app-provisioning/`; *okta-dev* is
//! okta/okta-developer-docs; the others are public repositories and their issues.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use self::trace::{Rule, note};
use super::filter::{Filter, Operator};
use super::json::member;
use super::schema::{Attribute, ResourceSchema, Schema, Type};

pub mod trace;

/// **Operation in any case.** Entra sends `Add`, `Replace`, `Remove` unless `aadOptscim062020` is set
/// (entra-docs, application-provisioning-config-problem-scim-compatibility).
pub fn operation_name(op: &str) -> String {
    let name = op.to_ascii_lowercase();
    if name != op {
        note(Rule::OperationName);
    }
    name
}

/// **Bare list of operations.** The PATCH in RFC 7644's own example of a Bulk (section 3.7.3) has in `data` the list of
/// operations, without the message around it.
pub fn patch_from_operations(operations: &[Value]) -> Value {
    note(Rule::PatchFromOperations);
    Value::Object(Map::from_iter([("Operations".to_owned(), Value::from(operations))]))
}

/// **Boolean as text.** Entra patches `active` with `"False"`, its validator posts `roles[].primary` as `"True"`,
/// OneLogin's template posts `"active": "true"` (entra-docs, compatibility; AzureAD/SCIMReferenceCode#21).
/// Any other text is not a boolean.
pub fn boolean_from_text(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// **Number where text is defined.** Okta's entitlement guide sends `externalId`, `postalCode` and `employeeNumber` as
/// numbers (okta-dev, scim-with-entitlements). Rollcall stores the text of the number.
pub fn text_from_number(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => {
            note(Rule::TextFromNumber);
            Some(number.to_string())
        }
        _ => None,
    }
}

/// **Empty text clears.** Entra clears an attribute by replacing it with `""`, and Okta puts `"middleName": ""`
/// (AzureAD/SCIMReferenceCode LogicApp `SCIM_Null_Update`; okta-dev, scim-20). Rollcall treats it like null:
/// unassigned.
pub fn is_unassigned(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => {
            if text.is_empty() {
                note(Rule::EmptyText);
            }
            text.is_empty()
        }
        _ => false,
    }
}

/// **One value for a list.** Some OneLogin templates send `"emails": {…}`, an object where a list is defined
/// (keepnetlabs documentation).
pub fn list_from_single(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        single => {
            note(Rule::ListFromSingle);
            vec![single]
        }
    }
}

/// **List of one for a single complex attribute.** Entra's documents set the manager as `[{"$ref": …, "value": …}]`
/// (entra-docs, use-scim-to-provision-users-and-groups, "Update User manager").
pub fn single_from_list(attribute: &Attribute, value: Value) -> Value {
    match value {
        Value::Array(mut items) if attribute.kind == Type::Complex && items.len() <= 1 => {
            note(Rule::SingleFromList);
            items.pop().unwrap_or(Value::Null)
        }
        other => other,
    }
}

/// **Bare text for a complex value.** Entra sends the manager as a plain string, in PATCH and inside a POST, and
/// Microsoft's Postman collection a member as one (Captain-P-Goldfish/SCIM-SDK MsAzurePatchComplexValueRebuilder;
/// apache/directory-scimple#1242). It is the `value` sub-attribute.
pub fn complex_from_text(attribute: &Attribute, value: Value) -> Value {
    match value {
        Value::String(_) | Value::Number(_) if attribute.sub("value").is_some() => {
            note(Rule::ComplexFromText);
            Value::Object(Map::from_iter([("value".to_owned(), value)]))
        }
        other => other,
    }
}

/// **`managerId`.** OneLogin's default template sends `"manager": {"managerId": …, "displayName": …}`
/// (developers.onelogin.com, define-user-schema). `managerId` is SCIM 1.1's name of `value`.
pub fn sub_attribute_name<'a>(attribute: &Attribute, name: &'a str) -> &'a str {
    if attribute.name != "manager" || !name.eq_ignore_ascii_case("managerId") {
        return name;
    }
    note(Rule::SubAttributeName);
    "value"
}

/// **Extension attribute without its URN.** Entra patches and filters a bare `manager`, and its documented POST has
/// `department` and `manager` at the top level (entra-docs, use-scim…, examples 2 and 4). Rollcall takes the one
/// declared extension that has an attribute of that name.
pub fn extension_of_bare_name<'s>(schema: &'s ResourceSchema, name: &str) -> Option<&'s Schema> {
    let mut extensions = schema.extensions.iter();
    let found = extensions.find(|extension| super::schema::find(&extension.attributes, name).is_some())?;
    note(Rule::ExtensionOfBareName);
    Some(found)
}

/// **URN joined by a dot.** Some clients join a schema's URN and its attribute by a dot:
/// `urn:ietf:params:scim:schemas:core:2.0:Group.members` (apache/directory-scimple#704, wso2/product-is#11092). Where a
/// version, or a version and a resource type, end the URN, the dot is read as the colon of RFC 7644 section 3.10. Takes
/// what stands before the last colon, and what follows it; returns the URN and the rest.
pub fn urn_joined_by_dot(start: &str, end: &str) -> Option<(String, String)> {
    let is_version = start.rsplit(':').next().is_some_and(|segment| segment.starts_with(|c: char| c.is_ascii_digit()));
    let is_type = |part: &str| ["User", "Group", "GroupMember"].iter().any(|name| name.eq_ignore_ascii_case(part));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (last, rest) = match end.split_once('.') {
        Some((resource_type, rest)) if is_version && is_type(resource_type) => (resource_type, rest),
        Some((number, _)) if is_number(number) => {
            let name = end.find(|c: char| c.is_ascii_alphabetic()).filter(|at| *at > 0)?;
            let (version, rest) = end.split_at_checked(name)?;
            (version.strip_suffix('.').filter(|version| version.split('.').all(is_number))?, rest)
        }
        _ => return None,
    };
    note(Rule::UrnJoinedByDot);
    Some((format!("{start}:{last}"), rest.to_owned()))
}

/// **Password.** Okta posts a random `password` even without password synchronisation, and patches it with it
/// (okta-dev, scim-20). Users do not sign in at Rollcall. It accepts the value, discards it at once and never stores
/// it. `/Schemas` publishes the attribute only if a profile says so, because Microsoft's validator stops at it
/// (scimmy-routers#10).
pub fn is_discarded(name: &str) -> bool {
    let is_discarded = name.eq_ignore_ascii_case("password");
    if is_discarded {
        note(Rule::Discarded);
    }
    is_discarded
}

/// **Read-only values echoed.** Okta's PUT carries `id`, `meta` and `groups`, its group rename an `id` inside a
/// path-less replace; AWS-style clients do likewise (okta-dev, scim-20; slashdevops/idp-scim-sync). Rollcall ignores
/// them, as RFC 7644 section 3.5.1 says for PUT. It still refuses a PATCH *path* to a read-only attribute.
pub fn is_read_only_echo(attribute: &Attribute) -> bool {
    let is_read_only = attribute.mutability == super::schema::Mutability::ReadOnly;
    if is_read_only {
        note(Rule::ReadOnlyEcho);
    }
    is_read_only
}

/// **Value path that selects nothing yet.** Entra adds *and replaces* `emails[type eq "work"].value` on a user without
/// a work e-mail, where RFC 7644 section 3.5.2.3 would have `noTarget` (sourcegraph PR 49200, Metatavu/
/// keycloak-scim-server#35). Rollcall creates the value from the filter's `eq` terms. A filter with more than `eq` and
/// `and` does not say what to create: `None`.
pub fn element_from_selector(selector: &Filter) -> Option<Map<String, Value>> {
    let mut element = Map::new();
    let terms = match selector {
        Filter::And(terms) => terms.as_slice(),
        single => std::slice::from_ref(single),
    };
    for term in terms {
        match term {
            Filter::Compare(path, Operator::Eq, value) if path.sub.is_none() && path.urn.is_none() => {
                element.insert(path.name.clone(), value.clone());
            }
            _ => return None,
        }
    }
    Some(element)
}

/// **Replaced value keeps its label.** A `replace` of `emails[type eq "work"]` with `{"value": …}` alone would leave an
/// e-mail without type that the same path no longer finds. Rollcall keeps what the filter's `eq` terms say, unless the
/// new value says otherwise (RFC 7644 section 3.5.2.3 replaces the rest).
pub fn preserve_selector_values(selector: &Filter, replacement: &mut Map<String, Value>) {
    for (name, value) in element_from_selector(selector).into_iter().flatten() {
        if member(replacement, &name).is_none() {
            note(Rule::SelectorValues);
            replacement.insert(name, value);
        }
    }
}

/// Values that a client lists to be removed: each element is looked up, whatever their number.
#[derive(Debug, Default)]
pub struct ListedValues {
    /// `value`, and `type` where it is named, of those that have a `value`.
    by_value: BTreeSet<(String, Option<String>)>,
    /// Those that are not complex.
    simple: BTreeSet<String>,
    others: Vec<Map<String, Value>>,
}

/// **Remove by a list of values.** Entra without `aadOptscim062020`, and AWS-style clients, remove members with `path:
/// "members"` and a `value` list: only those go (entra-docs, compatibility; awslabs/ssosync client_test.go). Rollcall
/// removes an element whose `value` is the same, and whose `type` is, where the list names one. Without a `value` in
/// the list, it removes an element that has everything that the list's element has. Both compare as filters do.
pub fn listed_values(listed: impl Iterator<Item = Value>) -> ListedValues {
    let mut values = ListedValues::default();
    for wanted in listed {
        match wanted {
            Value::Object(members) => match members.get("value") {
                Some(value) => {
                    let of_type = members.get("type").map(Value::to_string);
                    values.by_value.insert((value.to_string(), of_type));
                }
                None if members.is_empty() => {}
                None => values.others.push(members),
            },
            simple => _ = values.simple.insert(simple.to_string()),
        }
    }
    values
}

impl ListedValues {
    /// Whether an element, in its normal form, is listed.
    pub fn contains(&self, element: &Value) -> bool {
        let Value::Object(element) = element else { return self.simple.contains(&element.to_string()) };
        let has_value = element.get("value").is_some_and(|value| {
            let (value, of_type) = (value.to_string(), element.get("type").map(Value::to_string));
            self.by_value.contains(&(value.clone(), None))
                || (of_type.is_some() && self.by_value.contains(&(value, of_type)))
        });
        let has_all = |wanted: &Map<String, Value>| wanted.iter().all(|(name, value)| element.get(name) == Some(value));
        has_value || self.others.iter().any(has_all)
    }
}

/// **Unquoted filter value.** Microsoft's example has `externalId eq jyoung`, its Postman collection `meta.Created gt
/// 2015-10-10T14:38:21.8617979-07:00`, and boolean literals come in any case. Rollcall reads as text what is no JSON
/// literal.
pub fn unquoted_filter_value(token: &str) -> Value {
    if serde_json::from_str::<Value>(token).is_err() {
        note(Rule::UnquotedFilterValue);
    }
    if let Some(boolean) = boolean_from_text(token) {
        return Value::Bool(boolean);
    }
    if token.eq_ignore_ascii_case("null") {
        return Value::Null;
    }
    match serde_json::from_str::<serde_json::Number>(token) {
        // `12e4` may be an id: a number only if it is written as one is printed.
        Ok(number) if number.to_string() == token => Value::Number(number),
        _ => Value::String(token.to_owned()),
    }
}

/// **Two primaries.** Microsoft's Postman collection posts two primary values (pranems/SCIMServer G8H), where RFC 7643
/// section 2.4 allows one. The first one that the request names stays, and the others become false. In a PATCH the
/// value that the operation wrote (`touched`) stays, not an older one (RFC 7644 section 3.5.2).
pub fn enforce_single_primary(elements: &mut [Value], touched: impl Fn(usize) -> bool) {
    let is_primary = |element: &Value| member_bool(element, "primary");
    let winner = elements
        .iter()
        .enumerate()
        .filter(|(_, element)| is_primary(element))
        .map(|(index, _)| index)
        .min_by_key(|&index| (!touched(index), index));
    for (index, element) in elements.iter_mut().enumerate() {
        if Some(index) != winner
            && is_primary(element)
            && let Some(map) = element.as_object_mut()
        {
            note(Rule::SinglePrimary);
            map.insert("primary".to_owned(), Value::Bool(false));
        }
    }
}

fn member_bool(element: &Value, name: &str) -> bool {
    element.get(name).and_then(Value::as_bool).unwrap_or(false)
}

/// **Shell of a removed value.** Entra removes `phoneNumbers[type eq "fax"].value`, sub-attribute by sub-attribute,
/// when the source value goes (entra-docs, customize-application-attributes). The rest, `{"type": "fax"}`, is no
/// number. Rollcall removes an element that has nothing but its labels.
pub fn has_only_labels(element: &Value) -> bool {
    let only_labels = element.as_object().is_some_and(|map| map.keys().all(|name| name == "type" || name == "primary"));
    if only_labels {
        note(Rule::OnlyLabels);
    }
    only_labels
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scim::Schemas;

    #[test]
    fn a_dot_after_version_and_resource_type_is_read_as_a_colon() {
        let joined = |start: &str, end: &str| urn_joined_by_dot(start, end);
        assert_eq!(
            joined("urn:x:2.0", "user.name.givenName"),
            Some(("urn:x:2.0:user".into(), "name.givenName".into()))
        );
        assert_eq!(joined("urn:x:2.0:User", "name.givenName"), None);
        assert_eq!(joined("urn:x", "User.a"), None);
        assert_eq!(joined("urn:x", "1.0.name.givenName"), Some(("urn:x:1.0".into(), "name.givenName".into())));
        assert_eq!((joined("urn:x", "1.0"), joined("urn:x", "1.0-rc")), (None, None));
    }

    #[test]
    fn text_stands_for_booleans_in_any_case_and_for_nothing_else() {
        assert_eq!(
            ["True", "FALSE", "yes", "1", ""].map(boolean_from_text),
            [Some(true), Some(false), None, None, None]
        );
    }

    #[test]
    fn a_manager_may_be_text_or_a_list_of_one() {
        let schemas = Schemas::standard().unwrap();
        let manager = super::super::schema::find(&schemas.user.extensions[0].attributes, "manager").unwrap();
        assert_eq!(complex_from_text(manager, json!("271")), json!({"value": "271"}));
        assert_eq!(single_from_list(manager, json!([{"value": "1"}])), json!({"value": "1"}));
        assert_eq!(single_from_list(manager, json!([1, 2])), json!([1, 2]));
        assert_eq!(sub_attribute_name(manager, "managerId"), "value");
    }

    #[test]
    fn only_equalities_name_what_to_create() {
        let of = |text: &str| element_from_selector(&Filter::parse(text).unwrap()).map(Value::Object);
        assert_eq!(of("type eq \"work\" and primary eq True"), Some(json!({"type": "work", "primary": true})));
        assert_eq!(of("type ne \"work\""), None);
        assert_eq!(of("type eq \"a\" or type eq \"b\""), None);
    }

    #[test]
    fn a_listed_value_need_only_name_what_identifies_it() {
        let element = json!({"value": "u1", "type": "User"});
        let is_listed = |listed: &[Value]| listed_values(listed.iter().cloned()).contains(&element);
        assert!(is_listed(&[json!({"value": "u1", "display": "Other"})]));
        assert!(!is_listed(&[json!({"value": "u2"}), json!({}), json!({"value": "u1", "type": "Group"})]));
    }

    #[test]
    fn what_the_operation_wrote_is_the_primary_one() {
        let mut values = [json!({"primary": true}), json!({"primary": true}), json!({"primary": true})];
        enforce_single_primary(&mut values, |index| index == 1);
        assert_eq!(values, [json!({"primary": false}), json!({"primary": true}), json!({"primary": false})]);
    }

    #[test]
    fn labels_alone_are_a_shell() {
        assert!(has_only_labels(&json!({"type": "fax", "primary": false})));
        assert!(!has_only_labels(&json!({"type": "work", "country": "US"})));
    }

    #[test]
    fn unquoted_values_are_literals_or_text() {
        assert_eq!(unquoted_filter_value("True"), json!(true));
        assert_eq!(unquoted_filter_value("12"), json!(12));
        assert_eq!(unquoted_filter_value("12e4"), json!("12e4"));
        assert_eq!(unquoted_filter_value("jyoung"), json!("jyoung"));
    }
}
