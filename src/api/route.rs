//! **The route table**: the whole interface at a glance. The Lambda functions, their roles and their events are made
//! from it, the isolation and access tests walk it.
//!
//! Adding a route: a row here, a handler, `make template`, `make openapi`, a budget line; the other tests find it by
//! themselves.

use std::pin::Pin;

use http::Method;

use super::{Call, Reply, discovery, group_members, groups, users};
use crate::auth::Scope;
use crate::scim::ScimError;
use crate::store::tables::Access;

/// One row.
pub struct Route {
    /// The function's handler string, such as `users.get`.
    pub name: &'static str,
    /// The method.
    pub method: Method,
    /// The path below the tenant's base URL.
    pub path: &'static str,
    /// What the key must be allowed.
    pub scope: Scope,
    /// Every access to a table that the handler may make; the role allows no other.
    pub access: &'static [Access],
    /// The handler.
    pub handler: Handler,
}

/// A handler as the table holds it.
pub type Handler = for<'a> fn(Call<'a>) -> Pin<Box<dyn Future<Output = Result<Reply, ScimError>> + Send + 'a>>;

/// Every route.
pub static ROUTES: &[Route] = &[
    Route {
        name: "users.create",
        method: Method::POST,
        path: "/Users",
        scope: Scope::Write,
        access: &[Access::KEYS_GET, Access::USERS_PUT, Access::LINKS_PUT],
        handler: |call| Box::pin(users::create(call)),
    },
    Route {
        name: "users.list",
        method: Method::GET,
        path: "/Users",
        scope: Scope::Read,
        access: &[
            Access::KEYS_GET,
            Access::USERS_GET,
            Access::USERS_QUERY,
            Access::USERS_BY_ID,
            Access::USERS_BY_EXTERNAL_ID,
            Access::USERS_BY_EMAIL,
            Access::GROUPS_BATCH_GET,
            Access::LINKS_QUERY,
        ],
        handler: |call| Box::pin(users::list(call)),
    },
    Route {
        name: "users.get",
        method: Method::GET,
        path: "/Users/{id}",
        scope: Scope::Read,
        access: &[Access::KEYS_GET, Access::USERS_BY_ID, Access::GROUPS_BATCH_GET],
        handler: |call| Box::pin(users::get(call)),
    },
    Route {
        name: "users.replace",
        method: Method::PUT,
        path: "/Users/{id}",
        scope: Scope::Write,
        access: USER_CHANGE,
        handler: |call| Box::pin(users::replace(call)),
    },
    Route {
        name: "users.patch",
        method: Method::PATCH,
        path: "/Users/{id}",
        scope: Scope::Write,
        access: USER_CHANGE,
        handler: |call| Box::pin(users::patch(call)),
    },
    Route {
        name: "users.delete",
        method: Method::DELETE,
        path: "/Users/{id}",
        scope: Scope::Write,
        access: &[
            Access::KEYS_GET,
            Access::USERS_BY_ID,
            Access::USERS_DELETE,
            Access::GROUPS_UPDATE,
            Access::LINKS_PUT,
            Access::LINKS_DELETE,
        ],
        handler: |call| Box::pin(users::delete(call)),
    },
    Route {
        name: "groups.create",
        method: Method::POST,
        path: "/Groups",
        scope: Scope::Write,
        access: &[
            Access::KEYS_GET,
            Access::USERS_BY_ID,
            Access::USERS_UPDATE,
            Access::GROUPS_GET,
            Access::GROUPS_PUT,
            Access::GROUPS_UPDATE,
            Access::LINKS_GET,
            Access::LINKS_QUERY,
            Access::LINKS_PUT,
            Access::LINKS_DELETE,
        ],
        handler: |call| Box::pin(groups::create(call)),
    },
    Route {
        name: "groups.list",
        method: Method::GET,
        path: "/Groups",
        scope: Scope::Read,
        access: &[
            Access::KEYS_GET,
            Access::USERS_BY_ID,
            Access::GROUPS_GET,
            Access::GROUPS_BATCH_GET,
            Access::GROUPS_BY_NAME,
            Access::GROUPS_BY_EXTERNAL_ID,
            Access::LINKS_GET,
            Access::LINKS_QUERY,
        ],
        handler: |call| Box::pin(groups::list(call)),
    },
    Route {
        name: "groups.get",
        method: Method::GET,
        path: "/Groups/{id}",
        scope: Scope::Read,
        access: &[Access::KEYS_GET, Access::GROUPS_GET, Access::LINKS_QUERY],
        handler: |call| Box::pin(groups::get(call)),
    },
    Route {
        name: "groups.replace",
        method: Method::PUT,
        path: "/Groups/{id}",
        scope: Scope::Write,
        access: GROUP_CHANGE,
        handler: |call| Box::pin(groups::replace(call)),
    },
    Route {
        name: "groups.patch",
        method: Method::PATCH,
        path: "/Groups/{id}",
        scope: Scope::Write,
        access: GROUP_CHANGE,
        handler: |call| Box::pin(groups::patch(call)),
    },
    Route {
        name: "groups.delete",
        method: Method::DELETE,
        path: "/Groups/{id}",
        scope: Scope::Write,
        access: &[
            Access::KEYS_GET,
            Access::USERS_BY_ID,
            Access::USERS_UPDATE,
            Access::GROUPS_GET,
            Access::GROUPS_UPDATE,
            Access::GROUPS_DELETE,
            Access::LINKS_GET,
            Access::LINKS_QUERY,
            Access::LINKS_PUT,
            Access::LINKS_DELETE,
        ],
        handler: |call| Box::pin(groups::delete(call)),
    },
    Route {
        name: "groupmembers.create",
        method: Method::POST,
        path: "/GroupMembers",
        scope: Scope::Write,
        access: GROUP_CHANGE,
        handler: |call| Box::pin(group_members::create(call)),
    },
    Route {
        name: "groupmembers.list",
        method: Method::GET,
        path: "/GroupMembers",
        scope: Scope::Read,
        access: &[
            Access::KEYS_GET,
            Access::USERS_BY_ID,
            Access::GROUPS_GET,
            Access::GROUPS_BATCH_GET,
            Access::GROUPS_QUERY,
            Access::LINKS_GET,
            Access::LINKS_BATCH_GET,
            Access::LINKS_QUERY,
        ],
        handler: |call| Box::pin(group_members::list(call)),
    },
    Route {
        name: "groupmembers.get",
        method: Method::GET,
        path: "/GroupMembers/{id}",
        scope: Scope::Read,
        access: &[Access::KEYS_GET, Access::GROUPS_GET, Access::LINKS_GET, Access::LINKS_QUERY],
        handler: |call| Box::pin(group_members::get(call)),
    },
    Route {
        name: "groupmembers.delete",
        method: Method::DELETE,
        path: "/GroupMembers/{id}",
        scope: Scope::Write,
        access: GROUP_CHANGE,
        handler: |call| Box::pin(group_members::delete(call)),
    },
    Route {
        name: "config.get",
        method: Method::GET,
        path: "/ServiceProviderConfig",
        scope: Scope::Read,
        access: &[Access::KEYS_GET],
        handler: |call| Box::pin(discovery::service_provider_config(call)),
    },
    Route {
        name: "resourcetypes.list",
        method: Method::GET,
        path: "/ResourceTypes",
        scope: Scope::Read,
        access: &[Access::KEYS_GET],
        handler: |call| Box::pin(discovery::resource_types(call)),
    },
    Route {
        name: "resourcetypes.get",
        method: Method::GET,
        path: "/ResourceTypes/{id}",
        scope: Scope::Read,
        access: &[Access::KEYS_GET],
        handler: |call| Box::pin(discovery::resource_type(call)),
    },
    Route {
        name: "schemas.list",
        method: Method::GET,
        path: "/Schemas",
        scope: Scope::Read,
        access: &[Access::KEYS_GET],
        handler: |call| Box::pin(discovery::schemas(call)),
    },
    Route {
        name: "schemas.get",
        method: Method::GET,
        path: "/Schemas/{id}",
        scope: Scope::Read,
        access: &[Access::KEYS_GET],
        handler: |call| Box::pin(discovery::schema(call)),
    },
];

