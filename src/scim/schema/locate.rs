//! What an attribute path names in a resource of some type. Every door asks here, so that all name the same attribute,
//! or all refuse.

use serde_json::{Map, Value};

use super::{Attribute, ResourceSchema, Type, find};
use crate::scim::group_member::{GROUP_MEMBER_URN, METADATA_URN};
use crate::scim::json::member_name;
use crate::scim::path::{AttributePath, is_name, is_version};
use crate::scim::{ENTERPRISE_URN, GROUP_URN, USER_URN, deviation};

/// The schemas of RFC 7643 and of draft-zollner-scim-group-members-01: what a URN may be mistaken for.
const STANDARD: [&str; 5] = [USER_URN, GROUP_URN, ENTERPRISE_URN, GROUP_MEMBER_URN, METADATA_URN];

/// What all of them begin with, and what stands before the name of an extension (RFC 7643 section 10.3).
const SCHEMAS: &str = "urn:ietf:params:scim:schemas";
const SCHEMAS_EXTENSION: &str = "urn:ietf:params:scim:schemas:extension";
const SCHEMAS_CORE: &str = "urn:ietf:params:scim:schemas:core";

/// Where an attribute path leads in a resource of some type.
#[derive(Debug, Clone)]
pub struct Located<'s> {
    /// The URN of the extension object that holds the attribute; `None` for core and common attributes.
    pub extension: Option<String>,
    /// The attribute; `None` when the path names a whole extension, or the core schema as a whole.
    pub attribute: Option<LocatedAttribute<'s>>,
}

impl Located<'_> {
    /// Whether it is the core schema as a whole.
    pub fn is_core(&self) -> bool {
        self.extension.is_none() && self.attribute.is_none()
    }

    /// Whether it is accepted, and stored nowhere.
    pub fn is_discarded(&self) -> bool {
        self.extension.is_none() && self.attribute.as_ref().is_some_and(|a| deviation::is_discarded(&a.name))
    }
}

/// An attribute that a path names.
#[derive(Debug, Clone)]
pub struct LocatedAttribute<'s> {
    /// The name as the schema has it, or as the client wrote it where no schema declares it.
    pub name: String,
    /// The declaration, if any.
    pub definition: Option<&'s Attribute>,
    /// The sub-attribute, in the same way.
    pub sub: Option<(String, Option<&'s Attribute>)>,
}

impl ResourceSchema {
    /// Checks that a path names an attribute or extension, and not one by a slip that would be stored aside: a URN that
    /// is the beginning of a declared one, goes on after one or has other separators, the URN of another resource type,
    /// a resource type before a dot, a part of what has no parts.
    ///
    /// # Errors
    /// What is wrong and what to write.
    pub fn check_path(&self, path: &AttributePath) -> Result<(), String> {
        match &path.urn {
            Some(urn) => self.check_urn(urn, path)?,
            None => {
                let is_type = STANDARD.iter().any(|urn| last_segment(urn).eq_ignore_ascii_case(&path.name));
                let is_declared = || self.locate(path).attribute.is_some_and(|a| a.definition.is_some());
                if is_type && path.sub.is_some() && !is_declared() {
                    return Err(format!("{path} has a resource type before the dot; name the attribute alone"));
                }
            }
        }
        self.check_parts(path)
    }

    fn check_urn(&self, urn: &str, path: &AttributePath) -> Result<(), String> {
        let whole = format!("{urn}:{}", path.name);
        let is = |id: &str, urn: &str| id.eq_ignore_ascii_case(urn);
        if let Some(id) = self.declared().find(|id| is(id, urn)) {
            return match is_name(&path.name) {
                true => Ok(()),
                false => Err(format!("{path} has a version after the URN {id}; write an attribute there")),
            };
        }
        if self.declared().any(|id| is(id, &whole)) {
            return Ok(());
        }
        if let Some(other) = STANDARD.iter().find(|id| is(id, urn) || is(id, &whole)) {
            let name = self.name;
            return Err(format!(
                "{path} belongs to {other}, which is no schema of a {name}; name an attribute of a {name}"
            ));
        }
        let holder = if path.is_plain() { &whole } else { urn };
        if !path.is_plain() && !can_hold(urn) {
            return Err(format!(
                "{path} has a URN that ends with no name and no version; write the URN of an extension"
            ));
        }
        if let Some(id) = self.shortened(holder) {
            let name = if is_name(&path.name) { path.name.as_str() } else { "attribute" };
            return Err(format!("{path} has only the beginning of the URN {id}; write {id}:{name}"));
        }
        let (urn, whole) = (separated(urn), separated(&whole));
        let is_misspelt = |id: &&str| separated(id) == urn || separated(id) == whole;
        if let Some(id) = self.declared().chain(STANDARD).find(is_misspelt) {
            return Err(format!("{path} has other separators than the URN {id}; write {id}:attribute"));
        }
        match STANDARD.iter().find(|id| goes_on(&urn, &separated(id))) {
            Some(id) => Err(format!("{path} goes on after the URN {id}; write {id}, a colon and one attribute")),
            None => Ok(()),
        }
    }

