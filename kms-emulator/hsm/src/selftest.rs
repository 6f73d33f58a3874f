//! Boot self-tests (FIPS 140-3, 7.10): known answers and the health of the random source, before
//! any service. A device whose tests fail does not power on.

mod mechanisms;

use std::num::NonZeroU32;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{digest, hmac, pbkdf2};

use crate::crypto;
use crate::error::HsmError;
use crate::secret::KeyBytes;

/// An algorithm, and whether it passes.
type Test = (&'static str, fn() -> bool);

/// Runs every test.
pub(crate) fn run() -> Result<(), HsmError> {
    let tests: [Test; 6] = [
        ("SHA-2", sha2),
        ("HMAC-SHA-256", hmac_sha256),
        ("AES-256-GCM", aes_256_gcm),
        ("PBKDF2-HMAC-SHA-256", pbkdf2_hmac_sha256),
        ("KDF in counter mode", counter_mode_kdf),
        ("random source", random_source),
    ];
    match tests.iter().chain(&mechanisms::TESTS).find(|(_, passes)| !passes()) {
        Some((algorithm, _)) => Err(HsmError::SelfTest { algorithm }),
        None => Ok(()),
    }
}

fn is(actual: &[u8], expected_hex: &str) -> bool {
    hex::encode(actual) == expected_hex
}

/// FIPS 180-4 examples: the message "abc".
fn sha2() -> bool {
    let of = |algorithm| digest::digest(algorithm, b"abc");
    is(
        of(&digest::SHA256).as_ref(),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    ) && is(
        of(&digest::SHA512).as_ref(),
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
         2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    )
}

/// RFC 4231, test case 2.
fn hmac_sha256() -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"Jefe");
    let tag = hmac::sign(&key, b"what do ya want for nothing?");
    is(tag.as_ref(), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
}

/// The GCM submission's test case 16.
fn aes_256_gcm() -> bool {
    let decoded = |text| hex::decode(text).unwrap_or_default();
    let key = decoded("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
    let aad = decoded("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    let mut text = decoded(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
         1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
    );
    let iv = [0xca, 0xfe, 0xba, 0xbe, 0xfa, 0xce, 0xdb, 0xad, 0xde, 0xca, 0xf8, 0x88];
    let Ok(unbound) = UnboundKey::new(&AES_256_GCM, &key) else { return false };
    let sealed = LessSafeKey::new(unbound).seal_in_place_append_tag(
        Nonce::assume_unique_for_key(iv),
        Aad::from(&aad),
        &mut text,
    );
    sealed.is_ok()
        && is(
            &text,
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa\
             8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662\
             76fc6ece0f4e1768cddf8853bb2d551b",
        )
}

/// The RFC 6070 message with SHA-256, 4,096 iterations.
fn pbkdf2_hmac_sha256() -> bool {
    let Some(iterations) = NonZeroU32::new(4_096) else { return false };
    let mut out = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, b"salt", b"password", &mut out);
    is(&out, "c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a")
}

/// SP 800-108r1, 4.1: one block is HMAC(key, counter || label || 0 || context), computed here by
/// the other path.
fn counter_mode_kdf() -> bool {
    let Ok(key) = KeyBytes::filled(|bytes| {
        bytes.fill(0x5c);
        Ok::<_, HsmError>(())
    }) else {
        return false;
    };
    let by_hand = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, key.expose()),
        b"\x00\x00\x00\x01label\x00context",
    );
    crypto::derive(&key, "label", b"context")
        .is_ok_and(|derived| derived.expose() == by_hand.as_ref())
}

/// Start-up health of the random source: repetition count and adaptive proportion, after
/// SP 800-90B, 4.4, over bytes with the cut-offs of a full-entropy source at 2^-40 (6 equal bytes
/// in a row; 31 equal to the first of a window of 512).
fn random_source() -> bool {
    const WINDOW_BYTES: usize = 512;
    let Ok(samples) = crypto::random_plaintext(8 * WINDOW_BYTES) else { return false };
    let repeats = samples.expose().windows(6).any(|run| match run.split_first() {
        Some((first, rest)) => rest.iter().all(|byte| byte == first),
        None => false,
    });
    let skewed = samples.expose().chunks(WINDOW_BYTES).any(|window| match window.first() {
        Some(first) => window.iter().filter(|byte| *byte == first).count() > 31,
        None => true,
    });
    !repeats && !skewed
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_self_test_passes() {
        super::run().unwrap();
    }
}
