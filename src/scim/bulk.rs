//! Bulk (RFC 7644 section 3.7): what a request holds, and what is answered. How its operations hang together is in
//! [`order`].

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::ErrorCode;
use super::json::{UnreadJson, member, parse_members, type_name};
use super::{ScimError, deviation};
use crate::limits::MAX_BULK_OPERATIONS;

pub mod order;

const REQUEST_URN: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
const RESPONSE_URN: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";

/// What a reference to a resource begins with that another operation creates (RFC 7644 section 3.7.2).
const REFERENCE: &str = "bulkId:";

/// A request. Operations that break a rule are among its operations.
#[derive(Debug, Clone, PartialEq)]
pub struct BulkRequest {
    /// After how many errors no further operation is begun.
    pub fail_on_errors: Option<usize>,
    /// What to do.
    pub operations: Vec<BulkOperation>,
}

/// One operation.
#[derive(Debug, Clone, PartialEq)]
pub struct BulkOperation {
    /// Its HTTP method; none where it names none.
    pub method: Option<Method>,
    /// The client's name for what it creates.
    pub bulk_id: Option<String>,
    /// The ETag that the resource must have.
    pub version: Option<String>,
    /// `/Users` for a POST, else `/Users/{id}`; empty where it has no such form.
    pub path: String,
    /// The body; null for none.
    pub data: Value,
    /// The rule that it breaks, if any. It fails with this, and the others do not fail with it.
    pub refusal: Option<ScimError>,
}

/// The methods that an operation may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are HTTP's own")]
pub enum Method {
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// Its name in HTTP.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

impl BulkRequest {
    /// Reads the body of a request. A message that is no Bulk is refused whole, before anything is done; an operation that
    /// breaks a rule, one of JSON included, fails alone (RFC 7644 section 3.7.3).
    ///
    /// # Examples
    /// ```
    /// use rollcall::scim::bulk::BulkRequest;
    ///
    /// let body = serde_json::json!({
    ///     "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
    ///     "Operations": [{"method": "POST", "path": "/Users", "bulkId": "a", "data": {"userName": "ada"}}],
    /// });
    /// let request = BulkRequest::parse(body.to_string().as_bytes()).unwrap();
    /// assert_eq!(request.operations.len(), 1);
    /// ```
    ///
    /// # Errors
    /// 400 naming the attribute and the rule, and for a body that is no JSON; 413 for too many operations.
    pub fn parse(body: &[u8]) -> Result<Self, ScimError> {
        let (body, operations) = message(body)?;
        check_schemas(member(&body, "schemas"))?;
        let fail_on_errors = fail_on_errors(member(&body, "failOnErrors"))?;
        let operations = match operations.map(|part| part.elements().ok_or(part)) {
            Some(Ok(operations)) => operations,
            Some(Err(part)) => {
                return Err(syntax(format!("Operations must be an array, not {}", type_name(&part.parse()?))));
            }
            None => return Err(syntax("Operations is missing; send an array of operations")),
        };
        if operations.len() > MAX_BULK_OPERATIONS {
            let count = operations.len();
            let detail = format!(
                "Operations has {count} operations, more than {MAX_BULK_OPERATIONS}; send them in several requests"
            );
            return Err(ScimError::new(ErrorCode::TooManyOperations, detail));
        }
        let mut operations: Vec<_> = operations.into_iter().map(BulkOperation::parse).collect();
        refuse_repeated(&mut operations);
        for (index, refusal) in operations.iter_mut().enumerate().filter_map(|(i, o)| Some((i, o.refusal.as_mut()?))) {
            refusal.detail = format!("Operations[{index}]: {}", refusal.detail);
        }
        Ok(Self { fail_on_errors, operations })
    }
}

/// What stands around the operations, and the operations, unread.
fn message(body: &[u8]) -> Result<(Map<String, Value>, Option<UnreadJson<'_>>), ScimError> {
    let mut members = parse_members(body)?;
    let is_exactly = |(name, _): &(String, &RawValue)| name == "Operations";
    let is_nearly = |(name, _): &(String, &RawValue)| name.eq_ignore_ascii_case("Operations");
    let place = members.iter().position(is_exactly).or_else(|| members.iter().position(is_nearly));
    let operations = place.map(|place| UnreadJson { text: members.remove(place).1, depth: 1, name: "Operations" });
    let read = |(name, text): (String, &RawValue)| {
        let value = UnreadJson { text, depth: 1, name: "the request body" }.parse()?;
        Ok((name, value))
    };
    Ok((members.into_iter().map(read).collect::<Result<_, ScimError>>()?, operations))
}

fn check_schemas(schemas: Option<&Value>) -> Result<(), ScimError> {
    let is_it = |urn: &Value| urn.as_str().is_some_and(|urn| urn.eq_ignore_ascii_case(REQUEST_URN));
    match schemas {
        Some(Value::Array(urns)) if urns.iter().any(is_it) => Ok(()),
        _ => Err(syntax(format!("schemas must name {REQUEST_URN}"))),
    }
}

fn fail_on_errors(value: Option<&Value>) -> Result<Option<usize>, ScimError> {
    let count = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value.as_u64().and_then(|count| usize::try_from(count).ok()),
    };
    match count {
        Some(1..) => Ok(count),
        _ => Err(ScimError::invalid_value("failOnErrors must be a whole number from 1 (RFC 7644 section 3.7)")),
    }
}

