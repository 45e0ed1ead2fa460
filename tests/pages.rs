//! The page for administrators as plain HTTP: every screen, every form without a script, and who may do what.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use rollcall::api::{Base, ROUTES};
use rollcall::limits::{
    DEFAULT_LINK_SECONDS, MAX_FORM_BYTES, MAX_LINK_SECONDS, MIN_LINK_SECONDS, SESSION_IDLE_SECONDS, SESSION_SECONDS,
};
use rollcall::store::dynamo::tables::Table;
use serde_json::{Value, json};

use self::browser::{Browser, ORIGIN, actions, cookie_of, link, secret, sign_in, text};
pub use self::drive::{drive, drive_restore};
use crate::admin::ask;
use crate::support::{HOST, Harness, encode, patch};

mod browser;
mod doctor;
mod drive;
mod look;
mod restore;
mod tenants;

/// The screens, and a word that each has.
const SCREENS: [(&str, &str); 9] = [
    ("overview", "Overview"),
    ("connect", "Tenant URL"),
    ("keys", "Add a new key"),
    ("automation", "Add an automation user"),
    ("settings", "Invite new users automatically"),
    ("activity", "Filter"),
    ("people", "user name"),
    ("groups", "external id"),
    ("doctor", "Run the checks"),
];

#[tokio::test(start_paused = true)]
async fn a_link_signs_in_once_and_each_screen_answers() {
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let link = link(&harness, &admin, "acme", json!({"actor": "jane@acme.example", "role": "operate"})).await;
    let url = link["url"].as_str().unwrap();
    assert!(url.starts_with(&format!("http://{HOST}/acme/manage#link_")), "{url}");
    let reply = sign_in(&harness, "acme", secret(&link)).await;
    assert_eq!((reply.status, &reply.headers["location"]), (303, &"/acme/manage/overview".parse().unwrap()));
    let browser = Browser { harness: &harness, tenant: "acme", cookie: cookie_of(&reply) };
    for (page, word) in SCREENS {
        let reply = browser.get(page).await;
        let html = text(&reply);
        assert_eq!(reply.status, 200, "{page}: {html}");
        assert!(html.contains(word) && html.contains("jane@acme.example"), "{page}: {html}");
        check_html(&html);
        let head = [("cookie", browser.cookie.as_str())];
        let head = harness.raw("HEAD", &format!("/acme/manage/{page}"), Vec::new(), &head).await;
        assert_eq!(head.status, 200, "{page}");
    }
    // Twice, and by two at once: one alone signs in.
    assert_eq!(sign_in(&harness, "acme", secret(&link)).await.status, 401);
    let another = self::link(&harness, &admin, "acme", json!({})).await;
    let at_once = join_all((0..8).map(|_| sign_in(&harness, "acme", secret(&another)))).await;
    let mut statuses: Vec<_> = at_once.iter().map(|reply| reply.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 401, 401, 401, 401, 401, 401, 401]);
    let kinds: Vec<_> = actions(&harness, &admin, "acme").await.iter().map(|entry| entry["type"].clone()).collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "session.begun").count(), 2);
    assert_eq!(kinds.iter().filter(|kind| *kind == "link.created").count(), 2);
    let log = ask(&harness, &admin, "GET", "/tenants/acme/log?kind=refusal", Value::Null).await;
    let first = &log.body["entries"][0];
    assert_eq!((&first["code"], &first["actor"]["keyState"]), (&json!("link-refused"), &json!("used")));
}

/// The elements of a page are closed in order, and no attribute is written twice.
fn check_html(html: &str) {
    const VOID: [&str; 5] = ["meta", "link", "input", "br", "img"];
    let mut open = Vec::new();
    for tag in html.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap();
        let name = tag.split(|c: char| c.is_whitespace() || c == '/').next().unwrap();
        if let Some(end) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(end), "{html}");
        } else if name != "!doctype" && !VOID.contains(&name) {
            open.push(name);
        }
        let names: Vec<_> =
            tag.split('"').step_by(2).filter_map(|part| part.strip_suffix('=')?.split(' ').next_back()).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{tag}");
        assert!(
            !["style", "onclick", "onload"].iter().any(|name| names.contains(name)),
            "the policy forbids it: {tag}"
        );
    }
    assert!(open.is_empty(), "{open:?} in {html}");
    let ids: Vec<_> = html.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
}

