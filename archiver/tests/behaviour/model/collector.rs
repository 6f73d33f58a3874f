//! A collector: `strongroom prune`.

use super::rules::{Rule, Rules};
use super::state::{Set, Slot, State, Steps, Store, bit, members};

/// How far a collector is, and what it has learned.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Collector {
    number: usize,
    at: At,
    /// The list that it works on.
    list: usize,
    condemned: Set,
    /// Writers that it waits for, and those whose sessions it is to remove.
    awaited: Set,
    dead: Set,
    named: Set,
    others: Set,
    packs: Set,
    /// What is to go, and what is to be emptied first: the packs, and the chunks.
    going: Set,
    emptied: Set,
    chunks: Set,
    copy: Option<u8>,
    old_runs: Set,
    has_started_over: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum At {
    Start,
    Choose,
    Condemn,
    Load,
    Sessions,
    Settle,
    Index,
    Lists,
    Packs,
    Snapshots,
    Copy,
    Publish,
    ListsAgain,
    PacksAgain,
    Verdict,
    Backed { own: bool },
    TidyRead,
    TidyWrite,
    Remove,
    Done,
    Last,
    End,
}

impl Collector {
    pub(super) fn new(number: usize) -> Self {
        Self {
            number,
            at: At::Start,
            list: number,
            condemned: 0,
            awaited: 0,
            dead: 0,
            named: 0,
            others: 0,
            packs: 0,
            going: 0,
            emptied: 0,
            chunks: 0,
            copy: None,
            old_runs: 0,
            has_started_over: false,
        }
    }

    fn to(&self, at: At) -> Self {
        Self { at, ..self.clone() }
    }

    /// Everything that it can do next.
    pub(super) fn steps(&self, store: &Store, rules: Rules) -> Steps<Self> {
        let mut after = store.clone();
        match self.at {
            At::Start => {
                let open = (0..store.lists.len()).find(|list| store.lists[*list].is_some());
                let next = match open {
                    Some(list) => Self { list, ..self.to(At::Load) },
                    None => self.to(At::Choose),
                };
                vec![("looks for lists to take up", after, next)]
            }
            At::Choose => self.chooses(store),
            At::Condemn => {
                after.lists[self.number] = Some(self.condemned);
                vec![("condemns", after, self.to(At::Load))]
            }
            At::Load => self.loads(store, rules),
            At::Sessions => {
                let next = Self { awaited: store.sessions, ..self.to(At::Settle) };
                vec![("lists the sessions", after, next)]
            }
            At::Settle => self.settles(store, rules),
            At::Index => {
                let lists_next =
                    rules.has(Rule::IndexBeforeLists) && rules.has(Rule::ListsBeforePacks);
                let next = if lists_next { At::Lists } else { At::Packs };
                vec![("reads the index", after, Self { named: store.named(), ..self.to(next) })]
            }
            At::Lists => {
                let others =
                    if rules.has(Rule::MindOthers) { store.condemned(Some(self.list)) } else { 0 };
                let next =
                    match (rules.has(Rule::IndexBeforeLists), rules.has(Rule::ListsBeforePacks)) {
                        (false, _) => At::Index,
                        (_, false) => At::Snapshots,
                        _ => At::Packs,
                    };
                vec![("lists what others condemned", after, Self { others, ..self.to(next) })]
            }
            At::Packs => {
                let next =
                    if rules.has(Rule::ListsBeforePacks) { At::Snapshots } else { At::Lists };
                vec![("lists the packs", after, Self { packs: store.packs, ..self.to(next) })]
            }
            At::Snapshots => self.decides(store, rules),
            At::Copy => self.copies(store, rules),
            At::Publish => {
                after.run(self.copy.map_or(0, |pack| bit(usize::from(pack))));
                let confirm = rules.has(Rule::ConfirmCopies);
                let next = if confirm { At::ListsAgain } else { At::Verdict };
                vec![("publishes its copies", after, self.to(next))]
            }
            At::ListsAgain => {
                let safe = store.condemned(Some(self.list)) & self.copied() == 0;
                let next = if safe { At::PacksAgain } else { At::End };
                vec![("lists what others condemned again", after, self.to(next))]
            }
            At::PacksAgain => {
                let there = store.packs & self.copied() != 0;
                let next = if there { At::Verdict } else { At::End };
                vec![("looks for its copies", after, self.to(next))]
            }
            At::Verdict => self.proposes(store, rules),
            At::Backed { own } => self.is_backed(store, own),
            At::TidyRead => {
                let (named, old_runs) = (store.named(), store.runs);
                vec![(
                    "reads the index to tidy it",
                    after,
                    Self { named, old_runs, ..self.to(At::TidyWrite) },
                )]
            }
            At::TidyWrite => {
                // (Between the two, what runs say is only said twice.)
                after.run(self.named & store.packs & !self.going);
                after.runs &= !self.old_runs;
                let next = Self { named: 0, old_runs: 0, ..self.to(At::Remove) };
                vec![("writes a tidy run and removes the old ones", after, next)]
            }
            At::Remove => match members(self.going).next() {
                Some(pack) => {
                    after.packs &= !bit(pack);
                    let next = Self { going: self.going & !bit(pack), ..self.to(At::Remove) };
                    vec![("removes a pack", after, next)]
                }
                None => {
                    after.lists[self.list] = None;
                    // (Without the rule: now at last.)
                    after.sessions &= !self.dead;
                    vec![("removes the list", after, self.to(At::Last))]
                }
            },
            At::Done | At::Last => {
                after.verdicts[self.list] = None;
                vec![("removes the verdict", after, self.to(At::End))]
            }
            At::End => vec![],
        }
    }