/// Of operations with one bulkId the first has it.
fn refuse_repeated(operations: &mut [BulkOperation]) {
    let mut seen = BTreeSet::new();
    for operation in operations {
        if let Some(id) = operation.bulk_id.as_ref().filter(|id| !seen.insert((*id).clone())) {
            let detail = format!("bulkId {} repeats that of another operation; give each its own", excerpt(id));
            operation.refusal.get_or_insert(ScimError::invalid_value(detail));
        }
    }
}

impl BulkOperation {
    fn parse(operation: &RawValue) -> Self {
        let mut parsed =
            Self { method: None, bulk_id: None, version: None, path: String::new(), data: Value::Null, refusal: None };
        let operation = UnreadJson { text: operation, depth: 2, name: "the operation" };
        parsed.refusal = match operation.members() {
            Some(Ok(members)) => {
                let (mut known, mut unread) = (Map::new(), None);
                for (name, text) in members {
                    match (UnreadJson { text, depth: 3, name: &excerpt(&name) }).parse() {
                        Ok(value) => drop(known.insert(name, value)),
                        Err(error) => drop(unread.get_or_insert(error)),
                    }
                }
                let broken = parsed.read(&known).err();
                unread.or(broken)
            }
            Some(Err(error)) => Some(error),
            None => Some(operation.parse().map_or_else(
                |error| error,
                |other| syntax(format!("the operation must be an object, not {}", type_name(&other))),
            )),
        };
        parsed
    }

    /// Reads member by member, so that the answer names as much as it can of an operation that breaks a rule.
    fn read(&mut self, operation: &Map<String, Value>) -> Result<(), ScimError> {
        let bulk_id = text(operation, "bulkId");
        self.bulk_id = bulk_id.as_ref().ok().cloned().flatten();
        let method = method(member(operation, "method"))?;
        self.method = Some(method);
        if bulk_id?.is_none() && method == Method::Post {
            return Err(ScimError::invalid_value("bulkId is missing; a POST needs one (RFC 7644 section 3.7)"));
        }
        let path = text(operation, "path")?.ok_or_else(|| syntax("path is missing; send one such as /Users"))?;
        check_path(method, &path)?;
        self.path = path;
        let version = text(operation, "version")?;
        if version.as_ref().is_some_and(|version| !version.chars().all(|c| c == ' ' || c.is_ascii_graphic())) {
            return Err(ScimError::invalid_value("version must be an ETag"));
        }
        self.version = version;
        self.data = data(method, member(operation, "data"))?;
        Ok(())
    }

    /// Whether it creates a resource, or would.
    pub fn is_post(&self) -> bool {
        self.method == Some(Method::Post)
    }

    /// The resource that the path names; none for a POST.
    fn resource(&self) -> Option<&str> {
        if self.is_post() { None } else { self.path.rsplit('/').next().filter(|id| !id.is_empty()) }
    }

    /// The bulkIds that it refers to, in its path and wherever a text of its data is a reference and no more.
    fn references(&self) -> BTreeSet<&str> {
        let mut found: BTreeSet<_> = self.resource().and_then(reference).into_iter().collect();
        visit(&self.data, &mut |text| found.extend(reference(text)));
        found
    }

    /// The path, with the id in the place of a reference; nothing while that is not known.
    pub fn resolved_path(&self, ids: &BTreeMap<&str, String>) -> Option<String> {
        let Some((endpoint, id)) = self.path.rsplit_once('/') else { return Some(self.path.clone()) };
        match reference(id) {
            Some(bulk_id) => ids.get(bulk_id).map(|id| format!("{endpoint}/{id}")),
            None => Some(self.path.clone()),
        }
    }

