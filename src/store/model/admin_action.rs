//! What operators have done to a tenant, as rows of table `changes`: who, what, and how it was before and after. Each is
//! written in the transaction of what it records.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::auth::{KeyId, KeyRecord, PageAccess};
use crate::scim::resource::date_time;
use crate::tenant::{NoticeSettings, TenantConfig};

/// Who changes a tenant, in which request and when.
#[derive(Debug, Clone)]
pub struct AdminAuthor {
    /// The key; none for who holds the tables themselves.
    pub key: Option<KeyId>,
    /// The request's id; none for what no request does.
    pub request: Option<String>,
    /// When.
    pub at: Timestamp,
    /// What the session may do, for who uses the page: the key is the session then.
    pub page: Option<PageAccess>,
}

impl From<Timestamp> for AdminAuthor {
    /// Who holds the tables themselves, at that time.
    fn from(at: Timestamp) -> Self {
        Self { key: None, request: None, at, page: None }
    }
}

/// Writes [`AdminActionType`] and its table: variant, name, type of the resource, meaning.
macro_rules! admin_action_types {
    ($($variant:ident $name:literal $resource:literal $meaning:literal;)*) => {
        /// What an operator has done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum AdminActionType {
            $(#[doc = $meaning] $variant,)*
        }

        impl AdminActionType {
            /// Every type.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in the log.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The resource that it changed.
            pub fn resource_type(self) -> &'static str {
                match self { $(Self::$variant => $resource),* }
            }

            /// What it means.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),* }
            }
        }
    };
}

admin_action_types! {
    TenantCreated "tenant.created" "Tenant" "A tenant was created.";
    TenantChanged "tenant.changed" "Tenant" "The profile or the settings of a tenant changed.";
    TenantClosed "tenant.closed" "Tenant" "An operator decided that a tenant ends. Its keys are refused from then on.";
    TenantReopened "tenant.reopened" "Tenant" "An operator decided that a tenant does not end. Its keys work again.";
    HoldApproved "hold.approved" "Tenant" "An operator lifted the bound of protection until the window ends.";
    HoldRejected "hold.rejected" "Tenant" "An operator confirmed that Rollcall holds the requests that remove access until the window ends.";
    HoldOnce "hold.once" "Tenant" "An operator let a number more through.";
    RestoreRun "restore.run" "Tenant" "An operator had Rollcall undo changes. The changes that undo them have `how` `restore`, and a request id that begins like this one's.";
    KeyCreated "key.created" "Key" "A key was created.";
    KeyRotated "key.rotated" "Key" "A key got a successor, and an end. The creation of the successor is an entry of its own.";
    KeyRevoked "key.revoked" "Key" "A key was revoked.";
    LinkCreated "link.created" "Link" "A link to the page was created.";
    LinkRevoked "link.revoked" "Link" "A link to the page was revoked before anybody used it.";
    SessionBegun "session.begun" "Session" "Somebody signed in to the page with a link.";
    SessionEnded "session.ended" "Session" "Somebody signed out of the page.";
    AutomationUserCreated "automation-user.created" "AutomationUser" "An automation user was created.";
    AutomationUserActivated "automation-user.activated" "AutomationUser" "An automation user was activated, and with it the keys that waited for it.";
}

/// What an operator has done, to what.
#[derive(Debug, Clone)]
pub(in crate::store) struct AdminAction<'a> {
    pub(in crate::store) kind: AdminActionType,
    /// The name or id of what was changed.
    pub(in crate::store) id: &'a str,
    /// Null for what was not there.
    pub(in crate::store) before: Value,
    pub(in crate::store) after: Value,
}

impl AdminAction<'_> {
    /// The entry of the log.
    pub(in crate::store) fn entry(&self, id: &str, by: &AdminAuthor) -> Value {
        let actor = match (&by.key, &by.page) {
            (Some(session), Some(PageAccess { person: Some(person), .. })) => {
                json!({"key": session.as_str(), "client": "page", "person": person})
            }
            (Some(session), Some(_)) => json!({"key": session.as_str(), "client": "page"}),
            (Some(key), None) => json!({"key": key.as_str()}),
            (None, _) => json!({"client": "command-line"}),
        };
        let there = |value: &Value| (!value.is_null()).then(|| value.clone());
        let fields = [
            ("id", Some(json!(id))),
            ("type", Some(json!(self.kind.as_str()))),
            ("timestamp", Some(json!(date_time(by.at)))),
            ("request", by.request.as_ref().map(|request| json!(request))),
            ("actor", Some(actor)),
            ("resource", Some(json!({"type": self.kind.resource_type(), "id": self.id}))),
            ("before", there(&self.before)),
            ("after", there(&self.after)),
        ];
        let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(fields.collect::<Map<_, _>>())
    }
}

/// A tenant's profile and settings.
pub(in crate::store) fn config_fields(config: &TenantConfig) -> Value {
    let mut fields = json!({
        "profile": config.profile.to_string(),
        "inviteAutomatically": config.settings.invite_automatically,
        "onDeactivation": config.settings.on_deactivation.as_str(),
        "protect": config.settings.protection.mode.as_str(),
        "protectUsers": config.settings.protection.users.to_string(),
        "protectWindow": config.settings.protection.window.to_string(),
        "rate": config.settings.rate.to_string(),
    });
    if let (Some(fields), Some(closes)) = (fields.as_object_mut(), config.closes) {
        fields.insert("closes".to_owned(), json!(date_time(closes)));
    }
    fields
}

/// A tenant's profile and settings, with who hears of its notices.
pub(in crate::store) fn tenant_fields(config: &TenantConfig, notices: &NoticeSettings) -> Value {
    let mut fields = config_fields(config);
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("notify".to_owned(), json!(notices.notify.texts()));
        fields.insert("silentAfter".to_owned(), json!(notices.silent_after.to_string()));
        fields.insert("failingAbove".to_owned(), json!(notices.failing_above.to_string()));
    }
    fields
}

/// What is no secret of a key.
pub(in crate::store) fn key_fields(record: &KeyRecord) -> Value {
    let scopes: Vec<_> = record.scopes.iter().map(|scope| scope.as_str()).collect();
    let fields = [
        ("type", Some(json!(record.credential.type_name()))),
        ("description", Some(json!(record.description))),
        ("scopes", Some(json!(scopes))),
        ("automation", record.automation.as_ref().map(|name| json!(name))),
        ("notBefore", record.not_before.map(|at| json!(date_time(at)))),
        ("expires", record.expires.map(|at| json!(date_time(at)))),
    ];
    let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(fields.collect::<Map<_, _>>())
}
