//! The rules, and what each of them keeps.

use std::collections::BTreeMap;
use std::fmt;

use super::{Candidate, Period, Span};

/// The count of a rule that keeps one snapshot of every period.
pub const UNLIMITED: u32 = u32::MAX;

/// What to keep; whatever no rule keeps is to be forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Of how many of the latest periods that have snapshots the last one is kept.
    pub counts: BTreeMap<Period, u32>,
    /// Everything is kept that is no older than this, counted back from the latest snapshot.
    pub within: Option<Span>,
    /// Everything is kept that has one of these labels.
    pub tags: Vec<String>,
}

/// Why a snapshot is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It is the last one of its period.
    LastOf(Period),
    /// There are fewer periods than the rule would keep, and it is the oldest snapshot.
    Oldest(Period),
    /// It is no older than this.
    Within(Span),
    /// It has this label.
    Tag(String),
    /// Others were named to be forgotten.
    NotNamed,
}

/// A snapshot, and which rules keep it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The snapshot.
    pub candidate: Candidate,
    /// Why it is kept; empty when it is to be forgotten.
    pub reasons: Vec<Reason>,
}

impl Judgement {
    /// Whether any rule keeps it.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        !self.reasons.is_empty()
    }
}

impl Policy {
    /// Whether no rule was given: such a policy keeps nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.values().all(|count| *count == 0)
            && self.within.is_none()
            && self.tags.is_empty()
    }
}

/// Judges `candidates`, whose order does not matter, by `policy`; the answer begins with the latest.
///
/// Judging again what was kept keeps all of it: rules can be applied as often as one likes.
#[must_use]
pub fn judge(policy: &Policy, mut candidates: Vec<Candidate>) -> Vec<Judgement> {
    candidates.sort_by_key(|candidate| std::cmp::Reverse((candidate.stored, candidate.id)));
    let judgement = |candidate| Judgement { candidate, reasons: Vec::new() };
    let mut judgements: Vec<Judgement> = candidates.into_iter().map(judgement).collect();
    for (period, count) in &policy.counts {
        keep_last_of(*period, *count, &mut judgements);
    }
    if let (Some(span), Some(latest)) = (policy.within, judgements.first()) {
        let oldest = span.before(latest.candidate.stored);
        for judgement in judgements.iter_mut().filter(|j| j.candidate.stored >= oldest) {
            judgement.reasons.push(Reason::Within(span));
        }
    }
    for Judgement { candidate, reasons } in &mut judgements {
        let held = policy.tags.iter().filter(|tag| candidate.tags.contains(tag));
        reasons.extend(held.cloned().map(Reason::Tag));
    }
    judgements
}

