//! Blobs in replies.

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

/// A blob that a reply carries as base64, zeroised when dropped.
pub(crate) struct Base64(Zeroizing<Vec<u8>>);

impl Base64 {
    /// A blob that is no secret.
    pub(crate) fn public(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A secret that the caller may have.
    pub(crate) fn secret(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(&self.0, &STANDARD))
    }
}
