//! What a device remembers: the part that belongs to the hardware, and the part that a backup
//! carries to another.
//!
//! A change is made on a copy, stored, and only then put in place of the original. The copies share
//! every secret behind an `Arc`, so that each key exists once in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::codec::{Malformed, Reader, Text, Trailing, Wire, Writer, wire_struct};
use crate::crypto;
use crate::error::Refusal;
use crate::key::{Key, KeyHandle};
use crate::limits::{KEYS_MAX, PEM_BYTES_MAX, USERS_MAX};
use crate::secret::{KeyBytes, PrivateKey};
use crate::user::{Role, SecondFactorKey, User, UserId, UserName};
use crate::wire::{Members, ShortText};

/// A certificate or signing request in PEM.
pub type Pem = Text<PEM_BYTES_MAX>;

/// The first number that a key gets: CloudHSM's smallest handles in its documents.
const FIRST_HANDLE: u32 = 6;

wire_struct! {
    /// Everything that a device seals.
    #[derive(Clone)]
    pub(crate) struct State {
        pub(crate) hardware: Arc<Hardware>,
        pub(crate) reboot_counter: u32,
        pub(crate) members: Members,
        pub(crate) contents: Contents,
    }
}

wire_struct! {
    /// What the factory put in: it stays with the hardware and is in no backup.
    pub(crate) struct Hardware {
        pub(crate) hsm_id: ShortText,
        pub(crate) serial: ShortText,
        pub(crate) key: PrivateKey,
        /// The owner of the fleet certifies the hardware key.
        pub(crate) aws_certificate: Pem,
        /// The manufacturer certifies the hardware key.
        pub(crate) manufacturer_certificate: Pem,
        /// Manufacturer key backup key (MKBK), the same in all hardware of one factory.
        pub(crate) manufacturer_backup_key: KeyBytes,
        /// Owner's key backup key (AKBK), the same in all hardware of one owner.
        pub(crate) owner_backup_key: KeyBytes,
    }
}

wire_struct! {
    /// What a backup carries: users, keys, the cluster's identity.
    #[derive(Clone)]
    pub(crate) struct Contents {
        pub(crate) cluster: Option<Arc<Cluster>>,
        pub(crate) users: ObjectMap<UserId, Arc<User>, USERS_MAX>,
        pub(crate) keys: ObjectMap<KeyHandle, Arc<Key>, KEYS_MAX>,
        pub(crate) next_handle: u32,
        /// Wraps the exported key tokens of a fleet; made when first needed.
        pub(crate) domain_key: Option<Arc<KeyBytes>>,
        pub(crate) quorum: Trailing<QuorumState>,
        pub(crate) token_timeouts: Trailing<TokenTimeouts>,
    }
}

wire_struct! {
    /// For how long quorum tokens are good, in seconds, where an officer has set it.
    #[derive(Clone, Default)]
    pub(crate) struct TokenTimeouts {
        /// To be approved.
        pub(crate) generated: Option<u32>,
        /// To be used, once approved.
        pub(crate) approved: Option<u32>,
    }
}

wire_struct! {
    /// How many officers an operation needs, and the keys by which they approve.
    #[derive(Clone, Default)]
    pub(crate) struct QuorumState {
        /// Of service 3; 0 and 1 are no quorum.
        pub(crate) user_management: u8,
        /// Of service 4.
        pub(crate) officers: u8,
        pub(crate) keys: ObjectMap<UserId, SecondFactorKey, USERS_MAX>,
    }
}

wire_struct! {
    /// The identity that all HSMs of a cluster share.
    pub(crate) struct Cluster {
        /// Random; masked objects name it.
        pub(crate) id: [u8; 16],
        pub(crate) key: Arc<PrivateKey>,
        pub(crate) csr: Pem,
        pub(crate) hsm_certificate: Pem,
        pub(crate) aws_hardware_certificate: Pem,
        pub(crate) manufacturer_hardware_certificate: Pem,
        /// The cluster certificate and the trust anchor that signed it, once initialised.
        pub(crate) claimed: Option<Claim>,
        /// Encrypts keys on their way between HSMs of the cluster.
        pub(crate) masking_key: Arc<KeyBytes>,
    }
}

