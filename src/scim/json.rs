//! Reading JSON more strictly than serde_json does: repeated names and deep nesting are refused.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

use super::ErrorCode;
use super::ScimError;
use crate::limits::{MAX_JSON_DEPTH, MAX_MEMBERS, MAX_VALUES};

/// From here on not every integer is a double: 2 to the 53.
const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Parses a request body.
///
/// # Errors
/// 400 `invalidSyntax` with line and column for text that is not JSON, that repeats a name in one object
/// (RFC 8259 section 4 leaves its meaning open, so Rollcall does not guess), or that nests too deep.
pub fn parse(body: &[u8]) -> Result<Value, ScimError> {
    utf8(body)?;
    parse_strict(body).map_err(|e| unacceptable("the request body", &e))
}

/// The text, without a byte order mark.
fn utf8(body: &[u8]) -> Result<&str, ScimError> {
    let text = std::str::from_utf8(body).map_err(|error| {
        let detail = format!(
            "the request body is not UTF-8: byte {} is no part of a character; encode JSON as UTF-8 (RFC 8259 section 8.1)",
            error.valid_up_to()
        );
        ScimError::new(ErrorCode::InvalidJson, detail)
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

fn unacceptable(what: &str, error: &serde_json::Error) -> ScimError {
    ScimError::new(ErrorCode::InvalidJson, format!("{what} is not acceptable JSON: {error}; correct it there"))
}

/// The members of a request body that must be an object, each as text that is JSON and was not read any further.
///
/// # Errors
/// As [`parse_object`], of what was read.
pub fn parse_members(body: &[u8]) -> Result<Vec<(String, &RawValue)>, ScimError> {
    let text = utf8(body)?;
    if !text.trim_ascii_start().starts_with('{') {
        return parse_object(body).map(|_| Vec::new());
    }
    let mut de = serde_json::Deserializer::from_str(text);
    let members = Members.deserialize(&mut de).and_then(|members| de.end().map(|()| members));
    members.map_err(|e| unacceptable("the request body", &e))
}

/// A part of a body that was not read any further, `depth` levels below its beginning.
#[derive(Debug, Clone, Copy)]
pub struct UnreadJson<'a> {
    /// The text.
    pub text: &'a RawValue,
    /// How many arrays and objects it is in.
    pub depth: usize,
    /// What it is, for errors.
    pub name: &'a str,
}

impl<'a> UnreadJson<'a> {
    /// Reads it, as strictly as [`parse`] does.
    ///
    /// # Errors
    /// Those of [`parse`], with line and column in the part.
    pub fn parse(self) -> Result<Value, ScimError> {
        let mut de = serde_json::Deserializer::from_str(self.text.get());
        Strict { depth: self.depth }.deserialize(&mut de).map_err(|e| unacceptable(self.name, &e))
    }

    /// The elements of an array, unread; none if it is something else.
    pub fn elements(self) -> Option<Vec<&'a RawValue>> {
        serde_json::from_str(self.text.get()).ok()
    }

    /// The members of an object, unread; none if it is something else.
    ///
    /// # Errors
    /// Those of [`parse`] for the names.
    pub fn members(self) -> Option<Result<Vec<(String, &'a RawValue)>, ScimError>> {
        let is_object = self.text.get().starts_with('{');
        let read = || Members.deserialize(&mut serde_json::Deserializer::from_str(self.text.get()));
        is_object.then(|| read().map_err(|e| unacceptable(self.name, &e)))
    }
}

/// Parses any text, as strictly. A byte order mark before it is skipped (RFC 8259 section 8.1 lets parsers do so).
///
/// # Errors
/// Those of [`parse`], with line and column.
pub fn parse_strict(text: &[u8]) -> Result<Value, serde_json::Error> {
    let mut de = serde_json::Deserializer::from_slice(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text));
    let value = Strict { depth: 0 }.deserialize(&mut de)?;
    de.end().map(|()| value)
}

/// Parses a request body that must be an object.
///
/// # Errors
/// As [`parse`], and 400 `invalidSyntax` for any other JSON value.
pub fn parse_object(body: &[u8]) -> Result<Map<String, Value>, ScimError> {
    match parse(body)? {
        Value::Object(map) => Ok(map),
        other => {
            Err(ScimError::invalid_syntax(format!("the request body must be a JSON object, not {}", type_name(&other))))
        }
    }
}

/// What a value is, for error messages.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Finds a member without regard to case: attribute names are case-insensitive (RFC 7643 section 2.1).
pub fn member<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    map.get(name).or_else(|| map.iter().find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v))
}

/// The name under which a member is held, without regard to case.
pub fn member_name(map: &Map<String, Value>, name: &str) -> Option<String> {
    if map.contains_key(name) {
        return Some(name.to_owned());
    }
    map.keys().find(|k| k.eq_ignore_ascii_case(name)).cloned()
}

