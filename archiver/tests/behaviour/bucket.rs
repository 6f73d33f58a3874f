//! The engine over real S3 servers: multipart uploads, ranged reads, pages of listings, and what
//! the preflight measures.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use aws_config::{Region, SdkConfig};
use aws_sdk_kms::config::{Credentials, SharedCredentialsProvider};
use strongroom::backup::{BackupOptions, backup};
use strongroom::clock::SystemClock;
use strongroom::control::Control;
use strongroom::fs::walk::{LocalTree, WalkOptions};
use strongroom::location::{CreateOptions, Location};
use strongroom::pack::WriterOptions;
use strongroom::snapshot::Snapshot;
use strongroom::store::Store;
use strongroom::store::connect::{StoreOptions, connect};
use strongroom::{Cause, Error};
use strongroom_peers::{Minio, S3Server, SeaweedFs, require};

use crate::location::{assert_restores, assert_whole, raw_key};
use crate::support::{make_rich_tree, pattern, temporary};

fn options(server: &S3Server, secret: &str) -> StoreOptions {
    let credentials = Credentials::new(server.access_key(), secret, None, None, "tests");
    let aws = SdkConfig::builder()
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .region(Region::new(server.region()))
        .build();
    StoreOptions { endpoint: Some(server.endpoint()), aws: Some(aws), ..StoreOptions::default() }
}

fn store(server: &S3Server, url: &str) -> Arc<Store> {
    connect(url, &options(server, server.secret_key())).unwrap()
}

async fn archive(location: &Arc<Location>, root: &Path) -> Snapshot {
    let packs = WriterOptions { pack_bytes: 12 << 20, part_bytes: 5 << 20 };
    let options = BackupOptions { packs, ..BackupOptions::default() };
    let tree = LocalTree::open(&[root.to_owned()], WalkOptions::default()).unwrap();
    let control = Control::default();
    backup(location, Arc::new(tree), options, &SystemClock, &control).await.unwrap()
}

async fn round_trip(server: &S3Server) {
    server.create_bucket("archive").unwrap();
    let store = store(server, "s3://archive/some/prefix");
    let location = Location::create(store, raw_key(1), &CreateOptions::default()).await.unwrap();
    let location = Arc::new(location);
    let honoured = location.format().capabilities.create_if_absent;
    assert!(honoured, "{} honours create-if-absent", server.software());
    let (_folder, root) = temporary();
    make_rich_tree(&root);
    fs::write(root.join("several packs"), pattern(30 << 20)).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(60));
    let first = archive(&location, &root).await;
    assert_restores(&location, &first, &root).await;
    let second = archive(&location, &root).await.commit.statistics;
    assert_eq!((second.bytes_read, second.chunks_new), (0, 0));
    assert!(second.bytes_stored * 100 < first.commit.statistics.bytes_stored);
    assert_whole(&location).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn minio_keeps_an_archive() {
    round_trip(&require!(Minio::start())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn seaweedfs_keeps_an_archive() {
    round_trip(&require!(SeaweedFs::start())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_will_not_do_is_refused_with_its_cause() {
    let mut server = require!(Minio::start());
    server.create_bucket("archive").unwrap();
    let create = |url: &'static str, options: StoreOptions| async move {
        let store = connect(url, &options).unwrap();
        let made = Location::create(store, raw_key(1), &CreateOptions::default()).await;
        made.map(drop).unwrap_err()
    };
    let good = options(&server, server.secret_key());
    let missing = create("s3://no-such-bucket", good.clone()).await;
    assert_eq!(missing.cause(), Cause::StoreMissing, "{missing}");
    let wrong = create("s3://archive", options(&server, "wrong")).await;
    assert_eq!(wrong.cause(), Cause::StoreDenied, "{wrong}");
    let none = StoreOptions { aws: None, ..good.clone() };
    assert_eq!(create("s3://archive", none).await.cause(), Cause::StoreDenied);
    let store = connect("s3://archive", &good).unwrap();
    let empty = Location::open(store, raw_key(1), &Default::default()).await;
    assert!(matches!(empty.map(drop), Err(Error::NotALocation { .. })));
    server.kill();
    let gone = create("s3://archive", good).await;
    assert_eq!(gone.cause(), Cause::StoreUnreachable, "{gone}");
}
