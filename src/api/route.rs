//! **The route table**: the whole interface at a glance. The Lambda functions, their roles and their events are made
//! from it, the isolation and access tests walk it.
//!
//! Adding a route: a row here, a handler, `make template`, `make openapi`, a budget line; the other tests find it by
//! themselves.

use std::pin::Pin;

use http::Method;

use super::search::{self, ResourceKind};
use super::{RequestContext, ScimResponse, admin, bulk, discovery, group_members, groups, me, oauth, users};
use crate::auth::Scope;
use crate::scim::ScimError;
use crate::store::tables::TablePermission;

mod access;

use access::{
    ALL_LIST, EVERY_WRITE, GROUP_CHANGE, GROUP_LIST, GROUP_MEMBER_LIST, ME_CHANGE, ME_DELETE, ME_GET, USER_CHANGE,
    USER_LIST,
};

/// Where a row's path begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// A tenant's base URL, `/{tenant}/scim/v2` or `/{tenant}/scim`: SCIM.
    Scim,
    /// `/{tenant}/oauth`: access tokens (RFC 6749).
    OAuth,
    /// `/.well-known/oauth-authorization-server/{tenant}`: where those are to be had (RFC 8414).
    WellKnown,
    /// `/admin/v1`: what operators do.
    Admin,
}

impl Base {
    /// The addresses as API Gateway writes them.
    pub fn patterns(self) -> &'static [&'static str] {
        match self {
            Self::Scim => &["/{tenant}/scim/v2", "/{tenant}/scim"],
            Self::OAuth => &["/{tenant}/oauth"],
            Self::WellKnown => &["/.well-known/oauth-authorization-server/{tenant}"],
            Self::Admin => &["/admin/v1"],
        }
    }
}

/// One row.
pub struct Route {
    /// The function's handler string, such as `users.get`.
    pub name: &'static str,
    /// The method.
    pub method: Method,
    /// Below which address.
    pub base: Base,
    /// The path below it.
    pub path: &'static str,
    /// What the key must be allowed.
    pub scope: Scope,
    /// Every access to a table that the handler may make; the role allows no other.
    pub access: &'static [TablePermission],
    /// The handler.
    pub handler: Handler,
}

/// A handler as the table holds it.
pub type Handler =
    for<'a> fn(RequestContext<'a>) -> Pin<Box<dyn Future<Output = Result<ScimResponse, ScimError>> + Send + 'a>>;

