//! From a URL path to tenant, base path and endpoint: `/{tenant}/scim/v2/Users/{id}`, with or without `/v2`
//! (the seed applications' tenant URLs differ), with or without a trailing slash (Microsoft's Postman collection).

use percent_encoding::percent_decode_str;

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The tenant, as the URL says; not verified.
    pub(super) tenant: String,
    /// The path of the tenant's base URL, as the client wrote it.
    pub(super) base: String,
    /// The decoded segments after it.
    segments: Vec<String>,
}

impl Target {
    pub(super) fn parse(path: &str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        let path = path.strip_suffix('/').unwrap_or(path);
        let mut segments = path.split('/').map(|segment| percent_decode_str(segment).decode_utf8());
        let tenant = segments.next()?.ok()?.into_owned();
        if segments.next()?.ok()? != "scim" {
            return None;
        }
        let mut segments =
            segments.map(|segment| segment.map(|s| s.into_owned())).collect::<Result<Vec<_>, _>>().ok()?;
        let mut base = format!("/{tenant}/scim");
        if segments.first().is_some_and(|segment| segment == "v2") {
            segments.remove(0);
            base.push_str("/v2");
        }
        Some(Self { tenant, base, segments })
    }

    /// Whether the path is of a route's form, such as `/Users/{id}`.
    pub(super) fn matches(&self, pattern: &str) -> bool {
        let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
        parts.len() == self.segments.len()
            && parts.iter().zip(&self.segments).all(|(part, segment)| *part == "{id}" || part == segment)
    }

    /// The value of `{id}`: the last segment.
    pub(super) fn id(&self) -> &str {
        self.segments.last().map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn a_path_is_taken_apart_with_and_without_version_and_trailing_slash() {
        for (path, base) in [
            ("/acme/scim/v2/Users/1", "/acme/scim/v2"),
            ("/acme/scim/Users/1", "/acme/scim"),
            ("/acme/scim/v2/Users/1/", "/acme/scim/v2"),
            ("/acme/scim/v2/Users/%31", "/acme/scim/v2"),
        ] {
            let target = Target::parse(path).unwrap();
            assert_eq!((target.tenant.as_str(), target.base.as_str(), target.id()), ("acme", base, "1"));
            assert!(target.matches("/Users/{id}") && !target.matches("/Users"));
        }
    }

    #[test]
    fn other_paths_are_nobodys() {
        for path in ["", "/", "/acme", "/acme/other/Users", "/%ff/scim/Users", "acme/scim/Users"] {
            assert_eq!(Target::parse(path), None, "{path}");
        }
        assert!(Target::parse("/acme/scim/v2").unwrap().matches("/"));
        let up = Target::parse("/acme/scim/v2/Users/../Users").unwrap();
        assert!(!up.matches("/Users") && !up.matches("/Users/{id}"));
    }
}
