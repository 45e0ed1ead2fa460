//! Large answers in gzip, for a client that accepts it (RFC 9110 section 12.5.3). An HTTP API of API Gateway compresses
//! nothing by itself. ADR 0054 has the figures.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, VARY};
use http::{HeaderMap, HeaderValue, Response};

use crate::limits::MIN_COMPRESSED_BYTES;

/// The answer in gzip, if it is large and the client accepts that; else as it is. A small answer stays as it is for every
/// client: those with a secret are small, so that no length depends on a secret and on what a client sent next to it.
pub(super) fn compressed(request: &HeaderMap, mut response: Response<Bytes>) -> Response<Bytes> {
    if response.body().len() < MIN_COMPRESSED_BYTES {
        return response;
    }
    // Whoever stores the answer must know that another client would get another one.
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
    if !accepts_gzip(request) {
        return response;
    }
    if let Ok(body) = gzip(response.body()) {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        *response.body_mut() = body.into();
    }
    response
}

fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

/// What the client says of gzip itself counts before what it says of every encoding. A weight of 0 refuses.
fn accepts_gzip(request: &HeaderMap) -> bool {
    let texts = request.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let encodings: Vec<(&str, bool)> = texts.flat_map(|text| text.split(',')).map(encoding).collect();
    let find = |wanted: &str| encodings.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    find("gzip").or_else(|| find("*")).is_some_and(|(_, is_accepted)| *is_accepted)
}

/// An encoding, and whether its weight is above 0.
fn encoding(text: &str) -> (&str, bool) {
    let (name, parameters) = text.split_once(';').unwrap_or((text, ""));
    let weight = parameters.split(';').filter_map(|parameter| parameter.split_once('=')).find_map(|(name, value)| {
        let weight: f32 = value.trim().parse().ok()?;
        name.trim().eq_ignore_ascii_case("q").then_some(weight)
    });
    (name.trim(), weight.is_none_or(|weight| weight > 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_accepted_by_name_or_by_a_star_and_refused_by_a_weight_of_0() {
        for (text, is_accepted) in [
            ("gzip", true),
            ("GZIP", true),
            ("deflate, gzip;q=0.5, br", true),
            ("br;q=1.0, *;q=0.1", true),
            ("*", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000, *", false),
            ("*;q=0", false),
            ("identity", false),
            ("br, zstd", false),
            ("", false),
            ("gzip;q", true),
            (";;,=,q=", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(text))]);
            assert_eq!(accepts_gzip(&headers), is_accepted, "{text}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
