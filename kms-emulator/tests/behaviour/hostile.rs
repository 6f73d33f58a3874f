//! K7: hostile clients in great number, and what honest ones notice of them; with the real program.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::signer::{RawRequest, Signer};

/// Connections that are opened and say nothing, or stop within the head or the body.
const SLOW: usize = 900;
/// Clients that send long bodies again and again.
const PUSHY: usize = 8;
/// Requests of the honest client.
const HONEST: usize = 400;
/// What the program may take while all of this goes on, in MiB: what its limits add up to for as many
/// connections (64 KiB of head each, 64 MiB of long bodies), its own and the debug build's.
const MEMORY_MIB_MAX: u64 = 256;
const ID: &str = "AKIAHONEST0000000000";

struct Process {
    child: Child,
    host: String,
    _output: BufReader<std::process::ChildStdout>,
}

impl Process {
    #[expect(clippy::zombie_processes, reason = "whoever has the value waits for it in `drop`")]
    fn start(credentials: &std::path::Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_strongroom-kms"))
            .args(["serve", "--ephemeral", "--listen", "127.0.0.1:0", "--log", "error"])
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
            if let Some(host) = line.trim().strip_prefix("export AWS_ENDPOINT_URL=http://") {
                return Self { child, host: host.to_owned(), _output: output };
            }
        }
    }

    /// A figure of proc(5), in MiB.
    fn memory_mib(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Sends one signed request over a connection that stays open, and reads the reply.
fn ask(stream: &mut TcpStream, host: &str) -> u16 {
    let signer = Signer {
        access_key_id: ID.into(),
        secret: "secret".into(),
        region: "us-east-1".into(),
        service: "kms".into(),
    };
    let request = RawRequest::json(host, "TrentService.GenerateRandom", r#"{"NumberOfBytes":32}"#);
    let bytes = signer.sign(&request).to_bytes();
    let text = String::from_utf8(bytes).unwrap().replace("connection: close\r\n", "");
    stream.write_all(text.as_bytes()).unwrap();
    let mut reply = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "the server closed");
        reply.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&reply);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.unwrap().parse::<usize>().unwrap() {
                return head.split(' ').nth(1).unwrap().parse().unwrap();
            }
        }
    }
}

fn latencies(host: &str) -> Vec<Duration> {
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut taken: Vec<Duration> = (0..HONEST)
        .map(|_| {
            let started = Instant::now();
            assert_eq!(ask(&mut stream, host), 200);
            started.elapsed()
        })
        .collect();
    taken.sort();
    taken
}

/// Connections that hold on to what they have begun.
fn slow(host: &str) -> Vec<TcpStream> {
    let long = format!(
        "POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: TrentService.CreateKey\r\n\
         content-length: 1000000\r\n\r\n{}",
        "x".repeat(100_000)
    );
    let kinds: [&[u8]; 4] = [
        b"",
        b"POST / HTTP/1.1\r\nhost: x\r\nx-pad: aaaa",
        b"POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: TrentService.Encrypt\r\n\
          content-length: 1000\r\n\r\n{",
        long.as_bytes(),
    ];
    (0..SLOW)
        .map(|number| {
            let mut stream = TcpStream::connect(host).unwrap();
            stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
            // What the server does not read is not sent.
            drop(stream.write_all(kinds[number % kinds.len()]));
            stream
        })
        .collect()
}

/// Sends long, deep and lying bodies until it is told to stop.
fn push(host: &str, stop: &AtomicBool) -> usize {
    let deep = format!("{}{}", "[".repeat(60_000), "]".repeat(60_000));
    let wide = format!("{{{}\"z\":1}}", "\"a\":1,".repeat(20_000));
    let head = |length: usize| {
        format!(
            "POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: TrentService.Encrypt\r\n\
             connection: close\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    let attacks = [
        format!("{}{deep}", head(deep.len())),
        format!("{}{wide}", head(wide.len())),
        head(99_999_999_999),
        format!("POST / HTTP/1.1\r\nhost: x\r\nx-pad: {}\r\n\r\n", "a".repeat(100_000)),
    ];
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        drop(stream.write_all(attacks[sent % attacks.len()].as_bytes()));
        drop(stream.read_to_end(&mut Vec::new()));
        sent += 1;
    }
    sent
}

/// The usual soft limit is little more than the connections of this test.
fn raise_open_files_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
}

#[test]
fn honest_clients_are_served_while_others_attack() {
    let credentials = tempfile::NamedTempFile::new().unwrap();
    let entry = format!(
        r#"{{"credentials":[{{"accountId":"000000000000","accessKeyId":"{ID}","secretAccessKey":"secret"}}]}}"#
    );
    std::fs::write(credentials.path(), entry).unwrap();
    raise_open_files_limit();
    let server = Process::start(credentials.path());
    let quiet = latencies(&server.host);
    let held = slow(&server.host);
    let stop = Arc::new(AtomicBool::new(false));
    let pushing: Vec<_> = (0..PUSHY)
        .map(|_| {
            let (host, stop) = (server.host.clone(), Arc::clone(&stop));
            std::thread::spawn(move || push(&host, &stop))
        })
        .collect();
    let attacked = latencies(&server.host);
    stop.store(true, Ordering::Relaxed);
    let pushed: usize = pushing.into_iter().map(|thread| thread.join().unwrap()).sum();
    let peak = server.memory_mib("VmHWM:");
    let at = |taken: &[Duration], hundredth: usize| taken[taken.len() * hundredth / 100];
    println!(
        "K7: {} slow connections and {pushed} attacks by {PUSHY} clients: honest p50 {:?} (alone {:?}), \
         p99 {:?} (alone {:?}), {HONEST} of {HONEST} answered, peak memory {peak} MiB",
        held.len(),
        at(&attacked, 50),
        at(&quiet, 50),
        at(&attacked, 99),
        at(&quiet, 99),
    );
    assert!(peak <= MEMORY_MIB_MAX, "{peak} MiB");
}