    fn declared(&self) -> impl Iterator<Item = &str> {
        self.extensions.iter().map(|extension| extension.id.as_str()).chain([self.core.id.as_str()])
    }

    /// The schema of whose URN another one is the beginning, or what stands below the beginning as an attribute would:
    /// nothing in the form of an extension's URN is between the two.
    fn shortened(&self, urn: &str) -> Option<&str> {
        let mut rest = urn;
        loop {
            let start = separated(rest);
            let is_beginning =
                |id: &&str| !rest.eq_ignore_ascii_case(SCHEMAS_EXTENSION) && goes_on(&separated(id), &start);
            if let Some(id) = self.declared().chain(STANDARD).find(is_beginning) {
                return Some(id);
            }
            let (above, last) = rest.rsplit_once(':')?;
            if self.is_whole(above, last, rest) {
                return None;
            }
            rest = above;
        }
    }

    /// Checks that what has a sub-attribute or a value filter can have one.
    fn check_parts(&self, path: &AttributePath) -> Result<(), String> {
        if path.is_plain() {
            return Ok(());
        }
        let is_urn = |urn: &String| {
            let whole = format!("{urn}:{}", path.name);
            whole.eq_ignore_ascii_case(&self.core.id) || self.is_whole(urn, &path.name, &whole)
        };
        if path.selector.is_some() && path.urn.as_ref().is_some_and(is_urn) {
            return Err(format!("{path} has a value filter after a URN; name an attribute before it"));
        }
        let Some(LocatedAttribute { name, definition: Some(definition), sub }) = self.locate(path).attribute else {
            return Ok(());
        };
        let is_simple = definition.kind != Type::Complex;
        if is_simple && sub.is_some() {
            return Err(format!("{path} names nothing, as {name} has no sub-attributes; write {name} alone"));
        }
        if is_simple && path.selector.is_some() && !definition.multi_valued {
            return Err(format!("{path} names nothing, as {name} is not multi-valued; write {name} alone"));
        }
        Ok(())
    }

