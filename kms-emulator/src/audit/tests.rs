//! The trail on disk: growth, unclean ends, failing disks, and every way to tamper with it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use super::digest::SigningKey;
use super::files::Trail;
use super::record::{Actor, Event};
use super::{BrokenLink, newest_records, verify};
use crate::auth::Peer;
use crate::clock::Timestamp;
use crate::policy::Principal;
use crate::protocol::{Fault, FaultCode};

const START: i64 = 1_767_225_600;

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis((START + second) * 1_000)
}

fn event(second: i64) -> Event {
    let principal = Arc::new(Principal::root("111122223333".parse().unwrap()));
    let actor = Actor::Caller(principal, None);
    let region = "us-east-1".parse().unwrap();
    let mut event = Event::call(at(second), "kms", region, actor, Peer::default(), Uuid::nil());
    let fault = Fault::new(FaultCode::NotFoundException, "a\nb");
    event.complete(
        super::record::Exchange { operation: "DescribeKey", request: b"{}", outcome: Err(&fault) },
        &[],
    );
    event
}

fn open(dir: &Path) -> Trail {
    let key = SigningKey::open(&dir.join("key.pem")).unwrap();
    Trail::open(&dir.join("audit"), key, at(1_000)).unwrap()
}

/// A trail of three closed log files with two records each.
fn trail(dir: &Path) {
    let mut trail = open(dir);
    for file in 0..3 {
        let (first, second) = (event(file * 10), event(file * 10 + 1));
        trail.append([&first].into_iter(), at(file * 10)).unwrap();
        trail.append([&second].into_iter(), at(file * 10)).unwrap();
        trail.close_log(at(file * 10 + 5)).unwrap();
    }
}

fn check(dir: &Path) -> Result<super::Verification, BrokenLink> {
    verify(&dir.join("audit"), None).unwrap()
}

fn files(dir: &Path) -> BTreeMap<String, PathBuf> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![dir.join("audit")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir.join("audit")).unwrap();
                found.insert(name.to_str().unwrap().to_owned(), path);
            }
        }
    }
    found
}

#[test]
fn a_whole_trail() {
    let dir = tempfile::tempdir().unwrap();
    trail(dir.path());
    let found = check(dir.path()).unwrap();
    assert_eq!((found.digests, found.records, found.open), (3, 6, None));
    assert_eq!(found.newest.unwrap().0, "digests/2026/01/01/00000003.json");
    let records = newest_records(&dir.path().join("audit"), 3).unwrap();
    let times: Vec<_> =
        records.iter().map(|record| super::files::event_time(record.as_bytes())).collect();
    assert_eq!(times, [Some(at(11)), Some(at(20)), Some(at(21))]);
}

#[test]
fn the_chain_goes_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    trail(dir.path());
    let mut again = open(dir.path());
    again.append([&event(50)].into_iter(), at(50)).unwrap();
    assert_eq!(check(dir.path()).unwrap().open.as_deref(), Some("logs/2026/01/01/00000004.json"));
    again.close_log(at(51)).unwrap();
    let found = check(dir.path()).unwrap();
    assert_eq!((found.digests, found.records, found.left_open.len()), (4, 7, 0));
}

#[test]
fn every_change_of_every_file_is_found_and_named() {
    let whole = tempfile::tempdir().unwrap();
    trail(whole.path());
    let mut tried = 0;
    for (name, path) in files(whole.path()) {
        // What is laid there anew proves nothing; a key that is kept elsewhere is the remedy.
        if name == "public-key.pem" {
            continue;
        }
        let content = fs::read(&path).unwrap();
        let mut forged = vec![None, Some(Vec::new()), Some([&content[..], b" "].concat())];
        for position in (0..content.len()).step_by(content.len() / 24 + 1) {
            let mut flipped = content.clone();
            flipped[position] ^= 1;
            forged.push(Some(flipped));
        }
        for forgery in forged {
            match forgery {
                None => fs::remove_file(&path).unwrap(),
                Some(bytes) => fs::write(&path, bytes).unwrap(),
            }
            let link = check(whole.path()).expect_err(&name);
            let number = name.split('/').next_back().unwrap().split('.').next().unwrap();
            let next = format!("{:08}", number.parse::<u64>().unwrap() + 1);
            // Of a digest that is gone the next one tells, if there is one; else its log file.
            assert!(link.file.contains(number) || link.file.contains(&next), "{name}: {link}");
            fs::write(&path, &content).unwrap();
            tried += 1;
        }
    }
    assert!(check(whole.path()).is_ok());
    println!("audit: {tried} changes of closed files, 0 unnoticed");
}

