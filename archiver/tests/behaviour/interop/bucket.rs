//! A location in a bucket on a real S3 server: it round-trips, and every object in it opens with another
//! implementation of the AWS Encryption SDK and the CMK alone.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use strongroom_peers::{KmsServer, Minio, Peer, S3Server, SeaweedFs, require};

use super::esdk::{Direction, PythonSdk};

/// The bucket.
const BUCKET: &str = "archive";
/// The location's prefix in the bucket.
const PREFIX: &str = "location";
/// Bytes that no compression shortens: they appear in a pack's plaintext as they are.
const INCOMPRESSIBLE_BYTES: usize = 300_000;

#[test]
fn a_location_on_minio_round_trips_and_opens_with_another_sdk() {
    let scene = Scene::new(require!(Minio::start()), require!(KmsServer::start()));
    let Some(scene) = scene else { return };
    scene.archive_and_restore();
    scene.every_object_opens_with_python();
}

#[test]
fn a_location_on_seaweedfs_round_trips() {
    let scene = Scene::new(require!(SeaweedFs::start()), require!(KmsServer::start()));
    let Some(scene) = scene else { return };
    scene.archive_and_restore();
}

/// A store, a KMS with a key in a custom key store, and a small tree.
struct Scene {
    store: S3Server,
    kms: KmsServer,
    key_arn: String,
    folder: tempfile::TempDir,
}

impl Scene {
    fn new(store: S3Server, kms: KmsServer) -> Option<Self> {
        let key_arn = require!(kms.play_custom_key_store_story() => None).key_arn;
        store.create_bucket(BUCKET).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree/sub");
        std::fs::create_dir_all(&tree).unwrap();
        std::fs::write(tree.join("random"), incompressible()).unwrap();
        std::fs::write(tree.join("text"), "the quick brown fox\n".repeat(5_000)).unwrap();
        std::fs::write(tree.join("empty"), "").unwrap();
        std::os::unix::fs::symlink("text", tree.join("link")).unwrap();
        Some(Self { store, kms, key_arn, folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn archive_and_restore(&self) {
        let url = format!("s3://{BUCKET}/{PREFIX}");
        self.strongroom(&["location", "create", "main", &url, "--key", &self.key_arn]);
        let tree = self.path("tree");
        self.strongroom(&["archive", "--location", "main", path(&tree)]);
        let restored = self.path("restored");
        self.strongroom(&["restore", "--location", "main", "latest", path(&restored)]);
        self.strongroom(&["check", "--location", "main", "--read-data"]);
        let diff = Command::new("diff")
            .args(["-r", "--no-dereference", path(&tree), path(&restored)])
            .output()
            .unwrap();
        assert!(diff.status.success(), "{}", String::from_utf8_lossy(&diff.stdout));
    }

    /// Fetches every object with boto3 and opens it with the Python SDK, which knows only the CMK.
    fn every_object_opens_with_python(&self) {
        let python = require!(PythonSdk::new(&self.kms, &self.key_arn));
        let fetched = self.path("fetched");
        let keys = self.fetch_all(&require!(Peer::PythonBoto3.find()), &fetched);
        let files: Vec<_> = keys
            .iter()
            .filter(|key| !key.ends_with("/format"))
            .map(|key| (fetched.join(key), fetched.join(key).with_extension("opened")))
            .collect();
        let results = python.run(Direction::Decrypt, &files);
        let mut holders = 0;
        for ((sealed, opened), result) in files.iter().zip(&results) {
            let name = sealed.strip_prefix(fetched.join(PREFIX)).unwrap();
            assert_eq!(result["context"]["strongroom-object"], path(name), "{result}");
            holders += usize::from(contains(&std::fs::read(opened).unwrap(), &incompressible()));
        }
        assert_eq!(holders, 1, "one pack holds the incompressible file");
    }

    /// Saves every object of the bucket below a folder under its key, and returns the keys.
    fn fetch_all(&self, python: &Path, folder: &Path) -> Vec<String> {
        const SCRIPT: &str = "
import boto3, pathlib, sys
folder, bucket = pathlib.Path(sys.argv[1]), boto3.resource('s3').Bucket(sys.argv[2])
for item in bucket.objects.all():
    target = folder / item.key
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(bucket.meta.client.get_object(Bucket=bucket.name, Key=item.key)['Body'].read())
    print(item.key)
";
        let mut command = Command::new(python);
        command.args(["-c", SCRIPT, path(folder), BUCKET]).envs(self.store.environment());
        let output = succeeded(command);
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    fn strongroom(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
        command
            .args(arguments)
            .envs(self.store.environment())
            .envs(self.kms.environment())
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("XDG_CACHE_HOME", self.path("cache"));
        succeeded(command)
    }
}

fn succeeded(mut command: Command) -> Output {
    let output = command.output().unwrap();
    let said = [&output.stdout[..], &output.stderr].concat();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&said));
    output
}

/// The same bytes on every call: the output of a linear congruential generator.
fn incompressible() -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..INCOMPRESSIBLE_BYTES).map(|_| next()).collect()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    // Segments and chunks may cut the file: its first 4 KiB are enough to know it by.
    haystack.windows(4096).any(|window| window == &needle[..4096])
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
