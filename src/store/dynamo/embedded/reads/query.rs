//! A query of a table or of a local index, page by page as DynamoDB cuts it.

use std::collections::HashMap;

use rusqlite::{Connection, Row, params_from_iter};
use serde::Deserialize;

use super::answer::{AnswerJson, units};
use super::condition::{KeyCondition, Placeholders};
use super::key::{Key, MARK, Text};
use super::schema::TableSchema;

/// DynamoDB's own limit for a page.
const MAX_PAGE_BYTES: usize = 1024 * 1024;

/// Entries that SQLite itself may count before this code would look at each: fewer have less than a page's bytes if their
/// keys are not longer than usual.
const COUNTED_TOGETHER: usize = 16_384;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct QueryRequest<'a> {
    pub(super) table_name: &'a str,
    index_name: Option<&'a str>,
    key_condition_expression: &'a str,
    #[serde(borrow)]
    expression_attribute_names: HashMap<&'a str, &'a str>,
    #[serde(borrow)]
    expression_attribute_values: HashMap<&'a str, Text<'a>>,
    #[serde(default)]
    consistent_read: bool,
    scan_index_forward: Option<bool>,
    limit: Option<u32>,
    #[serde(borrow)]
    exclusive_start_key: Option<Key<'a>>,
    select: Option<&'a str>,
    return_consumed_capacity: Option<&'a str>,
}

/// What an answer has of each entry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    Nothing,
    Entry,
    Item,
}

/// A query that these reads know.
struct Plan<'a> {
    schema: &'a TableSchema,
    index: Option<&'a str>,
    /// The sort key of what is read.
    sort: &'a str,
    content: Content,
    condition: KeyCondition,
    is_forward: bool,
    limit: Option<u32>,
    /// The sort key after which the page begins; of an index, the table's sort key besides.
    start: Option<(String, String)>,
}

/// The answer, if these reads know the query.
pub(super) fn answer(connection: &Connection, query: &QueryRequest<'_>, schema: &TableSchema) -> Option<Vec<u8>> {
    let plan = Plan::of(query, schema)?;
    let mut answer = AnswerJson::new(query.return_consumed_capacity)?;
    let page = match plan.count(connection) {
        Some(page) => page,
        None => plan.read(connection, &mut answer)?,
    };
    answer.member("Count", &page.count.to_string());
    answer.member("ScannedCount", &page.count.to_string());
    if let Some(last) = &page.last {
        answer.member("LastEvaluatedKey", &plan.key(last)?);
    }
    let of = |bytes| units(bytes, query.consistent_read);
    let consumed = match (plan.index, plan.content) {
        (Some(_), Content::Item) => of(page.item_bytes) + of(page.entry_bytes),
        (Some(_), _) => of(page.entry_bytes),
        (None, _) => of(page.item_bytes),
    };
    answer.capacity(query.table_name, consumed);
    Some(answer.end())
}

/// What a page has read.
#[derive(Default)]
struct QueryPage {
    count: usize,
    item_bytes: usize,
    entry_bytes: usize,
    /// The last entry, if there may be more: partition, sort key, and the table's sort key.
    last: Option<(String, String)>,
}

impl<'a> Plan<'a> {
    fn of(query: &'a QueryRequest<'_>, schema: &'a TableSchema) -> Option<Self> {
        let sort = match query.index_name {
            Some(index) => schema.indexes.get(index)?,
            None => &schema.sort,
        };
        let content = match (query.select, query.index_name) {
            (Some("COUNT"), _) => Content::Nothing,
            (Some("ALL_ATTRIBUTES") | None, None) | (Some("ALL_ATTRIBUTES"), Some(_)) => Content::Item,
            (Some("ALL_PROJECTED_ATTRIBUTES") | None, Some(_)) => Content::Entry,
            _ => return None,
        };
        let placeholders =
            Placeholders { names: &query.expression_attribute_names, values: &query.expression_attribute_values };
        let condition = KeyCondition::parse(query.key_condition_expression, &placeholders, &schema.partition, sort)?;
        let start = match &query.exclusive_start_key {
            Some(key) => Some(start(key, schema, sort, &condition)?),
            None => None,
        };
        let is_forward = query.scan_index_forward.unwrap_or(true);
        let limit = query.limit;
        (limit != Some(0)).then_some(Self {
            schema,
            index: query.index_name,
            sort,
            content,
            condition,
            is_forward,
            limit,
            start,
        })
    }

