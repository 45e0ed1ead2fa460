//! Memberships one by one, in pages: the rows of `links`, with what is committed and not yet carried out taken into
//! account. In the order of the groups' ids, then of the members'.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use futures_util::future::{try_join, try_join_all};
use jiff::Timestamp;

use crate::auth::Tenant;
use crate::scim::membership::canonical;
use crate::store::dynamo::item::{Item, optional_instant, optional_text, text};
use crate::store::dynamo::tables::Table;
use crate::store::model::format::check_formats;
use crate::store::model::group::Group;
use crate::store::model::id::GroupId;
use crate::store::model::member::{MemberKind, member_kind};
use crate::store::model::member_batch::BatchMembers;
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

    /// A membership that begins now.
    pub fn new(group: &Group, member: String, kind: MemberKind, now: Timestamp) -> Self {
        let group_name = group.record.document.text("displayName").unwrap_or_default().to_owned();
        Self { group: group.id.clone(), group_name, member, kind, created: now }
    }

    /// `None` for somebody who is not a member, once the group's batch is carried out.
    fn of(group: &Group, batch: Option<&BatchMembers>, member: &str, row: Option<&Item>) -> Option<Self> {
        let kind = row.map(member_kind);
        let kind = batch.map_or(kind, |batch| batch.kind_of(member, kind))?;
        let since = row.and_then(|row| optional_instant(row, "created"));
        let created = since.or(group.batch.as_ref().map(|batch| batch.at)).unwrap_or(group.record.modified);
        Some(Self::new(group, member.to_owned(), kind, created))
    }
}

impl Store {
    /// The membership of a member in a group.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn group_member(
        &self,
        tenant: &Tenant,
        group: &Group,
        member: &str,
    ) -> Result<Option<GroupMember>, StoreError> {
        let read = |group: Group| async move {
            let batch = self.batch_members_among(tenant, &group, &[canonical(member)].into()).await?;
            let reads = try_join(self.member_row_of(tenant, &group.id, member), self.tombstones(tenant));
            let (row, tombstones) = reads.await?;
            let member = &canonical(member);
            let found = GroupMember::of(&group, batch.as_ref(), member, row.as_ref());
            Ok(found.filter(|_| !tombstones.contains(member)))
        };
        self.settled_row(tenant, group, read).await.map(Option::flatten)
    }

    /// The memberships after a place, from at most about `limit` rows.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
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
                    return self.settled_page(tenant, group, after.map(|(_, member)| member.as_str()), limit).await;
                };
                let members = self.group_member(tenant, &group, member).await?.into_iter().collect();
                Ok(MembershipPage { members, next: None })
            }
        }
    }

    /// A page of a group's memberships at one instant; none for a deleted group.
    async fn settled_page(
        &self,
        tenant: &Tenant,
        group: Group,
        after: Option<&str>,
        limit: usize,
    ) -> Result<MembershipPage, StoreError> {
        let read = |group: Group| async move { self.page_of_members(tenant, &group, after, limit).await };
        Ok(self.read_stable(tenant, group, read).await?.map(|(_, page)| page).unwrap_or_default())
    }

    async fn page_of_members(
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
        let batch = self.batch_members(tenant, group).await?;
        let (page, tombstones) = try_join(rows, self.tombstones(tenant)).await?;
        check_formats(page.items())?;
        let last = page.last_evaluated_key().map(|key| text(key, "sk").map(str::to_owned)).transpose()?;
        let rows: BTreeMap<&str, &Item> =
            page.items().iter().filter_map(|row| Some((optional_text(row, "sk")?, row))).collect();
        let mut ids: BTreeSet<&str> = rows.keys().copied().collect();
        if let Some(batch) = &batch {
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let to = last.as_deref().map_or(Bound::Unbounded, Bound::Included);
            ids.extend(batch.add.range::<str, _>((from, to)).map(|(id, _)| id.as_str()));
        }
        let ids = ids.into_iter().filter(|id| !tombstones.contains(*id));
        let member = |id: &str| GroupMember::of(group, batch.as_ref(), id, rows.get(id).copied());
        let next = last.map(|last| (group.id.as_str().to_owned(), last));
        Ok(MembershipPage { members: ids.filter_map(member).collect(), next })
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
        check_formats(&rows)?;
        let rows: HashMap<&str, &Item> = rows.iter().filter_map(|row| Some((optional_text(row, "pk")?, row))).collect();
        let (pending, settled): (Vec<_>, Vec<_>) = groups.iter().partition(|group| group.batch.is_some());
        let pending = pending.into_iter().map(|group| self.group_member(tenant, group, &member));
        let mut members: Vec<_> = try_join_all(pending).await?.into_iter().flatten().collect();
        members.extend(settled.into_iter().filter_map(|group| {
            let row = rows.get(member_partition(tenant, group.id.as_str()).as_str()).copied();
            GroupMember::of(group, None, &member, row)
        }));
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
            let chunk = self.settled_page(tenant, group, Some(member), limit).await?;
            return Ok(MembershipPage { next: chunk.next.or(Some((id.as_str().to_owned(), END.to_owned()))), ..chunk });
        }
        let (groups, next) =
            self.groups_after(tenant, after.map(|(group, _)| group.as_str()), GROUPS_AT_ONCE, false).await?;
        let chunks = groups.into_iter().map(|group| self.settled_page(tenant, group, None, limit));
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
