//! The archiver killed at random moments: every acknowledged snapshot restores, and the location
//! stays whole (promises A1 and A2, the part that needs the real binary).

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::program::{ALIAS, Program};
use crate::support::pattern;

/// How many kills, where the environment does not say.
const KILLS: u32 = 4;

/// The variable that makes the run longer.
const KILLS_VARIABLE: &str = "STRONGROOM_KILLS";

#[test]
fn every_acknowledged_snapshot_survives_kill_9() {
    let program = strongroom_peers::require!(Program::start());
    let kills = std::env::var(KILLS_VARIABLE).ok().and_then(|text| text.parse().ok());
    let kills = kills.unwrap_or(KILLS);
    let tree = program.at("tree");
    fs::create_dir(&tree).unwrap();
    program.create_location();
    let (mut acknowledged, mut killed) = (Vec::new(), 0);
    let mut longest = Duration::from_millis(1500);
    for round in 0..kills {
        // Each round archives what no earlier one has, so that there is something to store.
        for number in 0..20 {
            let bytes = pattern(300_000 + usize::try_from(round * 100 + number).unwrap());
            let bytes = bytes.iter().map(|byte| byte ^ u8::try_from(round % 256).unwrap());
            fs::write(tree.join(format!("{round}-{number}")), bytes.collect::<Vec<u8>>()).unwrap();
        }
        let mut command = program.command(&["archive", tree.to_str().unwrap()]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(longest.mul_f64(random()));
        if child.try_wait().unwrap().is_none() {
            killed += 1;
        }
        // One that has ended already cannot be killed: the round then tests the snapshot only.
        let _ = child.kill();
        child.wait().unwrap();
        let started = Instant::now();
        acknowledged.push((program.archive(&tree), copy_names(&tree)));
        longest = started.elapsed().max(Duration::from_millis(300));
    }
    program.run(&["check", "--read-data"]).expect(0);
    for (snapshot, names) in &acknowledged {
        let target = tempfile::tempdir_in(&program.folder).unwrap();
        program.run(&["restore", snapshot, target.path().join("r").to_str().unwrap()]).expect(0);
        for name in names {
            let (restored, original) =
                (fs::read(target.path().join("r").join(name)), fs::read(tree.join(name)));
            assert!(restored.unwrap() == original.unwrap(), "{name} of {snapshot}");
        }
    }
    let count = acknowledged.len();
    let _ = writeln!(
        std::io::stderr(),
        "A1: {killed} of {kills} archives killed, {count} acknowledged snapshots restored, 0 lost"
    );
}

/// Archivers that run at once.
const WRITERS: usize = 4;

/// How long archivers and collectors are killed, where the environment does not say.
const SECONDS: u64 = 5;

/// The variable that makes it longer.
const SECONDS_VARIABLE: &str = "STRONGROOM_KILL_SECONDS";

/// A snapshot that a writer was told of, with a tree that is as it was then.
struct Acknowledged {
    snapshot: String,
    tree: PathBuf,
}

/// What happened meanwhile.
#[derive(Default)]
struct Tally {
    killed: AtomicU32,
    fenced: AtomicU32,
    collected: AtomicU32,
    forgotten: AtomicU32,
}

#[test]
fn four_writers_and_a_collector_survive_kill_9_in_a_folder() {
    let program = strongroom_peers::require!(Program::start());
    program.create_location();
    let slots = program.at("store").join("s");
    kill_writers_and_collector(&program, "folder", Some(&slots));
}

#[test]
fn four_writers_and_a_collector_survive_kill_9_in_minio() {
    let server = strongroom_peers::require!(strongroom_peers::Minio::start());
    let program = strongroom_peers::require!(Program::start());
    server.create_bucket("archives").unwrap();
    let create = ["location", "create", "bucket", "s3://archives/x", "--key", ALIAS];
    let endpoint = server.endpoint();
    program.run(&[&create[..], &["--endpoint", &endpoint]].concat()).expect(0);
    kill_writers_and_collector(&program, server.software(), None);
}

/// `slots` is the folder of the commits, where that is one: a snapshot is forgotten by hand there.
fn kill_writers_and_collector(program: &Program, store: &str, slots: Option<&Path>) {
    let seconds = std::env::var(SECONDS_VARIABLE).ok().and_then(|text| text.parse().ok());
    let until = Instant::now() + Duration::from_secs(seconds.unwrap_or(SECONDS));
    let tally = Tally::default();
    let acknowledged: Vec<Acknowledged> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                scope.spawn({
                    let tally = &tally;
                    move || write(program, writer, until, slots, tally)
                })
            })
            .collect();
        scope.spawn(|| collect(program, until, &tally));
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    program.run(&["prune", "--dead-after", "0s", "--max-unused", "0%"]).expect(0);
    program.run(&["check", "--read-data"]).expect(0);
    for Acknowledged { snapshot, tree } in &acknowledged {
        program.restored_equal(snapshot, tree);
    }
    let count = |counter: &AtomicU32| counter.load(Ordering::Relaxed);
    let _ = writeln!(
        std::io::stderr(),
        "A2: {store}: {WRITERS} writers and a collector, {} kills, {} fenced, {} collections, \
         {} forgotten, {} acknowledged snapshots, 0 lost, 0 corrupt",
        count(&tally.killed),
        count(&tally.fenced),
        count(&tally.collected),
        count(&tally.forgotten),
        acknowledged.len(),
    );
}

