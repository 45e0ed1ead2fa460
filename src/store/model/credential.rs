//! A key record as an item of table `keys`.

use aws_sdk_dynamodb::types::AttributeValue;

use super::tenant::{credential_key, read_config, tenant_name, write_config};
use crate::auth::jwt::{algorithm, algorithm_name};
use crate::auth::{Credential, FederatedIssuer, KeyId, KeyRecord, Scope, TrustedSubject};
use crate::store::StoreError;
use crate::store::dynamo::item::{
    Item, at, b, instant, missing_attribute, n, optional_instant, optional_number, optional_text, s, text,
};

/// The item of a key record.
pub(in crate::store) fn credential_item(record: &KeyRecord) -> Item {
    let mut item = credential_key(&record.tenant, record.id.as_str());
    let scopes = record.scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
    item.insert("scopes".into(), AttributeValue::Ss(scopes));
    item.insert("description".into(), s(&record.description));
    item.extend(record.automation.as_ref().map(|user| ("automation".to_owned(), s(user))));
    item.extend(record.awaiting_activation.then(|| ("waiting".to_owned(), AttributeValue::Bool(true))));
    let times = [
        ("created", Some(record.created)),
        ("notBefore", record.not_before),
        ("expires", record.expires),
        ("retires", record.retires),
        ("revoked", record.revoked),
        ("used", record.used),
    ];
    item.extend(times.into_iter().filter_map(|(name, time)| Some((name.to_owned(), at(time?)))));
    item.extend(record.refill.map(|refill| ("refill".to_owned(), n(refill))));
    put_credential(&mut item, &record.credential);
    write_config(&mut item, &record.config);
    item
}

fn put_credential(item: &mut Item, credential: &Credential) {
    let mut put = |name: &str, value| item.insert(name.to_owned(), value);
    put("type", s(credential.type_name()));
    match credential {
        Credential::Bearer(hash) | Credential::Basic(hash) | Credential::Client(hash) => {
            put("hash", b(hash));
        }
        Credential::Jwt { public_key, seal } => {
            put("publicKey", b(public_key));
            put("seal", b(seal));
        }
        Credential::Federation { trust, seal } => {
            put("issuer", s(&trust.issuer));
            put("audience", s(&trust.audience));
            match &trust.subject {
                TrustedSubject::Only(subject) => put("subject", s(subject)),
                TrustedSubject::Any => put("anySubject", AttributeValue::Bool(true)),
            };
            put("jwksUri", s(&trust.jwks_uri));
            put("algorithm", s(algorithm_name(trust.algorithm)));
            put("seal", b(seal));
        }
    }
}

pub(in crate::store) fn credential_record(item: &Item) -> Result<KeyRecord, StoreError> {
    let scopes = item.get("scopes").and_then(|v| v.as_ss().ok()).ok_or_else(|| missing_attribute("scopes"))?;
    Ok(KeyRecord {
        tenant: tenant_name(item)?,
        id: KeyId::parse(text(item, "keyId")?).ok_or_else(|| missing_attribute("keyId"))?,
        credential: credential(item)?,
        scopes: scopes.iter().filter_map(|scope| scope.parse::<Scope>().ok()).collect(),
        description: text(item, "description")?.to_owned(),
        automation: optional_text(item, "automation").map(str::to_owned),
        awaiting_activation: item.contains_key("waiting"),
        created: instant(item, "created")?,
        not_before: optional_instant(item, "notBefore"),
        expires: optional_instant(item, "expires"),
        retires: optional_instant(item, "retires"),
        revoked: optional_instant(item, "revoked"),
        used: optional_instant(item, "used"),
        refill: optional_number(item, "refill"),
        config: read_config(item),
    })
}

fn credential(item: &Item) -> Result<Credential, StoreError> {
    let bytes = |name: &str| Some(item.get(name)?.as_b().ok()?.as_ref());
    let digest =
        |name: &str| bytes(name).and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| missing_attribute(name));
    let owned = |name: &str| text(item, name).map(str::to_owned);
    match text(item, "type")? {
        "bearer" => Ok(Credential::Bearer(digest("hash")?)),
        "basic" => Ok(Credential::Basic(digest("hash")?)),
        "client" => Ok(Credential::Client(digest("hash")?)),
        "jwt" => {
            let public_key = bytes("publicKey").ok_or_else(|| missing_attribute("publicKey"))?.to_vec();
            Ok(Credential::Jwt { public_key, seal: digest("seal")? })
        }
        "federation" => {
            let trust = FederatedIssuer {
                issuer: owned("issuer")?,
                audience: owned("audience")?,
                // A record that says neither trusts nobody.
                subject: match item.contains_key("anySubject") {
                    true => TrustedSubject::Any,
                    false => TrustedSubject::Only(owned("subject")?),
                },
                jwks_uri: owned("jwksUri")?,
                algorithm: algorithm(text(item, "algorithm")?).ok_or_else(|| missing_attribute("algorithm"))?,
            };
            Ok(Credential::Federation { trust, seal: digest("seal")? })
        }
        _ => Err(missing_attribute("type")),
    }
}
