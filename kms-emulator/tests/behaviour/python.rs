//! boto3 and the aws CLI as clients.

use std::path::PathBuf;
use std::process::{Command, Output};

use strongroom_peers::{Peer, require};

use crate::harness::Server;

/// What boto3 is made to do: every operation, with its replies parsed by botocore's own model.
const BOTO3_TASKS: &str = include_str!("boto3_tasks.py");
/// Keys of every spec, each result checked by the `cryptography` package.
const ASYMMETRIC_TASKS: &str = include_str!("asymmetric_tasks.py");
/// Keys made by the `cryptography` package, imported in every way.
const IMPORT_TASKS: &str = include_str!("import_tasks.py");
/// Every member of every operation of botocore's API models, fit and unfit, and the replies.
const CONFORMANCE: &str = include_str!("conformance.py");

async fn run(server: &Server, program: PathBuf, arguments: &[&str]) -> Output {
    let root = server.emulator.credentials();
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("AWS_ACCESS_KEY_ID", root.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", root.secret_access_key)
        .env("AWS_DEFAULT_REGION", server.emulator.region().as_str())
        .env("AWS_ENDPOINT_URL", server.emulator.endpoint())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// Runs a list of tasks, which prints `done` behind the last; returns what it printed.
async fn run_tasks(python: PathBuf, tasks: &str) -> String {
    let server = Server::start().await;
    let output = run(&server, python, &["-c", tasks]).await;
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    assert!(text.ends_with("done\n"), "{text}{errors}");
    text.into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_member_is_held_to_the_api_model() {
    let text = run_tasks(require!(Peer::PythonBoto3.find()), CONFORMANCE).await;
    println!("{}", text.trim_end_matches("done\n"));
}

#[tokio::test]
async fn boto3_does_everything() {
    run_tasks(require!(Peer::PythonBoto3.find()), BOTO3_TASKS).await;
}

/// The interpreter of the Python Encryption SDK, which has boto3 and brings `cryptography`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_every_spec_agree_with_an_independent_library() {
    run_tasks(require!(Peer::PythonEncryptionSdk.find()), ASYMMETRIC_TASKS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_an_independent_library_are_imported() {
    run_tasks(require!(Peer::PythonEncryptionSdk.find()), IMPORT_TASKS).await;
}

/// What the CLI does with the KMS beside this is in `sdk_tasks`.
#[tokio::test]
async fn the_aws_cli_calls_every_service() {
    let aws = require!(Peer::AwsCli.find());
    let server = Server::start().await;
    let aws = async |line: &str| {
        let arguments: Vec<&str> = line.split(' ').collect();
        let output = run(&server, aws.clone(), &arguments).await;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap().trim().to_owned(),
            errors,
        )
    };
    let (ok, arn, errors) = aws("sts get-caller-identity --query Arn --output text").await;
    assert!(ok && arn == "arn:aws:iam::000000000000:root", "{arn}{errors}");
    let (ok, _, errors) = aws("kms describe-key --key-id alias/absent").await;
    assert!(!ok && errors.contains("NotFoundException"), "{errors}");
    let (ok, backups, errors) = aws("cloudhsmv2 describe-backups --query Backups").await;
    assert!(ok && backups == "[]", "{backups}{errors}");
}
