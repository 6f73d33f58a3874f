//! Looks whether a location is whole, and names every object that is not.
//!
//! Without reading file content: every object but data packs is read to its last byte, decrypted
//! and understood; every reference is followed; of data packs, existence and length. With
//! [`CheckOptions::read_data`] every byte of every object is read, and every chunk compared with
//! its id.

mod packs;
mod trees;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::stream::{self, StreamExt, TryStreamExt};

use crate::condemned;
use crate::control::Control;
use crate::error::{Cause, Error, Result};
use crate::index::{Catalog, Run};
use crate::location::Location;
use crate::session;
use crate::snapshot;
use crate::store::{Family, ObjectName};

/// Small objects that are read at once.
const READS_IN_FLIGHT: usize = 8;

/// How often all is looked at when problems are found while objects are being removed.
const LOOKS_MAX: usize = 4;

/// How thorough a check is.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckOptions {
    /// Read all file content too.
    pub read_data: bool,
}

/// What a check found.
#[derive(Debug, Default)]
pub struct Report {
    /// Objects that were looked at.
    pub objects: u64,
    /// Bytes of all objects in the store.
    pub bytes: u64,
    /// Snapshots that are there.
    pub snapshots: u64,
    /// Everything that is wrong.
    pub problems: Vec<Problem>,
    /// Packs that no index run knows: what an interrupted backup leaves. Harmless.
    pub unreferenced: Vec<ObjectName>,
    /// Packs that index runs name and that are gone, without any snapshot needing them. Harmless.
    pub stale: Vec<ObjectName>,
    /// Keys in the store that are none of ours. Harmless.
    pub foreign: Vec<String>,
}

/// One object at fault.
#[derive(Debug)]
pub struct Problem {
    /// Which one.
    pub object: ObjectName,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What can be wrong with an object.
#[derive(Debug)]
#[non_exhaustive]
pub enum Fault {
    /// Something refers to it and it is not there.
    Missing,
    /// It has another length than it was written with.
    Length {
        /// Bytes when it was written.
        expected: u64,
        /// Bytes now.
        found: u64,
    },
    /// It cannot be decrypted or understood.
    Unreadable(Error),
    /// It is readable and does not hold what is said of it elsewhere.
    Content(&'static str),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault {
            Fault::Missing => write!(f, "`{}` is missing", self.object),
            Fault::Length { expected, found } => {
                write!(f, "`{}` has {found} bytes, was written with {expected}", self.object)
            }
            Fault::Unreadable(error) => error.fmt(f),
            Fault::Content(what) => write!(f, "`{}`: {what}", self.object),
        }
    }
}

/// One check in progress.
struct Check<'a> {
    location: &'a Arc<Location>,
    control: &'a Control,
    /// Everything that is in the store.
    objects: HashMap<ObjectName, u64>,
    report: Report,
}

/// Checks `location`.
///
/// `format` and `keys/0` were verified when it was opened.
///
/// # Errors
/// What keeps the check from being done, such as a store out of reach or a key that is refused;
/// damage is no error but a [`Problem`] in the report.
pub async fn check(
    location: &Arc<Location>,
    options: CheckOptions,
    control: &Control,
) -> Result<Report> {
    let mut looks = 1;
    loop {
        let objects = HashMap::new();
        let mut check = Check { location, control, objects, report: Report::default() };
        check.look(options).await?;
        if check.report.problems.is_empty()
            || looks == LOOKS_MAX
            || !check.has_something_gone().await?
        {
            check.report.problems.iter().for_each(|problem| control.observer.problem(problem));
            return Ok(check.report);
        }
        looks += 1;
    }
}

