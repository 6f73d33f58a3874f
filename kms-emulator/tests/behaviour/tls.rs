//! HTTPS: certificates that are made here, and the operator's own.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use strongroom_kms::audit::{OnFailure, directory_in, newest_records};
use strongroom_kms::{DataDir, Emulator, EmulatorConfig, TlsIdentity};

use crate::harness::{Reply, Server, exchange_over};
use crate::signer::RawRequest;

/// Sends `ListKeys` over TLS, trusting one certificate authority.
async fn list_keys(server: &Server, ca: PathBuf, name: &'static str) -> Result<Reply, String> {
    let request = RawRequest::json(&server.host(), "TrentService.ListKeys", "{}");
    let bytes = server.signer("kms").sign(&request).to_bytes();
    let host = server.host();
    tokio::task::spawn_blocking(move || {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name).unwrap();
        let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        connection.complete_io(&mut stream).map_err(|error| error.to_string())?;
        Ok(exchange_over(StreamOwned::new(connection, stream), &bytes))
    })
    .await
    .unwrap()
}

async fn on(dir: &Path, tls: TlsIdentity) -> Server {
    let dir = dir.to_owned();
    Server::with(move |config| {
        config.data_dir = DataDir::Persistent(dir);
        config.audit = Some(OnFailure::Refuse);
        config.tls = Some(tls);
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_authority_that_is_made_stays_and_the_record_names_the_session() {
    let dir = tempfile::tempdir().unwrap();
    let server = on(dir.path(), TlsIdentity::SelfSigned).await;
    let ca = server.emulator.ca_file().unwrap().to_owned();
    assert!(server.emulator.endpoint().starts_with("https://127.0.0.1:"));
    for name in ["127.0.0.1", "localhost"] {
        let reply = list_keys(&server, ca.clone(), name).await.unwrap();
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    let refused = list_keys(&server, ca.clone(), "kms.example.com").await.unwrap_err();
    assert!(refused.contains("certificate"), "{refused}");
    // Plain HTTP is not answered.
    let request = RawRequest::json(&server.host(), "TrentService.ListKeys", "{}");
    assert_ne!(server.send(&server.signer("kms").sign(&request)).await.status, 200);
    server.emulator.shutdown().await;

    let records = newest_records(&directory_in(dir.path()), 1).unwrap();
    let record: serde_json::Value = serde_json::from_str(&records[0]).unwrap();
    assert_eq!(record["tlsDetails"]["tlsVersion"], "TLSv1.3");
    let suite = record["tlsDetails"]["cipherSuite"].as_str().unwrap();
    assert!(suite.starts_with("TLS_"), "{suite}");

    // The next start issues another certificate under the same authority.
    let kept = std::fs::read(&ca).unwrap();
    let server = on(dir.path(), TlsIdentity::SelfSigned).await;
    assert_eq!(std::fs::read(&ca).unwrap(), kept);
    assert_eq!(list_keys(&server, ca.clone(), "127.0.0.1").await.unwrap().status, 200);

    // Another installation's authority is another one.
    let other = tempfile::tempdir().unwrap();
    let stranger = on(other.path(), TlsIdentity::SelfSigned).await;
    assert!(list_keys(&stranger, ca, "127.0.0.1").await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_the_operators_own() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let identity = |certificate: &Path, key: &Path| TlsIdentity::Files {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
    };
    let server = on(&dir.path().join("data"), identity(&certificate, &key)).await;
    assert_eq!(server.emulator.ca_file(), None);
    let reply = list_keys(&server, certificate.clone(), "127.0.0.1").await.unwrap();
    assert_eq!(reply.status, 200);

    for (certificate, key, culprit) in
        [(&key, &key, "certificate chain"), (&certificate, &certificate, "private key")]
    {
        let mut config = EmulatorConfig::loopback(DataDir::Ephemeral).unwrap();
        config.tls = Some(identity(certificate, key));
        let message = Emulator::start(config).await.err().unwrap().to_string();
        assert!(message.contains(culprit), "{message}");
    }
}