wire_struct! {
    /// How the customer claimed the cluster.
    #[derive(Clone)]
    pub(crate) struct Claim {
        pub(crate) certificate: Pem,
        pub(crate) trust_anchor: Pem,
    }
}

impl Default for Contents {
    fn default() -> Self {
        Self {
            cluster: None,
            users: ObjectMap::default(),
            keys: ObjectMap::default(),
            next_handle: FIRST_HANDLE,
            domain_key: None,
            quorum: Trailing::default(),
            token_timeouts: Trailing::default(),
        }
    }
}

impl Contents {
    /// The cluster, if its certificate is in place.
    pub(crate) fn initialized_cluster(&self) -> Result<&Arc<Cluster>, Refusal> {
        self.cluster
            .as_ref()
            .filter(|cluster| cluster.claimed.is_some())
            .ok_or(Refusal::NotInitialized)
    }

    /// Whether a CO exists: the PRECO's password has been changed.
    pub(crate) fn is_activated(&self) -> bool {
        self.users.values().any(|user| user.role == Role::CryptoOfficer)
    }

    /// The user of that name and role.
    pub(crate) fn user(&self, role: Role, name: &UserName) -> Result<&Arc<User>, Refusal> {
        self.users
            .values()
            .find(|user| user.role == role && user.name == *name)
            .ok_or_else(|| Refusal::UserNotFound { name: name.clone() })
    }

    /// Adds a user under the next number.
    pub(crate) fn add_user(&mut self, mut user: User) -> Result<UserId, Refusal> {
        if self.users.values().any(|other| other.name == user.name) {
            return Err(Refusal::UserExists { name: user.name });
        }
        let last = self.users.keys().next_back().map_or(0, |id| id.0);
        let id = UserId(last.checked_add(1).ok_or(Refusal::CapacityExhausted)?);
        user.id = id;
        self.users.insert(id, Arc::new(user))?;
        Ok(id)
    }

    /// Replaces a user's record.
    pub(crate) fn update_user(&mut self, user: User) -> Result<(), Refusal> {
        self.users.insert(user.id, Arc::new(user))
    }

    /// The key of a handle.
    pub(crate) fn key(&self, handle: KeyHandle) -> Result<&Arc<Key>, Refusal> {
        self.keys.get(&handle).ok_or(Refusal::KeyNotFound { handle })
    }

    /// Adds a key under the next free handle.
    pub(crate) fn add_key(&mut self, key: Key) -> Result<KeyHandle, Refusal> {
        let handle = KeyHandle(self.next_handle);
        self.next_handle = self.next_handle.checked_add(1).ok_or(Refusal::CapacityExhausted)?;
        self.keys.insert(handle, Arc::new(key))?;
        Ok(handle)
    }

    /// Adds a key from another HSM, under its handle there if that is free here.
    pub(crate) fn adopt_key(&mut self, handle: KeyHandle, key: Key) -> Result<KeyHandle, Refusal> {
        let known = self.keys.iter().find(|(_, other)| other.object_id == key.object_id);
        if let Some((known, _)) = known {
            return Ok(*known);
        }
        if self.keys.get(&handle).is_some() {
            return self.add_key(key);
        }
        let beyond = handle.0.checked_add(1).ok_or(Refusal::CapacityExhausted)?;
        self.next_handle = self.next_handle.max(beyond);
        self.keys.insert(handle, Arc::new(key))?;
        Ok(handle)
    }

    /// SHA-256 over identity, owner and shares of every key: equal on HSMs that are in step.
    pub(crate) fn ownership_digest(&self) -> [u8; 32] {
        let mut records: Vec<_> = self
            .keys
            .values()
            .map(|key| (key.object_id, key.owner, key.shared_with.as_slice()))
            .collect();
        records.sort_unstable();
        let mut out = Writer::default();
        for (object_id, owner, shared_with) in records {
            object_id.put(&mut out);
            owner.put(&mut out);
            out.length(shared_with.len());
            shared_with.iter().for_each(|user| user.put(&mut out));
        }
        crypto::sha256(&out.finish())
    }
}

/// Objects by number, at most `MAX`.
#[derive(Clone)]
pub(crate) struct ObjectMap<K, V, const MAX: usize>(BTreeMap<K, V>);

