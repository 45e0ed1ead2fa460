//! Schemas as data (RFC 7643 section 7): what the engine reads, `build.rs` takes from the JSON that `/Schemas` publishes.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

mod locate;

pub use locate::{Located, LocatedAttribute};

/// The data type of an attribute (RFC 7643 section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are the RFC's own")]
pub enum Type {
    String,
    Boolean,
    Decimal,
    Integer,
    DateTime,
    Binary,
    Reference,
    Complex,
}

/// Who may write an attribute (RFC 7643 section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are the RFC's own")]
pub enum Mutability {
    ReadOnly,
    ReadWrite,
    Immutable,
    WriteOnly,
}

/// When an attribute is in an answer (RFC 7643 section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are the RFC's own")]
pub enum Returned {
    Always,
    Never,
    Default,
    Request,
}

/// The characteristics of one attribute (RFC 7643 section 7).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attribute {
    /// The name as published; compared without case.
    pub name: String,
    /// The data type.
    #[serde(rename = "type")]
    pub kind: Type,
    /// Whether the attribute is a list.
    #[serde(default)]
    pub multi_valued: bool,
    /// Whether a resource must have it.
    #[serde(default)]
    pub required: bool,
    /// Whether comparison respects case.
    #[serde(default)]
    pub case_exact: bool,
    /// Who may write it.
    #[serde(default = "read_write")]
    pub mutability: Mutability,
    /// When it is returned.
    #[serde(default = "returned_default")]
    pub returned: Returned,
    /// The parts of a complex attribute.
    #[serde(default)]
    pub sub_attributes: Vec<Attribute>,
}

fn read_write() -> Mutability {
    Mutability::ReadWrite
}

fn returned_default() -> Returned {
    Returned::Default
}

impl Attribute {
    /// The sub-attribute of that name, in any case.
    pub fn sub(&self, name: &str) -> Option<&Self> {
        find(&self.sub_attributes, name)
    }

    fn common(name: &str, kind: Type, mutability: Mutability, returned: Returned) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            multi_valued: false,
            required: false,
            case_exact: true,
            mutability,
            returned,
            sub_attributes: Vec::new(),
        }
    }
}

/// The attribute of that name in a list, in any case.
pub fn find<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a Attribute> {
    attributes.iter().find(|a| a.name.eq_ignore_ascii_case(name))
}

/// One schema: its URI, its attributes, and the document that `/Schemas` publishes.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    /// The URI.
    pub id: String,
    /// The attributes.
    pub attributes: Vec<Attribute>,
    published: PublishedSchema,
    /// Of an extension, whether `/ResourceTypes` and `/Schemas` leave it out, though it is known.
    pub is_hidden: bool,
    /// Of an extension, whether every resource must have it.
    pub is_required: bool,
}

/// What `/Schemas` publishes of a schema. Few requests need the tree of one that ships, and a function starts sooner
/// without it.
#[derive(Debug, Clone, Default)]
struct PublishedSchema {
    text: &'static str,
    tree: Option<Value>,
}

impl PublishedSchema {
    /// The tree of the text: JSON, since the schema was read from it.
    fn read(&self) -> Value {
        serde_json::from_str(self.text).unwrap_or_default()
    }
}

impl Schema {
    /// Reads the definition of a schema, next to the text that `/Schemas` publishes of it.
    ///
    /// # Errors
    /// What serde found, with line and column.
    fn parse(definition: &str, text: &'static str) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Definition {
            id: String,
            attributes: Vec<Attribute>,
        }
        let Definition { id, attributes } = serde_json::from_str(definition)?;
        Ok(Self { id, attributes, published: PublishedSchema { text, tree: None }, ..Self::default() })
    }

    /// A schema of a profile: its URI, its attributes, and its document.
    #[must_use]
    pub fn new(id: String, attributes: Vec<Attribute>, published: Value) -> Self {
        Self { id, attributes, published: PublishedSchema { text: "", tree: Some(published) }, ..Self::default() }
    }

    /// The document that `/Schemas` publishes.
    #[must_use]
    pub fn published(&self) -> Cow<'_, Value> {
        self.published.tree.as_ref().map_or_else(|| Cow::Owned(self.published.read()), Cow::Borrowed)
    }

    /// The document that `/Schemas` publishes, to be changed.
    pub fn published_mut(&mut self) -> &mut Value {
        let tree = self.published.tree.take().unwrap_or_else(|| self.published.read());
        self.published.tree.insert(tree)
    }
}

