//! Pages of an index whose entries hold keys only: counted and passed over there, at about 100 bytes an entry.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::Select;

use crate::store::dynamo::item::Item;
use crate::store::{Store, StoreError};

impl Store {
    /// The items from the `start_index`th entry on, at most `count`, and the number of all entries. `query` makes the
    /// query for all of them.
    pub(in crate::store) async fn page(
        &self,
        query: impl Fn() -> QueryFluentBuilder,
        start_index: usize,
        count: usize,
    ) -> Result<(Vec<Item>, usize), StoreError> {
        let items = items_after(&query, start_index.saturating_sub(1), count);
        let (total, items) = futures_util::future::try_join(total(&query), items).await?;
        Ok((items, total))
    }
}

/// The items after the first `skipped` of a query, at most `count`.
pub(in crate::store) async fn items_after(
    query: &impl Fn() -> QueryFluentBuilder,
    skipped: usize,
    count: usize,
) -> Result<Vec<Item>, StoreError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    match seek(query, skipped).await? {
        Seek::At(start) => items_from(query, start, count).await,
        Seek::PastTheEnd => Ok(Vec::new()),
    }
}

enum Seek {
    At(Option<Item>),
    PastTheEnd,
}

/// How many items a query has.
async fn total(query: &impl Fn() -> QueryFluentBuilder) -> Result<usize, StoreError> {
    let mut pages = query().select(Select::Count).into_paginator().send();
    let mut total = 0;
    while let Some(page) = pages.next().await {
        total += usize::try_from(page.map_err(|e| StoreError::of(&e))?.count()).unwrap_or(0);
    }
    Ok(total)
}

/// Passes over that many entries.
async fn seek(query: &impl Fn() -> QueryFluentBuilder, skip: usize) -> Result<Seek, StoreError> {
    let mut left = skip;
    let mut start = None;
    while left > 0 {
        let limit = i32::try_from(left).unwrap_or(i32::MAX);
        let page = query().select(Select::Count).limit(limit).set_exclusive_start_key(start).send().await;
        let page = page.map_err(|e| StoreError::of(&e))?;
        left = left.saturating_sub(usize::try_from(page.count()).unwrap_or(0));
        start = page.last_evaluated_key;
        if start.is_none() {
            return Ok(Seek::PastTheEnd);
        }
    }
    Ok(Seek::At(start))
}

async fn items_from(
    query: &impl Fn() -> QueryFluentBuilder,
    mut start: Option<Item>,
    count: usize,
) -> Result<Vec<Item>, StoreError> {
    let mut items: Vec<Item> = Vec::with_capacity(count);
    loop {
        let limit = i32::try_from(count - items.len()).unwrap_or(i32::MAX);
        let page = query().select(Select::AllAttributes).limit(limit).set_exclusive_start_key(start).send().await;
        let page = page.map_err(|e| StoreError::of(&e))?;
        start = page.last_evaluated_key;
        items.extend(page.items.unwrap_or_default());
        if start.is_none() || items.len() >= count {
            return Ok(items);
        }
    }
}
