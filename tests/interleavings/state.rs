//! The state of a run: what its operations have been answered, and what they have written. Two runs in one state go on
//! alike: an operation does what its answers say, and its clock stands still.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::footprint::Footprint;
use crate::support::wire::{Answer, DynamoCall};

/// Letters and digits of an id that is random, at least.
const ID_LENGTH: usize = 20;

/// Digits of an instant in milliseconds, and in seconds.
const INSTANT_DIGITS: usize = 13;
const SECOND_DIGITS: usize = 10;

/// An operation that pauses for longer than a call takes begins anew.
const PAUSE: Duration = Duration::from_millis(5);

/// What ids are called, so that a state means the same in each run.
#[derive(Debug, Default)]
pub struct Names {
    /// The ids and user names that operations share.
    pub shared: BTreeMap<String, String>,
    /// Other words that are there from the beginning.
    pub others: HashMap<String, String>,
}

#[derive(Debug, Default)]
pub struct States {
    names: Names,
    threads: Vec<History>,
    /// A hash of the writes of each item.
    items: BTreeMap<(String, String), u64>,
    /// Ids that an operation has drawn: its thread, and which one of the thread's.
    drawn: HashMap<String, (usize, usize)>,
    /// Ids that were read before any thread wrote them: of requests before the run. No operation asks which they are.
    old: BTreeSet<String>,
}

/// What one thread has done.
#[derive(Debug, Default, Clone)]
struct History {
    hash: u64,
    drawn: usize,
    answered: Option<Instant>,
    attempt: Attempt,
    /// The attempt before this one, if it wrote nothing.
    before: Option<Attempt>,
    /// What it looks at again and again, if it waits.
    watched: Option<Footprint>,
    request: Request,
}

/// A request of a thread, by what the next attempt of its change knows of the ones before.
#[derive(Debug, Default, Clone, Hash)]
struct Request {
    /// The thread's hash at its beginning.
    start: u64,
    /// What it has written.
    written: u64,
    lost_races: usize,
    /// The groups that it has seen since it lost the last race, and those before.
    seen: SeenGroups,
    seen_before: SeenGroups,
}

/// What an attempt may hand to the next one as the group: what it saw last, or what it began with.
#[derive(Debug, Default, Clone, Hash)]
struct SeenGroups {
    all: BTreeSet<u64>,
    last: u64,
}

/// What a thread has done since it last paused.
#[derive(Debug, Default, Clone)]
struct Attempt {
    /// The thread's hash at its beginning.
    start: u64,
    /// What it asked, and with what it was answered.
    asked: u64,
    hash: u64,
    has_written: bool,
    footprint: Footprint,
}

impl History {
    /// A thread that asks the same after a pause and writes nothing has kept nothing of the answers: it is where it was
    /// before it asked. If the answers are the same too, it waits for another thread.
    fn begin_attempt(&mut self) {
        let mut attempt = std::mem::take(&mut self.attempt);
        if let Some(before) = self.before.take().filter(|before| before.asked == attempt.asked && !attempt.has_written)
        {
            self.hash = before.start;
            attempt.start = before.start;
            self.watched = (before.hash == attempt.hash).then(|| attempt.footprint.clone());
        }
        self.attempt.start = self.hash;
        self.before = Some(attempt).filter(|attempt| !attempt.has_written);
    }
}

impl States {
    pub fn new(threads: usize, names: Names) -> Self {
        Self { names, threads: vec![History::default(); threads], ..Self::default() }
    }

    /// The text of a call with names for the ids that are shared; `None` if it names none of them.
    pub fn shared_text(&self, call: &DynamoCall) -> Option<String> {
        let text = sorted(&call.body).to_string();
        let named = self.with_shared_names(text.clone());
        (named != text).then(|| format!("{} {named}", call.operation))
    }

    fn with_shared_names(&self, text: String) -> String {
        self.names.shared.iter().fold(text, |text, (id, name)| text.replace(id, name))
    }