/// Every route.
pub static ROUTES: &[Route] = &[
    Route {
        name: "users.create",
        method: Method::POST,
        base: Base::Scim,
        path: "/Users",
        scope: Scope::Write,
        access: &[
            TablePermission::KEYS_GET,
            TablePermission::KEYS_UPDATE_LAST_USED,
            TablePermission::USERS_BY_ID,
            TablePermission::USERS_PUT,
            TablePermission::LINKS_GET,
            TablePermission::LINKS_PUT,
        ],
        handler: |context| Box::pin(users::create(context)),
    },
    Route {
        name: "users.list",
        method: Method::GET,
        base: Base::Scim,
        path: "/Users",
        scope: Scope::Read,
        access: USER_LIST,
        handler: |context| Box::pin(search::list(context, &[ResourceKind::User])),
    },
    Route {
        name: "users.get",
        method: Method::GET,
        base: Base::Scim,
        path: "/Users/{id}",
        scope: Scope::Read,
        access: &[
            TablePermission::KEYS_GET,
            TablePermission::KEYS_UPDATE_LAST_USED,
            TablePermission::USERS_BY_ID,
            TablePermission::GROUPS_BATCH_GET,
        ],
        handler: |context| Box::pin(users::get(context)),
    },
    Route {
        name: "users.replace",
        method: Method::PUT,
        base: Base::Scim,
        path: "/Users/{id}",
        scope: Scope::Write,
        access: USER_CHANGE,
        handler: |context| Box::pin(users::replace(context)),
    },
    Route {
        name: "users.patch",
        method: Method::PATCH,
        base: Base::Scim,
        path: "/Users/{id}",
        scope: Scope::Write,
        access: USER_CHANGE,
        handler: |context| Box::pin(users::patch(context)),
    },
    Route {
        name: "users.delete",
        method: Method::DELETE,
        base: Base::Scim,
        path: "/Users/{id}",
        scope: Scope::Write,
        access: &[
            TablePermission::KEYS_GET,
            TablePermission::KEYS_UPDATE_LAST_USED,
            TablePermission::USERS_BY_ID,
            TablePermission::USERS_DELETE,
            TablePermission::GROUPS_UPDATE,
            TablePermission::LINKS_PUT,
            TablePermission::LINKS_DELETE,
        ],
        handler: |context| Box::pin(users::delete(context)),
    },
    Route {
        name: "groups.create",
        method: Method::POST,
        base: Base::Scim,
        path: "/Groups",
        scope: Scope::Write,
        access: &[
            TablePermission::KEYS_GET,
            TablePermission::KEYS_UPDATE_LAST_USED,
            TablePermission::USERS_BY_ID,
            TablePermission::USERS_UPDATE,
            TablePermission::GROUPS_GET,
            TablePermission::GROUPS_PUT,
            TablePermission::GROUPS_UPDATE,
            TablePermission::LINKS_GET,
            TablePermission::LINKS_QUERY,
            TablePermission::LINKS_PUT,
            TablePermission::LINKS_DELETE,
        ],
        handler: |context| Box::pin(groups::create(context)),
    },
    Route {
        name: "groups.list",
        method: Method::GET,
        base: Base::Scim,
        path: "/Groups",
        scope: Scope::Read,
        access: GROUP_LIST,
        handler: |context| Box::pin(search::list(context, &[ResourceKind::Group])),
    },
    Route {
        name: "groups.get",
        method: Method::GET,
        base: Base::Scim,
        path: "/Groups/{id}",
        scope: Scope::Read,
        access: &[
            TablePermission::KEYS_GET,
            TablePermission::KEYS_UPDATE_LAST_USED,
            TablePermission::GROUPS_GET,
            TablePermission::LINKS_QUERY,
        ],
        handler: |context| Box::pin(groups::get(context)),
    },
    Route {
        name: "groups.replace",
        method: Method::PUT,
        base: Base::Scim,
        path: "/Groups/{id}",
        scope: Scope::Write,
        access: GROUP_CHANGE,
        handler: |context| Box::pin(groups::replace(context)),
    },
    Route {
        name: "groups.patch",
        method: Method::PATCH,
        base: Base::Scim,
        path: "/Groups/{id}",
        scope: Scope::Write,
        access: GROUP_CHANGE,
        handler: |context| Box::pin(groups::patch(context)),
    },
    Route {
        name: "groups.delete",
        method: Method::DELETE,
        base: Base::Scim,
        path: "/Groups/{id}",
        scope: Scope::Write,
        access: &[
            TablePermission::KEYS_GET,
            TablePermission::KEYS_UPDATE_LAST_USED,
            TablePermission::USERS_BY_ID,
            TablePermission::USERS_UPDATE,
            TablePermission::GROUPS_GET,
            TablePermission::GROUPS_UPDATE,
            TablePermission::GROUPS_DELETE,
            TablePermission::LINKS_GET,
            TablePermission::LINKS_QUERY,
            TablePermission::LINKS_PUT,
            TablePermission::LINKS_DELETE,
        ],
        handler: |context| Box::pin(groups::delete(context)),
    },
    Route {
        name: "groupmembers.create",
        method: Method::POST,
        base: Base::Scim,
        path: "/GroupMembers",
        scope: Scope::Write,
        access: GROUP_CHANGE,
        handler: |context| Box::pin(group_members::create(context)),
    },
    Route {
        name: "groupmembers.list",
        method: Method::GET,
        base: Base::Scim,
        path: "/GroupMembers",
        scope: Scope::Read,
        access: GROUP_MEMBER_LIST,
        handler: |context| Box::pin(group_members::list(context)),
    },
    Route {
        name: "groupmembers.get",
        method: Method::GET,
        base: Base::Scim,
        path: "/GroupMembers/{id}",
        scope: Scope::Read,
        access: &[
            TablePermission::KEYS_GET,
            TablePermission::KEYS_UPDATE_LAST_USED,
            TablePermission::GROUPS_GET,
            TablePermission::LINKS_GET,
            TablePermission::LINKS_QUERY,
        ],
        handler: |context| Box::pin(group_members::get(context)),
    },
    Route {
        name: "groupmembers.delete",
        method: Method::DELETE,
        base: Base::Scim,
        path: "/GroupMembers/{id}",
        scope: Scope::Write,
        access: GROUP_CHANGE,
        handler: |context| Box::pin(group_members::delete(context)),
    },
    Route {
        name: "users.search",
        method: Method::POST,
        base: Base::Scim,
        path: "/Users/.search",
        scope: Scope::Read,
        access: USER_LIST,
        handler: |context| Box::pin(search::list(context, &[ResourceKind::User])),
    },
    Route {
        name: "groups.search",
        method: Method::POST,
        base: Base::Scim,
        path: "/Groups/.search",
        scope: Scope::Read,
        access: GROUP_LIST,
        handler: |context| Box::pin(search::list(context, &[ResourceKind::Group])),
    },
    Route {
        name: "groupmembers.search",
        method: Method::POST,
        base: Base::Scim,
        path: "/GroupMembers/.search",
        scope: Scope::Read,
        access: GROUP_MEMBER_LIST,
        handler: |context| Box::pin(group_members::list(context)),
    },
    Route {
        name: "all.list",
        method: Method::GET,
        base: Base::Scim,
        path: "/",
        scope: Scope::Read,
        access: ALL_LIST,
        handler: |context| Box::pin(search::list(context, &[ResourceKind::User, ResourceKind::Group])),
    },
    Route {
        name: "all.search",
        method: Method::POST,
        base: Base::Scim,
        path: "/.search",
        scope: Scope::Read,
        access: ALL_LIST,
        handler: |context| Box::pin(search::list(context, &[ResourceKind::User, ResourceKind::Group])),
    },
    Route {
        name: "bulk.post",
        method: Method::POST,
        base: Base::Scim,
        path: "/Bulk",
        scope: Scope::Write,
        access: EVERY_WRITE,
        handler: |context| Box::pin(bulk::post(context)),
    },
    Route {
        name: "me.get",
        method: Method::GET,
        base: Base::Scim,
        path: "/Me",
        scope: Scope::Read,
        access: ME_GET,
        handler: |context| Box::pin(me::myself(context)),
    },
    Route {
        name: "me.replace",
        method: Method::PUT,
        base: Base::Scim,
        path: "/Me",
        scope: Scope::Write,
        access: ME_CHANGE,
        handler: |context| Box::pin(me::myself(context)),
    },
    Route {
        name: "me.patch",
        method: Method::PATCH,
        base: Base::Scim,
        path: "/Me",
        scope: Scope::Write,
        access: ME_CHANGE,
        handler: |context| Box::pin(me::myself(context)),
    },
    Route {
        name: "me.delete",
        method: Method::DELETE,
        base: Base::Scim,
        path: "/Me",
        scope: Scope::Write,
        access: ME_DELETE,
        handler: |context| Box::pin(me::myself(context)),
    },
    Route {
        name: "oauth.token",
        method: Method::POST,
        base: Base::OAuth,
        path: "/token",
        scope: Scope::Read,
        access: &[
            TablePermission::KEYS_GET,
            TablePermission::KEYS_PUT,
            TablePermission::KEYS_UPDATE,
            TablePermission::KEYS_CHECK,
        ],
        handler: |context| Box::pin(oauth::token(context)),
    },
    Route {
        name: "oauth.metadata",
        method: Method::GET,
        base: Base::WellKnown,
        path: "/",
        scope: Scope::Read,
        access: &[],
        handler: |context| Box::pin(oauth::metadata(context)),
    },
    Route {
        name: "admin.tenants.list",
        method: Method::GET,
        base: Base::Admin,
        path: "/tenants",
        scope: Scope::Admin,
        access: &[TablePermission::KEYS_GET, TablePermission::KEYS_SCAN, TablePermission::KEYS_UPDATE_LAST_USED],
        handler: |context| Box::pin(admin::list_tenants(context)),
    },
    Route {
        name: "admin.tenants.create",
        method: Method::POST,
        base: Base::Admin,
        path: "/tenants",
        scope: Scope::Admin,
        access: &[
            TablePermission::KEYS_GET,
            TablePermission::KEYS_PUT,
            TablePermission::KEYS_UPDATE_LAST_USED,
            TablePermission::LINKS_PUT,
        ],
        handler: |context| Box::pin(admin::create_tenant(context)),
    },
    Route {
        name: "admin.tenants.get",
        method: Method::GET,
        base: Base::Admin,
        path: "/tenants/{tenant}",
        scope: Scope::Admin,
        access: &[TablePermission::KEYS_GET, TablePermission::KEYS_UPDATE_LAST_USED],
        handler: |context| Box::pin(admin::show_tenant(context)),
    },
    Route {
        name: "admin.tenants.patch",
        method: Method::PATCH,
        base: Base::Admin,
        path: "/tenants/{tenant}",
        scope: Scope::Admin,
        access: &[
            TablePermission::KEYS_GET,
            TablePermission::KEYS_PUT,
            TablePermission::KEYS_UPDATE,
            TablePermission::KEYS_QUERY,
        ],
        handler: |context| Box::pin(admin::change_tenant(context)),
    },
    Route {
        name: "admin.keys.list",
        method: Method::GET,
        base: Base::Admin,
        path: "/tenants/{tenant}/keys",
        scope: Scope::Admin,
        access: &[TablePermission::KEYS_GET, TablePermission::KEYS_QUERY, TablePermission::KEYS_UPDATE_LAST_USED],
        handler: |context| Box::pin(admin::list_keys(context)),
    },
    Route {
        name: "admin.keys.create",
        method: Method::POST,
        base: Base::Admin,
        path: "/tenants/{tenant}/keys",
        scope: Scope::Admin,
        access: &[
            TablePermission::KEYS_GET,
            TablePermission::KEYS_PUT,
            TablePermission::KEYS_UPDATE,
            TablePermission::KEYS_CHECK,
        ],
        handler: |context| Box::pin(admin::create_key(context)),
    },
    Route {
        name: "admin.keys.rotate",
        method: Method::POST,
        base: Base::Admin,
        path: "/tenants/{tenant}/keys/{key}/rotate",
        scope: Scope::Admin,
        access: &[
            TablePermission::KEYS_GET,
            TablePermission::KEYS_PUT,
            TablePermission::KEYS_UPDATE,
            TablePermission::KEYS_QUERY,
            TablePermission::KEYS_CHECK,
        ],
        handler: |context| Box::pin(admin::rotate_key(context)),
    },
    Route {
        name: "admin.keys.revoke",
        method: Method::DELETE,
        base: Base::Admin,
        path: "/tenants/{tenant}/keys/{key}",
        scope: Scope::Admin,
        access: &[TablePermission::KEYS_GET, TablePermission::KEYS_QUERY, TablePermission::KEYS_REVOKE],
        handler: |context| Box::pin(admin::revoke_key(context)),
    },
    Route {
        name: "admin.automation.list",
        method: Method::GET,
        base: Base::Admin,
        path: "/tenants/{tenant}/automation-users",
        scope: Scope::Admin,
        access: &[TablePermission::KEYS_GET, TablePermission::KEYS_QUERY, TablePermission::KEYS_UPDATE_LAST_USED],
        handler: |context| Box::pin(admin::list_automation_users(context)),
    },
    Route {
        name: "admin.automation.put",
        method: Method::PUT,
        base: Base::Admin,
        path: "/tenants/{tenant}/automation-users/{name}",
        scope: Scope::Admin,
        access: &[
            TablePermission::KEYS_GET,
            TablePermission::KEYS_PUT,
            TablePermission::KEYS_QUERY,
            TablePermission::KEYS_UPDATE,
        ],
        handler: |context| Box::pin(admin::put_automation_user(context)),
    },
    Route {
        name: "config.get",
        method: Method::GET,
        base: Base::Scim,
        path: "/ServiceProviderConfig",
        scope: Scope::Read,
        access: &[TablePermission::KEYS_GET, TablePermission::KEYS_UPDATE_LAST_USED],
        handler: |context| Box::pin(discovery::service_provider_config(context)),
    },
    Route {
        name: "resourcetypes.list",
        method: Method::GET,
        base: Base::Scim,
        path: "/ResourceTypes",
        scope: Scope::Read,
        access: &[TablePermission::KEYS_GET, TablePermission::KEYS_UPDATE_LAST_USED],
        handler: |context| Box::pin(discovery::resource_types(context)),
    },
    Route {
        name: "resourcetypes.get",
        method: Method::GET,
        base: Base::Scim,
        path: "/ResourceTypes/{id}",
        scope: Scope::Read,
        access: &[TablePermission::KEYS_GET, TablePermission::KEYS_UPDATE_LAST_USED],
        handler: |context| Box::pin(discovery::resource_type(context)),
    },
    Route {
        name: "schemas.list",
        method: Method::GET,
        base: Base::Scim,
        path: "/Schemas",
        scope: Scope::Read,
        access: &[TablePermission::KEYS_GET, TablePermission::KEYS_UPDATE_LAST_USED],
        handler: |context| Box::pin(discovery::schemas(context)),
    },
    Route {
        name: "schemas.get",
        method: Method::GET,
        base: Base::Scim,
        path: "/Schemas/{id}",
        scope: Scope::Read,
        access: &[TablePermission::KEYS_GET, TablePermission::KEYS_UPDATE_LAST_USED],
        handler: |context| Box::pin(discovery::schema(context)),
    },
];

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
    fn a_bulk_may_do_what_its_operations_may_and_no_more() {
        let writes = ROUTES.iter().filter(|route| bulk::takes(route));
        let union: std::collections::BTreeSet<_> = writes.flat_map(|route| route.access).copied().collect();
        assert!(union.iter().eq(&EVERY_WRITE.iter().copied().collect::<std::collections::BTreeSet<_>>()));
        let names: Vec<_> = ROUTES.iter().filter(|route| bulk::takes(route)).map(|route| route.name).collect();
        assert_eq!(names.len(), 10, "{names:?}");
    }

    #[test]
    fn only_rows_that_make_keys_may_change_all_of_one() {
        for route in ROUTES.iter().filter(|route| route.access.contains(&TablePermission::KEYS_UPDATE)) {
            assert!(route.base != Base::Scim && route.access.contains(&TablePermission::KEYS_PUT), "{}", route.name);
        }
    }

    #[test]
    fn no_two_rows_have_one_name_or_take_one_request() {
        let places = |route: &'static Route| {
            let path = route.path.trim_end_matches('/');
            route.base.patterns().iter().map(move |base| (route, format!("{base}{path}")))
        };
        let all: Vec<_> = ROUTES.iter().flat_map(places).collect();
        for (i, (a, of_a)) in all.iter().enumerate() {
            for (b, of_b) in &all[i + 1..] {
                assert!(a.method != b.method || !overlap(of_a, of_b), "{of_a} and {of_b}");
                assert!(a.name != b.name || std::ptr::eq(*a, *b), "{}", a.name);
            }
        }
    }

    /// Whether a path may be of both patterns: then it would be API Gateway's choice, the most specific one.
    fn overlap(a: &str, b: &str) -> bool {
        let is_any = |part: &str| part.starts_with('{');
        a.split('/').count() == b.split('/').count()
            && a.split('/').zip(b.split('/')).all(|(a, b)| a == b || is_any(a) || is_any(b))
    }
}
