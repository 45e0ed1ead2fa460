//! Entra ID without the flag `aadOptscim062020`, in the forms that tests/idp/entra_default.json records.

use http::Method;
use serde_json::{Value, json};

use super::Customer;
use super::people::{Person, Team};
use super::screen::{Mood, Screen};

const CORE_USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const CORE_GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// A second schema that Entra ID names in groups.
const ENTRA_GROUP: &str = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// What Test Connection looks for: nobody has it.
const RANDOM_ID: &str = "7d420df3-9995-4831-a406-ecf8166f5f6a";
/// Who stays when the scope of the application is set wrong.
const WHO_STAYS: usize = 10;

/// What Entra ID knows of the other side.
pub(super) struct EntraState {
    /// The ids of the people, in the order of the directory.
    users: Vec<String>,
    groups: Vec<String>,
}

fn user(person: &Person) -> Value {
    json!({
        "schemas": [CORE_USER, ENTERPRISE],
        "externalId": person.external_id,
        "userName": person.user_name,
        "active": true,
        "displayName": person.display_name(),
        "emails": [{"primary": true, "type": "work", "value": person.user_name}],
        "meta": {"resourceType": "User"},
        "name": {"formatted": person.display_name(), "familyName": person.family, "givenName": person.given},
        "roles": [],
        ENTERPRISE: {"department": person.department},
    })
}

fn group(team: &Team) -> Value {
    json!({
        "schemas": [CORE_GROUP, ENTRA_GROUP],
        "externalId": team.external_id,
        "displayName": team.name,
        "meta": {"resourceType": "Group"},
    })
}

fn patch(operations: &Value) -> Value {
    json!({"schemas": [PATCH], "Operations": operations})
}

fn replace(path: &str, value: &str) -> Value {
    json!({"op": "Replace", "path": path, "value": value})
}

/// Test Connection, then everybody and every group.
pub(super) async fn initial_cycle(screen: &Screen, customer: &Customer) -> Result<EntraState, String> {
    let Customer { client, directory } = customer;
    screen.title(&format!("Entra ID begins at {}: {} people", client.tenant(), directory.people.len()));
    let nobody = client.find("/Users", &format!("userName eq \"{RANDOM_ID}\""), &[]).await?;
    let found = if nobody.total() == 0 { "200, an empty list" } else { "200, somebody" };
    screen.request(
        "GET /Users?filter=userName eq \"7d420df3-…\"",
        "Test Connection: is anybody called so?",
        (Mood::Good, found),
    );
    let mut state = EntraState { users: Vec::new(), groups: Vec::new() };
    let bar = screen.bar(directory.people.len(), "people");
    for person in &directory.people {
        let name = &person.user_name;
        client.find("/Users", &format!("userName eq \"{name}\""), &[]).await?;
        let created = client.expect(Method::POST, "/Users", Some(user(person)), &[201]).await?;
        state.users.push(created.id());
        bar.inc(1);
        if state.users.len() == 1 {
            let event = client.first_event().await?;
            bar.suspend(|| first(screen, name, &event));
        }
    }
    bar.finish_and_clear();
    screen.note(&format!("{} people created", state.users.len()));
    screen.title(&format!("Entra ID pushes {} groups", directory.groups.len()));
    let bar = screen.bar(directory.groups.len(), "groups");
    for team in &directory.groups {
        let filter = format!("displayName eq \"{}\"", team.name);
        client.find("/Groups", &filter, &[("excludedAttributes", "members")]).await?;
        let created = client.expect(Method::POST, "/Groups", Some(group(team)), &[201]).await?;
        let ids = team.members.iter().filter_map(|place| state.users.get(*place));
        let members: Vec<_> = ids.map(|id| json!({"$ref": null, "value": id})).collect();
        let count = members.len();
        let add = patch(&json!([{"op": "Add", "path": "members", "value": members}]));
        client.expect(Method::PATCH, &format!("/Groups/{}", created.id()), Some(add), &[204]).await?;
        state.groups.push(created.id());
        bar.inc(1);
        if state.groups.len() == 1 {
            bar.suspend(|| {
                screen.request(
                    "GET /Groups?filter=displayName eq …",
                    &format!("is {} here?", team.name),
                    (Mood::Good, "200, no"),
                );
                screen.request("POST /Groups", "create it, empty", (Mood::Good, "201"));
                screen.request("PATCH /Groups/{id}  Add members", &format!("its {count} members"), (Mood::Good, "204"));
            });
        }
    }
    bar.finish_and_clear();
    screen.note(&format!("{} groups created", state.groups.len()));
    Ok(state)
}

