//! Names of users and groups, looked up once each.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{PoisonError, RwLock};

use nix::unistd::{Gid, Group, Uid, User};

/// Answers of the machine's user and group databases, kept for the life of a walk or a restore:
/// a tree has few owners, and one answer may cost a network round trip.
#[derive(Debug, Default)]
pub struct Names {
    users: Remembered<u32, Option<String>>,
    groups: Remembered<u32, Option<String>>,
    user_ids: Remembered<String, Option<u32>>,
    group_ids: Remembered<String, Option<u32>>,
}

impl Names {
    /// The name of user `uid`, where the machine knows one.
    pub fn user(&self, uid: u32) -> Option<String> {
        self.users.get(uid, |&uid| Some(User::from_uid(Uid::from_raw(uid)).ok()??.name))
    }

    /// The name of group `gid`, where the machine knows one.
    pub fn group(&self, gid: u32) -> Option<String> {
        self.groups.get(gid, |&gid| Some(Group::from_gid(Gid::from_raw(gid)).ok()??.name))
    }

    /// The number that this machine gives to the user `name`.
    pub fn user_id(&self, name: &str) -> Option<u32> {
        self.user_ids.get(name.to_owned(), |name| Some(User::from_name(name).ok()??.uid.as_raw()))
    }

    /// The number that this machine gives to the group `name`.
    pub fn group_id(&self, name: &str) -> Option<u32> {
        self.group_ids.get(name.to_owned(), |name| Some(Group::from_name(name).ok()??.gid.as_raw()))
    }
}

/// A function's answers by argument. Poisoning is no concern: a value is whole or absent.
#[derive(Debug)]
struct Remembered<K, V>(RwLock<HashMap<K, V>>);

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self(RwLock::new(HashMap::new()))
    }
}

impl<K: Eq + Hash, V: Clone> Remembered<K, V> {
    fn get(&self, key: K, look_up: impl FnOnce(&K) -> V) -> V {
        if let Some(known) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return known.clone();
        }
        let found = look_up(&key);
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(key, found.clone());
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_known_both_ways() {
        let names = Names::default();
        assert_eq!(names.user(0).as_deref(), Some("root"));
        assert_eq!(names.user_id("root"), Some(0));
        assert_eq!(names.group(0).and_then(|name| names.group_id(&name)), Some(0));
        assert_eq!(names.user_id("no such user of any machine"), None);
    }

    #[test]
    fn an_answer_is_asked_for_once() {
        let remembered = Remembered::default();
        assert_eq!(remembered.get(1, |_| "first"), "first");
        assert_eq!(remembered.get(1, |_| "second"), "first");
    }
}