    /// Counts in SQLite, where only the number is wanted and one page has it.
    fn count(&self, connection: &Connection) -> Option<QueryPage> {
        if self.content != Content::Nothing || self.index.is_none() || self.limit.is_some() {
            return None;
        }
        let (from, values) = self.from();
        let statement = format!(
            "SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM
             (SELECT octet_length(i.sk) + octet_length(i.base_sk) AS bytes {from} LIMIT {COUNTED_TOGETHER})"
        );
        let mut statement = connection.prepare_cached(&statement).ok()?;
        let counted = |row: &Row<'_>| Ok((row.get::<_, usize>(0)?, row.get::<_, usize>(1)?));
        let (count, bytes) = statement.query_row(params_from_iter(values), counted).ok()?;
        let entry_bytes = bytes + count * self.bytes_besides_keys();
        let is_whole = count < COUNTED_TOGETHER && entry_bytes <= MAX_PAGE_BYTES;
        is_whole.then_some(QueryPage { count, entry_bytes, ..QueryPage::default() })
    }

    /// Reads entry by entry into the answer.
    fn read(&self, connection: &Connection, answer: &mut AnswerJson) -> Option<QueryPage> {
        let (from, values) = self.from();
        let limit = self.limit.map_or(String::new(), |limit| format!(" LIMIT {limit}"));
        let statement = format!("SELECT {} {from} {}{limit}", self.columns(), self.order());
        let mut statement = connection.prepare_cached(&statement).ok()?;
        let mut rows = statement.query(params_from_iter(values)).ok()?;
        let has_items = self.content != Content::Nothing;
        if has_items {
            answer.open("Items", "[");
        }
        let (mut page, mut last, mut is_cut) = (QueryPage::default(), (String::new(), String::new()), false);
        while let Some(row) = rows.next().ok()? {
            is_cut = !page.take(self, self.entry_bytes(row)?, row.get(4).ok()?);
            if is_cut {
                break;
            }
            if has_items {
                answer.element(text(row, 3)?);
            }
            last.0.clear();
            last.0.push_str(text(row, 0)?);
            last.1.clear();
            last.1.push_str(text(row, 1)?);
        }
        if has_items {
            answer.close("]");
        }
        let is_full = self.limit.is_some_and(|limit| page.count >= limit as usize);
        page.last = (is_cut || is_full).then_some(last);
        Some(page)
    }

