//! Which index can answer a filter. An access path returns a superset: the whole filter is evaluated on what it finds.

use std::fmt;

use jiff::Timestamp;
use serde_json::Value;

use super::check::{as_instant, leaf};
use super::{Filter, Operator};
use crate::limits::{MAX_KEY_BYTES, MAX_OR_BRANCHES};
use crate::scim::ResourceSchema;
use crate::scim::fold::fold;
use crate::scim::path::AttributePath;
use crate::scim::schema::Type;

/// An attribute that the store can look up.
#[derive(Debug, Clone, Copy)]
pub struct Indexed {
    /// The attribute, with `.value` for a multi-valued one.
    pub attribute: &'static str,
    /// What the index finds.
    pub finds: Finds,
}

/// What an index finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finds {
    /// The resources with a value.
    Equals,
    /// And those whose value starts with a text.
    Prefixes,
    /// Those whose dateTime is not before one.
    Since,
}

/// How to find every resource that may satisfy a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexPlan {
    /// No resource can satisfy it.
    Nothing,
    /// The resources with that value; folded unless the attribute is `caseExact`.
    Equals(&'static str, String),
    /// The resources whose value starts so.
    StartsWith(&'static str, String),
    /// The resources whose dateTime is not before that.
    Since(&'static str, Timestamp),
    /// What any of these finds.
    Any(Vec<IndexPlan>),
    /// Every resource.
    Scan,
}

impl fmt::Display for IndexPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing can satisfy it, nothing is read"),
            Self::Equals(attribute, value) => write!(f, "index: {attribute} eq {value:?}"),
            Self::StartsWith(attribute, start) => write!(f, "index: {attribute} sw {start:?}"),
            Self::Since(attribute, instant) => write!(f, "index: {attribute} ge {instant}"),
            Self::Any(parts) => {
                f.write_str("any of ")?;
                for (at, part) in parts.iter().enumerate() {
                    write!(f, "{}{part}", if at == 0 { "" } else { "; " })?;
                }
                Ok(())
            }
            Self::Scan => f.write_str("no index: every resource of the tenant, within a bound"),
        }
    }
}

/// Chooses the cheapest access path; `indexed` is in order of preference.
pub fn plan(filter: &Filter, schema: &ResourceSchema, indexed: &[Indexed]) -> IndexPlan {
    Planner { schema, indexed }.plan(filter, None)
}

struct Planner<'a> {
    schema: &'a ResourceSchema,
    indexed: &'a [Indexed],
}

