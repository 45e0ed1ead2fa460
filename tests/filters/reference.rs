//! What a filter means, written down once more from the RFC's text and from nothing in `src/`: slow, plain, and on the
//! JSON that a client sees.

use std::cmp::Ordering;
use std::fmt;

use serde_json::Value;

/// The data types of RFC 7643 section 2.3 that are compared in different ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string or a reference.
    Text,
    Boolean,
    DateTime,
    /// A decimal or an integer.
    Number,
    Binary,
    /// A complex one without a `value` to compare.
    Complex,
    /// An extension as a whole: it is there or not, and is no attribute to compare.
    Extension,
}

#[derive(Debug)]
pub struct Attribute {
    /// As it is written in a filter.
    pub name: &'static str,
    /// Where it is in the JSON.
    pub path: &'static [&'static str],
    pub kind: Kind,
    pub case_exact: bool,
}

pub const OPERATORS: [&str; 9] = ["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"];

#[derive(Debug, Clone)]
pub enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Present(&'static Attribute),
    Compare(&'static Attribute, &'static str, Value),
    /// `emails[…]`
    ValuePath(&'static str, Box<Filter>),
    /// `emails[…].value eq "x"`, which the RFC's grammar has for PATCH alone.
    Selected(&'static str, Box<Filter>, Box<Filter>),
}

impl Filter {
    pub fn not(inner: Self) -> Self {
        Self::Not(Box::new(inner))
    }

    /// Whether a resource satisfies it.
    pub fn holds(&self, resource: &Value) -> bool {
        self.holds_below(resource, 0)
    }

    /// `depth` is how much of an attribute's path leads to `node`: one segment within a value path.
    fn holds_below(&self, node: &Value, depth: usize) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.holds_below(node, depth)),
            Self::Or(parts) => parts.iter().any(|part| part.holds_below(node, depth)),
            Self::Not(inner) => !inner.holds_below(node, depth),
            Self::Present(attribute) => !values(node, &attribute.path[depth..]).is_empty(),
            // Unassigned and null are the same (RFC 7643 section 2.5).
            Self::Compare(attribute, operator, Value::Null) => {
                (*operator == "ne") != values(node, &attribute.path[depth..]).is_empty()
            }
            Self::Compare(attribute, operator, operand) => {
                attribute.holds(operator, operand, &attribute.compared(node, depth))
            }
            Self::ValuePath(parent, inner) => values(node, &[parent]).into_iter().any(|v| inner.holds_below(v, 1)),
            Self::Selected(parent, selector, inner) => {
                values(node, &[parent]).into_iter().any(|v| selector.holds_below(v, 1) && inner.holds_below(v, 1))
            }
        }
    }
}

impl Attribute {
    /// Whether the operator makes no sense on the type, and is answered with 400 `invalidFilter`.
    pub fn refuses(&self, operator: &str, operand: &Value) -> bool {
        let is_order = ["gt", "ge", "lt", "le"].contains(&operator);
        let is_part = ["co", "sw", "ew"].contains(&operator);
        match self.kind {
            // Null is no value to order by or to look into: the RFC is silent, the server's rule.
            _ if operand.is_null() => is_order || is_part,
            // RFC 7644 section 3.4.2.2 has the order refused; that a boolean has no parts is the server's rule.
            Kind::Boolean => is_order || is_part,
            Kind::Binary => is_order,
            Kind::Complex | Kind::Extension => true,
            Kind::Text | Kind::DateTime | Kind::Number => false,
        }
    }

    /// The values to compare: of a complex one its `value`, as `emails co "example.com"` of RFC 7644 section 3.4.2.2
    /// means it. A `primary` that is not there is false (RFC 7643 section 2.4).
    fn compared<'v>(&self, node: &'v Value, depth: usize) -> Vec<&'v Value> {
        let path = &self.path[depth..];
        if let Some((&"primary", parents)) = path.split_last() {
            let elements = values(node, parents).into_iter();
            return elements.map(|element| element.get("primary").unwrap_or(&Value::Bool(false))).collect();
        }
        values(node, path).into_iter().filter_map(|v| if v.is_object() { v.get("value") } else { Some(v) }).collect()
    }

    /// Any value will do (RFC 7644 section 3.4.2.2). Without one, `ne` holds and nothing else: there the RFC is silent.
    fn holds(&self, operator: &str, operand: &Value, values: &[&Value]) -> bool {
        let is_vacuous = operator == "ne" && values.is_empty();
        is_vacuous || values.iter().any(|value| self.compares(value, operator, operand))
    }

    fn compares(&self, value: &Value, operator: &str, operand: &Value) -> bool {
        let is_part = ["co", "sw", "ew"].contains(&operator);
        match self.kind {
            Kind::Boolean => ordered(operator, value.as_bool().cmp(&operand.as_bool())),
            Kind::Number => !is_part && ordered(operator, order_of_numbers(value, operand)),
            Kind::DateTime if !is_part => ordered(operator, instant(value).cmp(&instant(operand))),
            _ => {
                let spelt =
                    |v: &Value| if self.case_exact { v.as_str().unwrap().into() } else { fold(v.as_str().unwrap()) };
                let (value, mut operand): (String, String) = (spelt(value), spelt(operand));
                // An id has one value however it is spelled, as in the address of a resource: the server's rule.
                if self.name == "id" && ["eq", "ne"].contains(&operator) && operand.eq_ignore_ascii_case(&value) {
                    operand.clone_from(&value);
                }
                match operator {
                    "co" => value.contains(&operand),
                    "sw" => value.starts_with(&operand),
                    "ew" => value.ends_with(&operand),
                    _ => ordered(operator, value.cmp(&operand)),
                }
            }
        }
    }
}

