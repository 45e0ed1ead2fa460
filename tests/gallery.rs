//! The mapping files and the guides for customers name attributes that Rollcall has.

use rollcall::scim::Schemas;
use serde_json::Value;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// What every resource has besides its schema (RFC 7643 section 3.1).
const COMMON: [&str; 2] = ["id", "externalId"];

fn file(name: &str) -> String {
    std::fs::read_to_string(format!("docs/src/gallery/{name}")).unwrap()
}

fn named<'v>(attributes: &'v Value, name: &str) -> Option<&'v Value> {
    attributes.as_array()?.iter().find(|found| found["name"].as_str().is_some_and(|n| n.eq_ignore_ascii_case(name)))
}

/// Whether the schemas have an attribute such as `emails[type eq "work"].value`; a value that selects must be canonical,
/// or `true` for a boolean.
fn is_attribute(documents: &[Value], path: &str) -> bool {
    let (urn, path) = path.rsplit_once(':').map_or((None, path), |(urn, path)| (Some(urn), path));
    let documents = documents.iter().filter(|document| urn.is_none_or(|urn| document["id"] == urn));
    let mut parts = path.split('.');
    let first = parts.next().unwrap();
    let (name, selector) = first.split_once('[').map_or((first, None), |(name, rest)| (name, Some(rest)));
    let found = |document: &Value| {
        let Some(attribute) = named(&document["attributes"], name) else { return COMMON.contains(&path) };
        let is_selected = selector.is_none_or(|selector| {
            let (sub, value) = selector.trim_end_matches(']').split_once(" eq ").unwrap();
            named(&attribute["subAttributes"], sub).is_some_and(|sub| match sub["canonicalValues"].as_array() {
                Some(all) => all.iter().any(|v| v == value.trim_matches('"')),
                None => sub["type"] == "boolean" && value == "true",
            })
        });
        is_selected && parts.clone().all(|sub| named(&attribute["subAttributes"], sub).is_some())
    };
    let mut documents = documents;
    documents.any(found)
}

/// The path of SCIM for an external name as Okta spells it, such as `emails.^[primary==true].value`.
fn scim_path(external: &str) -> String {
    external.replace(".^[", "[").replace("==", " eq ").replace('\'', "\"")
}

fn documents() -> Vec<Value> {
    Schemas::standard().unwrap().all().map(|schema| schema.published().into_owned()).chain(extension()).collect()
}

/// The enterprise extension, as `/Schemas` publishes it.
fn extension() -> Option<Value> {
    serde_json::from_str(include_str!("../src/scim/schema/enterprise_user.json")).ok()
}

#[test]
fn an_attribute_that_is_not_there_is_noticed() {
    let documents = documents();
    for good in [
        "userName",
        "name.givenName",
        "emails[type eq \"work\"].value",
        &scim_path("emails.^[primary==true].value"),
        &scim_path("phoneNumbers.^[type=='work'].value"),
        &format!("{ENTERPRISE}:manager.value"),
        "externalId",
    ] {
        assert!(is_attribute(&documents, good), "{good}");
    }
    for bad in [
        "usrName",
        "name.given",
        "emails[type eq \"office\"].value",
        &scim_path("emails.^[first==true].value"),
        &scim_path("emails.^[type==true].value"),
        &format!("{ENTERPRISE}:userName"),
        "urn:x:title",
    ] {
        assert!(!is_attribute(&documents, bad), "{bad}");
    }
}

#[test]
fn entras_mapping_names_attributes_that_exist_and_declares_each() {
    let (documents, mapping): (_, Value) = (documents(), serde_json::from_str(&file("entra-mapping.json")).unwrap());
    let objects = mapping["directories"][0]["objects"].as_array().unwrap();
    let mut count = 0;
    for object in mapping["synchronizationRules"][0]["objectMappings"].as_array().unwrap() {
        let declared = objects.iter().find(|found| found["name"] == object["targetObjectName"]).unwrap();
        let mappings = object["attributeMappings"].as_array().unwrap();
        assert_eq!(
            mappings.iter().filter(|mapping| mapping["matchingPriority"] == 1).count(),
            1,
            "one matching attribute"
        );
        for target in mappings.iter().map(|mapping| mapping["targetAttributeName"].as_str().unwrap()) {
            assert!(is_attribute(&documents, target), "{target}");
            assert!(named(&declared["attributes"], target).is_some(), "{target} is not in the directory");
            count += 1;
        }
    }
    assert!(count > 20);
}

#[test]
fn oktas_mapping_names_attributes_that_exist_in_their_namespace() {
    let (documents, mapping): (_, Value) = (documents(), serde_json::from_str(&file("okta-mapping.json")).unwrap());
    let properties = mapping["properties"].as_array().unwrap();
    assert!(properties.len() > 20);
    for property in properties {
        let (name, namespace) =
            (property["externalName"].as_str().unwrap(), property["externalNamespace"].as_str().unwrap());
        assert!(is_attribute(&documents, &format!("{namespace}:{}", scim_path(name))), "{namespace} {name}");
    }
}

#[test]
fn the_guides_for_customers_name_attributes_that_exist() {
    let documents = documents();
    for (guide, heading) in
        [("entra-customer-guide.md", "## Map the attributes"), ("okta-customer-guide.md", "## Attributes and mapping")]
    {
        let text = file(guide);
        let table = text.split(heading).nth(1).unwrap().split("\n## ").next().unwrap();
        let targets: Vec<_> = table.lines().filter_map(|line| line.rsplit(" | ").next()?.split('`').nth(1)).collect();
        assert!(targets.len() >= 7, "{targets:?}");
        for target in targets {
            assert!(is_attribute(&documents, target), "{guide}: {target}");
        }
        for blank in ["{PRODUCT}", "{LOGO}", "{SUPPORT}"] {
            assert!(text.contains(blank), "{guide} lacks {blank}");
        }
    }
}
