//! The guide's page on troubleshooting a custom key store, row by row: each cause is provoked and its
//! outcome checked.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_hsm::server::{CLIENT_PORT, MANAGEMENT_PORT};
use strongroom_hsm::{Client, Password, Role};
use strongroom_kms::admin::{AdminRequest, ask, ask_network};
use strongroom_kms::clock::{Clock, ManualClock, SystemClock, Timestamp};
use strongroom_kms::story::{self, CustomerCa, Ending, Plot, Step};
use strongroom_kms::{CallError, DataDir, HsmFaults, NetworkChange};

use crate::harness::Server;
use crate::story::{Played, code};

const ROWS: usize = 25;
const KMSUSER_PASSWORD: &str = "knownToUs1";
const ALL_PORTS: [u16; 3] = [2_223, 2_224, 2_225];
const DAY_SECONDS: i64 = 86_400;

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_the_troubleshooting_table() {
    let mut table = Table::new().await;
    table.at_creation().await;
    table.on_the_network().await;
    table.with_sessions_taken().await;
    table.while_disconnected().await;
    table.with_kmsuser().await;
    table.with_material_deleted().await;
    table.with_fewer_hsms().await;
    table.at_the_end().await;
    let failed: Vec<_> = table.rows.iter().filter(|row| row.seen != row.expected).collect();
    for row in &failed {
        println!("{}: expected {}, seen {}", row.cause, row.expected, row.seen);
    }
    println!("{} passed, {} failed", table.rows.len() - failed.len(), failed.len());
    assert!(failed.is_empty());
    assert_eq!(table.rows.len(), ROWS);
}

/// A cause, and what became of it.
struct Row {
    cause: &'static str,
    expected: String,
    seen: String,
}

struct Table {
    rows: Vec<Row>,
    played: Played,
    clock: Arc<ManualClock>,
    data: PathBuf,
    _dir: tempfile::TempDir,
}

