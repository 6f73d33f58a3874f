//! Who may do what with a location: roles, as statements of the CMK's key policy.
//!
//! Every object's data key is asked for with an encryption context that names the location and the
//! kind of the object, so that a key policy decides which kinds a caller reads and writes. Where data keys are under branch
//! keys, it decides which kinds a caller has the branch key of, to read and to write.

use serde_json::{Value, json};

use crate::envelope::{CONTEXT_KIND, CONTEXT_LOCATION};
use crate::id::ObjectId;
use crate::store::Kind;

/// What a caller is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Archives, with deduplication; reads back neither content nor names.
    Writer,
    /// Forgets, checks the structure, collects; reads no content.
    Collector,
    /// Restores and checks everything; writes nothing.
    Restorer,
}

/// One right on the CMK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// `kms:DescribeKey`, which has no encryption context: a key that is named by an alias has to
    /// be looked up.
    Describe,
    /// `kms:GenerateDataKey` for objects of this kind.
    Write(Kind),
    /// `kms:Encrypt` for objects of this kind, where several CMKs wrap their data keys: all but one
    /// wrap what that one makes.
    Wrap(Kind),
    /// `kms:Decrypt` for objects of this kind.
    Read(Kind),
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Writer, Self::Collector, Self::Restorer];

    /// The role's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Writer => "writer",
            Self::Collector => "collector",
            Self::Restorer => "restorer",
        }
    }

    /// The kinds of objects that the role creates.
    #[must_use]
    pub const fn writes(self) -> &'static [Kind] {
        match self {
            Self::Writer => &[Kind::Data, Kind::Meta, Kind::Index, Kind::Snapshot, Kind::Session],
            Self::Collector => &[Kind::Meta, Kind::Index, Kind::Snapshot, Kind::Session],
            Self::Restorer => &[],
        }
    }

    /// The kinds of objects that the role reads.
    #[must_use]
    pub const fn reads(self) -> &'static [Kind] {
        match self {
            Self::Writer => &[Kind::Keys, Kind::Index],
            Self::Collector => {
                &[Kind::Keys, Kind::Meta, Kind::Index, Kind::Snapshot, Kind::Session]
            }
            Self::Restorer => {
                &[Kind::Keys, Kind::Data, Kind::Meta, Kind::Index, Kind::Snapshot, Kind::Session]
            }
        }
    }

    /// Every right that the role has on the CMK of a location with one.
    #[must_use]
    pub fn rights(self) -> Vec<Right> {
        let writes = self.writes().iter().map(|kind| Right::Write(*kind));
        let reads = self.reads().iter().map(|kind| Right::Read(*kind));
        [Right::Describe].into_iter().chain(writes).chain(reads).collect()
    }

    /// Every right that the role has on a CMK of a location whose data keys are under branch keys: whichever kinds it reads
    /// or writes, it reads their branch keys.
    #[must_use]
    pub fn rights_of_branch_keys(self) -> Vec<Right> {
        let written = self.writes().iter().filter(|kind| !self.reads().contains(kind));
        let kinds = self.reads().iter().chain(written);
        [Right::Describe].into_iter().chain(kinds.map(|kind| Right::Read(*kind))).collect()
    }

    /// Every right that the role has on each CMK of a location with several: any may be the one that makes
    /// data keys, which each host chooses for itself.
    #[must_use]
    pub fn rights_of_several_keys(self) -> Vec<Right> {
        let wraps = self.writes().iter().map(|kind| Right::Wrap(*kind));
        self.rights().into_iter().chain(wraps).collect()
    }
}

impl Right {
    /// The KMS action.
    #[must_use]
    pub const fn action(self) -> &'static str {
        match self {
            Self::Describe => "kms:DescribeKey",
            Self::Write(_) => "kms:GenerateDataKey",
            Self::Wrap(_) => "kms:Encrypt",
            Self::Read(_) => "kms:Decrypt",
        }
    }

    const fn kind(self) -> Option<Kind> {
        match self {
            Self::Describe => None,
            Self::Write(kind) | Self::Wrap(kind) | Self::Read(kind) => Some(kind),
        }
    }
}

/// The statements of a key policy that give `rights` on `location` to the principals with these
/// ARNs, one for each action; `sid` begins the statements' names.
#[must_use]
pub fn statements(
    sid: &str,
    rights: &[Right],
    location: ObjectId,
    principals: &[String],
) -> Vec<Value> {
    let actions = [
        ("Describe", Right::Describe),
        ("Write", Right::Write(Kind::Data)),
        ("Wrap", Right::Wrap(Kind::Data)),
        ("Read", Right::Read(Kind::Data)),
    ];
    let statement = |(what, like): (&str, Right)| {
        let granted = rights.iter().filter(|right| right.action() == like.action());
        let kinds: Vec<Option<Kind>> = granted.map(|right| right.kind()).collect();
        if kinds.is_empty() {
            return None;
        }
        let mut statement = json!({
            "Sid": format!("{sid}{what}"),
            "Effect": "Allow",
            "Principal": { "AWS": principals },
            "Action": like.action(),
            "Resource": "*",
        });
        let kinds: Vec<&str> = kinds.into_iter().flatten().map(Kind::as_str).collect();
        if let (Value::Object(members), false) = (&mut statement, kinds.is_empty()) {
            let equal = json!({
                format!("kms:EncryptionContext:{CONTEXT_LOCATION}"): location.to_string(),
                format!("kms:EncryptionContext:{CONTEXT_KIND}"): kinds,
            });
            members.insert("Condition".to_owned(), json!({ "StringEquals": equal }));
        }
        Some(statement)
    };
    actions.into_iter().filter_map(statement).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_restorer_reads_content_and_only_a_writer_makes_it() {
        for role in Role::ALL {
            assert_eq!(role.reads().contains(&Kind::Data), role == Role::Restorer);
            assert_eq!(role.writes().contains(&Kind::Data), role == Role::Writer);
            assert!(role.reads().contains(&Kind::Keys), "no location opens without");
        }
        assert!(!Role::Writer.reads().contains(&Kind::Meta), "a writer would read names");
    }

    #[test]
    fn with_branch_keys_a_collector_reads_no_content_either() {
        for role in Role::ALL {
            let rights = role.rights_of_branch_keys();
            assert!(rights.contains(&Right::Read(Kind::Keys)));
            let data = rights.contains(&Right::Read(Kind::Data));
            assert_eq!(data, role != Role::Collector);
            let is_read = |right: &Right| matches!(right, Right::Describe | Right::Read(_));
            assert!(rights.iter().all(is_read), "{rights:?}");
        }
    }

    #[test]
    fn a_statement_for_each_action_says_location_and_kinds() {
        let id = ObjectId::from_bytes([0xab; 16]);
        let made = statements("X", &Role::Writer.rights(), id, &["arn:a".to_owned()]);
        let names: Vec<_> =
            made.iter().map(|statement| statement["Sid"].as_str().unwrap()).collect();
        assert_eq!(names, ["XDescribe", "XWrite", "XRead"]);
        assert_eq!(made[0].get("Condition"), None);
        let equal = &made[2]["Condition"]["StringEquals"];
        assert_eq!(equal["kms:EncryptionContext:strongroom-location"], id.to_string());
        assert_eq!(equal["kms:EncryptionContext:strongroom-kind"], json!(["keys", "index"]));
        assert_eq!(made[2]["Principal"]["AWS"], json!(["arn:a"]));
        let made = statements("X", &[Right::Read(Kind::Meta)], id, &[]);
        assert_eq!(made.len(), 1);
    }
}