/// What a resource type consists of: core schema, extensions, and the attributes common to all (RFC 7643 section 3.1).
#[derive(Debug, Clone)]
pub struct ResourceSchema {
    /// `User`, `Group` or `GroupMember`.
    pub name: &'static str,
    /// Where the resources are, such as `/Users`.
    pub endpoint: &'static str,
    /// The core schema.
    pub core: Schema,
    /// The declared extensions. Undeclared ones are stored all the same.
    pub extensions: Vec<Schema>,
    /// Whether the tenant's endpoint has such resources.
    pub is_enabled: bool,
    common: Vec<Attribute>,
}

impl ResourceSchema {
    /// The declaration of a core or common attribute.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        find(&self.core.attributes, name).or_else(|| find(&self.common, name))
    }

    /// The declared extension of that URN, in any case.
    pub fn extension(&self, urn: &str) -> Option<&Schema> {
        self.extensions.iter().find(|s| s.id.eq_ignore_ascii_case(urn))
    }

    /// The declared extensions that `/Schemas` publishes.
    pub fn published_extensions(&self) -> impl Iterator<Item = &Schema> {
        self.extensions.iter().filter(|extension| !extension.is_hidden)
    }

    /// The attributes declared in an extension; none for an undeclared one.
    pub fn extension_attributes(&self, urn: &str) -> &[Attribute] {
        self.extension(urn).map_or(&[], |s| &s.attributes)
    }
}

/// A schema of this folder. `build.rs` writes its definition: the characteristics of the text that are not the defaults.
macro_rules! shipped {
    ($name:literal) => {
        Schema::parse(
            include_str!(concat!(env!("OUT_DIR"), "/schema/", $name, ".json")),
            include_str!(concat!("schema/", $name, ".json")),
        )
    };
}

/// All schemas that a tenant's endpoint knows.
#[derive(Debug, Clone)]
pub struct Schemas {
    /// Users.
    pub user: ResourceSchema,
    /// Groups.
    pub group: ResourceSchema,
    /// Memberships.
    pub group_member: ResourceSchema,
}

impl Schemas {
    /// The schemas of RFC 7643, User with the enterprise extension, and Group; and those of
    /// draft-zollner-scim-group-members-01, GroupMember and the extension of Group that points there.
    ///
    /// # Errors
    /// What serde found in a definition; a test reads all that ship.
    pub fn standard() -> Result<Self, serde_json::Error> {
        Ok(Self {
            user: ResourceSchema {
                name: "User",
                endpoint: "/Users",
                core: shipped!("user")?,
                extensions: vec![shipped!("enterprise_user")?],
                is_enabled: true,
                common: common(),
            },
            group: ResourceSchema {
                name: "Group",
                endpoint: "/Groups",
                core: shipped!("group")?,
                extensions: vec![shipped!("group_members_metadata")?],
                is_enabled: true,
                common: common(),
            },
            group_member: ResourceSchema {
                name: "GroupMember",
                endpoint: "/GroupMembers",
                core: shipped!("group_member")?,
                extensions: Vec::new(),
                is_enabled: true,
                common: common(),
            },
        })
    }

    /// The resource types that are listed.
    pub fn resource_types(&self) -> impl Iterator<Item = &ResourceSchema> {
        [&self.user, &self.group].into_iter().filter(|schema| schema.is_enabled)
    }

    /// Those that are found by name alone: memberships take neither PUT nor PATCH (draft-zollner-scim-group-members-01
    /// section 6), and clients try both on every type that is listed (scim2-tester does).
    pub fn unlisted_types(&self) -> impl Iterator<Item = &ResourceSchema> {
        [&self.group_member].into_iter().filter(|schema| schema.is_enabled)
    }

