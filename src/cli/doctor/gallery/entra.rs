//! What Microsoft publishes for its application gallery.

use super::{Requirement, Source, by_hand, checks};

const GALLERY: Source = Source {
    title: "User provisioning requirements for Microsoft Entra App Gallery",
    url: "https://learn.microsoft.com/en-us/entra/identity/enterprise-apps/app-gallery-user-provisioning-requirements",
};
const ENDPOINT: Source = Source {
    title: "Tutorial: Develop and plan provisioning for a SCIM endpoint in Microsoft Entra ID",
    url: "https://learn.microsoft.com/en-us/entra/identity/app-provisioning/use-scim-to-provision-users-and-groups",
};
const COMPATIBILITY: Source = Source {
    title: "Known issues with System for Cross-Domain Identity Management (SCIM) 2.0 protocol compliance",
    url: "https://learn.microsoft.com/en-us/entra/identity/app-provisioning/application-provisioning-config-problem-scim-compatibility",
};
const ATTRIBUTES: Source = Source {
    title: "Tutorial: Customize user provisioning attribute-mappings for SaaS applications in Microsoft Entra ID",
    url: "https://learn.microsoft.com/en-us/entra/identity/app-provisioning/customize-application-attributes",
};
const VALIDATOR: Source = Source {
    title: "Tutorial: Validate a SCIM endpoint",
    url: "https://learn.microsoft.com/en-us/entra/identity/app-provisioning/scim-validator-tutorial",
};
const VALIDATION: Source = Source {
    title: "Validate user provisioning for Microsoft Entra App Gallery (preview)",
    url: "https://learn.microsoft.com/en-us/entra/identity/enterprise-apps/validate-user-provisioning-app-gallery",
};
const TESTS: Source = Source {
    title: "SCIM Provisioning Validation: Test Overview",
    url: "https://github.com/AzureAD/SCIMReferenceCode/blob/master/Microsoft.SCIM.LogicAppValidationTemplate/StandardLogicApp/SCIM-Validation-Test-Overview.md",
};
const LISTING: Source = Source {
    title: "Prerequisites to validate and publish your app",
    url: "https://learn.microsoft.com/en-us/entra/identity/enterprise-apps/v2-howto-app-gallery-listing",
};
const PUBLISH: Source = Source {
    title: "Publish your app to Microsoft Entra App Gallery",
    url: "https://learn.microsoft.com/en-us/entra/identity/enterprise-apps/publish-app-gallery",
};

