use std::{env::var, error::Error, fs};

use serde_json::{Value, json};

fn get(path: &str) -> Result<Value, Box<dyn Error>> {
    let url = format!("{}/{}{path}", var("ROLLCALL_HOST")?, var("ROLLCALL_TENANT")?);
    match ureq::get(url).header("authorization", format!("Bearer {}", var("ROLLCALL_KEY")?)).call() {
        // The cursor has expired.
        Err(ureq::Error::StatusCode(410)) => Ok(json!({"events": [{"type": "feed.reset"}]})),
        answer => Ok(answer?.body_mut().read_json()?),
    }
}

fn all(path: &str, cursor: &str) -> Result<Vec<Value>, Box<dyn Error>> {
    let page = get(&format!("/scim/v2{path}?count=200&cursor={cursor}"))?;
    let rest = page["nextCursor"].as_str().map_or(Ok(Vec::new()), |next| all(path, next))?;
    Ok(page["Resources"].as_array().into_iter().flatten().cloned().chain(rest).collect())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn read_all() -> Result<Value, Box<dyn Error>> {
    // Before the state: what changes meanwhile comes again.
    let now = get("/events?cursor=now")?["nextCursor"].take();
    let users = Value::from_iter(all("/Users", "")?.iter().map(|it| (text(&it["id"]), it["meta"]["version"].clone())));
    let pair = |row: &Value| format!("{} {}", text(&row["group"]["value"]), text(&row["member"]["value"]));
    Ok(json!({"cursor": now, "users": users, "members": Value::from_iter(all("/GroupMembers", "")?.iter().map(pair))}))
}

fn apply(state: &mut Value, event: &Value) -> Result<(), Box<dyn Error>> {
    let [kind, id, version] = [&event["type"], &event["resource"]["id"], &event["resource"]["version"]].map(text);
    if kind == "feed.reset" || kind == "feed.gap" {
        return read_all().map(|all| *state = all);
    }
    matches!(&*kind, "user.deactivated" | "user.deleted").then(|| println!("end the sessions and tokens of {id}"));
    let pair = json!(format!("{id} {}", text(&event.get("user").unwrap_or(&event["memberGroup"])["id"])));
    let members = state["members"].as_array_mut().ok_or("state.json has no members")?;
    members.retain(|one| *one != pair && !(kind.ends_with(".deleted") && text(one).contains(&id)));
    members.extend((kind == "group.member_added").then_some(pair));
    if kind.starts_with("user.") {
        // What is older than the state was read with it; W/"10" is longer than W/"9".
        let newest = [text(&state["users"][&id]), version].into_iter().max_by_key(|one| (one.len(), one.clone()));
        state["users"][id] = json!(newest.filter(|_| kind != "user.deleted"));
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut page, wait) = (Value::Null, if var("ONCE").is_ok() { 0 } else { 20 });
    let mut state = fs::read("state.json").map_or_else(|_| read_all(), |text| Ok(serde_json::from_slice(&text)?))?;
    while wait > 0 || page["caughtUp"] != true {
        page = get(&format!("/events?cursor={}&wait={wait}", text(&state["cursor"])))?;
        state["cursor"] = page["nextCursor"].clone();
        page["events"].as_array().into_iter().flatten().try_for_each(|event| apply(&mut state, event))?;
        fs::write("state.json", state.to_string())?;
    }
    Ok(())
}
