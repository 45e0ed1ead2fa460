//! Reads a profile strictly: what it does not know it refuses, and says where.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::publish::{Named, publish};
use super::{BadProfile, Profile, Required, TENANT};
use crate::limits::{MAX_PROFILE_BYTES, MAX_PROFILE_NAME_BYTES};
use crate::scim::filter::{Filter, check};
use crate::scim::json::{parse_strict, type_name};
use crate::scim::path::{AttributePath, is_name};
use crate::scim::schema::{Attribute, Mutability, ResourceSchema, Returned, Schema, Schemas, Type};
use crate::tenant::CredentialType;

const FIELDS: [&str; 9] =
    ["name", "description", "baseUrl", "credentials", "groups", "password", "required", "attributes", "schemas"];
const SCHEMA_FIELDS: [&str; 4] = ["id", "name", "description", "attributes"];
/// RFC 7643 section 7.
const ATTRIBUTE_FIELDS: [&str; 12] = [
    "name",
    "type",
    "multiValued",
    "description",
    "required",
    "canonicalValues",
    "caseExact",
    "mutability",
    "returned",
    "uniqueness",
    "referenceTypes",
    "subAttributes",
];

type Read<T> = Result<T, BadProfile>;

/// Reads a whole profile.
pub(super) fn profile(text: &str) -> Read<Profile> {
    let whole = |reason: String| BadProfile { place: "the profile".to_owned(), reason };
    if text.len() > MAX_PROFILE_BYTES {
        return Err(whole(format!("has {} bytes; shorten it to {MAX_PROFILE_BYTES}", text.len())));
    }
    let value = parse_strict(text.as_bytes())
        .map_err(|e| BadProfile { place: format!("line {} column {}", e.line(), e.column()), reason: not_json(&e) })?;
    let fields = FieldPlace { at: String::new(), value: &value }.object(&FIELDS)?;
    let mut schemas = Schemas::standard().map_err(|e| whole(e.to_string()))?;
    extend(&mut schemas.user, &fields)?;
    let required = required(&fields, &schemas.user)?;
    let name = name(&fields.needed("name")?)?;
    let named = Named {
        profile: name.clone(),
        in_use: paths(&fields, "attributes", |place| in_use(place, &schemas.user))?,
        required: required.clone(),
        offers_groups: fields.flag("groups", true)?,
        publishes_password: fields.flag("password", false)?,
    };
    publish(&mut schemas, &named);
    Ok(Profile {
        name,
        description: fields.text_or("description", "")?.to_owned(),
        credentials: credentials(&fields.needed("credentials")?)?,
        schemas,
        base_url: base_url(&fields)?,
        required,
    })
}

fn name(place: &FieldPlace<'_>) -> Read<String> {
    let name = place.text()?;
    let is_good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > MAX_PROFILE_NAME_BYTES || !name.chars().all(is_good) {
        return place.refuse(format!("must have 1 to {MAX_PROFILE_NAME_BYTES} lower-case letters, digits and hyphens"));
    }
    Ok(name.to_owned())
}

fn credentials(place: &FieldPlace<'_>) -> Read<Vec<CredentialType>> {
    let mut types = Vec::new();
    for item in place.items()? {
        let credential_type =
            item.text()?.parse().or_else(|reason: String| item.refuse(format!("is unknown: {reason}")))?;
        if types.contains(&credential_type) {
            return item.refuse(format!("repeats {credential_type}; name it once"));
        }
        types.push(credential_type);
    }
    if types.is_empty() {
        return place.refuse("must name at least one type of credential; without one, nobody can authenticate");
    }
    Ok(types)
}

/// Both are always served; the command line prints this one.
fn base_url(fields: &Object<'_>) -> Read<String> {
    let (versioned, bare) = (format!("/{TENANT}/scim/v2"), format!("/{TENANT}/scim"));
    let url = fields.text_or("baseUrl", &versioned)?;
    match url == versioned || url == bare {
        true => Ok(url.to_owned()),
        false => fields.place("baseUrl").refuse(format!("must be {versioned} or {bare}")),
    }
}