#[tokio::test(start_paused = true)]
async fn the_entry_is_the_same_for_every_tenant_and_reads_nothing() {
    let harness = Harness::new().await;
    let entry = async |tenant: &str| {
        let reply = harness.raw("GET", &format!("/{tenant}/manage"), Vec::new(), &[]).await;
        assert_eq!(reply.status, 200);
        reply
    };
    let (known, unknown) = (entry("acme").await, entry("nobody").await);
    assert_eq!(text(&known), text(&unknown).replace("/nobody/", "/acme/"));
    assert_eq!(known.headers["content-type"], "text/html; charset=utf-8");
    let policy = known.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self';")
            && policy.contains("img-src 'self';")
            && policy.contains("frame-ancestors 'none'")
    );
    assert_eq!(known.headers["cache-control"], "no-store");
    assert_eq!(known.headers["cross-origin-opener-policy"], "same-origin");
    check_html(&text(&known));
    // What stands in the tenant's place never leaves its place.
    for odd in ["%2Fevil.example", "%22%3E%3Cscript%3E", "a%23b"] {
        let html = text(&entry(odd).await);
        assert!(!html.contains("//evil") && !html.contains("\"><script>"), "{html}");
    }
    // A scanner that looks at a link uses nothing up.
    let admin = harness.operator().await;
    let link = link(&harness, &admin, "acme", json!({})).await;
    for method in ["GET", "HEAD", "GET"] {
        assert_eq!(harness.raw(method, "/acme/manage", Vec::new(), &[]).await.status, 200);
        let query = format!("/acme/manage?token={}", secret(&link));
        assert_eq!(harness.raw(method, &query, Vec::new(), &[]).await.status, 200);
    }
    assert_eq!(sign_in(&harness, "acme", secret(&link)).await.status, 303);
}

#[tokio::test(start_paused = true)]
async fn files_are_kept_for_good_and_all_of_it_is_small() {
    let harness = Harness::new().await;
    let html = text(&harness.raw("GET", "/acme/manage", Vec::new(), &[]).await);
    let mut bytes = 0;
    let files = html.split("/acme/manage/assets/").skip(1).map(|rest| rest.split('"').next().unwrap());
    let files: Vec<_> = files.collect();
    assert_eq!(files.len(), 3);
    for file in files {
        let reply = harness.raw("GET", &format!("/acme/manage/assets/{file}"), Vec::new(), &[]).await;
        assert_eq!(reply.headers["cache-control"], "public, max-age=31536000, immutable");
        bytes += text(&reply).len();
    }
    let browser = Browser::open(&harness, "acme", json!({})).await;
    for (page, _) in SCREENS {
        let whole = bytes + text(&browser.get(page).await).len();
        assert!(whole <= 60_000, "{page} takes {whole} bytes");
    }
    let reply = harness.raw("GET", "/acme/manage/assets/style.css", Vec::new(), &[]).await;
    assert_eq!(reply.status, 404);
}

#[tokio::test(start_paused = true)]
async fn cookies_are_strict_and_over_tls_bound_to_the_host() {
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let plain = sign_in(&harness, "acme", secret(&link(&harness, &admin, "acme", json!({})).await)).await;
    let cookie = plain.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("rollcall-acme=session_"), "{cookie}");
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{cookie}");
    let app = rollcall::app::App { public_url: Some(format!("https://{HOST}")), ..(*harness.app).clone() };
    let secure = Harness { app: app.into(), ..harness.clone() };
    let link = link(&secure, &admin, "acme", json!({})).await;
    assert!(link["url"].as_str().unwrap().starts_with("https://"));
    let reply = sign_in(&secure, "acme", secret(&link)).await;
    let cookie = reply.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("__Host-rollcall-acme=session_"), "{cookie}");
    assert!(cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Strict"), "{cookie}");
    // A session that somebody has planted is never taken over: a new one begins.
    let planted = cookie_of(&reply);
    let again = self::link(&secure, &admin, "acme", json!({})).await;
    let form = format!("action=begin&token={}", secret(&again)).into_bytes();
    let headers = [ORIGIN, ("cookie", planted.as_str())];
    let reply = secure.raw("POST", "/acme/manage", form, &headers).await;
    assert_ne!(cookie_of(&reply), planted);
    // Nor does one that nobody has stored.
    let forged = [("cookie", "rollcall-acme=session_00000000000000_x")];
    assert_eq!(harness.raw("GET", "/acme/manage/overview", Vec::new(), &forged).await.status, 401);
}