    /// The sort key, the table's sort key, the bytes of both in an index, the text, and the bytes of the item.
    fn columns(&self) -> &'static str {
        match (self.index, self.content) {
            (Some(_), Content::Nothing) => "i.sk, i.base_sk, octet_length(i.sk) + octet_length(i.base_sk), NULL, 0",
            (Some(_), Content::Entry) => {
                "i.sk, i.base_sk, octet_length(i.sk) + octet_length(i.base_sk), i.item_json, 0"
            }
            (Some(_), Content::Item) => {
                "i.sk, i.base_sk, octet_length(i.sk) + octet_length(i.base_sk), t.item_json, t.item_size"
            }
            (None, Content::Nothing) => "i.sk, '', 0, NULL, i.item_size",
            (None, _) => "i.sk, '', 0, i.item_json, i.item_size",
        }
    }

    /// What is read, and the values of its placeholders.
    fn from(&self) -> (String, Vec<&str>) {
        let mut values = vec![self.condition.partition.as_str()];
        let mut from = match self.index {
            None => format!("FROM {} i WHERE i.pk = ?1", self.schema.items()),
            Some(index) => {
                let entries = self.schema.entries(index);
                let items = match self.content {
                    Content::Item => {
                        format!(" LEFT JOIN {} t ON t.pk = i.base_pk AND t.sk = i.base_sk", self.schema.items())
                    }
                    _ => String::new(),
                };
                format!("FROM {entries} i{items} WHERE i.pk = ?1")
            }
        };
        for (operator, value) in &self.condition.bounds {
            values.push(value);
            from.push_str(&format!(" AND i.sk {operator} ?{}", values.len()));
        }
        if let Some((sort, base)) = &self.start {
            let operator = if self.is_forward { '>' } else { '<' };
            let at = values.len() + 1;
            values.push(sort);
            match self.index {
                None => from.push_str(&format!(" AND i.sk {operator} ?{at}")),
                Some(_) => {
                    values.push(base);
                    from.push_str(&format!(" AND (i.sk, i.base_sk) {operator} (?{at}, ?{})", at + 1));
                }
            }
        }
        (from, values)
    }

    fn order(&self) -> &'static str {
        match (self.index, self.is_forward) {
            (None, true) => "ORDER BY i.sk",
            (None, false) => "ORDER BY i.sk DESC",
            (Some(_), true) => "ORDER BY i.sk, i.base_pk, i.base_sk",
            (Some(_), false) => "ORDER BY i.sk DESC, i.base_pk DESC, i.base_sk DESC",
        }
    }

    /// The bytes of an entry of an index, as DynamoDB counts them: names and values.
    fn entry_bytes(&self, row: &Row<'_>) -> Option<usize> {
        let keys: usize = row.get(2).ok()?;
        Some(if self.index.is_some() { keys + self.bytes_besides_keys() } else { 0 })
    }

    /// Those of an entry's names and of its partition key, without the engine's mark of each text.
    fn bytes_besides_keys(&self) -> usize {
        let names = self.schema.partition.len() + self.sort.len() + self.schema.sort.len();
        (names + self.condition.partition.len()).saturating_sub(3 * MARK.len())
    }

    /// The key of an entry, as JSON.
    fn key(&self, (sort, base): &(String, String)) -> Option<String> {
        let value = |stored: &str| serde_json::to_string(stored.strip_prefix(MARK)?).ok();
        let member = |name: &str, stored: &str| Some(format!("\"{name}\":{{\"S\":{}}}", value(stored)?));
        let mut members = vec![member(&self.schema.partition, &self.condition.partition)?, member(self.sort, sort)?];
        if self.index.is_some() {
            members.push(member(&self.schema.sort, base)?);
        }
        Some(format!("{{{}}}", members.join(",")))
    }
}

impl QueryPage {
    /// Whether an entry is still of this page. Of items found by an index, the engine counts what it has looked at.
    fn take(&mut self, plan: &Plan<'_>, entry: usize, item: usize) -> bool {
        let has_entries_only = plan.index.is_some() && plan.content != Content::Item;
        let (so_far, bytes) = if has_entries_only { (self.entry_bytes, entry) } else { (self.item_bytes, item) };
        let fits = self.count == 0 || so_far + bytes <= MAX_PAGE_BYTES;
        if fits || plan.index.is_some() && plan.content == Content::Item {
            self.entry_bytes += entry;
            self.item_bytes += item;
        }
        self.count += usize::from(fits);
        fits
    }
}

fn text<'a>(row: &'a Row<'_>, at: usize) -> Option<&'a str> {
    row.get_ref(at).ok()?.as_str().ok()
}

/// Where a page begins, if it is a place in what the condition selects.
fn start(key: &Key<'_>, schema: &TableSchema, sort: &str, condition: &KeyCondition) -> Option<(String, String)> {
    let is_index = sort != schema.sort;
    let (partition, base) = (key.get(schema.partition.as_str())?.stored()?, key.get(schema.sort.as_str())?.stored()?);
    let place = key.get(sort)?.stored()?;
    let is_known = key.len() == 2 + usize::from(is_index) && partition == condition.partition;
    let is_inside = condition.bounds.iter().all(|(operator, bound)| match *operator {
        "=" => place == *bound,
        "<" => place < *bound,
        "<=" => place <= *bound,
        ">" => place > *bound,
        _ => place >= *bound,
    });
    (is_known && is_inside).then_some((place, base))
}