/// Adds the profile's own schemas to those of users.
fn extend(user: &mut ResourceSchema, fields: &Object<'_>) -> Read<()> {
    for place in fields.items("schemas")? {
        let schema = schema(&place, user)?;
        user.extensions.push(schema);
    }
    Ok(())
}

fn schema(place: &FieldPlace<'_>, user: &ResourceSchema) -> Read<Schema> {
    let fields = place.object(&SCHEMA_FIELDS)?;
    let id = fields.needed("id")?;
    let urn = id.text()?;
    if !is_urn(urn) {
        return id
            .refuse("is not a URN of an extension; write one such as urn:example:params:scim:app:2.0:User (RFC 8141)");
    }
    let is_below = |inner: &str, outer: &str| {
        inner.split_at_checked(outer.len()).is_some_and(|(start, rest)| {
            start.eq_ignore_ascii_case(outer) && (rest.is_empty() || rest.starts_with(':'))
        })
    };
    let held = std::iter::once(&user.core).chain(&user.extensions).map(|schema| schema.id.as_str());
    if let Some(other) = held.chain(RESERVED).find(|other| is_below(urn, other) || is_below(other, urn)) {
        return id.refuse(format!("overlaps {other}, which exists; choose another URN"));
    }
    fields.needed("name")?.text()?;
    fields.text_or("description", "")?;
    let attributes = attributes(&fields.needed("attributes")?, false)?;
    Ok(Schema::new(urn.to_owned(), attributes, with_defaults(place.value)))
}

/// Where the schemas and messages of the RFCs are.
const RESERVED: [&str; 2] = ["urn:ietf:params:scim:schemas:core:2.0", "urn:ietf:params:scim:api"];

/// Whether a text is a URN of characters that a path can have too.
fn is_urn(text: &str) -> bool {
    let segments: Vec<&str> = text.split(':').collect();
    let is_good =
        |segment: &&str| !segment.is_empty() && segment.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    segments.len() > 2
        && segments.iter().all(is_good)
        && segments.first().is_some_and(|first| first.eq_ignore_ascii_case("urn"))
}

fn attributes(place: &FieldPlace<'_>, is_sub: bool) -> Read<Vec<Attribute>> {
    let mut attributes: Vec<Attribute> = Vec::new();
    for item in place.items()? {
        let next = attribute(&item, is_sub)?;
        if attributes.iter().any(|held| held.name.eq_ignore_ascii_case(&next.name)) {
            return item.below("name").refuse(format!("repeats {}; define it once", next.name));
        }
        attributes.push(next);
    }
    if attributes.is_empty() {
        return place.refuse("must define at least one attribute");
    }
    Ok(attributes)
}

fn attribute(place: &FieldPlace<'_>, is_sub: bool) -> Read<Attribute> {
    let fields = place.object(&ATTRIBUTE_FIELDS)?;
    let name = fields.needed("name")?;
    if !is_name(name.text()?) {
        return name
            .refuse("is not an attribute name; use letters, digits, - and _ after a letter (RFC 7643 section 2.1)");
    }
    let kind = fields.needed("type")?;
    let is_complex = kind.word::<Type>()? == Type::Complex;
    if is_complex && is_sub {
        return kind.refuse("must not be complex in a sub-attribute (RFC 7643 section 2.3.8)");
    }
    let subs = fields.member("subAttributes");
    let sub_attributes = match (&subs, is_complex) {
        (Some(subs), true) => attributes(subs, true)?,
        (None, true) => return kind.refuse("is complex without subAttributes; define some (RFC 7643 section 7)"),
        (Some(subs), false) => {
            return subs.refuse("belongs to complex attributes alone; remove it (RFC 7643 section 7)");
        }
        (None, false) => Vec::new(),
    };
    fields.text_or("description", "")?;
    for list in ["canonicalValues", "referenceTypes"] {
        fields.items(list)?.iter().try_for_each(|item| item.text().map(drop))?;
    }
    if fields.text_or("uniqueness", "none")? != "none" {
        return fields.place("uniqueness").refuse("must be none, as no attribute of an extension is kept unique");
    }
    Ok(Attribute {
        name: name.text()?.to_owned(),
        kind: kind.word()?,
        multi_valued: fields.flag("multiValued", false)?,
        required: fields.flag("required", false)?,
        case_exact: fields.flag("caseExact", false)?,
        mutability: fields.word("mutability", Mutability::ReadWrite)?,
        returned: fields.word("returned", Returned::Default)?,
        sub_attributes,
    })
}