    fn copied(&self) -> Set {
        self.copy.map_or(0, |pack| bit(usize::from(pack)))
    }

    /// What nobody needs, or everything. Nothing may depend on how it chooses.
    fn chooses(&self, store: &Store) -> Steps<Self> {
        let needed =
            store.commits().flatten().flatten().fold(0, |all, pack| all | bit(usize::from(pack)));
        let in_progress = members(store.packs).filter(|pack| {
            store.owners[*pack].is_some_and(|owner| store.sessions & bit(usize::from(owner)) != 0)
        });
        let dead = store.packs & !needed & !in_progress.map(bit).sum::<Set>();
        let all = store.packs;
        let choices = if dead == 0 || dead == all { vec![all] } else { vec![dead, all] };
        let make = |condemned| {
            ("chooses what to condemn", store.clone(), Self { condemned, ..self.to(At::Condemn) })
        };
        choices.into_iter().filter(|packs| *packs != 0).map(make).collect()
    }

    fn loads(&self, store: &Store, rules: Rules) -> Steps<Self> {
        let Some(condemned) = store.lists[self.list] else {
            return vec![("finds the list gone", store.clone(), self.to(At::End))];
        };
        let next = Self { condemned, ..self.clone() };
        let next = match store.verdicts[self.list] {
            Some(going) if rules.has(Rule::VerdictBinds) => {
                Self { going, ..next.to(At::Backed { own: false }) }
            }
            _ if rules.has(Rule::WaitForWriters) => next.to(At::Sessions),
            _ => next.to(first_look(rules)),
        };
        vec![("loads the list", store.clone(), next)]
    }

    fn settles(&self, store: &Store, rules: Rules) -> Steps<Self> {
        let awaited = self.awaited & store.sessions;
        if awaited & !self.dead == 0 && (self.dead == 0 || !rules.has(Rule::EndBeforeMark)) {
            return vec![(
                "has waited for all",
                store.clone(),
                Self { awaited: 0, ..self.to(first_look(rules)) },
            )];
        }
        let mut steps: Steps<Self> = Vec::new();
        if rules.has(Rule::EndBeforeMark)
            && let Some(writer) = members(self.dead).next()
        {
            let mut after = store.clone();
            after.sessions &= !bit(writer);
            let next = Self { dead: self.dead & !bit(writer), awaited, ..self.clone() };
            return vec![("ends the session of a dead writer", after, next)];
        }
        for writer in members(awaited & !self.dead) {
            let mut after = store.clone();
            let slot = &mut after.slots[State::name(writer as u8)];
            if *slot == Slot::Empty && rules.has(Rule::Fence) {
                *slot = Slot::Tombstone;
            }
            let next = Self { dead: self.dead | bit(writer), ..self.clone() };
            steps.push(("takes a writer for dead", after, next));
        }
        steps
    }

