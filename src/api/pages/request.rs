//! What a browser sends: cookies, forms, and whether it is our own page that sends them.

use http::header::{COOKIE, HeaderValue, ORIGIN};

use super::super::RequestContext;
use super::catalogue::Language;
use crate::limits::MAX_FORM_BYTES;
use crate::scim::{ErrorCode, ScimError};

/// The cookie of the language. It is no secret.
const LANGUAGE_COOKIE: &str = "rollcall-language";

/// The name of the session's cookie before the tenant's: with the prefix, browsers accept it by TLS, from this host and
/// for all of it alone (RFC 6265bis section 4.1.3.2). Each tenant has its own, for operators open several.
const SESSION_COOKIE: &str = "rollcall-";

/// What the browser says of where a request comes from.
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Where the browser puts what it asks for.
const SEC_FETCH_DEST: &str = "sec-fetch-dest";

/// The fields of a form.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// The form in a body.
    ///
    /// # Errors
    /// 413 for a body that is longer than any form of the page.
    pub(super) fn read(context: &RequestContext<'_>) -> Result<Self, ScimError> {
        if context.raw_body().len() > MAX_FORM_BYTES {
            let detail = format!("the form is longer than {MAX_FORM_BYTES} bytes; send less");
            return Err(ScimError::new(ErrorCode::BodyTooLarge, detail));
        }
        Ok(Self(form_urlencoded::parse(context.raw_body()).into_owned().collect()))
    }

    /// The parameters of the address.
    pub(super) fn of_query(context: &RequestContext<'_>) -> Self {
        Self(form_urlencoded::parse(context.raw_query().as_bytes()).into_owned().collect())
    }

    /// A field; empty if it is not there.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value.trim())
    }

    /// A field that is filled in.
    pub(super) fn filled(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }
}

/// Refuses a form that another site has sent. Browsers say so in `Sec-Fetch-Site`; older ones name the `Origin`; and a
/// request that says neither comes from none.
///
/// # Errors
/// 403.
pub(super) fn check_same_origin(context: &RequestContext<'_>) -> Result<(), ScimError> {
    let header = |name: &str| context.headers().get(name).map(HeaderValue::as_bytes);
    let is_own = match header(SEC_FETCH_SITE) {
        Some(site) => site == b"same-origin",
        None => header(ORIGIN.as_str()) == Some(context.origin().as_bytes()),
    };
    match is_own {
        true => Ok(()),
        false => Err(foreign_form()),
    }
}

/// The answer to a form that is not of this session's page.
pub(super) fn foreign_form() -> ScimError {
    let detail = "the form is not of this session's page; open the page again and repeat";
    ScimError::new(ErrorCode::ForeignForm, detail)
}

/// The value of a cookie.
fn cookie<'c>(context: &'c RequestContext<'_>, name: &str) -> Option<&'c str> {
    let headers = context.headers().get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = headers.flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// What the session's cookie holds.
pub(super) fn session_cookie<'c>(context: &'c RequestContext<'_>) -> Option<&'c str> {
    cookie(context, &session_cookie_name(context))
}

/// The cookie that begins or, without a value, ends a session.
pub(super) fn set_session_cookie(context: &RequestContext<'_>, value: Option<&str>) -> String {
    let end = if value.is_none() { "; Max-Age=0" } else { "" };
    let (name, rules) = (session_cookie_name(context), cookie_rules(context));
    format!("{name}={}; Path=/; {rules}{end}", value.unwrap_or_default())
}

/// The cookie that keeps the language.
pub(super) fn set_language_cookie(context: &RequestContext<'_>, language: Language) -> String {
    format!("{LANGUAGE_COOKIE}={}; Path=/; {}; Max-Age=31536000", language.tag(), cookie_rules(context))
}

/// How a browser keeps a cookie. In a frame of another site it sends no `SameSite=Strict` cookie. There, and only where an
/// origin may frame the page, the cookie is partitioned: it is sent in frames of that site alone.
fn cookie_rules(context: &RequestContext<'_>) -> &'static str {
    let in_frame = context.headers().get(SEC_FETCH_DEST).is_some_and(|place| place == "iframe");
    let may_be_framed = !context.app().branding.frames().is_empty();
    match (is_secure(context), in_frame && may_be_framed) {
        (true, true) => "Secure; HttpOnly; SameSite=None; Partitioned",
        (true, false) => "Secure; HttpOnly; SameSite=Strict",
        // `Partitioned` needs `Secure`. On one machine, each port is of the same site.
        (false, _) => "HttpOnly; SameSite=Strict",
    }
}

/// The language that somebody chose now, the one that was chosen before, or the browser's.
pub(super) fn language(context: &RequestContext<'_>) -> Language {
    let chosen = chosen_language(context);
    let before = || Language::of_tag(cookie(context, LANGUAGE_COOKIE)?);
    chosen.or_else(before).unwrap_or_else(|| Language::of_headers(context.headers()))
}

/// The language that the address names.
pub(super) fn chosen_language(context: &RequestContext<'_>) -> Option<Language> {
    Language::of_tag(Form::of_query(context).text("lang"))
}

fn session_cookie_name(context: &RequestContext<'_>) -> String {
    let prefix = if is_secure(context) { "__Host-" } else { "" };
    format!("{prefix}{SESSION_COOKIE}{}", context.tenant_in_url())
}

/// Over plain HTTP, as `rollcall serve` answers on this machine, some browsers drop cookies that are `Secure`.
fn is_secure(context: &RequestContext<'_>) -> bool {
    !context.origin().starts_with("http://")
}