impl Check<'_> {
    async fn look(&mut self, options: CheckOptions) -> Result<()> {
        self.list().await?;
        self.sessions().await?;
        self.condemned().await?;
        let runs = self.index().await?;
        let there = self.objects.keys().copied().collect();
        let catalog = Arc::new(Catalog::of_packs(runs.clone(), there));
        self.packs_have_their_length(&runs);
        let snapshots = self.snapshots().await?;
        self.read_packs(&runs, &catalog, options.read_data).await?;
        self.trees(&snapshots, &catalog).await?;
        let is_given_up = |problem: &Problem| {
            matches!(problem.fault, Fault::Unreadable(Error::KeysGivenUp { .. }))
        };
        match self.report.problems.iter().any(is_given_up) {
            // Unless it is this check that came too late.
            true => self.location.confirm_epoch().await,
            false => Ok(()),
        }
    }

    /// Whether an object has gone since all were listed: then a problem may be none, but the work
    /// of a collector or the end of a writer.
    async fn has_something_gone(&self) -> Result<bool> {
        let listed: Vec<_> = self.location.store().list(Family::All).try_collect().await?;
        let there: HashSet<ObjectName> = listed.into_iter().filter_map(|l| l.name).collect();
        Ok(self.objects.keys().any(|name| !there.contains(name)))
    }

    async fn list(&mut self) -> Result<()> {
        let mut listed = self.location.store().list(Family::All);
        while let Some(object) = listed.try_next().await? {
            self.report.objects += 1;
            self.report.bytes += object.size;
            match object.name {
                Some(name) => drop(self.objects.insert(name, object.size)),
                None => self.report.foreign.push(object.key),
            }
        }
        let total = &self.control.progress.bytes_total;
        total.store(self.report.bytes, Ordering::Relaxed);
        Ok(())
    }

    async fn sessions(&mut self) -> Result<()> {
        let is_session = |name: &ObjectName| matches!(name, ObjectName::Session(_));
        let names = self.names(is_session);
        let location = self.location;
        let read = |name| async move {
            match name {
                ObjectName::Session(id) => session::load(location, id).await,
                _ => Err(Error::ObjectMissing { object: name }),
            }
        };
        let read = read_all(names, read).await;
        self.sift(read).map(drop)
    }

    async fn condemned(&mut self) -> Result<()> {
        let is_list =
            |name: &ObjectName| matches!(name, ObjectName::Condemned(_) | ObjectName::Verdict(_));
        let location = self.location;
        let read = |name| async move {
            let list = condemned::read(location, name).await?;
            list.ok_or(Error::ObjectMissing { object: name })
        };
        let read = read_all(self.names(is_list), read).await;
        self.sift(read).map(drop)
    }

    async fn index(&mut self) -> Result<Vec<Run>> {
        let names = self.names(|name| matches!(name, ObjectName::Index(..)));
        let read = read_all(names, |name| self.location.index().read(name)).await;
        Ok(self.sift(read)?.into_iter().map(|(_, (_, run))| run).collect())
    }

    async fn snapshots(&mut self) -> Result<Vec<snapshot::Snapshot>> {
        let names = self.names(|name| matches!(name, ObjectName::Snapshot(_)));
        let location = self.location;
        let read = |name| async move {
            match name {
                ObjectName::Snapshot(id) => snapshot::load_any(location, id).await,
                _ => Err(Error::ObjectMissing { object: name }),
            }
        };
        let read = read_all(names, read).await;
        let snapshots: Vec<_> =
            self.sift(read)?.into_iter().filter_map(|(_, snapshot)| snapshot).collect();
        self.report.snapshots = snapshots.len() as u64;
        Ok(snapshots)
    }

    fn names(&self, which: impl Fn(&ObjectName) -> bool) -> Vec<ObjectName> {
        let mut names: Vec<ObjectName> = self.objects.keys().copied().filter(which).collect();
        names.sort_unstable();
        names
    }

    /// Keeps what could be read, and notes the rest as problems.
    fn sift<T>(&mut self, read: Vec<(ObjectName, Result<T>)>) -> Result<Vec<(ObjectName, T)>> {
        let mut whole = Vec::with_capacity(read.len());
        for (name, result) in read {
            self.control.check()?;
            match result {
                Ok(value) => {
                    self.done(name);
                    whole.push((name, value));
                }
                Err(error) => self.fault(name, error)?,
            }
        }
        Ok(whole)
    }

    /// An object that is whole.
    fn done(&self, name: ObjectName) {
        let bytes = self.objects.get(&name).copied().unwrap_or(0);
        self.control.progress.add(1, bytes);
        self.control.observer.checked(name);
    }

    /// An error is an object's fault, or a reason to give up.
    fn fault(&mut self, object: ObjectName, error: Error) -> Result<()> {
        match error.cause() {
            Cause::Integrity | Cause::KeyWrong | Cause::StoreMissing | Cause::Request => {
                // The error knows better than we do which object it met.
                let object = error.object().unwrap_or(object);
                self.problem(object, Fault::Unreadable(error));
                Ok(())
            }
            _ => Err(error),
        }
    }

    fn problem(&mut self, object: ObjectName, fault: Fault) {
        self.report.problems.push(Problem { object, fault });
    }
}

async fn read_all<T, F: Future<Output = Result<T>>>(
    names: Vec<ObjectName>,
    read: impl Fn(ObjectName) -> F,
) -> Vec<(ObjectName, Result<T>)> {
    let reads = names.into_iter().map(|name| {
        let read = read(name);
        async move { (name, read.await) }
    });
    stream::iter(reads).buffer_unordered(READS_IN_FLIGHT).collect().await
}
