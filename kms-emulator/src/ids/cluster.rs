//! Names of CloudHSM clusters, their backups, HSMs and custom key stores.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::MalformedId;

/// Letters after the prefix of an id that is made here.
const NEW_ID_LETTERS: usize = 11;
/// RFC 4648 base32 in lower case: what the ids of CloudHSM are written with.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Hexadecimal digits of the ids of custom key stores and network interfaces.
const HEX_DIGITS: usize = 17;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $what:literal, $alphabet:expr, $lengths:expr, $random:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// A new random id.
            pub(crate) fn random() -> Self {
                Self(format!("{}{}", $prefix, $random).into())
            }

            /// The id with its prefix.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = MalformedId;

            fn from_str(text: &str) -> Result<Self, MalformedId> {
                let rest = text.strip_prefix($prefix).unwrap_or_default();
                if $lengths.contains(&rest.len()) && rest.bytes().all($alphabet) {
                    Ok(Self(text.into()))
                } else {
                    Err(MalformedId($what))
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}

text_id! {
    /// A cluster's id, for example `cluster-2a3b4c5d6e7` (API model: `cluster-[2-7a-zA-Z]{11,16}`).
    ClusterId, "cluster-", "cluster id", is_base32, (11..=16), base32_letters()
}

text_id! {
    /// The id of a cluster's backup, for example `backup-2a3b4c5d6e7` (API model:
    /// `backup-[2-7a-zA-Z]{11,16}`). It has no character that means something in a path.
    BackupId, "backup-", "backup id", is_base32, (11..=16), base32_letters()
}

text_id! {
    /// An HSM's id, for example `hsm-2a3b4c5d6e7` (API model: `hsm-[2-7a-zA-Z]{11,16}`). It has no
    /// character that means something in a path.
    HsmId, "hsm-", "HSM id", is_base32, (11..=16), base32_letters()
}

text_id! {
    /// The id of an HSM's network interface, for example `eni-0123456789abcdef0`.
    InterfaceId, "eni-", "network interface id", is_hex, (8..=17), hex_digits()
}

text_id! {
    /// A custom key store's id, for example `cks-0123456789abcdef0`.
    CustomKeyStoreId, "cks-", "custom key store id", is_hex, (17..=17), hex_digits()
}

fn is_base32(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'2'..=b'7')
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

/// 55 random bits: ids are names, not secrets, and an id in use is never given twice.
fn base32_letters() -> String {
    let bytes = uuid::Uuid::new_v4().into_bytes();
    let letters = bytes.iter().filter_map(|byte| LETTERS.get(usize::from(byte % 32)));
    // The seventh and ninth byte of a random UUID hold its version and variant: they stay out.
    letters
        .enumerate()
        .filter(|(at, _)| !matches!(at, 6 | 8))
        .take(NEW_ID_LETTERS)
        .map(|(_, letter)| char::from(*letter))
        .collect()
}

fn hex_digits() -> String {
    let random = uuid::Uuid::new_v4().simple().to_string();
    // From the end: the front half holds the version digit.
    random.chars().rev().take(HEX_DIGITS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_ids_parse() {
        for _ in 0..100 {
            let cluster = ClusterId::random();
            assert_eq!(cluster.as_str().parse(), Ok(cluster.clone()));
            assert_eq!(cluster.as_str().len(), "cluster-".len() + NEW_ID_LETTERS);
            let backup = BackupId::random();
            assert_eq!(backup.as_str().parse(), Ok(backup));
            let hsm = HsmId::random();
            assert_eq!(hsm.as_str().parse(), Ok(hsm));
            let store = CustomKeyStoreId::random();
            assert_eq!(store.as_str().parse(), Ok(store));
            let interface = InterfaceId::random();
            assert_eq!(interface.as_str().parse(), Ok(interface));
        }
    }

    #[test]
    fn an_id_is_never_a_path() {
        for text in
            ["hsm-../../../../etc", "hsm-", "hsm-aaaaaaaaaa", "hsm-aaaaaaaaaaaaaaaaa", "aaa"]
        {
            assert!(text.parse::<HsmId>().is_err(), "{text}");
        }
        assert!("cluster-aaaaaaaaaa1".parse::<ClusterId>().is_err());
    }
}
