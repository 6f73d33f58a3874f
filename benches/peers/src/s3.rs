//! MinIO and SeaweedFS as servers on loopback.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::identity::{ACCESS_KEY, REGION, SECRET_KEY};
use crate::process::{Server, answers_ok, free_address};
use crate::{Peer, PeerError};

/// How often a server is started again when another process took its port.
const START_TRIES: usize = 3;

/// An S3 server of our own on a free loopback port, with its data in a temporary folder.
///
/// The server is killed and its data removed when the value is dropped.
#[derive(Debug)]
pub struct S3Server {
    server: Server,
    kind: Kind,
    address: SocketAddr,
    // Dropped after the server, whose files it holds.
    folder: TempDir,
}

impl S3Server {
    /// The URL of the S3 endpoint, such as `http://127.0.0.1:40123`; buckets are addressed by path.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The access key id of a user who may do everything.
    #[must_use]
    pub fn access_key(&self) -> &'static str {
        ACCESS_KEY
    }

    /// The secret access key that belongs to [`S3Server::access_key`].
    #[must_use]
    pub fn secret_key(&self) -> &'static str {
        SECRET_KEY
    }

    /// The Region that requests are signed for.
    #[must_use]
    pub fn region(&self) -> &'static str {
        REGION
    }

    /// The environment variables from which AWS clients take credentials, Region and endpoint.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ENDPOINT_URL_S3", self.endpoint()),
        ]
    }

    /// The name of the software, for messages.
    #[must_use]
    pub fn software(&self) -> &'static str {
        match self.kind {
            Kind::Minio => "MinIO",
            Kind::SeaweedFs { .. } => "SeaweedFS",
        }
    }

    /// The folder in which the server keeps its data.
    #[must_use]
    pub fn data_folder(&self) -> &Path {
        self.folder.path()
    }

    /// Makes a bucket.
    ///
    /// # Errors
    ///
    /// [`PeerError::Prepare`] or [`PeerError::Failed`] if the server does not make it.
    pub fn create_bucket(&self, bucket: &str) -> Result<(), PeerError> {
        match &self.kind {
            // On one drive, MinIO's buckets are the folders at the top of the drive.
            Kind::Minio => make_folder(&drive(self.folder.path()).join(bucket)),
            Kind::SeaweedFs { program, master, filer } => {
                let script = format!("s3.bucket.create -name {bucket}\n");
                weed_shell(program, *master, *filer, &script)
            }
        }
    }

    /// Kills the server at once, as power loss would. The data stay until the value is dropped.
    pub fn kill(&mut self) {
        self.server.kill();
    }
}

/// What is particular to each software.
#[derive(Debug)]
enum Kind {
    Minio,
    SeaweedFs { program: PathBuf, master: Listener, filer: Listener },
}

/// MinIO, the S3 server.
#[derive(Debug)]
pub enum Minio {}

impl Minio {
    /// Starts MinIO and waits until it answers.
    ///
    /// # Errors
    ///
    /// [`PeerError::NotInstalled`] or [`PeerError::OtherVersion`] if it is not there to be started;
    /// [`PeerError::Ended`] or [`PeerError::NotReady`] if it does not come up.
    pub fn start() -> Result<S3Server, PeerError> {
        let program = Peer::Minio.find()?;
        retry(|| start_minio(&program))
    }
}

/// SeaweedFS, the S3 server: master, volume server, filer and S3 gateway in one process.
#[derive(Debug)]
pub enum SeaweedFs {}

impl SeaweedFs {
    /// Starts SeaweedFS and waits until it answers.
    ///
    /// # Errors
    ///
    /// As [`Minio::start`].
    pub fn start() -> Result<S3Server, PeerError> {
        let program = Peer::SeaweedFs.find()?;
        retry(|| start_seaweedfs(&program))
    }
}

fn start_minio(program: &Path) -> Result<S3Server, PeerError> {
    let folder = temporary_folder("strongroom-minio-")?;
    let (address, console) = (free_address()?, free_address()?);
    make_folder(&drive(folder.path()))?;
    let mut command = Command::new(program);
    command
        .args(["server", "--quiet", "--address", &address.to_string()])
        .args(["--console-address", &console.to_string()])
        .arg(drive(folder.path()))
        .env("MINIO_ROOT_USER", ACCESS_KEY)
        .env("MINIO_ROOT_PASSWORD", SECRET_KEY)
        .env("MINIO_REGION", REGION)
        .env("MINIO_BROWSER", "off")
        .env("MINIO_UPDATE", "off")
        .env("HOME", folder.path());
    let mut server = Server::start(&command, &folder.path().join("log"))?;
    server.wait_until(|| answers_ok(address, "/minio/health/ready"))?;
    Ok(S3Server { server, kind: Kind::Minio, address, folder })
}

