//! DescribeBackups.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::backups::own_backups;
use super::lookup::{authorize, is_shared_with};
use super::shapes::{self, invalid_request};
use super::show_backup::{ShownBackup, state_of};
use crate::clock::Timestamp;
use crate::ids::BackupId;
use crate::kms::{Call, Operation};
use crate::protocol::{Fault, IntegerLimits, ListLimits, Members, Request};
use crate::records::Backup;

/// Backups of one page, if none is asked for: all that the model allows.
const PAGE_BACKUPS_DEFAULT: u32 = 50;

const FILTERS: [&str; 5] = ["backupIds", "sourceBackupIds", "clusterIds", "states", "neverExpires"];

pub(super) struct DescribeBackups;

pub(super) struct Input {
    filters: BTreeMap<String, Vec<String>>,
    next_token: Option<String>,
    max_results: u32,
    shared: bool,
    sort_ascending: bool,
}

/// The reply.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    backups: Vec<ShownBackup>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        const PAGE: IntegerLimits = IntegerLimits { min: 1, max: 50 };
        const FILTER_LIST: ListLimits = ListLimits::of(0, 100);
        Ok(Self {
            filters: members.optional_string_lists("Filters", &FILTER_LIST)?.unwrap_or_default(),
            next_token: members.optional_string("NextToken", &shapes::TOKEN)?,
            max_results: members
                .optional_integer("MaxResults", &PAGE)?
                .unwrap_or(PAGE_BACKUPS_DEFAULT),
            shared: members.optional_boolean("Shared")?.unwrap_or(false),
            sort_ascending: members.optional_boolean("SortAscending")?.unwrap_or(false),
        })
    }
}

impl Operation for DescribeBackups {
    const NAME: &'static str = "DescribeBackups";
    type Input = Input;
    type Output = Output;

    /// The newest comes first, unless the caller wants the oldest first.
    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        authorize(call, "*")?;
        check_filters(&input.filters)?;
        let mut found = select(call, &input);
        found.sort_by_key(|backup| (backup.created, backup.id.clone()));
        if !input.sort_ascending {
            found.reverse();
        }
        let start = match &input.next_token {
            None => 0,
            Some(token) => position_after(&found, token)?,
        };
        let page_max = usize::try_from(input.max_results).unwrap_or(usize::MAX);
        let mut rest = found.iter().skip(start);
        let page: Vec<_> = rest.by_ref().take(page_max).collect();
        let last = page.last().map(|backup| backup.id.to_string());
        Ok(Output {
            next_token: last.filter(|_| rest.next().is_some()),
            backups: page.into_iter().map(|backup| ShownBackup::of(backup, call.now)).collect(),
        })
    }
}

/// The backups that the request asks for: the caller's own, or those of other accounts that are shared
/// with it.
fn select(call: &Call, input: &Input) -> Vec<Arc<Backup>> {
    let state = call.kms.registry.state();
    let is_asked_for = |backup: &&Arc<Backup>| passes(backup, &input.filters, call.now);
    if !input.shared {
        return own_backups(&state, &call.realm).filter(is_asked_for).map(Arc::clone).collect();
    }
    let is_abroad = |backup: &&Arc<Backup>| {
        backup.realm.account != call.realm.account && backup.realm.region == call.realm.region
    };
    let others = state.all_backups().filter(is_abroad).filter(is_asked_for);
    others.filter(|backup| is_shared_with(call, backup)).map(Arc::clone).collect()
}

fn position_after(found: &[Arc<Backup>], token: &str) -> Result<usize, Fault> {
    let unknown = || invalid_request("The NextToken is not one that was given out.");
    let id: BackupId = token.parse().map_err(|_| unknown())?;
    let at = found.iter().position(|backup| backup.id == id).ok_or_else(unknown)?;
    Ok(at.saturating_add(1))
}

fn check_filters(filters: &BTreeMap<String, Vec<String>>) -> Result<(), Fault> {
    match filters.keys().find(|name| !FILTERS.contains(&name.as_str())) {
        Some(name) => {
            Err(invalid_request(format!("Invalid filter {name}. Filters: {}.", FILTERS.join(", "))))
        }
        None => Ok(()),
    }
}

/// Whether each filter has the backup's value among its own.
fn passes(backup: &Backup, filters: &BTreeMap<String, Vec<String>>, now: Timestamp) -> bool {
    filters.iter().all(|(name, wanted)| {
        let value = match name.as_str() {
            "backupIds" => backup.id.to_string(),
            "sourceBackupIds" => {
                backup.copy_of.as_ref().map_or_else(String::new, |from| from.backup.to_string())
            }
            "clusterIds" => backup.cluster.to_string(),
            "neverExpires" => backup.never_expires.to_string(),
            _ => state_of(backup, now).to_owned(),
        };
        wanted.contains(&value)
    })
}
