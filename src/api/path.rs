//! From a URL path to tenant, base path and endpoint: `/{tenant}/scim/v2/Users/{id}`, with or without `/v2`
//! (the seed applications' tenant URLs differ), with or without a trailing slash (Microsoft's Postman collection).

use percent_encoding::percent_decode_str;

use super::route::{Base, Route};
use crate::auth::OPERATOR_TENANT;

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The tenant, as the URL says; not verified.
    pub(super) tenant: String,
    /// What kind of address it is.
    kind: Base,
    /// The path of the tenant's base URL, as the client wrote it.
    pub(super) base: String,
    /// The decoded segments after it.
    segments: Vec<String>,
}

impl Target {
    pub(super) fn parse(path: &str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        let path = path.strip_suffix('/').unwrap_or(path);
        let segments = path.split('/').map(|segment| percent_decode_str(segment).decode_utf8());
        let segments = segments.map(|segment| segment.map(|s| s.into_owned())).collect::<Result<Vec<_>, _>>().ok()?;
        let (kind, tenant, rest) = match segments.as_slice() {
            [first, version, rest @ ..] if first == OPERATOR_TENANT && version == "v1" => {
                (Base::Admin, OPERATOR_TENANT, rest)
            }
            [first, name, tenant] if first == ".well-known" && name == "oauth-authorization-server" => {
                (Base::WellKnown, tenant.as_str(), &[][..])
            }
            [tenant, name, rest @ ..] if name == "oauth" => (Base::OAuth, tenant.as_str(), rest),
            [tenant, name, version, rest @ ..] if name == "scim" && version == "v2" => {
                (Base::Scim, tenant.as_str(), rest)
            }
            [tenant, name, rest @ ..] if name == "scim" => (Base::Scim, tenant.as_str(), rest),
            _ => return None,
        };
        let base = segments.len() - rest.len();
        let base: String = segments.iter().take(base).map(|segment| format!("/{segment}")).collect();
        Some(Self { tenant: tenant.to_owned(), kind, base, segments: rest.to_vec() })
    }

    /// Whether the path is of a route's form, such as `/Users/{id}`.
    pub(super) fn matches(&self, route: &Route) -> bool {
        route.base == self.kind && self.has_form(route.path)
    }

    fn has_form(&self, pattern: &str) -> bool {
        let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
        parts.len() == self.segments.len()
            && parts.iter().zip(&self.segments).all(|(part, segment)| part.starts_with('{') || part == segment)
    }

    /// The value of a part of a route's path, such as `{tenant}`.
    pub(super) fn value(&self, route: &Route, part: &str) -> &str {
        let at = route.path.split('/').filter(|part| !part.is_empty()).position(|p| p == part);
        at.and_then(|at| self.segments.get(at)).map_or("", String::as_str)
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
            assert!(target.has_form("/Users/{id}") && !target.has_form("/Users"));
        }
    }

    #[test]
    fn other_paths_are_nobodys() {
        for path in ["", "/", "/acme", "/acme/other/Users", "/%ff/scim/Users", "acme/scim/Users"] {
            assert_eq!(Target::parse(path), None, "{path}");
        }
        assert!(Target::parse("/acme/scim/v2").unwrap().has_form("/"));
        let up = Target::parse("/acme/scim/v2/Users/../Users").unwrap();
        assert!(!up.has_form("/Users") && !up.has_form("/Users/{id}"));
    }
}