#[test]
fn another_key_is_found() {
    let dir = tempfile::tempdir().unwrap();
    trail(dir.path());
    let pinned = dir.path().join("pinned.pem");
    fs::copy(dir.path().join("audit/public-key.pem"), &pinned).unwrap();
    // A forger without the key writes the whole trail anew, with a key of his own.
    fs::remove_dir_all(dir.path().join("audit")).unwrap();
    fs::remove_file(dir.path().join("key.pem")).unwrap();
    trail(dir.path());
    assert!(check(dir.path()).is_ok());
    let link = verify(&dir.path().join("audit"), Some(&pinned)).unwrap().unwrap_err();
    assert!(link.reason.contains("another key"), "{link}");
}

#[test]
fn files_that_change_places_are_found() {
    let dir = tempfile::tempdir().unwrap();
    trail(dir.path());
    let path = |name: &str| dir.path().join("audit").join(name);
    for suffix in ["", ".sig"] {
        let (a, b) = ("digests/2026/01/01/00000001.json", "digests/2026/01/01/00000002.json");
        let (a, b) = (path(&format!("{a}{suffix}")), path(&format!("{b}{suffix}")));
        let (first, second) = (fs::read(&a).unwrap(), fs::read(&b).unwrap());
        fs::write(a, second).unwrap();
        fs::write(b, first).unwrap();
    }
    assert!(check(dir.path()).is_err());
}

#[test]
fn whatever_of_the_last_log_survives_a_crash_is_closed_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut running = open(dir.path());
    let events: Vec<Event> = (0..4).map(event).collect();
    running.append(events.iter(), at(0)).unwrap();
    drop(running);
    let log = dir.path().join("audit/logs/2026/01/01/00000001.json");
    let whole = fs::read(&log).unwrap();
    let points = (0..=whole.len()).step_by(37).chain([whole.len()]);
    let (mut tried, mut kept) = (0, 0);
    for point in points {
        let after = tempfile::tempdir().unwrap();
        fs::copy(dir.path().join("key.pem"), after.path().join("key.pem")).unwrap();
        let log = after.path().join("audit/logs/2026/01/01/00000001.json");
        fs::create_dir_all(log.parent().unwrap()).unwrap();
        fs::write(&log, &whole[..point]).unwrap();
        drop(open(after.path()));
        let found = check(after.path()).unwrap();
        assert_eq!((found.digests, found.left_open.len()), (1, 1), "at {point}");
        assert!(found.records >= kept, "at {point}");
        kept = found.records;
        tried += 1;
    }
    assert_eq!(kept, 4);
    println!("audit: {tried} crash points, each found whole after the next start");
}

#[test]
fn a_crash_between_a_log_and_its_digest() {
    let dir = tempfile::tempdir().unwrap();
    trail(dir.path());
    fs::remove_file(dir.path().join("audit/digests/2026/01/01/00000003.json")).unwrap();
    drop(open(dir.path()));
    let found = check(dir.path()).unwrap();
    assert_eq!((found.digests, found.records), (3, 6));
    assert_eq!(found.left_open, ["logs/2026/01/01/00000003.json"]);
}

#[test]
fn strangers_cannot_fill_the_disk() {
    let (queue, _receiver) = super::queue::channel(super::OnFailure::Refuse);
    let recorded = |second| (0..100).filter(|_| queue.records_stranger(at(second))).count();
    assert_eq!((recorded(0), recorded(1)), (20, 20));
}