    /// A thread is about to call.
    pub fn begin_call(&mut self, thread: usize) {
        let history = &mut self.threads[thread];
        if history.answered.is_some_and(|answered| answered.elapsed() >= PAUSE) {
            history.begin_attempt();
        }
    }

    /// A thread begins a request.
    pub fn begin_request(&mut self, thread: usize) {
        let history = &mut self.threads[thread];
        history.request = Request { start: history.hash, ..Request::default() };
    }

    /// Another request was faster, and a thread computes its change anew. Of what it was answered it has kept the group
    /// alone: `retry_on_conflict` in `src/api/write.rs` hands nothing else to the next attempt. What it has counted for
    /// the protection is in what it has written.
    pub fn lose_race(&mut self, thread: usize) {
        let history = &mut self.threads[thread];
        let request = &mut history.request;
        request.lost_races += 1;
        history.hash = hash(request);
        if !request.seen.all.is_empty() {
            request.seen_before = std::mem::take(&mut request.seen);
        }
        history.attempt = Attempt { start: history.hash, ..Attempt::default() };
        (history.before, history.watched) = (None, None);
    }

    /// What a call of a thread touches.
    pub fn footprint(&mut self, thread: usize, call: &DynamoCall) -> Footprint {
        let body = without_numbers(&self.named_body(thread, call));
        let body = serde_json::from_str(&body).expect("names need no escapes");
        let is_named = |text: &str| {
            self.names.shared.values().any(|name| name == text) || self.names.others.values().any(|name| name == text)
        };
        Footprint::of(&DynamoCall { operation: call.operation.clone(), body }, is_named)
    }

    fn named_body(&mut self, thread: usize, call: &DynamoCall) -> String {
        let mut body = sorted(&call.body);
        body.as_object_mut().expect("a call is an object").remove("ClientRequestToken");
        self.with_names(Some(thread), body.to_string())
    }

    /// A call of a thread was answered.
    pub fn note(&mut self, thread: usize, call: &DynamoCall, answer: &Answer) {
        let written = if answer.0 == 200 { written_items(call) } else { Vec::new() };
        if written.is_empty() && self.shared_text(call).is_none() {
            return;
        }
        let asked = format!("{} {}", call.operation, self.named_body(thread, call));
        let mut body = sorted(&answer.1);
        body.as_object_mut().into_iter().for_each(|fields| _ = fields.remove("ConsumedCapacity"));
        let answered = format!("{} {}", answer.0, self.with_names(None, body.to_string()));
        let has_written = !written.is_empty();
        for (table, key) in written {
            let key = self.with_names(Some(thread), key);
            let item = self.items.entry((table, key)).or_default();
            *item = hash(&(*item, &asked));
        }
        let footprint = self.footprint(thread, call);
        if has_written {
            for other in &mut self.threads {
                other.watched.take_if(|watched| watched.meets(&footprint));
            }
        }
        let exchange = hash(&(&asked, &answered));
        let history = &mut self.threads[thread];
        history.request.note(shows_group(call, answer).then(|| hash(&answered)), has_written.then_some(exchange));
        history.answered = Some(Instant::now());
        history.hash = hash(&(history.hash, exchange));
        let attempt = &mut history.attempt;
        attempt.asked = hash(&(attempt.asked, &asked));
        attempt.hash = hash(&(attempt.hash, exchange));
        attempt.has_written |= has_written;
        attempt.footprint.extend(&footprint);
    }

    /// Whether a thread waits for another one: nothing was written of what it looks at again and again.
    pub fn is_waiting(&self, thread: usize) -> bool {
        self.threads[thread].watched.is_some()
    }

    /// The state, with what else two runs differ in.
    pub fn hash(&self, other: impl Hash) -> u64 {
        let threads: Vec<_> = (0..self.threads.len()).map(|at| (self.threads[at].hash, self.is_waiting(at))).collect();
        hash(&(threads, &self.items, &other))
    }

