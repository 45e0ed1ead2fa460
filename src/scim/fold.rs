//! One definition of "the same text without regard to case", for keys and for filters alike.

use unicode_normalization::UnicodeNormalization;

/// Folds case and composition: two spellings of a `caseExact: false` value are equal exactly if their folds are.
///
/// Upper case first, then lower case, so that `ß`, `ſ` and the final sigma meet their capitals; the result is
/// normalised (NFC), so that a composed and a decomposed accent are one name. Folding twice changes nothing.
///
/// # Examples
/// ```
/// use rollcall::scim::fold::fold;
///
/// assert_eq!(fold("STRASSE"), fold("straße"));
/// assert_eq!(fold("e\u{301}"), fold("É"));
/// ```
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    // A second pass settles the few letters whose lower case composes anew.
    fold_once(&fold_once(text))
}

fn fold_once(text: &str) -> String {
    text.nfc().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn spellings_of_one_name_are_equal() {
        for (a, b) in
            [("Bob@Example.COM", "bob@example.com"), ("STRASSE", "straße"), ("ΣΑΣ", "σας"), ("Jose\u{301}", "JOSÉ")]
        {
            assert_eq!(fold(a), fold(b), "{a} and {b}");
        }
        assert_ne!(fold("a"), fold("á"));
    }
}
