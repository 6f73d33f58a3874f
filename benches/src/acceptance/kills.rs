//! `kill -9` at random moments: what was acknowledged stays.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use strongroom_peers::Peer;

use super::whole::restored_equal;
use super::{Shown, not_shown};
use crate::BenchError;
use crate::store::{Store, StoreKind};
use crate::tool::{Kms, Strongroom};

/// How often the program may be done before it is killed, for each time that it is killed.
const MISSES_PER_KILL_MAX: usize = 4;

/// Kills the archiver `kills` times at random moments while it archives, each time another part of the
/// tree to the same location; archives again what was cut off; at the end, `check` is clean and
/// every acknowledged snapshot restores equal.
///
/// # Errors
///
/// [`BenchError::NotShown`], or whatever failed.
pub fn kill_archiver(kind: StoreKind, source: &Path, work: &Path, kills: usize) -> Shown {
    let store = Store::open(kind, work)?;
    let kms = Kms::start()?;
    let strongroom = Strongroom::create(&store, &kms, work)?;
    let mut acknowledged = Vec::new();
    let mut killed = 0;
    for part in parts(source)?.iter().cycle().take(kills * (1 + MISSES_PER_KILL_MAX)) {
        let expected = expected_duration(&acknowledged, part);
        let moment = expected.mul_f64(fastrand::f64());
        killed += usize::from(kill_after(strongroom.start_snapshot(part)?, moment)?);
        let (snapshot, usage) = strongroom.snapshot(part)?;
        acknowledged.push((snapshot, part.clone(), usage.wall));
        if killed == kills {
            break;
        }
    }
    if killed < kills {
        return Err(not_shown("the archiver was killed often enough", format!("{killed} kills")));
    }
    strongroom.check()?.success()?;
    for (snapshot, part, _) in &acknowledged {
        restored_equal(&strongroom, snapshot, part, work)?;
    }
    Ok(format!("{killed} kills, {} acknowledged snapshots restored equal", acknowledged.len()))
}

/// Kills the KMS server `kills` times at random moments while a client makes keys and the archiver
/// archives; after each restart every acknowledged key works; at the end every acknowledged snapshot
/// restores equal.
///
/// # Errors
///
/// [`BenchError::NotShown`], or whatever failed.
pub fn kill_kms(kind: StoreKind, source: &Path, work: &Path, kills: usize) -> Shown {
    let store = Store::open(kind, work)?;
    let mut kms = Kms::start()?;
    let strongroom = Strongroom::create(&store, &kms, work)?;
    let keys = work.join("acknowledged-keys");
    std::fs::write(&keys, "").map_err(BenchError::file(&keys))?;
    let mut acknowledged = Vec::new();
    for part in parts(source)?.iter().cycle().take(kills) {
        let mut client = key_maker(&kms, "make", &keys)?;
        let mut archiver = strongroom.start_snapshot(part)?;
        std::thread::sleep(Duration::from_millis(fastrand::u64(..3_000)));
        kms.server.kill();
        // Both end by themselves: nobody answers.
        for child in [&mut client, &mut archiver] {
            end_within(child, Duration::from_secs(120))?;
        }
        kms.server.restart()?;
        let mut check = key_maker(&kms, "check", &keys)?;
        if !end_within(&mut check, Duration::from_secs(600))?.success() {
            return Err(not_shown("every acknowledged key works", "see above"));
        }
        let (snapshot, _) = strongroom.snapshot(part)?;
        acknowledged.push((snapshot, part.clone()));
    }
    for (snapshot, part) in &acknowledged {
        restored_equal(&strongroom, snapshot, part, work)?;
    }
    let keys = std::fs::read_to_string(&keys).map_err(BenchError::file(&keys))?.lines().count();
    Ok(format!(
        "{kills} kills, {keys} acknowledged keys work, {} acknowledged snapshots restored equal",
        acknowledged.len()
    ))
}

/// The folders at the top of a tree: what is archived between two kills.
fn parts(source: &Path) -> Result<Vec<PathBuf>, BenchError> {
    let mut parts = Vec::new();
    for entry in std::fs::read_dir(source).map_err(BenchError::file(source))? {
        let path = entry.map_err(BenchError::file(source))?.path();
        if path.is_dir() && !path.is_symlink() {
            parts.push(path);
        }
    }
    fastrand::shuffle(&mut parts);
    if parts.is_empty() {
        return Err(not_shown("the tree has folders at its top", "none"));
    }
    Ok(parts)
}

/// How long `part` took when it was archived last; before that, the longest that any part has taken, so that a
/// kill at a random moment of it hits most parts.
fn expected_duration(acknowledged: &[(String, PathBuf, Duration)], part: &Path) -> Duration {
    let last = acknowledged.iter().rev().find(|(_, archived, _)| archived == part);
    last.or_else(|| acknowledged.iter().max_by_key(|(_, _, wall)| *wall))
        .map_or(Duration::from_secs(1), |(_, _, wall)| *wall)
}

/// Kills a child after a while; returns whether it had not ended by itself.
fn kill_after(mut child: Child, moment: Duration) -> Result<bool, BenchError> {
    std::thread::sleep(moment);
    let failed = |source| BenchError::Run { command: "strongroom archive".to_owned(), source };
    let ended = child.try_wait().map_err(failed)?.is_some();
    if !ended {
        child.kill().map_err(failed)?;
    }
    child.wait().map_err(failed)?;
    Ok(!ended)
}

fn end_within(child: &mut Child, limit: Duration) -> Result<std::process::ExitStatus, BenchError> {
    let failed = |source| BenchError::Run { command: "a client of the KMS".to_owned(), source };
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            return Ok(status);
        }
        if started.elapsed() > limit {
            child.kill().map_err(failed)?;
            child.wait().map_err(failed)?;
            return Err(not_shown(
                "a client ends when the KMS is gone",
                format!("not in {limit:?}"),
            ));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A client that makes keys and notes each that was acknowledged, or checks that each of these works.
fn key_maker(kms: &Kms, what: &str, keys: &Path) -> Result<Child, BenchError> {
    let mut command = Command::new(Peer::PythonBoto3.find()?);
    command
        .args(["-c", include_str!("keys.py"), what, &kms.server.endpoint()])
        .args([&kms.key_store.key_store_id, &kms.key_store.key_arn])
        .arg(keys)
        .envs(kms.server.environment());
    let line = format!("keys.py {what}");
    command.spawn().map_err(|source| BenchError::Run { command: line, source })
}
