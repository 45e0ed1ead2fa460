//! Every bound in one place, each with its reason. `docs/src/reference/limits.md` lists them for users.

mod operations;
#[cfg(feature = "small-transactions")]
mod small;

pub use operations::*;
#[cfg(feature = "small-transactions")]
pub use small::{MAX_BATCH_POLL_MS, MAX_TRANSACTION_MEMBERS};

/// Longest request body in bytes. A user of every RFC 7643 attribute is under 20 KB; Lambda itself refuses 6 MB.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Shortest answer in bytes that Rollcall compresses, for a client that accepts gzip. A shorter one fits into three packets
/// anyway, and no answer with a secret is as long.
pub const MIN_COMPRESSED_BYTES: usize = 4096;

/// Deepest nesting of a JSON body. The deepest schema attribute is at level 4; the rest is room for extensions.
pub const MAX_JSON_DEPTH: usize = 32;

/// Largest stored document in bytes: a DynamoDB item holds 400 KB, the rest is for keys and group ids.
pub const MAX_DOCUMENT_BYTES: usize = 256 * 1024;

/// Longest filter in bytes. Entra and Okta stay under 300; the evaluator's work is bounded by this.
pub const MAX_FILTER_BYTES: usize = 4 * 1024;

/// Most different attributes that `attributes` or `excludedAttributes` names: RFC 7643 defines some 60 with all their
/// parts. 30,000 of them kept a process busy for minutes.
pub const MAX_PROJECTION_PATHS: usize = 100;

/// Deepest nesting of parentheses, `not` and value paths in a filter; bounds the recursion of parser and evaluator.
pub const MAX_FILTER_DEPTH: usize = 32;

/// Most operations in one PATCH. Microsoft's validator sends 36.
pub const MAX_PATCH_OPERATIONS: usize = 1_000;

/// Most operations in one Bulk: what most clients and servers take, and some seconds of work. Its bytes are bounded as
/// every body's are.
pub const MAX_BULK_OPERATIONS: usize = 1_000;

/// Operations of a Bulk under way at once: 1,000 take a few seconds, and a tenant's other requests still have room.
pub const MAX_BULK_AT_ONCE: usize = 8;

/// Age in seconds at which a Bulk begins no further operation: those under way have time to end.
pub const BULK_START_DEADLINE_SECONDS: u64 = 20;

/// Age in seconds at which a Bulk waits no longer for operations under way: below [`REQUEST_SECONDS`], so that there is
/// an answer for each.
pub const BULK_RESPONSE_DEADLINE_SECONDS: u64 = 23;

/// Most members that one request may name: 1 MB of body holds some 15,000 of them.
pub const MAX_MEMBER_CHANGES: usize = 10_000;

#[cfg(not(feature = "small-transactions"))]
/// Most members that change in one transaction, two actions each: DynamoDB's limit is 100 actions, the group's own
/// item and its name take up to three.
pub const MAX_TRANSACTION_MEMBERS: usize = 48;

/// Most bytes of members that change in one transaction: DynamoDB's limit is 4 MB, and counts the whole of each item.
pub const MAX_TRANSACTION_BYTES: usize = 3 * 1024 * 1024;

/// Most actions in one transaction: DynamoDB's limit.
pub const MAX_TRANSACTION_ACTIONS: usize = 100;

/// Ids in one row of a large change of members: 8 KB, which 20 rows hold in one transaction for the largest request.
pub const MEMBERS_PER_BATCH_ROW: usize = 500;

/// How long in seconds the process that carries out a large change of members has it alone without renewing its lease.
/// It renews the lease with each transaction of 48 members. After this time another process replaces one that died.
pub const BATCH_LEASE_SECONDS: i64 = 10;

/// The first pause in milliseconds of a large change of members that the table throttles. It doubles with each time.
pub const MIN_PACE_PAUSE_MS: u64 = 100;

/// The longest such pause in milliseconds: well within [`BATCH_LEASE_SECONDS`].
pub const MAX_PACE_PAUSE_MS: u64 = 2_000;

/// By how many members the transactions of a throttled change grow again with each that is done. Each throttling halves
/// them.
pub const PACE_GROWTH_MEMBERS: usize = 1;

/// How often in a row the table may throttle a large change before Rollcall leaves it to the next run of the worker.
/// That is some six seconds. The SDK has tried each three times.
pub const MAX_THROTTLED_ATTEMPTS: u32 = 8;

