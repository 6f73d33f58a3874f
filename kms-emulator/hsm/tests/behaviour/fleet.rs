//! Keys as tokens.

use strongroom_hsm::limits::PLAINTEXT_BYTES_MAX;
use strongroom_hsm::{
    Curve, Fleet, HashFunction, KeyKind, KeyToken, MlDsaParameters, MlKemParameters, Plaintext,
    Refusal, RsaSize, SignatureScheme, SignedInput,
};
use tempfile::TempDir;

use crate::support::{config, factory};

fn fleet(dir: &TempDir) -> Fleet {
    Fleet::power_on(factory(), dir.path(), config()).unwrap()
}

#[test]
fn a_token_works_after_a_power_failure() {
    let dir = tempfile::tempdir().unwrap();
    let before = fleet(&dir);
    let token = before.generate_key(KeyKind::Aes256).unwrap();
    let (clear, sealed) = before.generate_data_key(&token, b"aad", 32).unwrap();
    drop(before);
    let after = fleet(&dir);
    let stored = KeyToken::from_bytes(token.as_bytes()).unwrap();
    assert_eq!(after.open(&stored, b"aad", &sealed).unwrap().expose(), clear.expose());
}

#[test]
fn a_token_is_useless_elsewhere_and_cannot_be_altered() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, other) = (fleet(&one), fleet(&other));
    let token = one.generate_key(KeyKind::Aes256).unwrap();
    let text = Plaintext::new(b"text").unwrap();
    assert_eq!(other.seal(&token, b"", &text), Err(Refusal::NotAuthentic));
    for position in 1..token.as_bytes().len() {
        let mut altered = token.as_bytes().to_vec();
        altered[position] ^= 1;
        let altered = KeyToken::from_bytes(&altered).unwrap();
        assert_eq!(one.seal(&altered, b"", &text), Err(Refusal::NotAuthentic));
    }
    assert!(KeyToken::from_bytes(&token.as_bytes()[1..]).is_err());
}

#[test]
fn messages_belong_to_token_and_data() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = fleet(&dir);
    let (one, other) = (
        fleet.generate_key(KeyKind::Aes256).unwrap(),
        fleet.generate_key(KeyKind::Aes256).unwrap(),
    );
    let sealed = fleet.seal(&one, b"aad", &Plaintext::new(b"text").unwrap()).unwrap();
    assert_eq!(fleet.open(&one, b"aad", &sealed).ok().unwrap().expose(), b"text");
    assert_eq!(fleet.open(&other, b"aad", &sealed).err(), Some(Refusal::NotAuthentic));
    assert_eq!(fleet.open(&one, b"", &sealed).err(), Some(Refusal::NotAuthentic));
}

#[test]
fn a_tampered_fleet_opens_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = fleet(&dir);
    let token = fleet.generate_key(KeyKind::Aes256).unwrap();
    let sealed = fleet.seal(&token, b"", &Plaintext::new(b"text").unwrap()).unwrap();
    fleet.tamper().unwrap();
    assert_eq!(fleet.open(&token, b"", &sealed).err(), Some(Refusal::Tampered));
    assert_eq!(fleet.generate_key(KeyKind::Aes256), Err(Refusal::Tampered));
    assert_eq!(fleet.random(8).err(), Some(Refusal::Tampered));
}

#[test]
fn many_keys_are_possible() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = fleet(&dir);
    let text = Plaintext::new(b"text").unwrap();
    let made: Vec<_> = (0..5_000)
        .map(|_| {
            let token = fleet.generate_key(KeyKind::Aes256).unwrap();
            let sealed = fleet.seal(&token, b"", &text).unwrap();
            (token, sealed)
        })
        .collect();
    for (token, sealed) in made {
        assert_eq!(fleet.open(&token, b"", &sealed).ok().unwrap().expose(), b"text");
    }
}

/// One kind of each mechanism; RSA at its smallest.
const KINDS: [KeyKind; 9] = [
    KeyKind::Aes256,
    KeyKind::Hmac(HashFunction::Sha256),
    KeyKind::RsaSigning(RsaSize::Bits2048),
    KeyKind::RsaDecryption(RsaSize::Bits2048),
    KeyKind::EcSigning(Curve::P256),
    KeyKind::EcAgreement(Curve::P384),
    KeyKind::Ed25519,
    KeyKind::MlDsa(MlDsaParameters::MlDsa44),
    KeyKind::MlKem(MlKemParameters::MlKem768),
];

const SCHEMES: [SignatureScheme; 5] = [
    SignatureScheme::RsaPss(HashFunction::Sha256),
    SignatureScheme::RsaPkcs1(HashFunction::Sha512),
    SignatureScheme::Ecdsa(HashFunction::Sha256),
    SignatureScheme::Ed25519,
    SignatureScheme::MlDsa,
];

#[test]
fn a_key_does_what_its_kind_does_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = fleet(&dir);
    let message = SignedInput::Message(b"message");
    let text = Plaintext::new(b"text").unwrap();
    for kind in KINDS {
        let token = fleet.generate_key(kind).unwrap();
        assert_eq!(token.kind(), kind);
        assert_eq!(fleet.public_key(&token).is_ok(), kind.is_pair(), "{kind:?}");
        assert_eq!(fleet.seal(&token, b"", &text).is_ok(), kind == KeyKind::Aes256, "{kind:?}");
        assert_eq!(fleet.mac(&token, b"m").is_ok(), matches!(kind, KeyKind::Hmac(_)), "{kind:?}");
        let encrypts = matches!(kind, KeyKind::RsaDecryption(_));
        let encrypted = fleet.encrypt_oaep(&token, HashFunction::Sha256, &text);
        assert_eq!(encrypted.is_ok(), encrypts, "{kind:?}");
        let encapsulates = matches!(kind, KeyKind::MlKem(_));
        assert_eq!(fleet.encapsulate(&token).is_ok(), encapsulates, "{kind:?}");
        let signs = SCHEMES.into_iter().filter(|s| fleet.sign(&token, *s, message).is_ok()).count();
        let wanted = match kind {
            KeyKind::RsaSigning(_) => 2,
            KeyKind::EcSigning(_) | KeyKind::Ed25519 | KeyKind::MlDsa(_) => 1,
            _ => 0,
        };
        assert_eq!(signs, wanted, "{kind:?}");
    }
}

