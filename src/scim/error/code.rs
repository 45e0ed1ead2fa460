//! The stable code of each error: what the log and the reference call it.

use super::ScimType;

/// Writes [`ErrorCode`] and its table: variant, code, status, `scimType`, cause, remedy.
macro_rules! codes {
    ($($variant:ident $code:literal $status:literal $scim_type:expr, $cause:literal, $remedy:literal;)*) => {
        /// What went wrong, by a name that stays the same from release to release.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ErrorCode {
            $(#[doc = $cause] $variant,)*
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The code as the log has it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code),* }
            }

            /// The HTTP status.
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status),* }
            }

            /// The detail keyword, where an RFC defines one.
            pub fn scim_type(self) -> Option<ScimType> {
                match self { $(Self::$variant => $scim_type),* }
            }

            /// When it occurs.
            pub fn cause(self) -> &'static str {
                match self { $(Self::$variant => $cause),* }
            }

            /// What to do about it.
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy),* }
            }
        }
    };
}

use ScimType as T;

codes! {
    TrailingSlash "trailing-slash" 308 None, "The address ends with a slash.", "Follow `Location`.";
    InvalidJson "invalid-json" 400 Some(T::InvalidSyntax), "The body is not a JSON object that Rollcall accepts.", "Correct the JSON at the place that the detail names.";
    InvalidSyntax "invalid-syntax" 400 Some(T::InvalidSyntax), "The body is not the message that the operation takes.", "Send the message that the named RFC section describes.";
    InvalidValue "invalid-value" 400 Some(T::InvalidValue), "A value does not fit its attribute or parameter.", "Change the mapping or the value of the attribute that the detail names.";
    AttributeRequired "attribute-required" 400 Some(T::InvalidValue), "A required attribute is missing or empty.", "Map the attribute, or fill it in for this user.";
    TooManyValues "too-many-values" 400 Some(T::InvalidValue), "An attribute has more values than Rollcall stores.", "Send fewer values.";
    UnknownMember "unknown-member" 400 Some(T::InvalidValue), "A member is no user or group of this tenant.", "Provision the user first, then add it.";
    OwnMember "own-member" 400 Some(T::InvalidValue), "A group would be a member of itself.", "Remove the group from its own members.";
    TooManyGroups "too-many-groups" 400 Some(T::InvalidValue), "A member has reached the bound on groups.", "Remove the member from groups it does not need.";
    InvalidFilter "invalid-filter" 400 Some(T::InvalidFilter), "The filter does not parse, or compares what cannot be compared.", "Correct the filter at the place that the detail names.";
    InvalidPath "invalid-path" 400 Some(T::InvalidPath), "The path does not parse, or names no attribute.", "Correct the path, or the mapping it comes from.";
    NoTarget "no-target" 400 Some(T::NoTarget), "A path selects no value.", "Read the resource, and select a value that it has.";
    ReadOnly "read-only" 400 Some(T::Mutability), "The operation changes what only Rollcall may change, or removes what is required.", "Remove the attribute from the mapping.";
    TooMany "too-many" 400 Some(T::TooMany), "The answer would take more reading than one request may do.", "Filter by an indexed attribute, or use a cursor.";
    InvalidCursor "invalid-cursor" 400 Some(T::InvalidCursor), "The cursor is not of this key and query.", "Start again with an empty cursor.";
    ExpiredCursor "expired-cursor" 400 Some(T::ExpiredCursor), "The cursor is too old.", "Start again with an empty cursor.";
    InvalidCount "invalid-count" 400 Some(T::InvalidCount), "`count` is no number, or differs from that of the first page.", "Send the `count` of the first page, or none.";
    UrlNotEncoded "url-not-encoded" 400 None, "The URL holds a character that must be percent-encoded.", "Encode the query; with curl, use `--data-urlencode`.";
    NoHost "no-host" 400 None, "The request has no header `Host`, or several.", "Send one `Host`.";
    Unauthorized "unauthorized" 401 None, "The credentials are missing, wrong, expired, revoked or of another tenant.", "Paste the secret token of this tenant again.";
    LinkRefused "link-refused" 401 None, "A link to the page was used, has expired or was revoked.", "Create a new link: `rollcall link TENANT`.";
    ForeignForm "foreign-form" 403 None, "A form came from another site, or of another session.", "Open the page again and repeat.";
    ScopeMissing "scope-missing" 403 None, "The key lacks the scope that the route needs.", "Create a key with that scope.";
    FilterNotAllowed "filter-not-allowed" 403 None, "A discovery document was filtered.", "Leave `filter` out.";
    NotFound "not-found" 404 None, "No such resource.", "Search for the resource; it may be deleted.";
    NoEndpoint "no-endpoint" 404 None, "No such endpoint.", "Compare the Tenant URL with the one that you were given.";
    MethodNotAllowed "method-not-allowed" 405 None, "The endpoint does not take this method.", "Use one of the methods in `Allow`.";
    Taken "taken" 409 Some(T::Uniqueness), "A unique value belongs to another resource.", "Change the value, or match the existing resource by it.";
    BulkReference "bulk-reference" 409 None, "An operation refers to one that failed, or to itself.", "Correct the operation that it refers to.";
    NoHoldWindow "no-hold-window" 409 None, "No window of the tenant's protection is open.", "Look at `rollcall hold show`; nothing is held.";
    CursorGone "cursor-gone" 410 None, "Events after the cursor of the feed may be gone.", "Read the whole state, then follow the feed from `cursor=now`.";
    HistoryGone "history-gone" 410 None, "The log does not reach back to the time that was asked for.", "Ask for a time since the one that `oldest` names.";
    VersionMismatch "version-mismatch" 412 None, "`If-Match` names an older version, or `If-None-Match` the current one.", "Read the resource again.";
    BodyTooSlow "body-too-slow" 408 None, "The body did not arrive in time.", "Send the request again.";
    BodyTooLarge "body-too-large" 413 None, "The body is longer than Rollcall accepts.", "Send less in one request.";
    ResourceTooLarge "resource-too-large" 413 None, "The resource would be larger than Rollcall stores.", "Map fewer or shorter attributes.";
    TooManyOperations "too-many-operations" 413 None, "The request has more operations than Rollcall accepts.", "Send them in several requests.";
    TooManyMembers "too-many-members" 413 None, "The request changes more members than Rollcall accepts.", "Send them in several requests.";
    ContentEncoding "content-encoding" 415 None, "The body has a `Content-Encoding`.", "Send the body without one.";
    IdempotencyKeyReused "idempotency-key-reused" 422 None, "An `Idempotency-Key` came with another body before.", "Use a new key for each request.";
    IdempotentResourceGone "idempotent-resource-gone" 422 None, "What the `Idempotency-Key` created is deleted.", "Use a new key to create it again.";
    Throttled "throttled" 429 None, "DynamoDB asks to slow down.", "Send the request again after `Retry-After`.";
    RateLimited "rate-limited" 429 None, "The tenant's requests come faster than its rate.", "Send the request again after `Retry-After`; an operator changes the rate with `rollcall tenant set --rate`.";
    Held "held" 429 None, "The protection of the tenant holds requests that remove access: too many users or members lost it.", "An operator approves or rejects with `rollcall hold`; other requests go on.";
    TooManyTokens "too-many-tokens" 429 None, "An OAuth client was issued as many access tokens as it may have in an hour.", "Use a token until it expires; ask for the next one after `Retry-After`.";
    Misconfigured "misconfigured" 500 None, "A table, a permission or an item is not as Rollcall needs it.", "Look for the request's id in the log; deploy again.";
    NoAutomationUser "no-automation-user" 404 None, "`/Me` was called with a key that has no automation user.", "Create a key with `--automation NAME`.";
    HistoryBehind "history-behind" 503 None, "The history lacks a change of the last minutes.", "Send the request again after `Retry-After`.";
    NewerFormat "newer-format" 503 None, "A newer release has written the item, and an older one still answers.", "Send the request again; if it goes on, deploy the newer release.";
    Conflict "conflict" 503 None, "Other requests keep changing the same resource.", "Send the request again.";
    Unavailable "unavailable" 503 None, "A dependency did not answer.", "Send the request again.";
    TimedOut "timed-out" 503 None, "The request took too long; what it committed stays committed.", "Read the resource, or send the request again.";
    IssuerUnavailable "issuer-unavailable" 503 None, "The identity provider's signing keys could not be fetched.", "Send the request again; check the JWKS URL of the key.";
    StoreFull "store-full" 507 None, "The tenant's item collection has reached 10 GB.", "Ask the operator of the application.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_lower_case_and_explained() {
        for (index, code) in ErrorCode::ALL.iter().enumerate() {
            assert!(code.as_str().chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", code.as_str());
            assert!(code.cause().ends_with('.') && code.remedy().ends_with('.'), "{}", code.as_str());
            assert!(ErrorCode::ALL.iter().skip(index + 1).all(|other| other.as_str() != code.as_str()));
        }
    }
}