    /// The data, with ids in the place of references.
    pub fn resolved_data(&self, ids: &BTreeMap<&str, String>) -> Value {
        let mut data = self.data.clone();
        resolve(&mut data, ids);
        data
    }
}

fn method(value: Option<&Value>) -> Result<Method, ScimError> {
    let name = value.and_then(Value::as_str).unwrap_or_default();
    [Method::Post, Method::Put, Method::Patch, Method::Delete]
        .into_iter()
        .find(|method| method.as_str().eq_ignore_ascii_case(name))
        .ok_or_else(|| ScimError::invalid_value("method must be POST, PUT, PATCH or DELETE (RFC 7644 section 3.7)"))
}

/// A text that is not empty.
fn text(operation: &Map<String, Value>, name: &str) -> Result<Option<String>, ScimError> {
    match member(operation, name) {
        Some(value) if !deviation::is_unassigned(value) => match value {
            Value::String(text) => Ok(Some(text.clone())),
            other => Err(ScimError::invalid_value(format!("{name} must be text, not {}", type_name(other)))),
        },
        _ => Ok(None),
    }
}

/// No id and no endpoint needs to be encoded; so one resource is written in one way, and its operations stay in order.
fn check_path(method: Method, path: &str) -> Result<(), ScimError> {
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '%');
    let is_segment = |segment: &str| !segment.is_empty() && (is_reference(segment) || segment.chars().all(is_plain));
    let (form, length) = if method == Method::Post { ("/Users", 1) } else { ("/Users/{id}", 2) };
    let segments = path.strip_prefix('/').map(|path| path.split('/').collect::<Vec<_>>()).unwrap_or_default();
    if segments.len() != length || !segments.into_iter().all(is_segment) {
        return Err(ScimError::invalid_value(format!(
            "path {} must have the form {form} for a {}, without query, percent-encoding or a slash at the end",
            excerpt(path),
            method.as_str()
        )));
    }
    Ok(())
}

fn data(method: Method, data: Option<&Value>) -> Result<Value, ScimError> {
    match (method, data) {
        (Method::Delete, _) => Ok(Value::Null),
        (_, None | Some(Value::Null)) => {
            Err(ScimError::invalid_value(format!("data is missing; a {} needs it", method.as_str())))
        }
        (Method::Patch, Some(Value::Array(operations))) => Ok(deviation::patch_from_operations(operations)),
        (_, Some(data @ Value::Object(_))) => Ok(data.clone()),
        (_, Some(other)) => Err(ScimError::invalid_value(format!("data must be an object, not {}", type_name(other)))),
    }
}

fn reference(text: &str) -> Option<&str> {
    text.strip_prefix(REFERENCE).filter(|bulk_id| !bulk_id.is_empty())
}

fn is_reference(text: &str) -> bool {
    reference(text).is_some()
}

/// Visits every text in a value.
fn visit<'a>(value: &'a Value, see: &mut impl FnMut(&'a str)) {
    match value {
        Value::String(text) => see(text),
        Value::Array(items) => items.iter().for_each(|item| visit(item, see)),
        Value::Object(members) => members.values().for_each(|member| visit(member, see)),
        _ => {}
    }
}

fn resolve(value: &mut Value, ids: &BTreeMap<&str, String>) {
    match value {
        Value::String(text) => {
            if let Some(id) = reference(text).and_then(|bulk_id| ids.get(bulk_id)) {
                text.clone_from(id);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| resolve(item, ids)),
        Value::Object(members) => members.values_mut().for_each(|member| resolve(member, ids)),
        _ => {}
    }
}

/// What became of an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationOutcome {
    /// HTTP status code.
    pub status: u16,
    /// Where the resource is, if it is known.
    pub location: Option<String>,
    /// Its ETag.
    pub version: Option<String>,
    /// Why it failed.
    pub error: Option<ScimError>,
}

impl OperationOutcome {
    /// A failure.
    pub fn failed(error: ScimError, location: Option<String>) -> Self {
        Self { status: error.status(), location, version: None, error: Some(error) }
    }