/// The definition with the characteristics that it leaves out (RFC 7643 section 2.2).
fn with_defaults(schema: &Value) -> Value {
    let mut schema = schema.clone();
    for attribute in schema.get_mut("attributes").and_then(Value::as_array_mut).into_iter().flatten() {
        complete(attribute);
    }
    schema
}

fn complete(attribute: &mut Value) {
    let is_text = attribute.get("type").is_some_and(|kind| kind == "string");
    let Some(fields) = attribute.as_object_mut() else { return };
    let texts = [("mutability", "readWrite"), ("returned", "default"), ("uniqueness", "none")];
    for name in ["multiValued", "required"].into_iter().chain(is_text.then_some("caseExact")) {
        fields.entry(name).or_insert(Value::Bool(false));
    }
    for (name, text) in texts {
        fields.entry(name).or_insert(text.into());
    }
    for sub in fields.get_mut("subAttributes").and_then(Value::as_array_mut).into_iter().flatten() {
        complete(sub);
    }
}

fn paths(
    fields: &Object<'_>,
    name: &str,
    read: impl Fn(&FieldPlace<'_>) -> Read<AttributePath>,
) -> Read<Vec<AttributePath>> {
    fields.items(name)?.iter().map(read).collect()
}

/// An attribute of users, or an extension as a whole.
fn in_use(place: &FieldPlace<'_>, user: &ResourceSchema) -> Read<AttributePath> {
    let path = AttributePath::parse(place.text()?).or_else(|e| place.refuse(e.to_string()))?;
    let located = user.locate(&path);
    let is_known = match (&located.attribute, &located.extension) {
        (Some(attribute), _) => {
            attribute.definition.is_some()
                && !matches!(attribute.sub, Some((_, None)))
                && path.selector.as_ref().is_none_or(|selector| {
                    let is_strange = |name: &str| attribute.definition.is_none_or(|a| a.sub(name).is_none());
                    !selector.names(&is_strange)
                })
        }
        (None, Some(urn)) => user.extension(urn).is_some(),
        (None, None) => false,
    };
    if !is_known {
        return place
            .refuse(format!("names {path}, which no schema of this profile defines; define it, or correct the path"));
    }
    check::check(&Filter::Present(path.clone()), user)
        .or_else(|e| place.refuse(format!("cannot be used: {}", e.detail)))?;
    Ok(path)
}

/// What `required` names, and the attributes of its own schemas that are defined as required.
fn required(fields: &Object<'_>, user: &ResourceSchema) -> Read<Vec<Required>> {
    let mut required = Vec::new();
    for place in fields.items("required")? {
        required.push(match place.value {
            Value::Object(_) => {
                let fields = place.object(&["path", "unless"])?;
                let unless = fields.needed("unless")?;
                let filter = check::parse_for(unless.text()?, user)
                    .or_else(|e| unless.refuse(format!("cannot be used: {}", e.detail)))?;
                Required { unless: Some(filter), ..required_path(&fields.needed("path")?, user)? }
            }
            _ => required_path(&place, user)?,
        });
    }
    for schema in &user.extensions {
        for attribute in schema.attributes.iter().filter(|attribute| attribute.required) {
            let (urn, name) = (Some(schema.id.clone()), attribute.name.clone());
            required.push(Required { path: AttributePath { urn, name, selector: None, sub: None }, unless: None });
        }
    }
    Ok(required)
}

fn required_path(place: &FieldPlace<'_>, user: &ResourceSchema) -> Read<Required> {
    let path = in_use(place, user)?;
    match user.locate(&path).attribute.and_then(|a| a.definition) {
        None => place.refuse("is an extension as a whole; name the attribute that every user must have"),
        Some(definition) if definition.mutability == Mutability::ReadOnly => {
            place.refuse("is read-only, so no client can write it; remove it from the list")
        }
        Some(_) => Ok(Required { path, unless: None }),
    }
}

fn not_json(error: &serde_json::Error) -> String {
    format!("is where this is not acceptable JSON: {}; correct it there", without_place(&error.to_string()))
}

/// serde ends with the words that it knows, as in "unknown variant `x`, expected one of `y`, `z`".
fn no_such_word(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match without_place(&text).split_once(", expected ") {
        Some((problem, known)) => format!("has an {problem}; use {known}"),
        None => format!("is wrong: {}; correct it", without_place(&text)),
    }
}

fn without_place(text: &str) -> &str {
    text.split(" at line ").next().unwrap_or(text)
}

/// A value and where it is.
struct FieldPlace<'v> {
    at: String,
    value: &'v Value,
}

