//! An access token as an item of table `tokens`.

use aws_sdk_dynamodb::types::AttributeValue;

use super::format::check_format;
use super::tenant::tenant_name;
use crate::auth::{KeyId, Scope, TokenRecord};
use crate::store::StoreError;
use crate::store::dynamo::item::{Item, at, b, instant, missing_attribute, n, s, text};
use crate::tenant::TenantName;

/// The key of a row of the table. What is no token begins with a full stop, which no client's id does.
pub(in crate::store) fn token_row(tenant: &TenantName, sort: &str) -> Item {
    Item::from([("tenant".to_owned(), s(tenant.as_str())), ("tokenId".to_owned(), s(sort))])
}

/// The key of a token: a token of one client is not found under the name of another.
pub(in crate::store) fn token_key(tenant: &TenantName, client: &KeyId, id: &KeyId) -> Item {
    token_row(tenant, &format!("{client}#{id}"))
}

/// The key of the row that counts the tokens of a client in a window of time.
pub(in crate::store) fn count_key(tenant: &TenantName, client: &KeyId, window: i64) -> Item {
    token_row(tenant, &format!(".count#{client}#{window}"))
}

/// The item of a token.
pub(in crate::store) fn token_item(record: &TokenRecord) -> Item {
    let mut item = token_key(&record.tenant, &record.client, &record.id);
    let scopes = record.scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
    item.insert("hash".into(), b(&record.hash));
    item.insert("scopes".into(), AttributeValue::Ss(scopes));
    item.insert("created".into(), at(record.created));
    item.insert("expires".into(), at(record.expires));
    // DynamoDB takes it away when it gets to it.
    item.insert("ttl".into(), n(record.expires.as_second()));
    item
}

pub(in crate::store) fn token_record(item: &Item) -> Result<TokenRecord, StoreError> {
    check_format(item)?;
    let missing = || missing_attribute("tokenId");
    let (client, id) = text(item, "tokenId")?.split_once('#').ok_or_else(missing)?;
    let hash = item.get("hash").and_then(|value| value.as_b().ok()?.as_ref().try_into().ok());
    let scopes = item.get("scopes").and_then(|v| v.as_ss().ok()).ok_or_else(|| missing_attribute("scopes"))?;
    Ok(TokenRecord {
        tenant: tenant_name(item)?,
        client: KeyId::parse(client).ok_or_else(missing)?,
        id: KeyId::parse(id).ok_or_else(missing)?,
        hash: hash.ok_or_else(|| missing_attribute("hash"))?,
        scopes: scopes.iter().filter_map(|scope| scope.parse::<Scope>().ok()).collect(),
        created: instant(item, "created")?,
        expires: instant(item, "expires")?,
    })
}
