//! Each server peer starts, keeps what a real client stores in it, and is gone afterwards.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use strongroom_peers::{Minio, Peer, PeerError, S3Server, SeaweedFs, require};

#[test]
fn minio_keeps_an_object() {
    keeps_an_object(&require!(Minio::start()), &require!(Peer::AwsCli.find()));
}

#[test]
fn seaweedfs_keeps_an_object() {
    keeps_an_object(&require!(SeaweedFs::start()), &require!(Peer::AwsCli.find()));
}

#[test]
fn a_server_is_gone_when_dropped() {
    let server = require!(Minio::start());
    let (address, folder) = (address_of(&server), server.data_folder().to_owned());
    TcpStream::connect(&address).unwrap();
    drop(server);
    assert!(TcpStream::connect(&address).is_err(), "{address} still answers");
    assert!(!folder.exists(), "{} is still there", folder.display());
}

#[test]
fn the_python_peers_run() {
    for (peer, module) in [
        (Peer::PythonBoto3, "boto3"),
        (Peer::PythonEncryptionSdk, "aws_encryption_sdk"),
        (Peer::PythonEncryptionSdk, "aws_cryptographic_material_providers"),
    ] {
        let python = require!(peer.find());
        let status = Command::new(python).args(["-c", &format!("import {module}")]).status();
        assert!(status.unwrap().success(), "{module}");
    }
}

fn address_of(server: &S3Server) -> String {
    server.endpoint().trim_start_matches("http://").to_owned()
}

fn keeps_an_object(server: &S3Server, aws: &Path) {
    server.create_bucket("archive").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (sent, received) = (folder.path().join("sent"), folder.path().join("received"));
    std::fs::write(&sent, vec![0x5a; 3 << 20]).unwrap();
    run(server, aws, &["s3", "cp", path(&sent), "s3://archive/a/b"]);
    run(server, aws, &["s3", "cp", "s3://archive/a/b", path(&received)]);
    assert_eq!(std::fs::read(&received).unwrap(), std::fs::read(&sent).unwrap());
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn run(server: &S3Server, aws: &Path, arguments: &[&str]) {
    let output =
        Command::new(aws).args(arguments).envs(server.environment()).output().unwrap_or_else(
            |source| panic!("{}", PeerError::Start { program: aws.into(), source }),
        );
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "aws {}: {errors}", arguments.join(" "));
}
