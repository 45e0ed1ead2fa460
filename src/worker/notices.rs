//! What somebody should look at: looked for once a day, written once, in the feed and to the topic of the deployment.

use jiff::{SignedDuration, Timestamp};

use crate::app::Clock;
use crate::app::topic::Topic;
use crate::auth::record::{KeyRecord, State};
use crate::limits::{KEY_NOTICE_DAYS, SILENT_TENANT_DAYS};
use crate::store::model::notice::Notice;
use crate::store::{Store, StoreError};
use crate::tenant::OPERATOR_TENANT;

/// Looks through the keys of every tenant; how many notices are new. A topic that refuses is logged: the feed has them.
///
/// # Errors
/// A `StoreError` when DynamoDB fails. The next run examines the tenants that are left.
pub(super) async fn look(store: &Store, clock: &Clock, topic: Option<&Topic>) -> Result<usize, StoreError> {
    let mut count = 0;
    for tenant in store.tenants().await? {
        let keys = store.keys(&tenant.name).await?;
        let is_of_customer = tenant.name.as_str() != OPERATOR_TENANT;
        let silent = silence(&keys, clock.now()).filter(|_| is_of_customer);
        for notice in keys.iter().filter_map(|key| expiry(key, clock.now())).chain(silent) {
            if !store.write_notice(&tenant.name, &notice, clock.now()).await? {
                continue;
            }
            count += 1;
            let sentence = notice.sentence(tenant.name.as_str());
            tracing::warn!(kind = notice.event_type().as_str(), "{sentence}");
            if let Some(topic) = topic
                && let Err(error) = topic.publish(notice.event_type().as_str(), tenant.name.as_str(), &sentence).await
            {
                tracing::error!(error, "a notice is not on the topic");
            }
        }
    }
    Ok(count)
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
fn silence(keys: &[KeyRecord], now: Timestamp) -> Option<Notice> {
    let works = |key: &&KeyRecord| matches!(key.state(now), State::Live | State::Expiring);
    let since = keys.iter().filter(works).filter_map(|key| key.used).max()?;
    let is_long = now.duration_since(since) > SignedDuration::from_hours(24 * SILENT_TENANT_DAYS);
    is_long.then_some(Notice::TenantSilent { since })
}
