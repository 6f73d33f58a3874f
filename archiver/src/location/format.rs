//! The `format` object: the one object in plain text, which says what a location is.

use serde::{Deserialize, Serialize};

use super::recipients::Recipients;
use crate::chunk::ChunkerParameters;
use crate::id::ObjectId;
use crate::store::Capabilities;

/// The version of the format that this program writes and reads.
pub const FORMAT_VERSION: u32 = 1;

/// Most bytes that a `format` object may have.
pub(super) const FORMAT_BYTES_MAX: u64 = 64 << 10;

/// What a location is, and how it is written.
///
/// Its bytes are repeated inside the encrypted `keys/<epoch>`, so that a change is noticed.
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
    /// Who can open it.
    #[serde(default, skip_serializing_if = "Recipients::is_one_key")]
    pub recipients: Recipients,
    /// What wraps data keys.
    #[serde(default, skip_serializing_if = "DataKeys::are_direct")]
    pub data_keys: DataKeys,
    /// How often its keys were exchanged.
    #[serde(default, skip_serializing_if = "is_first")]
    pub epoch: u32,
    /// The keys of earlier epochs. They open what is still under them until the exchange is complete,
    /// and nothing afterwards.
    #[serde(default, skip_serializing_if = "Recipients::is_one_key")]
    pub retiring: Recipients,
}

/// What wraps the data key of each object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataKeys {
    /// The recipients themselves: the KMS makes every data key, and decides about each.
    #[default]
    Direct,
    /// Branch keys, which the recipients open: the KMS is asked when a location is opened, not when objects are written.
    Hierarchical,
}

impl DataKeys {
    /// Whether the recipients wrap every data key.
    #[must_use]
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "what serde calls it with")]
    pub const fn are_direct(&self) -> bool {
        matches!(self, Self::Direct)
    }
}

/// Names of features, by what needs to know them: a program that meets a name here that it does not know
/// must keep its hands off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Features {
    /// To read.
    pub read: Vec<String>,
    /// To write.
    pub write: Vec<String>,
    /// To collect garbage.
    pub collect: Vec<String>,
}

/// Several keys wrap every data key: who writes under one alone leaves the others shut out.
const RECIPIENTS: &str = "recipients";

/// Data keys are wrapped by branch keys.
const HIERARCHICAL: &str = "hierarchical-data-keys";

const KNOWN: [&str; 2] = [RECIPIENTS, HIERARCHICAL];

/// What a program is about to do with a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Read,
    Write,
    Collect,
}

impl Use {
    /// As in "cannot be …".
    pub(crate) const fn done(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "written to",
            Self::Collect => "collected",
        }
    }
}

impl Features {
    /// The first feature that such a use has to know and this program does not.
    pub(crate) fn unknown(&self, wanted: Use) -> Option<&str> {
        let named = match wanted {
            Use::Read => &self.read,
            Use::Write => &self.write,
            Use::Collect => &self.collect,
        };
        named.iter().map(String::as_str).find(|name| !KNOWN.contains(name))
    }
}

const KIND: &str = "strongroom archival location";

#[allow(clippy::trivially_copy_pass_by_ref, reason = "what serde calls it with")]
const fn is_first(epoch: &u32) -> bool {
    *epoch == 0
}

impl Features {
    fn of(recipients: &Recipients, data_keys: DataKeys) -> Self {
        let mut features = Self::default();
        if !data_keys.are_direct() {
            for needed in [&mut features.read, &mut features.write, &mut features.collect] {
                needed.push(HIERARCHICAL.to_owned());
            }
        }
        if !recipients.is_one_key() {
            // Reading needs no knowledge of it: any one key opens a message.
            features.write.push(RECIPIENTS.to_owned());
            features.collect.push(RECIPIENTS.to_owned());
        }
        features
    }
}

impl Format {
    /// The format of a new location.
    #[must_use]
    pub fn new(
        location: ObjectId,
        chunker: ChunkerParameters,
        zstd_level: i32,
        capabilities: Capabilities,
        recipients: Recipients,
        data_keys: DataKeys,
    ) -> Self {
        Self {
            kind: KIND.into(),
            version: FORMAT_VERSION,
            location: location.to_string(),
            features: Features::of(&recipients, data_keys),
            chunker,
            zstd_level,
            capabilities,
            recipients,
            data_keys,
            epoch: 0,
            retiring: Recipients::default(),
        }
    }

    /// The format of the location in its next epoch, under other keys.
    pub(crate) fn next(&self, recipients: Recipients, retiring: Recipients) -> Self {
        Self {
            features: Features::of(&recipients, self.data_keys),
            recipients,
            epoch: self.epoch.saturating_add(1),
            retiring,
            ..self.clone()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_recipients_are_a_feature_that_writers_and_collectors_know() {
        let made = |recipients| {
            let (chunker, id) = (ChunkerParameters::default(), ObjectId::from_bytes([1; 16]));
            let capabilities = Capabilities { create_if_absent: true };
            Format::new(id, chunker, 3, capabilities, recipients, DataKeys::Direct)
        };
        let one = made(Recipients::default());
        assert_eq!(one.features, Features::default());
        assert!(!String::from_utf8(one.serialize()).unwrap().contains("recipients"));
        let keys = vec!["a".to_owned(), "b".to_owned()];
        let mut two = made(Recipients { keys, recovery: None });
        assert_eq!(Format::parse(&two.serialize()).unwrap(), two);
        for wanted in [Use::Read, Use::Write, Use::Collect] {
            assert_eq!(two.features.unknown(wanted), None);
        }
        let hierarchical = Features::of(&Recipients::default(), DataKeys::Hierarchical);
        assert_eq!(hierarchical.read, hierarchical.collect);
        assert_eq!(hierarchical.unknown(Use::Read), None);
        two.features.collect.push("of the future".to_owned());
        assert_eq!(two.features.unknown(Use::Write), None);
        assert_eq!(two.features.unknown(Use::Collect), Some("of the future"));
    }
}
