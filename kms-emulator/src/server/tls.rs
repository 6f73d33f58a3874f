//! TLS in front of the server: a certificate of the operator's, or one that is made here.
//!
//! A certificate that is made is issued at every start by a certificate authority of the installation's
//! own, which is made once and kept: clients are told of the authority and need to be told only once.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use time::OffsetDateTime;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use zeroize::Zeroizing;

use crate::clock::Timestamp;

/// Longest that a handshake may take.
const HANDSHAKE_SECONDS_MAX: u64 = 10;
/// Days for which the certificate authority is made.
const CA_DAYS: u32 = 3_650;
/// Days for which a certificate is made; each start makes a new one.
const CERTIFICATE_DAYS: u32 = 397;
/// How far back validity begins, in seconds: clocks of clients may be behind.
const BACKDATED_SECONDS: i64 = 3_600;
const CA_CERTIFICATE: &str = "ca.pem";
const CA_KEY: &str = "ca-key.pem";
const CA_NAME: &str = "Strongroom KMS local CA";

/// Where the server's certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsIdentity {
    /// From files in PEM: the certificate chain, the server's own first, and its private key.
    Files {
        /// The certificate chain.
        certificate: PathBuf,
        /// The private key (PKCS #8, PKCS #1 or SEC 1).
        key: PathBuf,
    },
    /// Issued at this start by a certificate authority of the installation's own.
    SelfSigned,
}

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("cannot use {} for TLS: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file is not what it must be.
    #[error("{} is no {what} in PEM: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it must be.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Certificate and key do not fit, or the certificate cannot be made.
    #[error("TLS cannot be offered: {0}")]
    Unusable(String),
}

/// TLS on the server's side.
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    /// The certificate authority's certificate, if it was made here.
    ca_file: Option<PathBuf>,
}

impl Tls {
    /// Reads or makes the certificate; `dir` keeps what is made, `addresses` are those it is for.
    pub(crate) fn open(
        identity: &TlsIdentity,
        dir: &Path,
        addresses: &[IpAddr],
        now: Timestamp,
    ) -> Result<Self, TlsError> {
        let (chain, key, ca_file) = match identity {
            TlsIdentity::Files { certificate, key } => {
                (read_chain(certificate)?, read_key(key)?, None)
            }
            TlsIdentity::SelfSigned => {
                let (chain, key) = issue(dir, addresses, now)?;
                (chain, key, Some(dir.join(CA_CERTIFICATE)))
            }
        };
        let unusable = |error: rustls::Error| TlsError::Unusable(error.to_string());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(unusable)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), ca_file })
    }

    /// The certificate of the authority that clients are to trust, if it was made here.
    pub(crate) fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    /// Does the handshake.
    pub(super) async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let patience = Duration::from_secs(HANDSHAKE_SECONDS_MAX);
        match tokio::time::timeout(patience, self.acceptor.accept(stream)).await {
            Ok(accepted) => accepted,
            Err(_) => Err(ErrorKind::TimedOut.into()),
        }
    }
}

/// Protocol version and cipher suite of a connection, as CloudTrail writes them.
pub(super) fn session(stream: &TlsStream<TcpStream>) -> (&'static str, &'static str) {
    let (_, connection) = stream.get_ref();
    let version = connection.protocol_version().and_then(|version| version.as_str());
    let suite = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
    let version = match version {
        Some("TLSv1_3") => "TLSv1.3",
        Some("TLSv1_2") => "TLSv1.2",
        other => other.unwrap_or_default(),
    };
    let suite = match suite {
        // rustls tells those of TLS 1.3 apart by another prefix than the RFC.
        Some("TLS13_AES_256_GCM_SHA384") => "TLS_AES_256_GCM_SHA384",
        Some("TLS13_AES_128_GCM_SHA256") => "TLS_AES_128_GCM_SHA256",
        Some("TLS13_CHACHA20_POLY1305_SHA256") => "TLS_CHACHA20_POLY1305_SHA256",
        other => other.unwrap_or_default(),
    };
    (version, suite)
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let malformed = |reason: String| TlsError::Malformed {
        path: path.to_owned(),
        what: "certificate chain",
        reason,
    };
    match chain {
        Ok(chain) if chain.is_empty() => Err(malformed("it holds no certificate".to_owned())),
        Ok(chain) => Ok(chain),
        Err(error) => Err(malformed(error.to_string())),
    }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = Zeroizing::new(read(path)?);
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| TlsError::Malformed {
        path: path.to_owned(),
        what: "private key",
        reason: error.to_string(),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::File { path: path.to_owned(), source })
}

