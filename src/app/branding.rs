//! The page for administrators in a product: its name, its logo, its colour and its guide, and which sites may frame it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::limits::{MAX_FRAME_ORIGINS, MAX_GUIDE_BYTES, MAX_LOGO_BYTES, MAX_PRODUCT_NAME_BYTES};

mod accent;

pub use accent::{Accent, Rgb};

/// The media types of a logo that is embedded. A browser runs no script of an image.
const LOGO_TYPES: [&str; 5] = ["image/png", "image/svg+xml", "image/webp", "image/jpeg", "image/gif"];

/// What stands in the address of a guide for the name of the identity provider.
const PROVIDER: &str = "{provider}";

/// What a deployment says of the page.
#[derive(Debug, Clone, Default)]
pub struct Branding(Arc<BrandingFields>);

#[derive(Debug, Default)]
struct BrandingFields {
    name: Option<String>,
    logo: Option<ProductLogo>,
    accent: Option<Accent>,
    guide: Option<String>,
    frames: Vec<String>,
}

/// The logo of the product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductLogo {
    /// The address that an `img` names.
    pub address: String,
    /// What the policy of the page must allow to load it.
    pub source: String,
}

impl Branding {
    /// Reads what a deployment has set: `PRODUCT_NAME`, `PRODUCT_LOGO`, `PRODUCT_COLOR`, `PRODUCT_GUIDE`
    /// and `FRAME_ORIGINS`.
    ///
    /// # Errors
    /// When one of them is not in order.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let set = |name: &str| variable(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let in_variable = |name: &'static str| move |why: String| format!("{name} {why}");
        let name = set("PRODUCT_NAME").map(product_name).transpose().map_err(in_variable("PRODUCT_NAME"))?;
        let logo = set("PRODUCT_LOGO").map(|text| logo(&text)).transpose().map_err(in_variable("PRODUCT_LOGO"))?;
        let accent = set("PRODUCT_COLOR").map(|text| text.parse::<Rgb>().map(Accent::of)).transpose();
        let accent = accent.map_err(in_variable("PRODUCT_COLOR"))?;
        let guide = set("PRODUCT_GUIDE").map(guide).transpose().map_err(in_variable("PRODUCT_GUIDE"))?;
        let frames = set("FRAME_ORIGINS").map(|text| origins(&text)).transpose();
        let frames = frames.map_err(in_variable("FRAME_ORIGINS"))?.unwrap_or_default();
        Ok(Self(Arc::new(BrandingFields { name, logo, accent, guide, frames })))
    }

    /// The name of the product.
    pub fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// Its logo.
    pub fn logo(&self) -> Option<&ProductLogo> {
        self.0.logo.as_ref()
    }

    /// Its colour.
    pub fn accent(&self) -> Option<Accent> {
        self.0.accent
    }

    /// The address of the product's guide for an identity provider, such as `entra`.
    pub fn guide(&self, provider: &str) -> Option<String> {
        self.0.guide.as_ref().map(|address| address.replace(PROVIDER, provider))
    }

    /// The origins that may frame the page.
    pub fn frames(&self) -> &[String] {
        &self.0.frames
    }
}

fn product_name(text: String) -> Result<String, String> {
    match text.len() <= MAX_PRODUCT_NAME_BYTES && !text.chars().any(char::is_control) {
        true => Ok(text),
        false => {
            Err(format!("is too long or has a line break; set at most {MAX_PRODUCT_NAME_BYTES} bytes in one line"))
        }
    }
}

/// A logo by `https`, or one that is embedded and bounded: every page has it.
fn logo(text: &str) -> Result<ProductLogo, String> {
    let wrong = || {
        let types = LOGO_TYPES.map(|media_type| media_type.trim_start_matches("image/")).join(", ");
        format!("is no image; set an https:// address, or data:image/TYPE;base64,… of a type of {types}")
    };
    if text.len() > MAX_LOGO_BYTES {
        return Err(format!("is longer than {MAX_LOGO_BYTES} bytes; set a smaller image, or its https:// address"));
    }
    if let Some(rest) = text.strip_prefix("data:") {
        let (media_type, content) = rest.split_once(";base64,").ok_or_else(wrong)?;
        let is_image = LOGO_TYPES.contains(&media_type) && BASE64.decode(content).is_ok_and(|bytes| !bytes.is_empty());
        let (address, source) = (text.to_owned(), "data:".to_owned());
        return if is_image { Ok(ProductLogo { address, source }) } else { Err(wrong()) };
    }
    let uri: http::Uri = text.parse().map_err(|_| wrong())?;
    let host = uri.authority().map(http::uri::Authority::as_str).filter(|host| is_host(host)).ok_or_else(wrong)?;
    match uri.scheme_str() {
        Some("https") => Ok(ProductLogo { address: text.to_owned(), source: format!("https://{host}") }),
        _ => Err(wrong()),
    }
}

/// The address of a guide by `https`.
fn guide(text: String) -> Result<String, String> {
    let uri = text.replace(PROVIDER, "entra").parse::<http::Uri>().ok();
    let is_https = uri.is_some_and(|uri| {
        uri.scheme_str() == Some("https") && uri.authority().is_some_and(|host| is_host(host.as_str()))
    });
    match is_https && text.len() <= MAX_GUIDE_BYTES {
        true => Ok(text),
        false => Err(format!(
            "is no address of at most {MAX_GUIDE_BYTES} bytes; set one such as https://help.example.com/scim/{PROVIDER}"
        )),
    }
}

