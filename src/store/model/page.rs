//! A link to the page and a session of it as items of table `tokens`.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Value, json};

use super::format::check_format;
use super::tenant::tenant_name;
use super::token::token_row;
use crate::auth::{KeyId, LinkRecord, PageAccess, SessionRecord};
use crate::scim::resource::date_time;
use crate::store::StoreError;
use crate::store::dynamo::item::{
    Item, at, b, instant, missing_attribute, n, optional_instant, optional_text, s, text,
};
use crate::tenant::TenantName;

/// With it begins the sort key of a link; its id follows. No client's id begins with a full stop.
const LINK: &str = ".link#";

/// With it begins the sort key of a session.
const SESSION: &str = ".session#";

/// The key of a link.
pub(in crate::store) fn link_key(tenant: &TenantName, id: &KeyId) -> Item {
    token_row(tenant, &format!("{LINK}{id}"))
}

/// The key of a session.
pub(in crate::store) fn session_key(tenant: &TenantName, id: &KeyId) -> Item {
    token_row(tenant, &format!("{SESSION}{id}"))
}

/// The item of a link that nobody has used.
pub(in crate::store) fn link_item(link: &LinkRecord) -> Item {
    let mut item = link_key(&link.tenant, &link.id);
    write_access(&mut item, &link.access);
    item.insert("hash".into(), b(&link.hash));
    item.insert("created".into(), at(link.created));
    item.insert("expires".into(), at(link.expires));
    item.insert("ttl".into(), n(link.expires.as_second()));
    item
}

/// The link of an item.
pub(in crate::store) fn link_record(item: &Item) -> Result<LinkRecord, StoreError> {
    Ok(LinkRecord {
        tenant: tenant_name(item)?,
        id: id_after(item, LINK)?,
        hash: hash(item)?,
        access: read_access(item)?,
        created: instant(item, "created")?,
        expires: instant(item, "expires")?,
        used: optional_instant(item, "used"),
        revoked: optional_instant(item, "revoked"),
    })
}

/// The item of a session that begins.
pub(in crate::store) fn session_item(session: &SessionRecord) -> Item {
    let mut item = session_key(&session.tenant, &session.id);
    write_access(&mut item, &session.access);
    item.insert("hash".into(), b(&session.hash));
    item.insert("seen".into(), at(session.seen));
    item.insert("expires".into(), at(session.expires));
    item.insert("ttl".into(), n(session.expires.as_second()));
    item
}

/// The session of an item.
pub(in crate::store) fn session_record(item: &Item) -> Result<SessionRecord, StoreError> {
    Ok(SessionRecord {
        tenant: tenant_name(item)?,
        id: id_after(item, SESSION)?,
        hash: hash(item)?,
        access: read_access(item)?,
        seen: instant(item, "seen")?,
        expires: instant(item, "expires")?,
        ended: optional_instant(item, "ended"),
    })
}

/// What the log says of a link or a session: no secret.
pub(in crate::store) fn access_fields(access: &PageAccess) -> Map<String, Value> {
    let fields = [
        ("role", Some(json!(access.role.as_str()))),
        ("operator", access.is_operator.then(|| json!(true))),
        ("person", access.person.as_ref().map(|person| json!(person))),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// What the log says of a new link.
pub(in crate::store) fn link_fields(link: &LinkRecord) -> Value {
    let mut fields = access_fields(&link.access);
    fields.insert("expires".to_owned(), json!(date_time(link.expires)));
    fields.into()
}

fn write_access(item: &mut Item, access: &PageAccess) {
    item.insert("role".into(), s(access.role.as_str()));
    item.extend(access.is_operator.then(|| ("operator".to_owned(), AttributeValue::Bool(true))));
    item.extend(access.person.as_ref().map(|person| ("person".to_owned(), s(person))));
}

fn read_access(item: &Item) -> Result<PageAccess, StoreError> {
    check_format(item)?;
    Ok(PageAccess {
        role: text(item, "role")?.parse().map_err(|_| missing_attribute("role"))?,
        is_operator: item.contains_key("operator"),
        person: optional_text(item, "person").map(str::to_owned),
    })
}

fn id_after(item: &Item, prefix: &str) -> Result<KeyId, StoreError> {
    let id = text(item, "tokenId")?.strip_prefix(prefix).and_then(KeyId::parse);
    id.ok_or_else(|| missing_attribute("tokenId"))
}

fn hash(item: &Item) -> Result<[u8; 32], StoreError> {
    let bytes = item.get("hash").and_then(|value| value.as_b().ok()?.as_ref().try_into().ok());
    bytes.ok_or_else(|| missing_attribute("hash"))
}
