//! Keys as tokens.

use strongroom_hsm::{Fleet, KeyToken, Plaintext, Refusal};
use tempfile::TempDir;

use crate::support::{config, factory};

fn fleet(dir: &TempDir) -> Fleet {
    Fleet::power_on(factory(), dir.path(), config()).unwrap()
}

#[test]
fn a_token_works_after_a_power_failure() {
    let dir = tempfile::tempdir().unwrap();
    let before = fleet(&dir);
    let token = before.generate_key().unwrap();
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
    let token = one.generate_key().unwrap();
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
    let (one, other) = (fleet.generate_key().unwrap(), fleet.generate_key().unwrap());
    let sealed = fleet.seal(&one, b"aad", &Plaintext::new(b"text").unwrap()).unwrap();
    assert_eq!(fleet.open(&one, b"aad", &sealed).ok().unwrap().expose(), b"text");
    assert_eq!(fleet.open(&other, b"aad", &sealed).err(), Some(Refusal::NotAuthentic));
    assert_eq!(fleet.open(&one, b"", &sealed).err(), Some(Refusal::NotAuthentic));
}

#[test]
fn a_tampered_fleet_opens_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = fleet(&dir);
    let token = fleet.generate_key().unwrap();
    let sealed = fleet.seal(&token, b"", &Plaintext::new(b"text").unwrap()).unwrap();
    fleet.tamper().unwrap();
    assert_eq!(fleet.open(&token, b"", &sealed).err(), Some(Refusal::Tampered));
    assert_eq!(fleet.generate_key(), Err(Refusal::Tampered));
    assert_eq!(fleet.random(8).err(), Some(Refusal::Tampered));
}

#[test]
fn many_keys_are_possible() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = fleet(&dir);
    let text = Plaintext::new(b"text").unwrap();
    let made: Vec<_> = (0..5_000)
        .map(|_| {
            let token = fleet.generate_key().unwrap();
            let sealed = fleet.seal(&token, b"", &text).unwrap();
            (token, sealed)
        })
        .collect();
    for (token, sealed) in made {
        assert_eq!(fleet.open(&token, b"", &sealed).ok().unwrap().expose(), b"text");
    }
}
