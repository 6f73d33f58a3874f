//! Branch keys in an object store, and the keyring that wraps with them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use strongroom_sdk::clock::SystemClock;
use strongroom_sdk::crypto::default_provider;
use strongroom_sdk::error::BranchKeyFault;
use strongroom_sdk::key_store::object::ObjectKeyStore;
use strongroom_sdk::key_store::{
    BranchKey, BranchKeyId, BranchKeyStore, BranchKeyVersion, BranchKeyWrapping, KmsConfiguration,
};
use strongroom_sdk::keyring::hierarchical::{BranchKeyCache, BranchKeySupplier};
use strongroom_sdk::keyring::{HierarchicalKeyring, Keyring};
use strongroom_sdk::kms::arn::KmsArn;
use strongroom_sdk::message::encryption_context::EncryptionContext;
use strongroom_sdk::secret::SecretBytes;
use strongroom_sdk::{Error, Result};

use crate::fixtures::{Hand, wait};
use crate::keyrings::{decrypt, encrypt};
use crate::memory_kms::{KEY_A, KEY_B, MemoryKms};

const HOUR: Duration = Duration::from_secs(3600);

/// One branch key that needs no KMS.
struct Static {
    id: BranchKeyId,
    version: BranchKeyVersion,
    key: Vec<u8>,
}

#[async_trait]
impl BranchKeyStore for Static {
    fn logical_name(&self) -> &str {
        "static"
    }

    async fn active_branch_key(&self, id: &BranchKeyId) -> Result<BranchKey> {
        self.branch_key_version(id, self.version).await
    }

    async fn branch_key_version(
        &self,
        id: &BranchKeyId,
        version: BranchKeyVersion,
    ) -> Result<BranchKey> {
        if (id, version) != (&self.id, self.version) {
            let fault = BranchKeyFault::NotFound;
            return Err(Error::BranchKey { id: id.to_string(), fault });
        }
        let secret = SecretBytes::copy_of(&self.key);
        BranchKey::new(id.clone(), version, EncryptionContext::new(), secret)
    }
}

/// A keyring of one branch key whose bytes are known.
pub(crate) fn static_branch_key(id: &str, version: &str, key: Vec<u8>) -> Arc<dyn Keyring> {
    let id = BranchKeyId::new(id).unwrap();
    let version = BranchKeyVersion::parse(version).unwrap();
    let store = Static { id: id.clone(), version, key };
    Arc::new(keyring(Arc::new(store), Arc::new(id), Arc::new(Hand::default())))
}

fn keyring(
    store: Arc<dyn BranchKeyStore>,
    supplier: Arc<dyn BranchKeySupplier>,
    clock: Arc<Hand>,
) -> HierarchicalKeyring {
    let cache = Arc::new(BranchKeyCache::new(9, clock).unwrap());
    HierarchicalKeyring::new(store, supplier, cache, HOUR, &*default_provider()).unwrap()
}

/// A key store in memory, with its KMS, its objects, and a clock for caches.
struct World {
    kms: Arc<MemoryKms>,
    objects: Arc<InMemory>,
    clock: Arc<Hand>,
}

impl World {
    fn new() -> Self {
        Self { kms: Arc::default(), objects: Arc::default(), clock: Arc::default() }
    }

    fn store_with(&self, configuration: KmsConfiguration, name: &str) -> Arc<ObjectKeyStore> {
        let wrapping = BranchKeyWrapping::new(self.kms.clone(), configuration, name).unwrap();
        let clock = Arc::new(SystemClock::default());
        let prefix = Path::from("keys");
        let store =
            ObjectKeyStore::new(self.objects.clone(), prefix, wrapping, clock, default_provider());
        Arc::new(store)
    }

    fn store(&self) -> Arc<ObjectKeyStore> {
        self.store_with(KmsConfiguration::Key(KmsArn::parse(KEY_A).unwrap()), "tests")
    }

    fn keyring(&self, id: &BranchKeyId) -> HierarchicalKeyring {
        keyring(self.store(), Arc::new(id.clone()), self.clock.clone())
    }

    fn object_names(&self) -> Vec<String> {
        use futures_util::TryStreamExt;
        let listed: Vec<_> = wait(self.objects.list(None).try_collect()).unwrap();
        let mut names: Vec<_> = listed.into_iter().map(|o| o.location.to_string()).collect();
        names.sort();
        names
    }
}

fn department() -> EncryptionContext {
    EncryptionContext::from_pairs([("department", "admin")]).unwrap()
}

fn id(text: &str) -> BranchKeyId {
    BranchKeyId::new(text).unwrap()
}

fn fault(error: Error) -> BranchKeyFault {
    let Error::BranchKey { fault, .. } = error else { panic!("{error}") };
    fault
}