/// How long in milliseconds a request waits before it looks whether the large change that it waits for is done. Most are
/// done in a moment.
pub const MIN_BATCH_POLL_MS: u64 = 25;

#[cfg(not(feature = "small-transactions"))]
/// The longest that this wait becomes in milliseconds, as it doubles.
pub const MAX_BATCH_POLL_MS: u64 = 1_000;

/// Attempts to replace all members in one transaction. After so many lost races Rollcall commits the change first and
/// carries it out afterwards; no other change can delay that.
pub const MAX_REPLACE_ATTEMPTS: usize = 3;

/// Attempts to read a group and its members at one instant, during changes without a pause. A small group is read in a
/// millisecond or a few, and one of so many reads meets no change.
pub const MAX_SETTLE_ATTEMPTS: usize = 64;

/// How long in seconds Rollcall reads a group and its members again, to get both of one instant. A large group takes
/// long to read. An answer with a slightly older version is worth more than none.
pub const MAX_SETTLE_SECONDS: u64 = 5;

/// Most members of a group in a list, and most that a filter compares. A page may read several such groups. 10,000 take
/// about 1.9 MB.
pub const MAX_MEMBERS_LISTED: usize = 10_000;

/// Most bytes of one group with its members: Lambda's payload limit is 6 MB, and this leaves room for the headers. A
/// member takes some 190 bytes, so that about 29,000 fit.
pub const MAX_GROUP_BYTES: usize = 11 * 512 * 1024;

/// Age in seconds at which a request stops carrying out its committed change of many members. It is below the
/// functions' time-out of 28, with room for the answer. The stream worker does the rest.
pub const JOB_SECONDS_IN_REQUEST: u64 = 20;

/// Age in seconds at which Rollcall ends a request with 503: below the functions' time-out of 28, so that there is an
/// answer. What it has committed stays committed.
pub const REQUEST_SECONDS: u64 = 25;

/// Age in seconds at which the worker continues what a request has left. The request may take 28 seconds, and so may
/// one that read the group just before its commit. The rest is for clocks that differ.
pub const JOB_GRACE_SECONDS: i64 = 60;

/// Partitions that hold the jobs of all tenants. One that is hot or unreadable does not stop the jobs of the others. A
/// partition takes 1,000 write units a second.
pub const JOB_LANES: u8 = 16;

/// Most jobs of one tenant in one lane that the worker looks at in one run. A tenant with very many neither fills the
/// memory of the function nor delays others. The next run looks at the rest.
pub const MAX_JOBS_PER_LANE: usize = 1_000;

/// Tenants whose jobs the worker carries out at the same time, one job of each. More would need more connections than a
/// function has.
pub const TENANTS_AT_ONCE: usize = 4;

/// How long in seconds one run of the worker carries jobs out: less than the minute until the next run.
pub const SWEEP_SECONDS: u64 = 50;

/// How long in seconds a run works for one tenant if others wait: a tenant with many jobs never delays the others.
pub const TENANT_SWEEP_SECONDS: u64 = 10;

/// The longest time in seconds until the worker tries a job again that failed. It waits as long as the job is old, up to
/// this, so a job that fails for weeks costs one attempt a day.
pub const MAX_JOB_RETRY_SECONDS: i64 = 24 * 60 * 60;

/// Most memberships on a page of `/GroupMembers`: they are small, and a group may have a million.
pub const MAX_MEMBERSHIPS_PAGE: usize = 1_000;

/// Most memberships read for one page that a filter thins out, before the page ends short with a `nextCursor`.
pub const MAX_MEMBERSHIPS_READ: usize = 10_000;

/// How long in seconds a cursor may be used.
pub const CURSOR_SECONDS: i64 = 3_600;

/// Members looked up side by side: 10,000 take a second at 5 ms each, also next to many other clients.
pub const MEMBERS_AT_ONCE: usize = 64;

/// Most groups of one user: their ids are kept in the user's item.
pub const MAX_GROUPS_PER_USER: usize = 2_000;

/// Longest path of a PATCH operation in bytes, and most comparisons in its value filter: each runs on every value.
pub const MAX_PATH_BYTES: usize = 2 * 1024;
/// See [`MAX_PATH_BYTES`].
pub const MAX_SELECTOR_TERMS: usize = 10;