/// One listener of SeaweedFS: each has an HTTP port and a gRPC port.
#[derive(Clone, Copy, Debug)]
struct Listener {
    http: SocketAddr,
    grpc: SocketAddr,
}

impl Listener {
    fn free() -> Result<Self, PeerError> {
        Ok(Self { http: free_address()?, grpc: free_address()? })
    }

    /// The two options that put `part` of SeaweedFS here.
    fn options(self, part: &str) -> [String; 2] {
        [
            format!("-{part}.port={}", self.http.port()),
            format!("-{part}.port.grpc={}", self.grpc.port()),
        ]
    }

    /// The address in the notation of SeaweedFS: host, HTTP port, gRPC port.
    fn server_address(self) -> String {
        format!("{}.{}", self.http, self.grpc.port())
    }
}

fn start_seaweedfs(program: &Path) -> Result<S3Server, PeerError> {
    let folder = temporary_folder("strongroom-seaweedfs-")?;
    let (master, volume, filer, s3) =
        (Listener::free()?, Listener::free()?, Listener::free()?, Listener::free()?);
    let identities = folder.path().join("s3.json");
    write_file(&identities, &seaweedfs_identities())?;
    let mut command = Command::new(program);
    command
        // Telemetry is off by default; volumes are small and many because each bucket takes several.
        .args(["-logtostderr=true", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3"])
        .args(["-filer", "-master.volumeSizeLimitMB=1024", "-volume.max=200"])
        .args(master.options("master"))
        .args(volume.options("volume"))
        .args(filer.options("filer"))
        .args(s3.options("s3"))
        .arg(format!("-s3.config={}", identities.display()))
        .arg(format!("-dir={}", folder.path().display()))
        .current_dir(folder.path())
        .env("HOME", folder.path());
    let mut server = Server::start(&command, &folder.path().join("log"))?;
    server.wait_until(|| answers_ok(s3.http, "/healthz"))?;
    let kind = Kind::SeaweedFs { program: program.into(), master, filer };
    // The gateway answers before the volume server has joined; the first bucket is the proof.
    server.wait_until(|| weed_shell(program, master, filer, "volume.list\n").is_ok())?;
    Ok(S3Server { server, kind, address: s3.http, folder })
}

/// The file from which SeaweedFS takes its S3 users.
fn seaweedfs_identities() -> String {
    format!(
        r#"{{"identities": [{{"name": "test", "credentials": [{{"accessKey": "{ACCESS_KEY}", "secretKey": "{SECRET_KEY}"}}], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}}]}}"#
    )
}

/// Runs one script in SeaweedFS's own administration shell.
fn weed_shell(
    program: &Path,
    master: Listener,
    filer: Listener,
    script: &str,
) -> Result<(), PeerError> {
    let start = |source| PeerError::Start { program: program.into(), source };
    let mut child = Command::new(program)
        .arg("shell")
        .arg(format!("-master={}", master.server_address()))
        .arg(format!("-filer={}", filer.server_address()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(start)?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(script.as_bytes()).map_err(start)?;
    }
    let output = child.wait_with_output().map_err(start)?;
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    // The shell exits with 0 whatever became of its commands.
    if output.status.success() && !text.contains("error:") {
        return Ok(());
    }
    let program = format!("weed shell: {}", script.trim());
    Err(PeerError::Failed { program, status: output.status.to_string(), output: text })
}

/// Starts again, a few times, what ended at once: its port may have been taken in between.
fn retry(mut start: impl FnMut() -> Result<S3Server, PeerError>) -> Result<S3Server, PeerError> {
    for _ in 1..START_TRIES {
        match start() {
            Err(PeerError::Ended { log_tail, .. }) if log_tail.contains("in use") => {}
            result => return result,
        }
    }
    start()
}

/// The folder inside the server's folder that MinIO takes for its drive.
fn drive(folder: &Path) -> PathBuf {
    folder.join("drive")
}

fn temporary_folder(prefix: &str) -> Result<TempDir, PeerError> {
    tempfile::Builder::new()
        .prefix(prefix)
        .tempdir()
        .map_err(|source| PeerError::Prepare { path: std::env::temp_dir(), source })
}

fn make_folder(path: &Path) -> Result<(), PeerError> {
    std::fs::create_dir(path).map_err(|source| PeerError::Prepare { path: path.into(), source })
}

fn write_file(path: &Path, text: &str) -> Result<(), PeerError> {
    std::fs::write(path, text).map_err(|source| PeerError::Prepare { path: path.into(), source })
}
