//! The two kinds of names that the format has: random ones for objects, keyed hashes for chunks.

use std::fmt;

/// The name of a pack, an index run, a session or a snapshot: 128 random bits, written as 32
/// lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId([u8; ObjectId::LEN]);

/// The name of a chunk of content: keyed BLAKE3-256 of its bytes under the location's id key.
///
/// Keyed, so that whoever sees an index entry cannot test whether the location holds a file
/// that he knows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChunkId([u8; ChunkId::LEN]);

impl ObjectId {
    /// Length in bytes.
    pub const LEN: usize = 16;

    /// A fresh name from the system's randomness.
    #[must_use]
    pub fn random() -> Self {
        Self(*uuid::Uuid::new_v4().as_bytes())
    }

    /// A fresh name that shows whose it is: 64 random bits, then the last half of `owner`'s name.
    ///
    /// A pack is named after its session, so that a collector sees which packs belong to a writer
    /// that has not committed yet.
    #[must_use]
    pub fn random_of(owner: &Self) -> Self {
        let mut name = Self::random();
        let (_, tail) = name.0.split_at_mut(Self::LEN / 2);
        tail.copy_from_slice(owner.tail());
        name
    }

    /// Whether the name can have been made by [`ObjectId::random_of`] for `owner`.
    #[must_use]
    pub fn is_of(&self, owner: &Self) -> bool {
        self.tail() == owner.tail()
    }

    fn tail(&self) -> &[u8] {
        self.0.split_at(Self::LEN / 2).1
    }

    /// A name from its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The name's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// A name from its 32 lower-case hexadecimal digits; `None` for anything else.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return None;
        }
        let mut bytes = [0; Self::LEN];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl ChunkId {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// A name from its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The name's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

macro_rules! hex_format {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }
    };
}

hex_format!(ObjectId);
hex_format!(ChunkId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_shows_its_owner_and_differs_from_others() {
        let (owner, other) = (ObjectId::random(), ObjectId::random());
        let names = [ObjectId::random_of(&owner), ObjectId::random_of(&owner)];
        assert!(names[0] != names[1] && names[0] != owner);
        assert!(names.iter().all(|name| name.is_of(&owner) && !name.is_of(&other)));
    }

    #[test]
    fn object_names_read_back_and_have_one_spelling() {
        let id = ObjectId::random();
        assert_eq!(ObjectId::from_hex(&id.to_string()), Some(id));
        let lower = "00112233445566778899aabbccddeeff";
        assert!(ObjectId::from_hex(lower).is_some());
        for bad in ["", "00", &lower.to_uppercase(), &format!("{lower}0"), &lower.replace('0', "g")]
        {
            assert_eq!(ObjectId::from_hex(bad), None, "{bad:?}");
        }
    }
}
