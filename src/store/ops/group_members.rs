//! Memberships one by one, in pages: the rows of `links`, with what is committed and not yet carried out taken into
//! account. In the order of the groups' ids, and within a group of the members'.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use futures_util::future::{try_join, try_join_all};
use jiff::Timestamp;

use crate::auth::Tenant;
use crate::scim::membership::canonical;
use crate::store::dynamo::item::{Item, optional_instant, optional_text, text};
use crate::store::dynamo::tables::Table;
use crate::store::model::group::Group;
use crate::store::model::id::GroupId;
use crate::store::model::member::MemberKind;
use crate::store::rows::{member_partition, member_row};
use crate::store::{Store, StoreError};

/// Groups looked at side by side in a list of all memberships.
const GROUPS_AT_ONCE: usize = 16;

/// Sorts after every id.
const END: &str = "~";

/// One membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// The group.
    pub group: GroupId,
    /// Its `displayName`.
    pub group_name: String,
    /// The id of the member.
    pub member: String,
    /// What the member is.
    pub kind: MemberKind,
    /// Since when.
    pub created: Timestamp,
}

/// Which memberships are asked for: those of a group, of a member, of both, or all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MembershipFilter {
    /// The id of the group.
    pub group: Option<String>,
    /// The id of the member.
    pub member: Option<String>,
}

/// A place in the list: after the membership of that member in that group.
pub type MembershipPosition = (String, String);

/// Some memberships, perhaps none, and from where to go on if there are more.
#[derive(Debug, Default)]
pub struct MembershipPage {
    /// The memberships.
    pub members: Vec<GroupMember>,
    /// The place after them.
    pub next: Option<MembershipPosition>,
}

impl GroupMember {
    /// The place after it.
    pub fn place(&self) -> MembershipPosition {
        (self.group.as_str().to_owned(), self.member.clone())
    }

    fn of(group: &Group, member: &str, kind: MemberKind, row: Option<&Item>) -> Self {
        Self {
            group: group.id.clone(),
            group_name: group.record.document.text("displayName").unwrap_or_default().to_owned(),
            member: member.to_owned(),
            kind,
            created: row.and_then(|row| optional_instant(row, "created")).unwrap_or(group.record.modified),
        }
    }
}

impl Store {
    /// The membership of a member in a group.
    ///
    /// # Errors
    /// As the store's.
    pub async fn group_member(
        &self,
        tenant: &Tenant,
        group: &Group,
        member: &str,
    ) -> Result<Option<GroupMember>, StoreError> {
        let (row, tombstones) =
            try_join(self.member_row_of(tenant, &group.id, member), self.tombstones(tenant)).await?;
        let member = &canonical(member);
        let kind = group.kind_of(member, row.as_ref()).filter(|_| !tombstones.contains(member));
        Ok(kind.map(|kind| GroupMember::of(group, member, kind, row.as_ref())))
    }

    /// The memberships after a place, from at most about `limit` rows.
    ///
    /// # Errors
    /// As the store's.
    pub async fn group_members(
        &self,
        tenant: &Tenant,
        among: &MembershipFilter,
        after: Option<&MembershipPosition>,
        limit: usize,
    ) -> Result<MembershipPage, StoreError> {
        match (&among.group, &among.member) {
            (None, None) => self.members_of_all(tenant, after, limit).await,
            (None, Some(member)) => self.memberships_of(tenant, member, after, limit).await,
            (Some(id), member) => {
                let Some(id) = GroupId::parse(id) else { return Ok(MembershipPage::default()) };
                let Some(group) = self.group(tenant, &id).await? else { return Ok(MembershipPage::default()) };
                let Some(member) = member else {
                    return self.members_of(tenant, &group, after.map(|(_, member)| member.as_str()), limit).await;
                };
                let members = self.group_member(tenant, &group, member).await?.into_iter().collect();
                Ok(MembershipPage { members, next: None })
            }
        }
    }

