//! What is wrong with a membership or an item, and the writes that mend it. The document and the member's own item are
//! the truth: indexes and rows follow them.

use super::finding::Contradiction;
use super::stable::MembershipState;
use crate::auth::Tenant;
use crate::scim::user::UserKeys;
use crate::store::dynamo::item::{Item, at, n, optional_instant, optional_number, optional_text, s};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Write};
use crate::store::model::damage::DataCheck;
use crate::store::model::group::{Group, group_key};
use crate::store::model::member::{MemberKind, member_kind};
use crate::store::model::member_item::Member;
use crate::store::model::record::id_set_value;
use crate::store::model::user::{User, hour, user_key};
use crate::store::rows::member_row;

/// What is wrong with the two sides of a membership.
pub(super) fn of_membership(
    tenant: &Tenant,
    group: &str,
    member: &str,
    state: &MembershipState,
) -> Option<Contradiction> {
    let target = format!("{group} {member}");
    let is_in = state.member.as_ref().is_some_and(|member| member.is_in(group));
    let finding = |check, detail: &str, repair| Some(Contradiction::new(check, &target, detail, repair));
    let delete = || Write::delete(Table::Links, member_row(tenant, group, member));
    match (&state.group, &state.member, &state.row) {
        _ if state.is_pending => None,
        (None, Some(there), row) if is_in => {
            let repair = vec![forget(there, group), delete()];
            let check = if row.is_some() { DataCheck::MemberRowGroup } else { DataCheck::MembershipGroup };
            finding(check, "the group does not exist", repair)
        }
        (None, _, Some(_)) => finding(DataCheck::MemberRowGroup, "the group does not exist", vec![delete()]),
        (Some(_), None, Some(_)) => {
            let repair = vec![delete(), touch(tenant, group)];
            finding(DataCheck::MemberRowMember, "the member does not exist", repair)
        }
        (Some(_), Some(there), Some(_)) if !is_in => {
            let repair = vec![delete(), unchanged(there), touch(tenant, group)];
            finding(DataCheck::MemberRowMembership, "the member does not name the group", repair)
        }
        (Some(of), Some(there), None) if is_in => {
            let mut row = member_row(tenant, group, member);
            row.insert("created".into(), at(of.record.modified));
            row.insert("t".into(), s(type_name(there.kind)));
            let put = Write::put(Table::Links, row).require(&Condition::Absent("pk"));
            finding(DataCheck::MembershipRow, "the row is missing", vec![put, unchanged(there), touch(tenant, group)])
        }
        (Some(of), Some(there), Some(row)) => of_row(tenant, (of, there), row, &target),
        _ => None,
    }
}

/// What is wrong with the row of a member that is one.
fn of_row(tenant: &Tenant, (group, member): (&Group, &Member), row: &Item, target: &str) -> Option<Contradiction> {
    let update = || {
        let key = member_row(tenant, group.id.as_str(), &member.id);
        Write::update(Table::Links, key).require(&Condition::Exists("pk"))
    };
    if member_kind(row) != member.kind {
        let repair = vec![update().set("t", s(type_name(member.kind)))];
        return Some(Contradiction::new(
            DataCheck::MemberRowType,
            target,
            format!("it is a {}", type_name(member.kind)),
            repair,
        ));
    }
    if optional_instant(row, "created").is_none() {
        let repair = vec![update().set("created", at(group.record.modified))];
        return Some(Contradiction::new(DataCheck::MemberRowCreated, target, "the time is missing", repair));
    }
    None
}

