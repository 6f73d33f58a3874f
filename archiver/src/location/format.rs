//! The `format` object: the one object in plain text, which says what a location is.

use serde::{Deserialize, Serialize};

use crate::chunk::ChunkerParameters;
use crate::id::ObjectId;
use crate::store::Capabilities;

/// The version of the format that this program writes and reads.
pub const FORMAT_VERSION: u32 = 1;

/// Most bytes that a `format` object may have.
pub(super) const FORMAT_BYTES_MAX: u64 = 64 << 10;

/// What a location is, and how it is written.
///
/// Its bytes are repeated inside the encrypted `keys/0`, so that a change is noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// Always `"strongroom archival location"`.
    pub kind: String,
    /// [`FORMAT_VERSION`] when it was made.
    pub version: u32,
    /// The location's name, 32 hexadecimal digits.
    pub location: String,
    /// Features that a program must know to read, to write, to collect.
    pub features: Features,
    /// How files are cut.
    pub chunker: ChunkerParameters,
    /// The zstd level that segments are compressed at; any level reads any other.
    pub zstd_level: i32,
    /// What the store was measured to do.
    pub capabilities: Capabilities,
}

/// Names of features, by what needs to know them. None exists yet: a program that meets a name
/// here that it does not know must keep its hands off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Features {
    /// To read.
    pub read: Vec<String>,
    /// To write.
    pub write: Vec<String>,
    /// To collect garbage.
    pub collect: Vec<String>,
}

const KIND: &str = "strongroom archival location";

impl Format {
    /// The format of a new location.
    #[must_use]
    pub fn new(
        location: ObjectId,
        chunker: ChunkerParameters,
        zstd_level: i32,
        capabilities: Capabilities,
    ) -> Self {
        Self {
            kind: KIND.into(),
            version: FORMAT_VERSION,
            location: location.to_string(),
            features: Features::default(),
            chunker,
            zstd_level,
            capabilities,
        }
    }

    /// The object's bytes.
    #[must_use]
    pub fn serialize(&self) -> Vec<u8> {
        // Strings, numbers and booleans under string keys: nothing that could fail.
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }

    /// Reads the object's bytes; `None` when they are not a format, of whatever version.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let format: Self = serde_json::from_slice(bytes).ok()?;
        (format.kind == KIND).then_some(format)
    }

    /// The location's name; `None` when it is none.
    #[must_use]
    pub fn location_id(&self) -> Option<ObjectId> {
        ObjectId::from_hex(&self.location)
    }

    /// The version alone, readable even from a format of the future.
    pub(crate) fn version_of(bytes: &[u8]) -> Option<u32> {
        #[derive(Deserialize)]
        struct Version {
            kind: String,
            version: u32,
        }
        let version: Version = serde_json::from_slice(bytes).ok()?;
        (version.kind == KIND).then_some(version.version)
    }
}
