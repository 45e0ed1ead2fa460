//! Attribute paths: `userName`, `name.givenName`, `emails[type eq "work"].value`, all with or without a URN
//! (RFC 7644 sections 3.5.2 and 3.10).

use std::fmt;

use super::filter::parse::Parser;
use super::filter::{Filter, SyntaxError};
use super::{ScimError, deviation};
use crate::limits::{MAX_PATH_BYTES, MAX_SELECTOR_TERMS};

/// A path as written. Which attribute it names is decided by [`ResourceSchema::locate`](super::ResourceSchema::locate).
#[derive(Debug, Clone, PartialEq)]
pub struct AttributePath {
    /// The URN in front of the name, as written.
    pub urn: Option<String>,
    /// The attribute name, as written. Empty for nothing.
    pub name: String,
    /// The value filter in brackets.
    pub selector: Option<Box<Filter>>,
    /// The sub-attribute, as written.
    pub sub: Option<String>,
}

impl AttributePath {
    /// Reads a path.
    ///
    /// # Examples
    /// ```
    /// use rollcall::scim::path::AttributePath;
    ///
    /// let path = AttributePath::parse(r#"emails[type eq "work"].value"#).unwrap();
    /// assert_eq!((path.name.as_str(), path.sub.as_deref()), ("emails", Some("value")));
    /// ```
    ///
    /// # Errors
    /// Where and why the text is not a path.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        if text.len() > MAX_PATH_BYTES {
            return Err(at_start(format!("is longer than {MAX_PATH_BYTES} bytes"), "write a shorter path"));
        }
        let mut parser = Parser::new(text)?;
        let path = parser.path()?;
        parser.end()?;
        if path.selector.as_ref().is_some_and(|selector| selector.terms() > MAX_SELECTOR_TERMS) {
            let message = format!("has a value filter of more than {MAX_SELECTOR_TERMS} comparisons");
            return Err(at_start(message, "send several operations"));
        }
        Ok(path)
    }

    /// Splits `[urn:]name[.sub]`.
    ///
    /// The URN ends at the last colon (RFC 7644 section 3.10); a last segment that starts with a digit is a version,
    /// so that `urn:acme:crm:1.0` stays whole.
    ///
    /// # Errors
    /// At position 0, as the caller knows where the token starts.
    pub(super) fn from_token(token: &str) -> Result<Self, SyntaxError> {
        let is_urn = token.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("urn:"));
        let (urn, rest) = match token.rsplit_once(':') {
            Some((urn, rest)) if is_urn => match deviation::urn_joined_by_dot(urn, rest) {
                Some((urn, rest)) => (Some(urn), rest),
                None => (Some(urn.to_owned()), rest.to_owned()),
            },
            Some(_) => {
                let message = format!("has a colon in \"{}\", which is no URN,", shorten(token));
                return Err(at_start(message, "write the URN from urn: on, or the attribute alone"));
            }
            None => (None, token.to_owned()),
        };
        if urn.as_ref().is_some_and(|urn| urn.split([':', '.']).any(str::is_empty)) {
            let message = format!("has an empty part in the URN \"{}\",", shorten(token));
            return Err(at_start(message, "write one colon or dot between two parts"));
        }
        if urn.is_some() && is_version(&rest) {
            return Ok(Self { urn, name: rest, selector: None, sub: None });
        }
        let (name, sub) = match rest.split_once('.') {
            Some((name, sub)) => (name, Some(sub)),
            None => (rest.as_str(), None),
        };
        for part in [Some(name), sub].into_iter().flatten() {
            if !is_name(part) {
                let message = format!("has \"{}\", which is not an attribute name,", shorten(part));
                return Err(at_start(message, NAME_RULE));
            }
        }
        Ok(Self { urn, name: name.to_owned(), selector: None, sub: sub.map(str::to_owned) })
    }

    /// Whether it has neither a value filter nor a sub-attribute.
    pub fn is_plain(&self) -> bool {
        self.selector.is_none() && self.sub.is_none()
    }

    /// Reads the key of an object of attributes, which is a path.
    ///
    /// # Errors
    /// 400 `invalidPath` with the key, and why it is none.
    pub(super) fn of_key(key: &str) -> Result<Self, ScimError> {
        Self::parse(key).map_err(|e| ScimError::invalid_path(format!("attribute \"{}\" {e}", shorten(key))))
    }

    /// Reads the key of an extension's object, which is a path without a URN.
    ///
    /// # Errors
    /// 400 `invalidPath` with the key, and why it is none.
    pub(super) fn of_member(urn: &str, key: &str) -> Result<Self, ScimError> {
        let path = Self::of_key(key)?;
        if path.urn.is_some() {
            let key = shorten(key);
            let detail = format!("\"{key}\" is not an attribute of {urn}; write its name without a URN");
            return Err(ScimError::invalid_path(detail));
        }
        Ok(Self { urn: Some(urn.to_owned()), ..path })
    }
}

