//! Test Connection of Entra ID and of Okta, wrong tokens, discovery; and what holds of every answer.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::Method;
use http::header::HeaderValue;
use serde_json::Value;

use super::answer::{Answer, ERROR, LIST_RESPONSE, Verdict};
use super::bodies::{CORE_GROUP, CORE_USER, ENTERPRISE};
use super::endpoint::Caller;
use super::report::{Check, Level};
use super::session::{Session, search};

// Entra ID, use-scim-to-provision-users-and-groups.md; a 404 leads to quarantine, application-provisioning-quarantine-status.md.
const FILTER_WITHOUT_MATCH: Check = Check {
    name: "filter-without-match",
    title: "Test Connection of Entra ID: a filter that nobody matches",
    level: Level::Fault,
    expected: "200 and a list with totalResults 0",
    change: "Answer a filter without a match with 200 and an empty ListResponse, never with 404.",
};
const LIST_SCHEMA: Check = Check {
    name: "list-schema",
    title: "a list says that it is one",
    level: Level::Fault,
    expected: "schemas with urn:ietf:params:scim:api:messages:2.0:ListResponse",
    change: "Put the URN of ListResponse into schemas of every list, also an empty one (RFC 7644 section 3.4.2).",
};
// Entra ID, application-provisioning-config-problem-scim-compatibility.md: part of the Tenant URL.
const QUERY_FLAG: Check = Check {
    name: "query-flag",
    title: "the flag aadOptscim062020 in the URL",
    level: Level::Fault,
    expected: "the same answer as without it",
    change: "Ignore query parameters that are not known, such as aadOptscim062020.",
};
// The request of Okta's Test Connector Configuration.
const OKTA_TEST: Check = Check {
    name: "okta-test",
    title: "Test Connector of Okta: the first two users",
    level: Level::Fault,
    expected: "200 and a list of at most two users, each with id and userName",
    change: "Answer GET /Users?startIndex=1&count=2 with a ListResponse of at most count users.",
};
const WRONG_TOKEN: Check = Check {
    name: "wrong-token",
    title: "a wrong token, and none",
    level: Level::Fault,
    expected: "401",
    change: "Check the Authorization header of every request, and answer 401 if it is missing or wrong.",
};
// Okta, Okta-SCIM-20-SPEC-Test.json.
const UNAUTHORIZED_BODY: Check = Check {
    name: "unauthorized-body",
    title: "a wrong token is told in SCIM's form",
    level: Level::Fault,
    expected: "an Error of RFC 7644 section 3.12 with status \"401\" and detail",
    change: "Write a SCIM error body for 401, too; a gateway's or authoriser's own answer has to be replaced.",
};
const HTTPS: Check = Check {
    name: "https",
    title: "TLS",
    level: Level::Fault,
    expected: "https",
    change: "Serve by https with a certificate of a public authority: Entra ID and Okta connect to nothing else.",
};
const GROUPS_TEST: Check = Check {
    name: "groups-without-match",
    title: "Test Connection of Entra ID asks for groups, too",
    level: Level::Fault,
    expected: "200 and a list with totalResults 0",
    change: "Answer a filter on displayName that no group matches with 200 and an empty ListResponse.",
};
// Entra ID probes both: Entra ID reported a 404 as SystemForCrossDomainIdentityManagementServiceIncompatible.
const GROUPS_ABSENT: Check = Check {
    name: "groups-offered",
    title: "no groups here",
    level: Level::Advice,
    expected: "200 and a list with totalResults 0, also where groups are not used",
    change: "Answer GET /Groups with an empty ListResponse: Entra ID asks for groups in Test Connection, whether they are mapped or not.",
};
const SERVICE_PROVIDER_CONFIG: Check = Check {
    name: "service-provider-config",
    title: "what the endpoint says of itself",
    level: Level::Advice,
    expected: "200, with patch.supported and filter.supported true",
    change: "Serve /ServiceProviderConfig (RFC 7643 section 5), and say there that PATCH and filters are supported.",
};
// No standard has a place for it: Rollcall says it in a header of /ServiceProviderConfig.
const PROTECTION: Check = Check {
    name: "protection",
    title: "protection against mass deprovisioning",
    level: Level::Advice,
    expected: "Rollcall-Protection: hold",
    change: "A wrong scope deactivates everybody within minutes; with Rollcall: rollcall tenant set TENANT --protect hold.",
};
// Entra ID reads it for gallery applications, and Microsoft's validators for all.
const SCHEMAS: Check = Check {
    name: "schemas",
    title: "the schemas that are published",
    level: Level::Advice,
    expected: "200 and a list with the schemas of users, and of groups if there are any",
    change: "Serve /Schemas as a ListResponse with each schema that a resource names.",
};
const RESOURCE_TYPES: Check = Check {
    name: "resource-types",
    title: "the types of resources",
    level: Level::Advice,
    expected: "200 and a list with User",
    change: "Serve /ResourceTypes as a ListResponse (RFC 7643 section 6).",
};
const CONTENT_TYPE: Check = Check {
    name: "content-type",
    title: "the Content-Type of every answer",
    level: Level::Fault,
    expected: "application/scim+json",
    change: "Set Content-Type: application/scim+json on every answer with a body, errors and 401 included.",
};
const SCIM_TYPE: Check = Check {
    name: "scim-content-type",
    title: "SCIM's own Content-Type",
    level: Level::Advice,
    expected: "application/scim+json (RFC 7644 section 8.1)",
    change: "Say application/scim+json, not application/json: Microsoft's validators warn of it.",
};
const ERROR_BODY: Check = Check {
    name: "error-body",
    title: "errors in SCIM's form",
    level: Level::Fault,
    expected: "an Error of RFC 7644 section 3.12 with schemas, status and detail",
    change: "Write a SCIM error body for every 4xx and 5xx: its detail is what an administrator reads in the provisioning log.",
};
// Entra ID, use-scim-to-provision-users-and-groups.md.
const NO_NULL: Check = Check {
    name: "no-null",
    title: "no null in answers",
    level: Level::Advice,
    expected: "attributes without a value are left out",
    change: "Leave out attributes that have no value; Microsoft's validators fail on null.",
};
// Entra ID, app-gallery-user-provisioning-requirements.md.
const RATE: Check = Check {
    name: "rate",
    title: "no 429",
    level: Level::Advice,
    expected: "no limit below 25 requests a second, which Entra ID requires of gallery applications",
    change: "Raise the limit of requests for SCIM to 25 a second or more: to Entra ID a 429 is a failed operation.",
};