#[tokio::test(start_paused = true)]
async fn a_form_of_another_site_or_session_does_nothing() {
    let harness = Harness::new().await;
    let (browser, other) = (
        Browser::open(&harness, "acme", json!({"role": "operate"})).await,
        Browser::open(&harness, "acme", json!({"role": "operate"})).await,
    );
    let (token, foreign) = (browser.token().await, other.token().await);
    let fields = [("action", "create"), ("name", "robot")];
    let origin = format!("http://{HOST}");
    for (token, headers) in [
        (token.as_str(), vec![]),
        (&token, vec![("sec-fetch-site", "cross-site")]),
        (&token, vec![("sec-fetch-site", "same-site")]),
        (&token, vec![("sec-fetch-site", "none")]),
        (&token, vec![("origin", "https://evil.example")]),
        (&token, vec![("origin", "null")]),
        (&token, vec![("sec-fetch-site", "cross-site"), ("origin", origin.as_str())]),
        (&foreign, vec![ORIGIN]),
        ("", vec![ORIGIN]),
    ] {
        let reply = browser.post_with("automation", token, &fields, &headers).await;
        assert_eq!(reply.status, 403, "{headers:?}");
        check_html(&text(&reply));
    }
    assert!(text(&browser.get("automation").await).contains("There is no automation user yet"));
    // Nor does another site sign anybody in or out.
    let admin = harness.operator().await;
    let link = link(&harness, &admin, "acme", json!({})).await;
    let form = format!("action=begin&token={}", secret(&link)).into_bytes();
    assert_eq!(harness.raw("POST", "/acme/manage", form, &[]).await.status, 403);
    assert_eq!(browser.post_with("", &foreign, &[("action", "end")], &[ORIGIN]).await.status, 403);
    // Older browsers name the origin.
    let reply = browser.post_with("automation", &token, &fields, &[("origin", origin.as_str())]).await;
    assert_eq!(reply.status, 303, "{reply:?}");
    let long = "x".repeat(MAX_FORM_BYTES);
    assert_eq!(browser.post("automation", &[("action", "create"), ("name", &long)]).await.status, 413);
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_by_sign_out_by_idleness_and_after_a_day() {
    let harness = Harness::new().await;
    let browser = Browser::open(&harness, "acme", json!({})).await;
    let at = |seconds| harness.at(Timestamp::now() + SignedDuration::from_secs(seconds));
    assert_eq!(browser.get_on(&at(SESSION_IDLE_SECONDS + 1), "overview").await.status, 401);
    // Who uses it stays in, until the end of the day.
    let step = SESSION_IDLE_SECONDS - 60;
    let mut passed = 0;
    while passed + step < SESSION_SECONDS {
        passed += step;
        assert_eq!(browser.get_on(&at(passed), "settings").await.status, 200, "after {passed} seconds");
    }
    assert_eq!(browser.get_on(&at(SESSION_SECONDS + 1), "settings").await.status, 401);
    let second = Browser::open(&harness, "acme", json!({})).await;
    // The script's own requests keep nobody in.
    let headers = [("cookie", second.cookie.as_str()), ("x-refresh", "1")];
    let later = at(SESSION_IDLE_SECONDS - 60);
    assert_eq!(later.raw("GET", "/acme/manage/connect", Vec::new(), &headers).await.status, 200);
    assert_eq!(second.get_on(&at(SESSION_IDLE_SECONDS + 1), "settings").await.status, 401);
    let third = Browser::open(&harness, "acme", json!({})).await;
    let reply = third.post("", &[("action", "end")]).await;
    assert_eq!(reply.status, 200);
    assert!(reply.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(third.get("overview").await.status, 401, "the cookie works no more, whoever has kept it");
}

#[tokio::test(start_paused = true)]
async fn a_link_expires_and_is_revoked() {
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let old = link(&harness, &admin, "acme", json!({})).await;
    let later = harness.at(Timestamp::now() + SignedDuration::from_secs(DEFAULT_LINK_SECONDS + 1));
    assert_eq!(sign_in(&later, "acme", secret(&old)).await.status, 401);
    let path = format!("/tenants/acme/links/{}", old["id"].as_str().unwrap());
    assert_eq!(ask(&harness, &admin, "DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(sign_in(&harness, "acme", secret(&old)).await.status, 401);
    assert_eq!(ask(&harness, &admin, "DELETE", &path, Value::Null).await.status, 404);
    for (body, status) in [
        (json!({"ttlSeconds": MIN_LINK_SECONDS}), 201),
        (json!({"ttlSeconds": MIN_LINK_SECONDS - 1}), 400),
        (json!({"ttlSeconds": MAX_LINK_SECONDS}), 201),
        (json!({"ttlSeconds": MAX_LINK_SECONDS + 1}), 400),
        (json!({"role": "admin"}), 400),
        (json!({"actor": ""}), 400),
        (json!({"other": 1}), 400),
    ] {
        assert_eq!(ask(&harness, &admin, "POST", "/tenants/acme/links", body.clone()).await.status, status, "{body}");
    }
    assert_eq!(ask(&harness, &admin, "POST", "/tenants/nobody/links", json!({})).await.status, 404);
    // Nothing that is stored opens the page.
    let stored = format!("{:?}", harness.dump(Table::Tokens).await);
    assert!(!stored.contains(secret(&old)) && stored.contains(".link#"));
}

#[tokio::test(start_paused = true)]
async fn every_form_works_without_a_script() {
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let browser = Browser::open(&harness, "acme", json!({"role": "operate", "actor": "jane"})).await;
    let reply = browser.post("automation", &[("action", "create"), ("name", "robot")]).await;
    assert_eq!(
        (reply.status, &reply.headers["location"]),
        (303, &"/acme/manage/automation?done=added".parse().unwrap())
    );
    let fields = [("action", "create"), ("description", "Azure"), ("automation", "robot"), ("type", "bearer")];
    let created = text(&browser.post("keys", &fields).await);
    check_html(&created);
    assert!(created.contains("works once its automation user is active"), "{created}");
    let key = created.split("<code id=\"value-1\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let header = format!("Bearer {key}");
    let try_key =
        async || harness.raw("GET", "/acme/scim/v2/Users", Vec::new(), &[("authorization", &header)]).await.status;
    assert_eq!(try_key().await, 401);
    assert_eq!(browser.post("automation", &[("action", "activate"), ("name", "robot")]).await.status, 303);
    assert_eq!(try_key().await, 200);
    let keys = text(&browser.get("keys").await);
    check_html(&keys);
    assert!(keys.contains("Azure") && !keys.contains(&key), "the secret is in one answer alone");
    let id = key.split('_').nth(2).unwrap();
    let rotated = text(&browser.post("keys", &[("action", "rotate"), ("key", id)]).await);
    assert!(rotated.contains("scim_acme_") && !rotated.contains(&key), "{rotated}");
    assert_eq!(browser.post("keys", &[("action", "revoke"), ("key", id)]).await.status, 303);
    assert_eq!(try_key().await, 401);
    let fields = [
        ("action", "save"),
        ("invite", "true"),
        ("deactivation", "suspend"),
        ("protect", "hold"),
        ("users", "10%/1"),
        ("window", "30m"),
    ];
    assert_eq!(browser.post("settings", &fields).await.status, 303);
    let tenant = ask(&harness, &admin, "GET", "/tenants/acme", Value::Null).await.body;
    assert_eq!(
        (&tenant["settings"]["onDeactivation"], &tenant["settings"]["protectUsers"]),
        (&json!("suspend"), &json!("10%/1"))
    );
    // What is wrong stands above the form, and nothing is changed.
    let wrong = browser
        .post(
            "settings",
            &[("action", "save"), ("deactivation", "x"), ("protect", "hold"), ("users", "1"), ("window", "1m")],
        )
        .await;
    assert_eq!(wrong.status, 400);
    assert!(text(&wrong).contains("role=\"alert\"") && text(&wrong).contains("onDeactivation"), "{wrong:?}");
    let actor = &actions(&harness, &admin, "acme").await.pop().unwrap()["actor"];
    assert_eq!((&actor["client"], &actor["person"]), (&json!("page"), &json!("jane")));
    assert_eq!(browser.post("nothing", &[("action", "create")]).await.status, 404);
    assert_eq!(browser.get("nothing").await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_on_the_overview_and_is_decided_there() {
    let harness = Harness::new().await;
    let browser = Browser::open(&harness, "acme", json!({"role": "operate"})).await;
    let fields =
        [("action", "save"), ("deactivation", "disable"), ("protect", "hold"), ("users", "1%/1"), ("window", "60m")];
    assert_eq!(browser.post("settings", &fields).await.status, 303);
    let (first, second, third) = (harness.user("a").await, harness.user("b").await, harness.user("c").await);
    let off = || patch(json!([{"op": "replace", "path": "active", "value": false}]));
    assert_eq!(harness.send("PATCH", &format!("/Users/{first}"), off()).await.status, 200);
    assert_eq!(harness.send("PATCH", &format!("/Users/{second}"), off()).await.status, 429);
    let html = text(&browser.get("overview").await);
    assert!(html.contains("Removals are held") && html.contains("Approve all"), "{html}");
    assert_eq!(browser.post("hold", &[("action", "once"), ("count", "0")]).await.status, 400);
    assert_eq!(browser.post("hold", &[("action", "once"), ("count", "1")]).await.status, 303);
    assert_eq!(harness.send("PATCH", &format!("/Users/{second}"), off()).await.status, 200);
    assert_eq!(harness.send("PATCH", &format!("/Users/{third}"), off()).await.status, 429);
    assert_eq!(browser.post("hold", &[("action", "reject")]).await.status, 303);
    assert_eq!(browser.post("hold", &[("action", "approve")]).await.status, 303);
    assert_eq!(harness.send("PATCH", &format!("/Users/{third}"), off()).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn the_log_says_why_and_what_to_do_and_a_user_is_found() {
    let harness = Harness::new().await;
    let id = harness.create(json!({"userName": "lela", "externalId": "8931", "displayName": "<b>Lela</b>", "emails": [{"value": "l@acme.example"}, {"value": "l2@acme.example"}]})).await;
    let rename = patch(json!([{"op": "replace", "path": "title", "value": "Lead"}]));
    assert_eq!(harness.send("PATCH", &format!("/Users/{id}"), rename).await.status, 200);
    let group = harness.send("POST", "/Groups", json!({"displayName": "Staff", "members": [{"value": id}]})).await;
    assert_eq!(harness.send("POST", "/Users", json!({"userName": "LELA"})).await.status, 409);
    crate::support::feed::all_events(&harness).await;
    let browser = Browser::open(&harness, "acme", json!({"role": "view"})).await;
    for q in ["lela", "8931", "l@acme.example", "l2@acme.example", &id] {
        let html = text(&browser.get(&format!("people?q={}", encode(q))).await);
        assert!(html.contains("&#60;b&#62;Lela&#60;/b&#62;") && html.contains("user.updated"), "{q}: {html}");
        check_html(&html);
    }
    let of_group = group.body["id"].as_str().unwrap();
    for q in ["Staff", of_group] {
        assert!(text(&browser.get(&format!("groups?q={q}")).await).contains("group.created"), "{q}");
    }
    assert!(text(&browser.get("people?q=nobody").await).contains("No user matches"));
    assert!(text(&browser.get(&format!("people?id={of_group}")).await).contains("The log may still have its history"));
    let log = text(&browser.get("activity?kind=refusal").await);
    assert!(log.contains("taken") && log.contains("What to do"), "{log}");
    check_html(&log);
    let changes = text(&browser.get("activity?kind=change").await);
    assert!(changes.contains("<th scope=\"row\">title</th><td></td><td>Lead</td>"), "{changes}");
    let refused = text(&browser.get("activity?since=yesterday").await);
    assert!(refused.contains("since must be a time") && !refused.contains("No entry matches"));
    let of_days = text(&browser.get("activity?kind=change&since=2000-01-01&until=2999-12-31").await);
    assert!(of_days.contains("user.created") && !of_days.contains("No entry matches"));
    assert!(text(&browser.get("activity?until=2000-01-01").await).contains("No entry matches"));
    let csv = browser.get("activity.csv?kind=refusal").await;
    assert_eq!(csv.headers["content-type"], "text/csv; charset=utf-8");
    assert!(text(&csv).starts_with("timestamp,kind,") && text(&csv).contains("taken"));
    let german = [("cookie", browser.cookie.as_str()), ("accept-language", "de")];
    let html = text(&harness.raw("GET", "/acme/manage/activity", Vec::new(), &german).await);
    assert!(html.contains("lang=\"de\"") && html.contains("abgelehnte Anfragen"), "{html}");
    let reply = browser.get("activity?lang=de").await;
    assert!(reply.headers["set-cookie"].to_str().unwrap().starts_with("rollcall-language=de"));
}

#[tokio::test(start_paused = true)]
async fn a_role_does_no_more_than_it_may() {
    let harness = Harness::new().await;
    let forms: [(&str, &[(&str, &str)]); 5] = [
        ("keys", &[("action", "create"), ("description", "x"), ("type", "bearer")]),
        ("automation", &[("action", "create"), ("name", "robot")]),
        (
            "settings",
            &[
                ("action", "save"),
                ("deactivation", "disable"),
                ("protect", "off"),
                ("users", "20%/25"),
                ("window", "60m"),
            ],
        ),
        ("hold", &[("action", "approve")]),
        ("links", &[("action", "create"), ("tenant", "acme"), ("role", "operate")]),
    ];
    for (role, expected) in [
        ("view", [403, 403, 403, 403, 403]),
        ("setup", [200, 303, 403, 403, 403]),
        // No window is open. A link to one's own tenant gives no more than there is.
        ("operate", [200, 303, 303, 409, 200]),
    ] {
        let browser = Browser::open(&harness, "acme", json!({"role": role})).await;
        let mut statuses = Vec::new();
        for (page, fields) in forms {
            statuses.push(browser.post(page, fields).await.status);
        }
        assert_eq!(statuses, expected, "{role}");
        assert_eq!(browser.get("operator/tenants").await.status, 403, "{role}");
        let buttons = text(&browser.get("keys").await).contains("Add a new key");
        assert_eq!(buttons, role != "view", "a page offers what it takes");
    }
    let operator = Browser::open(&harness, "acme", json!({"operator": true})).await;
    let tenants = operator.get("operator/tenants").await;
    assert!(text(&tenants).contains("globex"), "{tenants:?}");
    check_html(&text(&tenants));
    let fields = [("action", "create"), ("tenant", "globex"), ("role", "setup"), ("person", "joe")];
    let html = text(&operator.post("links", &fields).await);
    let link = html.split("/globex/manage#").nth(1).unwrap().split('<').next().unwrap();
    assert_eq!(sign_in(&harness, "globex", link).await.status, 303);
}

#[tokio::test(start_paused = true)]
async fn no_page_returns_or_changes_another_tenant() {
    const SECRET: &str = "globex-only";
    let harness = Harness::new().await;
    let header = format!("Bearer {}", harness.globex);
    let body = json!({"userName": SECRET, "displayName": SECRET}).to_string().into_bytes();
    let theirs = harness.raw("POST", "/globex/scim/v2/Users", body, &[("authorization", &header)]).await;
    let theirs = theirs.body["id"].as_str().unwrap().to_owned();
    let admin = harness.operator().await;
    let keys = ask(&harness, &admin, "GET", "/tenants/globex/keys", Value::Null).await.body;
    let key = keys["keys"][0]["id"].as_str().unwrap().to_owned();
    let browser = Browser::open(&harness, "acme", json!({"role": "operate"})).await;
    let other = Browser::open(&harness, "globex", json!({"role": "operate"})).await;
    let token = browser.token().await;
    let before = harness.dump(Table::Keys).await;
    let pages =
        SCREENS.iter().map(|(page, _)| *page).chain(["activity.csv", "operator/tenants", "links", "hold", "restore"]);
    let actions = ["create", "rotate", "revoke", "activate", "save", "approve", "reject", "once"];
    for page in pages {
        for route in ROUTES.iter().filter(|route| route.base == Base::Pages) {
            let path = route.path.replace("{page}", page).replace("{name}", page);
            // The other tenant's address with this one's cookie, under either name.
            let as_theirs = browser.cookie.replace("acme", "globex");
            for cookie in [browser.cookie.as_str(), &as_theirs] {
                let uri = format!("/globex/manage{path}");
                let headers = [ORIGIN, ("cookie", cookie)];
                let form = format!("form={token}&action=create&description=x").into_bytes();
                let reply = harness.raw(route.method.as_str(), &uri, form, &headers).await;
                let is_open = ["pages.public.entry", "pages.public.asset"].contains(&route.name);
                assert!(is_open || reply.status == 401 || reply.status == 405, "{} {uri}: {reply:?}", route.name);
                assert!(!text(&reply).contains(SECRET));
            }
        }
        // This one's address, with the other's ids.
        for query in [format!("?id={theirs}"), format!("?q={SECRET}"), format!("?user={theirs}"), format!("?key={key}")]
        {
            let html = text(&browser.get(&format!("{page}{query}")).await);
            // A field repeats what was typed.
            assert!(html.matches(SECRET).count() <= 1, "{page}{query}: {html}");
        }
        for action in actions {
            let fields = [
                ("action", action),
                ("key", key.as_str()),
                ("tenant", "globex"),
                ("role", "view"),
                ("name", "../../globex"),
            ];
            let reply = browser.post(page, &fields).await;
            assert!(reply.status >= 400, "{page} {action}: {reply:?}");
        }
    }
    assert_eq!(harness.dump(Table::Keys).await, before);
    assert!(text(&other.get(&format!("people?q={SECRET}")).await).matches(SECRET).count() > 1, "its own page has it");
}
