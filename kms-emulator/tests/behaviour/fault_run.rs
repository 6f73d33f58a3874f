//! K8: clients go on encrypting and decrypting while HSMs are killed, hung, tampered with, cut off, slowed,
//! throttled and replaced; then all are lost, and the keys come back from a backup.
//!
//! `STRONGROOM_FAULT_RUN_SECONDS` makes the run longer, `STRONGROOM_FAULT_RUN_SEED` repeats one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_hsm::Provider;
use strongroom_kms::admin::{AdminRequest, HsmReport, ask, ask_network};
use strongroom_kms::{DataDir, HsmFaults, HsmHosting, NetworkChange};
use tokio::sync::Mutex;

use crate::harness::Server;
use crate::story::Played;

const CLIENTS: usize = 8;
const KEYS: usize = 4;
const SECONDS_DEFAULT: u64 = 8;
/// Sessions that show that the KMS sends requests to an HSM: it opens a second one after that.
const SESSIONS_IN_USE: u32 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_survived_while_one_hsm_lives() {
    let run = Arc::new(Run::new().await);
    let clients: Vec<_> = (0..CLIENTS).map(|n| tokio::spawn(client(Arc::clone(&run), n))).collect();
    let (mut faults, mut dice) = (BTreeMap::new(), Dice::from_environment());
    let end = Instant::now()
        + Duration::from_secs(number("STRONGROOM_FAULT_RUN_SECONDS", SECONDS_DEFAULT));
    while Instant::now() < end {
        let survivor = run.next_survivor(&mut dice).await;
        for _ in 0..3 {
            let fault = run.inject(&survivor, &mut dice).await;
            *faults.entry(fault).or_insert(0) += 1;
        }
    }
    run.mend().await;
    run.is_over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    let lost = run.keys_lost().await;
    println!(
        "K8: faults {faults:?} (seed {}): {} operations done, {} failed, {} wrong results, {lost} keys lost",
        dice.seed,
        run.done.load(Ordering::Relaxed),
        run.failed.load(Ordering::Relaxed),
        run.wrong.load(Ordering::Relaxed),
    );
    assert_eq!(*run.failures.lock().await, Vec::<String>::new());
    assert_eq!(run.wrong.load(Ordering::Relaxed), 0);
    assert_eq!(lost, 0);
    assert!(faults.len() > 2 && run.done.load(Ordering::Relaxed) > 100);

    run.lose_every_hsm().await;
    assert_eq!(run.keys_lost().await, KEYS, "without HSMs there are no keys");
    run.recover().await;
    let lost = run.keys_lost().await;
    println!("K8: every HSM lost, the cluster made again from a backup: {lost} keys lost");
    assert_eq!(lost, 0);
}

/// Encrypts and decrypts until the run is over.
async fn client(run: Arc<Run>, number: usize) {
    let mut turn = number;
    while !run.is_over.load(Ordering::Relaxed) {
        let key = &run.keys[turn % KEYS];
        turn += 1;
        match run.round_trip(key).await {
            Ok(true) => run.done.fetch_add(2, Ordering::Relaxed),
            Ok(false) => run.wrong.fetch_add(1, Ordering::Relaxed),
            Err(error) => {
                run.failures.lock().await.push(error.to_string());
                run.failed.fetch_add(1, Ordering::Relaxed)
            }
        };
    }
}

struct Run {
    played: Played,
    data: PathBuf,
    keys: Vec<String>,
    /// A message under each key from before the first fault.
    messages: Vec<Value>,
    cluster: Mutex<String>,
    is_over: AtomicBool,
    done: AtomicUsize,
    failed: AtomicUsize,
    failures: Mutex<Vec<String>>,
    wrong: AtomicUsize,
    context: AtomicU64,
    _dir: tempfile::TempDir,
}

