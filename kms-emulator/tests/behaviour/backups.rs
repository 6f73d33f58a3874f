//! Backups of clusters: when they are taken, how long they live, and what is made from them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_kms::clock::ManualClock;

use crate::harness::{ACCOUNT, OTHER_ACCOUNT, Reply, Server};
use crate::signer::{RawRequest, Signer};
use crate::story::{Played, code};

const DAY_SECONDS: i64 = 86_400;

/// A story and its cluster's backups.
struct Backups {
    played: Played,
    clock: Arc<ManualClock>,
}

impl Backups {
    async fn new() -> Self {
        let (server, clock) = Server::with_clock().await;
        Self { played: Played::on(server).await, clock }
    }

    async fn list(&self, filters: Value) -> Vec<Value> {
        let input = json!({ "Filters": filters, "SortAscending": true });
        let reply = self.played.hsm("DescribeBackups", input).await.unwrap();
        reply["Backups"].as_array().unwrap().clone()
    }

    async fn all(&self) -> Vec<Value> {
        self.list(json!({})).await
    }

    /// Waits until there are as many backups as that.
    async fn become_as_many_as(&self, count: usize) -> Vec<Value> {
        for _ in 0..120 {
            let all = self.all().await;
            if all.len() == count {
                return all;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("there are {} backups, not {count}", self.all().await.len());
    }

    async fn delete_hsm(&self, index: usize) {
        let ending = &self.played.ending;
        let input = json!({ "ClusterId": ending.cluster_id, "HsmId": ending.hsm_ids[index] });
        self.played.hsm("DeleteHsm", input).await.unwrap();
    }
}

fn id(backup: &Value) -> &str {
    backup["BackupId"].as_str().unwrap()
}

#[tokio::test]
async fn backups_are_taken_at_every_occasion_and_kept_as_long_as_asked() {
    let backups = Backups::new().await;
    // At activation, and when the second HSM was added.
    let first = backups.all().await;
    assert_eq!(first.len(), 2, "{first:?}");
    assert_eq!(first[0]["ClusterId"], backups.played.ending.cluster_id.as_str());
    assert_eq!(first[0]["BackupState"], "READY");
    backups.delete_hsm(1).await;
    assert_eq!(backups.all().await.len(), 3);
    backups.clock.advance_seconds(DAY_SECONDS + 60);
    let daily = backups.become_as_many_as(4).await;

    let keep = json!({ "BackupId": id(&daily[0]), "NeverExpires": true });
    let kept = backups.played.hsm("ModifyBackupAttributes", keep).await.unwrap();
    assert_eq!(kept["Backup"]["NeverExpires"], true);
    assert_eq!(backups.list(json!({ "neverExpires": ["true"] })).await.len(), 1);
    let cluster = backups.played.ending.cluster_id.as_str();
    let policy = json!({ "Type": "DAYS", "Value": "7" });
    let modify = json!({ "ClusterId": cluster, "BackupRetentionPolicy": policy });
    let modified = backups.played.hsm("ModifyCluster", modify).await.unwrap();
    assert_eq!(modified["Cluster"]["BackupRetentionPolicy"]["Value"], "7");
    backups.clock.advance_seconds(8 * DAY_SECONDS);
    // The one that never expires, and today's.
    let left = backups.become_as_many_as(2).await;
    assert_eq!(left[0]["BackupId"], daily[0]["BackupId"]);
}

impl Backups {
    async fn cluster(&self) -> Value {
        let input = json!({ "Filters": { "clusterIds": [self.played.ending.cluster_id] } });
        self.played.hsm("DescribeClusters", input).await.unwrap()["Clusters"][0].clone()
    }

    /// Modifies the type of the cluster's hardware and waits until all of it is of that type; the key is used all
    /// the while. Answers the states that the cluster showed.
    async fn exchange_hardware(&self, wanted: &str) -> Vec<String> {
        let modify = json!({ "ClusterId": self.played.ending.cluster_id, "HsmType": wanted });
        let modified = self.played.hsm("ModifyCluster", modify).await.unwrap();
        assert_eq!(modified["Cluster"]["HsmType"], wanted);
        let mut states = Vec::new();
        for _ in 0..600 {
            let cluster = self.cluster().await;
            let state = cluster["State"].as_str().unwrap().to_owned();
            self.played.round_trip().await.unwrap();
            if state == "ACTIVE" {
                return states;
            }
            states.push(state);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{states:?}");
    }
}

fn members(cluster: &Value, name: &str) -> Vec<String> {
    let hsms = cluster["Hsms"].as_array().unwrap().iter();
    let mut all: Vec<_> = hsms.map(|hsm| hsm[name].as_str().unwrap().to_owned()).collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn hardware_is_exchanged_one_hsm_after_the_other_and_back() {
    let backups = Backups::new().await;
    let before = (backups.cluster().await, backups.all().await.len());
    assert_eq!(before.0.get("HsmTypeRollbackExpiration"), None);
    let states = backups.exchange_hardware("hsm2m.medium").await;
    assert!(states.iter().all(|state| state == "MODIFY_IN_PROGRESS"), "{states:?}");
    assert!(!states.is_empty());
    let after = backups.cluster().await;
    assert_eq!(members(&after, "HsmType"), ["hsm2m.medium", "hsm2m.medium"]);
    for kept in ["EniIp", "EniId", "AvailabilityZone"] {
        assert_eq!(members(&after, kept), members(&before.0, kept));
    }
    let (old, new) = (members(&before.0, "HsmId"), members(&after, "HsmId"));
    assert!(old.iter().all(|id| !new.contains(id)), "{old:?} and {new:?}");
    assert!(after["HsmTypeRollbackExpiration"].is_number(), "{after}");
    // Before each HSM one, and what each new one is made from.
    assert!(backups.all().await.len() >= before.1 + 2);

    // What lives there is what lived there: the key, and its users.
    assert_eq!(backups.played.reconnect().await, "CONNECTED");
    backups.played.round_trip().await.unwrap();
    let states = backups.exchange_hardware("hsm1.medium").await;
    assert!(states.iter().all(|state| state == "ROLLBACK_IN_PROGRESS"), "{states:?}");
    let back = backups.cluster().await;
    assert_eq!(members(&back, "HsmType"), ["hsm1.medium", "hsm1.medium"]);
    assert_eq!(back.get("HsmTypeRollbackExpiration"), None);

    // After a day there is no way back.
    backups.exchange_hardware("hsm2m.medium").await;
    backups.clock.advance_seconds(DAY_SECONDS + 1);
    let cluster = backups.played.ending.cluster_id.as_str();
    let modify = json!({ "ClusterId": cluster, "HsmType": "hsm1.medium" });
    let refused = backups.played.hsm("ModifyCluster", modify).await;
    assert_eq!(code(refused), "CloudHsmInvalidRequestException");
}

#[tokio::test]
async fn the_last_backup_of_a_cluster_outlives_its_retention() {
    let backups = Backups::new().await;
    backups.delete_hsm(1).await;
    backups.delete_hsm(0).await;
    let count = backups.all().await.len();
    assert_eq!(count, 4);
    backups.clock.advance_seconds(91 * DAY_SECONDS);
    let left = backups.become_as_many_as(1).await;
    let cluster = backups.played.ending.cluster_id.as_str();
    assert_eq!(left[0]["ClusterId"], cluster);
    // From it the cluster's next HSM is made.
    let input = json!({ "ClusterId": cluster, "AvailabilityZone": "us-east-1a" });
    backups.played.hsm("CreateHsm", input).await.unwrap();
    assert_eq!(backups.played.reconnect().await, "CONNECTED");
    backups.played.round_trip().await.unwrap();
}

#[tokio::test]
async fn a_deleted_backup_can_be_restored_for_a_week() {
    let backups = Backups::new().await;
    let all = backups.all().await;
    let name = json!({ "BackupId": id(&all[0]) });
    let hsm = async |operation: &str| backups.played.hsm(operation, name.clone()).await;
    assert_eq!(code(hsm("RestoreBackup").await), "CloudHsmInvalidRequestException");
    let deleted = hsm("DeleteBackup").await.unwrap();
    assert_eq!(deleted["Backup"]["BackupState"], "PENDING_DELETION");
    assert!(deleted["Backup"]["DeleteTimestamp"].is_number());
    assert_eq!(code(hsm("DeleteBackup").await), "CloudHsmInvalidRequestException");
    let made = json!({
        "HsmType": "hsm1.medium", "SubnetIds": ["subnet-0000000a"], "SourceBackupId": id(&all[0]),
    });
    let refused = backups.played.hsm("CreateCluster", made).await;
    assert_eq!(code(refused), "CloudHsmInvalidRequestException");
    backups.clock.advance_seconds(6 * DAY_SECONDS);
    assert_eq!(hsm("RestoreBackup").await.unwrap()["Backup"]["BackupState"], "READY");
    hsm("DeleteBackup").await.unwrap();
    backups.clock.advance_seconds(8 * DAY_SECONDS);
    for _ in 0..120 {
        if backups.list(json!({ "backupIds": [id(&all[0])] })).await.is_empty() {
            assert_eq!(code(hsm("RestoreBackup").await), "CloudHsmResourceNotFoundException");
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the backup is still there");
}

#[tokio::test]
async fn backups_are_listed_in_pages_and_by_filters() {
    let backups = Backups::new().await;
    let all = backups.all().await;
    let page = json!({ "MaxResults": 1 });
    let newest = backups.played.hsm("DescribeBackups", page).await.unwrap();
    assert_eq!(newest["Backups"][0]["BackupId"], all[1]["BackupId"]);
    let next = json!({ "MaxResults": 1, "NextToken": newest["NextToken"] });
    let oldest = backups.played.hsm("DescribeBackups", next).await.unwrap();
    assert_eq!(oldest["Backups"][0]["BackupId"], all[0]["BackupId"]);
    assert!(oldest["NextToken"].is_null());
    assert!(backups.list(json!({ "clusterIds": ["cluster-aaaaaaaaaaa"] })).await.is_empty());
    assert_eq!(backups.list(json!({ "states": ["READY"] })).await.len(), 2);
    let unknown = json!({ "Filters": { "colour": ["red"] } });
    let refused = backups.played.hsm("DescribeBackups", unknown).await;
    assert_eq!(code(refused), "CloudHsmInvalidRequestException");
}

#[tokio::test]
async fn clusters_and_backups_have_tags() {
    let backups = Backups::new().await;
    let all = backups.all().await;
    for resource in [backups.played.ending.cluster_id.as_str(), id(&all[0])] {
        let tags = json!([{ "Key": "a", "Value": "1" }, { "Key": "b", "Value": "2" }]);
        let tag = json!({ "ResourceId": resource, "TagList": tags });
        backups.played.hsm("TagResource", tag).await.unwrap();
        let page = json!({ "ResourceId": resource, "MaxResults": 1 });
        let page = backups.played.hsm("ListTags", page).await.unwrap();
        assert_eq!(page["TagList"], json!([tags[0]]));
        let next = json!({ "ResourceId": resource, "NextToken": page["NextToken"] });
        let next = backups.played.hsm("ListTags", next).await.unwrap();
        assert_eq!(next["TagList"], json!([tags[1]]));
        let untag = json!({ "ResourceId": resource, "TagKeyList": ["a", "unknown"] });
        backups.played.hsm("UntagResource", untag).await.unwrap();
        let rest = json!({ "ResourceId": resource });
        let rest = backups.played.hsm("ListTags", rest).await.unwrap();
        assert_eq!(rest, json!({ "TagList": [tags[1]] }));
    }
    let many: Vec<_> = (0..50).map(|n| json!({ "Key": format!("k{n}"), "Value": "" })).collect();
    let too_many = json!({ "ResourceId": id(&all[0]), "TagList": many });
    let refused = backups.played.hsm("TagResource", too_many).await;
    assert_eq!(code(refused), "CloudHsmResourceLimitExceededException");
    let nowhere = json!({ "ResourceId": "backup-aaaaaaaaaaa" });
    let refused = backups.played.hsm("ListTags", nowhere).await;
    assert_eq!(code(refused), "CloudHsmResourceNotFoundException");
}

/// Another account in whose Region, and another Region in whose account, the backup is used.
#[tokio::test]
async fn backups_are_copied_to_other_regions_and_shared_with_other_accounts() {
    let file = json!({ "credentials": [{
        "accountId": OTHER_ACCOUNT, "accessKeyId": "AKIAOTHER00000000000", "secretAccessKey": "s",
    }] });
    let played = Played::on(Server::with_credentials(&file.to_string()).await).await;
    let all = played.hsm("DescribeBackups", json!({})).await.unwrap();
    let backup = all["Backups"][0].clone();

    let copy = json!({ "DestinationRegion": "eu-west-1", "BackupId": backup["BackupId"] });
    let copied = played.hsm("CopyBackupToRegion", copy).await.unwrap();
    assert_eq!(copied["DestinationBackup"]["SourceRegion"], "us-east-1");
    assert_eq!(copied["DestinationBackup"]["SourceBackup"], backup["BackupId"]);
    let mut abroad = played.server.signer("cloudhsm");
    abroad.region = "eu-west-1".to_owned();
    let there = call(&played, &abroad, "DescribeBackups", json!({})).await.json();
    assert_eq!(there["Backups"].as_array().unwrap().len(), 1);
    let made = json!({
        "HsmType": "hsm1.medium", "SubnetIds": ["subnet-0000000a"],
        "SourceBackupId": there["Backups"][0]["BackupId"],
    });
    let cluster = call(&played, &abroad, "CreateCluster", made).await.json();
    let certificate = &cluster["Cluster"]["Certificates"]["ClusterCertificate"];
    assert!(certificate.as_str().unwrap().contains("BEGIN CERTIFICATE"), "{cluster}");
    let hsm = json!({
        "ClusterId": cluster["Cluster"]["ClusterId"], "AvailabilityZone": "eu-west-1a",
    });
    assert_eq!(call(&played, &abroad, "CreateHsm", hsm).await.status, 200);
    let clusters = call(&played, &abroad, "DescribeClusters", json!({})).await.json();
    assert_eq!(clusters["Clusters"][0]["State"], "ACTIVE");
    assert_eq!(clusters["Clusters"][0]["Hsms"][0]["State"], "ACTIVE");

    let other = Signer {
        access_key_id: "AKIAOTHER00000000000".to_owned(),
        secret: "s".to_owned(),
        ..played.server.signer("cloudhsm")
    };
    let arn = backup["BackupArn"].as_str().unwrap();
    assert!(arn.starts_with(&format!("arn:aws:cloudhsm:us-east-1:{ACCOUNT}:backup/backup-")));
    let shared = async || {
        let reply = call(&played, &other, "DescribeBackups", json!({ "Shared": true })).await;
        reply.json()["Backups"].as_array().unwrap().len()
    };
    let made = json!({
        "HsmType": "hsm1.medium", "SubnetIds": ["subnet-0000000a"], "SourceBackupId": arn,
    });
    let make = async || call(&played, &other, "CreateCluster", made.clone()).await;
    assert_eq!(
        (shared().await, make().await.code().as_str()),
        (0, "CloudHsmResourceNotFoundException")
    );
    let policy = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": { "AWS": OTHER_ACCOUNT }, "Resource": arn,
        "Action": ["cloudhsm:CreateCluster", "cloudhsm:DescribeBackups"],
    }] });
    let policy = policy.to_string();
    let put = json!({ "ResourceArn": arn, "Policy": policy });
    played.hsm("PutResourcePolicy", put).await.unwrap();
    let named = json!({ "ResourceArn": arn });
    let got = played.hsm("GetResourcePolicy", named.clone()).await.unwrap();
    assert_eq!(got["Policy"], policy.as_str());
    assert_eq!((shared().await, make().await.status), (1, 200));
    let copy = json!({ "DestinationRegion": "eu-west-1", "BackupId": arn });
    assert_eq!(call(&played, &other, "CopyBackupToRegion", copy).await.status, 400);
    played.hsm("DeleteResourcePolicy", named).await.unwrap();
    assert_eq!(shared().await, 0);
}

#[tokio::test]
async fn backups_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let played = Played::on(Server::on(dir.path()).await).await;
    let before = played.hsm("DescribeBackups", json!({})).await.unwrap();
    let tag = json!({ "Key": "a", "Value": "1" });
    let newest = before["Backups"][0]["BackupId"].clone();
    let tagged = json!({ "ResourceId": newest, "TagList": [tag] });
    played.hsm("TagResource", tagged).await.unwrap();
    let Played { server, ending } = played;
    server.emulator.shutdown().await;
    let played = Played { server: Server::on(dir.path()).await, ending };
    let mut after = played.hsm("DescribeBackups", json!({})).await.unwrap();
    assert_eq!(after["Backups"][0]["TagList"], json!([tag]));
    after["Backups"][0]["TagList"] = json!([]);
    assert_eq!(after, before);
    let files = std::fs::read_dir(dir.path().join("hsm/backups")).unwrap().count();
    assert_eq!(files, before["Backups"].as_array().unwrap().len());
}

async fn call(played: &Played, signer: &Signer, operation: &str, input: Value) -> Reply {
    let target = format!("BaldrApiService.{operation}");
    let request = RawRequest::json(&played.server.host(), &target, &input.to_string());
    played.server.send(&signer.sign(&request)).await
}
