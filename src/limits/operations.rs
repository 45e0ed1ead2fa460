//! Bounds of the feed, the log, protection, notices, rates, a tenant's data and the page for administrators.

use super::KEY_EXPIRY_WARNING_DAYS;

/// How many days the feed keeps an event by default: a consumer may be down for a holiday.
pub const CHANGES_RETENTION_DAYS: i64 = 30;

/// Most days that the feed keeps events: before-images are personal data, and a year and a month is what auditors ask.
pub const MAX_CHANGES_RETENTION_DAYS: i64 = 400;

/// Longest event in bytes: an item holds 400 KB. A longer one leaves out the old values, then the new ones.
pub const MAX_EVENT_BYTES: usize = 350_000;

/// Longest text in bytes of what a rename has changed. It is in the renamed user's item, and both must fit 400 KB.
pub const MAX_FORMER_BYTES: usize = 32 * 1024;

/// How long in seconds Rollcall stores who deleted a resource: twice as long as a stream keeps the record of the
/// deletion.
pub const DELETION_AUTHOR_SECONDS: i64 = 2 * 24 * 60 * 60;

/// Most ids of groups in the event of a deleted user: as many as a user may be in. They take 80 KB, and a restore needs
/// each of them.
pub const MAX_EVENT_GROUPS: usize = 2_000;

/// Most events of one user or group that a restore reads: beyond them it reports a conflict. A faulty program is the
/// usual cause of so many changes within days.
pub const MAX_RESTORE_EVENTS: usize = 2_000;

/// Most events from which Rollcall computes the state of a user or group at a time: a page of 100 takes 10 ms.
pub const MAX_STATE_EVENTS: usize = 10_000;

/// How long in seconds the history may lack a change before Rollcall returns the state at a time without it. Until then
/// the answer is 503. The worker is seconds behind. A change of an attribute that is never returned has no event at
/// all.
pub const HISTORY_LAG_SECONDS: i64 = 15 * 60;

/// Users and groups that one request of a restore restores: the next request continues, so the caller sees progress.
pub const RESTORE_RESOURCES: usize = 100;

/// Age in seconds at which a request of a restore begins with no further user or group: below `REQUEST_SECONDS`.
pub const RESTORE_SECONDS: u64 = 12;

/// Most users that a restore names: their ids are in its cursor.
pub const MAX_RESTORE_USERS: usize = 1_000;

/// Events on a page of the feed when the client names no `limit`.
pub const DEFAULT_EVENTS: usize = 100;

/// Most events on a page of the feed.
pub const MAX_EVENTS: usize = 1_000;

/// Longest that a request to the feed waits for an event, in seconds: below `REQUEST_SECONDS`, so that there is an
/// answer.
pub const MAX_EVENT_WAIT_SECONDS: u64 = 20;

/// Most types of events that a request to the feed names: there are fewer.
pub const MAX_EVENT_TYPES: usize = 32;

/// Most refused requests of a tenant that a process writes into the log within a minute. A client that fails at every
/// user must not cost more than its users. The process counts the others.
pub const MAX_REFUSALS_PER_MINUTE: u32 = 60;

/// Tenants whose refused requests a process counts at once: as many as one function serves within a minute.
pub const MAX_COUNTED_TENANTS: usize = 1_000;

/// How long in milliseconds the answer to a refused request waits for its row in the log. A write takes 10 ms.
pub const REFUSAL_WRITE_MS: u64 = 500;

/// Longest detail of a refused request in the log, in bytes: the row takes one write unit.
pub const MAX_REFUSAL_DETAIL_BYTES: usize = 400;

/// Longest target of a refused request in the log, in bytes: ids have 36, and so much of an attribute's path is seen.
pub const MAX_REFUSAL_TARGET_BYTES: usize = 128;

/// Entries on a page of the log when the operator names no `limit`.
pub const DEFAULT_LOG_ENTRIES: usize = 100;

/// Most entries on a page of the log.
pub const MAX_LOG_ENTRIES: usize = 1_000;

/// Most rows that one request to the log reads: a filter that matches few of them ends its page short, with a cursor.
pub const MAX_LOG_ROWS: usize = 5_000;

