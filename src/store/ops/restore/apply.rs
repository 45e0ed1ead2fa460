//! The writes of a restore, each of which is conditional: a document, a deleted user or group that comes back, and a
//! membership.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Value};

use super::step::{Restorable, RestoreOutcome, RestoredMembership, StepEnd, document_of};
use super::{RestoreRun, absent};
use crate::limits::MAX_WRITE_ATTEMPTS;
use crate::scim::Document;
use crate::scim::group::GroupKeys;
use crate::scim::membership::MembershipChange;
use crate::scim::user::UserKeys;
use crate::store::StoreError;
use crate::store::dynamo::commit::CommitError;
use crate::store::dynamo::item::{n, optional_text};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Guard, Write};
use crate::store::model::group::{Group, GroupError};
use crate::store::model::history::Deletion;
use crate::store::model::id::{GroupId, UserId};
use crate::store::model::member::MemberKind;
use crate::store::model::record::{REVIVED, Revival};
use crate::store::model::restore::{ConflictReason, RestoreConflict, RestorePlan};
use crate::store::model::user::{User, UserWriteError};
use crate::store::ops::groups;
use crate::store::ops::members::PrefetchedMembers;
use crate::store::ops::members::change::GroupChange;
use crate::store::rows::{email_changes, job_row, revival_row, tombstone_row};

/// Why a write of a restore did not happen.
enum NotWritten {
    /// Somebody else was faster.
    Changed,
    /// It cannot be.
    Conflict(ConflictReason),
    Store(StoreError),
}

impl From<StoreError> for NotWritten {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Contended(_) => Self::Conflict(ConflictReason::Busy),
            error => Self::Store(error),
        }
    }
}

