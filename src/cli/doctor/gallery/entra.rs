//! What Microsoft publishes for its application gallery.

use super::{Requirement, Source, by_hand, checks};

const GALLERY: Source = Source {
    title: "Requirements for user provisioning in the application gallery",
    url: "https://learn.microsoft.com/en-us/entra/identity/enterprise-apps/app-gallery-user-provisioning-requirements",
};
const ENDPOINT: Source = Source {
    title: "Develop and plan provisioning for a SCIM endpoint",
    url: "https://learn.microsoft.com/en-us/entra/identity/app-provisioning/use-scim-to-provision-users-and-groups",
};
const COMPATIBILITY: Source = Source {
    title: "Known issues with SCIM 2.0 protocol compliance",
    url: "https://learn.microsoft.com/en-us/entra/identity/app-provisioning/application-provisioning-config-problem-scim-compatibility",
};
const ATTRIBUTES: Source = Source {
    title: "Customize user provisioning attribute mappings",
    url: "https://learn.microsoft.com/en-us/entra/identity/app-provisioning/customize-application-attributes",
};
const VALIDATOR: Source = Source {
    title: "SCIM validator",
    url: "https://learn.microsoft.com/en-us/entra/identity/app-provisioning/scim-validator-tutorial",
};
const LISTING: Source = Source {
    title: "Submit a request to publish your application",
    url: "https://learn.microsoft.com/en-us/entra/identity/enterprise-apps/v2-howto-app-gallery-listing",
};

pub(super) const REQUIREMENTS: &[Requirement] = &[
    checks("a SCIM 2.0 endpoint of users", &GALLERY, &["create-user", "values-as-sent", "location"]),
    checks(
        "groups (recommended)",
        &GALLERY,
        &["groups-without-match", "groups-offered", "create-group", "match-group", "delete-group"],
    ),
    checks("at least 25 requests a second for each tenant", &GALLERY, &["rate"]),
    checks(
        "soft delete: active is false, and true again",
        &GALLERY,
        &["disable-text", "disable-okta", "restore-text", "restore-okta"],
    ),
    checks("hard delete", &GALLERY, &["delete-user", "delete-user-again"]),
    checks(
        "several members changed by one PATCH, none lost",
        &GALLERY,
        &["add-members", "remove-member-by-value", "concurrent-members"],
    ),
    checks(
        "200 and an empty list for a filter without a match",
        &GALLERY,
        &["filter-without-match", "groups-without-match"],
    ),
    checks("schema discovery: /Schemas", &GALLERY, &["schemas"]),
    checks("HTTPS with a certificate of a public authority", &ENDPOINT, &["https"]),
    checks(
        "a ListResponse for each query, with the number of all results",
        &ENDPOINT,
        &["list-schema", "total-results"],
    ),
    checks(
        "users found by the matching attribute, in any case of letters",
        &ENDPOINT,
        &["match-username", "match-username-case", "match-external-id", "filter-quotes"],
    ),
    checks("users found also while they are disabled", &ENDPOINT, &["disabled-user-found"]),
    checks("409 for a user or group that is there", &ENDPOINT, &["duplicate-user", "duplicate-group"]),
    checks("401 for a missing or wrong token", &ENDPOINT, &["wrong-token", "unauthorized-body"]),
    checks("errors and other answers in SCIM's form and media type", &ENDPOINT, &["error-body", "content-type"]),
    checks("the names of operations in any case of letters", &ENDPOINT, &["patch-capital-op"]),
    checks(
        "attributes changed by value path, also where the element is missing",
        &ENDPOINT,
        &["patch-value-path", "patch-value-path-new", "path-quotes", "rename-user", "rename-group"],
    ),
    checks("groups without members, if the request excludes them", &ENDPOINT, &["excluded-members"]),
    checks(
        "both spellings of changes, with and without aadOptscim062020",
        &COMPATIBILITY,
        &["query-flag", "patch-without-path", "patch-extension-key", "remove-member-by-path", "remove-member-quotes"],
    ),
    checks(
        "extension attributes by their URN, joined by a colon",
        &COMPATIBILITY,
        &["patch-extension", "urn-dot", "add-member-urn-dot"],
    ),
    checks("extensions whose URN the request does not name in schemas", &ATTRIBUTES, &["undeclared-extension"]),
    checks("attributes cleared, and no null in answers", &VALIDATOR, &["clear-attribute", "no-null"]),
    by_hand(
        "users and groups validated with a non-gallery application",
        &GALLERY,
        "connect a test tenant as docs/src/guides/entra.md describes; provision on demand; keep the log",
    ),
    by_hand(
        "OAuth client credentials, or workload federation; no Basic, no token without an end",
        &GALLERY,
        "give the gallery the token endpoint; rollcall key create TENANT --type client",
    ),
    by_hand(
        "client secrets end after one to three years; several are valid at once",
        &GALLERY,
        "rollcall key create TENANT --type client --expires 365d; rotate with rollcall key rotate",
    ),
    by_hand(
        "access tokens live from 60 minutes to 6 hours",
        &GALLERY,
        "those of Rollcall live 60 minutes; check your own token endpoint",
    ),
    by_hand(
        "100 customers in common",
        &GALLERY,
        "connect them as a non-gallery application first; list their tenant ids",
    ),
    by_hand("results of the SCIM validator", &VALIDATOR, "run it on a test tenant, download the results, attach them"),
    by_hand(
        "public documentation for administrators",
        &LISTING,
        "fill docs/src/gallery/entra-customer-guide.md and publish it",
    ),
    by_hand("contacts of engineering and of support", &GALLERY, "name two mail addresses that somebody reads"),
    by_hand("logo, name and description, terms and privacy statement", &LISTING, "hand them in with the request"),
];
