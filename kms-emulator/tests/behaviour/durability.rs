//! K1: what was acknowledged survives `kill -9`, over HTTP, with the real program.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_sdk_kms::Client;
use aws_sdk_kms::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kms::primitives::Blob;

/// Kills of the server.
const KILLS: usize = 20;
/// Clients that make keys at the same time.
const CLIENTS: usize = 4;

/// `strongroom-kms serve` as a process.
struct Process {
    child: Child,
    endpoint: String,
    /// Kept open: a server whose standard output is closed could not announce itself.
    _output: BufReader<std::process::ChildStdout>,
}

impl Process {
    #[expect(clippy::zombie_processes, reason = "whoever has the value waits for it in `drop`")]
    fn start(data: &Path, credentials: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_strongroom-kms"))
            .args(["serve", "--listen", "127.0.0.1:0", "--log", "error", "--data-dir"])
            .arg(data)
            .arg("--credentials")
            .arg(credentials)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        loop {
            line.clear();
            assert!(output.read_line(&mut line).unwrap() > 0, "the server ended");
            if let Some(url) = line.trim().strip_prefix("export AWS_ENDPOINT_URL=") {
                return Self { child, endpoint: url.to_owned(), _output: output };
            }
        }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn client(&self) -> Client {
        let credentials = Credentials::new("AKIADURABLE000000000", "secret", None, None, "test");
        Client::from_conf(
            aws_sdk_kms::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(Region::new("us-east-1"))
                .endpoint_url(&self.endpoint)
                .credentials_provider(credentials)
                .retry_config(aws_sdk_kms::config::retry::RetryConfig::disabled())
                .build(),
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An acknowledged key and something that it encrypted.
type Acknowledged = (String, Blob);

/// Makes keys until the server is gone; returns those that were acknowledged.
async fn make_keys(client: Client, made: Arc<AtomicUsize>) -> Vec<Acknowledged> {
    let mut acknowledged = Vec::new();
    while let Ok(created) = client.create_key().send().await {
        let id = created.key_metadata.unwrap().key_id;
        made.fetch_add(1, Ordering::SeqCst);
        let alias = client.create_alias().alias_name(format!("alias/{id}")).target_key_id(&id);
        if alias.send().await.is_err() {
            // The key was acknowledged although its alias was not.
            acknowledged.push((id, Blob::new(Vec::new())));
            break;
        }
        let encrypted = client.encrypt().key_id(&id).plaintext(Blob::new(id.clone())).send().await;
        let blob = encrypted.map_or(Blob::new(Vec::new()), |e| e.ciphertext_blob.unwrap());
        acknowledged.push((id, blob));
    }
    acknowledged
}

async fn check(client: &Client, (id, blob): &Acknowledged) {
    client.encrypt().key_id(id).plaintext(Blob::new("x")).send().await.unwrap();
    if blob.as_ref().is_empty() {
        return;
    }
    let opened = client
        .decrypt()
        .key_id(format!("alias/{id}"))
        .ciphertext_blob(blob.clone())
        .send()
        .await
        .unwrap();
    assert_eq!(opened.plaintext().unwrap().as_ref(), id.as_bytes());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_key_survives_kill_nine() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let credentials = dir.path().join("credentials.json");
    std::fs::write(
        &credentials,
        r#"{"credentials":[{"accountId":"000000000000","accessKeyId":"AKIADURABLE000000000",
            "secretAccessKey":"secret"}]}"#,
    )
    .unwrap();
    let mut acknowledged: Vec<Acknowledged> = Vec::new();
    for kill in 0..KILLS {
        let server = Process::start(&data, &credentials);
        let made = Arc::new(AtomicUsize::new(0));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| tokio::spawn(make_keys(server.client(), Arc::clone(&made))))
            .collect();
        // At least one key, then a moment that differs each time.
        while made.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let moment = u64::from(uuid::Uuid::new_v4().as_bytes()[0]) + kill as u64;
        tokio::time::sleep(Duration::from_millis(moment)).await;
        server.kill();
        for client in clients {
            acknowledged.extend(client.await.unwrap());
        }
    }
    let server = Process::start(&data, &credentials);
    let client = server.client();
    for key in &acknowledged {
        check(&client, key).await;
    }
    println!("K1: {KILLS} kills, {} acknowledged keys, 0 lost", acknowledged.len());
}

#[test]
fn the_root_credential_is_shown_once() {
    let dir = tempfile::tempdir().unwrap();
    let run = || {
        let mut child = Command::new(env!("CARGO_BIN_EXE_strongroom-kms"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let lines: Vec<String> = output
            .lines()
            .map(Result::unwrap)
            .take_while(|line| !line.contains("Listening"))
            .collect();
        let id = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        assert!(child.wait().unwrap().success(), "SIGTERM is a clean end");
        lines.join("\n")
    };
    assert!(run().contains("AWS_SECRET_ACCESS_KEY="));
    assert!(!run().contains("SECRET"));
}
