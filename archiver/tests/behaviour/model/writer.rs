//! A writer: `strongroom archive`.

use super::rules::{Rule, Rules};
use super::state::{CHUNKS, Set, Slot, State, Steps, Store, bit, members};

/// How far a writer is, and what it has learned.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Writer {
    number: u8,
    /// What it archives.
    wants: Set,
    at: At,
    avoid: Set,
    named: Set,
    parent: [Option<u8>; CHUNKS],
    places: [Option<u8>; CHUNKS],
    own: Option<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum At {
    Start,
    /// (Only without the rule that the session comes first.)
    Begun,
    Lists,
    Index,
    Packs,
    Publish,
    Commit,
    Confirm,
    Withdraw,
    End,
    Acknowledged,
    Gone,
}

impl Writer {
    pub(super) fn new(number: u8, wants: Set) -> Self {
        let none = [None; CHUNKS];
        let at = At::Start;
        Self { number, wants, at, avoid: 0, named: 0, parent: none, places: none, own: None }
    }

    /// Whether its caller was told that the snapshot is there.
    pub(super) fn acknowledges(&self) -> bool {
        matches!(self.at, At::Acknowledged | At::Gone)
    }

    /// Everything that it can do next.
    pub(super) fn steps(&self, store: &Store, rules: Rules) -> Steps<Self> {
        let (mut next, mut after) = (self.clone(), store.clone());
        let session = bit(usize::from(self.number));
        let name = State::name(self.number);
        match self.at {
            At::Start if rules.has(Rule::SessionFirst) => {
                after.sessions |= session;
                next.at = At::Lists;
                vec![("opens its session", after, next)]
            }
            At::Start | At::Lists => {
                next.avoid = store.condemned(None);
                next.at = if self.at == At::Start { At::Begun } else { At::Index };
                vec![("lists what is condemned", after, next)]
            }
            At::Begun => {
                after.sessions |= session;
                next.at = At::Index;
                vec![("opens its session", after, next)]
            }
            At::Index => self.reads_the_index(store),
            At::Packs => self.stores(store, rules),
            At::Publish => {
                after.run(self.own.map_or(0, |pack| bit(usize::from(pack))));
                next.at = At::Commit;
                vec![("publishes its run", after, next)]
            }
            At::Commit => self.commits(store, name),
            At::Confirm => {
                let there = store.sessions & session != 0 || !rules.has(Rule::ConfirmCommit);
                next.at = if there { At::Acknowledged } else { At::Withdraw };
                vec![("looks for its session", after, next)]
            }
            At::Withdraw => {
                after.slots[name] = Slot::Empty;
                next.at = At::End;
                vec![("withdraws its commit", after, next)]
            }
            At::Acknowledged => {
                after.sessions &= !session;
                next.at = At::Gone;
                vec![("ends its session", after, next)]
            }
            At::End | At::Gone => vec![],
        }
    }

    /// Also chooses a parent among the snapshots that are there.
    fn reads_the_index(&self, store: &Store) -> Steps<Self> {
        let parents = [[None; CHUNKS]].into_iter().chain(store.commits());
        let read = |parent| {
            let next = Self { at: At::Packs, named: store.named(), parent, ..self.clone() };
            ("reads the index and a parent", store.clone(), next)
        };
        parents.map(read).collect()
    }

    /// Lists the packs, decides where each chunk is to come from, and stores what is new: either
    /// what it does not find, or all, as one does that did not see another writer's chunks.
    fn stores(&self, store: &Store, rules: Rules) -> Steps<Self> {
        let all = self.with_places(store, |_| None);
        let found = self.with_places(store, |chunk| self.place_of(chunk, store, rules));
        vec![all, found]
    }

    fn place_of(&self, chunk: usize, store: &Store, rules: Rules) -> Option<u8> {
        let avoid = |rule| if rules.has(rule) { self.avoid } else { 0 };
        let parent = self.parent[chunk].map_or(0, |pack| bit(usize::from(pack)));
        let from_parent = parent & store.packs & !avoid(Rule::AvoidInParent);
        let there = if rules.has(Rule::PacksAreThere) { store.packs } else { Set::MAX };
        let from_index = store.holding(chunk, self.named & there & !avoid(Rule::AvoidCondemned));
        members(from_parent).chain(members(from_index)).next().map(|pack| pack as u8)
    }

    fn with_places(
        &self,
        store: &Store,
        place: impl Fn(usize) -> Option<u8>,
    ) -> (&'static str, Store, Self) {
        let (mut next, mut after) = (self.clone(), store.clone());
        let new: Set = members(self.wants).filter(|c| place(*c).is_none()).map(bit).sum();
        next.own = (new != 0).then(|| after.pack(new, Some(self.number)));
        for chunk in members(self.wants) {
            next.places[chunk] = place(chunk).or(next.own);
        }
        next.at = if new == 0 { At::Commit } else { At::Publish };
        // What it has learned matters no more: fewer states to tell apart.
        (next.avoid, next.named, next.parent) = (0, 0, [None; CHUNKS]);
        ("lists the packs and stores what is new", after, next)
    }

    /// The reply to a commit can be lost; then the writer tries again.
    fn commits(&self, store: &Store, name: usize) -> Steps<Self> {
        let (mut next, mut after) = (self.clone(), store.clone());
        match store.slots[name] {
            Slot::Tombstone => {
                after.sessions &= !bit(usize::from(self.number));
                next.at = At::End;
                vec![("is fenced", after, next)]
            }
            Slot::Commit(_) => {
                next.at = At::Confirm;
                vec![("finds its commit", after, next)]
            }
            Slot::Empty => {
                after.slots[name] = Slot::Commit(self.places);
                next.at = At::Confirm;
                let lost = ("commits, and the reply is lost", after.clone(), self.clone());
                vec![("commits", after, next), lost]
            }
        }
    }
}