fn keep_last_of(period: Period, count: u32, latest_first: &mut [Judgement]) {
    let mut remaining = count;
    let mut before = None;
    for Judgement { candidate, reasons } in latest_first.iter_mut() {
        let number = period.number(candidate.stored);
        if remaining > 0 && (number.is_none() || number != before) {
            reasons.push(Reason::LastOf(period));
            remaining -= 1;
        }
        before = number;
    }
    // Until there are as many periods as asked for, the beginning is kept: otherwise the yearly
    // snapshots of a young location would all be of this year.
    if let (1.., Some(oldest)) = (remaining, latest_first.last_mut())
        && !oldest.reasons.contains(&Reason::LastOf(period))
    {
        oldest.reasons.push(Reason::Oldest(period));
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LastOf(period) => f.write_str(period.adjective()),
            Self::Oldest(period) => write!(f, "oldest ({})", period.adjective()),
            Self::Within(span) => write!(f, "within {span}"),
            Self::Tag(tag) => write!(f, "tag {tag}"),
            Self::NotNamed => f.write_str("not named"),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::entry::Timestamp;
    use crate::id::ObjectId;

    const DAY: i64 = 86_400;

    pub(in super::super) fn candidate(number: u128, seconds: i64, tag: &str) -> Candidate {
        Candidate {
            id: ObjectId::from_bytes(number.to_be_bytes()),
            stored: Timestamp { seconds, nanoseconds: 0 },
            host: "host".to_owned(),
            paths: vec!["/".to_owned()],
            tags: vec![tag.to_owned()],
        }
    }

    fn any_candidates() -> impl Strategy<Value = Vec<Candidate>> {
        let tag = prop_oneof![Just("a"), Just("b"), Just("c")];
        vec((0_i64..3 * 366 * DAY, tag), 0..60).prop_map(|drawn| {
            let number =
                |(n, (seconds, tag)): (usize, (i64, &str))| candidate(n as u128, seconds, tag);
            drawn.into_iter().enumerate().map(number).collect()
        })
    }

    fn any_policy() -> impl Strategy<Value = Policy> {
        let count = prop_oneof![4 => 0_u32..6, 1 => Just(UNLIMITED)];
        let counts = vec(count, 6).prop_map(|counts| Period::ALL.into_iter().zip(counts).collect());
        let within = proptest::option::of(prop_oneof![Just("9d"), Just("1y"), Just("30h")]);
        let tags = prop_oneof![Just(vec![]), Just(vec!["a".to_owned()])];
        (counts, within, tags).prop_map(|(counts, within, tags)| Policy {
            counts,
            within: within.map(|span| span.parse().unwrap()),
            tags,
        })
    }

    fn kept(policy: &Policy, candidates: &[Candidate]) -> BTreeSet<ObjectId> {
        let judged = judge(policy, candidates.to_vec()).into_iter();
        judged.filter(Judgement::is_kept).map(|judgement| judgement.candidate.id).collect()
    }

    proptest! {
        #[test]
        fn judging_again_forgets_nothing_more(policy in any_policy(), all in any_candidates()) {
            let first = kept(&policy, &all);
            let rest: Vec<_> = all.into_iter().filter(|c| first.contains(&c.id)).collect();
            prop_assert_eq!(kept(&policy, &rest), first);
        }

        #[test]
        fn the_order_of_the_snapshots_does_not_matter(
            policy in any_policy(),
            (all, shuffled) in any_candidates().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        ) {
            prop_assert_eq!(judge(&policy, all), judge(&policy, shuffled));
        }

        #[test]
        fn more_rules_and_higher_counts_keep_more(
            policy in any_policy(), period in 0_usize..6, all in any_candidates(),
        ) {
            let mut more = policy.clone();
            let count = more.counts.entry(Period::ALL[period]).or_default();
            *count = count.saturating_add(1);
            prop_assert!(kept(&policy, &all).is_subset(&kept(&more, &all)));
            let mut tagged = policy.clone();
            tagged.tags.push("b".to_owned());
            prop_assert!(kept(&policy, &all).is_subset(&kept(&tagged, &all)));
        }

        #[test]
        fn the_latest_is_kept_by_every_rule_of_time(mut policy in any_policy(), all in any_candidates()) {
            policy.tags.clear();
            if let (false, Some(latest)) = (policy.is_empty(), judge(&policy, all).first()) {
                let rules = policy.counts.values().filter(|count| **count > 0).count();
                prop_assert_eq!(latest.reasons.len(), rules + usize::from(policy.within.is_some()));
            }
        }

        #[test]
        fn each_period_keeps_its_last_one_up_to_the_count(
            period in 0_usize..6, count in 0_u32..9, all in any_candidates(),
        ) {
            let period = Period::ALL[period];
            let policy = Policy { counts: [(period, count)].into(), ..Policy::default() };
            let judged = judge(&policy, all.clone());
            let numbers: BTreeSet<_> =
                all.iter().map(|c| period.number(c.stored).unwrap_or_else(|| *c.id.as_bytes().last().unwrap() as i64)).collect();
            let last: Vec<_> =
                judged.iter().filter(|j| j.reasons.contains(&Reason::LastOf(period))).collect();
            prop_assert_eq!(last.len(), numbers.len().min(count as usize));
            for judgement in last {
                let of = |c: &Candidate| period.number(c.stored);
                let later = all.iter().any(|c| {
                    of(c).is_some() && of(c) == of(&judgement.candidate) && c.stored > judgement.candidate.stored
                });
                prop_assert!(!later, "a later one of the same period is not the last");
            }
            let spare = count as usize > numbers.len();
            prop_assert!(!spare || judged.last().is_none_or(Judgement::is_kept));
        }
    }

    #[test]
    fn a_year_of_daily_runs_leaves_what_the_rules_say() {
        let counts = [(Period::Day, 7), (Period::Week, 4), (Period::Month, 12)];
        let policy = Policy { counts: counts.into(), ..Policy::default() };
        let mut held: Vec<Candidate> = Vec::new();
        for day in 0..730 {
            held.push(candidate(day as u128, day * DAY + 3600, "a"));
            let kept = kept(&policy, &held);
            held.retain(|candidate| kept.contains(&candidate.id));
        }
        let of = |period| {
            let judged = judge(&policy, held.clone()).into_iter();
            judged.filter(|j| j.reasons.contains(&Reason::LastOf(period))).count()
        };
        assert_eq!((of(Period::Day), of(Period::Week), of(Period::Month)), (7, 4, 12));
        assert!(held.len() <= 7 + 4 + 12, "{}", held.len());
    }

    #[test]
    fn a_policy_without_rules_keeps_nothing() {
        let policy = Policy { counts: [(Period::Day, 0)].into(), ..Policy::default() };
        assert!(policy.is_empty());
        assert_eq!(kept(&policy, &[candidate(1, 5, "a")]), BTreeSet::new());
    }
}