fn first(screen: &Screen, name: &str, event: &Value) {
    screen.request("GET /Users?filter=userName eq …", &format!("is {name} here?"), (Mood::Good, "200, no"));
    screen.request("POST /Users", "create the user", (Mood::Good, "201"));
    let kind = event.get("type").and_then(Value::as_str).unwrap_or("nothing yet");
    screen.request("GET /events", "your product reads its feed", (Mood::Good, kind));
}

/// A name after a wedding, somebody who leaves and comes back, a new team.
pub(super) async fn changes(screen: &Screen, customer: &Customer, state: &mut EntraState) -> Result<(), String> {
    let Customer { client, directory } = customer;
    screen.title("Entra ID sends changes");
    let (Some(person), Some(id)) = (directory.people.get(3), state.users.get(3)) else { return Ok(()) };
    let path = format!("/Users/{id}");
    let new_name = person.user_name.replacen(&person.family.to_lowercase(), "lind", 1);
    let renamed = patch(&json!([
        replace("userName", &new_name),
        replace("displayName", &format!("{} Lind", person.given)),
        replace("name.familyName", "Lind"),
        replace("emails[type eq \"work\"].value", &new_name),
    ]));
    client.expect(Method::PATCH, &path, Some(renamed), &[200, 204]).await?;
    screen.request(
        "PATCH /Users/{id}  Replace userName",
        &format!("{} is now {new_name}", person.user_name),
        (Mood::Good, "200"),
    );
    for (active, meaning) in [("False", "leaves: disabled"), ("True", "is back: enabled, with the same groups")] {
        client.expect(Method::PATCH, &path, Some(patch(&json!([replace("active", active)]))), &[200, 204]).await?;
        let sent = format!("PATCH /Users/{{id}}  Replace active \"{active}\"");
        screen.request(&sent, &format!("{} {meaning}", person.given), (Mood::Good, "200"));
    }
    let (Some(team), Some(group)) = (directory.groups.first(), state.groups.first()) else { return Ok(()) };
    if let Some(member) = team.members.first().and_then(|place| state.users.get(*place)) {
        let remove = patch(&json!([{"op": "Remove", "path": "members", "value": [{"$ref": null, "value": member}]}]));
        client.expect(Method::PATCH, &format!("/Groups/{group}"), Some(remove), &[204]).await?;
        screen.request(
            "PATCH /Groups/{id}  Remove members",
            &format!("one member leaves {}", team.name),
            (Mood::Good, "204"),
        );
    }
    Ok(())
}

/// A secret token that was revoked.
pub(super) async fn old_token(screen: &Screen, customer: &Customer, token: &str) -> Result<(), String> {
    screen.title("Somebody pastes the secret token of last year");
    let path = format!("/Users?filter=userName+eq+%22{RANDOM_ID}%22");
    let answer = customer.client.try_token(&path, token).await?;
    let outcome = format!("{}", answer.status);
    screen.request("GET /Users", "Test Connection", (Mood::Refused, &outcome));
    screen.note(answer.detail());
    Ok(())
}

/// The scope of the application is set wrong: everybody but a few is to be disabled.
pub(super) async fn mass_deactivation(screen: &Screen, customer: &Customer, state: &EntraState) -> Result<(), String> {
    let leaving = state.users.len().saturating_sub(WHO_STAYS);
    screen.title(&format!("A wrong scope: Entra ID disables {leaving} of {} people", state.users.len()));
    let bar = screen.bar(leaving, "people");
    let (mut disabled, mut held) = (0_usize, 0_usize);
    for id in state.users.iter().skip(WHO_STAYS) {
        let body = patch(&json!([replace("active", "False")]));
        let answer =
            customer.client.expect(Method::PATCH, &format!("/Users/{id}"), Some(body), &[200, 204, 429]).await?;
        bar.inc(1);
        if answer.status != 429 {
            disabled += 1;
            continue;
        }
        held += 1;
        if held == 1 {
            bar.suspend(|| {
                screen.request(
                    "PATCH /Users/{id}  Replace active \"False\"",
                    &format!("{disabled} are disabled"),
                    (Mood::Good, "200"),
                );
                screen.request(
                    "PATCH /Users/{id}  Replace active \"False\"",
                    "the next one is held",
                    (Mood::Refused, "429"),
                );
                screen.note(answer.detail());
            });
        }
    }
    bar.finish_and_clear();
    screen.note(&format!("{disabled} disabled, {held} held: they keep their access until you decide"));
    Ok(())
}
