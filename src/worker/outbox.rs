//! Sends what is in the outbox: each notice to the topic of the deployment, and as a mail to each address of its tenant.
//! Who refuses gets it later, and stops nobody else.

use jiff::Timestamp;
use tokio::time::{Duration, Instant, timeout_at};

use super::Channels;
use crate::app::Clock;
use crate::limits::NOTICE_RUN_SECONDS;
use crate::store::model::outbox::{HoldWatch, OutboxRow, PendingNotice};
use crate::store::{Store, StoreError};

/// As who the topic is among those who have a notice: no mail address.
const TOPIC: &str = "topic";

/// Reports on windows of protection, and sends what is to be sent. What this run does not do, the next one does.
pub(super) async fn deliver(store: &Store, clock: &Clock, channels: &Channels) {
    let end = Instant::now() + Duration::from_secs(NOTICE_RUN_SECONDS);
    let rows = match store.outbox(clock.now()).await {
        Ok(rows) => rows,
        Err(error) => return tracing::error!(%error, "notices are not sent"),
    };
    let (mut notices, mut has_reported) = (Vec::new(), false);
    for row in rows {
        match row {
            OutboxRow::Notice(notice) => notices.push(notice),
            OutboxRow::Watch(watch) => {
                has_reported = true;
                if let Err(error) = report(store, &watch, clock.now()).await {
                    tracing::error!(%error, tenant = watch.tenant.as_str(), "nobody hears of a hold");
                }
            }
        }
    }
    // What was reported just now is in the outbox since.
    if has_reported {
        match store.outbox(clock.now()).await {
            Ok(rows) => notices = rows.into_iter().filter_map(OutboxRow::into_notice).collect(),
            Err(error) => tracing::error!(%error, "notices are not sent"),
        }
    }
    for notice in notices {
        match timeout_at(end, send(store, channels, &notice, clock.now())).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, tenant = notice.tenant.as_str(), "a notice is not sent"),
            // It is claimed for a while; then another run goes on with who has not got it.
            Err(_) => return,
        }
    }
}

/// Writes what the feed is to have of a window.
async fn report(store: &Store, watch: &HoldWatch, now: Timestamp) -> Result<(), StoreError> {
    for notice in watch.notices(now) {
        store.write_notice(&watch.tenant, &notice, now).await?;
    }
    store.go_on_with_watch(watch, now).await
}

/// Sends a notice to who has not got it.
async fn send(store: &Store, channels: &Channels, notice: &PendingNotice, now: Timestamp) -> Result<(), StoreError> {
    if !store.claim_notice(notice, now).await? {
        return Ok(());
    }
    let has_all = send_to_topic(store, channels, notice).await? & send_mails(store, channels, notice).await?;
    if has_all {
        return store.complete_notice(notice).await;
    }
    if notice.is_given_up(now) {
        tracing::error!(tenant = notice.tenant.as_str(), kind = notice.kind, "a notice is not sent any more");
        return store.complete_notice(notice).await;
    }
    store.postpone_notice(notice, now).await
}

/// Whether the topic has it, if there is one.
async fn send_to_topic(store: &Store, channels: &Channels, notice: &PendingNotice) -> Result<bool, StoreError> {
    let Some(topic) = channels.topic.as_ref().filter(|_| !notice.sent.contains(TOPIC)) else { return Ok(true) };
    match topic.publish(&notice.kind, notice.tenant.as_str(), &notice.sentence).await {
        Ok(()) => store.mark_notice_sent(notice, TOPIC).await.map(|()| true),
        Err(error) => {
            tracing::error!(error, kind = notice.kind, "a notice is not on the topic");
            Ok(false)
        }
    }
}

/// Whether each address of the tenant has it. Without a sender, the line in the log is all; no line names an address.
async fn send_mails(store: &Store, channels: &Channels, notice: &PendingNotice) -> Result<bool, StoreError> {
    let (tenant, kind, sentence) = (notice.tenant.as_str(), notice.kind.as_str(), notice.sentence.as_str());
    let record = store.tenant(&notice.tenant).await?;
    let notify = record.map(|tenant| tenant.notices.notify).unwrap_or_default();
    let Some(mailer) = &channels.mailer else {
        tracing::warn!(kind, tenant, recipients = notify.addresses().len(), "{sentence}");
        return Ok(true);
    };
    let (subject, mut has_all) = (format!("Rollcall: {kind} of {tenant}"), true);
    let text = format!(
        "{sentence}\n\nYou get this mail because your address is in the list of the tenant {tenant}. An operator of \
         Rollcall changes that list by rollcall tenant set {tenant} --notify ADDRESSES.\n"
    );
    for address in notify.addresses().iter().filter(|address| !notice.sent.contains(address.as_str())) {
        match mailer.send(address, &subject, &text).await {
            Ok(()) => store.mark_notice_sent(notice, address.as_str()).await?,
            Err(error) => {
                // What SES says may name the address.
                tracing::error!(kind, tenant, status = error.status(), "a mail is not sent");
                has_all = false;
            }
        }
    }
    Ok(has_all)
}
