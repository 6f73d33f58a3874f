//! The archiver killed at random moments: every acknowledged snapshot restores, and the location
//! stays whole (promise A1, the part that needs the real binary).

use std::fs;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use crate::program::Program;
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
        let started = std::time::Instant::now();
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

fn copy_names(tree: &std::path::Path) -> Vec<String> {
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
