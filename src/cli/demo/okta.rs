//! Okta, in the forms that tests/idp/okta.json records.

use http::Method;
use serde_json::{Value, json};

use super::Customer;
use super::people::Person;
use super::screen::{Mood, Screen};

/// As a real log has it.
pub(super) const USER_AGENT: &str = "Okta SCIM Client 1.0.0";

const CORE_USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const CORE_GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const PAGE: [(&str, &str); 2] = [("startIndex", "1"), ("count", "100")];

/// What Okta knows of the other side.
pub(super) struct OktaState {
    users: Vec<String>,
    groups: Vec<String>,
}

fn user(person: &Person) -> Value {
    json!({
        "schemas": [CORE_USER],
        "userName": person.user_name,
        "name": {"givenName": person.given, "familyName": person.family},
        "emails": [{"primary": true, "value": person.user_name, "type": "work"}],
        "displayName": person.display_name(),
        "locale": "en-US",
        "externalId": person.external_id,
        "groups": [],
        "password": "1mz050nq",
        "active": true,
    })
}

fn patch(operations: &Value) -> Value {
    json!({"schemas": [PATCH], "Operations": operations})
}

/// Test Connector, then everybody who is assigned, then the groups.
pub(super) async fn initial_import(screen: &Screen, customer: &Customer) -> Result<OktaState, String> {
    let Customer { client, directory } = customer;
    screen.title(&format!("Okta begins at {}: {} people", client.tenant(), directory.people.len()));
    client.expect(Method::GET, "/Users?startIndex=1&count=2", None, &[200]).await?;
    screen.request("GET /Users?startIndex=1&count=2", "Test Connector: the first two users", (Mood::Good, "200"));
    let mut state = OktaState { users: Vec::new(), groups: Vec::new() };
    let bar = screen.bar(directory.people.len(), "people");
    for person in &directory.people {
        let name = &person.user_name;
        client.find("/Users", &format!("userName eq \"{name}\""), &PAGE).await?;
        let created = client.expect(Method::POST, "/Users", Some(user(person)), &[201]).await?;
        state.users.push(created.id());
        bar.inc(1);
        if state.users.len() == 1 {
            bar.suspend(|| {
                screen.request("GET /Users?filter=userName eq …", &format!("is {name} here?"), (Mood::Good, "200, no"));
                screen.request(
                    "POST /Users",
                    "create the user, with a password that Rollcall drops",
                    (Mood::Good, "201"),
                );
            });
        }
    }
    bar.finish_and_clear();
    screen.note(&format!("{} people created", state.users.len()));
    screen.title(&format!("Okta pushes {} groups", directory.groups.len()));
    for team in &directory.groups {
        client.find("/Groups", &format!("displayName eq \"{}\"", team.name), &PAGE).await?;
        let empty = json!({"schemas": [CORE_GROUP], "displayName": team.name, "members": []});
        let created = client.expect(Method::POST, "/Groups", Some(empty), &[201]).await?;
        let members = team.members.iter().filter_map(|place| {
            let (id, person) = (state.users.get(*place)?, directory.people.get(*place)?);
            Some(json!({"value": id, "display": person.user_name}))
        });
        let members: Vec<_> = members.collect();
        let count = members.len();
        let push = patch(&json!([{"op": "replace", "path": "members", "value": members}]));
        client.expect(Method::PATCH, &format!("/Groups/{}", created.id()), Some(push), &[200, 204]).await?;
        state.groups.push(created.id());
        if state.groups.len() == 1 {
            screen.request("POST /Groups", &format!("create {}", team.name), (Mood::Good, "201"));
            screen.request("PATCH /Groups/{id}  replace members", &format!("its {count} members"), (Mood::Good, "204"));
        }
    }
    screen.note(&format!("{} groups created", state.groups.len()));
    Ok(state)
}

/// A title, somebody who is unassigned and assigned again, a group with a new name.
pub(super) async fn changes(screen: &Screen, customer: &Customer, state: &OktaState) -> Result<(), String> {
    let Customer { client, directory } = customer;
    screen.title("Okta sends changes");
    let (Some(person), Some(id)) = (directory.people.first(), state.users.first()) else { return Ok(()) };
    let path = format!("/Users/{id}");
    let mut whole = client.expect(Method::GET, &path, None, &[200]).await?.body;
    if let Some(fields) = whole.as_object_mut() {
        fields.insert("title".to_owned(), json!("Tour Guide"));
    }
    client.expect(Method::PUT, &path, Some(whole), &[200]).await?;
    screen.request("GET, then PUT /Users/{id}", &format!("{} has a new title", person.given), (Mood::Good, "200"));
    for (active, meaning) in [(false, "is unassigned: disabled"), (true, "is assigned again: enabled")] {
        let body = patch(&json!([{"op": "replace", "value": {"active": active}}]));
        client.expect(Method::PATCH, &path, Some(body), &[200, 204]).await?;
        let sent = format!("PATCH /Users/{{id}}  {{\"active\": {active}}}");
        screen.request(&sent, &format!("{} {meaning}", person.given), (Mood::Good, "200"));
    }
    if let (Some(id), Some(team)) = (state.groups.first(), directory.groups.first()) {
        let name = format!("{} and friends", team.name);
        let body = patch(&json!([{"op": "replace", "value": {"id": id, "displayName": name}}]));
        client.expect(Method::PATCH, &format!("/Groups/{id}"), Some(body), &[200, 204]).await?;
        screen.request(
            "PATCH /Groups/{id}  {\"displayName\": …}",
            &format!("{} is now {name}", team.name),
            (Mood::Good, "204"),
        );
    }
    Ok(())
}