/// The last part of a URN that ends with a version, such as `1.0` or `2.0-rc1`: no attribute's name begins with a digit.
pub(super) fn is_version(text: &str) -> bool {
    let is_word = |part: &str| part.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    text.split('.').all(|part| part.starts_with(|c: char| c.is_ascii_digit()) && is_word(part))
}

/// Checks the name of a part of the attribute `at`, which is a key in its object.
///
/// # Errors
/// 400 `invalidPath` with the key, and what a name is.
pub(super) fn check_name(key: &str, at: &str) -> Result<(), ScimError> {
    if is_name(key) {
        return Ok(());
    }
    let key = shorten(key);
    Err(ScimError::invalid_path(format!("{at} has the key \"{key}\", which is not an attribute name; {NAME_RULE}")))
}

const NAME_RULE: &str = "use letters, digits, - and _ after a letter (RFC 7643 section 2.1)";

/// `ATTRNAME` of RFC 7643 section 2.1; `$ref` is the one that starts with a dollar sign.
pub fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    text == "$ref"
        || chars.next().is_some_and(|c| c.is_ascii_alphabetic())
            && chars.all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

fn at_start(message: String, remedy: &'static str) -> SyntaxError {
    SyntaxError { position: 0, message, remedy }
}

fn shorten(text: &str) -> String {
    text.chars().take(64).collect()
}

impl fmt::Display for AttributePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(urn) = &self.urn {
            write!(f, "{urn}:")?;
        }
        f.write_str(&self.name)?;
        if let Some(selector) = &self.selector {
            write!(f, "[{selector}]")?;
        }
        match &self.sub {
            Some(sub) => write!(f, ".{sub}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::AttributePath;

    #[test]
    fn every_form_of_path_is_read_and_printed_back() {
        for text in [
            "userName",
            "name.givenName",
            "members.$ref",
            "emails[type eq \"work\"]",
            "emails[type eq \"work\" and value ew \"example.com\"].value",
            "urn:ietf:params:scim:schemas:core:2.0:User:name.familyName",
            "urn:ietf:params:scim:schemas:core:2.0:User:emails[type eq \"work\"].value",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
            "urn:acme:crm:1.0",
        ] {
            assert_eq!(AttributePath::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_not_a_path_is_refused_with_its_place() {
        for text in [
            "",
            "a.b.c",
            "emails[",
            "emails[]",
            "emails[type eq \"x\"",
            "emails]",
            "a b",
            "1a",
            "a..b",
            "emails[0]",
            "x:y",
            "urn:acme:crm:",
            "urn:acme::crm",
            "urn:acme:crm:1..0",
            "urn:acme:crm:1.0.",
            "urn:acme:crm/badge",
            "urn:acme:crm%3Abadge",
            "urn:acme:crm :badge",
        ] {
            assert!(AttributePath::parse(text).is_err(), "{text}");
        }
        let error = AttributePath::parse("emails[type eq \"work\"").unwrap_err();
        assert_eq!(error.position, 21);
    }

    #[test]
    fn a_dot_after_a_version_joins_an_attribute() {
        let path = AttributePath::parse("urn:acme:crm:1.0.badge.colour").unwrap();
        assert_eq!(path.to_string(), "urn:acme:crm:1.0:badge.colour");
        assert_eq!(AttributePath::parse("urn:acme:crm:1.0-beta").unwrap().name, "1.0-beta");
    }
}
