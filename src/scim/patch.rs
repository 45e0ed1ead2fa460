//! PATCH (RFC 7644 section 3.5.2): operations applied in order to a copy, so that all happen or none.

use serde_json::{Map, Value};

use super::ErrorCode;
use super::document::Document;
use super::json::{member, type_name};
use super::path::AttributePath;
use super::schema::ResourceSchema;
use super::{ScimError, deviation};
use crate::limits::MAX_PATCH_OPERATIONS;

mod place;
mod target;
mod values;

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the RFC's own")]
pub enum Kind {
    Add,
    Replace,
    Remove,
}

/// One operation of a PATCH request.
#[derive(Debug, Clone, PartialEq)]
pub struct PatchOperation {
    /// What to do.
    pub kind: Kind,
    /// Where; the whole resource if absent.
    pub path: Option<AttributePath>,
    /// With what.
    pub value: Option<Value>,
}

/// Reads the body of a PATCH request. An empty list of operations is accepted: Microsoft's validator sends one
/// (scimmy#59).
///
/// # Errors
/// 400 `invalidSyntax`, `invalidPath` or `invalidValue` naming the operation; 413 for too many.
pub fn parse(body: &Map<String, Value>) -> Result<Vec<PatchOperation>, ScimError> {
    let operations = match member(body, "Operations") {
        Some(Value::Array(operations)) => operations,
        Some(other) => {
            return Err(ScimError::invalid_syntax(format!(
                "Operations must be an array, not {} (RFC 7644 section 3.5.2)",
                type_name(other)
            )));
        }
        None => {
            return Err(ScimError::invalid_syntax(
                "Operations is missing; send an array of operations (RFC 7644 section 3.5.2)",
            ));
        }
    };
    if operations.len() > MAX_PATCH_OPERATIONS {
        return Err(ScimError::new(
            ErrorCode::TooManyOperations,
            format!(
                "Operations has {} operations, more than {MAX_PATCH_OPERATIONS}; send them in several requests",
                operations.len()
            ),
        ));
    }
    operations.iter().enumerate().map(|(index, operation)| numbered(index, PatchOperation::parse(operation))).collect()
}

impl PatchOperation {
    fn parse(operation: &Value) -> Result<Self, ScimError> {
        let Value::Object(operation) = operation else {
            return Err(ScimError::invalid_syntax(format!(
                "the operation must be an object, not {}",
                type_name(operation)
            )));
        };
        let kind = match member(operation, "op").and_then(Value::as_str).map(deviation::operation_name).as_deref() {
            Some("add") => Kind::Add,
            Some("replace") => Kind::Replace,
            Some("remove") => Kind::Remove,
            _ => return Err(ScimError::invalid_syntax("op must be add, replace or remove")),
        };
        let path = match member(operation, "path") {
            None | Some(Value::Null) => None,
            Some(Value::String(path)) if path.is_empty() => None,
            Some(Value::String(path)) => Some(
                AttributePath::parse(path)
                    .map_err(|e| ScimError::invalid_path(format!("path \"{}\" {e}", excerpt(path))))?,
            ),
            Some(other) => return Err(ScimError::invalid_path(format!("path must be text, not {}", type_name(other)))),
        };
        let value = member(operation, "value").cloned();
        match (kind, &path, &value) {
            (Kind::Add | Kind::Replace, _, None) => {
                Err(ScimError::invalid_value("value is missing; send what to add or replace"))
            }
            (Kind::Add | Kind::Replace, None, Some(value)) if !value.is_object() => Err(ScimError::invalid_value(
                format!("value must be an object of attributes where there is no path, not {}", type_name(value)),
            )),
            (Kind::Remove, None, _) => {
                Err(ScimError::no_target("path is missing; name what to remove (RFC 7644 section 3.5.2.2)"))
            }
            _ => Ok(Self { kind, path, value }),
        }
    }
}

/// Applies operations to a document. `on_time` is asked before each of them: one is a few milliseconds' work, and a
/// thousand would outlive the request.
///
/// # Examples
/// ```
/// use rollcall::scim::{Document, patch};
///
/// let schema = rollcall::scim::Schemas::standard().unwrap().user;
/// let object = |value: serde_json::Value| value.as_object().unwrap().clone();
/// let user = Document::from_request(object(serde_json::json!({"userName": "ada"})), &schema).unwrap();
/// let body = object(serde_json::json!({"Operations": [{"op": "Replace", "path": "active", "value": "False"}]}));
/// let operations = patch::parse(&body).unwrap();
/// let changed = patch::apply(&user, &operations, &schema, &|| Ok(())).unwrap();
/// assert_eq!(changed.to_stored(), r#"{"userName":"ada","active":false}"#);
/// ```
///
/// # Errors
/// 400 naming the operation, the attribute and the rule, or what `on_time` says; the document given is untouched in any case.
pub fn apply(
    document: &Document,
    operations: &[PatchOperation],
    schema: &ResourceSchema,
    on_time: &dyn Fn() -> Result<(), ScimError>,
) -> Result<Document, ScimError> {
    let mut patched = document.clone();
    for (index, operation) in operations.iter().enumerate() {
        on_time()?;
        numbered(index, apply_one(&mut patched, operation, schema))?;
    }
    patched.check_required(schema)?;
    Ok(patched)
}

fn apply_one(document: &mut Document, operation: &PatchOperation, schema: &ResourceSchema) -> Result<(), ScimError> {
    let mut target = target::PatchTarget { attributes: document.attributes_mut(), schema };
    match (operation.kind, &operation.path, &operation.value) {
        (Kind::Remove, Some(path), value) => target.remove(path, value.as_ref()),
        (kind, Some(path), Some(value)) => target.write(path, value, kind),
        (kind, None, Some(Value::Object(attributes))) => target.write_each(attributes, kind),
        // `Operation::parse` lets nothing else through.
        _ => Err(ScimError::invalid_syntax("the operation lacks a path or a value; send both")),
    }
}

/// Adds what a path names a part of, in a POST or PUT as in a PATCH.
///
/// # Errors
/// 400 naming the attribute and the rule.
pub(super) fn add(
    attributes: &mut Map<String, Value>,
    path: &AttributePath,
    value: &Value,
    schema: &ResourceSchema,
) -> Result<(), ScimError> {
    target::PatchTarget { attributes, schema }.write(path, value, Kind::Add)
}

fn numbered<T>(index: usize, outcome: Result<T, ScimError>) -> Result<T, ScimError> {
    outcome.map_err(|error| ScimError { detail: format!("Operations[{index}]: {}", error.detail), ..error })
}

fn excerpt(text: &str) -> String {
    text.chars().take(128).collect()
}