/// An object and where it is.
struct Object<'v> {
    at: String,
    fields: &'v Map<String, Value>,
}

impl<'v> FieldPlace<'v> {
    fn refuse<T>(&self, reason: impl Into<String>) -> Read<T> {
        let place = if self.at.is_empty() { "the profile" } else { &self.at };
        Err(BadProfile { place: place.to_owned(), reason: reason.into() })
    }

    fn expected<T>(&self, what: &str) -> Read<T> {
        self.refuse(format!("must be {what}, not {}", type_name(self.value)))
    }

    fn object(&self, known: &[&str]) -> Read<Object<'v>> {
        let Some(fields) = self.value.as_object() else { return self.expected("an object") };
        let object = Object { at: self.at.clone(), fields };
        match fields.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => {
                let excerpt: String = name.chars().take(64).collect();
                object.place(&excerpt).refuse(format!("is unknown; use one of {}", known.join(", ")))
            }
            None => Ok(object),
        }
    }

    fn text(&self) -> Read<&'v str> {
        self.value.as_str().map_or_else(|| self.expected("a string"), Ok)
    }

    fn items(&self) -> Read<Vec<FieldPlace<'v>>> {
        let Some(items) = self.value.as_array() else { return self.expected("an array") };
        let place = |(index, value)| FieldPlace { at: format!("{}[{index}]", self.at), value };
        Ok(items.iter().enumerate().map(place).collect())
    }

    /// One of the words of an enumeration. Read from text, as the schemas that ship are: a second way to read the same
    /// would be more code in the function's binary.
    fn word<T: DeserializeOwned>(&self) -> Read<T> {
        serde_json::from_str(&self.value.to_string()).or_else(|e| self.refuse(no_such_word(&e)))
    }

    fn below(&self, name: &str) -> Self {
        Self { at: format!("{}.{name}", self.at), value: self.value }
    }
}

impl<'v> Object<'v> {
    fn place(&self, name: &str) -> FieldPlace<'v> {
        let at = if self.at.is_empty() { name.to_owned() } else { format!("{}.{name}", self.at) };
        FieldPlace { at, value: self.fields.get(name).unwrap_or(&Value::Null) }
    }

    fn member(&self, name: &str) -> Option<FieldPlace<'v>> {
        self.fields.contains_key(name).then(|| self.place(name))
    }

    fn needed(&self, name: &str) -> Read<FieldPlace<'v>> {
        self.member(name).map_or_else(|| self.place(name).refuse("is missing; add it"), Ok)
    }

    fn word<T: DeserializeOwned>(&self, name: &str, otherwise: T) -> Read<T> {
        self.member(name).map_or(Ok(otherwise), |place| place.word())
    }

    fn flag(&self, name: &str, otherwise: bool) -> Read<bool> {
        let Some(place) = self.member(name) else { return Ok(otherwise) };
        place.value.as_bool().map_or_else(|| place.expected("a boolean"), Ok)
    }

    fn text_or<'t>(&self, name: &str, otherwise: &'t str) -> Read<&'t str>
    where
        'v: 't,
    {
        self.member(name).map_or(Ok(otherwise), |place| place.text())
    }

    fn items(&self, name: &str) -> Read<Vec<FieldPlace<'v>>> {
        self.member(name).map_or_else(|| Ok(Vec::new()), |place| place.items())
    }
}