    /// Every schema of the listed types, core ones first.
    pub fn all(&self) -> impl Iterator<Item = &Schema> {
        let extensions = self.resource_types().flat_map(ResourceSchema::published_extensions);
        self.resource_types().map(|schema| &schema.core).chain(extensions)
    }

    /// The resource type whose endpoint a path begins with, such as `/Groups/{id}`.
    pub fn at(&self, path: &str) -> Option<&ResourceSchema> {
        let is_at = |schema: &&ResourceSchema| schema.endpoint.split('/').nth(1) == path.split('/').nth(1);
        [&self.user, &self.group, &self.group_member].into_iter().find(is_at)
    }
}

/// The attributes that every resource has and no schema lists (RFC 7643 section 3.1).
fn common() -> Vec<Attribute> {
    let string = |name, mutability, returned| Attribute::common(name, Type::String, mutability, returned);
    let read_only = |name, kind| Attribute::common(name, kind, Mutability::ReadOnly, Returned::Default);
    let meta = Attribute {
        sub_attributes: vec![
            read_only("resourceType", Type::String),
            read_only("created", Type::DateTime),
            read_only("lastModified", Type::DateTime),
            read_only("location", Type::Reference),
            read_only("version", Type::String),
        ],
        ..read_only("meta", Type::Complex)
    };
    let schemas = Attribute { multi_valued: true, ..string("schemas", Mutability::ReadOnly, Returned::Always) };
    vec![
        schemas,
        string("id", Mutability::ReadOnly, Returned::Always),
        string("externalId", Mutability::ReadWrite, Returned::Default),
        meta,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::group_member::METADATA_URN;
    use crate::scim::path::AttributePath;
    use crate::scim::{ENTERPRISE_URN, GROUP_URN, USER_URN};

    #[test]
    fn every_shipped_definition_is_read_and_has_the_urn_it_is_known_by() {
        let schemas = Schemas::standard().unwrap();
        let ids: Vec<_> = schemas.all().map(|s| s.id.as_str()).collect();
        assert_eq!(ids, [USER_URN, GROUP_URN, ENTERPRISE_URN, METADATA_URN]);
        assert_eq!(schemas.group_member.core.id, "urn:ietf:params:scim:schemas:core:2.0:GroupMember");
    }

    #[test]
    fn the_engine_reads_what_schemas_publishes() {
        let schemas = Schemas::standard().unwrap();
        for schema in schemas.all().chain([&schemas.group_member.core]) {
            let published = serde_json::from_value::<Vec<Attribute>>(schema.published()["attributes"].clone()).unwrap();
            assert_eq!(schema.attributes, published, "{}", schema.id);
            assert_eq!(schema.published()["id"], schema.id);
        }
    }

    #[test]
    fn a_path_is_located_by_name_by_urn_and_by_bare_extension_name_in_any_case() {
        let schemas = Schemas::standard().unwrap();
        let at = |text: &str| {
            let located = schemas.user.locate(&AttributePath::parse(text).unwrap());
            let name = located.attribute.map(|a| match a.sub {
                Some((sub, _)) => format!("{}.{sub}", a.name),
                None => a.name,
            });
            (located.extension, name)
        };
        let enterprise = Some(ENTERPRISE_URN.to_owned());
        let custom = "urn:ietf:params:scim:schemas:extension:jostle:2.0:User";
        assert_eq!(at("USERNAME"), (None, Some("userName".into())));
        assert_eq!(at(&format!("{USER_URN}:Name.GivenName")), (None, Some("name.givenName".into())));
        assert_eq!(at(&format!("{ENTERPRISE_URN}:Manager.Value")), (enterprise.clone(), Some("manager.value".into())));
        assert_eq!(at(&ENTERPRISE_URN.to_uppercase()), (enterprise.clone(), None));
        assert_eq!(at("department"), (enterprise, Some("department".into())));
        assert_eq!(at(&format!("{custom}:label")), (Some(custom.into()), Some("label".into())));
        assert_eq!(at(custom), (Some(custom.into()), None));
        assert_eq!(at("meta.created"), (None, Some("meta.created".into())));
    }
}
