//! The names of grants.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::MalformedId;

/// A grant's id: 32 random bytes, written as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GrantId(pub(crate) [u8; 32]);

impl FromStr for GrantId {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let mut id = [0; 32];
        hex::decode_to_slice(text, &mut id).map_err(|_| MalformedId("grant id"))?;
        // One spelling each.
        if Self(id).to_string() == text { Ok(Self(id)) } else { Err(MalformedId("grant id")) }
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl Serialize for GrantId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