#[test]
fn a_rotated_branch_key_still_opens_what_its_earlier_versions_wrote() {
    let world = World::new();
    let tenant = wait(world.store().create(Some(id("tenant/1")), &department())).unwrap();
    let first = encrypt(world.keyring(&tenant)).unwrap();
    let version = wait(world.store().rotate(&tenant)).unwrap();
    let second = encrypt(world.keyring(&tenant)).unwrap();
    for message in [&first, &second] {
        assert_eq!(decrypt(message, world.keyring(&tenant)).unwrap(), b"plaintext");
    }
    let versions = wait(world.store().versions(&tenant)).unwrap();
    assert_eq!(versions.len(), 2);
    assert_eq!(versions[1].version(), version);
    let has = |message: &[u8], version: BranchKeyVersion| {
        message.windows(16).any(|bytes| bytes == version.as_bytes())
    };
    assert!(has(&first, versions[0].version()) && has(&second, version));
    assert_eq!(world.object_names().len(), 4, "nothing was overwritten or deleted");
    assert_eq!(wait(world.store().list()).unwrap(), [tenant]);
}

#[test]
fn the_kms_is_asked_once_for_many_messages_until_the_branch_key_is_too_old() {
    let world = World::new();
    let tenant = wait(world.store().create(None, &EncryptionContext::new())).unwrap();
    let shared = Arc::new(world.keyring(&tenant));
    world.kms.forget_asked();
    for _ in 0..10 {
        let message = encrypt(Shared(shared.clone())).unwrap();
        assert_eq!(decrypt(&message, Shared(shared.clone())).unwrap(), b"plaintext");
    }
    assert_eq!(world.kms.asked().len(), 2, "once to write and once to read");
    world.clock.advance(3599);
    encrypt(Shared(shared.clone())).unwrap();
    assert_eq!(world.kms.asked().len(), 2);
    world.clock.advance(1);
    encrypt(Shared(shared.clone())).unwrap();
    assert_eq!(world.kms.asked().len(), 3);
}

/// A keyring that is used more than once.
struct Shared(Arc<HierarchicalKeyring>);

#[async_trait]
impl Keyring for Shared {
    async fn on_encrypt(
        &self,
        materials: &mut strongroom_sdk::materials::EncryptionMaterials,
    ) -> Result<()> {
        self.0.on_encrypt(materials).await
    }

    async fn on_decrypt(
        &self,
        materials: &mut strongroom_sdk::materials::DecryptionMaterials,
        keys: &[strongroom_sdk::message::encrypted_data_key::EncryptedDataKey],
    ) -> Result<()> {
        self.0.on_decrypt(materials, keys).await
    }
}

#[test]
fn the_encryption_context_can_choose_the_branch_key() {
    struct ByPurpose;
    impl BranchKeySupplier for ByPurpose {
        fn branch_key_id(&self, context: &EncryptionContext) -> Result<BranchKeyId> {
            BranchKeyId::new(context.get("purpose").unwrap_or_default())
        }
    }
    let world = World::new();
    for name in ["tests", "others"] {
        wait(world.store().create(Some(id(name)), &department())).unwrap();
    }
    let by_purpose = || keyring(world.store(), Arc::new(ByPurpose), world.clock.clone());
    let message = encrypt(by_purpose()).unwrap();
    assert_eq!(decrypt(&message, by_purpose()).unwrap(), b"plaintext");
    assert_eq!(decrypt(&message, world.keyring(&id("tests"))).unwrap(), b"plaintext");
    let error = decrypt(&message, world.keyring(&id("others"))).unwrap_err();
    assert!(error.to_string().contains("not a key of this keyring"), "{error}");
}

#[test]
fn a_branch_key_is_made_once_and_two_rotations_at_once_are_told_apart() {
    let world = World::new();
    let store = world.store();
    let tenant = wait(store.create(Some(id("t")), &department())).unwrap();
    let again = wait(store.create(Some(id("t")), &department())).unwrap_err();
    assert_eq!(fault(again), BranchKeyFault::Exists);
    let nothing = wait(store.create(Some(id("u")), &EncryptionContext::new())).unwrap_err();
    assert_eq!(fault(nothing), BranchKeyFault::NoContext);
    let unknown = wait(store.rotate(&id("u"))).unwrap_err();
    assert_eq!(fault(unknown), BranchKeyFault::NotFound);
    let both = wait(futures_util::future::join(store.rotate(&tenant), store.rotate(&tenant)));
    assert_eq!([both.0.is_ok(), both.1.is_ok()].iter().filter(|ok| **ok).count(), 1);
    assert_eq!(fault(both.0.and(both.1).unwrap_err()), BranchKeyFault::Raced);
    assert_eq!(wait(store.versions(&tenant)).unwrap().len(), 2);
    let context = department();
    let make = || store.create(Some(id("v")), &context);
    let both = wait(futures_util::future::join(make(), make()));
    assert_eq!(fault(both.0.and(both.1).unwrap_err()), BranchKeyFault::Exists);
    assert_eq!(wait(store.versions(&id("v"))).unwrap().len(), 1);
}

