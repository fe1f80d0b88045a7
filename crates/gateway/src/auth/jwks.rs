//! The public key, for those who check tokens themselves.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::jwt::SigningKey;

/// Returns the key in a set of JSON web keys.
pub(super) fn set(key: &SigningKey) -> Value {
    let (first, second) = key.public_numbers();
    let (first, second) = (URL_SAFE_NO_PAD.encode(first), URL_SAFE_NO_PAD.encode(second));
    let mut document = match key.algorithm() {
        "RS256" => json!({ "kty": "RSA", "e": second, "n": first }),
        "ES384" => json!({ "kty": "EC", "crv": "P-384", "x": first, "y": second }),
        _ => json!({ "kty": "EC", "crv": "P-256", "x": first, "y": second }),
    };
    document["kid"] = json!(key.id());
    document["alg"] = json!(key.algorithm());
    document["use"] = json!("sig");
    json!({ "keys": [document] })
}

/// Returns the key as PEM.
pub(super) fn pem(key: &SigningKey) -> String {
    let text = STANDARD.encode(key.public_der());
    let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str("-----END PUBLIC KEY-----\n");
    pem
}
