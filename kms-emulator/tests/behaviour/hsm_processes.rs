//! HSMs as processes of a real server: power failures, the server's own death, and where key bytes are.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use aws_sdk_kms::Client;
use aws_sdk_kms::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kms::error::ProvideErrorMetadata;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{ConnectionStateType, DataKeySpec};
use serde_json::{Value, json};
use strongroom_kms::admin::{AdminRequest, HsmReport, ask};
use strongroom_peers::{CustomKeyStore, KmsServer, PeerError, require};

use crate::harness::exchange;
use crate::marker::{self, Marker};
use crate::signer::{RawRequest, Signer};

/// A server process on which boto3, openssl and the management tool have played the story.
struct Played {
    server: KmsServer,
    story: CustomKeyStore,
    client: Client,
}

impl Played {
    fn new() -> Result<Self, PeerError> {
        let server = KmsServer::start()?;
        let story = server.play_custom_key_store_story()?;
        let client = client(&server);
        Ok(Self { server, story, client })
    }

    fn data_dir(&self) -> PathBuf {
        self.server.folder().join("data")
    }

    async fn hsms(&self) -> Vec<HsmReport> {
        ask(&self.data_dir(), &AdminRequest::List).await.unwrap()
    }

    async fn encrypt(&self) -> Result<Blob, String> {
        let reply = self
            .client
            .generate_data_key_without_plaintext()
            .key_id(&self.story.alias)
            .key_spec(DataKeySpec::Aes256)
            .send()
            .await;
        match reply {
            Ok(made) => Ok(made.ciphertext_blob().unwrap().clone()),
            Err(error) => Err(format!(
                "{}: {}",
                error.code().unwrap_or("no answer"),
                error.message().unwrap_or_default()
            )),
        }
    }

    async fn decrypt(&self, blob: &Blob) -> Result<(), String> {
        let reply = self.client.decrypt().ciphertext_blob(blob.clone()).send().await;
        reply.map(drop).map_err(|error| error.code().unwrap_or("no answer").to_owned())
    }

