//! An identity provider: signs what a test wants, and publishes its keys.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaKeyPair, RsaPublicKeyComponents,
};
use rollcall::auth::issuer::Fetch;
use serde_json::{Value, json};

pub const ISSUER: &str = "https://login.example.com/tenant/v2.0";
pub const AUDIENCE: &str = "api://rollcall";
pub const JWKS_URI: &str = "https://login.example.com/tenant/keys";

/// The tests' own keys; they open nothing.
const FIRST: &[u8] = include_bytes!("../issuer/first.der");
const SECOND: &[u8] = include_bytes!("../issuer/second.der");

/// What the issuer publishes, and how often it was asked.
#[derive(Default)]
pub struct Issuer {
    published: Mutex<Vec<&'static str>>,
    pub asked: AtomicUsize,
    pub is_down: AtomicBool,
}

impl Issuer {
    /// Publishing the key `first`.
    pub fn new() -> Arc<Self> {
        let issuer = Self::default();
        issuer.publish(&["first"]);
        Arc::new(issuer)
    }

    pub fn publish(&self, kids: &[&'static str]) {
        *self.published.lock().unwrap() = kids.to_vec();
    }

    pub fn keys(&self) -> Value {
        let keys: Vec<_> = self.published.lock().unwrap().iter().map(|kid| jwk(kid)).collect();
        json!({"keys": keys})
    }
}

/// As the endpoint reaches it.
pub struct Reached(pub Arc<Issuer>);

impl Fetch for Reached {
    fn fetch<'a>(&'a self, url: &'a str) -> Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + Send + 'a>> {
        Box::pin(async move {
            assert_eq!(url, JWKS_URI);
            self.0.asked.fetch_add(1, Ordering::Relaxed);
            match self.0.is_down.load(Ordering::Relaxed) {
                true => Err("down".to_owned()),
                false => Ok(self.0.keys().to_string().into_bytes()),
            }
        })
    }
}

/// The keys `p256` and `ed25519`, generated for this run.
static P256: LazyLock<EcdsaKeyPair> = LazyLock::new(|| {
    let (scheme, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
    let key = EcdsaKeyPair::generate_pkcs8(scheme, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(scheme, key.as_ref(), &random).unwrap()
});
static ED25519: LazyLock<Ed25519KeyPair> = LazyLock::new(|| {
    Ed25519KeyPair::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap().as_ref()).unwrap()
});

fn pair(kid: &str) -> RsaKeyPair {
    RsaKeyPair::from_der(if kid == "second" { SECOND } else { FIRST }).unwrap()
}

fn jwk(kid: &str) -> Value {
    let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    match kid {
        "p256" => {
            let point = P256.public_key().as_ref();
            return json!({"kty": "EC", "crv": "P-256", "kid": kid, "alg": "ES256", "x": number(&point[1..33]), "y": number(&point[33..])});
        }
        "ed25519" => {
            return json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": number(ED25519.public_key().as_ref())});
        }
        _ => {}
    }
    let pair = pair(kid);
    let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
    json!({"kty": "RSA", "use": "sig", "kid": kid, "n": number(&public.n), "e": number(&public.e)})
}

/// What a good token says, good for ten minutes.
pub fn claims() -> Value {
    let now = Timestamp::now().as_second();
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "workload", "jti": format!("{:x}", super::random()),
        "iat": now, "nbf": now, "exp": now + 600})
}

/// With some claims otherwise; null leaves one out.
pub fn claims_with(change: Value) -> Value {
    let mut claims = claims();
    for (name, value) in change.as_object().unwrap() {
        claims[name] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
    }
    claims
}

/// A token of the issuer, signed by RS256.
pub fn token(kid: &str, claims: &Value) -> String {
    signed(&json!({"alg": "RS256", "kid": kid, "typ": "JWT"}), claims)
}

/// A token with any header, signed as its `alg` says as well as that can be done.
pub fn signed(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let pair = pair(header["kid"].as_str().unwrap_or("first"));
    let rsa = |padding| {
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(padding, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
        signature
    };
    let signature = match header["alg"].as_str().unwrap() {
        "RS256" => rsa(&RSA_PKCS1_SHA256),
        "PS256" => rsa(&RSA_PSS_SHA256),
        "ES256" => P256.sign(&SystemRandom::new(), message.as_bytes()).unwrap().as_ref().to_vec(),
        "EdDSA" => ED25519.sign(message.as_bytes()).as_ref().to_vec(),
        // Key confusion: the public key as the shared secret.
        "HS256" => {
            let secret = hmac::Key::new(hmac::HMAC_SHA256, pair.public_key().as_ref());
            hmac::sign(&secret, message.as_bytes()).as_ref().to_vec()
        }
        _ => Vec::new(),
    };
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}
