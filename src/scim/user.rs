//! What is particular to users: the values they are found by.

use super::ErrorCode;
use super::filter::Filter;
use super::filter::plan::{Finds, Indexed};
use super::fold::fold;
use super::{Document, ResourceSchema, ScimError};
use crate::limits::{MAX_EMAILS, MAX_KEY_BYTES};

/// What users can be looked up by, cheapest first.
pub const INDEXED: &[Indexed] = &[
    Indexed { attribute: "userName", finds: Finds::Prefixes },
    Indexed { attribute: "id", finds: Finds::Equals },
    Indexed { attribute: "externalId", finds: Finds::Equals },
    Indexed { attribute: "emails.value", finds: Finds::Equals },
    Indexed { attribute: "meta.lastModified", finds: Finds::Since },
];

/// Refuses a filter on the names of a user's groups: they are kept with the groups, and a user would seem to have none.
///
/// # Errors
/// 400 `invalidFilter`.
pub fn check_searchable(filter: &Filter, schema: &ResourceSchema) -> Result<(), ScimError> {
    let is_name = |name: &str| name.eq_ignore_ascii_case("display");
    match filter {
        Filter::And(parts) | Filter::Or(parts) => parts.iter().try_for_each(|part| check_searchable(part, schema)),
        Filter::Not(inner) => check_searchable(inner, schema),
        Filter::Present(path) | Filter::ValuePath(path) | Filter::Compare(path, ..) => {
            let located = schema.locate(path);
            let of_groups = located.extension.is_none() && located.attribute.is_some_and(|a| a.name == "groups");
            let inside = path.selector.as_ref().is_some_and(|selector| selector.names(&is_name));
            if of_groups && (inside || path.sub.as_deref().is_some_and(is_name)) {
                return Err(ScimError::invalid_filter(
                    "groups.display finds no users; filter by groups.value, with the id that /Groups finds by displayName",
                ));
            }
            Ok(())
        }
    }
}

/// The values by which a user is found, folded where case does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserKeys {
    /// `userName`, folded.
    pub user_name: String,
    /// `externalId`, as sent.
    pub external_id: Option<String>,
    /// Every distinct `emails.value`, folded; the primary one first.
    pub emails: Vec<String>,
}

impl UserKeys {
    /// Reads the keys of a document.
    ///
    /// # Errors
    /// 400 `invalidValue` naming the attribute and the limit.
    pub fn of(document: &Document) -> Result<Self, ScimError> {
        let user_name = document.text("userName").unwrap_or_default();
        if user_name.trim().is_empty() || user_name.chars().any(char::is_control) {
            return Err(ScimError::new(
                ErrorCode::AttributeRequired,
                "userName is required; it must have a visible character and no control characters",
            ));
        }
        Ok(Self {
            user_name: key("userName", fold(user_name))?,
            external_id: document.text("externalId").map(|id| key("externalId", id.to_owned())).transpose()?,
            emails: emails(document)?,
        })
    }
}

fn emails(document: &Document) -> Result<Vec<String>, ScimError> {
    let values = document.attributes().get("emails").and_then(|v| v.as_array());
    let is_primary = |email: &serde_json::Value| email.get("primary").and_then(|p| p.as_bool()) == Some(true);
    let (primary, others): (Vec<_>, Vec<_>) = values.into_iter().flatten().partition(|email| is_primary(email));
    let mut distinct = Vec::new();
    for email in primary.into_iter().chain(others) {
        if let Some(value) = email.get("value").and_then(|v| v.as_str()) {
            let folded = key("emails.value", fold(value))?;
            if !distinct.contains(&folded) {
                distinct.push(folded);
            }
        }
    }
    if distinct.len() > MAX_EMAILS {
        return Err(ScimError::invalid_value(format!(
            "emails has more than {MAX_EMAILS} different addresses; send fewer"
        )));
    }
    Ok(distinct)
}

/// A value that is an index key.
///
/// # Errors
/// 400 `invalidValue` when it is too long for one.
pub(super) fn key(attribute: &str, text: String) -> Result<String, ScimError> {
    if text.len() > MAX_KEY_BYTES {
        return Err(ScimError::invalid_value(format!(
            "{attribute} is longer than {MAX_KEY_BYTES} bytes; send a shorter value"
        )));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_primary_address_comes_first_and_none_twice() {
        let document = Document::from_stored(
            &json!({"userName": "Bob", "externalId": "X", "emails": [
                {"value": "a@x"}, {"value": "B@x", "primary": true}, {"value": "A@x"}, {"type": "work"}]})
            .to_string(),
        )
        .unwrap();
        let keys = UserKeys::of(&document).unwrap();
        assert_eq!((keys.user_name.as_str(), keys.external_id.as_deref()), ("bob", Some("X")));
        assert_eq!(keys.emails, ["b@x", "a@x"]);
    }

    #[test]
    fn the_names_of_groups_are_not_searched() {
        let schemas = crate::scim::Schemas::standard().unwrap();
        let check = |text: &str| check_searchable(&Filter::parse(text).unwrap(), &schemas.user);
        for text in ["groups.value eq \"x\"", "groups pr", "emails.display eq \"x\"", "emails[display eq \"x\"]"] {
            assert!(check(text).is_ok(), "{text}");
        }
        for text in ["title pr or not (groups.Display eq \"x\")", "groups[value eq \"1\" and display pr]"] {
            assert_eq!(check(text).unwrap_err().status(), 400, "{text}");
        }
    }

    #[test]
    fn keys_have_a_length_and_can_be_seen() {
        let keys = |user_name: &str| {
            UserKeys::of(&Document::from_stored(&json!({"userName": user_name}).to_string()).unwrap())
        };
        assert!(keys("a b").is_ok());
        for bad in [" ", "a\u{0}b", &"x".repeat(1025)] {
            assert_eq!(keys(bad).unwrap_err().status(), 400);
        }
    }
}