/// How much further in hours than `until` the log looks for earlier changes: the worker may have written them late.
pub const LOG_LATE_HOURS: i64 = 24;

/// Rows of a lane on one page of its hash chain.
pub const MAX_CHAIN_ROWS: usize = 500;

/// Per cent of a tenant's users that may lose access within a window by default: the default of Okta's import
/// safeguard.
pub const DEFAULT_PROTECTED_PERCENT: u8 = 20;

/// Users that may lose access within a window by default, however few the tenant has. In a small tenant a fifth is the
/// usual work of a day.
pub const DEFAULT_PROTECTED_USERS: u32 = 25;

/// Length of the window of the protection by default, in minutes: Entra ID runs a cycle every 40 minutes.
pub const DEFAULT_PROTECTION_MINUTES: u32 = 60;

/// Longest window of the protection, in minutes: a day. Beyond that an operator decides.
pub const MAX_PROTECTION_MINUTES: u32 = 1_440;

/// Members that may be removed from one group within a window, however few it has.
pub const PROTECTED_MEMBERS: u32 = 50;

/// Per cent of a group's members that may be removed from it within a window.
pub const PROTECTED_MEMBERS_PERCENT: u8 = 50;

/// Most members that are counted for the bound of a group. Of more, Rollcall estimates the number from how close together
/// the first ids are: within 5 per cent in two of three groups, and for 13 read units whatever the size.
pub const MAX_COUNTED_MEMBERS: u16 = 500;

/// Most windows that one decision of an operator concerns: each is two of the 100 actions of a transaction.
pub const MAX_DECIDED_WINDOWS: usize = 48;

/// How long in seconds a service other than DynamoDB may take to answer a call. They answer in tens of milliseconds,
/// and the worker serves other tenants, too.
pub const SERVICE_ANSWER_SECONDS: u64 = 5;

/// Longest answer of such a service: a batch of change records that Lambda stored in S3 has up to 6 MB, escaped.
pub const MAX_SERVICE_ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// How long in seconds one of several `rollcall serve` on one endpoint may follow its streams without renewing its
/// lease. It renews the lease three times in that time. Then another one replaces a process that died.
pub const FOLLOWER_LEASE_SECONDS: i64 = 5;

/// How often in seconds the local follower looks for new shards of a stream: DynamoDB splits one every four hours.
pub const SHARD_REFRESH_SECONDS: u64 = 10;

/// How often in seconds `rollcall serve` deletes what has expired, where the engine does not: DynamoDB takes up to some
/// days, and no reader gets an expired event meanwhile.
pub const LOCAL_EXPIRY_SECONDS: u64 = 60 * 60;

/// How many days before the end of a key Rollcall sends a notice: a month to plan, a week to replace the key, and a
/// last reminder.
pub const KEY_NOTICE_DAYS: [i64; 3] = [KEY_EXPIRY_WARNING_DAYS, 7, 1];

/// After how many days without a request a tenant is silent by default. Identity providers send requests every 20 to 40
/// minutes, also without changes. A weekend must not matter.
pub const SILENT_TENANT_DAYS: u32 = 3;

/// Most days without a request until a tenant is silent that an operator may set. Revoke a key that nobody has used for
/// a quarter of a year.
pub const MAX_SILENT_DAYS: u32 = 90;

/// Refused requests within an hour that do not yet count as failing, by default. An identity provider tries a user that
/// it cannot provision once or twice an hour. More requests concern more than a few users.
pub const DEFAULT_FAILING_REQUESTS: u32 = 20;

/// Most refused requests within an hour that an operator may call no failure: Rollcall reads their rows to count them, 600
/// bytes each.
pub const MAX_FAILING_REQUESTS: u32 = 10_000;

/// Most mail addresses of a tenant that get its notices: each notice is a mail to each. A mailing list has room for more.
pub const MAX_NOTIFY_ADDRESSES: usize = 10;

/// Longest mail address (RFC 5321, as erratum 1690 has it).
pub const MAX_MAIL_ADDRESS_BYTES: usize = 254;