    /// As [`locate`](Self::locate), for a resource at hand: a URN that it holds as a whole is that extension, whatever
    /// form the URN has (Okta's end with `:user:custom`), and what follows the URN of one that it holds is its attribute.
    pub fn locate_in(&self, path: &AttributePath, resource: &Map<String, Value>) -> Located<'_> {
        if let Some(held) = self.held_extension(path, resource) {
            return Located { extension: Some(held), attribute: None };
        }
        let holder = path.urn.as_ref().filter(|urn| self.extension(urn).is_none());
        match holder.and_then(|urn| member_name(resource, urn)) {
            Some(held) => self.locate_member(&held, path),
            None => self.locate(path),
        }
    }

    /// Finds an attribute in an extension at hand.
    pub fn locate_member(&self, extension: &str, path: &AttributePath) -> Located<'_> {
        self.located(Some(extension.to_owned()), self.extension_attributes(extension), path)
    }

    /// An extension that a resource has, whose URN has the form of an attribute's: Okta's end with `:user:custom`.
    pub fn held_extension(&self, path: &AttributePath, resource: &Map<String, Value>) -> Option<String> {
        member_name(resource, &plain_whole(path)?)
    }

    /// The URN of an undeclared extension that an object is given for: `urn:acme:crm`, in form an attribute of
    /// `urn:acme`, is an extension however its object comes, unless `urn:acme` is known or held as one. What a request
    /// names in `schemas` is an extension even then.
    pub fn given_extension(
        &self,
        path: &AttributePath,
        value: &Value,
        resource: &Map<String, Value>,
        schemas: &[String],
    ) -> Option<String> {
        let (urn, whole) = (path.urn.as_ref()?, plain_whole(path)?);
        let is_declared = |urn: &str| urn.eq_ignore_ascii_case(&self.core.id) || self.extension(urn).is_some();
        let is_held = || member_name(resource, urn).is_some() && !schemas.contains(&whole.to_ascii_lowercase());
        (value.is_object() && !is_declared(urn) && !is_declared(&whole) && !is_held()).then_some(whole)
    }

    /// Finds what a path names. Never fails: what no schema declares is located by its name.
    pub fn locate(&self, path: &AttributePath) -> Located<'_> {
        let Some(urn) = &path.urn else {
            if self.attribute(&path.name).is_none()
                && let Some(extension) = deviation::extension_of_bare_name(self, &path.name)
            {
                return self.located(Some(extension.id.clone()), &extension.attributes, path);
            }
            return match find(&self.common, &path.name) {
                Some(_) => self.located(None, &self.common, path),
                None => self.located(None, &self.core.attributes, path),
            };
        };
        let whole = format!("{urn}:{}", path.name);
        let is_core = whole.eq_ignore_ascii_case(&self.core.id);
        if let Some(sub) = path.sub.as_ref().filter(|_| is_core || self.extension(&whole).is_some()) {
            // A dot after the URN of a schema, in whatever form the URN ends.
            let attribute = AttributePath { urn: Some(whole), name: sub.clone(), selector: None, sub: None };
            return self.locate(&attribute);
        }
        if is_core {
            return Located { extension: None, attribute: None };
        }
        if path.is_plain() && self.is_whole(urn, &path.name, &whole) {
            let extension = self.extension(&whole).map_or(whole, |s| s.id.clone());
            return Located { extension: Some(extension), attribute: None };
        }
        if urn.eq_ignore_ascii_case(&self.core.id) {
            return self.locate_bare(path);
        }
        match self.extension(urn) {
            Some(extension) => self.located(Some(extension.id.clone()), &extension.attributes, path),
            None => self.located(Some(urn.clone()), &[], path),
        }
    }

    fn locate_bare(&self, path: &AttributePath) -> Located<'_> {
        self.locate(&AttributePath { urn: None, ..path.clone() })
    }

    /// Whether a URN is that of an extension as a whole, rather than of one of its attributes: a declared one, or
    /// by RFC 7643 section 10.3's form, one that ends with the resource type or a version. So is what follows a URN that
    /// can be no extension's.
    fn is_whole(&self, urn: &str, name: &str, whole: &str) -> bool {
        let has_attributes = self.extension(urn).is_some() || self.is_of_type(urn);
        // No attribute's name begins with a digit: it is a version.
        self.extension(whole).is_some()
            || name.starts_with(|c: char| c.is_ascii_digit())
            || is_namespace(urn)
            || !can_hold(urn)
            || (!has_attributes && self.is_of_type(whole))
    }

    fn is_of_type(&self, urn: &str) -> bool {
        last_segment(urn).eq_ignore_ascii_case(self.name)
    }

    fn located<'s>(&self, extension: Option<String>, among: &'s [Attribute], path: &AttributePath) -> Located<'s> {
        let definition = find(among, &path.name);
        let sub = path.sub.as_ref().map(|sub| {
            let declared = definition.and_then(|d| d.sub(sub));
            (declared.map_or_else(|| sub.clone(), |d| d.name.clone()), declared)
        });
        Located {
            extension,
            attribute: Some(LocatedAttribute {
                name: definition.map_or_else(|| path.name.clone(), |d| d.name.clone()),
                definition,
                sub,
            }),
        }
    }
}

/// The URN that a path without value filter and sub-attribute is, if it is one as a whole.
fn plain_whole(path: &AttributePath) -> Option<String> {
    path.urn.as_ref().filter(|_| path.is_plain()).map(|urn| format!("{urn}:{}", path.name))
}

/// Whether a URN can be that of an extension: it can be written alone, too.
fn can_hold(urn: &str) -> bool {
    urn.contains(':') && (is_name(last_segment(urn)) || is_version(last_segment(urn)))
}

/// Whether a name after it is that of an extension: `urn:ietf:params:scim:schemas:extension`, or a vendor's word there.
fn is_namespace(urn: &str) -> bool {
    let above = urn.rsplit_once(':').map(|(above, _)| above);
    above.is_some_and(|above| above.eq_ignore_ascii_case(SCHEMAS)) && !urn.eq_ignore_ascii_case(SCHEMAS_CORE)
}

fn goes_on(longer: &str, start: &str) -> bool {
    longer.strip_prefix(start).is_some_and(|rest| rest.starts_with(':'))
}

/// A URN in one case and with one kind of separator.
fn separated(urn: &str) -> String {
    urn.replace('.', ":").to_ascii_lowercase()
}

fn last_segment(urn: &str) -> &str {
    urn.rsplit(':').next().unwrap_or(urn)
}
