//! Recursive descent over the grammar of RFC 7644 figure 1, in any case and with bounded depth.

use serde_json::Value;

use super::{Filter, Operator, SyntaxError};
use crate::limits::MAX_FILTER_DEPTH;
use crate::scim::deviation;
use crate::scim::path::AttributePath;

/// A position in the text of a filter or path.
pub struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
    depth: usize,
    in_value_path: bool,
}

type Parsed<T> = Result<T, SyntaxError>;

impl<'a> Parser<'a> {
    /// Starts at the beginning of the text.
    ///
    /// # Errors
    /// When there is no text.
    pub fn new(text: &'a str) -> Parsed<Self> {
        let parser = Self { text, rest: text, depth: 0, in_value_path: false };
        if text.trim().is_empty() {
            return Err(parser.error("is empty", "write an attribute and what it must be"));
        }
        Ok(parser)
    }

    /// Reads a whole filter: alternatives joined by `or`.
    pub(in crate::scim) fn filter(&mut self) -> Parsed<Filter> {
        self.nested(|p| p.sequence("or", Self::conjunction, Filter::Or))
    }

    fn conjunction(&mut self) -> Parsed<Filter> {
        self.sequence("and", Self::term, Filter::And)
    }

    fn sequence(
        &mut self,
        keyword: &str,
        part: fn(&mut Self) -> Parsed<Filter>,
        combine: fn(Vec<Filter>) -> Filter,
    ) -> Parsed<Filter> {
        let first = part(self)?;
        if !self.take_keyword(keyword) {
            return Ok(first);
        }
        let mut parts = vec![first, part(self)?];
        while self.take_keyword(keyword) {
            parts.push(part(self)?);
        }
        Ok(combine(parts))
    }

    fn term(&mut self) -> Parsed<Filter> {
        self.skip_blanks();
        if self.take("(") {
            return self.grouped();
        }
        let start = self.rest;
        if self.take_keyword("not") {
            self.skip_blanks();
            if self.take("(") {
                return Ok(Filter::Not(Box::new(self.grouped()?)));
            }
            self.rest = start;
        }
        self.comparison()
    }

    fn grouped(&mut self) -> Parsed<Filter> {
        let inner = self.filter()?;
        self.expect(")")?;
        Ok(inner)
    }

    fn comparison(&mut self) -> Parsed<Filter> {
        let path = self.path()?;
        self.skip_blanks();
        let at = self.rest;
        let word = self.word();
        if word.eq_ignore_ascii_case("pr") {
            return Ok(Filter::Present(path));
        }
        let is_value_path = path.selector.is_some() && path.sub.is_none();
        let Some(operator) = Operator::parse(word) else {
            self.rest = at;
            if is_value_path {
                return Ok(Filter::ValuePath(path));
            }
            return Err(self.error("has no operator", "write one of eq, ne, co, sw, ew, gt, ge, lt, le and pr"));
        };
        let value = self.value()?;
        Ok(Filter::Compare(path, operator, value))
    }

    /// Reads `[urn:]name[filter].sub`.
    pub(in crate::scim) fn path(&mut self) -> Parsed<AttributePath> {
        self.skip_blanks();
        let before = self.position();
        let token = self.take_while(|c| c.is_ascii_alphanumeric() || "-_$:.".contains(c));
        if token.is_empty() {
            return Err(self.error("has no attribute", "write its path, such as userName"));
        }
        let mut path = AttributePath::from_token(token).map_err(|error| SyntaxError { position: before, ..error })?;
        if self.take("[") {
            path = self.value_path(path)?;
        }
        Ok(path)
    }

    fn value_path(&mut self, path: AttributePath) -> Parsed<AttributePath> {
        if self.in_value_path {
            return Err(self.error("has a value filter inside another one", "join the terms by and instead"));
        }
        if path.sub.is_some() {
            return Err(self.error(
                "has a value filter after a sub-attribute",
                "put it after the attribute, as in emails[type eq \"work\"].value",
            ));
        }
        self.in_value_path = true;
        let selector = self.filter()?;
        self.in_value_path = false;
        self.expect("]")?;
        let sub = if self.take(".") {
            let sub = self.take_while(|c| c.is_ascii_alphanumeric() || "-_$".contains(c));
            if !crate::scim::path::is_name(sub) {
                return Err(self.error("has no sub-attribute after the dot", "write its name"));
            }
            Some(sub.to_owned())
        } else {
            None
        };
        Ok(AttributePath { selector: Some(Box::new(selector)), sub, ..path })
    }

    fn value(&mut self) -> Parsed<Value> {
        self.skip_blanks();
        if self.rest.starts_with('"') {
            return self.string();
        }
        let before = self.rest;
        let token = self.take_while(|c| !c.is_whitespace() && c != ')' && c != ']');
        if !token.is_empty() && !is_bare(token) {
            self.rest = before;
            return Err(self.error(
                "has a text value without double quotes",
                "write it as in userName eq \"bob\" (RFC 7644 section 3.4.2.2)",
            ));
        }
        if token.is_empty() {
            return Err(self.error("has no value to compare with", "write one after the operator"));
        }
        Ok(deviation::unquoted_filter_value(token))
    }

    fn string(&mut self) -> Parsed<Value> {
        let mut escaped = false;
        let end = self.rest.char_indices().skip(1).find(|&(_, c)| {
            let closes = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            closes
        });
        let Some((literal, rest)) = end.and_then(|(i, _)| self.rest.split_at_checked(i + 1)) else {
            return Err(self.error("has a text without a closing quote", "write the double quote at its end"));
        };
        let value: String = serde_json::from_str(literal).map_err(|_| {
            let remedy = "escape quotes, backslashes and control characters (RFC 7644 section 3.4.2.2)";
            self.error("has a text that is no JSON string", remedy)
        })?;
        self.rest = rest;
        Ok(Value::String(value))
    }