impl Table {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let now = Timestamp::from_millis(SystemClock.now().as_millis());
        let clock = Arc::new(ManualClock::new(now));
        let (data, given) = (dir.path().to_owned(), Arc::clone(&clock));
        let server = Server::with(|config| {
            config.data_dir = DataDir::Persistent(data.clone());
            config.clock = given;
        });
        let played = Played::on(server.await).await;
        Self { rows: Vec::new(), played, clock, data, _dir: dir }
    }

    fn row(&mut self, cause: &'static str, expected: &str, seen: impl Into<String>) {
        self.rows.push(Row { cause, expected: expected.to_owned(), seen: seen.into() });
    }

    async fn change_network(&self, change: NetworkChange) {
        ask_network(&self.data, Some(change)).await.unwrap();
    }

    async fn set_hsms(&self, faults: HsmFaults) {
        for hsm_id in self.played.ending.hsm_ids.clone() {
            self.change_network(NetworkChange::SetHsm { hsm_id, faults }).await;
        }
    }

    async fn ports(&self, are_open: bool) {
        let cluster_id = self.played.ending.cluster_id.clone();
        let ports = ALL_PORTS.into();
        self.change_network(match are_open {
            true => NetworkChange::OpenPorts { cluster_id, ports },
            false => NetworkChange::ClosePorts { cluster_id, ports },
        })
        .await;
    }

    async fn power(&self, request: fn(String) -> AdminRequest) {
        for id in &self.played.ending.hsm_ids {
            ask(&self.data, &request(id.clone())).await.unwrap();
        }
    }

    async fn create_store(&self, name: &str, cluster: &str, anchor: &str) -> String {
        let input = json!({
            "CustomKeyStoreName": name, "CloudHsmClusterId": cluster,
            "TrustAnchorCertificate": anchor, "KeyStorePassword": KMSUSER_PASSWORD,
        });
        outcome(self.played.kms("CreateCustomKeyStore", input).await)
    }

    async fn create_key(&self) -> Result<Value, CallError> {
        let store = &self.played.ending.custom_key_store_id;
        let input = json!({ "Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": store });
        self.played.kms("CreateKey", input).await
    }

    async fn disconnect(&self) {
        self.played.store("DisconnectCustomKeyStore").await.unwrap();
    }

    /// Uses the key: `OK`, or the code of the refusal.
    async fn round_trip(&self) -> String {
        match self.played.round_trip().await {
            Ok(()) => "OK".to_owned(),
            Err(error) => error.code,
        }
    }

    /// Waits until the key can be used.
    async fn recovers(&self) -> String {
        for _ in 0..200 {
            if self.played.round_trip().await.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.round_trip().await
    }

    async fn kmsuser(&self, index: usize) -> Client {
        let client = self.played.client(index).await;
        let password = Password::new(KMSUSER_PASSWORD).unwrap();
        client.login(Role::CryptoUser, "kmsuser", password).await.unwrap();
        client
    }

    /// Deletes the keys of `kmsuser` on one HSM, all or those with a label.
    async fn delete_keys(&self, index: usize, label: Option<&str>) -> usize {
        let client = self.kmsuser(index).await;
        let handles = match label {
            Some(label) => client.find_keys(label).await.unwrap(),
            None => client.find_all_keys().await.unwrap(),
        };
        for handle in &handles {
            client.delete_key(*handle).await.unwrap();
        }
        client.logout().await.unwrap();
        handles.len()
    }

    async fn at_creation(&mut self) {
        let (cluster, own) = {
            let ending = &self.played.ending;
            (ending.cluster_id.clone(), ending.customer_ca.certificate().to_owned())
        };
        let other = CustomerCa::generate(self.clock.now()).await.unwrap();
        let seen = self.create_store("x", &cluster, other.certificate()).await;
        self.row("the trust anchor is another", "IncorrectTrustAnchorException", seen);
        let made = json!({ "HsmType": "hsm1.medium", "SubnetIds": ["subnet-0000000a"] });
        let made = self.played.hsm("CreateCluster", made).await.unwrap();
        let fresh = made["Cluster"]["ClusterId"].as_str().unwrap();
        let seen = self.create_store("x", fresh, &own).await;
        self.row("the cluster is not active", "CloudHsmClusterNotActiveException", seen);
        let cluster = json!({ "ClusterId": fresh });
        self.played.hsm("DeleteCluster", cluster).await.unwrap();
    }

    async fn on_the_network(&mut self) {
        self.power(AdminRequest::Stop).await;
        let error = self.played.round_trip().await.unwrap_err();
        let seen = format!("{}: {}", error.code, error.message);
        let expected =
            "KMSInvalidStateException: KMS cannot communicate with your CloudHSM cluster";
        self.row("no HSM answers a connected store", expected, seen);
        self.power(AdminRequest::Start).await;
        assert_eq!(self.recovers().await, "OK");

        let invalid = "CloudHsmClusterInvalidConfigurationException";
        self.ports(false).await;
        let (ca, cluster) = {
            let ending = &self.played.ending;
            (ending.customer_ca.certificate().to_owned(), ending.cluster_id.clone())
        };
        let create = self.create_store("x", &cluster, &ca).await;
        let key = code(self.create_key().await);
        self.disconnect().await;
        let connect = code(self.played.store("ConnectCustomKeyStore").await);
        let stays = self.played.connection().await;
        let seen = format!("{create} {key} {connect} {stays}");
        let expected = format!("{invalid} {invalid} {invalid} DISCONNECTED");
        self.row("the security group has lost its ports", &expected, seen);
        self.ports(true).await;

        let cut = HsmFaults { partitioned: true, ..HsmFaults::default() };
        self.set_hsms(cut).await;
        let seen = self.played.connect().await;
        self.row("the network does not carry anything", "FAILED NETWORK_ERRORS", seen);
        self.set_hsms(HsmFaults::default()).await;
        assert_eq!(self.played.reconnect().await, "CONNECTED");
    }

    async fn with_sessions_taken(&mut self) {
        let taken = HsmFaults { occupied_sessions: 1_024, ..HsmFaults::default() };
        self.set_hsms(taken).await;
        self.power(AdminRequest::Stop).await;
        self.power(AdminRequest::Start).await;
        let seen = self.round_trip().await;
        self.row("no session is left", "KMSInternalException", seen);
        let seen = self.played.reconnect().await;
        self.row("the KMS fails inside", "FAILED INTERNAL_ERROR", seen);
        self.set_hsms(HsmFaults::default()).await;
        assert_eq!(self.played.reconnect().await, "CONNECTED");
        assert_eq!(self.round_trip().await, "OK");
    }

    async fn while_disconnected(&mut self) {
        let created = self.create_key().await.unwrap();
        let second = created["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
        let deletion = json!({ "KeyId": second, "PendingWindowInDays": 7 });
        self.played.kms("ScheduleKeyDeletion", deletion).await.unwrap();
        self.disconnect().await;
        let invalid = "CustomKeyStoreInvalidStateException";
        let store = self.played.ending.custom_key_store_id.clone();
        let random = json!({ "NumberOfBytes": 8, "CustomKeyStoreId": store });
        let random = code(self.played.kms("GenerateRandom", random).await);
        let key = code(self.create_key().await);
        self.row(
            "CreateKey and GenerateRandom need a connected store",
            &format!("{invalid} {invalid}"),
            format!("{key} {random}"),
        );
        let (used, state) = (self.round_trip().await, self.played.key_state().await);
        let pending = self.state_of(&second).await;
        let own = json!({ "KeyId": self.played.ending.key_arn });
        self.played.kms("DisableKey", own.clone()).await.unwrap();
        let still = self.played.key_state().await;
        assert_eq!(self.played.connect().await, "CONNECTED");
        let after = self.played.key_state().await;
        self.played.kms("EnableKey", own).await.unwrap();
        self.row(
            "keys of a disconnected store are used",
            "KMSInvalidStateException Unavailable PendingDeletion Unavailable Disabled",
            format!("{used} {state} {pending} {still} {after}"),
        );
        let delete = code(self.played.store("DeleteCustomKeyStore").await);
        self.row("a store with keys is deleted", "CustomKeyStoreHasCMKsException", delete);
    }

    async fn state_of(&self, key: &str) -> String {
        let reply = self.played.kms("DescribeKey", json!({ "KeyId": key })).await.unwrap();
        reply["KeyMetadata"]["KeyState"].as_str().unwrap().to_owned()
    }

    async fn with_kmsuser(&mut self) {
        self.disconnect().await;
        self.played.set_kmsuser_password(KMSUSER_PASSWORD).await;
        let seen = self.played.connect().await;
        self.row("the password of kmsuser is another", "FAILED INVALID_CREDENTIALS", seen);
        let seen = code(self.played.store("ConnectCustomKeyStore").await);
        let invalid = "CustomKeyStoreInvalidStateException";
        self.row("a store that has failed is connected", invalid, seen);
        self.disconnect().await;
        self.played.update_password(KMSUSER_PASSWORD).await.unwrap();

        let client = self.kmsuser(0).await;
        let seen = self.played.connect().await;
        self.row("kmsuser is logged in by somebody", "FAILED USER_LOGGED_IN", seen);
        client.logout().await.unwrap();

        self.disconnect().await;
        self.played.set_kmsuser_password(KMSUSER_PASSWORD).await;
        self.played.update_password(KMSUSER_PASSWORD).await.unwrap();
        let guess = self.played.client(1).await;
        for _ in 0..5 {
            let wrong = Password::new("wrongwrong").unwrap();
            guess.login(Role::CryptoUser, "kmsuser", wrong).await.unwrap_err();
        }
        let seen = self.played.connect().await;
        self.row("kmsuser is locked out of one HSM", "FAILED USER_LOCKED_OUT", seen);
        self.disconnect().await;
        self.played.set_kmsuser_password(KMSUSER_PASSWORD).await;

        self.delete_keys(1, None).await;
        let officer = self.played.officer(1).await;
        officer.delete_user(Role::CryptoUser, "kmsuser").await.unwrap();
        let seen = self.played.connect().await;
        self.row("kmsuser is missing on one HSM", "FAILED USER_NOT_FOUND", seen);
        self.disconnect().await;
        // Made again, it gets its keys back from the other HSM.
        let password = || Password::new(KMSUSER_PASSWORD).unwrap();
        officer.create_user(Role::CryptoUser, "kmsuser", password(), None).await.unwrap();
        assert_eq!(self.played.connect().await, "CONNECTED");
        assert_eq!(self.round_trip().await, "OK");
    }

    /// Deletes the material, sees the key become unavailable, and has it back from a backup by another
    /// cluster.
    async fn with_material_deleted(&mut self) {
        let made = json!({ "KeyId": self.played.ending.key_arn, "KeySpec": "AES_256" });
        let blob = self.played.kms("GenerateDataKeyWithoutPlaintext", made).await.unwrap();
        let blob = json!({ "CiphertextBlob": blob["CiphertextBlob"] });
        let old = self.played.ending.cluster_id.clone();
        let spare = self.create_hsm(&old, 'a').await;
        let spare = json!({ "ClusterId": old, "HsmId": spare.0 });
        self.played.hsm("DeleteHsm", spare).await.unwrap();

        self.disconnect().await;
        self.played.set_kmsuser_password(KMSUSER_PASSWORD).await;
        self.played.update_password(KMSUSER_PASSWORD).await.unwrap();
        let label = self.played.ending.key_arn.clone();
        for index in 0..2 {
            assert_eq!(self.delete_keys(index, Some(&label)).await, 1, "a key is on every HSM");
        }
        assert_eq!(self.played.connect().await, "CONNECTED");
        let (used, state) = (self.round_trip().await, self.played.key_state().await);

        let recovered = self.cluster_from_last_backup(&old).await;
        let seen = self.create_store("x", &recovered.0, self.own_anchor()).await;
        let in_use = self.create_store("x", &old, self.own_anchor()).await;
        self.row(
            "the cluster, or one with its history, has a store",
            "CloudHsmClusterInUseException CloudHsmClusterInUseException",
            format!("{in_use} {seen}"),
        );
        let other = self.another_story().await;
        let move_to = |cluster: &str| {
            json!({
                "CustomKeyStoreId": self.played.ending.custom_key_store_id,
                "CloudHsmClusterId": cluster, "KeyStorePassword": KMSUSER_PASSWORD,
            })
        };
        let (unrelated, related) = (move_to(&other.cluster_id), move_to(&recovered.0));
        self.disconnect().await;
        let seen = code(self.played.kms("UpdateCustomKeyStore", unrelated).await);
        self.row("the new cluster is not related", "CloudHsmClusterNotRelatedException", seen);
        self.played.kms("UpdateCustomKeyStore", related).await.unwrap();
        let connected = self.played.connect().await;
        let opened = outcome(self.played.kms("Decrypt", blob).await);
        self.row(
            "the key material is deleted from the HSMs",
            "KMSInvalidStateException Unavailable, then CONNECTED OK from a backup",
            format!("{used} {state}, then {connected} {opened} from a backup"),
        );
        let ending = &mut self.played.ending;
        (ending.cluster_id, ending.hsm_ids, ending.addresses) = recovered;
        self.not_disconnected(&other).await;
        self.delete_cluster(&old).await;
    }

    /// A store with its HSMs, beside the one of the table.
    async fn another_story(&self) -> Ending {
        let plot = Plot {
            key_store_name: "Another".to_owned(),
            alias: "alias/another".to_owned(),
            description: String::new(),
        };
        story::play(self.played.emulator(), &plot, &mut |_: &Step| {}).await.unwrap()
    }

    async fn not_disconnected(&mut self, other: &Ending) {
        let deletion = json!({ "KeyId": other.key_arn, "PendingWindowInDays": 7 });
        self.played.kms("ScheduleKeyDeletion", deletion).await.unwrap();
        self.clock.advance_seconds(8 * DAY_SECONDS);
        let store = json!({ "CustomKeyStoreId": other.custom_key_store_id });
        let delete = code(self.played.kms("DeleteCustomKeyStore", store).await);
        let update = code(self.played.update_password("another1").await);
        let invalid = "CustomKeyStoreInvalidStateException";
        self.row(
            "a connected store is deleted or given another password",
            &format!("{invalid} {invalid}"),
            format!("{delete} {update}"),
        );
    }

    fn own_anchor(&self) -> &str {
        self.played.ending.customer_ca.certificate()
    }

    /// A cluster with two HSMs, made from the newest backup of another; `kmsuser` has a known password.
    async fn cluster_from_last_backup(&self, of: &str) -> (String, Vec<String>, Vec<String>) {
        let filter = json!({ "Filters": { "clusterIds": [of], "states": ["READY"] } });
        let backups = self.played.hsm("DescribeBackups", filter).await.unwrap();
        let input = json!({
            "HsmType": "hsm1.medium", "SubnetIds": ["subnet-0000000a", "subnet-0000000b"],
            "SourceBackupId": backups["Backups"][0]["BackupId"],
        });
        let made = self.played.hsm("CreateCluster", input).await.unwrap();
        let cluster = made["Cluster"]["ClusterId"].as_str().unwrap().to_owned();
        let (mut ids, mut addresses) = (Vec::new(), Vec::new());
        for zone in ['a', 'b'] {
            let (id, address) = self.create_hsm(&cluster, zone).await;
            let officer = self.connect_to(&address, MANAGEMENT_PORT).await;
            let password = Password::new(&self.played.ending.officer_password).unwrap();
            officer.login(Role::CryptoOfficer, "admin", password).await.unwrap();
            let password = Password::new(KMSUSER_PASSWORD).unwrap();
            officer.change_password(Role::CryptoUser, "kmsuser", password).await.unwrap();
            ids.push(id);
            addresses.push(address);
        }
        (cluster, ids, addresses)
    }

    async fn create_hsm(&self, cluster: &str, zone: char) -> (String, String) {
        let zone = format!("us-east-1{zone}");
        let input = json!({ "ClusterId": cluster, "AvailabilityZone": zone });
        let made = self.played.hsm("CreateHsm", input).await.unwrap();
        let text = |name: &str| made["Hsm"][name].as_str().unwrap().to_owned();
        (text("HsmId"), text("EniIp"))
    }

    async fn connect_to(&self, address: &str, port: u16) -> Client {
        let address = SocketAddr::new(address.parse().unwrap(), port);
        self.played.connect_to(address).await
    }

    async fn delete_cluster(&self, cluster: &str) {
        let filter = json!({ "Filters": { "clusterIds": [cluster] } });
        let shown = self.played.hsm("DescribeClusters", filter).await.unwrap();
        for hsm in shown["Clusters"][0]["Hsms"].as_array().unwrap() {
            let input = json!({ "ClusterId": cluster, "HsmId": hsm["HsmId"] });
            self.played.hsm("DeleteHsm", input).await.unwrap();
        }
        let input = json!({ "ClusterId": cluster });
        self.played.hsm("DeleteCluster", input).await.unwrap();
    }

    async fn with_fewer_hsms(&mut self) {
        let (cluster, hsms) =
            (self.played.ending.cluster_id.clone(), self.played.ending.hsm_ids.clone());
        let delete = |hsm: &str| json!({ "ClusterId": cluster, "HsmId": hsm });
        self.played.hsm("DeleteHsm", delete(&hsms[1])).await.unwrap();
        let key = code(self.create_key().await);
        let store = self.create_store("x", &cluster, self.own_anchor()).await;
        let invalid = "CloudHsmClusterInvalidConfigurationException";
        self.row(
            "the cluster has HSMs in one zone only",
            &format!("{invalid} {invalid} OK"),
            format!("{key} {store} {}", self.round_trip().await),
        );

        let subnet_id = "subnet-0000000b".to_owned();
        let occupy =
            |addresses| NetworkChange::OccupyAddresses { subnet_id: subnet_id.clone(), addresses };
        self.disconnect().await;
        self.change_network(occupy(59)).await;
        let seen = self.played.connect().await;
        let expected = "FAILED INSUFFICIENT_FREE_ADDRESSES_IN_SUBNET";
        self.row("a subnet has no free address", expected, seen);
        self.change_network(occupy(0)).await;

        // The other store of the table has an HSM there.
        self.delete_all_but(&cluster).await;
        self.change_network(NetworkChange::DeleteSubnet { subnet_id: subnet_id.clone() }).await;
        let seen = self.played.reconnect().await;
        self.row("a subnet was deleted", "FAILED SUBNET_NOT_FOUND", seen);
        self.change_network(NetworkChange::CreateSubnet { subnet_id }).await;

        assert_eq!(self.played.reconnect().await, "CONNECTED");
        self.played.hsm("DeleteHsm", delete(&hsms[0])).await.unwrap();
        let seen = self.played.reconnect().await;
        self.row("the cluster has no HSM", "FAILED INSUFFICIENT_CLOUDHSM_HSMS", seen);
    }

    async fn delete_all_but(&self, cluster: &str) {
        let all = self.played.hsm("DescribeClusters", json!({})).await.unwrap();
        let ids = all["Clusters"].as_array().unwrap().iter().map(|one| &one["ClusterId"]);
        for id in ids.filter(|id| *id != cluster) {
            self.delete_cluster(id.as_str().unwrap()).await;
        }
    }

    /// The orphan: the key's time is over while nobody can reach its material.
    async fn at_the_end(&mut self) {
        let cluster = self.played.ending.cluster_id.clone();
        let (_, address) = self.create_hsm(&cluster, 'a').await;
        self.disconnect().await;
        let deletion = json!({ "KeyId": self.played.ending.key_arn, "PendingWindowInDays": 7 });
        self.played.kms("ScheduleKeyDeletion", deletion).await.unwrap();
        self.clock.advance_seconds(8 * DAY_SECONDS);
        let named = json!({ "KeyId": self.played.ending.key_arn });
        let key = code(self.played.kms("DescribeKey", named).await);
        // Whoever removes what is left of keys looks every five seconds.
        tokio::time::sleep(Duration::from_secs(6)).await;

        let officer = self.connect_to(&address, MANAGEMENT_PORT).await;
        let password = Password::new(&self.played.ending.officer_password).unwrap();
        officer.login(Role::CryptoOfficer, "admin", password).await.unwrap();
        let password = || Password::new(KMSUSER_PASSWORD).unwrap();
        officer.change_password(Role::CryptoUser, "kmsuser", password()).await.unwrap();
        let client = self.connect_to(&address, CLIENT_PORT).await;
        client.login(Role::CryptoUser, "kmsuser", password()).await.unwrap();
        let orphans = client.find_keys(&self.played.ending.key_arn).await.unwrap();
        for orphan in &orphans {
            client.delete_key(*orphan).await.unwrap();
        }
        self.row(
            "a key's time is over while its store is disconnected",
            "NotFoundException and 1 orphan",
            format!("{key} and {} orphan", orphans.len()),
        );

        self.delete_cluster(&cluster).await;
        let seen = self.played.connect().await;
        let create = self.create_store("x", &cluster, self.own_anchor()).await;
        self.row(
            "the cluster does not exist",
            "FAILED CLUSTER_NOT_FOUND CloudHsmClusterNotFoundException",
            format!("{seen} {create}"),
        );
    }
}

/// `OK`, or the code of the refusal.
fn outcome(result: Result<Value, CallError>) -> String {
    result.map_or_else(|error| error.code, |_| "OK".to_owned())
}
