//! The condition of a query: the partition, and bounds of the sort key.

use std::collections::HashMap;

use super::key::Text;

/// Where a query begins and ends, as SQLite compares it.
pub(super) struct KeyCondition {
    pub(super) partition: String,
    /// Comparisons of the sort key: operator and text.
    pub(super) bounds: Vec<(&'static str, String)>,
}

/// What the placeholders of an expression stand for.
pub(super) struct Placeholders<'a> {
    pub(super) names: &'a HashMap<&'a str, &'a str>,
    pub(super) values: &'a HashMap<&'a str, Text<'a>>,
}

impl KeyCondition {
    /// Of the forms that this crate writes, such as `#tenant = :tenant AND #id BETWEEN :first AND :last`; none for another
    /// one, for another key, and if a placeholder is left over.
    pub(super) fn parse(expression: &str, of: &Placeholders<'_>, partition: &str, sort: &str) -> Option<Self> {
        let (first, second) = match expression.split_once(" AND ") {
            Some((first, second)) => (first, Some(second)),
            None => (expression, None),
        };
        let (name, value) = first.split_once(" = ")?;
        let partition_value = of.value(name, partition, value)?;
        let bounds = second.map_or(Some(Vec::new()), |second| bounds(second, of, sort))?;
        let used = 1 + usize::from(second.is_some());
        let values = 1 + match second {
            Some(second) => second.matches(':').count(),
            None => 0,
        };
        let is_whole = of.names.len() == used && of.values.len() == values;
        is_whole.then_some(Self { partition: partition_value, bounds })
    }
}

fn bounds(expression: &str, of: &Placeholders<'_>, sort: &str) -> Option<Vec<(&'static str, String)>> {
    if let Some(call) = expression.strip_prefix("begins_with(") {
        let (name, value) = call.strip_suffix(')')?.split_once(", ")?;
        let start = of.value(name, sort, value)?;
        return Some(vec![("<", after_prefix(&start)?), (">=", start)]);
    }
    if let Some((name, ends)) = expression.split_once(" BETWEEN ") {
        let (low, high) = ends.split_once(" AND ")?;
        let (low, high) = (of.value(name, sort, low)?, of.value(name, sort, high)?);
        // The engine refuses bounds in the wrong order.
        return (low <= high).then(|| vec![(">=", low), ("<=", high)]);
    }
    let mut words = expression.split(' ');
    let (name, operator, value) = (words.next()?, words.next()?, words.next()?);
    let operator = ["=", "<", "<=", ">", ">="].into_iter().find(|known| *known == operator)?;
    let value = of.value(name, sort, value)?;
    words.next().is_none().then(|| vec![(operator, value)])
}

impl Placeholders<'_> {
    /// The text of a placeholder, if the name's placeholder stands for that attribute.
    fn value(&self, name: &str, attribute: &str, value: &str) -> Option<String> {
        (*self.names.get(name)? == attribute).then(|| self.values.get(value))??.stored()
    }
}

/// The least text after all that begin so.
fn after_prefix(start: &str) -> Option<String> {
    let mut chars: Vec<char> = start.chars().collect();
    while let Some(last) = chars.pop() {
        if let Some(next) = (u32::from(last) + 1..=u32::from(last) + 0x801).find_map(char::from_u32) {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}