    /// Marks, and decides what goes, what is emptied first, and what is spared.
    fn decides(&self, store: &Store, rules: Rules) -> Steps<Self> {
        let after = store.clone();
        let condemned = self.condemned;
        // What it has learned matters no more: fewer states to tell apart.
        let next = Self { condemned: 0, named: 0, others: 0, packs: 0, ..self.clone() };
        if !rules.has(Rule::MarkAgain) {
            let next = Self { going: condemned, ..next.to(At::Verdict) };
            return vec![("does not mark again", after, next)];
        }
        let known = self.named & self.packs;
        let safe = known & !self.others & !condemned;
        let (mut needed, mut chunks, mut unindexed) = (0, 0, 0);
        for places in store.commits() {
            for (chunk, place) in places.into_iter().enumerate() {
                let Some(hint) = place else { continue };
                if store.holding(chunk, known) == 0 {
                    unindexed |= bit(usize::from(hint));
                } else if store.holding(chunk, safe) == 0 {
                    let own = store.holding(chunk, known & condemned);
                    let alone = if rules.has(Rule::OneOwnCopy) { own & !self.others } else { own };
                    // What another collector can remove too is no copy to choose among.
                    let keep = members(alone).next().map_or(own, bit);
                    needed |= keep;
                    chunks |= if keep == 0 { 0 } else { bit(chunk) };
                }
            }
        }
        let going = condemned & !needed & !unindexed;
        let spares = Self { going, ..next.to(At::Verdict) };
        if needed & !unindexed == 0 {
            return vec![("marks", after, spares)];
        }
        let empties = Self { going, emptied: needed & !unindexed, chunks, ..next.to(At::Copy) };
        vec![("marks and spares", after.clone(), spares), ("marks and repacks", after, empties)]
    }

    fn copies(&self, store: &Store, rules: Rules) -> Steps<Self> {
        if store.packs & self.emptied != self.emptied {
            let next = if self.has_started_over { At::End } else { At::Load };
            let next =
                Self { has_started_over: true, going: 0, emptied: 0, chunks: 0, ..self.to(next) };
            return vec![("finds a pack gone", store.clone(), next)];
        }
        let mut after = store.clone();
        let copy = Some(after.pack(self.chunks, None));
        let at = if rules.has(Rule::PublishCopies) { At::Publish } else { At::Verdict };
        let going = self.going | self.emptied;
        vec![("copies", after, Self { copy, going, emptied: 0, chunks: 0, ..self.to(at) })]
    }

    fn proposes(&self, store: &Store, rules: Rules) -> Steps<Self> {
        let mut after = store.clone();
        let next = Self { copy: None, ..self.clone() };
        let Some(going) = store.verdicts[self.list] else {
            after.verdicts[self.list] = Some(self.going);
            let backed = rules.has(Rule::ListBacksVerdict);
            let at = if backed { At::Backed { own: true } } else { At::TidyRead };
            return vec![("passes its verdict", after, next.to(at))];
        };
        let going = if rules.has(Rule::VerdictBinds) { going } else { self.going };
        vec![("finds a verdict", after, Self { going, ..next.to(At::Backed { own: false }) })]
    }

    fn is_backed(&self, store: &Store, own: bool) -> Steps<Self> {
        let at = match (store.lists[self.list].is_some(), own) {
            (true, _) => At::TidyRead,
            (false, true) => At::Done,
            (false, false) => At::End,
        };
        vec![("looks for the list", store.clone(), self.to(at))]
    }
}

/// Where a survey begins.
fn first_look(rules: Rules) -> At {
    match (rules.has(Rule::IndexBeforeLists), rules.has(Rule::ListsBeforePacks)) {
        (false, _) => At::Lists,
        _ => At::Index,
    }
}