    /// The operation's place in the response. A success has its location and version alone, a failure its
    /// error (RFC 7644 section 3.7.3).
    fn to_json(&self, operation: &BulkOperation) -> Value {
        let members = [
            ("method", operation.method.map(|method| method.as_str().into())),
            ("bulkId", operation.bulk_id.as_deref().map(Value::from)),
            ("location", self.location.as_deref().map(Value::from)),
            ("version", self.version.as_deref().map(Value::from)),
            ("status", Some(self.status.to_string().into())),
            ("response", self.error.as_ref().map(ScimError::to_json)),
        ];
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

/// The body of the response, in the order of the request; without the operations that were not begun because of
/// `failOnErrors`.
pub fn response<'a>(outcomes: impl Iterator<Item = (&'a BulkOperation, &'a OperationOutcome)>) -> Map<String, Value> {
    let operations = outcomes.map(|(operation, outcome)| outcome.to_json(operation)).collect();
    Map::from_iter([("schemas".to_owned(), json!([RESPONSE_URN])), ("Operations".to_owned(), operations)])
}

fn syntax(detail: impl Into<String>) -> ScimError {
    let detail = detail.into();
    ScimError::invalid_syntax(format!("{detail} (RFC 7644 section 3.7)"))
}

fn excerpt(text: &str) -> String {
    text.chars().take(128).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: Value) -> Result<BulkRequest, ScimError> {
        BulkRequest::parse(body.to_string().as_bytes())
    }

    fn of(operations: Value) -> Value {
        json!({"schemas": [REQUEST_URN], "Operations": operations})
    }

    fn post(bulk_id: &str) -> Value {
        json!({"method": "POST", "path": "/Users", "bulkId": bulk_id, "data": {}})
    }

    /// What is said of the operation that breaks a rule.
    fn refused(operations: Value) -> ScimError {
        let request = parse(of(operations)).unwrap();
        request.operations.into_iter().find_map(|operation| operation.refusal).unwrap()
    }

    #[test]
    fn a_message_that_is_no_bulk_is_refused_whole() {
        for (body, named) in [
            (json!({"Operations": []}), "schemas"),
            (json!({"schemas": ["urn:other"], "Operations": []}), "schemas"),
            (json!({"schemas": [REQUEST_URN]}), "Operations is missing; send an array of operations"),
            (of(json!({})), "Operations must be an array"),
            (json!({"schemas": [REQUEST_URN], "Operations": [], "failOnErrors": 0}), "failOnErrors"),
            (json!({"schemas": [REQUEST_URN], "Operations": [], "failOnErrors": "1"}), "failOnErrors"),
            (json!({"schemas": [REQUEST_URN], "Operations": [], "failOnErrors": 1.5}), "failOnErrors"),
        ] {
            let error = parse(body.clone()).unwrap_err();
            assert!(error.status() == 400 && error.detail.contains(named), "{body}: {}", error.detail);
        }
    }

    #[test]
    fn each_rule_that_an_operation_breaks_is_named() {
        for (operations, named) in [
            (json!([post("a"), 1]), "Operations[1]: the operation must be an object"),
            (json!([{"method": "GET", "path": "/Users/1"}]), "Operations[0]: method"),
            (json!([{"path": "/Users/1"}]), "method"),
            (json!([{"method": "POST", "path": "/Users", "data": {}}]), "bulkId is missing"),
            (json!([{"method": "POST", "path": "/Users", "bulkId": 1, "data": {}}]), "bulkId must be text"),
            (json!([post("a"), post("a")]), "Operations[1]: bulkId a"),
            (json!([{"method": "POST", "path": "/Users", "bulkId": "a"}]), "data is missing"),
            (json!([{"method": "PUT", "path": "/Users/1", "data": []}]), "data must be an object"),
            (json!([{"method": "PATCH", "path": "/Users/1", "data": null}]), "data is missing"),
            (json!([{"method": "DELETE"}]), "path is missing; send one such as /Users"),
            (json!([{"method": "DELETE", "path": "/Users/1", "version": "\n"}]), "version"),
        ] {
            let error = refused(operations.clone());
            assert!(error.status() == 400 && error.detail.contains(named), "{operations}: {}", error.detail);
        }
    }

    #[test]
    fn a_path_names_an_endpoint_for_a_post_and_a_resource_for_the_rest() {
        for path in
            ["Users/1", "/Users", "/Users/", "//1", "/Users/1/", "/Users/1/2", "/Users/1?a", "/Users/%31", "/a/b c"]
        {
            assert!(refused(json!([{"method": "DELETE", "path": path}])).detail.contains("path"), "{path}");
        }
        let mut long = post("a");
        long["path"] = json!("/Users/1");
        assert!(refused(json!([long])).detail.contains("path"));
        for path in ["/Users/1", "/Users/bulkId:ä b", "/GroupMembers/a.b"] {
            let request = parse(of(json!([{"method": "DELETE", "path": path}]))).unwrap();
            assert_eq!(request.operations[0].refusal, None, "{path}");
        }
    }