impl Run {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().to_owned();
        let server = Server::with(|config| {
            config.data_dir = DataDir::Persistent(data.clone());
            config.hsm_hosting =
                HsmHosting::Processes { program: env!("CARGO_BIN_EXE_strongroom-kms").into() };
        });
        let played = Played::on(server.await).await;
        let cluster = played.ending.cluster_id.clone();
        let mut run = Self {
            keys: vec![played.ending.key_arn.clone()],
            played,
            data,
            messages: Vec::new(),
            cluster: Mutex::new(cluster),
            is_over: AtomicBool::new(false),
            done: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
            failures: Mutex::default(),
            wrong: AtomicUsize::new(0),
            context: AtomicU64::new(0),
            _dir: dir,
        };
        while run.keys.len() < KEYS {
            run.keys.push(run.create_key().await);
        }
        for key in &run.keys {
            let input = json!({ "KeyId": key, "KeySpec": "AES_256" });
            run.messages.push(run.played.kms("GenerateDataKey", input).await.unwrap());
        }
        run.create_hsm('a').await;
        run
    }

    async fn create_key(&self) -> String {
        let store = &self.played.ending.custom_key_store_id;
        let input = json!({ "Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": store });
        let made = self.played.kms("CreateKey", input).await.unwrap();
        made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
    }

    /// Whether what was generated is what is decrypted.
    async fn round_trip(&self, key: &str) -> Result<bool, strongroom_kms::CallError> {
        let context = self.context.fetch_add(1, Ordering::Relaxed).to_string();
        let context = json!({ "operation": context });
        let input = json!({ "KeyId": key, "KeySpec": "AES_256", "EncryptionContext": context });
        let made = self.played.kms("GenerateDataKey", input).await?;
        let input =
            json!({ "CiphertextBlob": made["CiphertextBlob"], "EncryptionContext": context });
        let opened = self.played.kms("Decrypt", input).await?;
        Ok(opened["Plaintext"] == made["Plaintext"])
    }

    /// Keys that do not open their message from the beginning.
    async fn keys_lost(&self) -> usize {
        let mut lost = 0;
        for made in &self.messages {
            let input = json!({ "CiphertextBlob": made["CiphertextBlob"] });
            let opened = self.played.kms("Decrypt", input).await;
            if !opened.is_ok_and(|opened| opened["Plaintext"] == made["Plaintext"]) {
                lost += 1;
            }
        }
        lost
    }

    async fn hsms(&self) -> Vec<HsmReport> {
        let cluster = self.cluster.lock().await.clone();
        let all = ask(&self.data, &AdminRequest::List).await.unwrap();
        all.into_iter().filter(|hsm| hsm.cluster_id == cluster).collect()
    }

    /// Mends everything and picks the HSM that stays alive next, one that the KMS uses.
    async fn next_survivor(&self, dice: &mut Dice) -> String {
        self.mend().await;
        let hsms = self.hsms().await;
        let survivor = &hsms[dice.below(hsms.len())];
        for _ in 0..600 {
            let status = Provider::of_directory(&survivor.directory).status().await;
            let sessions =
                status.ok().and_then(|status| status.info).map_or(0, |info| info.sessions);
            if sessions >= SESSIONS_IN_USE {
                return survivor.hsm_id.clone();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the KMS does not use {}", survivor.hsm_id);
    }

    async fn mend(&self) {
        for hsm in self.hsms().await {
            if let Some(process) = hsm.process {
                signal("-CONT", process);
            }
            self.set(&hsm.hsm_id, HsmFaults::default()).await;
            ask(&self.data, &AdminRequest::Start(hsm.hsm_id.clone())).await.unwrap();
        }
        for hsm in self.hsms().await.iter().filter(|hsm| !hsm.is_active) {
            self.replace(hsm).await;
        }
    }

    async fn set(&self, hsm: &str, faults: HsmFaults) {
        let change = NetworkChange::SetHsm { hsm_id: hsm.to_owned(), faults };
        ask_network(&self.data, Some(change)).await.unwrap();
    }

    /// Does something to an HSM that is not the survivor, and lets it last a while.
    async fn inject(&self, survivor: &str, dice: &mut Dice) -> &'static str {
        let hsms = self.hsms().await;
        let victims: Vec<_> = hsms.iter().filter(|hsm| hsm.hsm_id != survivor).collect();
        let victim = victims[dice.below(victims.len())];
        let id = victim.hsm_id.clone();
        let faults = HsmFaults::default();
        let fault = match (dice.below(7), victim.process) {
            (0, Some(process)) => {
                signal("-KILL", process);
                "killed"
            }
            (1, Some(process)) => {
                signal("-STOP", process);
                "hung"
            }
            (2, _) => {
                self.set(&id, HsmFaults { partitioned: true, ..faults }).await;
                "partitioned"
            }
            (3, _) => {
                self.set(&id, HsmFaults { delay_millis: 250, ..faults }).await;
                "slowed"
            }
            (4, _) => {
                self.set(&id, HsmFaults { commands_per_second: 20, ..faults }).await;
                "throttled"
            }
            (5, _) if victim.is_active => {
                ask(&self.data, &AdminRequest::Tamper(id)).await.unwrap();
                "tampered"
            }
            _ => {
                self.replace(victim).await;
                "replaced"
            }
        };
        tokio::time::sleep(Duration::from_millis(100 + dice.below(300) as u64)).await;
        fault
    }

    async fn replace(&self, hsm: &HsmReport) {
        let zone = hsm.zone.chars().last().unwrap();
        if let Some(process) = hsm.process {
            // A process that was stopped does not notice that it is to end.
            signal("-CONT", process);
        }
        self.delete_hsm(hsm).await;
        self.create_hsm(zone).await;
    }

    async fn delete_hsm(&self, hsm: &HsmReport) {
        let input = json!({ "ClusterId": hsm.cluster_id, "HsmId": hsm.hsm_id });
        self.played.hsm("DeleteHsm", input).await.unwrap();
    }

    async fn create_hsm(&self, zone: char) {
        let cluster = self.cluster.lock().await.clone();
        let input = json!({ "ClusterId": cluster, "AvailabilityZone": format!("us-east-1{zone}") });
        self.played.hsm("CreateHsm", input).await.unwrap();
    }

    async fn lose_every_hsm(&self) {
        for hsm in self.hsms().await {
            ask(&self.data, &AdminRequest::Tamper(hsm.hsm_id.clone())).await.unwrap();
            self.delete_hsm(&hsm).await;
        }
    }

    /// Makes a cluster of the newest backup and moves the key store to it.
    async fn recover(&self) {
        let old = self.cluster.lock().await.clone();
        let filter = json!({ "Filters": { "clusterIds": [old] } });
        let backups = self.played.hsm("DescribeBackups", filter).await.unwrap();
        let input = json!({
            "HsmType": "hsm1.medium", "SubnetIds": ["subnet-0000000a", "subnet-0000000b"],
            "SourceBackupId": backups["Backups"][0]["BackupId"],
        });
        let made = self.played.hsm("CreateCluster", input).await.unwrap();
        let new = made["Cluster"]["ClusterId"].as_str().unwrap().to_owned();
        self.cluster.lock().await.clone_from(&new);
        self.create_hsm('a').await;
        self.create_hsm('b').await;
        self.played.store("DisconnectCustomKeyStore").await.unwrap();
        let store = &self.played.ending.custom_key_store_id;
        let update = json!({ "CustomKeyStoreId": store, "CloudHsmClusterId": new });
        self.played.kms("UpdateCustomKeyStore", update).await.unwrap();
        // The backup was taken while the store was connected, so that its password is the store's.
        assert_eq!(self.played.connect().await, "CONNECTED");
    }
}