/// Whether there is a SCIM endpoint that lets us in.
///
/// # Errors
/// Why it cannot be examined, and what to do.
pub(super) async fn reach(session: &mut Session) -> Result<(), String> {
    let base = session.endpoint.base().to_owned();
    let first = session.endpoint.get(&test_connection(session)).await;
    if let Some(why) = first.missing() {
        return Err(format!("{base} cannot be reached: {why}; check the URL, and that the endpoint runs"));
    }
    if first.list().is_ok() {
        return Ok(());
    }
    if first.is(&[401, 403]).is_err() {
        // It may be only this filter that it cannot answer.
        let users = session.endpoint.get("/Users?startIndex=1&count=2").await;
        if users.list().is_ok() {
            return Ok(());
        }
        return Err(format!(
            "{base} is no SCIM endpoint, as it answered {} with {};\n\
             pass what comes before /Users: usually https://HOST/scim/v2, https://HOST/scim or https://HOST/TENANT/scim/v2",
            users.sent,
            users.came()
        ));
    }
    Err(format!(
        "{base} refuses the token: {};\n\
         pass a whole token of this tenant that has not expired and may read and write, and for HTTP Basic use --basic",
        first.came()
    ))
}

pub(super) async fn run(session: &mut Session) {
    session.report.chapter("Connection");
    judge_tls(session);
    let path = test_connection(session);
    let answer = session.endpoint.get(&path).await;
    if session.judge(&FILTER_WITHOUT_MATCH, &answer, Answer::is_empty_list) {
        session.judge(&LIST_SCHEMA, &answer, |answer| says(answer, LIST_RESPONSE));
    }
    let flagged = session.endpoint.get(&format!("{path}&aadOptscim062020")).await;
    let same = |flagged: &Answer| if flagged.body == answer.body { Ok(()) } else { Err(flagged.came()) };
    session.judge(&QUERY_FLAG, &flagged, same);
    let users = session.endpoint.get("/Users?startIndex=1&count=2").await;
    session.judge(&OKTA_TEST, &users, is_first_page);
    wrong_tokens(session).await;
    discovery(session).await;
}

fn test_connection(session: &Session) -> String {
    search("/Users", &format!("userName eq \"{}\"", session.nonexistent_id('0')), "")
}

fn says(answer: &Answer, schema: &str) -> Verdict {
    if answer.names(schema) { Ok(()) } else { Err(answer.came()) }
}

fn is_first_page(answer: &Answer) -> Verdict {
    let has = |user: &Value, name: &str| user.get(name).is_some_and(Value::is_string);
    let resources = answer.list()?.resources;
    let is_whole = resources.iter().all(|user| has(user, "id") && has(user, "userName"));
    if resources.len() <= 2 && is_whole { Ok(()) } else { Err(answer.came()) }
}

