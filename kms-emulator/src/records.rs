//! What the KMS keeps: keys, aliases and credentials as plain immutable values.
//!
//! A change makes a new value and replaces the old one behind its `Arc`; whoever holds the old one
//! keeps a consistent view. Key material is here only as a reference that its key store understands.

mod backup;
mod cluster;
mod custom_key_store;
mod grant;
mod key_spec;
mod material;
mod planned_key;
mod usage;

use std::collections::BTreeMap;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::ids::{AccountId, AliasName, KeyArn, KeyId, RealmId, Region};
use crate::policy::KeyPolicy;

pub(crate) use backup::{Backup, BackupSource};
pub(crate) use cluster::{
    Cluster, ClusterCertificates, ClusterClaim, ClusterStage, HardwareExchange, Hsm,
};
pub(crate) use custom_key_store::{
    ConnectionError, ConnectionState, CustomKeyStore, KeyStorePassword, Passwords,
};
pub(crate) use grant::{Grant, GrantConstraints, GrantTerms};
pub(crate) use key_spec::{KeySpec, KeyUsage};
pub(crate) use material::{Material, MaterialId, Rotated, RotationKind};
pub(crate) use planned_key::PlannedKey;
pub(crate) use usage::{LastUsage, Usage};

/// Where a key's material was made and lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The default key store.
    AwsKms,
    /// Outside, by the key's owner; it lives in the default key store once it is imported.
    External,
    /// A CloudHSM cluster behind a custom key store.
    AwsCloudHsm,
}

impl Origin {
    /// The name on the wire and in the database.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::AwsKms => "AWS_KMS",
            Self::External => "EXTERNAL",
            Self::AwsCloudHsm => "AWS_CLOUDHSM",
        }
    }

    /// The inverse of `as_str`.
    pub(crate) fn from_wire(name: &str) -> Option<Self> {
        [Self::AwsKms, Self::External, Self::AwsCloudHsm]
            .into_iter()
            .find(|origin| origin.as_str() == name)
    }
}

/// Who decides about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyManager {
    /// The account in which it is.
    Customer,
    /// AWS, for one of its services.
    Aws,
}

impl KeyManager {
    /// The name on the wire and in the database.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "CUSTOMER",
            Self::Aws => "AWS",
        }
    }

    /// The inverse of `as_str`.
    pub(crate) fn from_wire(name: &str) -> Option<Self> {
        [Self::Customer, Self::Aws].into_iter().find(|manager| manager.as_str() == name)
    }
}

/// What its owner has decided about a key. The key *state* that AWS shows follows from this and from
/// whether the key store can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifecycle {
    /// Usable.
    Enabled,
    /// Kept and not usable.
    Disabled,
    /// To be deleted at `at`; the owner chose a waiting period of `window_days`.
    PendingDeletion { at: Timestamp, window_days: u32 },
    /// A primary key, to be deleted `window_days` days after the last of its replicas.
    PendingReplicaDeletion { window_days: u32 },
}

/// When a key is rotated by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RotationSchedule {
    pub(crate) period_days: u32,
    pub(crate) next: Timestamp,
}

/// A KMS key.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) realm: RealmId,
    pub(crate) id: KeyId,
    pub(crate) created: Timestamp,
    pub(crate) description: Arc<str>,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) spec: KeySpec,
    pub(crate) usage: KeyUsage,
    pub(crate) origin: Origin,
    pub(crate) manager: KeyManager,
    /// The custom key store that holds the material; none for the default key store.
    pub(crate) custom_key_store: Option<Arc<str>>,
    pub(crate) policy: Arc<KeyPolicy>,
    pub(crate) tags: Arc<BTreeMap<String, String>>,
    /// The material that encrypts.
    pub(crate) material: Arc<Material>,
    /// Materials from before a rotation, which only decrypt; oldest first.
    pub(crate) earlier: Arc<[Arc<Material>]>,
    /// Material that was imported to be the next one and awaits its rotation. It is the key's only then.
    pub(crate) pending: Option<Arc<Material>>,
    /// None while automatic rotation is off.
    pub(crate) rotation: Option<RotationSchedule>,
    /// The Region of the primary key; none for a single-Region key.
    pub(crate) primary_region: Option<Region>,
    pub(crate) last_usage: Arc<LastUsage>,
}