/// Drops every null: it means "unassigned" (RFC 7643 section 2.5).
pub fn without_nulls(value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Array(items) => Some(Value::Array(items.into_iter().filter_map(without_nulls).collect())),
        Value::Object(map) => {
            Some(Value::Object(map.into_iter().filter_map(|(k, v)| without_nulls(v).map(|v| (k, v))).collect()))
        }
        other => Some(other),
    }
}

/// What an attribute that no schema declares is given, nulls left out; `at` is its path.
///
/// # Errors
/// 400 `invalidValue` for a list that is too long.
pub fn undeclared(value: Value, at: &str) -> Result<Option<Value>, ScimError> {
    match &value {
        Value::Array(items) if items.len() > MAX_VALUES => {
            let excerpt: String = at.chars().take(128).collect();
            Err(ScimError::new(
                ErrorCode::TooManyValues,
                format!("{excerpt} has more than {MAX_VALUES} values; send fewer"),
            ))
        }
        _ => Ok(without_nulls(value)),
    }
}

/// What an attribute that no schema declares is given: nothing for null, an empty text, list or object.
pub fn assigned(value: Value) -> Option<Value> {
    without_nulls(value).filter(|value| match value {
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        _ => true,
    })
}

/// Reads the names of an object's members, and not their values.
struct Members;

impl<'de> DeserializeSeed<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<Self::Value, D::Error> {
        de.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let (mut seen, mut members) = (BTreeSet::new(), Vec::new());
        while let Some((name, value)) = access.next_entry::<String, &RawValue>()? {
            if !seen.insert(name.clone()) {
                return Err(repeated(&name));
            }
            members.push((name, value));
            if members.len() > MAX_MEMBERS {
                return Err(too_many_members());
            }
        }
        Ok(members)
    }
}

fn repeated<E: Error>(name: &str) -> E {
    let excerpt: String = name.chars().take(64).collect();
    E::custom(format!("the name \"{excerpt}\" is given twice in one object"))
}

fn too_many_members<E: Error>() -> E {
    E::custom(format!("an object has more than {MAX_MEMBERS} members"))
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<Value, D::Error> {
        if self.depth > MAX_JSON_DEPTH {
            return Err(D::Error::custom(format!("nested deeper than {MAX_JSON_DEPTH} levels")));
        }
        de.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_f64<E: Error>(self, v: f64) -> Result<Value, E> {
        // A longer integer would come back as another one.
        let is_exact = v.fract() != 0.0 || v.abs() < LARGEST_EXACT;
        match Number::from_f64(v) {
            Some(number) if is_exact => Ok(Value::Number(number)),
            _ => Err(E::custom("a number is too large to be stored exactly, unless it is sent as text,")),
        }
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_string<E>(self, v: String) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let below = Strict { depth: self.depth + 1 };
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(below)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let below = Strict { depth: self.depth + 1 };
        let mut map = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let value = access.next_value_seed(below)?;
            if map.contains_key(&name) {
                return Err(repeated(&name));
            }
            map.insert(name, value);
            if map.len() > MAX_MEMBERS {
                return Err(too_many_members());
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_names_deep_nesting_and_trailing_text_are_refused() {
        let deep = "[".repeat(200) + &"]".repeat(200);
        for bad in [
            r#"{"a":100000000000000000001}"#,
            r#"{"a":1,"a":2}"#,
            r#"{"a":{"b":1,"b":1}}"#,
            &deep,
            "{} x",
            "",
            "{\"a\":",
        ] {
            assert_eq!(parse(bad.as_bytes()).unwrap_err().status(), 400, "{bad}");
        }
        assert!(parse(b"\xff\xfe").is_err());
        assert!(parse_object(b"[]").is_err());
    }

    #[test]
    fn members_are_read_apart_and_only_where_all_is_json() {
        let text = "\u{feff}{\"a\": [{\"x\": 1, \"x\": 1e999}], \"b\": \"\\ud800\"}";
        let members = parse_members(text.as_bytes()).unwrap();
        let names: Vec<_> = members.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        for (name, text) in &members {
            let part = UnreadJson { text, depth: 1, name };
            assert!(part.parse().unwrap_err().detail.contains(&format!("{name} is not acceptable JSON")), "{name}");
            assert!(part.members().is_none());
        }
        for bad in ["[]", "", "{\"a\":}", "{\"a\":1} x", "{\"a\":1,\"a\":2}", "{\"a\":\"\n\"}", "1e999"] {
            assert_eq!(parse_members(bad.as_bytes()).unwrap_err().status(), 400, "{bad}");
        }
        assert!(parse_members(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn order_and_numbers_survive() {
        let text = r#"{"z":1,"a":[1.5,-2,true,null,"é"],"m":{"y":{},"b":18446744073709551615}}"#;
        assert_eq!(parse(text.as_bytes()).unwrap().to_string(), text);
    }
}
