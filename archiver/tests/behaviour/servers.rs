//! The command line against real S3 servers.

use strongroom_peers::{Minio, PeerError, S3Server, SeaweedFs};

use crate::program::{ALIAS, Program};
use crate::support::make_rich_tree;

const BUCKET: &str = "archives";

fn whole_job(server: &S3Server) -> Result<Program, PeerError> {
    let program = Program::start()?;
    server.create_bucket(BUCKET)?;
    let tree = program.at("tree");
    make_rich_tree(&tree);
    let (url, endpoint) = (format!("s3://{BUCKET}/some/prefix"), server.endpoint());
    let created = program.json(&[
        "location",
        "create",
        "bucket",
        &url,
        "--key",
        ALIAS,
        "--endpoint",
        &endpoint,
    ]);
    assert_eq!(created["format"]["capabilities"]["create_if_absent"], true);
    let snapshot = program.archive(&tree);
    program.restored_equal(&snapshot, &tree);
    assert_eq!(
        program.json(&["check", "--read-data"])["problems"].as_array().map(Vec::len),
        Some(0)
    );
    strangers_are_refused(&program, &endpoint);
    let told = program.json(&["rekey", "--new-key", &program.make_key()]);
    assert_eq!(told["rekeyed"]["changed"], true);
    program.wait(program.client.disable_key().key_id(&program.key).send()).unwrap();
    program.restored_equal(&snapshot, &tree);
    program.run(&["prune"]).expect(0);
    program.run(&["check", "--read-data"]).expect(0);
    program.wait(program.client.enable_key().key_id(&program.key).send()).unwrap();
    Ok(program)
}

/// Credentials that the store does not know, while the KMS knows the others.
fn strangers_are_refused(program: &Program, endpoint: &str) {
    let reach = ["--key", &program.key, "--endpoint", endpoint];
    let profiles = program.at("profiles");
    let stranger =
        "[stranger]\naws_access_key_id = AKIASTRANGER00000000\naws_secret_access_key = x\n";
    std::fs::write(&profiles, stranger).unwrap();
    let url = format!("s3://{BUCKET}/elsewhere");
    let arguments = [&["location", "create", "x", &url, "--profile", "stranger"], reach.as_slice()];
    // Credentials of the environment go before profiles: the KMS gets its own as a profile too.
    let known = format!(
        "[known]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        strongroom_peers::identity::ACCESS_KEY,
        strongroom_peers::identity::SECRET_KEY
    );
    std::fs::write(&profiles, stranger.to_owned() + &known).unwrap();
    let mut command =
        program.command(&[arguments.concat(), vec!["--kms-profile", "known"]].concat());
    command
        .env("AWS_SHARED_CREDENTIALS_FILE", &profiles)
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY");
    let ended = crate::program::Ended::from(command.output().unwrap()).expect(14);
    assert!(ended.stderr.contains(&url), "{}", ended.stderr);
}

#[test]
fn minio_keeps_an_archive() {
    let server = strongroom_peers::require!(Minio::start());
    let program = strongroom_peers::require!(whole_job(&server));
    let (url, endpoint) = ("s3://no-such-bucket/x", server.endpoint());
    let arguments = ["location", "create", "x", url, "--key", ALIAS, "--endpoint", &endpoint];
    let ended = program.run(&arguments).expect(15);
    assert!(ended.stderr.contains("no-such-bucket"), "{}", ended.stderr);
}

/// (This server makes a bucket that is missing.)
#[test]
fn seaweedfs_keeps_an_archive() {
    let server = strongroom_peers::require!(SeaweedFs::start());
    strongroom_peers::require!(whole_job(&server));
}
