//! The page in a product: its name, logo and colour, and the sites that may frame it.

use std::sync::Arc;

use rollcall::app::App;
use rollcall::app::branding::Branding;
use serde_json::json;

use super::browser::{Browser, ORIGIN, link, secret, text};
use super::check_html;
use crate::support::Harness;

const LOGO: &str = "https://cdn.example.com/logo.svg";

async fn branded(settings: &[(&str, &str)]) -> Harness {
    let mut harness = Harness::new().await;
    let variable = |asked: &str| settings.iter().find(|(name, _)| *name == asked).map(|(_, value)| (*value).to_owned());
    let branding = Branding::read(variable).unwrap();
    harness.app = Arc::new(App { branding, ..(*harness.app).clone() });
    harness
}

#[tokio::test(start_paused = true)]
async fn name_logo_and_colour_are_on_each_page_and_the_policy_follows() {
    let settings = [("PRODUCT_NAME", "Ex & Co"), ("PRODUCT_LOGO", LOGO), ("PRODUCT_COLOR", "#ff0000")];
    let harness = branded(&settings).await;
    let browser = Browser::open(&harness, "acme", json!({"role": "setup"})).await;
    let entry = harness.raw("GET", "/acme/manage", Vec::new(), &[]).await;
    for reply in [entry, browser.get("overview").await, browser.get("nothing").await] {
        let html = text(&reply);
        check_html(&html);
        assert!(html.contains("Ex &#38; Co</strong>") && html.contains("– Ex &#38; Co</title>"), "{html}");
        assert!(html.contains(&format!("<img class=\"logo\" src=\"{LOGO}\" alt=\"\">")), "{html}");
        assert!(html.contains(&format!("<link rel=\"icon\" href=\"{LOGO}\">")), "one request for both");
        let policy = reply.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(policy.ends_with("img-src 'self' https://cdn.example.com; frame-ancestors 'none'"), "{policy}");
    }
    assert!(text(&browser.get("nothing").await).contains("Ex &#38; Co rejected the request"));
    let html = text(&browser.get("overview").await);
    let style = html.split("<link rel=\"stylesheet\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let css = harness.raw("GET", style, Vec::new(), &[]).await;
    assert_eq!((css.status, css.headers["content-type"].to_str().unwrap()), (200, "text/css"));
    assert!(text(&css).contains("--accent:#") && !text(&css).contains("--accent:#0b4fb3"));
    // Pure red on white has a contrast of 4.0.
    assert!(!text(&css).contains("#ff0000"), "{css:?}");
}

#[tokio::test(start_paused = true)]
async fn connect_links_the_guide_of_the_product() {
    let settings = [("PRODUCT_NAME", "Ex & Co"), ("PRODUCT_GUIDE", "https://help.example.com/{provider}?a=1&b=2")];
    let harness = branded(&settings).await;
    let browser = Browser::open(&harness, "acme", json!({"role": "setup"})).await;
    for (provider, title) in [("entra", "Microsoft Entra ID"), ("okta", "Okta")] {
        let html = text(&browser.get(&format!("connect?provider={provider}")).await);
        check_html(&html);
        let link = format!(
            "<a href=\"https://help.example.com/{provider}?a=1&#38;b=2\" rel=\"noreferrer\">Guide of Ex &#38; Co for {title}</a>"
        );
        assert!(html.contains(&link), "{html}");
    }
    let plain = branded(&[("PRODUCT_NAME", "Ex & Co")]).await;
    let browser = Browser::open(&plain, "acme", json!({"role": "setup"})).await;
    assert!(!text(&browser.get("connect").await).contains("Guide of"));
}

#[tokio::test(start_paused = true)]
async fn only_named_sites_frame_the_page_and_a_frame_has_its_own_cookie() {
    let mut harness = branded(&[("FRAME_ORIGINS", "https://app.example.com")]).await;
    let admin = harness.operator().await;
    let public_url = Some("https://scim.example.net".to_owned());
    harness.app = Arc::new(App { public_url, ..(*harness.app).clone() });
    let entry = harness.raw("GET", "/acme/manage", Vec::new(), &[]).await;
    let policy = entry.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.ends_with("img-src 'self'; frame-ancestors https://app.example.com"), "{policy}");
    let sign_in = async |harness: &Harness, place: &str| {
        let link = link(harness, &admin, "acme", json!({})).await;
        let form = format!("action=begin&token={}", secret(&link)).into_bytes();
        let reply = harness.raw("POST", "/acme/manage", form, &[ORIGIN, ("sec-fetch-dest", place)]).await;
        assert_eq!(reply.status, 303, "{reply:?}");
        reply.headers["set-cookie"].to_str().unwrap().to_owned()
    };
    let framed = sign_in(&harness, "iframe").await;
    assert!(framed.ends_with("; Path=/; Secure; HttpOnly; SameSite=None; Partitioned"), "{framed}");
    let alone = sign_in(&harness, "document").await;
    assert!(alone.ends_with("; Path=/; Secure; HttpOnly; SameSite=Strict"), "{alone}");
    // A form of another site is refused in a frame too: its cookie alone does not carry it out.
    let cookie = framed.split(';').next().unwrap();
    let headers = [("cookie", cookie), ("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "iframe")];
    let reply = harness.raw("POST", "/acme/manage/keys", b"action=create&description=x".to_vec(), &headers).await;
    assert_eq!(reply.status, 403, "{reply:?}");
    harness.app = Arc::new(App { branding: Branding::default(), ..(*harness.app).clone() });
    let plain = sign_in(&harness, "iframe").await;
    assert!(plain.ends_with("SameSite=Strict"), "nobody may frame it: {plain}");
}
