//! The store, and everybody who works on it.

use super::collector::Collector;
use super::rules::{Rule, Rules};
use super::writer::Writer;

/// A set of small numbers: packs, runs, writers, chunks.
pub(super) type Set = u16;

/// The chunks that there are.
const A: usize = 0;
const B: usize = 1;
pub(super) const CHUNKS: usize = 2;

const PACKS: usize = 12;
const RUNS: usize = 12;

/// Snapshot names: one that was there before, then one for each writer.
const OLD: usize = 1;
pub(super) const NAMES: usize = OLD + 2;

/// How many of whom.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Scenario {
    writers: usize,
    collectors: usize,
    forgets: u8,
}

impl Scenario {
    pub(super) const fn new(writers: usize, collectors: usize, forgets: u8) -> Self {
        Self { writers, collectors, forgets }
    }
}

/// What stands under a snapshot's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Slot {
    Empty,
    Tombstone,
    /// The pack in which each chunk lies, as far as it has the chunk.
    Commit([Option<u8>; CHUNKS]),
}

/// Everything that is stored.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Store {
    /// Which chunks each pack holds, whether it is there or not.
    pub(super) contents: [Set; PACKS],
    pub(super) packs: Set,
    made_packs: u8,
    /// Which packs each run names.
    pub(super) names: [Set; RUNS],
    pub(super) runs: Set,
    made_runs: u8,
    /// Whose packs: the writer's number.
    pub(super) owners: [Option<u8>; PACKS],
    pub(super) sessions: Set,
    pub(super) slots: [Slot; NAMES],
    /// Lists of condemned packs, by the collector that made them.
    pub(super) lists: [Option<Set>; 2],
    pub(super) verdicts: [Option<Set>; 2],
}

/// The store and everybody.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) store: Store,
    writers: Vec<Writer>,
    collectors: Vec<Collector>,
    forgets: u8,
    /// Snapshots that somebody was told about and nobody has asked to forget.
    acknowledged: Set,
    /// Names of snapshots that have been forgotten once.
    forgotten: Set,
}

/// What one process can do next: what it does, and the store and process after it.
pub(super) type Steps<P> = Vec<(&'static str, Store, P)>;

pub(super) const fn bit(number: usize) -> Set {
    1 << number
}

pub(super) fn members(set: Set) -> impl Iterator<Item = usize> {
    (0..Set::BITS as usize).filter(move |number| set & bit(*number) != 0)
}

impl Store {
    /// Stores a pack.
    pub(super) fn pack(&mut self, chunks: Set, owner: Option<u8>) -> u8 {
        let number = self.made_packs;
        self.contents[usize::from(number)] = chunks;
        self.owners[usize::from(number)] = owner;
        self.packs |= bit(usize::from(number));
        self.made_packs += 1;
        number
    }

    /// Stores an index run.
    pub(super) fn run(&mut self, names: Set) {
        let number = usize::from(self.made_runs);
        self.names[number] = names;
        self.runs |= bit(number);
        self.made_runs += 1;
    }

    /// All packs that runs name.
    pub(super) fn named(&self) -> Set {
        members(self.runs).fold(0, |all, run| all | self.names[run])
    }

    /// All packs on lists of condemned ones, but for one list.
    pub(super) fn condemned(&self, but: Option<usize>) -> Set {
        let lists = self.lists.iter().enumerate().filter(|(list, _)| Some(*list) != but);
        lists.filter_map(|(_, packs)| *packs).fold(0, |all, packs| all | packs)
    }

    /// The packs among `these` that hold `chunk`.
    pub(super) fn holding(&self, chunk: usize, these: Set) -> Set {
        members(these).filter(|pack| self.contents[*pack] & bit(chunk) != 0).map(bit).sum()
    }

    /// All commits: of each the places of its chunks.
    pub(super) fn commits(&self) -> impl Iterator<Item = [Option<u8>; CHUNKS]> + '_ {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Commit(places) => Some(*places),
            _ => None,
        })
    }
}

