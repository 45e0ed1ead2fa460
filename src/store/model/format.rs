//! The format of items. A release reads its own and the next one, so that two releases work next to each other while one
//! follows the other. It writes the format that the tenant's record names, which an operator raises after the rollout.

use crate::store::StoreError;
use crate::store::dynamo::item::{Item, n, optional_number};

/// The format that this release writes.
pub const FORMAT: u32 = 1;

/// The attribute of an item that holds its format. Items of before it was stored have format 1.
pub(in crate::store) const FORMAT_ATTRIBUTE: &str = "f";

/// The attribute of a tenant's record that names the format to write.
pub(in crate::store) const TENANT_FORMAT: &str = "format";

/// Whether this release can read an item.
///
/// # Errors
/// [`StoreError::Newer`] for a format after the next one: the item is neither corrupt nor absent.
pub(in crate::store) fn check_format(item: &Item) -> Result<(), StoreError> {
    let Some(value) = item.get(FORMAT_ATTRIBUTE) else { return Ok(()) };
    match optional_number::<u32>(item, FORMAT_ATTRIBUTE) {
        Some(format) if format <= FORMAT + 1 => Ok(()),
        Some(format) => Err(StoreError::Newer(format.to_string())),
        None => Err(StoreError::Newer(format!("{value:?}"))),
    }
}

/// As [`check_format`], of some items.
///
/// # Errors
/// Of the first one that this release cannot read.
pub(in crate::store) fn check_formats<'a>(items: impl IntoIterator<Item = &'a Item>) -> Result<(), StoreError> {
    items.into_iter().try_for_each(check_format)
}

/// The attributes of an item that this release does not write: a newer one's, and the format. Whoever writes the item
/// as a whole carries them over.
pub(in crate::store) fn unknown_attributes(item: &Item, known: &[&str]) -> Item {
    let unknown = item.iter().filter(|(name, _)| !known.contains(&name.as_str()));
    unknown.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Notes the format of an item that has none.
pub(in crate::store) fn note_format(item: &mut Item) {
    item.entry(FORMAT_ATTRIBUTE.to_owned()).or_insert_with(|| n(FORMAT));
}