#[test]
fn a_changed_moved_or_renamed_record_does_not_open() {
    let world = World::new();
    let store = world.store();
    for name in ["a", "b"] {
        wait(store.create(Some(id(name)), &department())).unwrap();
    }
    let active = |name: &str| Path::from(format!("keys/{name}/active/0000000001.json"));
    let text = |name: &str| {
        let bytes = wait(async { world.objects.get(&active(name)).await?.bytes().await });
        String::from_utf8(bytes.unwrap().to_vec()).unwrap()
    };
    let original = text("a");
    let moved = text("b");
    let rename = moved.replace("\"branch-key-id\":\"b\"", "\"branch-key-id\":\"a\"");
    for changed in [
        moved.clone(),
        rename,
        original.replace(":\"admin\"", ":\"other\""),
        original.replace("aws-crypto-ec:department", "aws-crypto-ec:tenant"),
        original.replace("\"create-time\":\"2", "\"create-time\":\"1"),
        original.replace(KEY_A, KEY_B),
        "{}".to_owned(),
        "not JSON".to_owned(),
    ] {
        assert_ne!(changed, original);
        wait(world.objects.put(&active("a"), changed.clone().into())).unwrap();
        let error = wait(store.active_branch_key(&id("a"))).err();
        assert!(error.is_some(), "{changed}");
        assert!(wait(store.rotate(&id("a"))).is_err(), "{changed}");
    }
    wait(world.objects.put(&active("a"), original.into())).unwrap();
    assert!(wait(store.active_branch_key(&id("a"))).is_ok());
    // The logical name is bound too.
    let key = KmsConfiguration::Key(KmsArn::parse(KEY_A).unwrap());
    let renamed = world.store_with(key, "other");
    assert!(wait(renamed.active_branch_key(&id("a"))).is_err());
}

#[test]
fn a_key_store_uses_only_the_kms_keys_that_it_is_configured_for() {
    const HERE: &str = "arn:aws:kms:eu-central-1:111122223333:key/mrk-1234";
    const ABROAD: &str = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234";
    let arn = |text: &str| KmsArn::parse(text).unwrap();
    let world = World::new();
    let makes = |configuration| world.store_with(configuration, "tests");
    let made = wait(makes(KmsConfiguration::Key(arn(HERE))).create(Some(id("m")), &department()));
    let tenant = made.unwrap();
    for (configuration, opens) in [
        (KmsConfiguration::Key(arn(HERE)), true),
        (KmsConfiguration::Key(arn(ABROAD)), false),
        (KmsConfiguration::Key(arn(KEY_B)), false),
        (KmsConfiguration::MultiRegionKey(arn(ABROAD)), true),
        (KmsConfiguration::MultiRegionKey(arn(KEY_B)), false),
        (KmsConfiguration::Discovery, true),
        (KmsConfiguration::MultiRegionDiscovery { region: "us-east-1".into() }, true),
    ] {
        world.kms.forget_asked();
        let opened = wait(makes(configuration.clone()).active_branch_key(&tenant));
        assert_eq!(opened.is_ok(), opens, "{configuration:?}");
        assert_eq!(world.kms.asked().is_empty(), !opens, "{configuration:?}");
    }
    // A version made abroad names the key that the first one names.
    let abroad = makes(KmsConfiguration::MultiRegionKey(arn(ABROAD)));
    wait(abroad.rotate(&tenant)).unwrap();
    let versions = wait(abroad.versions(&tenant)).unwrap();
    assert!(versions.iter().all(|version| *version.kms_arn() == arn(HERE)));
    for discovery in
        [KmsConfiguration::Discovery, KmsConfiguration::MultiRegionDiscovery { region: "r".into() }]
    {
        let store = makes(discovery);
        let refused = wait(store.create(Some(id("n")), &department())).unwrap_err();
        assert_eq!(fault(refused), BranchKeyFault::NoKmsKey);
        assert_eq!(fault(wait(store.rotate(&tenant)).unwrap_err()), BranchKeyFault::NoKmsKey);
    }
    let alias = arn("arn:aws:kms:eu-central-1:111122223333:alias/x");
    let refused = BranchKeyWrapping::new(world.kms, KmsConfiguration::Key(alias), "tests");
    assert!(refused.is_err());
}
