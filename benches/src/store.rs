//! Where the tools archive to: a local folder, or a bucket on a real S3 server.

use std::path::{Path, PathBuf};
use std::process::Command;

use strongroom_peers::{Minio, Peer, S3Server, SeaweedFs};
use tempfile::TempDir;

use crate::{BenchError, measure, tree};

/// The bucket that all tools share; each has a prefix of its own.
const BUCKET: &str = "archive";

/// The kinds of store, as named on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum StoreKind {
    /// A local folder.
    Local,
    /// A bucket on MinIO.
    Minio,
    /// A bucket on SeaweedFS.
    Seaweedfs,
}

/// A store that is there, empty at first, and gone when the value is dropped.
#[derive(Debug)]
pub enum Store {
    /// A local folder.
    Local(TempDir),
    /// A bucket.
    S3(Box<S3Server>),
}

impl Store {
    /// Makes the folder below `work`, or starts the server and makes the bucket.
    ///
    /// # Errors
    ///
    /// [`BenchError::File`], or [`BenchError::Peer`] if the server is not installed or does not start.
    pub fn open(kind: StoreKind, work: &Path) -> Result<Self, BenchError> {
        let server = match kind {
            StoreKind::Local => {
                let folder = tempfile::tempdir_in(work).map_err(BenchError::file(work))?;
                return Ok(Self::Local(folder));
            }
            StoreKind::Minio => Minio::start()?,
            StoreKind::Seaweedfs => SeaweedFs::start()?,
        };
        server.create_bucket(BUCKET)?;
        Ok(Self::S3(Box::new(server)))
    }

    /// The name of the store, for messages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Local(_) => "local folder",
            Self::S3(server) => server.software(),
        }
    }

    /// The folder of a tool in a local store.
    #[must_use]
    pub fn folder(&self, prefix: &str) -> Option<PathBuf> {
        match self {
            Self::Local(folder) => Some(folder.path().join(prefix)),
            Self::S3(_) => None,
        }
    }

    /// The server, its bucket and a tool's prefix in it, if the store is a server.
    #[must_use]
    pub fn server(&self) -> Option<(&S3Server, &'static str)> {
        match self {
            Self::Local(_) => None,
            Self::S3(server) => Some((server, BUCKET)),
        }
    }

    /// The bytes of all objects below a tool's prefix, as the store itself lists them.
    ///
    /// # Errors
    ///
    /// [`BenchError::File`], or whatever the listing failed with.
    pub fn stored_bytes(&self, prefix: &str) -> Result<u64, BenchError> {
        match self {
            Self::Local(folder) => Ok(tree::size(&folder.path().join(prefix))?.bytes),
            Self::S3(server) => Ok(list(server, prefix)?.iter().map(|(_, bytes)| bytes).sum()),
        }
    }

    /// The keys of all objects below a tool's prefix, relative to it, sorted.
    ///
    /// # Errors
    ///
    /// As [`Store::stored_bytes`].
    pub fn keys(&self, prefix: &str) -> Result<Vec<String>, BenchError> {
        match self {
            Self::Local(folder) => tree::files(&folder.path().join(prefix)),
            Self::S3(server) => {
                let start = format!("{prefix}/");
                let keys = list(server, prefix)?.into_iter();
                Ok(keys.filter_map(|(key, _)| Some(key.strip_prefix(&start)?.to_owned())).collect())
            }
        }
    }

    /// Reads an object, named by its path in the store.
    ///
    /// # Errors
    ///
    /// [`BenchError::File`], or whatever the server refused with.
    pub fn get(&self, path: &str) -> Result<Vec<u8>, BenchError> {
        match self {
            Self::Local(folder) => read(&folder.path().join(path)),
            Self::S3(server) => {
                let file = tempfile::NamedTempFile::new().map_err(BenchError::file(path))?;
                let local = file.path().to_string_lossy();
                aws(server, &["s3", "cp", "--quiet", &format!("s3://{BUCKET}/{path}"), &local])?;
                read(file.path())
            }
        }
    }

    /// Replaces an object, named by its path in the store.
    ///
    /// # Errors
    ///
    /// As [`Store::get`].
    pub fn put(&self, path: &str, bytes: &[u8]) -> Result<(), BenchError> {
        match self {
            Self::Local(folder) => write(&folder.path().join(path), bytes),
            Self::S3(server) => {
                let file = tempfile::NamedTempFile::new().map_err(BenchError::file(path))?;
                write(file.path(), bytes)?;
                let local = file.path().to_string_lossy();
                aws(server, &["s3", "cp", "--quiet", &local, &format!("s3://{BUCKET}/{path}")])?;
                Ok(())
            }
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, BenchError> {
    std::fs::read(path).map_err(BenchError::file(path))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), BenchError> {
    std::fs::write(path, bytes).map_err(BenchError::file(path))
}

/// Runs the aws command line against a server.
///
/// # Errors
///
/// [`BenchError::Peer`] if it is not installed, [`BenchError::Failed`] if the server refuses.
pub fn aws(server: &S3Server, arguments: &[&str]) -> Result<String, BenchError> {
    let mut command = Command::new(Peer::AwsCli.find()?);
    command.args(arguments).envs(server.environment());
    Ok(measure::run(&mut command)?.success()?.stdout)
}

/// The key and size of each object below a prefix.
fn list(server: &S3Server, prefix: &str) -> Result<Vec<(String, u64)>, BenchError> {
    let start = format!("{prefix}/");
    let arguments = ["s3api", "list-objects-v2", "--bucket", BUCKET, "--prefix", &start];
    let query = ["--output", "json", "--query", "Contents[].[Key,Size]"];
    let output = aws(server, &[&arguments[..], &query[..]].concat())?;
    serde_json::from_str::<Option<Vec<(String, u64)>>>(&output)
        .map(Option::unwrap_or_default)
        .map_err(|_| BenchError::Output {
            command: arguments.join(" "),
            expected: "list of objects",
            output,
        })
}