    async fn members_of(
        &self,
        tenant: &Tenant,
        group: &Group,
        after: Option<&str>,
        limit: usize,
    ) -> Result<MembershipPage, StoreError> {
        let start = after.map(|after| member_row(tenant, group.id.as_str(), after));
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let rows = async {
            let page = self.rows_query(tenant, &group.id).limit(limit).set_exclusive_start_key(start).send().await;
            page.map_err(|e| StoreError::of(&e))
        };
        let (page, tombstones) = try_join(rows, self.tombstones(tenant)).await?;
        let last = page.last_evaluated_key().map(|key| text(key, "sk").map(str::to_owned)).transpose()?;
        let rows: BTreeMap<&str, &Item> =
            page.items().iter().filter_map(|row| Some((optional_text(row, "sk")?, row))).collect();
        let mut ids: Vec<&str> = rows.keys().copied().collect();
        if let Some(job) = &group.job {
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let to = last.as_deref().map_or(Bound::Unbounded, Bound::Included);
            ids.extend(job.add.range::<str, _>((from, to)).map(|(id, _)| id.as_str()));
            ids.sort_unstable();
            ids.dedup();
        }
        let member = |id: &&str| {
            let row = rows.get(id).copied();
            let kind = group.kind_of(id, row).filter(|_| !tombstones.contains(*id))?;
            Some(GroupMember::of(group, id, kind, row))
        };
        let next = last.map(|last| (group.id.as_str().to_owned(), last));
        Ok(MembershipPage { members: ids.iter().filter_map(member).collect(), next })
    }

    async fn memberships_of(
        &self,
        tenant: &Tenant,
        member: &str,
        after: Option<&MembershipPosition>,
        limit: usize,
    ) -> Result<MembershipPage, StoreError> {
        let Some((member, groups)) = self.groups_of_member(tenant, member).await? else {
            return Ok(MembershipPage::default());
        };
        let after = after.map_or("", |(group, _)| group.as_str());
        let mut later = groups.range::<str, _>((Bound::Excluded(after), Bound::Unbounded));
        let ids: Vec<String> = later.by_ref().take(limit).cloned().collect();
        let next = later.next().and(ids.last()).map(|last| (last.clone(), member.clone()));
        let rows = ids.iter().map(|group| member_row(tenant, group, &member)).collect();
        let (groups, rows) = try_join(self.groups(tenant, ids), self.items(Table::Links, rows)).await?;
        let rows: HashMap<&str, &Item> = rows.iter().filter_map(|row| Some((optional_text(row, "pk")?, row))).collect();
        let mut members: Vec<_> = groups
            .iter()
            .filter_map(|group| {
                let row = rows.get(member_partition(tenant, group.id.as_str()).as_str()).copied();
                Some(GroupMember::of(group, &member, group.kind_of(&member, row)?, row))
            })
            .collect();
        members.sort_by(|a, b| a.group.cmp(&b.group));
        Ok(MembershipPage { members, next })
    }

    /// Group by group, some side by side.
    async fn members_of_all(
        &self,
        tenant: &Tenant,
        after: Option<&MembershipPosition>,
        limit: usize,
    ) -> Result<MembershipPage, StoreError> {
        if let Some((group, member)) = after.filter(|(_, member)| member != END)
            && let Some(id) = GroupId::parse(group)
            && let Some(group) = self.group(tenant, &id).await?
        {
            let chunk = self.members_of(tenant, &group, Some(member), limit).await?;
            return Ok(MembershipPage { next: chunk.next.or(Some((id.as_str().to_owned(), END.to_owned()))), ..chunk });
        }
        let (groups, next) =
            self.groups_after(tenant, after.map(|(group, _)| group.as_str()), GROUPS_AT_ONCE, false).await?;
        let chunks = groups.iter().map(|group| self.members_of(tenant, group, None, limit));
        let mut members = Vec::new();
        for chunk in try_join_all(chunks).await? {
            members.extend(chunk.members);
            if chunk.next.is_some() {
                return Ok(MembershipPage { members, next: chunk.next });
            }
        }
        Ok(MembershipPage { members, next: next.map(|group| (group, END.to_owned())) })
    }
}
