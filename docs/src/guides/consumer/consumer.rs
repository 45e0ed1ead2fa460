use std::collections::{BTreeMap, BTreeSet};
use std::env::var;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

type Failure = Box<dyn std::error::Error>;

#[derive(Serialize, Deserialize)]
struct State {
    cursor: String,
    users: BTreeMap<String, String>,
    members: BTreeSet<String>,
}

/// None for a cursor that has expired.
async fn get(path: &str) -> Result<Option<Value>, Failure> {
    let https = hyper_rustls::HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(https);
    let url = format!("{}/{}{path}", var("ROLLCALL_HOST")?, var("ROLLCALL_TENANT")?);
    let request = http::Request::get(url).header("authorization", format!("Bearer {}", var("ROLLCALL_KEY")?));
    let answer = client.request(request.body(Empty::new())?).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    match status.as_u16() {
        200 => Ok(Some(serde_json::from_slice(&body)?)),
        410 => Ok(None),
        _ => Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into()),
    }
}

async fn all(path: &str) -> Result<Vec<Value>, Failure> {
    let (mut found, mut cursor) = (Vec::new(), Some(String::new()));
    while let Some(next) = cursor {
        let mut page = get(&format!("/scim/v2{path}?count=200&cursor={next}")).await?.unwrap_or_default();
        found.extend(page["Resources"].as_array_mut().into_iter().flat_map(|some| some.drain(..)));
        cursor = page["nextCursor"].as_str().map(str::to_owned);
    }
    Ok(found)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

async fn read_all() -> Result<State, Failure> {
    // Before the state: what changes meanwhile comes again.
    let cursor = text(&get("/events?cursor=now").await?.unwrap_or_default()["nextCursor"]);
    let users = all("/Users").await?.into_iter().filter(|user| user["active"] != false);
    let users = users.map(|user| (text(&user["id"]), text(&user["meta"]["version"]))).collect();
    let pair = |row: Value| format!("{} {}", text(&row["group"]["value"]), text(&row["member"]["value"]));
    let members = all("/GroupMembers").await?.into_iter().map(pair).collect();
    Ok(State { cursor, users, members })
}

async fn apply(state: &mut State, event: &Value) -> Result<(), Failure> {
    let (kind, id, version) =
        (text(&event["type"]), text(&event["resource"]["id"]), text(&event["resource"]["version"]));
    let number = |version: &str| version.trim_matches(['W', '/', '"']).parse::<u64>().unwrap_or(0);
    let member = event.get("user").unwrap_or(&event["memberGroup"]);
    let pair = format!("{} {}", text(&event["group"]["id"]), text(&member["id"]));
    match kind.as_str() {
        "feed.reset" | "feed.gap" => *state = read_all().await?,
        "group.member_added" => drop(state.members.insert(pair)),
        "group.member_removed" => drop(state.members.remove(&pair)),
        "user.deactivated" | "user.deleted" => {
            println!("end the sessions and tokens of {id}");
            state.users.remove(&id);
        }
        "user.created" | "user.updated" | "user.reactivated" => {
            let is_newer = state.users.get(&id).is_none_or(|known| number(&version) > number(known));
            is_newer.then(|| state.users.insert(id.clone(), version));
        }
        _ => {}
    }
    if kind.ends_with(".deleted") {
        state.members.retain(|pair| !pair.contains(&id));
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (file, once) = ("state.json", var("ONCE").is_ok());
    let mut state = match std::fs::read_to_string(file) {
        Ok(text) => serde_json::from_str(&text)?,
        Err(_) => read_all().await?,
    };
    loop {
        let wait = if once { 0 } else { 20 };
        let page = get(&format!("/events?cursor={}&wait={wait}", state.cursor)).await?;
        match &page {
            None => state = read_all().await?,
            Some(page) => {
                state.cursor = text(&page["nextCursor"]);
                for event in page["events"].as_array().into_iter().flatten() {
                    apply(&mut state, event).await?;
                }
            }
        }
        std::fs::write(file, serde_json::to_string(&state)?)?;
        if once && page.is_some_and(|page| page["caughtUp"] == true) {
            return Ok(());
        }
    }
}
