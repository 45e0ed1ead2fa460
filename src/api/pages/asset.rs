//! The style sheet, the script and the icon, under names that change with what is in them: browsers keep them for good.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

/// What the page loads besides itself.
pub(super) struct Asset {
    pub(super) name: String,
    pub(super) media_type: &'static str,
    pub(super) text: &'static str,
}

/// The names, as templates write them.
pub(super) struct AssetNames {
    pub(super) style: &'static str,
    pub(super) script: &'static str,
    pub(super) icon: &'static str,
}

/// Bytes of the hash in a name.
const HASH_BYTES: usize = 8;

// A few kilobytes to hash, when the first page is rendered.
static STYLE: LazyLock<Asset> = LazyLock::new(|| asset("style", "css", "text/css", include_str!("style.css")));
static SCRIPT: LazyLock<Asset> = LazyLock::new(|| asset("script", "js", "text/javascript", include_str!("script.js")));
static ICON: LazyLock<Asset> = LazyLock::new(|| asset("icon", "svg", "image/svg+xml", include_str!("icon.svg")));

/// The asset of that name.
pub(super) fn find(name: &str) -> Option<&'static Asset> {
    [&*STYLE, &*SCRIPT, &*ICON].into_iter().find(|asset| asset.name == name)
}

pub(super) fn names() -> AssetNames {
    AssetNames { style: &STYLE.name, script: &SCRIPT.name, icon: &ICON.name }
}

fn asset(stem: &str, extension: &str, media_type: &'static str, text: &'static str) -> Asset {
    let digest = Sha256::digest(text);
    let hash = hex::encode(digest.get(..HASH_BYTES).unwrap_or_default());
    Asset { name: format!("{stem}-{hash}.{extension}"), media_type, text }
}