/// How long in seconds a run of the worker has a notice for itself while it sends it. Ten mails and a topic at five
/// seconds each take less.
pub const NOTICE_CLAIM_SECONDS: i64 = 120;

/// How long in seconds one run of the worker sends notices: the next run, a minute later, goes on.
pub const NOTICE_RUN_SECONDS: u64 = 25;

/// The longest time in seconds until the worker sends a refused notice again. The wait equals the age of the notice, up
/// to this.
pub const MAX_NOTICE_RETRY_SECONDS: i64 = 60 * 60;

/// How long in hours the worker sends a refused notice again: a weekend to correct a mail address. The feed has the
/// notice anyway.
pub const NOTICE_HOURS: i64 = 72;

/// How often in seconds `rollcall serve` looks for what needs a notice. In the cloud the worker looks for failing
/// tenants once an hour, and for the others once a day.
pub const LOCAL_NOTICE_SECONDS: u64 = 60 * 60;

/// Most items of one `BatchWriteItem` call: DynamoDB's limit.
pub const MAX_BATCH_WRITE_ITEMS: usize = 25;

/// Most entries of one `PutEvents` call: EventBridge's limit.
pub const MAX_BUS_ENTRIES: usize = 10;

/// Most bytes of one `PutEvents` call. EventBridge takes 1 MB since 2026, and took 256 KB before: rules, archives and
/// targets of a bus may still have the smaller bound. A longer event leaves out its old values, then its new ones.
pub const MAX_BUS_BYTES: usize = 256 * 1024;

/// Attempts to put an entry on the bus within one batch of the worker: with pauses that double from 100 ms, 3 seconds.
/// The worker puts the rest with the next batch of the tenant, or with the daily run.
pub const MAX_BUS_ATTEMPTS: u32 = 6;

/// How often in seconds the worker records that it runs. A stream keeps records for 24 hours, so an hour is precise
/// enough to know whether some are gone.
pub const PRESENCE_SECONDS: i64 = 60 * 60;

/// How long in seconds a stream of DynamoDB keeps its records.
pub const STREAM_SECONDS: i64 = 24 * 60 * 60;

/// Age in seconds of a record that a running worker would have read earlier: Lambda delivers records within seconds.
pub const LATE_RECORD_SECONDS: i64 = 60 * 60;

/// Requests a second of a tenant on Lambda, unless the deployment or the tenant says otherwise: twice what Entra ID's
/// gallery asks for.
pub const DEFAULT_REQUESTS_PER_SECOND: u32 = 50;

/// Requests of a tenant at once beyond that rate: four seconds of it, which a first synchronisation needs.
pub const DEFAULT_BURST_REQUESTS: u32 = 200;

/// Highest rate that a tenant can have: more than one partition of DynamoDB takes.
pub const MAX_REQUESTS_PER_SECOND: u32 = 10_000;

/// Largest burst, in seconds of the rate: a larger one would be another rate.
pub const MAX_BURST_SECONDS: u32 = 20;

/// Longest `Retry-After` of a tenant's rate, in seconds. Rollcall answers a client that has waited so long.
pub const MAX_RATE_WAIT_SECONDS: u32 = 30;

/// How far a bucket may be overdrawn, in seconds of its rate: for example by a Bulk, whose operations count one by one.
pub const RATE_DEBT_SECONDS: u32 = 10;

/// Most requests that a Lambda process counts by itself before it writes the count to the key's record. So many
/// requests cost one write unit, and the other processes do not know of them. For a small burst it is an eighth. For a
/// bucket that is half empty the process writes nearly each one.
pub const MAX_UNRECORDED_REQUESTS: u32 = 25;

/// Age in seconds at which a Lambda process forgets requests that it has counted by itself: the bucket has filled since.
pub const UNRECORDED_REQUEST_SECONDS: i64 = 60;

/// How long in seconds after its last request a tenant keeps its share of `rollcall serve`. A tenant that sends alone
/// has all of it.
pub const SERVE_SHARE_SECONDS: u64 = 10;

/// Milliseconds between two writes of a tenant of `rollcall serve` while other tenants send. Each write makes the writes
/// of the others wait longer for the disk; 50 a second is the fair share of the template.
pub const WRITE_PAUSE_MS: u64 = 20;

