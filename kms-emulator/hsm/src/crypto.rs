//! The approved primitives, with the parameters that this module uses them with.
//!
//! Randomness is the DRBG of `aws-lc-rs` (CTR_DRBG with AES-256, SP 800-90A, seeded and reseeded by
//! the library from the system's entropy). Nothing here writes a primitive of its own.

use std::num::NonZeroU32;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_256, EncryptingKey, UnboundCipherKey};
use aws_lc_rs::kdf::{KbkdfCtrHmacAlgorithmId, get_kbkdf_ctr_hmac_algorithm, kbkdf_ctr_hmac};
use aws_lc_rs::{digest, pbkdf2, rand, signature};

use crate::error::Refusal;
use crate::secret::{KEY_BYTES, KeyBytes, Password, Plaintext};
use crate::user::PasswordRecord;

/// Bytes of an AES-GCM tag.
pub(crate) const TAG_BYTES: usize = 16;
/// Bytes of the IV that this module makes.
pub(crate) const IV_BYTES: usize = NONCE_LEN;
/// Bytes of the nonce from which a message's key is derived.
pub(crate) const DERIVATION_NONCE_BYTES: usize = 16;
/// Bytes that sealing adds to a plaintext.
pub(crate) const SEAL_OVERHEAD_BYTES: usize = DERIVATION_NONCE_BYTES + IV_BYTES + TAG_BYTES;

/// Fills `out` from the DRBG.
pub(crate) fn random(out: &mut [u8]) -> Result<(), Refusal> {
    Ok(rand::fill(out)?)
}

/// Draws a fixed number of public random bytes.
pub(crate) fn random_array<const N: usize>() -> Result<[u8; N], Refusal> {
    let mut bytes = [0; N];
    random(&mut bytes)?;
    Ok(bytes)
}

/// Makes a key.
pub(crate) fn generate_key() -> Result<KeyBytes, Refusal> {
    KeyBytes::filled(random)
}

/// Draws `length` secret bytes.
pub(crate) fn random_plaintext(length: usize) -> Result<Plaintext, Refusal> {
    Plaintext::filled(length, random)
}

/// Derives a key: KDF in counter mode with HMAC-SHA-256 (SP 800-108r1, 4.1).
///
/// `label` separates the uses of one key, `context` the keys of one use; the zero byte between them
/// is the standard's separator, and no label contains one.
pub(crate) fn derive(key: &KeyBytes, label: &str, context: &[u8]) -> Result<KeyBytes, Refusal> {
    let algorithm = get_kbkdf_ctr_hmac_algorithm(KbkdfCtrHmacAlgorithmId::Sha256)
        .ok_or(Refusal::ModuleFailed)?;
    let mut info = Vec::with_capacity(label.len().saturating_add(context.len()).saturating_add(1));
    info.extend_from_slice(label.as_bytes());
    info.push(0);
    info.extend_from_slice(context);
    KeyBytes::filled(|out| Ok(kbkdf_ctr_hmac(algorithm, key.expose(), &info, out)?))
}

/// Encrypts with AES-256-GCM (SP 800-38D) under an IV drawn here; returns IV, ciphertext, tag.
pub(crate) fn encrypt(key: &KeyBytes, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, Refusal> {
    encrypt_after(Vec::new(), random_array()?, key, aad, plaintext)
}

/// Encrypts as [`encrypt`] does, under an IV that was drawn for this, and appends the result to `prefix`.
fn encrypt_after(
    prefix: Vec<u8>,
    iv: [u8; IV_BYTES],
    key: &KeyBytes,
    aad: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, Refusal> {
    let mut message = prefix;
    message.reserve_exact(IV_BYTES.saturating_add(plaintext.len()).saturating_add(TAG_BYTES));
    message.extend_from_slice(&iv);
    let start = message.len();
    message.extend_from_slice(plaintext);
    let body = message.get_mut(start..).ok_or(Refusal::ModuleFailed)?;
    let tag = gcm(key)?.seal_in_place_separate_tag(
        Nonce::assume_unique_for_key(iv),
        Aad::from(aad),
        body,
    )?;
    message.extend_from_slice(tag.as_ref());
    Ok(message)
}

/// Decrypts what [`encrypt`] returned.
pub(crate) fn decrypt(key: &KeyBytes, aad: &[u8], message: &[u8]) -> Result<Plaintext, Refusal> {
    let (iv, body) = message.split_first_chunk::<IV_BYTES>().ok_or(Refusal::NotAuthentic)?;
    let (ciphertext, tag) = body.split_last_chunk::<TAG_BYTES>().ok_or(Refusal::NotAuthentic)?;
    Plaintext::filled(ciphertext.len(), |out| {
        gcm(key)?
            .open_separate_gather(
                Nonce::assume_unique_for_key(*iv),
                Aad::from(aad),
                ciphertext,
                tag,
                out,
            )
            .map_err(|_| Refusal::NotAuthentic)
    })
}

/// Encrypts under a key derived from `key` and a random nonce for this message alone, so that one
/// backing key never comes near the bound on random IVs (SP 800-38D, 8.3).
///
/// Returns nonce (16 bytes), IV (12), ciphertext, tag (16).
pub(crate) fn seal(key: &KeyBytes, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, Refusal> {
    let (mut nonce, mut iv) = ([0; DERIVATION_NONCE_BYTES], [0; IV_BYTES]);
    // One draw for both: each costs the DRBG as much as all the rest of a short message.
    let drawn: [u8; DERIVATION_NONCE_BYTES + IV_BYTES] = random_array()?;
    let (for_nonce, for_iv) = drawn.split_at(DERIVATION_NONCE_BYTES);
    nonce.copy_from_slice(for_nonce);
    iv.copy_from_slice(for_iv);
    let message_key = derive(key, LABEL_MESSAGE, &nonce)?;
    let mut message = Vec::with_capacity(plaintext.len().saturating_add(SEAL_OVERHEAD_BYTES));
    message.extend_from_slice(&nonce);
    encrypt_after(message, iv, &message_key, aad, plaintext)
}

/// Decrypts what [`seal`] returned.
pub(crate) fn open(key: &KeyBytes, aad: &[u8], message: &[u8]) -> Result<Plaintext, Refusal> {
    let (nonce, rest) =
        message.split_first_chunk::<DERIVATION_NONCE_BYTES>().ok_or(Refusal::NotAuthentic)?;
    let message_key = derive(key, LABEL_MESSAGE, nonce)?;
    decrypt(&message_key, aad, rest)
}

/// Separates keys for messages from all other derivations.
const LABEL_MESSAGE: &str = "strongroom message key v1";

fn gcm(key: &KeyBytes) -> Result<LessSafeKey, Refusal> {
    // The expanded key lives in memory of the library, which it cleanses when it frees it.
    Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.expose())?))
}

