//! `docs/src/reference/log.md`.

use std::fmt::Write;

use crate::admin::log::csv_header;
use crate::limits::{DEFAULT_LOG_ENTRIES, MAX_LOG_ENTRIES, MAX_REFUSALS_PER_MINUTE};
use crate::store::model::admin_action::AdminActionType;

/// What no table of the code says.
const INTRODUCTION: &str = "\
# The log

After this page you can read the log of a tenant, and explain each entry.

The log records what happened to users and groups, which requests were refused, and what operators
did, newest first. The sources are `src/store/model/refusal.rs` and
`src/store/model/admin_action.rs`. The guide is
[Find out why a request was refused](../guides/refused-request.md).

## Read it

`GET /admin/v1/tenants/{tenant}/log` with a key of the operators, or `rollcall log TENANT`.

| Parameter | Takes |
|---|---|
| `since`, `until` | times; both are included |
| `kind` | `change`, `refusal` or `admin` |
| `status` | a status such as `409`, or `4xx`, `5xx` |
| `user`, `group` | the id of the user or group that the entry concerns |
| `key` | the id of the key that did it |
| `request` | the id of the request |
| `cursor` | `nextCursor` of the answer before |
";

/// What every entry has.
const FIELDS: &str = "
An entry must satisfy every parameter. A page can end before `limit`. The log ends where the answer
has no `nextCursor`. The header `Link` names the next page too. `openapi.json` has the schema.

| `Accept` | Answer |
|---|---|
| `application/json`, or anything else | `{\"entries\": […], \"nextCursor\": \"…\"}` |
| `application/x-ndjson` | an entry a line |
| `text/csv` | RFC 4180, with a header line |

## Entries

A `change` is an [event of the feed](../guides/follow-changes.md#an-event) with `kind`.

| Field of a refusal | Meaning |
|---|---|
| `request` | the id in the header `x-request-id` |
| `actor` | `key`; `keyState`: `ok`, `expired`, `revoked`, `pending`, `waiting` or `closed`; `client` |
| `method`, `route` | the HTTP method, and the [function](endpoints.md) |
| `target` | the ids that the path names; for a search the attribute, and a hash of the value |
| `status`, `code`, `scimType`, `detail`, `remedy` | the [error](errors.md) |
| `milliseconds` | how long the request took |
| `rules` | the [deviations](client-deviations.md) that Rollcall allowed for |
| `suppressed` | how many refusals before it have no entry |

`client` is `entra`, `entra-flag` (with `aadOptscim062020`), `okta` or `other`. Rollcall guesses it
from headers and the form of the body, and decides nothing by it.

An `admin` entry has `type`, `actor`, `request`, `resource`, `before` and `after`. `resource` has
`type` and `id`. Without `key`, the operator worked on the tables directly.

";

/// What is and is not there.
const REST: &str = "
## Guarantees

| | |
|---|---|
| A change | the log has it one to two seconds after its write |
| A refusal | the log has it if the caller has proved to hold a key of the tenant; it has no GET of a missing resource |
| An admin action | the transaction of the change writes it |
| Bodies, headers, secrets | no refusal and no admin action has them |
| Personal data | `userName`, names and changed values are in changes; a `detail` can name a value |
| Retention | `ChangesRetentionDays` |

## Verify it

`rollcall log verify TENANT` examines the hash chains of users and groups. It prints the hash of
the last row. Keep that hash elsewhere: whoever may write to the table can compute a new chain.

| Exit status | Meaning |
|---|---|
| 0 | every row is as it was written |
| 1 | a row was altered or is missing |
| 2 | the log could not be examined |

`GET /admin/v1/tenants/{tenant}/log/chain?lane=u` returns the rows, and `lane=g` those of groups.
The hash of a row is SHA-256 of `link.previous` and of a JSON array. The array has `pk`, `sk`,
`type`, `at`, `ttl`, `event`, `link.number` and `link.previousTtl`.

Refusals and admin actions have no chain, because several functions write them at once.
";

pub(super) fn page() -> String {
    let mut page = String::from(INTRODUCTION);
    // A String takes every write.
    let _ = writeln!(page, "| `limit` | 1 to {MAX_LOG_ENTRIES}; {DEFAULT_LOG_ENTRIES} without it |");
    page.push_str(FIELDS);
    page.push_str("| Type | Meaning |\n|---|---|\n");
    for kind in AdminActionType::ALL {
        let _ = writeln!(page, "| `{}` | {} |", kind.as_str(), kind.meaning());
    }
    let columns: Vec<_> = csv_header().trim().split(',').map(|name| format!("`{name}`")).collect();
    let columns = columns.chunks(6).map(|some| some.join(", ")).collect::<Vec<_>>().join(",\n");
    let _ = writeln!(
        page,
        "\n## Columns of CSV\n\n{columns}.\n\nA cell that begins like a formula has an apostrophe before it."
    );
    page.push_str(REST);
    let _ = writeln!(
        page,
        "\nA process writes at most {MAX_REFUSALS_PER_MINUTE} refusals of a tenant within a minute, and counts the rest."
    );
    page
}
