//! Deletes what the examination created, even after a failure.

use std::collections::BTreeSet;

use serde_json::Value;

use super::endpoint::CreatedResource;
use super::report::{Check, Level};
use super::session::{Session, search};

const CLEAN_UP: Check = Check {
    name: "clean-up",
    title: "what was made for the examination is deleted",
    level: Level::Fault,
    expected: "204, and then 404, for each user and group",
    change: "Delete what is left by hand (its name begins with rollcall-doctor-), and let DELETE do what it answers.",
};

/// Deletes groups, then users; what could not be deleted.
pub(super) async fn run(session: &mut Session) -> Vec<String> {
    let resources = session.endpoint.resources();
    if resources.is_empty() {
        return Vec::new();
    }
    session.report.chapter("Clean-up");
    let mut left = Vec::new();
    for route in ["/Groups", "/Users"] {
        let of_route: Vec<_> = resources.iter().filter(|resources| resources.route == route).collect();
        let mut paths: BTreeSet<String> = of_route.iter().filter_map(|resources| resources.path.clone()).collect();
        for lost in lost(&of_route) {
            paths.extend(found(session, lost).await);
        }
        for path in paths {
            left.extend(delete(session, &path).await);
        }
    }
    let verdict = if left.is_empty() { Ok(()) } else { Err(format!("left: {}", left.join(", "))) };
    session.report.note(&CLEAN_UP, "DELETE", verdict);
    left
}

/// One of each name: an answer may have been lost, or have had no id.
fn lost<'a>(resources: &[&'a CreatedResource]) -> Vec<&'a CreatedResource> {
    let mut names = BTreeSet::new();
    resources.iter().copied().filter(|resources| names.insert(resources.name.as_str())).collect()
}

/// Paths of resources that have this name. An endpoint that ignores filters returns others': those are not ours.
async fn found(session: &Session, resources: &CreatedResource) -> Vec<String> {
    let attribute = if resources.route == "/Users" { "userName" } else { "displayName" };
    let answer =
        session.endpoint.get(&search(resources.route, &format!("{attribute} eq \"{}\"", resources.name), "")).await;
    let is_ours = |resource: &&Value| {
        let name = resource.get(attribute).and_then(Value::as_str);
        name.is_some_and(|name| name.eq_ignore_ascii_case(&resources.name))
    };
    let path = |resource: &Value| Some(format!("{}/{}", resources.route, resource.get("id")?.as_str()?));
    answer.list().map(|list| list.resources.iter().filter(is_ours).filter_map(path).collect()).unwrap_or_default()
}

/// Deletes it if it is still there; the path if it stays.
async fn delete(session: &Session, path: &str) -> Option<String> {
    session.endpoint.delete(path).await;
    let read = session.endpoint.get(path).await;
    read.is(&[404, 410]).err().map(|_| path.to_owned())
}
