//! What somebody should look at: looked for once a day, of failing tenants once an hour, and written once, in the feed and
//! into the outbox. A tenant that cannot be read stops no other.

use jiff::{SignedDuration, Timestamp};

use crate::app::Clock;
use crate::auth::record::{KeyRecord, State};
use crate::limits::KEY_NOTICE_DAYS;
use crate::store::model::notice::{FailureReport, Notice};
use crate::store::model::tenant::TenantRecord;
use crate::store::{Store, StoreError};
use crate::tenant::{OPERATOR_TENANT, SilentAfter};

/// How far back it looks for refused requests: as often as it looks.
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Looks through the keys of every tenant.
///
/// # Errors
/// A `StoreError` where the tenants cannot be read. The next run examines what is left.
pub(super) async fn look(store: &Store, clock: &Clock) -> Result<(), StoreError> {
    for tenant in store.tenants().await? {
        if let Err(error) = look_at_keys(store, &tenant, clock.now()).await {
            tracing::error!(%error, tenant = tenant.name.as_str(), "notices of a tenant are not written");
        }
    }
    Ok(())
}

async fn look_at_keys(store: &Store, tenant: &TenantRecord, now: Timestamp) -> Result<(), StoreError> {
    let keys = store.keys(&tenant.name).await?;
    let silent = silence(&keys, tenant.notices.silent_after, now).filter(|_| is_of_customer(tenant));
    for notice in keys.iter().filter_map(|key| expiry(key, now)).chain(silent) {
        store.write_notice(&tenant.name, &notice, now).await?;
    }
    Ok(())
}

/// Looks for tenants of which more requests were refused within the last hour than they may.
///
/// # Errors
/// As [`look`].
pub(super) async fn look_for_failures(store: &Store, clock: &Clock) -> Result<(), StoreError> {
    for tenant in store.tenants().await?.iter().filter(|tenant| is_of_customer(tenant)) {
        let Some(bound) = tenant.notices.failing_above.0 else { continue };
        if let Err(error) = look_at_failures(store, tenant, bound, clock.now()).await {
            tracing::error!(%error, tenant = tenant.name.as_str(), "notices of a tenant are not written");
        }
    }
    Ok(())
}

async fn look_at_failures(store: &Store, tenant: &TenantRecord, bound: u32, now: Timestamp) -> Result<(), StoreError> {
    let since = now - HOUR;
    let failures = store.failures(&tenant.name, (since, now), bound).await?;
    if failures.count > u64::from(bound) {
        let (count, codes) = (failures.count, failures.codes);
        let notice = Notice::TenantFailing(FailureReport { since, until: now, count, bound, codes });
        store.write_notice(&tenant.name, &notice, now).await?;
    }
    Ok(())
}

/// The operators' own tenant provisions nobody.
fn is_of_customer(tenant: &TenantRecord) -> bool {
    tenant.name.as_str() != OPERATOR_TENANT
}

/// A key that works, and ends soon. One that was rotated is being replaced already.
fn expiry(key: &KeyRecord, now: Timestamp) -> Option<Notice> {
    if key.state(now) != State::Expiring || key.retires.is_some() {
        return None;
    }
    let expires = key.expires?;
    let is_near = |days: &i64| expires.duration_since(now) <= SignedDuration::from_hours(24 * days);
    let days = KEY_NOTICE_DAYS.into_iter().filter(is_near).min()?;
    let (id, description) = (key.id.as_str().to_owned(), key.description.clone());
    Some(Notice::KeyExpiring { key: id, description, expires, days })
}

/// Since when no key was used, if that is long, and one was used before.
fn silence(keys: &[KeyRecord], after: SilentAfter, now: Timestamp) -> Option<Notice> {
    let works = |key: &&KeyRecord| matches!(key.state(now), State::Live | State::Expiring);
    let since = keys.iter().filter(works).filter_map(|key| key.used).max()?;
    let is_long = now.duration_since(since) > SignedDuration::from_hours(24 * i64::from(after.0?));
    is_long.then_some(Notice::TenantSilent { since })
}