    /// A text with names for its ids. `thread` is who wrote it; ids of a text that was read are older.
    fn with_names(&mut self, thread: Option<usize>, text: String) -> String {
        let text = self.with_shared_names(text);
        let mut named = String::with_capacity(text.len());
        for part in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
            let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(part.len());
            let (word, rest) = part.split_at(end);
            named.push_str(&self.name(thread, word));
            named.push_str(rest);
        }
        named
    }

    fn name(&mut self, thread: Option<usize>, word: &str) -> String {
        if let Some(name) = self.names.others.get(word) {
            return name.clone();
        }
        // An instant: a request's clock goes on while it pauses, and no order depends on less than a second.
        if word.len() == INSTANT_DIGITS && word.bytes().all(|byte| byte.is_ascii_digit()) {
            return word[..SECOND_DIGITS].to_owned();
        }
        if word.len() < ID_LENGTH || !word.contains(|c: char| c.is_ascii_digit()) {
            return word.to_owned();
        }
        if self.old.contains(word) {
            return "<earlier>".to_owned();
        }
        if let Some((thread, number)) = self.drawn.get(word) {
            return format!("<{thread}.{number}>");
        }
        let Some(thread) = thread else {
            self.old.insert(word.to_owned());
            return "<earlier>".to_owned();
        };
        let number = self.threads[thread].drawn;
        self.threads[thread].drawn += 1;
        self.drawn.insert(word.to_owned(), (thread, number));
        format!("<{thread}.{number}>")
    }
}

impl Request {
    fn note(&mut self, group: Option<u64>, write: Option<u64>) {
        if let Some(group) = group {
            self.seen.all.insert(group);
            self.seen.last = group;
        }
        if let Some(write) = write {
            self.written = hash(&(self.written, write));
        }
    }
}

/// Whether an answer may have a group: as it was read, or as it was in the way of a transaction.
fn shows_group(call: &DynamoCall, answer: &Answer) -> bool {
    let is_lost = call.operation == "TransactWriteItems" && answer.0 != 200;
    is_lost || call.body["TableName"].as_str().is_some_and(|table| table.ends_with("-groups"))
}

/// A text in which all ids that an operation has drawn have one name: an attempt more draws other ones, and they are in
/// the way of the same calls.
fn without_numbers(text: &str) -> String {
    let mut parts = text.split('<');
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let number = part.split_once('.').and_then(|(thread, rest)| Some((thread, rest.split_once('>')?)));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        match number {
            Some((thread, (number, rest))) if is_digits(thread) && is_digits(number) => {
                whole += &format!("<{thread}>{rest}");
            }
            _ => whole += &format!("<{part}"),
        }
    }
    whole
}

/// The items that a call writes, also by a batch of writes.
fn written_items(call: &DynamoCall) -> Vec<(String, String)> {
    writes(call).iter().flat_map(DynamoCall::written_items).collect()
}

/// A batch of writes as its writes, another call as it is.
pub fn writes(call: &DynamoCall) -> Vec<DynamoCall> {
    if call.operation != "BatchWriteItem" {
        return vec![call.clone()];
    }
    let tables = call.body["RequestItems"].as_object().into_iter().flatten();
    let writes = tables.flat_map(|(table, requests)| {
        let fields =
            requests.as_array().into_iter().flatten().flat_map(|request| request.as_object().unwrap().values());
        fields.map(move |fields| {
            let mut body = fields.clone();
            body["TableName"] = table.as_str().into();
            DynamoCall { operation: "PutItem".to_owned(), body }
        })
    });
    writes.collect()
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The same value with the members of objects in order: the SDK writes them in any.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<_, _> = members.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            members.into_iter().collect()
        }
        Value::Array(values) => values.iter().map(sorted).collect(),
        other => other.clone(),
    }
}
