//! Profiles: what an application is like, as data. Which attributes it uses and requires, which extensions it declares,
//! whether it takes groups, how its clients show who they are. The engine knows no application by name.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use super::filter::{Filter, eval};
use super::path::AttributePath;
use super::{Document, Schemas, ScimError};

mod form;
mod publish;
mod read;

pub use form::CredentialForm;

/// The profiles that ship, by their names.
const SHIPPED: [(&str, &str); 5] = [
    (DEFAULT, include_str!("profile/default.json")),
    ("jostle", include_str!("profile/jostle.json")),
    ("juno-journey", include_str!("profile/juno-journey.json")),
    ("mindtickle", include_str!("profile/mindtickle.json")),
    ("jive", include_str!("profile/jive.json")),
];

/// The profile of a tenant that none was chosen for.
const DEFAULT: &str = "default";

/// A profile, read and found in order.
#[derive(Debug, Clone)]
pub struct Profile {
    /// What it is called.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// How its clients may show who they are; at least one form.
    pub credentials: Vec<CredentialForm>,
    /// The schemas of a tenant with this profile: the standard ones and its own, published as it says.
    pub schemas: Schemas,
    /// The path of a tenant's base URL, with `{tenant}` for its name.
    base_url: String,
    /// What a user must have beyond the core schema, each as the test for it.
    required: Vec<Filter>,
}

/// Where and why a profile is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct BadProfile {
    /// Line and column, or the place in the JSON, such as `schemas[0].attributes[2].type`.
    pub place: String,
    /// Which rule it breaks.
    pub reason: String,
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// The first place that is not in order, and the rule.
    pub fn parse(text: &str) -> Result<Self, BadProfile> {
        read::profile(text)
    }

    /// Reads a profile that does not ship.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), and for the name of one that ships: that is known by its name alone.
    pub fn parse_own(text: &str) -> Result<Self, BadProfile> {
        let profile = Self::parse(text)?;
        if Self::shipped(&profile.name).is_some() {
            let reason = format!("a profile {} ships with Rollcall; give yours another name", profile.name);
            return Err(BadProfile { place: "name".to_owned(), reason });
        }
        Ok(profile)
    }

    /// The text of the profile of that name, if one ships.
    pub fn shipped(name: &str) -> Option<&'static str> {
        SHIPPED.into_iter().find(|(known, _)| *known == name).map(|(_, text)| text)
    }

    /// The names of those that ship.
    pub fn shipped_names() -> impl Iterator<Item = &'static str> {
        SHIPPED.into_iter().map(|(name, _)| name)
    }

    /// Whether clients may come with that form of credential.
    pub fn allows(&self, form: CredentialForm) -> bool {
        self.credentials.contains(&form)
    }

    /// The path of a tenant's base URL.
    pub fn base_path(&self, tenant: &str) -> String {
        self.base_url.replace(TENANT, tenant)
    }

    /// Checks that a user has what the profile requires beyond the core schema.
    ///
    /// # Errors
    /// 400 `invalidValue` naming the attribute and the profile.
    pub fn check_required(&self, user: &Document) -> Result<(), ScimError> {
        let is_missing = |required: &&Filter| !eval::matches(required, user.attributes(), &self.schemas.user);
        match self.required.iter().find(is_missing) {
            Some(Filter::Present(path)) => Err(ScimError::invalid_value(format!(
                "{path} is required and must not be empty: the profile {} of this tenant says so of every user",
                self.name
            ))),
            _ => Ok(()),
        }
    }

    /// What it requires beyond the core schema.
    pub fn required(&self) -> impl Iterator<Item = &AttributePath> {
        self.required.iter().filter_map(|filter| if let Filter::Present(path) = filter { Some(path) } else { None })
    }
}

/// What stands for the tenant's name in `baseUrl`.
const TENANT: &str = "{tenant}";

/// Which profile is meant. One that ships is known by its name, and changes with the release; another one is known by
/// its content, too, which never changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProfileRef {
    name: String,
    /// SHA-256 of the text, in hexadecimal.
    digest: Option<String>,
}

impl ProfileRef {
    /// One that ships, if there is one of that name.
    pub fn shipped(name: &str) -> Option<Self> {
        Profile::shipped(name).map(|_| Self { name: name.to_owned(), digest: None })
    }

    /// One of that text, read by [`Profile::parse_own`].
    pub fn own(profile: &Profile, text: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let digest = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { name: profile.name.clone(), digest: Some(digest) }
    }

    /// The profile's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of the text in hexadecimal, for one that does not ship.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }
}

impl Default for ProfileRef {
    fn default() -> Self {
        Self { name: DEFAULT.to_owned(), digest: None }
    }
}

/// The name, and after an `@` the digest.
impl fmt::Display for ProfileRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

/// Reads what `Display` has written.
impl FromStr for ProfileRef {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.split_once('@') {
            Some((name, digest)) => Self { name: name.to_owned(), digest: Some(digest.to_owned()) },
            None => Self { name: text.to_owned(), digest: None },
        })
    }
}