/// How long in milliseconds a write waits for that at most: a client of a tenant with hundreds of requests at once does
/// not give up, and strangers who use a tenant's address delay its writes no longer.
pub const MAX_WRITE_PAUSE_MS: u64 = 2000;

/// How late in seconds the feed of `rollcall serve` may be before the server slows writers down. Beyond it, each write
/// waits for as long as the feed is too late.
pub const FEED_LAG_SECONDS: u64 = 3;

/// Longest wait in seconds of one write for the feed of `rollcall serve`: far below the patience of any client, and long
/// enough for the feed to catch up with sixteen clients that write large groups.
pub const MAX_FEED_PAUSE_SECONDS: u64 = 2;

/// Large changes of members that `rollcall serve` carries out after their answer at the same time. Of any more, the
/// clients wait until they are carried out.
pub const MAX_BACKGROUND_BATCHES: usize = 2;

/// How long in milliseconds `rollcall serve` keeps the answer to a client that is too fast: far less than any `Retry-After`,
/// and long enough that 32 clients who do not read it leave the processors to the other tenants.
pub const REFUSAL_PAUSE_MS: u64 = 250;

/// Most tenants on one screen of the page for operators: Rollcall reads the load of each by four round trips.
pub const MAX_PAGE_TENANTS: usize = 50;

/// Requests a second, and at once, of each route of the admin API. Operators and pipelines need few, and a stranger who
/// tries keys gets no more. Each route has its own.
pub const ADMIN_REQUESTS_PER_SECOND: u32 = 20;

/// Requests a second, and at once, of the token endpoint: a client needs one token an hour.
pub const TOKEN_REQUESTS_PER_SECOND: u32 = 20;

/// How long in minutes an approval lasts at least, if the window ends before: Entra ID comes back with its next cycle, 40
/// minutes later or more.
pub const APPROVAL_MINUTES: i64 = 120;

/// How long in seconds a difference between the counts and the users must last: the worker counts within a second or two.
pub const COUNT_RECHECK_SECONDS: u64 = 3;

/// How often in seconds the worker compares the counts of all users with the users: 100 bytes a user are 0.31 $ a day for
/// 100 million.
pub const COUNT_INTERVAL_SECONDS: u64 = 24 * 60 * 60;

/// How long in seconds after it created or deleted a user a process counts that tenant's users itself: the worker counts
/// in a second or two.
pub const COUNT_LAG_SECONDS: u64 = 10;

/// Size of a tenant's item collection in gigabytes from which Rollcall reports it as large: DynamoDB allows 10, so that a
/// fifth is left to act.
pub const LARGE_TENANT_GIGABYTES: f64 = 8.0;

/// How often in seconds a process names a large tenant in the log: not with each of its writes.
pub const LARGE_TENANT_REPORT_SECONDS: u64 = 60;

/// Users that one request of an examination looks at: with 20 groups each, some 4,000 rows, a second or two.
pub const MAX_VERIFIED_USERS: usize = 200;

/// Groups that one request of an examination looks at.
pub const MAX_VERIFIED_GROUPS: usize = 100;

/// Rows of table `links` that one request of an examination reads, of whatever tenant.
pub const MAX_VERIFIED_ROWS: usize = 2_000;

/// Keys of users that one request of an examination compares: a page of the index of ids.
pub const MAX_VERIFIED_KEYS: usize = 5_000;

/// Attempts to read an item and its row at one instant before an examination skips the pair. Many writers change such a
/// pair, and each write keeps the rules.
pub const MAX_VERIFY_ATTEMPTS: usize = 8;

/// Users, groups or memberships on a page of an export: users of 2 KB are 1 MB, which is what DynamoDB reads at once.
pub const MAX_EXPORTED_RESOURCES: usize = 500;

/// Most records of one request of an import. Its bytes are bounded as every body's are.
pub const MAX_IMPORTED_RECORDS: usize = 1_000;

/// Records of an import that are written at the same time: an import leaves most of a partition's 1,000 write units a
/// second to requests.
pub const RECORDS_AT_ONCE: usize = 16;