impl RestoreRun<'_> {
    /// Carries a plan out, as far as there is time.
    pub(super) async fn write(
        &mut self,
        id: &str,
        resource: Option<Restorable>,
        plan: RestorePlan,
        outcome: &mut RestoreOutcome,
    ) -> Result<StepEnd, StoreError> {
        if let Some(document) = &plan.document {
            let kind = outcome.kind;
            match self.write_document((kind, id), resource, (document, plan.revival.as_ref())).await {
                Ok(()) => {}
                Err(NotWritten::Changed) => return Ok(StepEnd::Changed),
                Err(NotWritten::Store(error)) => return Err(error),
                Err(NotWritten::Conflict(reason)) => {
                    outcome.attributes.clear();
                    outcome.conflicts.push(RestoreConflict::of(reason));
                    if std::mem::take(&mut outcome.is_revived) {
                        return Ok(StepEnd::Done);
                    }
                }
            }
        }
        let moves = plan.join.iter().map(|group| (group, true)).chain(plan.leave.iter().map(|group| (group, false)));
        for (number, (group, is_member)) in moves.enumerate() {
            // One more in each call, so that every call gets on.
            if number > 0 && self.is_late() {
                return Ok(StepEnd::Partial);
            }
            let conflict = match self.move_member(group, id, is_member).await {
                Ok(()) => {
                    outcome.memberships.push(RestoredMembership { group: group.clone(), is_member });
                    continue;
                }
                Err(NotWritten::Store(error)) => return Err(error),
                Err(NotWritten::Changed) => ConflictReason::Busy,
                Err(NotWritten::Conflict(reason)) => reason,
            };
            outcome.conflicts.push(RestoreConflict::of_group(conflict, group));
        }
        Ok(StepEnd::Done)
    }

    async fn write_document(
        &mut self,
        (kind, id): (MemberKind, &str),
        resource: Option<Restorable>,
        (attributes, deletion): (&Map<String, Value>, Option<&Deletion>),
    ) -> Result<(), NotWritten> {
        let refusal = || NotWritten::Conflict(ConflictReason::Refused);
        let document = document_of(attributes).ok_or_else(refusal)?;
        match (resource, deletion, kind) {
            (Some(Restorable::User(user)), ..) => self.update_user(&user, document).await,
            (Some(Restorable::Group(group)), ..) => self.update_group(&group, document).await,
            (None, Some(deletion), MemberKind::User) => {
                let keys = UserKeys::of(&document).map_err(|_| refusal())?;
                let id = UserId::parse(id).ok_or_else(refusal)?;
                let user = User::revived(id, document, &keys, self.revival(deletion));
                self.revive_user(&user, &keys, deletion.version).await
            }
            (None, Some(deletion), MemberKind::Group) => {
                let keys = GroupKeys::of(&document).map_err(|_| refusal())?;
                let id = GroupId::parse(id).ok_or_else(refusal)?;
                let group = Group::revived(id, document, &keys, self.revival(deletion));
                self.revive_group(&group, deletion.version).await
            }
            (None, None, _) => Ok(()),
        }
    }

    fn revival(&self, deletion: &Deletion) -> Revival {
        Revival { version: deletion.version, created: deletion.created, now: self.author.now() }
    }

    async fn update_user(&mut self, old: &User, document: Document) -> Result<(), NotWritten> {
        let author = self.next_author();
        let keys = UserKeys::of(&document).map_err(|_| NotWritten::Conflict(ConflictReason::Refused))?;
        let new = old.next(document, &keys, author.now());
        match self.store.update_user(&self.tenant, &author, (old, &new), &keys, 0).await {
            Ok(()) => Ok(()),
            Err(UserWriteError::UserNameTaken) => Err(NotWritten::Conflict(ConflictReason::NameTaken)),
            Err(UserWriteError::Changed(_)) => Err(NotWritten::Changed),
            Err(UserWriteError::Held(_)) => Err(NotWritten::Conflict(ConflictReason::Refused)),
            Err(UserWriteError::Store(error)) => Err(error.into()),
        }
    }

    async fn update_group(&mut self, old: &Group, document: Document) -> Result<(), NotWritten> {
        let keys = GroupKeys::of(&document).map_err(|_| NotWritten::Conflict(ConflictReason::Refused))?;
        let new = old.next(document, &keys, self.author.now());
        self.change_group(old, &new, &MembershipChange::default()).await
    }

    /// Has somebody join a group or leave it.
    async fn move_member(&mut self, group: &str, member: &str, is_member: bool) -> Result<(), NotWritten> {
        let gone = || if is_member { Err(NotWritten::Conflict(ConflictReason::GroupGone)) } else { Ok(()) };
        let Some(id) = GroupId::parse(group) else { return gone() };
        let mut change = MembershipChange::default();
        let side = if is_member { &mut change.add } else { &mut change.remove };
        side.insert(member.to_owned());
        for _ in 0..MAX_WRITE_ATTEMPTS {
            let Some(old) = self.store.group(&self.tenant, &id).await? else { return gone() };
            match self.change_group(&old, &old.touched(self.author.now()), &change).await {
                Err(NotWritten::Changed) => {}
                end => return end,
            }
        }
        Err(NotWritten::Changed)
    }

    async fn change_group(&mut self, old: &Group, new: &Group, members: &MembershipChange) -> Result<(), NotWritten> {
        let author = self.next_author();
        let change = GroupChange { old, new, members, requires_version: false, requires_change: false, attempt: 0 };
        match self.store.change_group(&self.tenant, &author, change, &PrefetchedMembers::default()).await {
            Ok(()) => Ok(()),
            Err(GroupError::Changed(_)) => Err(NotWritten::Changed),
            Err(GroupError::NameTaken) => Err(NotWritten::Conflict(ConflictReason::NameTaken)),
            Err(GroupError::Store(error)) => Err(error.into()),
            Err(_) => Err(NotWritten::Conflict(ConflictReason::Refused)),
        }
    }

    async fn revive_user(&mut self, user: &User, keys: &UserKeys, version: u64) -> Result<(), NotWritten> {
        self.store.note_count_change(&self.tenant);
        let author = self.next_author();
        let mut item = user.item(&self.tenant, keys, &author);
        item.insert(REVIVED.to_owned(), AttributeValue::Bool(true));
        let put = Write::put(Table::Users, item).require(&Condition::Absent("tenant")).guard(Guard::Name);
        let mut writes = vec![put];
        writes.extend(email_changes(&self.tenant, user.id.as_str(), &[], user.further_emails()));
        self.revive(writes, (user.id.as_str(), version), &author.request).await
    }

    async fn revive_group(&mut self, group: &Group, version: u64) -> Result<(), NotWritten> {
        let author = self.next_author();
        let writes = groups::creation(&self.tenant, &author, group);
        self.revive(writes, (group.id.as_str(), version), &author.request).await
    }

    /// Puts something back, if nothing of its deletion is left to be carried out, and nobody has put it back before.
    async fn revive(&self, mut writes: Vec<Write>, (id, version): (&str, u64), token: &str) -> Result<(), NotWritten> {
        let mut row = revival_row(&self.tenant, id, version);
        row.insert("ttl".to_owned(), n(self.author.at.as_second() + self.store.retention.as_secs()));
        writes.push(Write::put(Table::Links, row).require(&Condition::Absent("pk")).guard(Guard::Version));
        let left = [job_row(&self.tenant, id), tombstone_row(&self.tenant, id)];
        writes.extend(left.map(|key| absent(key).guard(Guard::Swept)));
        match self.store.commit(&writes, token).await {
            Ok(()) => Ok(()),
            // Another restore was faster.
            Err(CommitError::Condition(Guard::Version, _)) => Err(NotWritten::Changed),
            Err(CommitError::Condition(_, Some(now))) if optional_text(&now, "id") == Some(id) => {
                Err(NotWritten::Changed)
            }
            Err(CommitError::Condition(Guard::Swept, _)) => Err(NotWritten::Conflict(ConflictReason::TryLater)),
            Err(CommitError::Condition(..)) => Err(NotWritten::Conflict(ConflictReason::NameTaken)),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }
}