/// Whether a text is a host with or without a port: no more, as it becomes a part of a header.
fn is_host(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':'))
}

/// The origins of a list, separated by commas or blanks.
fn origins(text: &str) -> Result<Vec<String>, String> {
    let all: Vec<_> =
        text.split([',', ' ']).filter(|text| !text.is_empty()).map(|text| text.trim_end_matches('/')).collect();
    if all.len() > MAX_FRAME_ORIGINS {
        return Err(format!("names too many origins; set at most {MAX_FRAME_ORIGINS}"));
    }
    let origin = |text: &str| {
        // A page of this machine frames by HTTP, to try it.
        let local = |host: &str| matches!(host.split(':').next(), Some("localhost" | "127.0.0.1"));
        let is_origin = text.strip_prefix("https://").is_some_and(is_host)
            || text.strip_prefix("http://").is_some_and(|host| is_host(host) && local(host));
        let wrong = || format!("has {text}, which is no origin; set origins such as https://app.example.com");
        if is_origin { Ok(text.to_ascii_lowercase()) } else { Err(wrong()) }
    };
    all.into_iter().map(origin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, value: &str) -> Result<Branding, String> {
        Branding::read(|asked| (asked == name).then(|| value.to_owned()))
    }

    #[test]
    fn a_logo_comes_by_https_or_is_embedded_and_small() {
        let linked = read("PRODUCT_LOGO", "https://cdn.example.com:8443/logo.svg?v=2").unwrap();
        assert_eq!(linked.logo().unwrap().source, "https://cdn.example.com:8443");
        let dot = format!("data:image/png;base64,{}", BASE64.encode(b"\x89PNG"));
        assert_eq!(read("PRODUCT_LOGO", &dot).unwrap().logo().unwrap().source, "data:");
        let largest = |bytes: usize| format!("data:image/png;base64,{}", "A".repeat(bytes / 4 * 4));
        assert!(read("PRODUCT_LOGO", &largest(MAX_LOGO_BYTES - 40)).is_ok());
        for wrong in [
            "http://cdn.example.com/logo.png",
            "javascript:alert(1)",
            "data:text/html;base64,AAAA",
            "data:image/png;base64,§",
            "data:image/png;base64,",
            "https://user@evil.example/x",
            "https://a;b/x",
            &largest(MAX_LOGO_BYTES + 40),
        ] {
            let error = read("PRODUCT_LOGO", wrong).unwrap_err();
            assert!(error.starts_with("PRODUCT_LOGO is ") && error.contains("; set "), "{error}");
        }
    }

    #[test]
    fn frames_are_origins_of_https_alone() {
        let read = |text: &str| read("FRAME_ORIGINS", text);
        let two = read("https://app.example.com, https://B.example.com/").unwrap();
        assert_eq!(two.frames(), ["https://app.example.com", "https://b.example.com"]);
        assert_eq!(read("http://127.0.0.1:8080").unwrap().frames(), ["http://127.0.0.1:8080"]);
        assert!(read("").unwrap().frames().is_empty());
        for wrong in [
            "http://app.example.com",
            "*",
            "https://*",
            "https://a.example/path",
            "'self'",
            "https://a;script-src",
            "http://127.0.0.1.evil.example",
        ] {
            assert!(read(wrong).unwrap_err().contains("FRAME_ORIGINS has "), "{wrong}");
        }
        let many = |count: usize| vec!["https://a.example"; count].join(",");
        assert!(read(&many(MAX_FRAME_ORIGINS)).is_ok() && read(&many(MAX_FRAME_ORIGINS + 1)).is_err());
    }

    #[test]
    fn a_guide_is_an_address_for_each_provider() {
        let read = |text: &str| read("PRODUCT_GUIDE", text);
        let one = read("https://help.example.com/scim/{provider}?lang=en").unwrap();
        assert_eq!(one.guide("okta").as_deref(), Some("https://help.example.com/scim/okta?lang=en"));
        assert_eq!(
            read("https://help.example.com").unwrap().guide("entra").as_deref(),
            Some("https://help.example.com")
        );
        assert_eq!(read("").unwrap().guide("entra"), None);
        let longest = |bytes: usize| format!("https://help.example.com/{}", "a".repeat(bytes - 25));
        assert!(read(&longest(MAX_GUIDE_BYTES)).is_ok());
        for wrong in [
            "http://help.example.com",
            "javascript:alert(1)",
            "help.example.com",
            "https://a b.example",
            "https://user@evil.example/x",
            "https://{provider}@evil.example",
            &longest(MAX_GUIDE_BYTES + 1),
        ] {
            assert!(read(wrong).unwrap_err().starts_with("PRODUCT_GUIDE is no address"), "{wrong}");
        }
    }

    #[test]
    fn a_name_is_one_line_of_some_length() {
        assert_eq!(read("PRODUCT_NAME", " Example ").unwrap().name(), Some("Example"));
        assert!(read("PRODUCT_NAME", &"x".repeat(MAX_PRODUCT_NAME_BYTES)).is_ok());
        for wrong in ["a\nb", &"x".repeat(MAX_PRODUCT_NAME_BYTES + 1)] {
            assert!(read("PRODUCT_NAME", wrong).is_err());
        }
        assert!(read("PRODUCT_COLOR", "red").unwrap_err().starts_with("PRODUCT_COLOR "));
    }
}
