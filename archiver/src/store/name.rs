//! Every name that an archival location uses in its store.

use std::fmt;

use crate::id::ObjectId;

/// The key of one object, relative to the location's root in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ObjectName {
    /// `format`: what this location is, in plain JSON.
    Format,
    /// `keys/<epoch>`: the location's secrets, under the keys of an epoch.
    Keys(u32),
    /// `keys/<epoch>.<id>`: what the location is in an epoch after the first, in plain JSON.
    EpochFormat(u32, ObjectId),
    /// `keys/<epoch>.closing`: who begins to write now relies on nothing under the keys of earlier epochs.
    EpochClosing(u32),
    /// `keys/<epoch>.<id>.<kind>`: the branch key of a kind of objects, where there are any.
    BranchKeys(u32, ObjectId, Kind),
    /// `d/xx/<id>`: a pack of file content.
    DataPack(ObjectId),
    /// `m/xx/<id>`: a pack of metadata blocks.
    MetaPack(ObjectId),
    /// `i/L<level>/<id>`: an index run.
    Index(u8, ObjectId),
    /// `s/<id>`: a snapshot's commit.
    Snapshot(ObjectId),
    /// `s/<id>.<epoch>`: what `s/<id>` holds, under the keys of a later epoch.
    SnapshotCopy(ObjectId, u32),
    /// `x/session/<id>`: a writer that has begun.
    Session(ObjectId),
    /// `x/session/<id>.<n>`: sign of life number n of that writer.
    ///
    /// (Not `<id>/<n>`: where folders are real, and in several S3 servers, a name cannot be an object
    /// and a folder.)
    Heartbeat(ObjectId, u32),
    /// `x/gc/<id>`: packs that a collector condemned.
    Condemned(ObjectId),
    /// `x/gc/<id>.verdict`: which of them are to be removed.
    Verdict(ObjectId),
    /// `x/preflight/<id>`: what the preflight writes, and removes.
    Preflight(ObjectId),
}

const CLOSING: &str = "closing";

/// A set of objects that is listed as one prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Family {
    /// Everything of the location.
    All,
    /// The location's secrets, its branch keys, and formats of later epochs.
    Keys,
    /// Packs of file content.
    DataPacks,
    /// Packs of metadata.
    MetaPacks,
    /// Index runs of every level.
    Indexes,
    /// Snapshot commits and copies of them.
    Snapshots,
    /// Writers' sessions and their heartbeats.
    Sessions,
    /// Condemned packs and verdicts on them.
    Condemned,
    /// Leftovers of a preflight.
    Preflights,
}

/// What an object holds; part of the authenticated encryption context, so that an object of one
/// kind can never be passed off as another, and what key policies grant by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// The location's secrets.
    Keys,
    /// File content.
    Data,
    /// Metadata blocks: names, attributes, chunk lists.
    Meta,
    /// What a writer must know of packs: index runs, and which packs are condemned.
    Index,
    /// Snapshot commits.
    Snapshot,
    /// Writers' sessions.
    Session,
}

impl Kind {
    /// The kinds that have branch keys, where there are any: all but the secrets that tell where these are.
    pub(crate) const BRANCHED: [Self; 5] =
        [Self::Data, Self::Meta, Self::Index, Self::Snapshot, Self::Session];

    /// The value of `strongroom-kind` in the encryption context.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Data => "data",
            Self::Meta => "meta",
            Self::Index => "index",
            Self::Snapshot => "snapshot",
            Self::Session => "session",
        }
    }
}

impl Family {
    /// The prefix below the location's root; `None` for everything.
    #[must_use]
    pub const fn prefix(self) -> Option<&'static str> {
        match self {
            Self::All => None,
            Self::Keys => Some("keys"),
            Self::DataPacks => Some("d"),
            Self::MetaPacks => Some("m"),
            Self::Indexes => Some("i"),
            Self::Snapshots => Some("s"),
            Self::Sessions => Some("x/session"),
            Self::Condemned => Some("x/gc"),
            Self::Preflights => Some("x/preflight"),
        }
    }
}

impl ObjectName {
    /// Reads a key back; `None` for any key that no version of this format writes.
    #[must_use]
    pub fn parse(key: &str) -> Option<Self> {
        let parts: Vec<&str> = key.splitn(4, '/').collect();
        let name = match *parts.as_slice() {
            ["format"] => Self::Format,
            ["keys", epoch] => match epoch.split_once('.') {
                None => Self::Keys(epoch.parse().ok()?),
                Some((epoch, CLOSING)) => Self::EpochClosing(later(epoch)?),
                Some((epoch, rest)) => match rest.split_once('.') {
                    None => Self::EpochFormat(later(epoch)?, ObjectId::from_hex(rest)?),
                    Some((id, kind)) => {
                        let (epoch, id) = (epoch.parse().ok()?, ObjectId::from_hex(id)?);
                        Self::BranchKeys(epoch, id, branched(kind)?)
                    }
                },
            },
            ["d", _, id] => Self::DataPack(ObjectId::from_hex(id)?),
            ["m", _, id] => Self::MetaPack(ObjectId::from_hex(id)?),
            ["i", level, id] => {
                Self::Index(level.strip_prefix('L')?.parse().ok()?, ObjectId::from_hex(id)?)
            }
            ["s", id] => match id.split_once('.') {
                None => Self::Snapshot(ObjectId::from_hex(id)?),
                Some((id, epoch)) => Self::SnapshotCopy(ObjectId::from_hex(id)?, later(epoch)?),
            },
            ["x", "session", id] => match id.split_once('.') {
                None => Self::Session(ObjectId::from_hex(id)?),
                Some((id, n)) => Self::Heartbeat(ObjectId::from_hex(id)?, n.parse().ok()?),
            },
            ["x", "gc", id] => match id.strip_suffix(".verdict") {
                None => Self::Condemned(ObjectId::from_hex(id)?),
                Some(id) => Self::Verdict(ObjectId::from_hex(id)?),
            },
            ["x", "preflight", id] => Self::Preflight(ObjectId::from_hex(id)?),
            _ => return None,
        };
        // One object, one spelling: `keys/00` or `d/zz/…` are somebody else's.
        (name.to_string() == key).then_some(name)
    }

