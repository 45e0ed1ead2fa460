//! Where real clients depart from the RFCs, and what Rollcall does about each: one named rule, its clients and its
//! source. The engine calls these rules; it holds no client's special case itself.
//!
//! Rules of HTTP rather than of SCIM's data live with the router ([`crate::api`]): a trailing slash, a base URL
//! without `/v2`, any `Accept` and `Content-Type`, unknown query parameters, `+` for a blank.
//!
//! Sources: *entra-docs* is MicrosoftDocs/entra-docs `docs/identity/app-provisioning/`; *okta-dev* is
//! okta/okta-developer-docs; the others are public repositories and their issues.

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
/// numbers (okta-dev, scim-with-entitlements). Kept as the text of the number.
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
/// (AzureAD/SCIMReferenceCode LogicApp `SCIM_Null_Update`; okta-dev, scim-20). The same as null: unassigned.
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
/// `department` and `manager` at the top level (entra-docs, use-scim…, examples 2 and 4). Means the one declared
/// extension that has an attribute of that name.
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
/// (okta-dev, scim-20). Rollcall is not where users sign in: the value is accepted and discarded at once, never
/// stored, and the attribute is published only where a profile says so, because Microsoft's validator stops at it
/// (scimmy-routers#10).
pub fn is_discarded(name: &str) -> bool {
    let is_discarded = name.eq_ignore_ascii_case("password");
    if is_discarded {
        note(Rule::Discarded);
    }
    is_discarded
}

/// **Read-only values echoed.** Okta's PUT carries `id`, `meta` and `groups`, its group rename an `id` inside a
/// path-less replace; AWS-style clients do likewise (okta-dev, scim-20; slashdevops/idp-scim-sync). Ignored, as
/// RFC 7644 section 3.5.1 says for PUT; a PATCH *path* to a read-only attribute is still refused.
pub fn is_read_only_echo(attribute: &Attribute) -> bool {
    let is_read_only = attribute.mutability == super::schema::Mutability::ReadOnly;
    if is_read_only {
        note(Rule::ReadOnlyEcho);
    }
    is_read_only
}

/// **Value path that selects nothing yet.** Entra adds *and replaces* `emails[type eq "work"].value` on a user without
/// a work e-mail, where RFC 7644 section 3.5.2.3 would have `noTarget` (sourcegraph PR 49200, Metatavu/
/// keycloak-scim-server#35). The value is created with what the filter's `eq` terms say; a filter that says more than
/// `eq` and `and` do not name what to create: `None`.
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

/// **Replaced value keeps its label.** A `replace` of `emails[type eq "work"]` with `{"value": …}` alone would leave
/// an e-mail without type that the same path no longer finds. What the filter's `eq` terms say is kept where the new
/// value does not say otherwise (RFC 7644 section 3.5.2.3 replaces the rest).
pub fn preserve_selector_values(selector: &Filter, replacement: &mut Map<String, Value>) {
    for (name, value) in element_from_selector(selector).into_iter().flatten() {
        if member(replacement, &name).is_none() {
            note(Rule::SelectorValues);
            replacement.insert(name, value);
        }
    }
}

/// **Remove by a list of values.** Entra without `aadOptscim062020`, and AWS-style clients, remove members with
/// `path: "members"` and a `value` list: only those go (entra-docs, compatibility; awslabs/ssosync client_test.go).
/// An element is meant if its `value`, and its `type` where the list names one, are the same; for lists without
/// `value`, if it has everything that the list's element has. Both in the form in which filters
/// compare values.
pub fn is_listed(element: &Value, listed: &[Value]) -> bool {
    listed.iter().any(|wanted| match (element, wanted) {
        (Value::Object(element), Value::Object(wanted)) => {
            let identifying = |name: &str| !wanted.contains_key("value") || name == "value" || name == "type";
            let mut named = wanted.iter().filter(|(name, _)| identifying(name)).peekable();
            named.peek().is_some() && named.all(|(name, value)| member(element, name) == Some(value))
        }
        (element, wanted) => element == wanted,
    })
}

/// **Unquoted filter value.** Microsoft's example has `externalId eq jyoung`, its Postman collection
/// `meta.Created gt 2015-10-10T14:38:21.8617979-07:00`, and boolean literals come in any case. What is not a JSON
/// literal is text.
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
/// section 2.4 allows one. The first one that the request names stays, the others become false; in a PATCH what the
/// operation wrote (`touched`) wins over what was there (RFC 7644 section 3.5.2).
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
/// when the source value goes (entra-docs, customize-application-attributes). What would stay, `{"type": "fax"}`,
/// is nobody's number: an element left with nothing but its labels is dropped.
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
        let is_listed = |listed: &[Value]| is_listed(&element, listed);
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