fn signal(which: &str, process: u32) {
    // One that has ended already is as good.
    let _ = Command::new("kill").args([which, &process.to_string()]).output();
}

/// Numbers that a seed repeats (xorshift64*).
struct Dice {
    seed: u64,
    state: u64,
}

impl Dice {
    fn from_environment() -> Self {
        let seed = number("STRONGROOM_FAULT_RUN_SEED", uuid::Uuid::new_v4().as_u64_pair().0 | 1);
        Self { seed, state: seed }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// An HSM that hangs keeps its connections open and answers nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_hung_hsm_holds_nobody_up_for_long() {
    let run = Run::new().await;
    let survivor = run.next_survivor(&mut Dice { seed: 1, state: 1 }).await;
    for hsm in run.hsms().await.iter().filter(|hsm| hsm.hsm_id != survivor) {
        signal("-STOP", hsm.process.unwrap());
    }
    let patience = Duration::from_secs(15);
    for _ in 0..20 {
        let round_trip = tokio::time::timeout(patience, run.round_trip(&run.keys[0]));
        assert!(round_trip.await.expect("an HSM that hangs holds a caller").unwrap());
    }
    let describe = run.played.hsm("DescribeClusters", json!({}));
    let shown = tokio::time::timeout(patience, describe).await.unwrap().unwrap();
    let states: Vec<_> = shown["Clusters"][0]["Hsms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hsm| hsm["State"].as_str().unwrap())
        .collect();
    assert_eq!(states.iter().filter(|state| **state == "DEGRADED").count(), 2, "{states:?}");
    let disconnect = run.played.store("DisconnectCustomKeyStore");
    tokio::time::timeout(patience, disconnect).await.unwrap().unwrap();
    run.mend().await;
    assert_eq!(run.played.connect().await, "CONNECTED");
    assert_eq!(run.keys_lost().await, 0);
}