impl Planner<'_> {
    /// `container` is the attribute around a value path's filter.
    fn plan(&self, filter: &Filter, container: Option<&AttributePath>) -> IndexPlan {
        match filter {
            Filter::And(parts) => {
                let plans = parts.iter().map(|part| self.plan(part, container));
                plans.min_by_key(|access| self.cost(access)).unwrap_or(IndexPlan::Scan)
            }
            Filter::Or(parts) => {
                let plans: Vec<_> = parts
                    .iter()
                    .map(|part| self.plan(part, container))
                    .flat_map(|access| match access {
                        IndexPlan::Any(inner) => inner,
                        IndexPlan::Nothing => Vec::new(),
                        one => vec![one],
                    })
                    .collect();
                match plans.as_slice() {
                    [] => IndexPlan::Nothing,
                    // A prefix may lead to any number of resources: one scan reads each once.
                    many if many.len() > MAX_OR_BRANCHES || !many.iter().all(is_equals) => IndexPlan::Scan,
                    _ => IndexPlan::Any(plans),
                }
            }
            Filter::Compare(path, operator, value) => self.comparison(path, *operator, value, container),
            Filter::ValuePath(path) => match &path.selector {
                Some(selector) => self.plan(selector, Some(path)),
                None => IndexPlan::Scan,
            },
            Filter::Not(_) | Filter::Present(_) => IndexPlan::Scan,
        }
    }

    fn comparison(
        &self,
        path: &AttributePath,
        op: Operator,
        value: &Value,
        container: Option<&AttributePath>,
    ) -> IndexPlan {
        let path = match container {
            Some(outer) => AttributePath {
                urn: outer.urn.clone(),
                name: outer.name.clone(),
                selector: None,
                sub: Some(path.name.clone()),
            },
            None => path.clone(),
        };
        let Some((index, case_exact)) = self.index_of(&path) else { return IndexPlan::Scan };
        if index.finds == Finds::Since {
            return match (op, as_instant(value)) {
                (Operator::Gt | Operator::Ge, Some(instant)) => IndexPlan::Since(index.attribute, instant),
                _ => IndexPlan::Scan,
            };
        }
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return IndexPlan::Scan,
        };
        let key = if case_exact { text } else { fold(&text) };
        match op {
            Operator::Eq if key.is_empty() || key.len() > MAX_KEY_BYTES => IndexPlan::Nothing,
            Operator::Eq => IndexPlan::Equals(index.attribute, key),
            Operator::Sw if index.finds == Finds::Prefixes && key.len() > MAX_KEY_BYTES => IndexPlan::Nothing,
            Operator::Sw if index.finds == Finds::Prefixes && !key.is_empty() => {
                IndexPlan::StartsWith(index.attribute, key)
            }
            _ => IndexPlan::Scan,
        }
    }

    fn index_of(&self, path: &AttributePath) -> Option<(Indexed, bool)> {
        let located = self.schema.locate(path);
        let attribute = located.attribute.as_ref().filter(|_| located.extension.is_none())?;
        let definition = attribute.definition?;
        let sub = match (&attribute.sub, definition.kind) {
            (Some((sub, _)), _) => Some(sub.as_str()),
            (None, Type::Complex) => Some("value"),
            (None, _) => None,
        };
        let name = match sub {
            Some(sub) => format!("{}.{sub}", definition.name),
            None => definition.name.clone(),
        };
        let index = self.indexed.iter().find(|index| index.attribute == name)?;
        Some((*index, leaf(attribute).is_some_and(|a| a.case_exact)))
    }

    fn cost(&self, access: &IndexPlan) -> usize {
        match access {
            IndexPlan::Nothing => 0,
            IndexPlan::Equals(attribute, _) => {
                1 + self.indexed.iter().position(|index| index.attribute == *attribute).unwrap_or(0)
            }
            IndexPlan::Any(parts) => 100 + parts.iter().map(|part| self.cost(part)).sum::<usize>(),
            IndexPlan::StartsWith(..) => 10_000,
            IndexPlan::Since(..) => 20_000,
            IndexPlan::Scan => usize::MAX / (MAX_OR_BRANCHES + 1),
        }
    }
}

fn is_equals(access: &IndexPlan) -> bool {
    matches!(access, IndexPlan::Equals(..))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::Schemas;
    use crate::scim::user::INDEXED;

    fn planned(text: &str) -> IndexPlan {
        plan(&Filter::parse(text).unwrap(), &Schemas::standard().unwrap().user, INDEXED)
    }

    #[test]
    fn the_best_conjunct_is_read_and_alternatives_are_united() {
        let equals = |attribute, value: &str| IndexPlan::Equals(attribute, value.to_owned());
        assert_eq!(planned("active eq true and userName eq \"BOB\""), equals("userName", "bob"));
        assert_eq!(planned("userName sw \"b\" and externalId eq \"X\""), equals("externalId", "X"));
        assert_eq!(planned("emails[type eq \"work\"].value eq \"A@b\""), equals("emails.value", "a@b"));
        assert_eq!(planned("emails[type eq \"work\" and value eq \"A@b\"]"), equals("emails.value", "a@b"));
        assert_eq!(planned("emails eq \"a@b\""), equals("emails.value", "a@b"));
        assert_eq!(
            planned("userName eq \"a\" or id eq \"b\""),
            IndexPlan::Any(vec![equals("userName", "a"), equals("id", "b")])
        );
        assert_eq!(planned("userName sw \"B\""), IndexPlan::StartsWith("userName", "b".into()));
        assert_eq!(planned("userName eq \"\""), IndexPlan::Nothing);
        let since = IndexPlan::Since("meta.lastModified", "2026-01-01T00:00:00Z".parse().unwrap());
        for text in [
            "meta.lastModified gt \"2026-01-01T01:00:00+01:00\"",
            "title pr and meta.lastModified ge \"2026-01-01T00:00:00Z\"",
        ] {
            assert_eq!(planned(text), since, "{text}");
        }
        assert_eq!(planned("meta.lastModified lt \"2026-01-01T00:00:00Z\""), IndexPlan::Scan);
    }

    #[test]
    fn what_no_index_answers_is_a_scan() {
        for text in [
            "title eq \"x\"",
            "not (userName eq \"a\")",
            "userName eq \"a\" or title pr",
            "userName co \"a\"",
            "userName pr",
        ] {
            assert_eq!(planned(text), IndexPlan::Scan, "{text}");
        }
    }
}
