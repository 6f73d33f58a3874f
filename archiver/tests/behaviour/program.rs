//! The real binary with a real KMS as its own process, for the tests of the command line.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use aws_sdk_kms::Client;
use aws_sdk_kms::config::{BehaviorVersion, Credentials, Region};
use serde_json::Value;
use strongroom_peers::identity::{ACCESS_KEY, REGION, SECRET_KEY};
use strongroom_peers::{KmsServer, PeerError, User};

/// The name of the location that [`Program::create_location`] makes.
pub(crate) const LOCATION: &str = "lab";

/// The key's alias.
pub(crate) const ALIAS: &str = "alias/archive";

/// The archiver with a home of its own, a KMS of its own, and a key in it.
pub(crate) struct Program {
    /// The server.
    pub(crate) kms: KmsServer,
    /// A client of it, as the account's root.
    pub(crate) client: Client,
    /// The key's ARN.
    pub(crate) key: String,
    /// A folder for whatever a test makes.
    pub(crate) folder: PathBuf,
    runtime: tokio::runtime::Runtime,
    _temporary: tempfile::TempDir,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Program {
    /// Starts the KMS and makes a key.
    pub(crate) fn start() -> Result<Self, PeerError> {
        Self::start_with_users(&[])
    }

    /// As [`Program::start`], with users beside the root.
    pub(crate) fn start_with_users(users: &[User]) -> Result<Self, PeerError> {
        let kms = KmsServer::start_with_users(users)?;
        let config = aws_sdk_kms::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .endpoint_url(kms.endpoint())
            .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test"))
            .build();
        let (_temporary, folder) = crate::support::temporary();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let client = Client::from_conf(config);
        let mut program = Self { kms, client, key: String::new(), folder, runtime, _temporary };
        program.key = program.make_key();
        let alias = program.client.create_alias().alias_name(ALIAS).target_key_id(&program.key);
        program.wait(alias.send()).unwrap();
        Ok(program)
    }

    /// Waits for a call of the KMS client.
    pub(crate) fn wait<F: Future>(&self, call: F) -> F::Output {
        self.runtime.block_on(call)
    }

    /// Makes another key and answers its ARN.
    pub(crate) fn make_key(&self) -> String {
        let made = self.wait(self.client.create_key().send()).unwrap();
        made.key_metadata.unwrap().arn.unwrap()
    }

    /// A path in the test's folder.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The binary with these arguments, and nothing of this process's AWS environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy().into_owned();
            if ["AWS_", "XDG_", "STRONGROOM_"].iter().any(|prefix| text.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .env("HOME", self.at("home"))
            .envs(self.kms.environment())
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        command
    }

    /// Runs the binary to its end as another user, with nothing cached in a home of his own.
    pub(crate) fn run_as(&self, user: &User, arguments: &[&str]) -> Ended {
        let home = tempfile::tempdir_in(&self.folder).unwrap();
        let mut command = self.command(arguments);
        command
            .env("HOME", home.path())
            .env("STRONGROOM_CONFIG", self.at("home/.config/strongroom/config.toml"))
            .env("AWS_ACCESS_KEY_ID", user.access_key);
        Ended::from(command.output().unwrap())
    }

    /// Sets the key's policy: everything for the account's root, and these statements.
    pub(crate) fn put_policy(&self, mut statements: Vec<Value>) {
        let account = self.key.split(':').nth(4).unwrap();
        let root = serde_json::json!({ "AWS": format!("arn:aws:iam::{account}:root") });
        statements.push(serde_json::json!({
            "Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*",
        }));
        let policy = serde_json::json!({ "Version": "2012-10-17", "Statement": statements });
        let put = self.client.put_key_policy().key_id(&self.key).policy(policy.to_string());
        self.wait(put.send()).unwrap();
    }

    /// Runs the binary to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::from(self.command(arguments).output().unwrap())
    }

    /// Runs the binary, which must succeed, and reads its JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let ended = self.run(&[&["--json"], arguments].concat()).expect(0);
        serde_json::from_str(&ended.stdout).unwrap()
    }

    /// Makes a location in the folder `store`.
    pub(crate) fn create_location(&self) {
        let url = self.url("store");
        self.run(&["location", "create", LOCATION, &url, "--key", ALIAS]).expect(0);
    }

    /// The URL of a folder of the test's.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("file://{}", self.at(name).display())
    }

    /// Runs the binary, which must succeed, and reads the JSON documents that it prints line by line.
    pub(crate) fn json_lines(&self, arguments: &[&str]) -> Vec<Value> {
        let ended = self.run(&[&["--json"], arguments].concat()).expect(0);
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Archives `path` and answers the snapshot's id.
    pub(crate) fn archive(&self, path: &Path) -> String {
        let made = self.json(&["archive", path.to_str().unwrap()]);
        made["snapshot"].as_str().unwrap().to_owned()
    }

    /// Restores `snapshot` into a fresh folder, which must become equal to `path`.
    pub(crate) fn restored_equal(&self, snapshot: &str, path: &Path) {
        self.restored_equal_with(snapshot, path, &[]);
    }

    /// The same with more arguments.
    pub(crate) fn restored_equal_with(&self, snapshot: &str, path: &Path, more: &[String]) {
        let target = tempfile::tempdir_in(&self.folder).unwrap();
        let target = target.path().join("restored");
        let mut command = self.command(&["restore", snapshot, target.to_str().unwrap()]);
        Ended::from(command.args(more).output().unwrap()).expect(0);
        let mut differences = Vec::new();
        strongroom::fs::compare::compare(path, &target, None, |difference| {
            differences.push(difference.to_string());
        })
        .unwrap();
        assert_eq!(differences, [""; 0], "snapshot {snapshot}");
    }
}

impl Ended {
    /// Requires this exit code.
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
