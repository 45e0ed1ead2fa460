//! Sealed texts: what only this key's holder can hand back, and cannot read or forge (AES-256-GCM).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::{Digest, Sha256};

/// What is sealed for one key is sealed with this, derived from the hash in its record: it dies with the record,
/// and who can read the record can read what it opens, anyway.
#[derive(Clone, PartialEq, Eq)]
pub struct SealKey([u8; 32]);

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey")
    }
}

impl SealKey {
    /// That of the key whose secret has this hash.
    pub fn of(hash: &[u8; 32]) -> Self {
        Self(Sha256::new().chain_update(b"rollcall seal").chain_update(hash).finalize().into())
    }

    /// That of the same key for one tenant of several.
    pub fn of_tenant(&self, tenant: &str) -> Self {
        Self(
            Sha256::new()
                .chain_update(b"rollcall seal of tenant")
                .chain_update(self.0)
                .chain_update(tenant)
                .finalize()
                .into(),
        )
    }

    /// Seals a text, in characters that a URL need not escape; `None` when the system has no random numbers.
    pub fn seal(&self, text: &str) -> Option<String> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).ok()?;
        let mut sealed = text.as_bytes().to_vec();
        let aad = Aad::empty();
        self.cipher()?.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed).ok()?;
        Some(URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat()))
    }

    /// Opens what [`seal`](Self::seal) sealed with the same key.
    pub fn open(&self, sealed: &str) -> Option<String> {
        let mut bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let text = self.cipher()?.open_in_place(nonce, Aad::empty(), sealed).ok()?;
        String::from_utf8(text.to_vec()).ok()
    }

    fn cipher(&self) -> Option<LessSafeKey> {
        Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &self.0).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_opens_with_its_key_alone_and_not_when_touched() {
        let key = SealKey::of(&[1; 32]);
        let sealed = key.seal("position").unwrap();
        assert_eq!(key.open(&sealed).as_deref(), Some("position"));
        assert_ne!(sealed, key.seal("position").unwrap());
        assert!(sealed.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
        assert_eq!(SealKey::of(&[2; 32]).open(&sealed), None);
        let of_acme = key.of_tenant("acme");
        let sealed_for_acme = of_acme.seal("position").unwrap();
        assert_eq!(of_acme.open(&sealed_for_acme).as_deref(), Some("position"));
        assert_eq!(key.open(&sealed_for_acme).or(key.of_tenant("globex").open(&sealed_for_acme)), None);
        for at in 0..sealed.len() {
            let mut touched = sealed.clone().into_bytes();
            touched[at] = if touched[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(key.open(&String::from_utf8(touched).unwrap()), None, "{at}");
        }
        for junk in ["", "x", "ä", "AAAA"] {
            assert_eq!(key.open(junk), None, "{junk}");
        }
    }
}
