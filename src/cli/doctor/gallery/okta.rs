//! What Okta publishes for its integration network.

use super::{Requirement, Source, by_hand, checks};

const PROTOCOL: Source =
    Source { title: "SCIM 2.0 protocol reference", url: "https://developer.okta.com/docs/reference/scim/scim-20/" };
const PREPARE: Source = Source {
    title: "Build your SCIM API service",
    url: "https://developer.okta.com/docs/guides/scim-provisioning-integration-prepare/main/",
};
const TEST: Source = Source {
    title: "Test your SCIM API: SPEC test and CRUD test",
    url: "https://developer.okta.com/docs/guides/scim-provisioning-integration-test/main/",
};
const SUBMIT: Source = Source {
    title: "Submit an integration with the OIN Wizard",
    url: "https://developer.okta.com/docs/guides/submit-oin-app/scim/main/",
};

pub(super) const REQUIREMENTS: &[Requirement] = &[
    checks("HTTPS with a certificate of a public authority", &PREPARE, &["https"]),
    checks(
        "the first users of the SPEC test: a list with id, userName and the count that was asked for",
        &TEST,
        &["okta-test", "items-per-page", "count-zero"],
    ),
    checks("401 with a SCIM error for a wrong token", &TEST, &["wrong-token", "unauthorized-body"]),
    checks("404 with a SCIM error for a user who is not there", &TEST, &["unknown-user", "error-body"]),
    checks(
        "201 with the user for a create, with password, groups and locale",
        &TEST,
        &["create-user-okta", "values-as-sent"],
    ),
    checks("409 for the same user again", &TEST, &["duplicate-user", "duplicate-user-body"]),
    checks("userName found in capitals", &TEST, &["match-username-case"]),
    checks("an empty ListResponse for a userName that nobody has", &TEST, &["filter-without-match", "list-schema"]),
    checks("application/scim+json", &PROTOCOL, &["content-type"]),
    checks("userName unique, and filtered by eq", &PREPARE, &["match-username", "filter-quotes"]),
    checks("a user replaced by PUT, with id, meta and groups in the body", &PROTOCOL, &["put-user"]),
    checks(
        "a user deactivated and activated by PATCH without a path",
        &PROTOCOL,
        &["disable-okta", "restore-okta", "disabled-user-found"],
    ),
    checks("pages by startIndex and count, with the number of all results", &PROTOCOL, &["paging", "total-results"]),
    checks(
        "groups created with and without members",
        &PROTOCOL,
        &["create-group-with-members", "match-group", "duplicate-group"],
    ),
    checks(
        "members replaced, added and removed by value path",
        &PROTOCOL,
        &["replace-members", "add-member", "remove-member-by-path", "concurrent-members"],
    ),
    checks("a group renamed with its id in the value, and deleted", &PROTOCOL, &["rename-group-okta", "delete-group"]),
    checks("extension attributes under their whole URN", &PROTOCOL, &["undeclared-extension", "urn-dot"]),
    by_hand(
        "an organization of the Integrator Free Plan",
        &SUBMIT,
        "sign up at developer.okta.com, and open the OIN Wizard there",
    ),
    by_hand(
        "the SPEC test, 11 required steps",
        &TEST,
        "import Okta-SCIM-20-SPEC-Test.json as docs/src/gallery/okta.md describes; hand in the link of a passed run",
    ),
    by_hand(
        "the CRUD test",
        &TEST,
        "enable API integration in the test application first; import Okta-SCIM-20-CRUD-Test.json; hand in the link",
    ),
    by_hand(
        "base URL, way of authentication, and which operations are supported",
        &SUBMIT,
        "docs/src/gallery/okta.md has the answers",
    ),
    by_hand("a base URL without an underscore", &PREPARE, "look at the host and the path; names of tenants have none"),
    by_hand(
        "attribute mappings for the profile of the application",
        &SUBMIT,
        "import docs/src/gallery/okta-mapping.json",
    ),
    by_hand(
        "a configuration guide for customers",
        &SUBMIT,
        "fill docs/src/gallery/okta-customer-guide.md and publish it",
    ),
    by_hand("logo, description, and contacts of support", &SUBMIT, "hand them in with the request"),
    by_hand(
        "a test account for Okta's reviewers",
        &SUBMIT,
        "rollcall tenant create okta-review; rollcall key create okta-review --expires 90d",
    ),
];