impl Key {
    /// The key's ARN.
    pub(crate) fn arn(&self) -> KeyArn {
        self.realm.key_arn(self.id)
    }

    /// The material that a ciphertext names.
    pub(crate) fn material_of(&self, id: MaterialId) -> Option<&Material> {
        self.materials().find(|material| material.id == id)
    }

    /// Every material, oldest first; the last is the current one.
    pub(crate) fn materials(&self) -> impl Iterator<Item = &Material> {
        self.earlier.iter().chain([&self.material]).map(AsRef::as_ref)
    }

    /// Whether all material that the key needs is there: it may be missing only if it is imported.
    pub(crate) fn has_material(&self, now: Timestamp) -> bool {
        self.material.is_present(now)
            && (self.origin != Origin::External
                || self.earlier.iter().all(|material| material.is_present(now)))
    }

    /// Whether imported material is there whose time is over.
    pub(crate) fn has_expired_material(&self, now: Timestamp) -> bool {
        self.origin == Origin::External
            && self.materials().chain(self.pending.as_deref()).any(|m| m.is_expired(now))
    }

    /// Puts what `change` makes of each material of the key in its place.
    pub(crate) fn map_materials(&mut self, change: impl Fn(&Material) -> Material) {
        self.earlier = self.earlier.iter().map(|material| change(material).into()).collect();
        self.material = Arc::new(change(&self.material));
    }

    /// Deletes the material that awaits its rotation. A replica still has to get it.
    pub(crate) fn forget_pending(&mut self) {
        let is_primary = self.is_primary();
        let pending = self.pending.take().filter(|_| !is_primary);
        self.pending = pending.map(|pending| Arc::new(pending.forgotten()));
    }

    /// Makes new material the current one.
    pub(crate) fn rotate(&mut self, new: Material) {
        let earlier = self.earlier.iter().chain([&self.material]).map(Arc::clone);
        self.earlier = earlier.collect();
        self.material = Arc::new(new);
    }

    /// Whether the key is the primary one of those of its id; a single-Region key always is.
    pub(crate) fn is_primary(&self) -> bool {
        self.primary_region.as_ref().is_none_or(|primary| *primary == self.realm.region)
    }

    /// Takes over what the keys of one id share: material, rotation and the primary Region.
    ///
    /// Of imported material only the identity is shared: its owner imports it into each key.
    pub(crate) fn share_properties_of(&mut self, primary: &Self) {
        if primary.origin == Origin::External {
            self.share_imports_of(primary);
        } else {
            self.material = Arc::clone(&primary.material);
            self.earlier = Arc::clone(&primary.earlier);
        }
        self.rotation = primary.rotation;
        self.primary_region.clone_from(&primary.primary_region);
    }

    /// Takes over which imported materials there are; what was imported into this key stays there.
    fn share_imports_of(&mut self, primary: &Self) {
        let own: Vec<Arc<Material>> =
            self.earlier.iter().chain([&self.material]).chain(&self.pending).cloned().collect();
        let share = |material: &Material| match own.iter().find(|own| own.id == material.id) {
            Some(own) => Arc::new(Material { rotated: material.rotated, ..Material::clone(own) }),
            None => Arc::new(material.forgotten()),
        };
        self.earlier = primary.earlier.iter().map(|material| share(material)).collect();
        self.material = share(&primary.material);
        self.pending = primary.pending.as_deref().map(share);
    }

    /// Whether the waiting period is over: from then on the key does not exist for anyone, whether or
    /// not its row has been removed already.
    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        matches!(self.lifecycle, Lifecycle::PendingDeletion { at, .. } if at <= now)
    }
}

/// An alias and the key that it names.
#[derive(Clone, Debug)]
pub(crate) struct Alias {
    pub(crate) realm: RealmId,
    pub(crate) name: AliasName,
    pub(crate) target: KeyId,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

/// The secret half of an access key: zeroised when dropped, never printed.
pub(crate) struct SecretAccessKey(Zeroizing<String>);

impl SecretAccessKey {
    /// Takes the secret over.
    pub(crate) fn new(secret: String) -> Self {
        Self(Zeroizing::new(secret))
    }

    /// The secret, for signing, storing and the one time it is shown.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

/// An account's root credential, made at the first start.
pub(crate) struct RootCredential {
    pub(crate) account: AccountId,
    pub(crate) access_key_id: String,
    pub(crate) secret: SecretAccessKey,
}
