//! From a URL path to tenant, base path and endpoint: `/{tenant}/scim/v2/Users/{id}`, with or without `/v2`
//! (the seed applications' tenant URLs differ), with or without a trailing slash (Microsoft's Postman collection).

use percent_encoding::percent_decode_str;

use crate::tenant::OPERATOR_TENANT;

/// Where a row's path begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// A tenant's base URL, `/{tenant}/scim/v2` or `/{tenant}/scim`: SCIM.
    Scim,
    /// `/{tenant}/oauth`: access tokens (RFC 6749).
    OAuth,
    /// `/.well-known/oauth-authorization-server/{tenant}`: where a client finds its token endpoint (RFC 8414).
    WellKnown,
    /// `/admin/v1`: what operators do.
    Admin,
    /// `/{tenant}/manage`: the page for administrators.
    Pages,
    /// `/{tenant}/events`: the feed of what has happened.
    Events,
}

impl Base {
    /// The addresses as API Gateway writes them.
    pub fn patterns(self) -> &'static [&'static str] {
        match self {
            Self::Scim => &["/{tenant}/scim/v2", "/{tenant}/scim"],
            Self::OAuth => &["/{tenant}/oauth"],
            Self::WellKnown => &["/.well-known/oauth-authorization-server/{tenant}"],
            Self::Admin => &["/admin/v1"],
            Self::Pages => &["/{tenant}/manage"],
            Self::Events => &["/{tenant}/events"],
        }
    }
}

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestTarget {
    /// The tenant, as the URL says; not verified.
    pub(super) tenant: String,
    /// What kind of address it is.
    kind: Base,
    /// The path of the tenant's base URL, as the client wrote it.
    pub(super) base: String,
    /// The decoded segments after it.
    segments: Vec<String>,
}

impl RequestTarget {
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
            [tenant, name, rest @ ..] if name == "manage" => (Base::Pages, tenant.as_str(), rest),
            [tenant, name] if name == "events" => (Base::Events, tenant.as_str(), &[][..]),
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

    /// Whether the path is below that base and of that form, such as `/Users/{id}`.
    pub(super) fn matches(&self, base: Base, pattern: &str) -> bool {
        base == self.kind && self.has_form(pattern)
    }

    fn has_form(&self, pattern: &str) -> bool {
        let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
        parts.len() == self.segments.len()
            && parts.iter().zip(&self.segments).all(|(part, segment)| part.starts_with('{') || part == segment)
    }

    /// The segment that stands where a pattern has that part, such as `{id}`.
    pub(super) fn value(&self, pattern: &str, part: &str) -> &str {
        let at = pattern.split('/').filter(|part| !part.is_empty()).position(|p| p == part);
        at.and_then(|at| self.segments.get(at)).map_or("", String::as_str)
    }

    /// The path below the base, decoded.
    pub(super) fn below_base(&self) -> String {
        self.segments.iter().map(|segment| format!("/{segment}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::RequestTarget;

    #[test]
    fn a_path_is_taken_apart_with_and_without_version_and_trailing_slash() {
        for (path, base) in [
            ("/acme/scim/v2/Users/1", "/acme/scim/v2"),
            ("/acme/scim/Users/1", "/acme/scim"),
            ("/acme/scim/v2/Users/1/", "/acme/scim/v2"),
            ("/acme/scim/v2/Users/%31", "/acme/scim/v2"),
        ] {
            let target = RequestTarget::parse(path).unwrap();
            assert_eq!((target.tenant.as_str(), target.base.as_str()), ("acme", base));
            assert_eq!(target.value("/Users/{id}", "{id}"), "1");
            assert!(target.has_form("/Users/{id}") && !target.has_form("/Users"));
        }
    }

    #[test]
    fn other_paths_are_nobodys() {
        for path in ["", "/", "/acme", "/acme/other/Users", "/%ff/scim/Users", "acme/scim/Users"] {
            assert_eq!(RequestTarget::parse(path), None, "{path}");
        }
        assert!(RequestTarget::parse("/acme/scim/v2").unwrap().has_form("/"));
        let up = RequestTarget::parse("/acme/scim/v2/Users/../Users").unwrap();
        assert!(!up.has_form("/Users") && !up.has_form("/Users/{id}"));
    }
}
