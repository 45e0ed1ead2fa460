//! `rollcall doctor`: acts as an identity provider against any SCIM endpoint, and says what to change.
//!
//! It knows nothing of Rollcall: what it sends and expects is what Entra ID and Okta document or are seen to do, and it
//! reads answers as plain JSON, so that it cannot share a fault with the endpoint that it examines.

use std::convert::Infallible;
use std::fmt;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use serde_json::json;

mod answer;
mod bodies;
mod clean_up;
mod connection;
mod endpoint;
mod gallery;
mod groups;
mod lists;
mod report;
mod session;
mod spellings;
mod updates;
mod users;

use super::listener;
use endpoint::Endpoint;
use gallery::Gallery;
use report::{Report, complain, say};
use session::Session;

/// Printed below the help.
pub(super) const DOCTOR_EXAMPLES: &str = "\
Examples:
  rollcall doctor https://scim.example.com/acme/scim/v2
  rollcall doctor https://scim.example.com/acme/scim/v2 --gallery entra,okta
  rollcall doctor https://scim.example.com/acme/scim/v2 --gallery okta --json";

/// Nothing could be examined: the endpoint cannot be reached, or lets nobody in.
const COULD_NOT_RUN: u8 = 2;

/// An examination is about a hundred requests; one that lasts this long would report no more, but has to clean up.
const LONGEST: Duration = Duration::from_secs(600);

/// How long a request that was broken off may still have an effect, in the ordinary case.
const SETTLES: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct DoctorOptions {
    /// The Tenant URL, as it is pasted into Entra ID or Okta
    url: String,
    /// The secret token; better in the environment, which no history of a shell keeps
    #[arg(env = "ROLLCALL_TOKEN", hide_env_values = true)]
    token: Secret,
    /// The token is USER:PASSWORD, sent as HTTP Basic
    #[arg(long)]
    basic: bool,
    /// Compare with what a gallery publishes: which requirements are met, which are not, and what people must do
    #[arg(long, value_name = "GALLERY", value_delimiter = ',')]
    gallery: Vec<Gallery>,
    /// Print one JSON object at the end, for CI
    #[arg(long)]
    json: bool,
}

/// What is never printed.
#[derive(Clone)]
struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

/// Examines the endpoint: 0 if nothing is wrong, 1 if an identity provider would fail, 2 if it could not be examined.
pub(super) async fn run(options: DoctorOptions) -> ExitCode {
    let (url, is_json) = (options.url.clone(), options.json);
    match examined(options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            if is_json {
                say(&format!("{:#}\n", json!({"url": url, "error": why})));
            }
            complain(&format!("rollcall: {why}\n"));
            ExitCode::from(COULD_NOT_RUN)
        }
    }
}

/// Whether there is no fault. Even after an error, it deletes what it created.
async fn examined(options: DoctorOptions) -> Result<bool, String> {
    let endpoint = Endpoint::new(&options.url, &options.token.0, options.basic)?;
    let mut session = Session::new(endpoint, Report::new(options.json, options.gallery))?;
    let outcome = tokio::select! {
        outcome = examination(&mut session) => outcome,
        () = listener::stopped()? => Err("interrupted; Rollcall deleted what it created, except what it lists above".to_owned()),
        () = tokio::time::sleep(LONGEST) => Err(format!("the examination took longer than {} s; make the endpoint faster, then run it again", LONGEST.as_secs())),
    };
    if outcome.is_err() && !session.endpoint.resources().is_empty() {
        // What was under way may still be done.
        tokio::time::sleep(SETTLES).await;
    }
    let left = clean_up::run(&mut session).await;
    if !left.is_empty() {
        complain(&format!("rollcall: not deleted: {}\n", left.join(", ")));
    }
    outcome?;
    connection::judge_all_answers(&mut session);
    Ok(session.report.finish(session.endpoint.base()))
}

async fn examination(session: &mut Session) -> Result<(), String> {
    connection::reach(session).await?;
    connection::run(session).await;
    let users = users::create_and_match(session).await;
    if let Some(users) = &users {
        updates::run(session, users).await;
        spellings::run(session, &users.second).await;
        let colleagues = users::create_colleagues(session, groups::MEMBERS).await;
        groups::run(session, &colleagues).await;
        lists::run(session, 2 + colleagues.len()).await;
        users::delete(session, users).await;
    }
    Ok(())
}
