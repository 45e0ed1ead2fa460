//! Lists by index, as Okta imports and Entra ID discovers accounts.

use std::collections::BTreeSet;

use serde_json::Value;

use super::answer::{Answer, Verdict};
use super::report::{Check, Level};
use super::session::Session;

/// Others may write while we read: the pages are read again if they do not agree.
const ATTEMPTS: usize = 3;

const TOTAL: Check = Check {
    name: "total-results",
    title: "how many users there are",
    level: Level::Fault,
    expected: "on each page the same totalResults: of all users, not of the page",
    change: "Let totalResults be the number of all that match, whatever count is: Okta reads pages until it has so many.",
};
// Okta, reference/scim/scim-20; Entra ID, account discovery (RFC 7644 section 3.4.2.4).
const PAGES: Check = Check {
    name: "paging",
    title: "the first page and the next",
    level: Level::Fault,
    expected: "at most count users on each, nobody on both, the second one with startIndex 3",
    change: "Support startIndex, from 1, and count, in one order that does not change between requests.",
};
const ITEMS: Check = Check {
    name: "items-per-page",
    title: "how many users a page says it has",
    level: Level::Advice,
    expected: "itemsPerPage is the number of Resources",
    change: "Return as itemsPerPage how many resources the answer has (RFC 7644 section 3.4.2.4).",
};
const COUNT_ZERO: Check = Check {
    name: "count-zero",
    title: "count=0",
    level: Level::Advice,
    expected: "200, no Resources, and totalResults as in any other list",
    change: "Answer count=0 with totalResults alone (RFC 7644 section 3.4.2.4).",
};

/// Examines lists; so many users at least are there.
pub(super) async fn run(session: &mut Session, known: usize) {
    session.report.chapter("Lists");
    let known = u64::try_from(known).unwrap_or_default();
    let (mut first, mut second) = pages(session).await;
    for _ in 1..ATTEMPTS {
        if is_total(&first, &second, known).is_ok() && are_pages(&first, &second).is_ok() {
            break;
        }
        (first, second) = pages(session).await;
    }
    session.judge(&TOTAL, &first, |first| is_total(first, &second, known));
    session.judge(&PAGES, &second, |second| are_pages(&first, second));
    session.judge(&ITEMS, &first, |first| {
        let said = first.body.get("itemsPerPage").and_then(Value::as_u64);
        let has = u64::try_from(first.list()?.resources.len()).ok();
        if said == has { Ok(()) } else { Err(first.came()) }
    });
    let none = session.endpoint.get("/Users?startIndex=1&count=0").await;
    session.judge(&COUNT_ZERO, &none, |none| {
        let list = none.list()?;
        if list.resources.is_empty() && list.total >= known { Ok(()) } else { Err(none.came()) }
    });
}

async fn pages(session: &Session) -> (Answer, Answer) {
    let first = session.endpoint.get("/Users?startIndex=1&count=2").await;
    (first, session.endpoint.get("/Users?startIndex=3&count=2").await)
}

fn is_total(first: &Answer, second: &Answer, known: u64) -> Verdict {
    let totals = (first.list()?.total, second.list()?.total);
    if totals.0 < known {
        return Err(format!("{} where there are {known} at least: {}", totals.0, first.came()));
    }
    if totals.0 == totals.1 {
        Ok(())
    } else {
        Err(format!("{} on the first page, {} on the second", totals.0, totals.1))
    }
}

fn are_pages(first: &Answer, second: &Answer) -> Verdict {
    let ids = |page: &Answer| -> Result<BTreeSet<String>, String> {
        let resources = page.list()?.resources;
        let ids: BTreeSet<_> = resources.iter().filter_map(|user| Some(user.get("id")?.as_str()?.to_owned())).collect();
        let is_page = resources.len() <= 2 && ids.len() == resources.len() && !ids.is_empty();
        if is_page { Ok(ids) } else { Err(format!("{} was answered {}", page.sent, page.came())) }
    };
    let is_third = second.body.get("startIndex").and_then(Value::as_u64) == Some(3);
    if ids(first)?.is_disjoint(&ids(second)?) && is_third { Ok(()) } else { Err(second.came()) }
}
