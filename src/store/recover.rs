//! Finishing what a process that died has committed and not carried out.

use super::groups::Group;
use super::item::text;
use super::tables::Table;
use super::{Store, StoreError};
use crate::auth::Tenant;

impl Store {
    /// Carries out every pending change of many members and sweeps every deleted group, of all tenants; how many there
    /// were. Reads the whole groups table: for the start of a local server, not for requests.
    ///
    /// # Errors
    /// As the store's.
    pub async fn recover(&self) -> Result<usize, StoreError> {
        let scan = self.client.scan().table_name(self.table(Table::Groups)).consistent_read(true);
        let scan = scan.filter_expression("attribute_exists(#job) OR attribute_exists(#gone)");
        let scan = scan.expression_attribute_names("#job", "job").expression_attribute_names("#gone", "gone");
        let mut items = scan.into_paginator().items().send();
        let mut recovered = 0;
        while let Some(item) = items.next().await {
            let item = item.map_err(|e| StoreError::of(&e))?;
            let tenant = text(&item, "tenant")?.parse().map_err(|_| super::item::lacks("tenant"))?;
            let (tenant, group) = (Tenant::of_item(tenant), Group::read(&item)?);
            if group.is_gone {
                self.sweep(&tenant, &group).await?;
            } else {
                self.finish(&tenant, &group).await?;
            }
            recovered += 1;
        }
        Ok(recovered)
    }
}