type Issued = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Issues a certificate for the addresses, and for the machine's own name to itself.
fn issue(dir: &Path, addresses: &[IpAddr], now: Timestamp) -> Result<Issued, TlsError> {
    let failed = |error: rcgen::Error| TlsError::Unusable(error.to_string());
    let (certificate, issuer) = authority(dir, now)?;
    let mut names = vec!["localhost".to_owned()];
    names.extend(addresses.iter().map(IpAddr::to_string));
    let mut parameters = CertificateParams::new(names).map_err(failed)?;
    parameters.distinguished_name.push(DnType::CommonName, "strongroom-kms");
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    (parameters.not_before, parameters.not_after) = validity(now, CERTIFICATE_DAYS)?;
    let key = KeyPair::generate().map_err(failed)?;
    let issued = parameters.signed_by(&key, &issuer).map_err(failed)?;
    let key = PrivateKeyDer::try_from(key.serialize_der())
        .map_err(|reason| TlsError::Unusable(reason.to_owned()))?;
    Ok((vec![issued.der().clone(), certificate], key))
}

/// The installation's certificate authority, made if there is none.
fn authority(
    dir: &Path,
    now: Timestamp,
) -> Result<(CertificateDer<'static>, Issuer<'static, KeyPair>), TlsError> {
    let failed = |error: rcgen::Error| TlsError::Unusable(error.to_string());
    let (certificate, key) = (dir.join(CA_CERTIFICATE), dir.join(CA_KEY));
    if !certificate.exists() {
        make_authority(dir, now)?;
    }
    let pem = Zeroizing::new(read(&key)?);
    let pair = KeyPair::from_pem(&String::from_utf8_lossy(&pem)).map_err(failed)?;
    let chain = read_chain(&certificate)?;
    let certificate = chain.into_iter().next().ok_or_else(|| {
        TlsError::Unusable("the certificate authority has no certificate".to_owned())
    })?;
    let issuer = Issuer::from_ca_cert_der(&certificate, pair).map_err(failed)?;
    Ok((certificate, issuer))
}

fn make_authority(dir: &Path, now: Timestamp) -> Result<(), TlsError> {
    let failed = |error: rcgen::Error| TlsError::Unusable(error.to_string());
    let mut parameters = CertificateParams::new(Vec::new()).map_err(failed)?;
    parameters.distinguished_name.push(DnType::CommonName, CA_NAME);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (parameters.not_before, parameters.not_after) = validity(now, CA_DAYS)?;
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = parameters.self_signed(&key).map_err(failed)?;
    let unusable = |source| TlsError::File { path: dir.to_owned(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(unusable)?;
    // The key first: a certificate that is there has its key.
    write(&dir.join(CA_KEY), Zeroizing::new(key.serialize_pem()).as_bytes())?;
    write(&dir.join(CA_CERTIFICATE), certificate.pem().as_bytes())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), TlsError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options
        .open(path)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .map_err(|source| TlsError::File { path: path.to_owned(), source })
}

fn validity(now: Timestamp, days: u32) -> Result<(OffsetDateTime, OffsetDateTime), TlsError> {
    let instant = |at: Timestamp| {
        OffsetDateTime::from_unix_timestamp(at.as_seconds())
            .map_err(|error| TlsError::Unusable(error.to_string()))
    };
    Ok((instant(now.plus_seconds(-BACKDATED_SECONDS))?, instant(now.plus_days(days))?))
}