/// Key check value: the first three bytes of AES over a zero block.
pub(crate) fn check_value(key: &KeyBytes) -> Result<[u8; 3], Refusal> {
    let mut block = [0; 16];
    let cipher = EncryptingKey::ecb(UnboundCipherKey::new(&AES_256, key.expose())?)?;
    cipher.encrypt(&mut block)?;
    let [first, second, third, ..] = block;
    Ok([first, second, third])
}

/// Makes the verification data of a new password: PBKDF2-HMAC-SHA-256 (SP 800-132).
pub(crate) fn record_password(
    password: &Password,
    iterations: NonZeroU32,
) -> Result<PasswordRecord, Refusal> {
    let salt = random_array()?;
    let mut verifier = [0; KEY_BYTES];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, &salt, password.expose(), &mut verifier);
    Ok(PasswordRecord { salt, iterations: iterations.get(), verifier })
}

/// Proof that a password was right; [`verify_password`] alone makes it.
pub(crate) struct PasswordVerified(());

/// Compares a password with its verification data, in constant time.
pub(crate) fn verify_password(
    password: &Password,
    record: &PasswordRecord,
) -> Option<PasswordVerified> {
    let iterations = NonZeroU32::new(record.iterations)?;
    pbkdf2::verify(
        pbkdf2::PBKDF2_HMAC_SHA256,
        iterations,
        &record.salt,
        password.expose(),
        &record.verifier,
    )
    .ok()
    .map(|()| PasswordVerified(()))
}

/// Spends the time of a verification, so that names that do not exist take as long as those that do.
pub(crate) fn verify_nothing(password: &Password, iterations: NonZeroU32) {
    let mut sink = [0; KEY_BYTES];
    let salt = [0; 16];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, &salt, password.expose(), &mut sink);
    std::hint::black_box(&sink);
}

/// Verifies an RSASSA-PKCS1-v1_5 signature with SHA-256 by a DER-encoded public key.
pub(crate) fn verify_rsa(public_key_der: &[u8], message: &[u8], signature: &[u8]) -> bool {
    signature::UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, public_key_der)
        .verify(message, signature)
        .is_ok()
}

/// Verifies such a signature over what is taken for a SHA-256 digest.
pub(crate) fn verify_rsa_digest(
    public_key_der: &[u8],
    digest: &[u8; 32],
    signature: &[u8],
) -> bool {
    let Ok(digest) = digest::Digest::import_less_safe(digest, &digest::SHA256) else {
        return false;
    };
    signature::UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, public_key_der)
        .verify_digest(&digest, signature)
        .is_ok()
}

/// SHA-256 of one message.
pub(crate) fn sha256(message: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, message).as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_sealed_opens_and_nothing_else_does(
            plaintext in proptest::collection::vec(any::<u8>(), 0..600),
            aad in proptest::collection::vec(any::<u8>(), 0..100),
            flip in any::<prop::sample::Index>(),
            bit in 0_u8..8,
        ) {
            let key = generate_key().unwrap();
            let message = seal(&key, &aad, &plaintext).unwrap();
            prop_assert_eq!(message.len(), plaintext.len() + SEAL_OVERHEAD_BYTES);
            let opened = open(&key, &aad, &message).ok().unwrap();
            prop_assert_eq!(opened.expose(), &plaintext[..]);
            let mut altered = message.clone();
            altered[flip.index(message.len())] ^= 1 << bit;
            prop_assert!(open(&key, &aad, &altered).is_err());
            let mut other_aad = aad.clone();
            other_aad.push(0);
            prop_assert!(open(&key, &other_aad, &message).is_err());
            prop_assert!(open(&generate_key().unwrap(), &aad, &message).is_err());
        }
    }

    #[test]
    fn short_messages_are_refused() {
        let key = generate_key().unwrap();
        for length in 0..SEAL_OVERHEAD_BYTES {
            assert!(open(&key, b"", &vec![0; length]).is_err());
        }
    }

    #[test]
    fn derivations_with_different_labels_differ() {
        let key = generate_key().unwrap();
        let one = derive(&key, "one", b"context").unwrap();
        let two = derive(&key, "two", b"context").unwrap();
        assert_ne!(one.expose(), two.expose());
    }

    #[test]
    fn the_check_value_is_that_of_the_zero_block() {
        // FIPS 197 key of zeros: AES-256(0, 0) = dc95c078a2408989...
        let zero = KeyBytes::filled(|_| Ok::<_, ()>(())).unwrap();
        assert_eq!(check_value(&zero).unwrap(), [0xdc, 0x95, 0xc0]);
    }
}
