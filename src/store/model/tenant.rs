//! A tenant's record and its copies in table `keys`.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use crate::store::StoreError;
use crate::store::dynamo::item::{Item, instant, missing_attribute, n, optional_number, optional_text, s, text};
use crate::tenant::{NoticeSettings, NotifyList, Protection, Settings, TenantConfig, TenantName};

/// The sort key of a tenant's own record. What is no key begins with a full stop, which no key's id does.
pub(in crate::store) const TENANT_RECORD: &str = ".";

/// With it begins the sort key of a profile's text; the digest follows.
pub(in crate::store) const PROFILE: &str = ".profile-";

/// A tenant, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRecord {
    /// The name.
    pub name: TenantName,
    /// When it was created.
    pub created: Timestamp,
    /// Its profile and settings.
    pub config: TenantConfig,
    /// Who hears of its notices.
    pub notices: NoticeSettings,
}

pub(in crate::store) fn credential_key(tenant: &TenantName, sort: &str) -> Item {
    Item::from([("tenant".to_owned(), s(tenant.as_str())), ("keyId".to_owned(), s(sort))])
}

pub(in crate::store) fn tenant_name(item: &Item) -> Result<TenantName, StoreError> {
    text(item, "tenant")?.parse().map_err(|_| missing_attribute("tenant"))
}

/// Writes a config to a record, be it the tenant's or a key's.
pub(in crate::store) fn write_config(item: &mut Item, config: &TenantConfig) {
    item.insert("profile".into(), s(config.profile.to_string()));
    item.insert("settings".into(), all_settings(config.settings));
    item.insert("ver".into(), n(config.version));
}

/// The settings as they stand in records.
fn all_settings(of: Settings) -> AttributeValue {
    let Protection { mode, users, window } = of.protection;
    let protection =
        [("protect", mode.to_string()), ("protectUsers", users.to_string()), ("protectWindow", window.to_string())];
    let mut fields = application_settings(of);
    fields.extend(protection.map(|(name, value)| (name.to_owned(), s(value))));
    fields.insert("rate".to_owned(), s(of.rate.to_string()));
    AttributeValue::M(fields)
}

/// The settings of the application as they stand in each user's item, for who follows the changes.
pub(in crate::store) fn settings(settings: Settings) -> AttributeValue {
    AttributeValue::M(application_settings(settings))
}

fn application_settings(settings: Settings) -> Item {
    let fields = [
        ("inviteAutomatically", AttributeValue::Bool(settings.invite_automatically)),
        ("onDeactivation", s(settings.on_deactivation.as_str())),
    ];
    fields.map(|(name, value)| (name.to_owned(), value)).into()
}

/// Reads what [`write_config`] wrote; the default where nothing was written.
pub(in crate::store) fn read_config(item: &Item) -> TenantConfig {
    let profile = optional_text(item, "profile").and_then(|text| text.parse().ok()).unwrap_or_default();
    let fields = item.get("settings").and_then(|value| value.as_m().ok());
    let invite = fields.and_then(|fields| fields.get("inviteAutomatically")?.as_bool().ok());
    let on_deactivation = fields.and_then(|fields| optional_text(fields, "onDeactivation")?.parse().ok());
    TenantConfig {
        profile,
        settings: Settings {
            invite_automatically: invite.copied().unwrap_or_default(),
            on_deactivation: on_deactivation.unwrap_or_default(),
            protection: fields.map(protection).unwrap_or_default(),
            rate: fields.and_then(|fields| optional_text(fields, "rate")?.parse().ok()).unwrap_or_default(),
        },
        version: optional_number(item, "ver").unwrap_or(0),
    }
}

fn protection(fields: &Item) -> Protection {
    let read = |name: &str| optional_text(fields, name);
    Protection {
        mode: read("protect").and_then(|text| text.parse().ok()).unwrap_or_default(),
        users: read("protectUsers").and_then(|text| text.parse().ok()).unwrap_or_default(),
        window: read("protectWindow").and_then(|text| text.parse().ok()).unwrap_or_default(),
    }
}

pub(in crate::store) fn tenant_record(item: &Item) -> Result<TenantRecord, StoreError> {
    let (created, config, notices) = (instant(item, "created")?, read_config(item), read_notices(item));
    Ok(TenantRecord { name: tenant_name(item)?, created, config, notices })
}

/// Who hears of a tenant's notices, as it stands in the tenant's own record.
pub(in crate::store) fn notice_settings(of: &NoticeSettings) -> AttributeValue {
    let addresses = of.notify.texts().into_iter().map(s).collect();
    let fields = [
        ("notify", AttributeValue::L(addresses)),
        ("silentAfter", s(of.silent_after.to_string())),
        ("failingAbove", s(of.failing_above.to_string())),
    ];
    AttributeValue::M(fields.map(|(name, value)| (name.to_owned(), value)).into())
}

/// Reads what [`notice_settings`] wrote; the default where nothing was written.
fn read_notices(item: &Item) -> NoticeSettings {
    let Some(Ok(fields)) = item.get("notices").map(AttributeValue::as_m) else { return NoticeSettings::default() };
    let addresses = fields.get("notify").and_then(|value| value.as_l().ok()).map(Vec::as_slice).unwrap_or_default();
    let addresses = addresses.iter().filter_map(|value| value.as_s().ok()).map(String::as_str);
    let read = |name: &str| optional_text(fields, name);
    NoticeSettings {
        notify: NotifyList::parse(addresses).unwrap_or_default(),
        silent_after: read("silentAfter").and_then(|text| text.parse().ok()).unwrap_or_default(),
        failing_above: read("failingAbove").and_then(|text| text.parse().ok()).unwrap_or_default(),
    }
}