    /// Checks that nothing is left.
    pub(in crate::scim) fn end(&mut self) -> Parsed<()> {
        self.skip_blanks();
        match self.rest {
            "" => Ok(()),
            _ => Err(self.error("has unexpected text", "remove it")),
        }
    }

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == MAX_FILTER_DEPTH {
            return Err(
                self.error(&format!("is nested deeper than {MAX_FILTER_DEPTH} levels"), "use fewer parentheses")
            );
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        let start = self.rest;
        self.skip_blanks();
        if self.word().eq_ignore_ascii_case(keyword) && !self.rest.starts_with(['.', ':', '[', '-', '_']) {
            return true;
        }
        self.rest = start;
        false
    }

    fn word(&mut self) -> &'a str {
        self.take_while(|c| c.is_ascii_alphanumeric())
    }

    fn take(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Parsed<()> {
        self.skip_blanks();
        if self.take(token) { Ok(()) } else { Err(self.error(&format!("has no closing {token}"), "add it")) }
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        token
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn position(&self) -> usize {
        self.text.len() - self.rest.len()
    }

    fn error(&self, message: &str, remedy: &'static str) -> SyntaxError {
        SyntaxError { position: self.position(), message: message.to_owned(), remedy }
    }
}

/// Whether a text may stand without quotes: a number, a boolean, null, or one such as `jyoung`. It begins and ends as
/// such a text does, so that no kind of quotation mark, entity or escape is taken for a part of the value: with one it
/// would find nobody and change nothing.
fn is_bare(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-')
        && token.ends_with(|c: char| c.is_ascii_alphanumeric() || "-_.+=/".contains(c))
        && !token.contains('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precedence_is_not_then_and_then_or() {
        let filter = Filter::parse("a eq 1 or b eq 2 and not (c pr) or d[e eq true]").unwrap();
        assert_eq!(filter.to_string(), "a eq 1 or b eq 2 and not (c pr) or d[e eq true]");
        let Filter::Or(parts) = filter else { panic!("{filter:?}") };
        assert_eq!(parts.len(), 3);
        assert!(matches!(parts[1], Filter::And(_)));
    }

    #[test]
    fn clients_spellings_are_read() {
        for (text, printed) in [
            ("USERNAME EQ \"a\\\"b\"", "USERNAME eq \"a\\\"b\""),
            ("members[value eq\"x\"]", "members[value eq \"x\"]"),
            ("externalId eq jyoung", "externalId eq \"jyoung\""),
            ("emails[type eq \"work\"].value eq \"x\"", "emails[type eq \"work\"].value eq \"x\""),
            ("emails[type eq \"work\"] eq \"x\"", "emails[type eq \"work\"] eq \"x\""),
            (
                "meta.created gt 2015-10-10T14:38:21.8617979-07:00",
                "meta.created gt \"2015-10-10T14:38:21.8617979-07:00\"",
            ),
            ("not(a pr)", "not (a pr)"),
            ("notes pr", "notes pr"),
            ("(a pr)and(b pr)", "a pr and b pr"),
        ] {
            assert_eq!(Filter::parse(text).unwrap().to_string(), printed, "{text}");
        }
    }

    #[test]
    fn errors_name_the_position() {
        for (text, position) in [
            ("userName eq", 11),
            ("userName xx \"a\"", 9),
            ("(a pr", 5),
            ("a pr b", 5),
            ("a eq \"x", 5),
            ("a pr and", 8),
            ("a[b[c pr]]", 4),
            ("a.b[c pr]", 4),
        ] {
            assert_eq!(Filter::parse(text).unwrap_err().position, position, "{text}");
        }
    }

    #[test]
    fn quotes_of_other_kinds_are_refused() {
        for quoted in [
            "'x'",
            "`x`",
            "\u{201C}x\u{201D}",
            "\u{2018}x\u{2019}",
            "«x»",
            "'a b'",
            "x'",
            "\u{2032}x\u{2032}",
            "\u{2033}x\u{2033}",
            "\u{2BC}x\u{2BC}",
            "\u{275D}x\u{275E}",
            "&quot;x&quot;",
            "&#39;x&#39;",
            "\\\"x\\\"",
            "%27bob%27",
            "%22bob%22",
            "(x",
            "\u{301D}x\u{301E}",
            "\u{5F3}x",
            "x\"y\"",
            "x\u{2033}",
            "<x>",
            "{x}",
        ] {
            let error = Filter::parse(&format!("userName eq {quoted}")).unwrap_err();
            assert!(error.message.contains("double quotes"), "{quoted}: {error}");
        }
        for bare in
            ["o'brien", "jyoung", "True", "null", "-1", "1.5e3", "a@b.org", "2015-10-10T14:38:21.86+07:00", "YWI="]
        {
            assert!(Filter::parse(&format!("userName eq {bare}")).is_ok(), "{bare}");
        }
    }

    #[test]
    fn depth_and_length_are_bounded() {
        let deep = |n: usize| "(".repeat(n) + "a pr" + &")".repeat(n);
        assert!(Filter::parse(&deep(MAX_FILTER_DEPTH - 1)).is_ok());
        assert!(Filter::parse(&deep(MAX_FILTER_DEPTH)).unwrap_err().message.contains("deeper"));
        assert!(Filter::parse(&format!("a eq \"{}\"", "x".repeat(5000))).unwrap_err().message.contains("longer"));
    }
}