/// Plain http is for an endpoint on this machine: no token is sent to another one.
fn judge_tls(session: &mut Session) {
    let base = session.endpoint.base().to_owned();
    if base.starts_with("https://") {
        session.report.note(&HTTPS, &base, Ok(()));
    }
}

async fn wrong_tokens(session: &mut Session) {
    let wrong = session.nonexistent_id('1');
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("nobody:{wrong}")));
    // The second is what Okta's SPEC test sends.
    let tried = [Some(format!("Bearer {wrong}")), Some("non-token".to_owned()), Some(basic), None];
    let (mut statuses, mut bodies, mut sent) = (Ok(()), Ok(()), String::new());
    for authorization in tried {
        let header = authorization.as_deref().unwrap_or("absent").to_owned();
        let caller = Caller::As(authorization.and_then(|text| HeaderValue::from_str(&text).ok()));
        let answer = session.endpoint.send_as(&caller, Method::GET, "/Users?startIndex=1&count=1", None).await;
        sent = format!("{} with Authorization: {header}", answer.sent);
        statuses = answer.is(&[401]);
        if statuses.is_err() {
            break;
        }
        bodies = bodies.and(answer.is_scim_error().and(says(&answer, ERROR)));
    }
    if session.report.note(&WRONG_TOKEN, &sent, statuses) {
        session.report.note(&UNAUTHORIZED_BODY, &sent, bodies);
    }
}

async fn discovery(session: &mut Session) {
    let config = session.endpoint.get("/ServiceProviderConfig").await;
    session.judge(&SERVICE_PROVIDER_CONFIG, &config, |config| {
        config.has_values(&[("/patch/supported", true.into()), ("/filter/supported", true.into())])
    });
    judge_protection(session, &config);
    let types = session.endpoint.get("/ResourceTypes").await;
    let has_type =
        |name: &str| types.list().is_ok_and(|list| list.resources.iter().any(|found| is_called(found, "name", name)));
    session.judge(&RESOURCE_TYPES, &types, |types| if has_type("User") { Ok(()) } else { Err(types.came()) });
    probe_groups(session, has_type("Group")).await;
    let schemas = session.endpoint.get("/Schemas").await;
    let published = schemas.list().map(|list| list.resources).unwrap_or_default();
    let has_schema = |id: &str| published.iter().any(|found| is_called(found, "id", id));
    session.has_enterprise = published.is_empty() || has_schema(ENTERPRISE);
    let is_complete = has_schema(CORE_USER) && (has_schema(CORE_GROUP) || !session.has_groups);
    session.judge(&SCHEMAS, &schemas, |schemas| if is_complete { Ok(()) } else { Err(schemas.came()) });
}

/// An endpoint that says nothing may be protected all the same.
fn judge_protection(session: &mut Session, config: &Answer) {
    match config.headers.get("rollcall-protection").map(|mode| mode.to_str().unwrap_or_default()) {
        None => session.report.skip(&PROTECTION, "the endpoint does not say what it does if everybody is deactivated"),
        Some("hold") => drop(session.report.note(&PROTECTION, &config.sent, Ok(()))),
        Some(mode) => {
            let came = format!("Rollcall-Protection: {mode}");
            session.report.note(&PROTECTION, &config.sent, Err(came));
        }
    }
}

fn is_called(resource: &Value, key: &str, name: &str) -> bool {
    resource.get(key).and_then(Value::as_str).is_some_and(|found| found.eq_ignore_ascii_case(name))
}

async fn probe_groups(session: &mut Session, are_declared: bool) {
    let filter = format!("displayName eq \"{}\"", session.nonexistent_id('2'));
    let answer = session.endpoint.get(&search("/Groups", &filter, "&excludedAttributes=members")).await;
    session.has_groups = are_declared || answer.is(&[403, 404, 405, 501]).is_err();
    match session.has_groups {
        true => session.judge(&GROUPS_TEST, &answer, Answer::is_empty_list),
        false => session.judge(&GROUPS_ABSENT, &answer, Answer::is_empty_list),
    };
}

/// What holds of every answer to anything that was sent.
pub(super) fn judge_all_answers(session: &mut Session) {
    session.report.chapter("All answers");
    let seen = session.endpoint.seen();
    for (check, example) in [
        (&CONTENT_TYPE, seen.not_json_type),
        (&SCIM_TYPE, seen.plain_json_type),
        (&ERROR_BODY, seen.bare_error),
        (&NO_NULL, seen.null),
        (&RATE, seen.too_many),
    ] {
        match example {
            None => session.report.note(check, "", Ok(())),
            Some((sent, came)) => session.report.note(check, &sent, Err(came)),
        };
    }
}