/// Most values of one multi-valued attribute: keeps duplicate checks of a PATCH bounded. Not for a group's members.
pub const MAX_VALUES: usize = 256;

/// Most members of a JSON object, as each is compared with the others without case.
pub const MAX_MEMBERS: usize = 1_000;

/// Most distinct e-mail addresses of one user. Each further address is a row in the user's own transaction. A rename
/// that replaces all of them must fit DynamoDB's 100 actions (2 x 45 + 2).
pub const MAX_EMAILS: usize = 45;

/// Longest value in bytes of an attribute that is an index key (`userName`, `externalId`, `emails.value`):
/// DynamoDB's limit for a sort key.
pub const MAX_KEY_BYTES: usize = 1024;

/// Resources on a page when the client names no `count`.
pub const DEFAULT_PAGE: usize = 100;

/// Most resources on a page (`filter.maxResults`).
pub const MAX_PAGE: usize = 200;

/// Most bytes of resources in one answer: Lambda's payload limit is 6 MB, and JSON escaping may add to it. A page ends
/// before it, and `itemsPerPage` has its size.
pub const MAX_RESPONSE_BYTES: usize = 4 * 1024 * 1024;

/// Most users whom Rollcall counts one by one for a list: 25 KB of index, a fifth of the cost of a page of 100 users of
/// 1.5 KB. Beyond it, Rollcall uses the worker's count.
pub const MAX_COUNTED_USERS: usize = 250;

/// Most 1 MB pages that Rollcall reads for a filter without an index; beyond them the answer is 400 `tooMany`. That is
/// about 8,000 users of 2 KB, under a second and 4,096 read units.
pub const MAX_SCANNED_PAGES: usize = 16;

/// Most resources that Rollcall reads for one page of a list with a cursor and a filter (about 4 MB of users). Then the
/// page ends short with a `nextCursor`.
pub const MAX_RESOURCES_READ: usize = 2_000;

/// Resources read in one call on such a walk.
pub const SCAN_BATCH_SIZE: usize = 500;

/// Most alternatives of an `or` answered by one index read each; a longer one is scanned.
pub const MAX_OR_BRANCHES: usize = 10;

/// Most users read one by one for one further e-mail address: each is a call of its own.
pub const MAX_SHARED_EMAIL: usize = 100;

/// How many of the last requests that wrote an item are in it. By them Rollcall recognizes a write whose answer was
/// lost, also after other writes.
pub const WRITER_HISTORY: usize = 4;

/// Attempts at a read-modify-write whose item others keep changing; each attempt costs one write.
pub const MAX_WRITE_ATTEMPTS: usize = 64;

/// Attempts at a transaction that another one on the same item cancelled: some four seconds of them. All changes of one
/// group's members meet in the group's item, and of 40 at once each still finds its turn.
pub const MAX_CONFLICT_ATTEMPTS: u32 = 40;

/// Longest pause between two such attempts in milliseconds; the pause is random below a doubling bound.
pub const MAX_CONFLICT_PAUSE_MS: u64 = 200;

/// Longest tenant name: it is part of every partition key and of the URL.
pub const MAX_TENANT_BYTES: usize = 40;

/// Longest `Authorization` header looked at, and longest client assertion: an access token of Entra ID with many claims
/// takes 4 KB. API Gateway ends at 10 KB for all headers.
pub const MAX_AUTHORIZATION_BYTES: usize = 8 * 1024;

/// Longest name of an automation user: with a prefix it is part of a sort key, as a `userName` is.
pub const MAX_AUTOMATION_BYTES: usize = 256;

/// How far in seconds the clocks of issuers may differ from Rollcall's.
pub const CLOCK_TOLERANCE_SECONDS: i64 = 60;

/// Longest life in seconds of an identity provider's JWT. The longest of Entra ID's are those of managed identities: they
/// live 24 hours, and say that they were issued 5 minutes before.
pub const MAX_ISSUER_JWT_SECONDS: i64 = 25 * 60 * 60;

/// How many days a key works that is created without an end. An operator who replaces a key once a year knows how.
/// Gallery applications of Entra ID may have secrets of one to three years.
pub const DEFAULT_KEY_LIFE_DAYS: i64 = 365;