impl State {
    /// One snapshot has `A`, from a pack that also holds `B`, which no snapshot has.
    pub(super) fn new(scenario: Scenario) -> Self {
        let mut store = Store {
            contents: [0; PACKS],
            packs: 0,
            made_packs: 0,
            names: [0; RUNS],
            runs: 0,
            made_runs: 0,
            owners: [None; PACKS],
            sessions: 0,
            slots: [Slot::Empty; NAMES],
            lists: [None; 2],
            verdicts: [None; 2],
        };
        let pack = store.pack(bit(A) | bit(B), None);
        store.run(bit(usize::from(pack)));
        store.slots[0] = Slot::Commit([Some(pack), None]);
        let writer = |number| Writer::new(number as u8, bit(A) | bit(B));
        Self {
            store,
            writers: (0..scenario.writers).map(writer).collect(),
            collectors: (0..scenario.collectors).map(Collector::new).collect(),
            forgets: scenario.forgets,
            acknowledged: bit(0),
            forgotten: 0,
        }
    }

    /// The name of a writer's snapshot.
    pub(super) fn name(writer: u8) -> usize {
        OLD + usize::from(writer)
    }

    /// Everything that can happen next.
    pub(super) fn successors(&self, rules: Rules) -> Vec<(String, Self)> {
        let mut next = Vec::new();
        for (number, writer) in self.writers.iter().enumerate() {
            for (what, store, writer) in writer.steps(&self.store, rules) {
                let mut state = Self { store, ..self.clone() };
                let name = Self::name(number as u8);
                let is_told = writer.acknowledges() && !self.writers[number].acknowledges();
                // One that has been forgotten meanwhile is nobody's loss.
                if is_told && matches!(state.store.slots[name], Slot::Commit(_)) {
                    state.acknowledged |= bit(name);
                }
                state.writers[number] = writer;
                next.push((format!("writer {number} {what}"), state));
            }
        }
        for (number, collector) in self.collectors.iter().enumerate() {
            for (what, store, collector) in collector.steps(&self.store, rules) {
                let mut state = Self { store, ..self.clone() };
                state.collectors[number] = collector;
                next.push((format!("collector {number} {what}"), state));
            }
        }
        next.extend(self.forgotten(rules));
        next
    }

    fn forgotten(&self, rules: Rules) -> Vec<(String, Self)> {
        let may_go = |slot: &Slot| match slot {
            Slot::Empty => false,
            Slot::Tombstone => !rules.has(Rule::TombstonesStay),
            Slot::Commit(_) => true,
        };
        let names = (0..NAMES).filter(|name| self.forgets > 0 && may_go(&self.store.slots[*name]));
        names
            .map(|name| {
                let mut state = self.clone();
                state.forgets -= 1;
                if self.store.slots[name] != Slot::Tombstone {
                    state.forgotten |= bit(name);
                }
                state.store.slots[name] = Slot::Empty;
                state.acknowledged &= !bit(name);
                (format!("snapshot {name} is forgotten"), state)
            })
            .collect()
    }

    /// What breaks the promise, if anything does.
    ///
    /// A snapshot that is there must be whole, acknowledged or not: others see it, too. But one that
    /// was forgotten can come back, unacknowledged and without its data, when a writer that was taken
    /// for dead repeats its commit, and stops before it can withdraw it.
    pub(super) fn lost(&self) -> Option<String> {
        let named = self.store.named();
        (0..NAMES).find_map(|name| {
            let is_acknowledged = self.acknowledged & bit(name) != 0;
            let Slot::Commit(places) = self.store.slots[name] else {
                return is_acknowledged.then(|| format!("snapshot {name} is gone"));
            };
            if !is_acknowledged && self.forgotten & bit(name) != 0 {
                return None;
            }
            let lost = (0..CHUNKS).find(|chunk| {
                let Some(hint) = places[*chunk] else { return false };
                let findable = (named | bit(usize::from(hint))) & self.store.packs;
                self.store.holding(*chunk, findable) == 0
            });
            lost.map(|chunk| format!("snapshot {name} has lost chunk {chunk}"))
        })
    }
}
