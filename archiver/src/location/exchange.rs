//! The beginning of an epoch: from then on everything is written under other keys.

use std::sync::Arc;

use async_trait::async_trait;
use strongroom_sdk::cmm::MaterialsManager;
use strongroom_sdk::materials::{
    DecryptionMaterials, DecryptionRequest, EncryptionMaterials, EncryptionRequest,
};

use super::branch::Place;
use super::secrets::Secrets;
use super::{
    KEYS_BYTES_MAX, Location, OpenOptions, Recipients, UnverifiedFormat, no_randomness, open_keys,
};
use crate::envelope::{Envelope, Wrapping};
use crate::error::{Error, Result};
use crate::id::ObjectId;
use crate::store::{Kind, ObjectName, Put};

/// What a location is to be under from now on.
#[derive(Clone)]
pub struct NewKeys {
    /// What wraps for all of `recipients`, and unwraps what it wrapped.
    pub materials: Arc<dyn MaterialsManager>,
    /// Who can open the location then, if that is not one CMK alone.
    pub recipients: Recipients,
    /// Materials each of which has to open the location alone before anything is changed.
    pub readers: Vec<Arc<dyn MaterialsManager>>,
}

/// What became of an exchange of keys.
pub(crate) enum Exchange {
    /// Everything is under these keys.
    Needless,
    /// An epoch under these keys had begun before; something may lie under earlier keys yet.
    Unfinished,
    /// An epoch has begun: this is the location in it. Something lies under earlier keys yet.
    Begun(Arc<Location>),
}

/// Materials that write under the keys of an epoch, and read what is under those of earlier ones too.
pub struct Succession {
    new: Arc<dyn MaterialsManager>,
    old: Arc<dyn MaterialsManager>,
}

impl Succession {
    /// Writes with `new`; reads with `new` or, where that has no key for a message, with `old`.
    #[must_use]
    pub fn new(new: Arc<dyn MaterialsManager>, old: Arc<dyn MaterialsManager>) -> Self {
        Self { new, old }
    }
}

#[async_trait]
impl MaterialsManager for Succession {
    async fn encryption_materials(
        &self,
        request: &EncryptionRequest,
    ) -> strongroom_sdk::Result<EncryptionMaterials> {
        self.new.encryption_materials(request).await
    }

    async fn decryption_materials(
        &self,
        request: &DecryptionRequest,
    ) -> strongroom_sdk::Result<DecryptionMaterials> {
        let first = match self.new.decryption_materials(request).await {
            Ok(materials) => return Ok(materials),
            Err(error) => error,
        };
        // The answer of a key service says more than that a message is for other keys.
        let later = self.old.decryption_materials(request).await;
        later.map_err(|second| if first.kms_errors().is_empty() { second } else { first })
    }
}

impl Location {
    /// Begins an epoch under `new`, whose materials have proven that they open what they write.
    ///
    /// The content stays as it is; what becomes of it is told in [`rekey`](mod@crate::rekey).
    ///
    /// # Errors
    /// [`Error::Encrypt`] and [`Error::Decrypt`] for keys that will not do, [`Error::KeysExchanged`] when somebody
    /// else exchanges keys too, [`Error::Store`].
    pub(crate) async fn exchange_keys(self: &Arc<Self>, new: &NewKeys) -> Result<Exchange> {
        let epoch = self.format.epoch.saturating_add(1);
        let keys = ObjectName::Keys(epoch);
        let envelope = Envelope::new(self.id(), new.materials.clone());
        let unreadable = Error::Damaged { object: keys, what: "its header is not readable" };
        let probe = envelope.seal(keys, &[]).await?;
        let wrapping = Wrapping::of(&probe).ok_or(unreadable)?;
        if wrapping == self.wrapping {
            let complete = self.earlier.is_empty();
            return Ok(if complete { Exchange::Needless } else { Exchange::Unfinished });
        }
        let format = self.format.next(new.recipients.clone(), self.retiring(&wrapping, new));
        let format_bytes = format.serialize();
        let secrets = Secrets { format: format_bytes.clone(), ..self.secrets().await? };
        let id = ObjectId::random();
        let named = self.has_branch_keys().then_some(id);
        let message = envelope.seal_keys(keys, &secrets.serialize(), Some(id), named).await?;
        if Wrapping::of(&message) != Some(wrapping) {
            // It would never be told what is under them already.
            return Err(Error::Damaged {
                object: keys,
                what: "its keys have other names each time",
            });
        }
        open_keys(&envelope, keys, &message).await?;
        for reader in &new.readers {
            open_keys(&Envelope::new(self.id(), reader.clone()), keys, &message).await?;
        }
        self.create_branch_keys(&envelope, Place { epoch, id }).await?;
        let format = ObjectName::EpochFormat(epoch, id);
        let taken = || Error::NameTaken { object: format };
        if self.store.create(format, format_bytes.into()).await? == Put::Occupied {
            return Err(taken());
        }
        if self.store.create(keys, message).await? == Put::Occupied {
            self.store.delete(format).await?;
            if self.has_branch_keys() {
                Place { epoch, id }.clear(&self.store).await?;
            }
            return Err(Error::KeysExchanged { store: self.store.url().to_owned() });
        }
        let both = Arc::new(Succession::new(new.materials.clone(), self.root.clone()));
        let unverified = UnverifiedFormat::read(&self.store).await?;
        let options = OpenOptions { cache: self.cache.clone() };
        let opened = Self::open_as(self.store.clone(), unverified, both, &options).await?;
        Ok(Exchange::Begun(Arc::new(opened)))
    }

    /// Creates the branch keys of the next epoch: every version that there is, and a new one.
    async fn create_branch_keys(&self, new: &Envelope, place: Place) -> Result<()> {
        let Some(present) = &self.branches else { return Ok(()) };
        let root = Envelope::new(self.id(), self.root.clone());
        for kind in Kind::BRANCHED {
            let versions = present.open(&root, kind).await?;
            let versions = versions.and_a_new_one().map_err(no_randomness)?;
            versions.create(&self.store, new, place, kind).await?;
        }
        Ok(())
    }

    /// The keys that something lies under and that are not among the new ones.
    fn retiring(&self, wrapping: &Wrapping, new: &NewKeys) -> Recipients {
        let earlier = (!self.earlier.is_empty()).then_some(&self.format.retiring);
        let stays: Vec<String> = wrapping.cmks().collect();
        let earlier_keys = earlier.into_iter().flat_map(|earlier| earlier.keys.iter().cloned());
        let mut keys: Vec<String> = self.wrapping.cmks().chain(earlier_keys).collect();
        keys.retain(|arn| !stays.contains(arn));
        keys.sort_unstable();
        keys.dedup();
        let recovery = self.format.recipients.recovery.as_ref();
        let recovery = recovery.or(earlier.and_then(|earlier| earlier.recovery.as_ref()));
        let recovery = recovery.filter(|key| Some(*key) != new.recipients.recovery.as_ref());
        Recipients { keys, recovery: recovery.cloned() }
    }

    async fn secrets(&self) -> Result<Secrets> {
        let keys = ObjectName::Keys(self.format.epoch);
        let message = self.store.get(keys, KEYS_BYTES_MAX).await?;
        open_keys(&self.envelope, keys, &message).await
    }
}
