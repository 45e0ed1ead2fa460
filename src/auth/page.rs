//! Who uses the page: a link that signs in once, the session that it begins, and what a role may do.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::key::{KeyId, KeySecret};
use crate::limits::SESSION_IDLE_SECONDS;
use crate::tenant::TenantName;

/// What somebody may do on the page. Each role may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PageRole {
    /// Read everything.
    View,
    /// Connect an identity provider: keys and automation users.
    Setup,
    /// Change settings, and decide what the protection holds.
    Operate,
}

impl PageRole {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::View, Self::Setup, Self::Operate];

    /// The name in records and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Setup => "setup",
            Self::Operate => "operate",
        }
    }

    /// The role that a route of the admin API takes.
    fn needed(is_read: bool, route: &str) -> Self {
        match route {
            _ if is_read => Self::View,
            "admin.keys.create" | "admin.keys.rotate" | "admin.keys.revoke" | "admin.automation.put" => Self::Setup,
            _ => Self::Operate,
        }
    }
}

impl fmt::Display for PageRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PageRole {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| format!("{text} is not a role; use view, setup or operate"))
    }
}

/// What a session may do, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageAccess {
    /// What it may do.
    pub role: PageRole,
    /// Whether it may list and create tenants, read their load, and create links to them.
    pub is_operator: bool,
    /// Who uses it, in the words of whoever created the link.
    pub person: Option<String>,
}

impl PageAccess {
    /// Whether a session of a tenant may use a route on a tenant; an empty name stands for all of them.
    pub fn may(&self, tenants: (&str, &str), is_read: bool, route: &str) -> bool {
        let (own, named) = tenants;
        let is_operators = named.is_empty() || ["admin.links.create", "admin.tenants.get"].contains(&route);
        let is_in_reach = named == own || (self.is_operator && is_operators);
        is_in_reach && self.role >= PageRole::needed(is_read, route)
    }
}

/// What a secret of the page is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageSecretKind {
    /// It is in a link, and signs in once.
    Link,
    /// It is in a cookie, and works until the session ends.
    Session,
}

impl PageSecretKind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Link => "link_",
            Self::Session => "session_",
        }
    }
}

/// The secret of a link or of a session, `link_<id>_<secret><check>`. `Debug` prints no secret.
pub struct PageSecret {
    kind: PageSecretKind,
    id: KeyId,
    secret: KeySecret,
}

impl fmt::Debug for PageSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageSecret").field("kind", &self.kind).field("id", &self.id).finish_non_exhaustive()
    }
}

impl PageSecret {
    /// Creates a new one from the system's random numbers.
    ///
    /// # Errors
    /// When the system has none.
    pub fn mint(kind: PageSecretKind) -> Result<Self, getrandom::Error> {
        Ok(Self { kind, id: KeyId::mint()?, secret: KeySecret::mint()? })
    }

    /// Reads one; `None` for anything that [`reveal`](Self::reveal) did not print.
    pub fn parse(kind: PageSecretKind, text: &str) -> Option<Self> {
        let (id, end) = text.strip_prefix(kind.prefix())?.split_once('_')?;
        Some(Self { kind, id: KeyId::parse(id)?, secret: KeySecret::parse(text, end)? })
    }

    /// The whole text.
    pub fn reveal(&self) -> String {
        self.secret.after(&format!("{}{}", self.kind.prefix(), self.id))
    }

    /// The id, which is no secret.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// What is stored of it.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret.0.as_bytes()).into()
    }

    /// Whether that is the hash of it.
    pub fn has_hash(&self, hash: &[u8; 32]) -> bool {
        self.hash().ct_eq(hash).into()
    }

    /// What each form of a session carries. Nobody derives it without the cookie.
    pub fn form_token(&self) -> String {
        hex::encode(Sha256::new().chain_update(b"rollcall form").chain_update(self.secret.0.as_bytes()).finalize())
    }

    /// Whether that is the token of its forms.
    pub fn has_form_token(&self, token: &str) -> bool {
        self.form_token().as_bytes().ct_eq(token.as_bytes()).into()
    }
}

/// What is stored of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRecord {
    /// Whose page it opens.
    pub tenant: TenantName,
    /// Which link.
    pub id: KeyId,
    /// Of its secret.
    pub hash: [u8; 32],
    /// What its session may do.
    pub access: PageAccess,
    /// When it was created.
    pub created: Timestamp,
    /// When it stops working.
    pub expires: Timestamp,
    /// When somebody signed in with it.
    pub used: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

/// What is stored of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Whose page it is on.
    pub tenant: TenantName,
    /// Which session.
    pub id: KeyId,
    /// Of the secret in its cookie.
    pub hash: [u8; 32],
    /// What it may do.
    pub access: PageAccess,
    /// When it was last used, within some minutes.
    pub seen: Timestamp,
    /// When it ends in any case.
    pub expires: Timestamp,
    /// When somebody signed out.
    pub ended: Option<Timestamp>,
}

impl LinkRecord {
    /// Whether it signs in at that time.
    pub fn works(&self, now: Timestamp) -> bool {
        self.used.is_none() && self.revoked.is_none() && now < self.expires
    }
}

impl SessionRecord {
    /// Whether it goes on at that time.
    pub fn works(&self, now: Timestamp) -> bool {
        let is_idle = now.duration_since(self.seen) >= SignedDuration::from_secs(SESSION_IDLE_SECONDS);
        self.ended.is_none() && now < self.expires && !is_idle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_back_as_what_it_is_for_alone() {
        let link = PageSecret::mint(PageSecretKind::Link).unwrap();
        let text = link.reveal();
        let read = PageSecret::parse(PageSecretKind::Link, &text).unwrap();
        assert!(read.has_hash(&link.hash()) && read.id() == link.id());
        assert!(PageSecret::parse(PageSecretKind::Session, &text).is_none());
        assert!(PageSecret::parse(PageSecretKind::Link, &text[..text.len() - 1]).is_none());
        assert!(!format!("{link:?}").contains(&link.secret.0));
        assert!(link.has_form_token(&link.form_token()) && !link.has_form_token(""));
        assert_ne!(link.form_token(), hex::encode(link.hash()));
    }

    #[test]
    fn a_session_reaches_its_own_tenant_and_an_operator_lists_all() {
        let access = |role, is_operator| PageAccess { role, is_operator, person: None };
        let may = |access: &PageAccess, named: &str, is_read, route: &str| access.may(("acme", named), is_read, route);
        let viewer = access(PageRole::View, false);
        assert!(may(&viewer, "acme", true, "admin.keys.list"));
        assert!(!may(&viewer, "globex", true, "admin.keys.list") && !may(&viewer, "", true, "admin.tenants.list"));
        assert!(!may(&viewer, "acme", false, "admin.keys.create"));
        assert!(may(&access(PageRole::Setup, false), "acme", false, "admin.keys.create"));
        for route in ["admin.tenants.patch", "admin.hold.decide", "a route to come"] {
            assert!(!may(&access(PageRole::Setup, false), "acme", false, route), "{route}");
        }
        let operator = access(PageRole::Operate, true);
        assert!(
            may(&operator, "", true, "admin.tenants.list") && may(&operator, "globex", false, "admin.links.create")
        );
        assert!(
            may(&operator, "globex", true, "admin.tenants.get") && may(&operator, "", false, "admin.tenants.create")
        );
        assert!(!may(&viewer, "globex", true, "admin.tenants.get") && !may(&viewer, "", false, "admin.tenants.create"));
        assert!(!may(&access(PageRole::View, true), "", false, "admin.tenants.create"));
        assert!(!may(&operator, "globex", false, "admin.keys.create"));
    }
}