/// How long in seconds a deleted tenant waits for its end by default: a week, to notice a mistake.
pub const TENANT_CLOSING_SECONDS: i64 = 7 * 24 * 60 * 60;

/// The longest that a deleted tenant waits for its end, in days: data that is to be deleted must not stay for a year.
pub const MAX_TENANT_CLOSING_DAYS: i64 = 90;

/// Items of a deleted tenant that the worker deletes at once. With its indexes, a user takes six write units.
pub const PURGE_ITEMS: i32 = 50;

/// How long in milliseconds the worker pauses after users or groups that it deletes. With the time of the deletion, that
/// is some 400 items a second.
pub const PURGE_PAUSE_MS: u64 = 100;

/// How long in milliseconds the worker pauses after items of tables without indexes: they take one write unit each, so
/// that some 1,000 a second are what one partition takes.
pub const PURGE_ROWS_PAUSE_MS: u64 = 25;
/// How long in seconds a link to the page works by default: a recipient may read the mail the next morning.
pub const DEFAULT_LINK_SECONDS: i64 = 24 * 60 * 60;

/// Longest that a link to the page may work, in seconds: a week of holidays. A link that somebody finds later does not
/// work.
pub const MAX_LINK_SECONDS: i64 = 7 * 24 * 60 * 60;

/// How long in seconds a link to the page works at the least: the time of a redirect from your product.
pub const MIN_LINK_SECONDS: i64 = 60;

/// Longest name of a person for whom a link is created, in bytes: an e-mail address.
pub const MAX_PERSON_BYTES: usize = 254;

/// How long in seconds a session of the page may be idle before it ends: as long as a meeting.
pub const SESSION_IDLE_SECONDS: i64 = 60 * 60;

/// How long in seconds a session of the page lasts at most: a working day.
pub const SESSION_SECONDS: i64 = 8 * 60 * 60;

/// How often in seconds Rollcall records the use of a session: the idle time-out needs no more precision than minutes.
pub const SESSION_SEEN_SECONDS: i64 = 5 * 60;

/// Longest form that the page accepts in bytes: the secret of a link and a few fields.
pub const MAX_FORM_BYTES: usize = 16 * 1024;

/// Entries of the log on a page for administrators: what a screen shows, and one read.
pub const PAGE_LOG_ENTRIES: usize = 25;

/// Most refused requests that the overview counts: beyond it the page prints a plus sign.
pub const MAX_COUNTED_REFUSALS: usize = 100;

/// Most users or groups that a lookup on the page lists.
pub const PAGE_MATCHES: usize = 10;

/// Requests a second that Entra ID's gallery asks for: the doctor of the page advises a higher rate below it.
pub const ENTRA_REQUESTS_PER_SECOND: u32 = 25;

/// How long in seconds the worker may note nothing before the page says that it is missing: once a day it has something to
/// note, and two hours are the slack.
pub const WORKER_SILENT_SECONDS: i64 = 26 * 60 * 60;

/// Longest name of a product on the page, in bytes: it stands in one line with the heading.
pub const MAX_PRODUCT_NAME_BYTES: usize = 60;

/// Longest logo of a product on the page, in bytes of its address: an image that is embedded is in every page, and the
/// environment of a Lambda function holds 4 KB.
pub const MAX_LOGO_BYTES: usize = 2_000;

/// Longest address of a product's guide, in bytes: long enough for a help centre, and with a logo within the 4 KB of a
/// function's environment.
pub const MAX_GUIDE_BYTES: usize = 500;

/// Most origins that may frame the page: they stand in a header of every answer.
pub const MAX_FRAME_ORIGINS: usize = 8;

/// People whom `rollcall demo` plays: enough to fill pages and a bound of the protection, and half a minute of requests.
pub const DEMO_PEOPLE: u32 = 500;

/// Groups that `rollcall demo` plays: those of a customer with 500 people.
pub const DEMO_GROUPS: u32 = 30;

/// Requests a second of `rollcall demo`: people can follow the bars, and 500 people take half a minute.
pub const DEMO_REQUESTS_PER_SECOND: u32 = 60;
