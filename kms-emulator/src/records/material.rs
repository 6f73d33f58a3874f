//! A key's material, as its key store finds it again, and how it came to be the current one.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::clock::Timestamp;

/// The id of one version of a key's material: 32 bytes, written as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MaterialId(pub(crate) [u8; 32]);

impl MaterialId {
    /// That of material which has yet to be imported for the first time.
    const AWAITED: Self = Self([0; 32]);
}

impl Serialize for MaterialId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for MaterialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// One version of a key's material, as its key store finds it again.
///
/// The reference is no secret: for the default key store it is the key wrapped under a key that never
/// leaves the HSM, for a cluster it says which object to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Material {
    pub(crate) id: MaterialId,
    /// Empty while imported material is not there.
    pub(crate) reference: Box<[u8]>,
    /// The rotation by which it became the current one; none for a key's first.
    pub(crate) rotated: Option<Rotated>,
    /// When imported material is to be forgotten; none for what stays.
    pub(crate) expires: Option<Timestamp>,
    /// What its owner says of imported material.
    pub(crate) description: Option<Arc<str>>,
}

impl Material {
    /// Material that a key store has made.
    pub(crate) fn made(id: MaterialId, reference: &[u8]) -> Self {
        Self { id, reference: reference.into(), rotated: None, expires: None, description: None }
    }

    /// The material of a key for which none has been imported yet.
    pub(crate) fn awaited() -> Self {
        Self::made(MaterialId::AWAITED, &[])
    }

    /// What remains of imported material that was deleted: which one it was.
    pub(crate) fn forgotten(&self) -> Self {
        Self { reference: Box::default(), expires: None, ..self.clone() }
    }

    /// The same material, imported again: `self` as it comes in, with what is known of it already.
    pub(crate) fn again(self, known: &Self) -> Self {
        let description = self.description.or_else(|| known.description.clone());
        Self { rotated: known.rotated, description, ..self }
    }

    /// Whether it is settled which material it is: from then on no other is imported.
    pub(crate) fn is_settled(&self) -> bool {
        self.id != MaterialId::AWAITED
    }

    /// Whether it can be used; whether or not expired material has been removed already.
    pub(crate) fn is_present(&self, now: Timestamp) -> bool {
        !self.reference.is_empty() && !self.is_expired(now)
    }

    /// Whether it is imported material whose time is over.
    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// A rotation that has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rotated {
    pub(crate) at: Timestamp,
    pub(crate) kind: RotationKind,
}

/// What caused a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RotationKind {
    Automatic,
    OnDemand,
}

impl RotationKind {
    /// The name on the wire and in the database.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Automatic => "AUTOMATIC",
            Self::OnDemand => "ON_DEMAND",
        }
    }

    /// The inverse of `as_str`.
    pub(crate) fn from_wire(name: &str) -> Option<Self> {
        [Self::Automatic, Self::OnDemand].into_iter().find(|kind| kind.as_str() == name)
    }
}