fn ordered(operator: &str, order: Ordering) -> bool {
    match operator {
        "eq" => order.is_eq(),
        "ne" => order.is_ne(),
        "gt" => order.is_gt(),
        "ge" => order.is_ge(),
        "lt" => order.is_lt(),
        "le" => order.is_le(),
        other => unreachable!("{other} is no order"),
    }
}

/// Every value at a path, whichever of its parts are lists.
pub fn values<'v>(node: &'v Value, path: &[&str]) -> Vec<&'v Value> {
    match (node, path) {
        (Value::Array(items), _) => items.iter().flat_map(|item| values(item, path)).collect(),
        (_, []) => vec![node],
        (_, [first, rest @ ..]) => node.get(first).map_or_else(Vec::new, |next| values(next, rest)),
    }
}

/// Integers are whole (RFC 7643 section 2.3.4): none is rounded to a double first.
fn order_of_numbers(a: &Value, b: &Value) -> Ordering {
    let integer = |v: &Value| v.as_number().and_then(serde_json::Number::as_i128);
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.as_f64().unwrap().total_cmp(&b.as_f64().unwrap()),
    }
}

/// Without a zone it is taken as UTC: RFC 7643 section 2.3.5 leaves it open.
fn instant(value: &Value) -> jiff::Timestamp {
    let text = value.as_str().unwrap();
    text.parse().or_else(|_| format!("{text}Z").parse()).unwrap()
}

/// The case folding of Unicode's CaseFolding.txt (C and F) for the letters in the test's words, composed.
fn fold(text: &str) -> String {
    let composed = text.replace("e\u{301}", "é").replace("E\u{301}", "É");
    let mut folded = String::new();
    for letter in composed.chars() {
        match letter {
            'A'..='Z' => folded.push(letter.to_ascii_lowercase()),
            'ß' | 'ẞ' => folded.push_str("ss"),
            'ſ' => folded.push('s'),
            'É' => folded.push('é'),
            'Σ' | 'ς' => folded.push('σ'),
            'İ' => folded.push_str("i\u{307}"),
            other => folded.push(other),
        }
    }
    folded
}

/// Prints a filter; `{:#}` with names and operators in capitals, which mean the same (RFC 7643 section 2.1, RFC 7644
/// section 3.4.2.2).
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print(f, 0)
    }
}

impl Filter {
    fn print(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        match self {
            Self::And(parts) => join(f, parts, "and", depth),
            Self::Or(parts) => join(f, parts, "or", depth),
            Self::Not(inner) => {
                word(f, "not")?;
                f.write_str(" (")?;
                inner.print(f, depth)?;
                f.write_str(")")
            }
            Self::Present(attribute) => {
                word(f, attribute.below(depth))?;
                f.write_str(" ")?;
                word(f, "pr")
            }
            Self::Compare(attribute, operator, operand) => {
                word(f, attribute.below(depth))?;
                f.write_str(" ")?;
                word(f, operator)?;
                write!(f, " {operand}")
            }
            Self::ValuePath(parent, inner) => value_path(f, parent, inner),
            Self::Selected(parent, selector, inner) => {
                value_path(f, parent, selector)?;
                f.write_str(".")?;
                inner.print(f, 1)
            }
        }
    }
}

impl Attribute {
    fn below(&self, depth: usize) -> &'static str {
        if depth == 0 { self.name } else { self.path[depth] }
    }
}

fn value_path(f: &mut fmt::Formatter<'_>, parent: &str, inner: &Filter) -> fmt::Result {
    word(f, parent)?;
    f.write_str("[")?;
    inner.print(f, 1)?;
    f.write_str("]")
}

fn word(f: &mut fmt::Formatter<'_>, word: &str) -> fmt::Result {
    if f.alternate() { f.write_str(&word.to_ascii_uppercase()) } else { f.write_str(word) }
}

/// `and` binds more tightly than `or`: its parts need no parentheses within an `or`.
fn join(f: &mut fmt::Formatter<'_>, parts: &[Filter], between: &str, depth: usize) -> fmt::Result {
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            f.write_str(" ")?;
            word(f, between)?;
            f.write_str(" ")?;
        }
        if matches!(part, Filter::Or(_)) || between == "and" && matches!(part, Filter::And(_)) {
            f.write_str("(")?;
            part.print(f, depth)?;
            f.write_str(")")?;
        } else {
            part.print(f, depth)?;
        }
    }
    Ok(())
}
