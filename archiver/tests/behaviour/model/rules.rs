//! The rules of the protocol, each of which can be dropped.

use super::state::Scenario;

/// One rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// A writer opens its session before it lists what is condemned.
    SessionFirst,
    /// A writer does not use what the index has in condemned packs.
    AvoidCondemned,
    /// A writer does not take over what its parent has in condemned packs.
    AvoidInParent,
    /// A writer uses only packs that are there.
    PacksAreThere,
    /// A writer looks whether its session is still there before it acknowledges.
    ConfirmCommit,
    /// A collector waits for writers or fences them.
    WaitForWriters,
    /// A writer that is not waited for gets a tombstone.
    Fence,
    /// A collector removes a dead writer's session before it marks.
    EndBeforeMark,
    /// A collector marks again after it has waited.
    MarkAgain,
    /// A collector reads the index before it lists what others have condemned.
    IndexBeforeLists,
    /// A collector lists what others have condemned before it lists the packs.
    ListsBeforePacks,
    /// A collector does not rely on packs that others have condemned.
    MindOthers,
    /// Of copies that it has condemned a collector keeps one that no other can remove, or all.
    OneOwnCopy,
    /// Copies are in the index before the packs that they come from go.
    PublishCopies,
    /// A collector looks whether its copies are there and not condemned.
    ConfirmCopies,
    /// The first verdict binds every collector.
    VerdictBinds,
    /// A verdict counts only while its list is there.
    ListBacksVerdict,
    /// Tombstones are never removed.
    TombstonesStay,
}

/// A set of rules.
#[derive(Clone, Copy)]
pub(super) struct Rules(Option<Rule>);

impl Rule {
    pub(super) const ALL: [Self; 18] = [
        Self::SessionFirst,
        Self::AvoidCondemned,
        Self::AvoidInParent,
        Self::PacksAreThere,
        Self::ConfirmCommit,
        Self::WaitForWriters,
        Self::Fence,
        Self::EndBeforeMark,
        Self::MarkAgain,
        Self::IndexBeforeLists,
        Self::ListsBeforePacks,
        Self::MindOthers,
        Self::OneOwnCopy,
        Self::PublishCopies,
        Self::ConfirmCopies,
        Self::VerdictBinds,
        Self::ListBacksVerdict,
        Self::TombstonesStay,
    ];

    /// Whether a search without it ends soon.
    pub(super) fn is_broken_soon(self) -> bool {
        !matches!(
            self,
            Self::AvoidInParent
                | Self::PacksAreThere
                | Self::IndexBeforeLists
                | Self::ListsBeforePacks
                | Self::MindOthers
                | Self::OneOwnCopy
                | Self::ConfirmCopies
        )
    }

    /// The smallest scenario in which it matters.
    pub(super) fn scenario(self) -> Scenario {
        match self {
            Self::AvoidInParent => Scenario::new(2, 1, 1),
            Self::ConfirmCommit | Self::EndBeforeMark | Self::TombstonesStay => {
                Scenario::new(1, 1, 1)
            }
            Self::PacksAreThere => Scenario::new(2, 1, 0),
            Self::IndexBeforeLists
            | Self::ListsBeforePacks
            | Self::MindOthers
            | Self::OneOwnCopy
            | Self::ConfirmCopies
            | Self::VerdictBinds
            | Self::ListBacksVerdict => Scenario::new(1, 2, 0),
            _ => Scenario::new(1, 1, 0),
        }
    }
}

impl Rules {
    pub(super) fn all() -> Self {
        Self(None)
    }

    pub(super) fn without(self, rule: Rule) -> Self {
        Self(Some(rule))
    }

    pub(super) fn has(self, rule: Rule) -> bool {
        self.0 != Some(rule)
    }
}