impl<K, V, const MAX: usize> Default for ObjectMap<K, V, MAX> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord, V, const MAX: usize> ObjectMap<K, V, MAX> {
    /// Adds or replaces an object.
    pub(crate) fn insert(&mut self, id: K, object: V) -> Result<(), Refusal> {
        if self.0.len() >= MAX && !self.0.contains_key(&id) {
            return Err(Refusal::CapacityExhausted);
        }
        self.0.insert(id, object);
        Ok(())
    }

    /// Removes an object.
    pub(crate) fn remove(&mut self, id: &K) -> Option<V> {
        self.0.remove(id)
    }
}

impl<K, V, const MAX: usize> std::ops::Deref for ObjectMap<K, V, MAX> {
    type Target = BTreeMap<K, V>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<K: Wire + Ord, V: Wire, const MAX: usize> Wire for ObjectMap<K, V, MAX> {
    fn put(&self, out: &mut Writer) {
        out.length(self.0.len());
        for (id, object) in &self.0 {
            id.put(out);
            object.put(out);
        }
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut objects = BTreeMap::new();
        for _ in 0..input.length(MAX, "objects")? {
            objects.insert(K::take(input)?, V::take(input)?);
        }
        Ok(Self(objects))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::List;

    fn user(name: &str) -> User {
        User {
            id: UserId(0),
            role: Role::CryptoUser,
            name: UserName::parse(name).unwrap(),
            password: None,
            login_failures: 0,
            second_factor: None,
        }
    }

    fn key(id: u16) -> Key {
        let mut object_id = [0; 16];
        object_id[..2].copy_from_slice(&id.to_be_bytes());
        Key {
            object_id,
            label: Text::default(),
            owner: UserId(3),
            shared_with: List::default(),
            usage: crate::key::KeyUsage::default(),
            check_value: [0; 3],
            secret: KeyBytes::filled(|_| Ok::<_, ()>(())).unwrap(),
        }
    }

    #[test]
    fn what_was_sealed_before_the_last_members_were_introduced_still_opens() {
        let mut contents = Contents::default();
        contents.add_user(user("kmsuser")).unwrap();
        let now = crate::codec::encode(&contents);
        // Two timeouts that are not set; before them, of the quorum, two values and the number of keys.
        for later in [2, 2 + 6] {
            let before = now.get(..now.len() - later).unwrap();
            let opened: Contents = crate::codec::decode(before).unwrap();
            assert_eq!((opened.users.len(), opened.quorum.keys.len()), (1, 0));
            assert_eq!(opened.token_timeouts.approved, None);
        }
    }

    #[test]
    fn a_device_has_room_for_1024_users() {
        let mut contents = Contents::default();
        for number in 0..USERS_MAX {
            contents.add_user(user(&format!("u{number}"))).unwrap();
        }
        assert!(matches!(contents.add_user(user("more")), Err(Refusal::CapacityExhausted)));
    }

    #[test]
    fn a_device_has_room_for_3300_keys() {
        let mut contents = Contents::default();
        for number in 0..KEYS_MAX {
            contents.add_key(key(number as u16)).unwrap();
        }
        assert!(matches!(contents.add_key(key(9_999)), Err(Refusal::CapacityExhausted)));
    }

    #[test]
    fn an_adopted_key_keeps_its_handle_if_it_is_free() {
        let mut contents = Contents::default();
        let own = contents.add_key(key(1)).unwrap();
        assert_eq!(contents.adopt_key(KeyHandle(40), key(2)).unwrap(), KeyHandle(40));
        assert_eq!(contents.adopt_key(KeyHandle(99), key(2)).unwrap(), KeyHandle(40));
        assert_eq!(contents.adopt_key(own, key(3)).unwrap(), KeyHandle(41));
    }

    #[test]
    fn names_are_unique_whatever_their_case_and_role() {
        let mut contents = Contents::default();
        contents.add_user(user("kmsuser")).unwrap();
        let other = User { role: Role::CryptoOfficer, ..user("KMSUSER") };
        assert!(matches!(contents.add_user(other), Err(Refusal::UserExists { .. })));
    }
}
