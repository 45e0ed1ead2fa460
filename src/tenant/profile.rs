//! Profiles: what an application is like, as data. Which attributes it uses and requires, which extensions it declares,
//! whether it takes groups, its credential types. The engine knows no application by name.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use super::CredentialType;
use crate::scim::filter::{Filter, eval};
use crate::scim::path::AttributePath;
use crate::scim::{Document, ErrorCode, Schemas, ScimError};

mod publish;
mod read;

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
    /// The credential types that its clients may use; at least one.
    pub credentials: Vec<CredentialType>,
    /// The schemas of a tenant with this profile: the standard ones and its own, published as it says.
    pub schemas: Schemas,
    /// The path of a tenant's base URL, with `{tenant}` for its name.
    base_url: String,
    /// What a user must have beyond the core schema.
    required: Vec<Required>,
}

/// What a user must have.
#[derive(Debug, Clone)]
struct Required {
    path: AttributePath,
    /// The users who need not have it.
    unless: Option<Filter>,
}

/// Where and why a profile is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place} {reason}")]
pub struct BadProfile {
    /// Line and column, or the place in the JSON, such as `schemas[0].attributes[2].type`.
    pub place: String,
    /// Which rule it breaks.
    pub reason: String,
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Examples
    /// ```
    /// use rollcall::tenant::Profile;
    ///
    /// let profile = Profile::parse(Profile::shipped("jostle").unwrap()).unwrap();
    /// assert_eq!(profile.name, "jostle");
    /// assert!(Profile::parse("{}").is_err());
    /// ```
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
            let reason = format!("{} is that of a profile that ships with Rollcall; choose another one", profile.name);
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

    /// Whether clients may come with that type of credential.
    pub fn allows(&self, credential_type: CredentialType) -> bool {
        self.credentials.contains(&credential_type)
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
        let holds = |filter: &Filter| eval::matches(filter, user.attributes(), &self.schemas.user);
        let is_missing = |required: &&Required| {
            !holds(&Filter::Present(required.path.clone())) && !required.unless.as_ref().is_some_and(holds)
        };
        match self.required.iter().find(is_missing) {
            Some(Required { path, .. }) => Err(ScimError::new(
                ErrorCode::AttributeRequired,
                format!("{path} is required and must not be empty, as the profile {} of this tenant says", self.name),
            )),
            _ => Ok(()),
        }
    }

