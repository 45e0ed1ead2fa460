//! Filters (RFC 7644 section 3.4.2.2): the tree, and its text.

use std::fmt;

use serde_json::Value;

use super::path::AttributePath;
use crate::limits::MAX_FILTER_BYTES;

pub mod check;
pub mod eval;
pub mod parse;
pub mod plan;

/// A parsed filter. [`Display`](fmt::Display) prints text that parses to the same tree.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// All of them; at least two.
    And(Vec<Filter>),
    /// Any of them; at least two.
    Or(Vec<Filter>),
    /// `not (…)`.
    Not(Box<Filter>),
    /// `path pr`.
    Present(AttributePath),
    /// `path op value`.
    Compare(AttributePath, Operator, Value),
    /// `path[filter]`: one and the same value satisfies the filter. The path has a selector and no sub-attribute.
    ValuePath(AttributePath),
}

/// A comparison operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the RFC's own")]
pub enum Operator {
    Eq,
    Ne,
    Co,
    Sw,
    Ew,
    Gt,
    Ge,
    Lt,
    Le,
}

impl Operator {
    /// Every operator.
    pub const ALL: [Self; 9] =
        [Self::Eq, Self::Ne, Self::Co, Self::Sw, Self::Ew, Self::Gt, Self::Ge, Self::Lt, Self::Le];

    /// The keyword.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Co => "co",
            Self::Sw => "sw",
            Self::Ew => "ew",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.as_str().eq_ignore_ascii_case(word))
    }
}

/// Where and why a filter or path does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at position {position}; {remedy}")]
pub struct SyntaxError {
    /// Offset in bytes from the start of the text.
    pub position: usize,
    /// What is wrong with the text, such as `has no operator`.
    pub message: String,
    /// What to write instead.
    pub remedy: &'static str,
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Examples
    /// ```
    /// use rollcall::scim::filter::Filter;
    ///
    /// let filter = Filter::parse(r#"userName eq "bjensen" and emails[type eq "work"]"#).unwrap();
    /// assert!(matches!(filter, Filter::And(_)));
    /// assert!(Filter::parse("userName like \"b\"").is_err());
    /// ```
    ///
    /// # Errors
    /// Where and why the text is not a filter, or which limit it passes.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        if text.len() > MAX_FILTER_BYTES {
            return Err(SyntaxError {
                position: MAX_FILTER_BYTES,
                message: format!("is longer than {MAX_FILTER_BYTES} bytes"),
                remedy: "send several requests with shorter filters",
            });
        }
        let mut parser = parse::Parser::new(text)?;
        let filter = parser.filter()?;
        parser.end()?;
        Ok(filter)
    }

    /// How many comparisons it makes.
    pub fn terms(&self) -> usize {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().map(Self::terms).sum(),
            Self::Not(inner) => inner.terms(),
            Self::Present(path) | Self::ValuePath(path) | Self::Compare(path, ..) => {
                1 + path.selector.as_ref().map_or(0, |selector| selector.terms())
            }
        }
    }
}

impl Filter {
    /// Whether a path in it begins with such a name.
    pub fn names(&self, is_such: &impl Fn(&str) -> bool) -> bool {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().any(|part| part.names(is_such)),
            Self::Not(inner) => inner.names(is_such),
            Self::Present(path) | Self::ValuePath(path) | Self::Compare(path, ..) => is_such(&path.name),
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(parts) => join(f, parts, " and ", |p| matches!(p, Self::And(_) | Self::Or(_))),
            Self::Or(parts) => join(f, parts, " or ", |p| matches!(p, Self::Or(_))),
            Self::Not(inner) => write!(f, "not ({inner})"),
            Self::Present(path) => write!(f, "{path} pr"),
            Self::Compare(path, op, value) => write!(f, "{path} {} {value}", op.as_str()),
            Self::ValuePath(path) => write!(f, "{path}"),
        }
    }
}

fn join(
    f: &mut fmt::Formatter<'_>,
    parts: &[Filter],
    between: &str,
    needs_parentheses: impl Fn(&Filter) -> bool,
) -> fmt::Result {
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            f.write_str(between)?;
        }
        if needs_parentheses(part) {
            write!(f, "({part})")?;
        } else {
            write!(f, "{part}")?;
        }
    }
    Ok(())
}