pub(super) const REQUIREMENTS: &[Requirement] = &[
    checks("a SCIM 2.0 endpoint of users", &GALLERY, &["create-user", "location"]),
    checks(
        "a SCIM 2.0 endpoint of groups (recommended; the validation requires it)",
        &GALLERY,
        &["groups-without-match", "groups-offered", "create-group", "match-group", "delete-group"],
    ),
    checks("at least 25 requests a second for each tenant", &GALLERY, &["rate"]),
    checks(
        "soft delete (the validation requires it): active is false, and true again",
        &GALLERY,
        &["disable-text", "restore-text"],
    ),
    checks("hard delete (optional, if users can be disabled)", &GALLERY, &["delete-user"]),
    checks("several members changed by one PATCH (recommended)", &GALLERY, &["add-members", "remove-member-by-value"]),
    checks(
        "200 and an empty list for a query without a match",
        &GALLERY,
        &["filter-without-match", "groups-without-match"],
    ),
    checks("schema discovery: /Schemas", &GALLERY, &["schemas"]),
    checks("HTTPS with a certificate of a public authority", &ENDPOINT, &["https"]),
    checks("authentication by a single bearer token", &ENDPOINT, &["wrong-token"]),
    checks("a ListResponse for each query", &ENDPOINT, &["list-schema"]),
    checks("users listed page by page", &ENDPOINT, &["paging", "total-results"]),
    checks(
        "users found by userName, externalId and the work e-mail address",
        &ENDPOINT,
        &["match-username", "match-external-id", "match-email"],
    ),
    checks("users found also while they are disabled", &ENDPOINT, &["disabled-user-found"]),
    checks("404 for a user who is not there", &ENDPOINT, &["unknown-user"]),
    checks("values stored and returned as they were sent", &ENDPOINT, &["values-as-sent"]),
    checks("invalid values rejected with a message that describes the error", &ENDPOINT, &["error-body"]),
    checks("application/scim+json for all answers", &ENDPOINT, &["content-type", "scim-content-type"]),
    checks("the names of operations in any case of letters", &ENDPOINT, &["patch-capital-op"]),
    checks("multi-valued attributes changed by value path", &ENDPOINT, &["patch-value-path"]),
    checks("groups without members, if the request excludes them", &ENDPOINT, &["excluded-members"]),
    checks(
        "groups renamed, members added and removed, by PATCH",
        &ENDPOINT,
        &["rename-group", "add-member", "remove-member-by-value", "concurrent-members"],
    ),
    checks("no null where there is no value", &ENDPOINT, &["no-null"]),
    checks("409 for a user or group that is there", &VALIDATOR, &["duplicate-user", "duplicate-group"]),
    checks("attributes added by PATCH that the user lacks", &VALIDATOR, &["patch-value-path-new", "patch-extension"]),
    checks("the matching attribute changed by PATCH", &VALIDATOR, &["rename-user"]),
    checks("optional attributes cleared by an empty text", &TESTS, &["clear-attribute"]),
    checks("the manager set by PATCH, if it is mapped", &TESTS, &["manager"]),
    checks(
        "both spellings of changes, with and without aadOptscim062020",
        &COMPATIBILITY,
        &["query-flag", "patch-without-path", "patch-extension-key", "remove-member-by-path"],
    ),
    checks(
        "extension attributes joined by a colon; the dot of before 2018 is read or rejected",
        &COMPATIBILITY,
        &["patch-extension", "urn-dot", "add-member-urn-dot"],
    ),
    checks(
        "filters in paths; the invalid syntax of before 2018 is read or rejected",
        &COMPATIBILITY,
        &["path-quotes", "filter-quotes", "remove-member-quotes"],
    ),
    checks("extensions whose URN the request does not name in schemas", &ATTRIBUTES, &["undeclared-extension"]),
    by_hand(
        "users, groups and the authentication validated with a non-gallery application",
        &GALLERY,
        "connect a test tenant as docs/src/guides/entra.md describes; provision on demand; keep the log",
    ),
    by_hand(
        "OAuth client credentials, or workload federation; no Basic, no long-lived token, no authorization code",
        &GALLERY,
        "rollcall key create TENANT --type client, or --type federation",
    ),
    by_hand(
        "a client id, client secret, token endpoint and SCIM endpoint for each customer",
        &GALLERY,
        "rollcall link TENANT: the page has all four; give no customer the client of another",
    ),
    by_hand(
        "client secrets end after one to three years; several are valid at once, or customers create new ones",
        &GALLERY,
        "rollcall key create TENANT --type client --expires 365d; rotate with rollcall key rotate",
    ),
    by_hand(
        "access tokens live from 60 minutes to 6 hours",
        &GALLERY,
        "those of Rollcall live 60 minutes; check your own token endpoint",
    ),
    by_hand(
        "SCIM bulk APIs (recommended)",
        &GALLERY,
        "Rollcall has /Bulk; read bulk.supported of /ServiceProviderConfig",
    ),
    by_hand(
        "100 customers in common",
        &GALLERY,
        "connect them as a non-gallery application first; list their tenant ids",
    ),
    by_hand("contacts of engineering and of support", &GALLERY, "name two mail addresses that somebody reads"),
    by_hand(
        "public documentation of the SCIM endpoint",
        &GALLERY,
        "fill docs/src/gallery/entra-customer-guide.md and publish it",
    ),
    by_hand(
        "the compliance that each cloud requires, such as Azure Government or 21Vianet",
        &GALLERY,
        "name the clouds where you list the application; check their rules",
    ),
    by_hand(
        "the 25 tests of Microsoft's Logic App: those that apply have passed",
        &VALIDATION,
        "run it as docs/src/gallery/entra.md describes; submit the run id",
    ),
    by_hand(
        "TLS 1.2, and keys of 2048 bits (RSA) or 256 bits (ECC)",
        &ENDPOINT,
        "a domain of Rollcall's template has the policy TLS_1_2; check your own proxy and certificate",
    ),
    by_hand("a test tenant of Entra ID with test accounts", &LISTING, "create it, or join the developer program"),
    by_hand(
        "the gallery's terms and conditions, and a Partner One ID",
        &LISTING,
        "join the Microsoft AI Cloud Partner Program; read and accept the terms",
    ),
    by_hand(
        "single sign-on by SAML or OpenID Connect: the gallery lists provisioning only with it",
        &PUBLISH,
        "validate it too; choose Single Sign-On + User Provisioning",
    ),
    by_hand(
        "two logos as PNG, 215 x 215 and 150 x 122 pixels; links to privacy, terms of use and support",
        &PUBLISH,
        "hand them in with the submission; keep its Submission ID",
    ),
];
