//! Entity tags of resource versions (RFC 7644 section 3.14, RFC 9110 section 8.8).

use super::ScimError;

/// The weak tag of a version: weak, because renderings of one version differ with `attributes`.
pub fn weak(version: u64) -> String {
    format!("W/\"{version}\"")
}

/// The version of a weak tag.
pub fn version_of(tag: &str) -> Option<u64> {
    tag.strip_prefix("W/\"")?.strip_suffix('"')?.parse().ok()
}

/// What an `If-Match` or `If-None-Match` header names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tags {
    /// `*`: any version.
    Any,
    /// A list of tags, without quotes and weakness mark.
    List(Vec<String>),
}

impl Tags {
    /// Reads a header value.
    ///
    /// # Examples
    /// ```
    /// use rollcall::scim::etag::Tags;
    ///
    /// assert!(Tags::parse(r#"W/"1", W/"7""#).contains(7));
    /// assert!(!Tags::parse(r#"W/"1""#).contains(2));
    /// ```
    pub fn parse(header: &str) -> Self {
        if header.trim() == "*" {
            return Self::Any;
        }
        Self::List(
            header
                .split(',')
                .map(|tag| {
                    let tag = tag.trim();
                    let tag = tag.strip_prefix("W/").unwrap_or(tag);
                    tag.trim_matches('"').to_owned()
                })
                .collect(),
        )
    }

    /// Whether the version is named. Compared weakly: SCIM's tags are weak, and RFC 7644 uses them with `If-Match`.
    pub fn contains(&self, version: u64) -> bool {
        match self {
            Self::Any => true,
            Self::List(tags) => {
                let version = version.to_string();
                tags.contains(&version)
            }
        }
    }
}

/// Checks an optional `If-Match` against the current version.
///
/// # Errors
/// 412 when the header is there and does not name the version.
pub fn check_if_match(if_match: Option<&Tags>, version: u64) -> Result<(), ScimError> {
    match if_match {
        Some(tags) if !tags.contains(version) => Err(ScimError::version_mismatch()),
        _ => Ok(()),
    }
}

/// Checks the preconditions of a write against the current version: `If-Match`, then `If-None-Match`, which names what the
/// client would not write over (RFC 9110 sections 13.1 and 13.2.2).
///
/// # Errors
/// 412 when `If-Match` is there and does not name the version, or `If-None-Match` does.
pub fn check_preconditions(
    if_match: Option<&Tags>,
    if_none_match: Option<&Tags>,
    version: u64,
) -> Result<(), ScimError> {
    check_if_match(if_match, version)?;
    match if_none_match {
        Some(tags) if tags.contains(version) => Err(ScimError::already_there()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_match_weakly_and_in_lists() {
        assert!(Tags::parse("W/\"3\"").contains(3));
        assert!(Tags::parse("\"1\", W/\"3\"").contains(3));
        assert!(Tags::parse(" * ").contains(9));
        assert!(!Tags::parse("W/\"stale\"").contains(3));
        assert!(!Tags::parse("").contains(3));
        assert!(check_if_match(None, 3).is_ok());
        assert_eq!(check_if_match(Some(&Tags::parse("W/\"2\"")), 3).unwrap_err().status(), 412);
    }

    #[test]
    fn what_is_there_fails_if_none_match() {
        for (tags, status) in [(Some("*"), 412), (Some("W/\"3\""), 412), (Some("W/\"2\""), 0), (None, 0)] {
            let tags = tags.map(Tags::parse);
            let refused = check_preconditions(None, tags.as_ref(), 3).err();
            assert_eq!(refused.map_or(0, |error| error.status()), status, "{tags:?}");
        }
    }
}
