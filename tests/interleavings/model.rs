//! What a group is to its clients, in a few lines, and the question whether some order of the operations explains what
//! they were answered.

use std::collections::{BTreeMap, BTreeSet};

/// A member, by the name that the test gives it.
pub type Name = &'static str;

/// What an operation asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// PATCH `add`, also of many.
    Add(Vec<Name>),
    /// PATCH `remove`.
    Remove(Vec<Name>),
    /// PUT, or PATCH `replace`, of the whole list; with the tag that it must still have, if any.
    Put(Vec<Name>, Option<String>),
    /// PATCH `displayName`.
    Rename(&'static str),
    /// DELETE of the group.
    DeleteGroup,
    /// DELETE of a user.
    DeleteUser(Name),
    /// PATCH of one who leaves and one who joins.
    Exchange(Name, Name),
    /// POST /GroupMembers.
    Post(Name),
    /// A read of name and members, of the group.
    Read,
    /// A read of a list: empty for a group that is gone.
    List,
    /// GET with `If-None-Match`.
    ReadIfChanged(String),
}

/// An answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    pub status: u16,
    /// Where the answer has one.
    pub etag: Option<String>,
    /// The members, where they were read.
    pub members: Option<BTreeSet<Name>>,
    /// The `displayName`, where it was read.
    pub name: Option<String>,
}

/// An operation with its answer; `None` for one that was never answered: it happened, or not.
#[derive(Debug, Clone)]
pub struct Event {
    pub act: Act,
    pub seen: Option<Seen>,
    pub begun: usize,
    pub ended: usize,
    /// The event that this one comes after: the change that an answer's body shows.
    pub after: Option<usize>,
}

/// The group.
#[derive(Debug, Clone, Default)]
pub struct Model {
    pub is_gone: bool,
    pub name: String,
    pub members: BTreeSet<Name>,
    pub users: BTreeSet<Name>,
    /// How often it has changed.
    pub changes: usize,
    /// The tags that were seen, and after how many changes.
    pub tags: BTreeMap<String, usize>,
}

/// Whether an order of the events, in which none comes before one that ended before it began, explains every answer.
pub fn is_explained(start: &Model, events: &[Event]) -> bool {
    let all: Vec<usize> = (0..events.len()).collect();
    search(start, events, &all)
}

fn search(model: &Model, events: &[Event], left: &[usize]) -> bool {
    if left.iter().all(|at| events[*at].seen.is_none()) {
        return true;
    }
    left.iter().any(|at| {
        let is_first =
            left.iter().all(|other| events[*other].ended >= events[*at].begun && events[*at].after != Some(*other));
        let rest: Vec<usize> = left.iter().copied().filter(|other| other != at).collect();
        let mut after = model.clone();
        is_first && after.explains(&events[*at]) && search(&after, events, &rest)
    })
}

impl Model {
    /// Takes an event; whether its answer is right.
    fn explains(&mut self, event: &Event) -> bool {
        let (status, is_change) = self.take(&event.act);
        if is_change {
            self.changes += 1;
        }
        let Some(seen) = &event.seen else { return true };
        seen.status == status
            && seen.members.as_ref().is_none_or(|members| *members == self.members)
            && seen.name.as_ref().is_none_or(|name| *name == self.name)
            && seen.etag.as_ref().is_none_or(|tag| self.note(tag))
    }

    /// One tag names one state.
    fn note(&mut self, tag: &str) -> bool {
        *self.tags.entry(tag.to_owned()).or_insert(self.changes) == self.changes
    }

    fn take(&mut self, act: &Act) -> (u16, bool) {
        let before = (self.members.clone(), self.name.clone());
        if let Act::DeleteUser(user) = act {
            let was_there = self.users.remove(user);
            let was_member = self.members.remove(user);
            return (if was_there { 204 } else { 404 }, was_member);
        }
        if let Act::List = act {
            return (200, false);
        }
        if self.is_gone {
            // A list without the group, or an address of nothing.
            return (if matches!(act, Act::Post(_)) { 400 } else { 404 }, false);
        }
        let knows = |names: &[Name]| names.iter().all(|name| self.users.contains(name));
        let status = match act {
            Act::Add(names) if !knows(names) => 400,
            Act::Put(_, Some(tag)) if !self.is_current(tag) => 412,
            Act::Put(names, _) if !knows(names) => 400,
            Act::Add(names) => {
                self.members.extend(names);
                204
            }
            Act::Exchange(_, joins) | Act::Post(joins) if !self.users.contains(joins) => 400,
            Act::Exchange(leaves, joins) => {
                self.members.remove(leaves);
                self.members.insert(joins);
                204
            }
            Act::Post(joins) => {
                if self.members.insert(joins) {
                    201
                } else {
                    409
                }
            }
            Act::Remove(names) => {
                self.members.retain(|member| !names.contains(member));
                204
            }
            Act::Put(names, _) => {
                self.members = names.iter().copied().collect();
                self.name.clear();
                200
            }
            Act::Rename(name) => {
                (*name).clone_into(&mut self.name);
                204
            }
            Act::DeleteGroup => {
                self.is_gone = true;
                self.members.clear();
                return (204, true);
            }
            Act::ReadIfChanged(tag) if self.is_current(tag) => 304,
            Act::Read | Act::ReadIfChanged(_) => 200,
            Act::DeleteUser(_) | Act::List => 500,
        };
        (status, before != (self.members.clone(), self.name.clone()))
    }

    fn is_current(&self, tag: &str) -> bool {
        self.tags.get(tag) == Some(&self.changes)
    }
}
