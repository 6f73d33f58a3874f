//! Rules apply to the snapshots of one group at a time.

use std::collections::BTreeMap;
use std::fmt;

use super::{Candidate, Judgement, Policy, judge};
use crate::id::ObjectId;

/// What snapshots of one group have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupBy {
    /// The archived machine.
    pub host: bool,
    /// The set of archived paths.
    pub paths: bool,
    /// The set of labels.
    pub tags: bool,
}

/// Which group: what it is grouped by, as far as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupKey {
    /// The archived machine.
    pub host: Option<String>,
    /// The archived paths, sorted.
    pub paths: Option<Vec<String>>,
    /// The labels, sorted.
    pub tags: Option<Vec<String>>,
}

/// Snapshots that were judged together, the latest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What they have in common.
    pub key: GroupKey,
    /// Each with the rules that keep it.
    pub judgements: Vec<Judgement>,
}

/// What is to be kept and what to be forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Group by group.
    pub groups: Vec<Group>,
}

impl Default for GroupBy {
    fn default() -> Self {
        Self { host: true, paths: true, tags: false }
    }
}

impl GroupBy {
    fn key(self, candidate: &Candidate) -> GroupKey {
        let sorted = |items: &[String]| {
            let mut items = items.to_vec();
            items.sort_unstable();
            items
        };
        GroupKey {
            host: self.host.then(|| candidate.host.clone()),
            paths: self.paths.then(|| sorted(&candidate.paths)),
            tags: self.tags.then(|| sorted(&candidate.tags)),
        }
    }
}

/// Judges each group of `candidates` by `policy`.
#[must_use]
pub fn decide(policy: &Policy, by: GroupBy, candidates: Vec<Candidate>) -> Decision {
    let mut groups: BTreeMap<GroupKey, Vec<Candidate>> = BTreeMap::new();
    for candidate in candidates {
        groups.entry(by.key(&candidate)).or_default().push(candidate);
    }
    let group = |(key, candidates)| Group { key, judgements: judge(policy, candidates) };
    Decision { groups: groups.into_iter().map(group).collect() }
}

impl Decision {
    /// The snapshots that no rule keeps.
    pub fn forgotten(&self) -> impl Iterator<Item = ObjectId> + '_ {
        let all = self.groups.iter().flat_map(|group| &group.judgements);
        all.filter(|judgement| !judgement.is_kept()).map(|judgement| judgement.candidate.id)
    }

    /// How many snapshots are kept.
    #[must_use]
    pub fn kept(&self) -> usize {
        let all = self.groups.iter().flat_map(|group| &group.judgements);
        all.filter(|judgement| judgement.is_kept()).count()
    }

    /// The first group that would lose every snapshot, if there is one.
    #[must_use]
    pub fn emptied(&self) -> Option<&GroupKey> {
        let none_kept = |group: &&Group| !group.judgements.iter().any(Judgement::is_kept);
        self.groups.iter().find(none_kept).map(|group| &group.key)
    }
}

impl fmt::Display for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        parts.extend(self.host.as_ref().map(|host| format!("host {host}")));
        parts.extend(self.paths.as_ref().map(|paths| format!("paths {}", paths.join(" "))));
        parts.extend(self.tags.as_ref().map(|tags| match tags.is_empty() {
            true => "no tags".to_owned(),
            false => format!("tags {}", tags.join(", ")),
        }));
        f.write_str(&if parts.is_empty() {
            "the whole location".to_owned()
        } else {
            parts.join(", ")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy::tests::candidate;
    use super::super::{Period, Reason};
    use super::*;

    #[test]
    fn groups_are_judged_apart() {
        let mut all: Vec<Candidate> =
            (0_u32..6).map(|n| candidate(u128::from(n), i64::from(n), "t")).collect();
        for (number, candidate) in all.iter_mut().enumerate() {
            candidate.host = if number % 2 == 0 { "even".into() } else { "odd".into() };
        }
        all[1].paths = vec!["/b".into(), "/a".into()];
        all[3].paths = vec!["/a".into(), "/b".into()];
        let policy = Policy { counts: [(Period::Snapshot, 1)].into(), ..Policy::default() };
        let decided = decide(&policy, GroupBy::default(), all.clone());
        let kept = |decision: &Decision| -> Vec<u8> {
            let all = decision.groups.iter().flat_map(|group| &group.judgements);
            let mut ids: Vec<u8> =
                all.filter(|j| j.is_kept()).map(|j| j.candidate.id.as_bytes()[15]).collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(kept(&decided), [3, 4, 5]);
        assert_eq!((decided.kept(), decided.forgotten().count(), decided.groups.len()), (3, 3, 3));
        let together = GroupBy { host: false, paths: false, tags: false };
        let decided = decide(&policy, together, all);
        assert_eq!(kept(&decided), [5]);
        assert_eq!(decided.groups[0].judgements[0].reasons, [Reason::LastOf(Period::Snapshot)]);
        assert_eq!(decided.groups[0].key.to_string(), "the whole location");
    }

    #[test]
    fn a_group_that_would_lose_all_is_named() {
        let policy = Policy { tags: vec!["keep".into()], ..Policy::default() };
        let mut other = candidate(2, 2, "other");
        other.host = "second".into();
        let decided = decide(&policy, GroupBy::default(), vec![candidate(1, 1, "keep"), other]);
        assert_eq!(decided.emptied().unwrap().to_string(), "host second, paths /");
        let decided = decide(&policy, GroupBy::default(), vec![candidate(1, 1, "keep")]);
        assert_eq!(decided.emptied(), None);
    }
}