    /// What the object holds; `None` for the objects that are not encrypted.
    #[must_use]
    pub const fn kind(&self) -> Option<Kind> {
        match self {
            Self::Format | Self::EpochFormat(..) | Self::EpochClosing(_) => None,
            Self::Preflight(_) | Self::Heartbeat(..) => None,
            Self::Keys(_) => Some(Kind::Keys),
            Self::BranchKeys(_, _, kind) => Some(*kind),
            Self::DataPack(_) => Some(Kind::Data),
            Self::MetaPack(_) => Some(Kind::Meta),
            Self::Index(..) | Self::Condemned(_) | Self::Verdict(_) => Some(Kind::Index),
            Self::Snapshot(_) | Self::SnapshotCopy(..) => Some(Kind::Snapshot),
            Self::Session(_) => Some(Kind::Session),
        }
    }
}

fn branched(kind: &str) -> Option<Kind> {
    Kind::BRANCHED.into_iter().find(|known| known.as_str() == kind)
}

/// An epoch after the first.
fn later(epoch: &str) -> Option<u32> {
    epoch.parse().ok().filter(|epoch| *epoch > 0)
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Packs are spread over 256 folders by their first byte: a local folder with a million
        // entries is slow on several file systems.
        let spread = |id: &ObjectId| hex::encode(id.as_bytes().first_chunk::<1>().unwrap_or(&[0]));
        match self {
            Self::Format => f.write_str("format"),
            Self::Keys(epoch) => write!(f, "keys/{epoch}"),
            Self::EpochFormat(epoch, id) => write!(f, "keys/{epoch}.{id}"),
            Self::EpochClosing(epoch) => write!(f, "keys/{epoch}.{CLOSING}"),
            Self::BranchKeys(epoch, id, kind) => {
                write!(f, "keys/{epoch}.{id}.{}", kind.as_str())
            }
            Self::DataPack(id) => write!(f, "d/{}/{id}", spread(id)),
            Self::MetaPack(id) => write!(f, "m/{}/{id}", spread(id)),
            Self::Index(level, id) => write!(f, "i/L{level}/{id}"),
            Self::Snapshot(id) => write!(f, "s/{id}"),
            Self::SnapshotCopy(id, epoch) => write!(f, "s/{id}.{epoch}"),
            Self::Session(id) => write!(f, "x/session/{id}"),
            Self::Heartbeat(id, n) => write!(f, "x/session/{id}.{n}"),
            Self::Condemned(id) => write!(f, "x/gc/{id}"),
            Self::Verdict(id) => write!(f, "x/gc/{id}.verdict"),
            Self::Preflight(id) => write!(f, "x/preflight/{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        let id = ObjectId::random();
        for name in [
            ObjectName::Format,
            ObjectName::Keys(7),
            ObjectName::EpochFormat(8, id),
            ObjectName::EpochClosing(8),
            ObjectName::BranchKeys(0, id, Kind::Data),
            ObjectName::BranchKeys(8, id, Kind::Session),
            ObjectName::SnapshotCopy(id, 9),
            ObjectName::DataPack(id),
            ObjectName::MetaPack(id),
            ObjectName::Index(0, id),
            ObjectName::Snapshot(id),
            ObjectName::Session(id),
            ObjectName::Heartbeat(id, 12),
            ObjectName::Condemned(id),
            ObjectName::Verdict(id),
            ObjectName::Preflight(id),
        ] {
            assert_eq!(ObjectName::parse(&name.to_string()), Some(name));
        }
    }

    #[test]
    fn other_spellings_are_nobodys() {
        let id = ObjectId::from_bytes([0xab; 16]);
        for key in [
            String::new(),
            "keys/00".into(),
            "keys/-1".into(),
            format!("keys/0.{id}"),
            "keys/0.closing".into(),
            format!("keys/1.{id}.keys"),
            format!("keys/1.{id}."),
            format!("keys/01.{id}.data"),
            format!("s/{id}.0"),
            format!("s/{id}.01"),
            format!("d/cd/{id}"),
            format!("d/{id}"),
            format!("d/ab/{id}/x"),
            format!("i/L00/{id}"),
            format!("x/session/{id}.01"),
            format!("x/gc/{id}.other"),
            format!("s/{}", id.to_string().to_uppercase()),
        ] {
            assert_eq!(ObjectName::parse(&key), None, "{key:?}");
        }
    }
}
