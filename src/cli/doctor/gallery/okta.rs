//! What Okta publishes for its integration network.

use super::{Requirement, Source, by_hand, checks};

const PROTOCOL: Source = Source {
    title: "Okta and SCIM Version 2.0",
    url: "https://developer.okta.com/docs/api/openapi/okta-scim/guides/scim-20/",
};
const CONCEPTS: Source = Source {
    title: "SCIM integration concepts and requirements",
    url: "https://developer.okta.com/docs/concepts/scim/faqs/",
};
const PREPARE: Source = Source {
    title: "Build your SCIM API service",
    url: "https://developer.okta.com/docs/guides/scim-provisioning-integration-prepare/main/",
};
const SPEC: Source = Source {
    title: "Okta SCIM 2.0 SPEC Test",
    url: "https://developer.okta.com/standards/SCIM/SCIMFiles/Okta-SCIM-20-SPEC-Test.json",
};
const PLAN: Source = Source {
    title: "Okta SCIM Test Plan",
    url: "https://developer.okta.com/standards/SCIM/SCIMFiles/okta-scim-test-plan-v2.xlsx",
};
const PREREQUISITES: Source = Source {
    title: "OIN submission requirements",
    url: "https://developer.okta.com/docs/guides/submit-app-prereq/main/",
};
const SUBMIT: Source = Source {
    title: "Submit an integration with the OIN Wizard",
    url: "https://developer.okta.com/docs/guides/submit-oin-app/scim/main/",
};

pub(super) const REQUIREMENTS: &[Requirement] = &[
    checks("HTTPS", &PREPARE, &["https"]),
    checks("no anonymous access", &PREPARE, &["wrong-token"]),
    checks("userName, name and e-mail addresses stored", &PREPARE, &["values-as-sent"]),
    checks(
        "an id that the server assigns, in every representation",
        &PREPARE,
        &["create-user-okta", "okta-test", "put-user"],
    ),
    checks(
        "the first users: a list with id, userName and the numbers of the page",
        &SPEC,
        &["okta-test", "items-per-page"],
    ),
    checks("401 with a SCIM error for a wrong token", &SPEC, &["wrong-token", "unauthorized-body"]),
    checks("404 with a SCIM error for a user who is not there", &SPEC, &["unknown-user", "error-body"]),
    checks("409 for the same user again", &SPEC, &["duplicate-user"]),
    checks("a search for the userName in capitals", &SPEC, &["match-username-case"]),
    checks("an empty ListResponse for a userName that nobody has", &SPEC, &["filter-without-match", "list-schema"]),
    checks("users found by userName eq", &CONCEPTS, &["match-username"]),
    checks(
        "201 with the user for a create, with password, groups and locale",
        &PROTOCOL,
        &["create-user-okta", "values-as-sent"],
    ),
    checks("a user replaced by PUT, with id, meta and groups in the body", &PROTOCOL, &["put-user"]),
    checks(
        "a user deactivated and activated by PATCH without a path",
        &PROTOCOL,
        &["disable-okta", "restore-okta", "disabled-user-found"],
    ),
    checks("pages by startIndex and count, with the number of all results", &PROTOCOL, &["paging", "total-results"]),
    checks("groups created, and found by displayName", &PROTOCOL, &["create-group-with-members", "match-group"]),
    checks(
        "members replaced, added and removed by value path",
        &PROTOCOL,
        &["replace-members", "add-member", "remove-member-by-path", "concurrent-members"],
    ),
    checks("a group renamed with its id in the value, and deleted", &PROTOCOL, &["rename-group-okta", "delete-group"]),
    checks("the user's schemas, for Import User Schema (recommended)", &SUBMIT, &["schemas", "resource-types"]),
    by_hand(
        "an organization of the Integrator Free Plan, and an administrator with an address of your company",
        &PREREQUISITES,
        "sign up at developer.okta.com/signup; open the OIN Wizard as super, or as app and org administrator",
    ),
    by_hand(
        "the SPEC test, 11 required steps",
        &SPEC,
        "import it as docs/src/gallery/okta.md describes; hand in the link of a passed run",
    ),
    by_hand(
        "the CRUD test",
        &SUBMIT,
        "enable API integration in the test instance first; import Okta-SCIM-20-CRUD-Test.json; hand in the link",
    ),
    by_hand(
        "the manual tests of each feature that you support",
        &PLAN,
        "run the test plan in your organization; certify it when you submit",
    ),
    by_hand(
        "base URL, authentication mode, and the operations of users and groups",
        &SUBMIT,
        "docs/src/gallery/okta.md has the answers",
    ),
    by_hand(
        "authentication by a header, a bearer token or the OAuth 2.0 authorization code; no Basic",
        &PREREQUISITES,
        "choose Bearer; rollcall key create TENANT",
    ),
    by_hand("a base URL without an underscore", &PREPARE, "look at the host and the path; names of tenants have none"),
    by_hand(
        "a tenant and credentials of its own for each customer",
        &PREREQUISITES,
        "rollcall tenant create for each; name the tenant by a variable of the base URL",
    ),
    by_hand(
        "an answer within 60 seconds",
        &CONCEPTS,
        "Rollcall's functions end after 28 seconds; check the limits of your own proxy",
    ),
    by_hand(
        "attribute mappings of the attributes that the application supports, and of no other",
        &SUBMIT,
        "enter docs/src/gallery/okta-mapping.json in the Profile Editor of the test instance",
    ),
    by_hand(
        "a configuration guide for customers",
        &PREREQUISITES,
        "fill docs/src/gallery/okta-customer-guide.md and publish it",
    ),
    by_hand(
        "logo, description, a public contact of support, and a private one for emergencies",
        &PREREQUISITES,
        "prepare them as docs/src/gallery/okta.md describes; hand them in with the request",
    ),
    by_hand(
        "an administrator's account in your application, and the SCIM credentials, for Okta's reviewers",
        &PREREQUISITES,
        "rollcall tenant create okta-review; rollcall key create okta-review --expires 90d",
    ),
];