    #[test]
    fn of_a_broken_operation_is_kept_what_can_be_read() {
        let request = parse(of(json!([{"method": "put", "path": "/Users/1", "bulkId": "b", "data": 7}]))).unwrap();
        let operation = &request.operations[0];
        assert_eq!((operation.method, operation.path.as_str()), (Some(Method::Put), "/Users/1"));
        assert_eq!((operation.bulk_id.as_deref(), &operation.data), (Some("b"), &Value::Null));
    }

    #[test]
    fn what_is_wrong_with_the_json_of_one_operation_is_its_own_affair() {
        let deep = format!("{}{}", "[".repeat(31), "]".repeat(31));
        let many: Vec<_> = (0..1_001).map(|n| format!("\"a{n}\":1")).collect();
        let many = format!("{{{}}}", many.join(","));
        for bad in ["{\"a\":1,\"a\":2}", &deep, "{\"a\":1e999}", &many, "{\"a\":\"\\ud800\"}", "{\"\\udfff\":1}"] {
            let bad = format!("{{\"method\":\"PUT\",\"path\":\"/Users/1\",\"bulkId\":\"b\",\"data\":{bad}}}");
            let body = format!("{{\"schemas\":[\"{REQUEST_URN}\"],\"Operations\":[{bad},{}]}}", post("c"));
            let operations = BulkRequest::parse(body.as_bytes()).unwrap().operations;
            let refusal = operations[0].refusal.as_ref().unwrap();
            assert_eq!((refusal.status(), refusal.code), (400, ErrorCode::InvalidJson), "{bad}");
            assert!(refusal.detail.starts_with("Operations[0]: data is not acceptable JSON"), "{}", refusal.detail);
            assert_eq!((operations[0].method, operations[0].bulk_id.as_deref()), (Some(Method::Put), Some("b")));
            assert_eq!(operations[1].refusal, None);
        }
        for (operation, part) in
            [("1e999", "the operation"), ("{\"a\":1,\"a\":1}", "twice"), ("{\"\\ud800\":1}", "operation")]
        {
            let body = format!("{{\"schemas\":[\"{REQUEST_URN}\"],\"Operations\":[{operation}]}}");
            let refusal = BulkRequest::parse(body.as_bytes()).unwrap().operations.remove(0).refusal.unwrap();
            assert!(refusal.detail.contains(part), "{operation}: {}", refusal.detail);
        }
        let unread = format!("{{\"schemas\":[\"{REQUEST_URN}\"],\"Operations\":[{},]}}", post("c"));
        assert_eq!(BulkRequest::parse(unread.as_bytes()).unwrap_err().code, ErrorCode::InvalidJson);
    }

    #[test]
    fn names_are_read_in_any_case_and_the_rfcs_bare_list_of_a_patch() {
        let body = json!({"SCHEMAS": [REQUEST_URN.to_uppercase()], "operations": [
            {"METHOD": "patch", "Path": "/Users/1", "DATA": [{"op": "remove", "path": "nickName"}]}]});
        let request = parse(body).unwrap();
        assert_eq!(request.operations[0].method, Some(Method::Patch));
        assert_eq!(request.operations[0].data["Operations"][0]["op"], "remove");
    }

    #[test]
    fn a_reference_is_a_whole_text_at_any_depth_or_the_end_of_a_path() {
        let request = parse(of(json!([{"method": "PUT", "path": "/Groups/bulkId:g", "data": {
            "displayName": "bulkId:", "title": "see bulkId:no", "members": [{"value": "bulkId:a"}, ["bulkId:b"]]}}])));
        let operation = &request.unwrap().operations[0];
        assert_eq!(operation.references(), BTreeSet::from(["a", "b", "g"]));
        let ids = BTreeMap::from([("a", "1".to_owned()), ("b", "2".to_owned())]);
        assert_eq!(operation.resolved_data(&ids)["members"], json!([{"value": "1"}, ["2"]]));
        assert_eq!(operation.resolved_path(&ids), None);
        assert_eq!(operation.resolved_path(&BTreeMap::from([("g", "3".to_owned())])).unwrap(), "/Groups/3");
    }
}
