//! **The route table**: the whole interface at a glance. The Lambda functions, their roles and their events are created
//! from it, the isolation and access tests walk it.
//!
//! Adding a route: a row here, a handler, `make template`, `make openapi`, a budget line; the other tests find it by
//! themselves.

use http::Method;

use super::context::Route;
use super::path::Base;
use super::{
    admin, bulk, discovery, events, group_members, groups, history, hold, links, log, me, oauth, pages, restore,
    search, tenant_data, tenant_resources, users,
};
use crate::auth::Scope;

mod access;

/// Writes [`ROUTES`], one line a row: method, base, path, name, scope, access lists, handler.
macro_rules! routes {
    ($($method:ident $base:ident $path:literal $name:literal $scope:ident [$($list:ident)*] $module:ident::$handler:ident;)*) => {
        /// Every route.
        pub static ROUTES: &[Route] = &[$(Route {
            name: $name,
            method: Method::$method,
            base: Base::$base,
            path: $path,
            scope: Scope::$scope,
            access: &[$(access::$list),*],
            handler: |context| Box::pin($module::$handler(context)),
        }),*];
        };
}

routes! {
    POST    Scim      "/Users"                "users.create"         Write  [AUTHENTICATE CREATE_USER CHECK_USERS CHECK_LINKS]                       users::create;
    GET     Scim      "/Users"                "users.list"           Read   [AUTHENTICATE LIST_USERS]                        search::users;
    GET     Scim      "/Users/{id}"           "users.get"            Read   [AUTHENTICATE READ_USER]                         users::get;
    PUT     Scim      "/Users/{id}"           "users.replace"        Write  [AUTHENTICATE READ_USER CHANGE_USER COUNT_USERS CHECK_USERS]             users::replace;
    PATCH   Scim      "/Users/{id}"           "users.patch"          Write  [AUTHENTICATE READ_USER CHANGE_USER COUNT_USERS CHECK_USERS]             users::patch;
    DELETE  Scim      "/Users/{id}"           "users.delete"         Write  [AUTHENTICATE DELETE_USER COUNT_USERS CHECK_USERS CHECK_GROUPS]                       users::delete;
    POST    Scim      "/Users/.search"        "users.search"         Read   [AUTHENTICATE LIST_USERS]                        search::users;
    POST    Scim      "/Groups"               "groups.create"        Write  [AUTHENTICATE CHANGE_MEMBERS CARRY_OUT_BATCH PUT_GROUP CHECK_USERS CHECK_LINKS] groups::create;
    GET     Scim      "/Groups"               "groups.list"          Read   [AUTHENTICATE LIST_GROUPS]                       search::groups;
    GET     Scim      "/Groups/{id}"          "groups.get"           Read   [AUTHENTICATE READ_GROUP]                        groups::get;
    PUT     Scim      "/Groups/{id}"          "groups.replace"       Write  [AUTHENTICATE CHANGE_MEMBERS CARRY_OUT_BATCH COUNT_MEMBERS CHECK_USERS CHECK_LINKS]    groups::replace;
    PATCH   Scim      "/Groups/{id}"          "groups.patch"         Write  [AUTHENTICATE CHANGE_MEMBERS CARRY_OUT_BATCH HOLD_MEMBERS COUNT_MEMBERS CHECK_LINKS] groups::patch;
    DELETE  Scim      "/Groups/{id}"          "groups.delete"        Write  [AUTHENTICATE CHANGE_MEMBERS REMOVE_MEMBERS DELETE_GROUP COUNT_MEMBERS CHECK_USERS CHECK_GROUPS]       groups::delete;
    POST    Scim      "/Groups/.search"       "groups.search"        Read   [AUTHENTICATE LIST_GROUPS]                       search::groups;
    POST    Scim      "/GroupMembers"         "groupmembers.create"  Write  [AUTHENTICATE CHANGE_MEMBERS CHECK_USERS CHECK_GROUPS]                    group_members::create;
    GET     Scim      "/GroupMembers"         "groupmembers.list"    Read   [AUTHENTICATE LIST_MEMBERSHIPS]                  group_members::list;
    GET     Scim      "/GroupMembers/{id}"    "groupmembers.get"     Read   [AUTHENTICATE READ_GROUP READ_MEMBERSHIP]        group_members::get;
    DELETE  Scim      "/GroupMembers/{id}"    "groupmembers.delete"  Write  [AUTHENTICATE CHANGE_MEMBERS REMOVE_MEMBERS COUNT_MEMBERS CHECK_USERS CHECK_GROUPS]                    group_members::delete;
    POST    Scim      "/GroupMembers/.search" "groupmembers.search"  Read   [AUTHENTICATE LIST_MEMBERSHIPS]                  group_members::list;
    GET     Scim      "/"                     "all.list"             Read   [AUTHENTICATE LIST_USERS LIST_GROUPS]            search::all;
    POST    Scim      "/.search"              "all.search"           Read   [AUTHENTICATE LIST_USERS LIST_GROUPS]            search::all;
    POST    Scim      "/Bulk"                 "bulk.post"            Write  [AUTHENTICATE CREATE_USER READ_USER CHANGE_USER DELETE_USER CHANGE_MEMBERS CARRY_OUT_BATCH HOLD_MEMBERS PUT_GROUP DELETE_GROUP COUNT_USERS COUNT_MEMBERS CHECK_LINKS] bulk::post;
    GET     Scim      "/Me"                   "me.get"               Read   [AUTHENTICATE FIND_ME READ_USER]                 me::myself;
    PUT     Scim      "/Me"                   "me.replace"           Write  [AUTHENTICATE FIND_ME READ_USER CHANGE_USER COUNT_USERS CHECK_USERS]     me::myself;
    PATCH   Scim      "/Me"                   "me.patch"             Write  [AUTHENTICATE FIND_ME READ_USER CHANGE_USER COUNT_USERS CHECK_USERS]     me::myself;
    DELETE  Scim      "/Me"                   "me.delete"            Write  [AUTHENTICATE FIND_ME DELETE_USER COUNT_USERS CHECK_USERS CHECK_GROUPS]               me::myself;
    GET     Scim      "/ServiceProviderConfig" "config.get"          Read   [AUTHENTICATE]                                   discovery::service_provider_config;
    GET     Scim      "/ResourceTypes"        "resourcetypes.list"   Read   [AUTHENTICATE]                                   discovery::resource_types;
    GET     Scim      "/ResourceTypes/{id}"   "resourcetypes.get"    Read   [AUTHENTICATE]                                   discovery::resource_type;
    GET     Scim      "/Schemas"              "schemas.list"         Read   [AUTHENTICATE]                                   discovery::schemas;
    GET     Scim      "/Schemas/{id}"         "schemas.get"          Read   [AUTHENTICATE]                                   discovery::schema;
    POST    OAuth     "/token"                "oauth.token"          Read   [ISSUE_TOKEN]                                    oauth::token;
    GET     WellKnown "/"                     "oauth.metadata"       Read   []                                               oauth::metadata;
    GET     Events    "/"                     "events.list"          Events [AUTHENTICATE READ_FEED]                         events::list;
    GET     Admin     "/tenants"                                    "admin.tenants.list"    Admin [AUTHENTICATE LIST_TENANTS]  admin::list_tenants;
    POST    Admin     "/tenants"                                    "admin.tenants.create"  Admin [AUTHENTICATE CREATE_TENANT CHECK_KEYS] admin::create_tenant;
    GET     Admin     "/tenants/{tenant}"                           "admin.tenants.get"     Admin [AUTHENTICATE READ_LOAD]     admin::show_tenant;
    PATCH   Admin     "/tenants/{tenant}"                           "admin.tenants.patch"   Admin [CHANGE_KEYS CHECK_KEYS]                admin::change_tenant;
    GET     Admin     "/tenants/{tenant}/keys"                      "admin.keys.list"       Admin [AUTHENTICATE LIST_KEYS]     admin::list_keys;
    POST    Admin     "/tenants/{tenant}/keys"                      "admin.keys.create"     Admin [CREATE_KEY]                 admin::create_key;
    POST    Admin     "/tenants/{tenant}/keys/{key}/rotate"         "admin.keys.rotate"     Admin [CREATE_KEY]                 admin::rotate_key;
    DELETE  Admin     "/tenants/{tenant}/keys/{key}"                "admin.keys.revoke"     Admin [REVOKE_KEY CHECK_KEYS]                 admin::revoke_key;
    GET     Admin     "/tenants/{tenant}/automation-users"          "admin.automation.list" Admin [AUTHENTICATE LIST_KEYS]     admin::list_automation_users;
    PUT     Admin     "/tenants/{tenant}/automation-users/{name}"   "admin.automation.put"  Admin [CHANGE_KEYS CHECK_KEYS]                admin::put_automation_user;
    GET     Admin     "/tenants/{tenant}/hold"                      "admin.hold.get"        Admin [AUTHENTICATE READ_HOLD]     hold::show;
    POST    Admin     "/tenants/{tenant}/hold"                      "admin.hold.decide"     Admin [AUTHENTICATE READ_HOLD DECIDE_HOLD CHECK_LINKS] hold::decide;
    POST    Admin     "/tenants/{tenant}/restore"                   "admin.restore"         Admin [AUTHENTICATE READ_LOG READ_HOLD RESTORE]    restore::run;
    GET     Admin     "/tenants/{tenant}/users"                     "admin.users.list"      Admin [AUTHENTICATE LIST_USERS]    tenant_resources::users;
    GET     Admin     "/tenants/{tenant}/users/{id}"                "admin.users.get"       Admin [AUTHENTICATE READ_LOG READ_USER]     history::user_at;
    GET     Admin     "/tenants/{tenant}/users/{id}/history"        "admin.users.history"   Admin [AUTHENTICATE READ_LOG FIND_USER]     history::of_user;
    GET     Admin     "/tenants/{tenant}/groups"                    "admin.groups.list"     Admin [AUTHENTICATE LIST_GROUPS]   tenant_resources::groups;
    GET     Admin     "/tenants/{tenant}/groups/{id}"               "admin.groups.get"      Admin [AUTHENTICATE READ_LOG READ_GROUP READ_GROUP_NAMES] history::group_at;
    GET     Admin     "/tenants/{tenant}/groups/{id}/members"       "admin.groups.members"  Admin [AUTHENTICATE READ_GROUP]       tenant_resources::members;
    GET     Admin     "/tenants/{tenant}/groups/{id}/history"       "admin.groups.history"  Admin [AUTHENTICATE READ_LOG FIND_GROUP]    history::of_group;
    GET     Admin     "/tenants/{tenant}/events"                    "admin.events.list"     Admin [AUTHENTICATE READ_FEED]     events::list_of_tenant;
    GET     Admin     "/tenants/{tenant}/log"                       "admin.log.list"        Admin [AUTHENTICATE READ_LOG]      log::list;
    GET     Admin     "/tenants/{tenant}/log/chain"                 "admin.log.chain"       Admin [AUTHENTICATE READ_FEED]     log::chain;
    DELETE  Admin     "/tenants/{tenant}"                           "admin.tenants.delete"  Admin [CLOSE_TENANT]               tenant_data::close;
    POST    Admin     "/tenants/{tenant}/reopen"                    "admin.tenants.reopen"  Admin [REOPEN_TENANT]              tenant_data::reopen;
    POST    Admin     "/tenants/{tenant}/upgrade"                   "admin.tenants.upgrade" Admin [AUTHENTICATE RAISE_FORMAT]  tenant_data::upgrade;
    GET     Admin     "/tenants/{tenant}/export"                    "admin.export.get"      Admin [AUTHENTICATE EXPORT_TENANT] tenant_data::export;
    POST    Admin     "/tenants/{tenant}/import"                    "admin.import.post"     Admin [AUTHENTICATE IMPORT_TENANT] tenant_data::import;
    POST    Admin     "/tenants/{tenant}/count"                     "admin.count.post"      Admin [AUTHENTICATE COUNT_TENANT]  tenant_data::count;
    GET     Admin     "/tenants/{tenant}/verify"                    "admin.verify.get"      Admin [AUTHENTICATE VERIFY_TENANT] tenant_data::verify;
    POST    Admin     "/tenants/{tenant}/verify"                    "admin.verify.repair"   Admin [AUTHENTICATE VERIFY_TENANT REPAIR_TENANT] tenant_data::repair;
    POST    Admin     "/tenants/{tenant}/links"                     "admin.links.create"    Admin [AUTHENTICATE CREATE_LINK CHECK_TOKENS]   links::create;
    DELETE  Admin     "/tenants/{tenant}/links/{link}"              "admin.links.revoke"    Admin [AUTHENTICATE REVOKE_LINK CHECK_TOKENS]   links::revoke;
    GET     Pages     "/"                     "pages.public.entry"   Read   []                                               pages::entry;
    GET     Pages     "/assets/{name}"        "pages.public.asset"   Read   []                                               pages::asset;
    POST    Pages     "/"                     "pages.public.session" Read   [SIGN_IN]                                        pages::session;
    GET     Pages     "/{page}"               "pages.inside.view"    Read   [PAGE LIST_KEYS READ_HOLD READ_LOG FIND_RESOURCES] pages::view;
    GET     Pages     "/operator/tenants"     "pages.inside.tenants" Read   [PAGE LIST_TENANTS READ_LOAD]                              pages::list_tenants;
    POST    Pages     "/{page}"               "pages.inside.change"  Read   [PAGE LIST_KEYS READ_HOLD CHANGE_BY_PAGE DECIDE_HOLD CREATE_LINK CREATE_TENANT] pages::change;
    POST    Pages     "/doctor/run"           "pages.inside.doctor"  Read   [PAGE LIST_KEYS READ_HOLD READ_LOG TRY_BY_PAGE]  pages::run_checks;
    POST    Pages     "/restore/run"          "pages.restore.run"    Read   [PAGE READ_LOG READ_HOLD RESTORE]                pages::run_restore;
}

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
            "the handler {selector} is unknown; use one of {}, a family such as users.*, *, or {FALLBACK}",
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
    use std::collections::BTreeSet;

    use super::*;
    use crate::store::dynamo::tables::{Table, TablePermission};

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
        let writes = ROUTES.iter().filter(|route| bulk::accepts(route));
        let union: BTreeSet<_> = writes.flat_map(Route::permissions).collect();
        let bulk = ROUTES.iter().find(|route| route.name == "bulk.post").unwrap();
        assert_eq!(bulk.permissions(), union);
        let names: Vec<_> = ROUTES.iter().filter(|route| bulk::accepts(route)).map(|route| route.name).collect();
        assert_eq!(names.len(), 10, "{names:?}");
    }

    #[test]
    fn only_rows_that_make_keys_may_change_all_of_one() {
        for route in ROUTES.iter().filter(|route| route.permissions().contains(&TablePermission::KEYS_UPDATE)) {
            assert!(
                matches!(route.base, Base::Admin | Base::Pages)
                    && route.permissions().contains(&TablePermission::KEYS_PUT),
                "{}",
                route.name
            );
        }
    }

    #[test]
    fn only_admins_write_keys_and_the_token_endpoint_alone_writes_tokens() {
        for route in ROUTES {
            let permissions = route.permissions();
            let may = |table, action| permissions.iter().any(|it| (it.table, it.action) == (table, action));
            let is_admin = route.base == Base::Admin || route.name == "pages.inside.change";
            assert!(!may(Table::Keys, "PutItem") || is_admin, "{}", route.name);
            // The others store links and sessions there.
            let writes = ["oauth.token", "admin.links.create", "pages.public.session", "pages.inside.change"];
            assert_eq!(may(Table::Tokens, "PutItem"), writes.contains(&route.name), "{}", route.name);
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