/// PUT and PATCH: a read by id, an update in place, or for a rename a new item and the end of the old one.
const USER_CHANGE: &[Access] = &[
    Access::KEYS_GET,
    Access::USERS_BY_ID,
    Access::USERS_UPDATE,
    Access::USERS_PUT,
    Access::USERS_DELETE,
    Access::GROUPS_BATCH_GET,
    Access::LINKS_PUT,
    Access::LINKS_DELETE,
];

/// PUT and PATCH: the group, its name, and for each member that changes a row and the member's own item.
const GROUP_CHANGE: &[Access] = &[
    Access::KEYS_GET,
    Access::USERS_BY_ID,
    Access::USERS_UPDATE,
    Access::GROUPS_GET,
    Access::GROUPS_UPDATE,
    Access::LINKS_GET,
    Access::LINKS_QUERY,
    Access::LINKS_PUT,
    Access::LINKS_DELETE,
];

/// Parts of RFC 7644 that are answered with 501 where no row above has the method.
pub static NOT_IMPLEMENTED: &[&str] =
    &["/Me", "/Bulk", "/.search", "/Users/.search", "/Groups/.search", "/GroupMembers/.search"];

/// The function that answers what no route does: unknown paths and methods, in SCIM's error form.
pub const FALLBACK: &str = "fallback";

/// The rows that a process serves: a row's name, a family such as `users.*`, every one with `*`, or none with
/// `fallback`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection(String);

impl Selection {
    /// Reads a selector: on Lambda the function's handler string.
    ///
    /// # Errors
    /// When it selects nothing.
    pub fn parse(selector: &str) -> Result<Self, String> {
        let selection = Self(selector.to_owned());
        if selector == FALLBACK || ROUTES.iter().any(|route| selection.includes(route)) {
            return Ok(selection);
        }
        let names: Vec<_> = ROUTES.iter().map(|route| route.name).collect();
        Err(format!(
            "the handler {selector} is none of {}, a family such as users.*, *, or {FALLBACK}",
            names.join(", ")
        ))
    }

    /// Every row.
    pub fn all() -> Self {
        Self("*".to_owned())
    }

    /// Whether a row is served.
    pub fn includes(&self, route: &Route) -> bool {
        match self.0.strip_suffix('*') {
            Some(family) => route.name.starts_with(family),
            None => route.name == self.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_names_a_row_a_family_or_all() {
        let names = |selector: &str| {
            let selection = Selection::parse(selector).unwrap();
            ROUTES.iter().filter(|r| selection.includes(r)).map(|r| r.name).collect::<Vec<_>>()
        };
        assert_eq!(names("users.get"), ["users.get"]);
        assert_eq!(names("schemas.*"), ["schemas.list", "schemas.get"]);
        assert_eq!(names("*").len(), ROUTES.len());
        assert!(names("fallback").is_empty());
        assert!(Selection::parse("users.got").unwrap_err().contains("users.get"));
    }

    #[test]
    fn no_two_rows_have_one_name_or_one_place() {
        for (i, a) in ROUTES.iter().enumerate() {
            for b in &ROUTES[i + 1..] {
                assert_ne!(a.name, b.name);
                assert!(a.method != b.method || a.path != b.path, "{}", a.name);
            }
        }
    }
}