    /// Waits until requests succeed, and returns how long that took.
    async fn recovers(&self) -> Duration {
        let start = Instant::now();
        loop {
            match self.encrypt().await {
                Ok(_) => return start.elapsed(),
                Err(error) if start.elapsed() > Duration::from_secs(30) => panic!("{error}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// Replies to operations of every kind, as they come over the wire.
    fn replies(&self) -> Vec<(String, Vec<u8>)> {
        let key = json!({ "KeyId": self.story.alias });
        let data_key = json!({ "KeyId": self.story.alias, "KeySpec": "AES_256" });
        let store = json!({ "CustomKeyStoreId": self.story.key_store_id });
        let random = json!({ "CustomKeyStoreId": self.story.key_store_id, "NumberOfBytes": 1_024 });
        let mut replies = Vec::new();
        for (target, input) in [
            ("TrentService.DescribeKey", &key),
            ("TrentService.GenerateDataKey", &data_key),
            ("TrentService.GenerateDataKeyWithoutPlaintext", &data_key),
            ("TrentService.GenerateRandom", &random),
            ("TrentService.DescribeCustomKeyStores", &store),
            ("TrentService.ListKeys", &json!({})),
            ("TrentService.ListAliases", &json!({})),
            ("TrentService.GetPublicKey", &key),
            ("BaldrApiService.DescribeClusters", &json!({})),
            ("BaldrApiService.DescribeBackups", &json!({})),
        ] {
            replies.push((target.to_owned(), self.send(target, input)));
        }
        let made: Value = serde_json::from_slice(&replies[1].1).unwrap();
        let sealed = json!({ "CiphertextBlob": made["CiphertextBlob"] });
        let opened = self.send("TrentService.Decrypt", &sealed);
        assert!(String::from_utf8_lossy(&opened).contains("Plaintext"));
        replies.push(("TrentService.Decrypt".to_owned(), opened));
        replies
    }

    fn send(&self, target: &str, input: &Value) -> Vec<u8> {
        let value = |name: &str| {
            let environment = self.server.environment();
            environment.into_iter().find(|(key, _)| *key == name).unwrap().1
        };
        let service = if target.starts_with("Baldr") { "cloudhsm" } else { "kms" };
        let signer = Signer {
            access_key_id: value("AWS_ACCESS_KEY_ID"),
            secret: value("AWS_SECRET_ACCESS_KEY"),
            region: value("AWS_REGION"),
            service: service.to_owned(),
        };
        let endpoint = self.server.endpoint();
        let host = endpoint.trim_start_matches("http://");
        let request = RawRequest::json(host, target, &input.to_string());
        exchange(host, &signer.sign(&request).to_bytes()).body
    }

    async fn connection(&self) -> ConnectionStateType {
        let reply = self.client.describe_custom_key_stores().send().await.unwrap();
        reply.custom_key_stores()[0].connection_state().unwrap().clone()
    }
}

fn client(server: &KmsServer) -> Client {
    let value = |name: &str| {
        let environment = server.environment();
        environment.into_iter().find(|(key, _)| *key == name).unwrap().1
    };
    let credentials = Credentials::new(
        value("AWS_ACCESS_KEY_ID"),
        value("AWS_SECRET_ACCESS_KEY"),
        None,
        None,
        "test",
    );
    let config = aws_sdk_kms::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(value("AWS_REGION")))
        .endpoint_url(server.endpoint())
        .credentials_provider(credentials)
        .retry_config(aws_sdk_kms::config::retry::RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}

/// Pulls the plug of a process.
fn kill(process: u32) {
    let status = Command::new("kill").args(["-9", &process.to_string()]).status().unwrap();
    assert!(status.success());
}

fn lives(process: u32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // A killed process whose parent has not asked about it yet is a zombie.
    state.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.contains(" Z "))
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_fail_without_hsms_and_work_again_with_one() {
    let played = require!(tokio::task::block_in_place(Played::new));
    let blob = played.encrypt().await.unwrap();
    let hsms = played.hsms().await;
    assert_eq!(hsms.iter().filter(|hsm| hsm.is_active).count(), 2, "{hsms:?}");

    kill(hsms[0].process.unwrap());
    for _ in 0..10 {
        played.decrypt(&blob).await.unwrap();
    }
    kill(hsms[1].process.unwrap());
    let refusal = played.encrypt().await.unwrap_err();
    assert_eq!(
        refusal,
        "KMSInvalidStateException: KMS cannot communicate with your CloudHSM cluster"
    );
    assert_eq!(played.decrypt(&blob).await.unwrap_err(), "KMSInvalidStateException");
    assert_eq!(played.connection().await, ConnectionStateType::Connected);

    // By the command that an operator uses.
    let start = Command::new(played.server.program())
        .args(["hsm", "start", &hsms[1].hsm_id, "--data-dir"])
        .arg(played.data_dir())
        .output()
        .unwrap();
    assert!(start.status.success(), "{start:?}");
    assert!(String::from_utf8_lossy(&start.stdout).contains("ACTIVE"), "{start:?}");
    played.recovers().await;
    played.decrypt(&blob).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_takes_its_hsms_along_and_comes_back_with_them() {
    let mut played = require!(tokio::task::block_in_place(Played::new));
    let blob = played.encrypt().await.unwrap();
    let before = played.hsms().await;
    // Only the server: its HSMs have to notice by themselves.
    kill(played.server.id());
    let deadline = Instant::now() + Duration::from_secs(10);
    while before.iter().any(|hsm| hsm.process.is_some_and(lives)) {
        assert!(Instant::now() < deadline, "an HSM outlives its server");
        std::thread::sleep(Duration::from_millis(20));
    }
    tokio::task::block_in_place(|| played.server.restart()).unwrap();
    assert_eq!(played.connection().await, ConnectionStateType::Connected);
    played.decrypt(&blob).await.unwrap();
    assert_eq!(played.hsms().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_while_it_rotates_the_password_connects_again() {
    const KILLS: u64 = 6;
    let mut played = require!(tokio::task::block_in_place(Played::new));
    let blob = played.encrypt().await.unwrap();
    let store = played.story.key_store_id.clone();
    for round in 0..KILLS {
        let settled = settle(&played).await;
        assert_eq!(settled, ConnectionStateType::Connected, "round {round}");
        let disconnect = played.client.disconnect_custom_key_store().custom_key_store_id(&store);
        disconnect.send().await.unwrap();
        played.client.connect_custom_key_store().custom_key_store_id(&store).send().await.unwrap();
        // A connection takes some hundreds of milliseconds: four derivations of a password.
        tokio::time::sleep(Duration::from_millis(round * 150)).await;
        kill(played.server.id());
        tokio::task::block_in_place(|| played.server.restart()).unwrap();
    }
    assert_eq!(settle(&played).await, ConnectionStateType::Connected);
    played.decrypt(&blob).await.unwrap();
    report(&format!("password rotation: {KILLS} kills of the server, connected again after each"));
}

async fn settle(played: &Played) -> ConnectionStateType {
    for _ in 0..600 {
        match played.connection().await {
            ConnectionStateType::Connecting => tokio::time::sleep(Duration::from_millis(100)).await,
            settled => return settled,
        }
    }
    ConnectionStateType::Connecting
}

/// K3. The marker is the key itself: the test opens the sealed state of a device as only the device
/// should, and looks for the key everywhere else.
#[tokio::test(flavor = "multi_thread")]
async fn key_bytes_are_in_no_file_no_reply_and_not_in_the_memory_of_the_kms() {
    let played = require!(tokio::task::block_in_place(Played::new));
    played.encrypt().await.unwrap();
    let hsms = played.hsms().await;
    let key = marker::key_in(&hsms[0].directory);
    assert_eq!(key, marker::key_in(&hsms[1].directory), "both HSMs have the same key");
    let marker = Marker::of(&key);
    let replies = played.replies();
    for (operation, reply) in &replies {
        assert!(!marker.is_in(reply), "the key is in a reply to {operation}");
    }
    let mut places = 0_usize;
    for file in files(&played.data_dir()) {
        let bytes = std::fs::read(&file).unwrap_or_default();
        assert!(!marker.is_in(&bytes), "the key is in {}", file.display());
        places += 1;
    }
    assert!(!marker.is_in(played.server.log().as_bytes()));
    let (Some(kms), Some(device)) = (memory(played.server.id()), memory(hsms[0].process.unwrap()))
    else {
        report("skipped in part: K3 is shown for files, not for memory, which cannot be read here");
        return;
    };
    assert!(marker.is_in(&device), "the search finds the key where it is");
    assert!(!marker.is_in(&kms), "the key is in the memory of the KMS");
    let (megabytes, replies) = (kms.len() / 1_000_000, replies.len());
    report(&format!(
        "K3: {places} files with logs and audit records, {replies} replies and {megabytes} MB of \
         memory of the KMS searched: 0 hits; found in the memory of the HSM"
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_of_an_hsm_is_locked_or_its_operator_is_told() {
    let played = require!(tokio::task::block_in_place(Played::new));
    let told = played.server.log().contains("may be swapped out");
    for hsm in played.hsms().await {
        let process = hsm.process.unwrap();
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
        let kilobytes: u64 = locked.trim().trim_end_matches(" kB").parse().unwrap();
        assert_eq!(kilobytes == 0, told, "{kilobytes} kB are locked: {}", played.server.log());
        report(&format!("HSM: {kilobytes} kB of memory locked"));
    }
    played.encrypt().await.unwrap();
}

/// The readable memory of a process, if the system lets us.
fn memory(process: u32) -> Option<Vec<u8>> {
    use std::os::unix::fs::FileExt;
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).ok()?;
    let memory = std::fs::File::open(format!("/proc/{process}/mem")).ok()?;
    let mut all = Vec::new();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next()?, words.next()?);
        if !rights.starts_with("rw") || line.ends_with("[vvar]") {
            continue;
        }
        let (start, end) = range.split_once('-')?;
        let start = u64::from_str_radix(start, 16).ok()?;
        let end = u64::from_str_radix(end, 16).ok()?;
        let mut piece = vec![0; usize::try_from(end - start).ok()?];
        // Pages that are reserved and not there cannot be read.
        let read = memory.read_at(&mut piece, start).unwrap_or(0);
        all.extend_from_slice(&piece[..read]);
    }
    Some(all)
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => found.extend(files(&entry.path())),
            kind if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found
}

fn report(line: &str) {
    // Past the harness, which would keep what a passing test prints.
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}