/// The keys and index attributes of a user's item that its document contradicts.
pub(super) fn of_user(tenant: &Tenant, item: &Item) -> Vec<Contradiction> {
    let id = optional_text(item, "id").unwrap_or("-");
    let user = match User::read(item) {
        Ok(user) => user,
        Err(error) => return vec![Contradiction::new(DataCheck::UserUnreadable, id, error.to_string(), Vec::new())],
    };
    let Ok(keys) = UserKeys::of(&user.record.document) else { return Vec::new() };
    let key = user_key(tenant, &user.key);
    let mut findings = Vec::new();
    if keys.user_name != user.key {
        let mut moved = item.clone();
        moved.insert("userName".into(), s(&keys.user_name));
        let put = Write::put(Table::Users, moved).require(&Condition::Absent("tenant"));
        let repair = vec![put, at_version(Write::delete(Table::Users, key.clone()), item)];
        findings.push(Contradiction::new(DataCheck::UserKey, id, "the key is another name", repair));
    }
    let hour = hour(user.record.modified);
    for (check, attribute, value) in [
        (DataCheck::UserExternalId, "externalId", keys.external_id.as_ref()),
        (DataCheck::UserEmail, "email", user.indexed_email()),
        (DataCheck::UserHour, "hour", Some(&hour)),
    ] {
        if optional_text(item, attribute) == value.map(String::as_str) {
            continue;
        }
        let write = Write::update(Table::Users, key.clone()).set_or_remove(attribute, value.map(s));
        findings.push(Contradiction::new(check, id, difference(attribute, item), vec![at_version(write, item)]));
    }
    findings
}

/// The index attributes of a group's item that its document contradicts.
pub(super) fn of_group(tenant: &Tenant, group: &Group, item: &Item) -> Vec<Contradiction> {
    let id = group.id.as_str();
    let name = Some(&group.keys.name);
    let attributes = [
        (DataCheck::GroupName, "name", name),
        (DataCheck::GroupExternalId, "externalId", group.keys.external_id.as_ref()),
    ];
    let is_wrong =
        |attribute: &str, value: Option<&String>| optional_text(item, attribute) != value.map(String::as_str);
    let wrong = attributes.into_iter().filter(|(_, attribute, value)| is_wrong(attribute, *value));
    wrong
        .map(|(check, attribute, value)| {
            let write = Write::update(Table::Groups, group_key(tenant, id)).set_or_remove(attribute, value.map(s));
            Contradiction::new(check, id, difference(attribute, item), vec![at_version(write, item)])
        })
        .collect()
}

/// The older one of two items of one user goes.
pub(super) fn older_double(tenant: &Tenant, id: &str, items: &[Item]) -> Option<Contradiction> {
    let version = |item: &&Item| (optional_number::<u64>(item, "ver"), optional_number::<i64>(item, "modified"));
    let newest = items.iter().max_by_key(version)?;
    let older = items.iter().find(|item| item.get("userName") != newest.get("userName"))?;
    let key = user_key(tenant, optional_text(older, "userName")?);
    let repair = vec![
        at_version(Write::delete(Table::Users, key), older),
        at_version(Write::check(Table::Users, user_key(tenant, optional_text(newest, "userName")?)), newest),
    ];
    Some(Contradiction::new(DataCheck::UserTwice, id, "the older item goes", repair))
}

/// A write of an item as it was read.
pub(super) fn at_version(write: Write, item: &Item) -> Write {
    let equals = |name: &'static str| match item.get(name) {
        Some(value) => Condition::equals(name, value.clone()),
        None => Condition::Absent(name),
    };
    write.require(&equals("id")).require(&equals("ver")).require(&equals("gver"))
}

/// The member's memberships stay as they were read.
fn unchanged(member: &Member) -> Write {
    of_member(Write::check(table(member), member.key.clone()), member)
}

/// The member leaves a group that does not exist.
fn forget(member: &Member, group: &str) -> Write {
    let write = Write::update(table(member), member.key.clone()).increment("gver");
    let ids = id_set_value([&group.to_owned()]);
    let write = ids.into_iter().fold(write, |write, ids| write.delete_from_set("groupIds", ids));
    of_member(write, member)
}

fn of_member(write: Write, member: &Member) -> Write {
    write
        .require(&Condition::equals("id", s(&member.id)))
        .require(&Condition::absent_or_equals("gver", n(member.membership.version)))
        .without_returning_old()
}

/// The list of members is another one: so is its tag.
fn touch(tenant: &Tenant, group: &str) -> Write {
    Write::update(Table::Groups, group_key(tenant, group)).increment("ver").require(&Condition::Exists("id"))
}

fn table(member: &Member) -> Table {
    if member.kind == MemberKind::User { Table::Users } else { Table::Groups }
}

fn type_name(kind: MemberKind) -> &'static str {
    if kind == MemberKind::User { "User" } else { "Group" }
}

fn difference(attribute: &str, item: &Item) -> String {
    match item.contains_key(attribute) {
        true => format!("{attribute} is not that of the document"),
        false => format!("{attribute} is missing"),
    }
}
