//! Attribute paths: `userName`, `name.givenName`, `emails[type eq "work"].value`, all with or without a URN
//! (RFC 7644 sections 3.5.2 and 3.10).

use std::fmt;

use super::deviation;
use super::filter::parse::Parser;
use super::filter::{Filter, SyntaxError};
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
        if urn.is_some() && rest.starts_with(|c: char| c.is_ascii_digit()) {
            return Ok(Self { urn, name: rest, selector: None, sub: None });
        }
        let (name, sub) = match rest.split_once('.') {
            Some((name, sub)) => (name, Some(sub)),
            None => (rest.as_str(), None),
        };
        for part in [Some(name), sub].into_iter().flatten() {
            if !is_name(part) {
                let message = format!("has \"{}\", which is not an attribute name,", shorten(part));
                return Err(at_start(message, "use letters, digits, - and _ after a letter (RFC 7643 section 2.1)"));
            }
        }
        Ok(Self { urn, name: name.to_owned(), selector: None, sub: sub.map(str::to_owned) })
    }
}

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
        ] {
            assert!(AttributePath::parse(text).is_err(), "{text}");
        }
        let error = AttributePath::parse("emails[type eq \"work\"").unwrap_err();
        assert_eq!(error.position, 21);
    }
}
