//! Who is calling.

pub mod credential;
pub mod denial;
pub mod issuer;
pub mod jwt;
pub mod key;
pub mod page;
pub mod principal;
pub mod record;
pub mod scope;
pub mod seal;
pub mod token;

pub use credential::{PresentedCredential, StoredCredential};
pub use denial::{Denial, Rejection};
pub use issuer::Issuers;
pub use key::{ApiKey, KeyId};
pub use page::{LinkRecord, PageAccess, PageRole, PageSecret, PageSecretKind, SessionRecord};
pub use principal::{Principal, Tenant};
pub use record::{Credential, FederatedIssuer, KeyRecord, TrustedSubject};
pub use scope::Scope;
pub use seal::SealKey;
pub use token::{AccessToken, TokenRecord};
