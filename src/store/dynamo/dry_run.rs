//! A dry run: every commit of a request checks its conditions and writes nothing. The mark is on the task that answers
//! the request, so that no route can forget it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::item::Item;
use super::tables::DEFINITIONS;
use super::write::{Write, WriteKind};

tokio::task_local! {
    static DRY_RUN: Arc<DryRun>;
}

/// What a dry run would have created.
#[derive(Debug, Default)]
struct DryRun(Mutex<BTreeSet<String>>);

/// Does a request's work without any write.
pub async fn run<T>(work: impl Future<Output = T>) -> T {
    DRY_RUN.scope(Arc::default(), work).await
}

/// Whether the request that the task answers is a dry run.
pub fn is_on() -> bool {
    DRY_RUN.try_with(|_| ()).is_ok()
}

/// Notes that the request would have created a resource of that id: later operations of a Bulk may name it.
pub(in crate::store) fn note_created(id: &str) {
    let _ = DRY_RUN.try_with(|run| run.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned()));
}

/// Whether the request would have created a resource of that id.
pub(in crate::store) fn has_created(id: &str) -> bool {
    DRY_RUN.try_with(|run| run.0.lock().unwrap_or_else(PoisonError::into_inner).contains(id)).unwrap_or(false)
}

impl Write {
    /// The condition alone; none for a write without.
    pub(super) fn as_check(&self) -> Option<Self> {
        let condition = self.condition.clone()?;
        let is_bound = |placeholder: &String| {
            let end = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
            let mut places = condition.match_indices(placeholder.as_str());
            places.any(|(at, _)| {
                condition.get(at + placeholder.len()..).is_some_and(|rest| rest.is_empty() || rest.starts_with(end))
            })
        };
        let names = self.names.iter().filter(|(name, _)| is_bound(name));
        let values = self.values.iter().filter(|(name, _)| is_bound(name));
        Some(Self {
            kind: WriteKind::Check(self.key()),
            names: names.map(|(name, attribute)| (name.clone(), attribute.clone())).collect(),
            values: values.map(|(name, value)| (name.clone(), value.clone())).collect(),
            ..Self { condition: Some(condition.clone()), ..self.clone() }
        })
    }

    fn key(&self) -> Item {
        match &self.kind {
            WriteKind::Update(key, _) | WriteKind::Delete(key) | WriteKind::Check(key) => key.clone(),
            WriteKind::Put(item) => {
                let definition = DEFINITIONS.iter().find(|definition| definition.table == self.table);
                let names = definition.map_or([""; 2], |definition| [definition.partition, definition.sort]);
                names.into_iter().filter_map(|name| Some((name.to_owned(), item.get(name)?.clone()))).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::item::{n, s};
    use super::super::tables::Table;
    use super::super::write::Condition;
    use super::*;

    #[test]
    fn a_check_has_the_condition_of_the_write_and_its_bindings_alone() {
        let key = Item::from([("tenant".to_owned(), s("acme")), ("id".to_owned(), s("g"))]);
        let mut write = Write::update(Table::Groups, key.clone());
        for number in 0..10 {
            write = write.set("ver", n(number));
        }
        let write = write.set("doc", s("{}")).require(&Condition::equals("ver", n(7)));
        let check = write.as_check().unwrap();
        assert_eq!(check.condition.as_deref(), Some("#ver = :ver11"));
        assert_eq!((check.names.len(), check.values.len()), (1, 1));
        assert!(matches!(&check.kind, WriteKind::Check(of) if *of == key));
        let mut item = key.clone();
        item.insert("doc".into(), s("{}"));
        let put = Write::put(Table::Groups, item);
        assert!(put.as_check().is_none());
        let put = put.require(&Condition::Absent("tenant")).as_check().unwrap();
        assert!(matches!(&put.kind, WriteKind::Check(of) if *of == key));
    }
}
