//! The bytes of the one key of an HSM, got by breaking its seal: the sealing key of the simulation lies
//! beside the state. A key is known by its check value, which is stored before it.

use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_256, EncryptingKey, UnboundCipherKey};
use aws_lc_rs::kdf::{KbkdfCtrHmacAlgorithmId, get_kbkdf_ctr_hmac_algorithm, kbkdf_ctr_hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A key in every form in which it might be written down: its bytes, in hexadecimal, in Base64 at each of the
/// three places where it may begin.
pub(crate) struct Marker {
    forms: Vec<Vec<u8>>,
}

impl Marker {
    pub(crate) fn of(key: &[u8; 32]) -> Self {
        let mut forms = vec![key.to_vec(), hex::encode(key).into(), hex::encode_upper(key).into()];
        for before in 0..3 {
            let text = STANDARD.encode([vec![0; before], key.to_vec()].concat());
            // The first and the last letters depend on what stands beside the key.
            forms.push(text.as_bytes()[4..40].to_vec());
        }
        Self { forms }
    }

    pub(crate) fn is_in(&self, haystack: &[u8]) -> bool {
        self.forms.iter().any(|form| contains(haystack, form))
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// The key of the device whose directory is `dir`, which has exactly one.
pub(crate) fn key_in(dir: &Path) -> [u8; 32] {
    let state = unseal(dir);
    let found: Vec<[u8; 32]> = state
        .windows(35)
        .map(|window| window.split_at(3))
        .map(|(check, key)| (check, <[u8; 32]>::try_from(key).unwrap()))
        .filter(|(check, key)| check_value(key) == *check)
        .map(|(_, key)| key)
        .collect();
    assert_eq!(found.len(), 1, "keys in the state of {}", dir.display());
    found[0]
}

fn check_value(key: &[u8; 32]) -> [u8; 3] {
    let mut block = [0; 16];
    let cipher = EncryptingKey::ecb(UnboundCipherKey::new(&AES_256, key).unwrap()).unwrap();
    cipher.encrypt(&mut block).unwrap();
    [block[0], block[1], block[2]]
}

/// Opens `state.sealed`: nonce (16 bytes), IV (12), ciphertext, tag, under a key that SP 800-108
/// derives from the sealing key and the nonce.
fn unseal(dir: &Path) -> Vec<u8> {
    let sealing = std::fs::read(dir.join("sealing.key")).unwrap();
    let sealed = std::fs::read(dir.join("state.sealed")).unwrap();
    let (nonce, rest) = sealed.split_at(16);
    let (iv, body) = rest.split_at(12);
    let algorithm = get_kbkdf_ctr_hmac_algorithm(KbkdfCtrHmacAlgorithmId::Sha256).unwrap();
    let info = [b"strongroom message key v1\0", nonce].concat();
    let mut key = [0; 32];
    kbkdf_ctr_hmac(algorithm, &sealing, &info, &mut key).unwrap();
    let mut body = body.to_vec();
    let opened = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).unwrap()).open_in_place(
        Nonce::try_assume_unique_for_key(iv).unwrap(),
        Aad::from(b"strongroom hsm state v1"),
        &mut body,
    );
    opened.unwrap().to_vec()
}
