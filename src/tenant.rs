//! What a tenant is: its name, its profile, the credentials that its clients may use, its settings. Data and rules
//! alone; who may act for a tenant is decided in [`auth`](crate::auth).

pub mod config;
pub mod credential_type;
pub mod name;
pub mod notices;
pub mod profile;
pub mod protection;
pub mod rate;

pub use config::{OnDeactivation, Settings, TenantConfig};
pub use credential_type::CredentialType;
pub use name::{BadTenantName, OPERATOR_TENANT, TenantName};
pub use notices::{FailingAbove, MailAddress, NoticeSettings, NotifyList, SilentAfter};
pub use profile::{BadProfile, Profile, ProfileRef};
pub use protection::{Protection, ProtectionMode, ProtectionWindow, UserBound};
pub use rate::{RateLimit, RateState, TenantRate};
