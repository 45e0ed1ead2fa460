//! The secret of what stands before the API, such as CloudFront: by its header a request is known to have come that way.

use http::{HeaderMap, HeaderValue};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The header with the secret.
pub const EDGE_HEADER: &str = "x-rollcall-edge";

/// The SHA-256 of the secret. The secret itself is with the edge alone.
#[derive(Debug, Clone)]
pub struct EdgeSecret([u8; 32]);

impl EdgeSecret {
    /// Reads the hash.
    ///
    /// # Errors
    /// When it is not 64 hexadecimal digits.
    pub fn parse(hash: &str) -> Result<Self, String> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(hash, &mut bytes)
            .map_err(|_| "EDGE_SECRET_HASH is not a SHA-256; set 64 hexadecimal digits".to_owned())?;
        Ok(Self(bytes))
    }

    /// Whether a request has come through the edge, which puts the one header in the place of whatever a client sent.
    pub fn accepts(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(EDGE_HEADER).iter().map(HeaderValue::as_bytes);
        let (secret, other) = (values.next().unwrap_or_default(), values.next());
        let is_same = Sha256::digest(secret).as_slice().ct_eq(&self.0);
        bool::from(is_same) && other.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_header_with_the_secret_is_accepted() {
        let edge = EdgeSecret::parse(&hex::encode(Sha256::digest("open sesame"))).unwrap();
        let headers = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(EDGE_HEADER, value.parse().unwrap());
            }
            headers
        };
        assert!(edge.accepts(&headers(&["open sesame"])));
        for wrong in [&[][..], &[""], &["open"], &["open sesame", "x"], &["x", "open sesame"]] {
            assert!(!edge.accepts(&headers(wrong)), "{wrong:?}");
        }
        assert!(EdgeSecret::parse("open sesame").is_err());
    }
}