    /// What it requires beyond the core schema.
    pub fn required(&self) -> impl Iterator<Item = &AttributePath> {
        self.required.iter().map(|required| &required.path)
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
        Self { name: profile.name.clone(), digest: Some(hex::encode(Sha256::digest(text.as_bytes()))) }
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::scim::{ENTERPRISE_URN, USER_URN};

    const JOSTLE_URN: &str = "urn:ietf:params:scim:schemas:extension:jostle:2.0:User";

    fn shipped(name: &str) -> Profile {
        Profile::parse(Profile::shipped(name).unwrap()).unwrap()
    }

    /// The names of the attributes that a schema is published with.
    fn published(profile: &Profile, urn: &str) -> Vec<String> {
        let schema = profile.schemas.all().find(|schema| schema.id == urn).unwrap().published();
        schema["attributes"].as_array().unwrap().iter().map(|a| a["name"].as_str().unwrap().to_owned()).collect()
    }

    fn attribute(profile: &Profile, name: &str) -> Value {
        let all = profile.schemas.user.core.published()["attributes"].as_array().unwrap().clone();
        all.into_iter().find(|attribute| attribute["name"] == name).unwrap()
    }

    #[test]
    fn every_shipped_profile_is_in_order_and_has_the_name_it_is_known_by() {
        for name in Profile::shipped_names() {
            let profile = shipped(name);
            assert_eq!(profile.name, name);
            // New gallery applications of Entra may not use a secret that lives long.
            assert!(profile.allows(CredentialType::Client) && profile.allows(CredentialType::Federation), "{name}");
            assert_eq!(ProfileRef::shipped(name).unwrap().to_string().parse(), Ok(ProfileRef::shipped(name).unwrap()));
        }
        assert_eq!(CredentialType::ALL.map(|kind| shipped("default").allows(kind)), [true; 5]);
        assert!(
            shipped("mindtickle").allows(CredentialType::Jwt) && !shipped("mindtickle").allows(CredentialType::Bearer)
        );
        assert!(shipped("jive").allows(CredentialType::Basic) && !shipped("jive").allows(CredentialType::Bearer));
        assert_eq!(shipped("mindtickle").base_path("acme"), "/acme/scim");
        assert_eq!(shipped("jostle").base_path("acme"), "/acme/scim/v2");
    }

    #[test]
    fn the_default_profile_is_the_standard_schemas() {
        let (profile, standard) = (shipped("default"), Schemas::standard().unwrap());
        let documents = |schemas: &Schemas| schemas.all().map(|s| s.published().into_owned()).collect::<Vec<_>>();
        assert_eq!(documents(&profile.schemas), documents(&standard));
    }

    #[test]
    fn what_is_in_use_is_published_and_all_is_known() {
        let jostle = shipped("jostle");
        assert_eq!(published(&jostle, USER_URN), ["userName", "name", "active", "emails", "groups"]);
        assert_eq!(published(&jostle, JOSTLE_URN), ["alternateEmail1Label", "alternateEmail2Label"]);
        assert!(jostle.schemas.all().all(|schema| schema.id != ENTERPRISE_URN));
        assert!(
            jostle.schemas.user.attribute("title").is_some() && jostle.schemas.user.extension(ENTERPRISE_URN).is_some()
        );
        let emails = attribute(&jostle, "emails");
        let kind = emails["subAttributes"].as_array().unwrap().iter().find(|sub| sub["name"] == "type").unwrap();
        assert_eq!(kind["canonicalValues"], json!(["work", "personal", "alternate1", "alternate2"]));
        assert_eq!((&emails["required"], &attribute(&jostle, "name")["required"]), (&json!(true), &json!(false)));
        let juno = shipped("juno-journey");
        let of_enterprise = published(&juno, ENTERPRISE_URN);
        assert_eq!(of_enterprise.len(), 6, "{of_enterprise:?}");
        assert!(
            published(&juno, USER_URN).contains(&"addresses".to_owned())
                && !published(&juno, USER_URN).contains(&"photos".to_owned())
        );
    }

    #[test]
    fn what_is_required_must_have_a_value_where_the_path_says() {
        let jostle = shipped("jostle");
        let check = |emails: Value| {
            let text = json!({"userName": "bob", "emails": emails}).to_string();
            jostle.check_required(&Document::from_stored(&text).unwrap())
        };
        assert!(check(json!([{"type": "home", "value": "a@b"}, {"type": "Work", "value": "a@b"}])).is_ok());
        for bad in [json!([]), json!([{"type": "home", "value": "a@b"}]), json!([{"type": "work", "primary": true}])] {
            let error = check(bad).unwrap_err();
            assert_eq!(error.to_json()["scimType"], "invalidValue");
            assert!(error.detail.starts_with("emails[type eq \"work\"].value is required"), "{}", error.detail);
            assert!(error.detail.contains("jostle"));
        }
    }

    /// A profile that is in order, but for what `change` does to it.
    fn changed(change: impl FnOnce(&mut Value)) -> Result<Profile, BadProfile> {
        let mut profile = json!({
            "name": "mine", "credentials": ["bearer"],
            "required": ["title"], "attributes": ["userName", "urn:example:app:2.0:User:level"],
            "schemas": [{"id": "urn:example:app:2.0:User", "name": "App", "attributes": [
                {"name": "level", "type": "integer"},
                {"name": "place", "type": "complex", "multiValued": true, "subAttributes": [{"name": "value", "type": "string"}]},
            ]}],
        });
        change(&mut profile);
        Profile::parse_own(&profile.to_string())
    }

    #[test]
    fn a_definition_is_published_with_what_it_leaves_out() {
        let profile = changed(|p| p["schemas"][0]["attributes"][0]["required"] = json!(true)).unwrap();
        let schema = profile.schemas.user.extension("urn:example:app:2.0:User").unwrap();
        let level = &schema.published()["attributes"][0];
        assert_eq!(level["mutability"], "readWrite");
        assert_eq!((&level["multiValued"], schema.is_required), (&json!(false), true));
        assert_eq!(published(&profile, USER_URN), ["userName", "title", "groups"], "what is required is in use");
        let required: Vec<_> = profile.required().map(ToString::to_string).collect();
        assert_eq!(required, ["title", "urn:example:app:2.0:User:level"]);
    }

    /// What breaks a rule, the place, and a part of the reason.
    type Case = (fn(&mut Value), &'static str, &'static str);

    const OF_PROFILE: &[Case] = &[
        (|p| p["name"] = json!("Mine!"), "name", "lower-case"),
        (|p| p["name"] = json!("jostle"), "name", "ships"),
        (|p| drop(p.as_object_mut().unwrap().remove("name")), "name", "missing"),
        (|p| p["color"] = json!("red"), "color", "use one of name,"),
        (|p| p["baseUrl"] = json!("/scim/{tenant}"), "baseUrl", "/{tenant}/scim/v2"),
        (|p| p["groups"] = json!("yes"), "groups", "must be a boolean"),
        (|p| p["credentials"] = json!([]), "credentials", "at least one"),
        (|p| p["credentials"] = json!(["bearer", "magic"]), "credentials[1]", "not a type of credential"),
        (|p| p["credentials"] = json!(["jwt", "jwt"]), "credentials[1]", "repeats jwt"),
        (|p| p["credentials"] = json!("jwt"), "credentials", "must be an array, not a string"),
        (|p| p["required"] = json!(["title", "a b"]), "required[1]", "unexpected text"),
        (|p| p["required"] = json!(["shoeSize"]), "required[0]", "shoeSize, which no schema of this profile defines"),
        (|p| p["required"] = json!(["emails[kind eq \"x\"]"]), "required[0]", "names emails"),
        (|p| p["required"] = json!(["emails[primary gt true].value"]), "required[0]", "primary"),
        (|p| p["required"] = json!(["groups"]), "required[0]", "read-only"),
        (|p| p["required"] = json!(["urn:example:app:2.0:User"]), "required[0]", "as a whole"),
        (|p| p["attributes"] = json!(["name.middle"]), "attributes[0]", "names name.middle"),
        (|p| p["attributes"] = json!([7]), "attributes[0]", "must be a string, not a number"),
        (|p| p["schemas"][0]["id"] = json!("app"), "schemas[0].id", "not a URN"),
        (|p| p["schemas"][0]["id"] = json!(USER_URN), "schemas[0].id", "which exists"),
        (|p| p["schemas"][0]["id"] = json!(ENTERPRISE_URN.to_uppercase()), "schemas[0].id", "which exists"),
        (|p| p["schemas"][0]["extra"] = json!(1), "schemas[0].extra", "is unknown"),
        (|p| p["schemas"][0]["attributes"] = json!([]), "schemas[0].attributes", "at least one"),
        (
            |p| {
                let twice = p["schemas"][0].clone();
                p["schemas"].as_array_mut().unwrap().push(twice);
            },
            "schemas[1].id",
            "which exists",
        ),
    ];

    const OF_ATTRIBUTE: &[Case] = &[
        (|a| a["type"] = json!("strin"), ".type", "unknown variant `strin`"),
        (|a| drop(a.as_object_mut().unwrap().remove("type")), ".type", "missing"),
        (|a| a["type"] = json!("complex"), ".type", "without subAttributes"),
        (
            |a| a["subAttributes"] = json!([{"name": "x", "type": "string"}]),
            ".subAttributes",
            "complex attributes alone",
        ),
        (|a| a["name"] = json!("9"), ".name", "not an attribute name"),
        (|a| a["name"] = json!("PLACE"), "", "repeats place"),
        (|a| a["requird"] = json!(true), ".requird", "is unknown"),
        (|a| a["multiValued"] = json!(1), ".multiValued", "must be a boolean"),
        (|a| a["mutability"] = json!("sometimes"), ".mutability", "unknown variant"),
        (|a| a["returned"] = json!("maybe"), ".returned", "unknown variant"),
        (|a| a["uniqueness"] = json!("server"), ".uniqueness", "kept unique"),
        (|a| a["canonicalValues"] = json!([1]), ".canonicalValues[0]", "must be a string"),
    ];

    #[test]
    fn a_bad_profile_is_refused_with_the_place_and_the_reason() {
        let refused = |change: &dyn Fn(&mut Value)| changed(|p| change(p)).unwrap_err();
        for (change, place, reason) in OF_PROFILE {
            let bad = refused(change);
            assert!(bad.place == *place && bad.reason.contains(reason), "{place}, {reason}: {bad}");
        }
        for (change, place, reason) in OF_ATTRIBUTE {
            let bad = refused(&|p| change(&mut p["schemas"][0]["attributes"][0]));
            let is_there = bad.place.starts_with("schemas[0].attributes[") && bad.place.ends_with(place);
            assert!(is_there && bad.reason.contains(reason), "{place}, {reason}: {bad}");
        }
        let sub = refused(&|p| p["schemas"][0]["attributes"][1]["subAttributes"][0]["type"] = json!("complex"));
        assert_eq!(sub.place, "schemas[0].attributes[1].subAttributes[0].type");
    }

    #[test]
    fn text_that_is_no_json_is_refused_with_line_and_column() {
        for (text, place) in
            [("{\n  \"name\": \"x\",\n}", "line 3 column 1"), ("{\"name\":\"a\",\"name\":\"b\"}", "line 1 column")]
        {
            let bad = Profile::parse(text).unwrap_err();
            assert!(bad.place.starts_with(place), "{bad}");
        }
        assert_eq!(Profile::parse("[]").unwrap_err().to_string(), "the profile must be an object, not an array");
        let long = format!("{{\"description\": \"{}\"}}", "x".repeat(crate::limits::MAX_PROFILE_BYTES));
        assert!(Profile::parse(&long).unwrap_err().reason.contains("shorten it to"));
    }
}