/// Archives tree after tree, is killed now and then, and forgets some of what was acknowledged.
fn write(
    program: &Program,
    writer: usize,
    until: Instant,
    slots: Option<&Path>,
    tally: &Tally,
) -> Vec<Acknowledged> {
    let mut acknowledged: Vec<Acknowledged> = Vec::new();
    for round in 0.. {
        if Instant::now() >= until {
            break;
        }
        let tree = program.at(&format!("tree-{writer}-{round}"));
        fs::create_dir(&tree).unwrap();
        // Some of it all writers have, some each has again and again, some is new each time.
        for (name, seed) in [("all", 0), ("own", writer + 1), ("new", 100 * (writer + 1) + round)] {
            fs::write(tree.join(name), scrambled(200_000, seed)).unwrap();
        }
        let ended =
            run_or_kill(program, &["archive", "--json", tree.to_str().unwrap()], 0.3, tally);
        let Some(ended) = ended else { continue };
        match ended.code {
            0 => {
                let json: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
                let snapshot = json["snapshot"].as_str().unwrap().to_owned();
                acknowledged.push(Acknowledged { snapshot, tree });
            }
            25 => drop(tally.fenced.fetch_add(1, Ordering::Relaxed)),
            _ => panic!("{ended:#?}"),
        }
        if let (Some(slots), true) = (slots, acknowledged.len() > 2 && random() < 0.5) {
            fs::remove_file(slots.join(acknowledged.remove(0).snapshot)).unwrap();
            tally.forgotten.fetch_add(1, Ordering::Relaxed);
        }
    }
    acknowledged
}

/// Collects over and over, and is killed now and then; takes writers for dead at once or soon.
fn collect(program: &Program, until: Instant, tally: &Tally) {
    while Instant::now() < until {
        let patience = if random() < 0.3 { "0s" } else { "2s" };
        let arguments = ["prune", "--dead-after", patience, "--max-unused", "0%"];
        if let Some(ended) = run_or_kill(program, &arguments, 0.4, tally) {
            assert!(ended.code == 0 || ended.code == 25, "{ended:#?}");
            tally.collected.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Runs the program to its end, or kills it at a random moment; then there is no end to tell of.
fn run_or_kill(
    program: &Program,
    arguments: &[&str],
    share: f64,
    tally: &Tally,
) -> Option<crate::program::Ended> {
    let mut command = program.command(arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    if random() < share {
        std::thread::sleep(Duration::from_millis(1500).mul_f64(random()));
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            child.wait().unwrap();
            tally.killed.fetch_add(1, Ordering::Relaxed);
            return None;
        }
    }
    Some(child.wait_with_output().unwrap().into())
}

/// Bytes that differ in every chunk from those of another seed.
fn scrambled(length: usize, seed: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn copy_names(tree: &Path) -> Vec<String> {
    let names = fs::read_dir(tree).unwrap();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// A number from 0 to 1 out of the system's randomness.
fn random() -> f64 {
    f64::from(u16::from_le_bytes([
        uuid::Uuid::new_v4().as_bytes()[0],
        uuid::Uuid::new_v4().as_bytes()[1],
    ])) / f64::from(u16::MAX)
}