/// How often in seconds Rollcall records the use of a key: a list of keys needs no more precision.
pub const LAST_USED_RESOLUTION_SECONDS: i64 = 15 * 60;

/// How many days before its end the state of a key becomes `expiring`.
pub const KEY_EXPIRY_WARNING_DAYS: i64 = 30;

/// How long in seconds a rotated key continues to work by default: a working day and a night to enter the new one.
pub const ROTATION_OVERLAP_SECONDS: i64 = 24 * 60 * 60;

/// How long in seconds an access token works: Entra ID accepts 60 minutes to 6 hours.
pub const TOKEN_SECONDS: i64 = 60 * 60;

/// Most access tokens that a client is issued within a clock hour. Clients that keep their token take one or two; this is
/// one for each request of a small import. A token lives an hour, so at most twice as many work at one time.
pub const MAX_TOKENS_PER_WINDOW: u64 = 1_000;

/// Keys of a tenant whose copies of its settings Rollcall updates at once.
pub const KEYS_AT_ONCE: usize = 20;

/// Longest form at the token endpoint: an assertion, and a few words.
pub const MAX_TOKEN_REQUEST_BYTES: usize = 32 * 1024;

/// How long in seconds Rollcall caches an issuer's keys: issuers publish new ones a day ahead.
pub const JWKS_TTL_SECONDS: i64 = 60 * 60;

/// How long in seconds Rollcall still uses them if the issuer does not answer.
pub const JWKS_STALE_TTL_SECONDS: i64 = 24 * 60 * 60;

/// How often in seconds Rollcall asks an issuer at most: a forged key id must not cause a call each time.
pub const JWKS_MIN_REFETCH_SECONDS: i64 = 30;

/// Longest document with an issuer's keys. Entra ID's has 20 KB.
pub const MAX_JWKS_BYTES: usize = 256 * 1024;

/// How long in seconds an issuer may take to answer.
pub const JWKS_ANSWER_SECONDS: u64 = 3;

/// How long in seconds Rollcall recognizes a repeated POST with an `Idempotency-Key`: clients try again for hours, not
/// days.
pub const IDEMPOTENCY_SECONDS: i64 = 86_400;

/// How long in seconds Rollcall reads for a page of a filtered list before the page ends short. Reading the members of
/// each group may take long. A page that times out has no `nextCursor`.
pub const SEARCH_SECONDS: u64 = 10;

/// Longest `Idempotency-Key` header: clients send a UUID.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 255;

/// Longest description of a key.
pub const MAX_DESCRIPTION_BYTES: usize = 256;

/// Longest profile: an extension of 200 attributes takes 60 KB. Custom ones are items of the keys table, and a process
/// holds a few in memory.
pub const MAX_PROFILE_BYTES: usize = 64 * 1024;

/// Longest name of a profile: it is in every key record.
pub const MAX_PROFILE_NAME_BYTES: usize = 40;

/// Profiles held in memory, read once each: a process serves all tenants, and most have the same few.
pub const PROFILE_CACHE_SIZE: usize = 16;

/// How long in seconds a client of `rollcall serve` may take to send the head of a request. A slow client must not hold
/// a connection for ever.
pub const SERVE_HEAD_SECONDS: u64 = 60;

/// How long in seconds a client of `rollcall serve` may take over a body: 1 MB in that time is 35 KB a second.
pub const SERVE_BODY_SECONDS: u64 = 30;

/// Most connections to `rollcall serve` at once: half of the 1,024 files that a process may have open in most systems.
pub const SERVE_CONNECTIONS: usize = 512;

/// Most connections to the metrics of `rollcall serve` at once: few programs read them, and the files are for clients.
pub const METRICS_CONNECTIONS: usize = 16;

/// Longest first line of a request that `rollcall serve` looks at: longer than any filter, encoded.
pub const SERVE_LINE_BYTES: usize = 16 * 1024;

/// How long in seconds requests under way may take after Ctrl-C.
pub const SERVE_SHUTDOWN_SECONDS: u64 = 5;

/// How long in seconds a command waits for another one that has the local store open: each takes less than a second.
pub const DATA_LOCK_SECONDS: u64 = 5;

/// How long in seconds the embedded engine keeps the change records of a table. The worker reads them within a second,
/// and at start before the first request.
pub const LOCAL_STREAM_SECONDS: i64 = 60 * 60;
