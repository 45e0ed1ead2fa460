//! One definition of "the same text without regard to case", for keys and for filters alike.

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

/// Folds case and composition: two spellings of a `caseExact: false` value are equal exactly if their folds are.
///
/// Unicode's full case folding on the decomposed text, so that `ß` is `ss` and `ı`, which has no capital but that of
/// another letter, is itself (Unicode section 3.13, canonical caseless matching). The result is normalised (NFC), so
/// that a composed and a decomposed accent are one name. Folding twice changes nothing.
///
/// # Examples
/// ```
/// use rollcall::scim::fold::fold;
///
/// assert_eq!(fold("STRASSE"), fold("straße"));
/// assert_eq!(fold("e\u{301}"), fold("É"));
/// assert_ne!(fold("ı"), fold("i"));
/// ```
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.nfd().default_case_fold().nfc().collect()
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::fold;

    #[test]
    fn spellings_of_one_name_are_equal() {
        for (a, b) in [
            ("Bob@Example.COM", "bob@example.com"),
            ("STRASSE", "straße"),
            ("ΣΑΣ", "σας"),
            ("Jose\u{301}", "JOSÉ"),
            ("\u{1e9e}", "ss"),
            ("\u{212a}elvin", "kelvin"),
            ("\u{1fb3}", "\u{391}\u{345}"),
            ("\u{fb01}x", "FIX"),
        ] {
            assert_eq!(fold(a), fold(b), "{a} and {b}");
        }
        for (a, b) in [("a", "á"), ("ıbrahim@x.tr", "ibrahim@x.tr"), ("İ", "i"), ("İ", "ı"), ("ø", "o")] {
            assert_ne!(fold(a), fold(b), "{a} and {b}");
        }
    }

    /// What each code point folds to, pinned: keys that are stored depend on it. A new release of Unicode adds letters;
    /// one that changes another letter's fold would need the keys to be written anew.
    #[test]
    fn every_code_point_folds_as_it_always_did() {
        let (mut changed, mut digest) = (0, Sha256::new());
        for c in '\0'..=char::MAX {
            let text = c.to_string();
            let folded = fold(&text);
            if folded == text {
                continue;
            }
            for text in [&text, &format!("a{c}\u{345}"), &format!("{c}\u{301}b"), &format!("\u{345}{c}")] {
                let folded = fold(text);
                assert_eq!(fold(&folded), folded, "{text:?} folded twice");
            }
            // The evaluator of filters relies on it.
            assert!(folded.len() <= 3 * text.len() && text.len() <= 3 * folded.len(), "{c:?}");
            changed += 1;
            digest.update(format!("{:X}={folded}\n", u32::from(c)));
        }
        assert_eq!((changed, &hex::encode(digest.finalize())[..16]), (2_643, "ed3454dacbfad249"));
    }
}
