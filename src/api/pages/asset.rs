//! The style sheet, the script and the icon, under names that change with what is in them: browsers keep them for good. And
//! what a product sets of how the page looks.

use std::borrow::Cow;
use std::sync::LazyLock;

use sha2::{Digest, Sha256};

use super::super::RequestContext;
use crate::app::branding::Branding;

/// What the page loads besides itself.
pub(super) struct Asset {
    pub(super) name: Cow<'static, str>,
    pub(super) media_type: &'static str,
    pub(super) text: Cow<'static, str>,
}

/// The addresses and the name that each page has.
pub(super) struct PageLook {
    pub(super) style: String,
    pub(super) script: String,
    pub(super) icon: String,
    pub(super) logo: Option<String>,
    pub(super) product: Option<String>,
}

/// Bytes of the hash in a name.
const HASH_BYTES: usize = 8;

/// The colours in `style.css` that a product may replace, of the light and of the dark theme.
const ACCENTS: [&str; 2] = ["#0b4fb3", "#8ab8ff"];

/// What the page is called by, where no product is named.
const ROLLCALL: &str = "Rollcall";

// A few kilobytes to hash, when the first page is rendered.
static STYLE: LazyLock<Asset> = LazyLock::new(|| asset("style", "css", "text/css", include_str!("style.css")));
static SCRIPT: LazyLock<Asset> = LazyLock::new(|| asset("script", "js", "text/javascript", include_str!("script.js")));
static ICON: LazyLock<Asset> = LazyLock::new(|| asset("icon", "svg", "image/svg+xml", include_str!("icon.svg")));

/// The asset of that name.
pub(super) fn find(branding: &Branding, name: &str) -> Option<Asset> {
    let fixed = [&*STYLE, &*SCRIPT, &*ICON].map(|it| Asset { name: it.name.clone(), text: it.text.clone(), ..*it });
    fixed.into_iter().chain([style(branding)]).find(|asset| asset.name == name)
}

/// How the page looks, and by which addresses.
pub(super) fn look(context: &RequestContext<'_>) -> PageLook {
    let branding = &context.app().branding;
    let address = |name: &str| format!("{}/assets/{name}", context.page_base());
    let logo = branding.logo();
    // A logo by an address serves as the icon too, so that it is loaded once. One that is embedded would be there twice.
    let icon = logo.filter(|logo| logo.source != "data:").map(|logo| logo.address.clone());
    PageLook {
        style: address(&style(branding).name),
        script: address(&SCRIPT.name),
        icon: icon.unwrap_or_else(|| address(&ICON.name)),
        logo: logo.map(|logo| logo.address.clone()),
        product: branding.name().map(str::to_owned),
    }
}

/// Who speaks to the reader: the product, or Rollcall.
pub(super) fn speaker<'a>(context: &RequestContext<'a>) -> &'a str {
    context.app().branding.name().unwrap_or(ROLLCALL)
}

/// The style sheet in the product's colours. They stand in its name, as it changes with them.
fn style(branding: &Branding) -> Asset {
    let Some(accent) = branding.accent() else {
        return Asset { name: STYLE.name.clone(), text: STYLE.text.clone(), ..*STYLE };
    };
    let [light, dark] = ACCENTS;
    let text = STYLE.text.replace(light, &format!("#{}", accent.light)).replace(dark, &format!("#{}", accent.dark));
    let stem = STYLE.name.trim_end_matches(".css");
    Asset { name: format!("{stem}-{}-{}.css", accent.light, accent.dark).into(), text: text.into(), ..*STYLE }
}

fn asset(stem: &str, extension: &str, media_type: &'static str, text: &'static str) -> Asset {
    let digest = Sha256::digest(text);
    let hash = hex::encode(digest.get(..HASH_BYTES).unwrap_or_default());
    Asset { name: format!("{stem}-{hash}.{extension}").into(), media_type, text: text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_has_a_style_sheet_of_its_own() {
        let set = |color: &'static str| Branding::read(|name| (name == "PRODUCT_COLOR").then(|| color.to_owned()));
        let (plain, red) = (style(&Branding::default()), style(&set("#b00020").unwrap()));
        assert!(plain.text.matches(ACCENTS[0]).count() >= 2 && plain.text.matches(ACCENTS[1]).count() >= 2);
        assert!(red.text.contains("--accent:#b00020") && !red.text.contains(ACCENTS[0]) && red.name != plain.name);
        assert!(find(&Branding::default(), &red.name).is_none());
    }
}