#[test]
fn the_kind_of_a_token_is_authenticated() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = fleet(&dir);
    let token = fleet.generate_key(KeyKind::EcSigning(Curve::P256)).unwrap();
    for position in 1..token.as_bytes().len() {
        let mut altered = token.as_bytes().to_vec();
        altered[position] ^= 1;
        // Some kinds have neighbours, others have none.
        let Ok(altered) = KeyToken::from_bytes(&altered) else { continue };
        assert_eq!(fleet.public_key(&altered), Err(Refusal::NotAuthentic), "byte {position}");
    }
    // A pair that signs is not taken for one that agrees, though both are P-256.
    let mut other = token.as_bytes().to_vec();
    other[1] = fleet.generate_key(KeyKind::EcAgreement(Curve::P256)).unwrap().as_bytes()[1];
    let other = KeyToken::from_bytes(&other).unwrap();
    assert_eq!(fleet.public_key(&other), Err(Refusal::NotAuthentic));
}

#[test]
fn signatures_verify_over_what_was_signed_alone() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = fleet(&dir);
    let digest = [7; 64];
    for (kind, scheme, input) in [
        (
            KeyKind::RsaSigning(RsaSize::Bits2048),
            SignatureScheme::RsaPss(HashFunction::Sha512),
            SignedInput::Digest(&digest),
        ),
        (KeyKind::Ed25519, SignatureScheme::Ed25519ph, SignedInput::Digest(&digest)),
        (
            KeyKind::MlDsa(MlDsaParameters::MlDsa65),
            SignatureScheme::MlDsa,
            SignedInput::ExternalMu(&digest),
        ),
    ] {
        let token = fleet.generate_key(kind).unwrap();
        let signature = fleet.sign(&token, scheme, input).unwrap();
        assert_eq!(fleet.verify(&token, scheme, input, &signature), Ok(()), "{kind:?}");
        for altered in [0, signature.len() / 2, signature.len() - 1] {
            let mut signature = signature.clone();
            signature[altered] ^= 1;
            let refused = fleet.verify(&token, scheme, input, &signature);
            assert_eq!(refused, Err(Refusal::SignatureInvalid), "{kind:?} byte {altered}");
        }
        let short = match input {
            SignedInput::Digest(_) => SignedInput::Digest(&digest[1..]),
            _ => SignedInput::ExternalMu(&digest[1..]),
        };
        let refused = fleet.sign(&token, scheme, short);
        assert_eq!(refused, Err(Refusal::DataLengthOutOfRange), "{kind:?}");
    }
}

#[test]
fn a_secret_is_recovered_by_its_pair_alone() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = fleet(&dir);
    for (parameters, bytes) in [
        (MlKemParameters::MlKem512, 768),
        (MlKemParameters::MlKem768, 1_088),
        (MlKemParameters::MlKem1024, 1_568),
    ] {
        let make = || fleet.generate_key(KeyKind::MlKem(parameters)).unwrap();
        let (token, other) = (make(), make());
        let (secret, ciphertext) = fleet.encapsulate(&token).ok().unwrap();
        assert_eq!((secret.expose().len(), ciphertext.len()), (32, bytes));
        let recovered = |token, ciphertext: &[u8]| {
            fleet.decapsulate(token, ciphertext).map(|secret| secret.expose().to_vec())
        };
        assert_eq!(recovered(&token, &ciphertext).unwrap(), secret.expose());
        // Implicit rejection: another secret, always the same, and no error.
        let mut altered = ciphertext.clone();
        altered[bytes / 2] ^= 1;
        for (token, ciphertext) in [(&other, &ciphertext), (&token, &altered)] {
            let rejected = recovered(token, ciphertext).unwrap();
            assert_ne!(rejected, secret.expose());
            assert_eq!(recovered(token, ciphertext).unwrap(), rejected);
        }
        for length in [0, bytes - 1] {
            let refused = recovered(&token, &ciphertext[..length]);
            assert_eq!(refused, Err(Refusal::NotAuthentic), "{length}");
        }
        assert!(recovered(&token, &[ciphertext.as_slice(), &[0]].concat()).is_err());
    }
}

#[test]
fn messages_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = fleet(&dir);
    let token = fleet.generate_key(KeyKind::Hmac(HashFunction::Sha384)).unwrap();
    assert_eq!(fleet.mac(&token, &vec![0; PLAINTEXT_BYTES_MAX]).unwrap().len(), 48);
    let beyond = fleet.mac(&token, &vec![0; PLAINTEXT_BYTES_MAX + 1]);
    assert_eq!(beyond, Err(Refusal::TooLong));
    let tag = fleet.mac(&token, b"message").unwrap();
    assert_eq!(fleet.verify_mac(&token, b"message", &tag), Ok(()));
    let refused = Err(Refusal::SignatureInvalid);
    assert_eq!(fleet.verify_mac(&token, b"message", &tag[1..]), refused);
    assert_eq!(fleet.verify_mac(&token, b"massage", &tag), refused);
}
