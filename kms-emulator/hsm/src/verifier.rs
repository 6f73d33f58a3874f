//! How a client makes sure that it talks to an HSM of its cluster: TLS with the trust anchor that
//! signed the cluster certificate, and no other authority.
//!
//! `openssl x509 -req`, which the guides use, makes X.509 version 1 certificates without names. The
//! Web PKI rules of rustls refuse those before they look at a signature, so this verifier parses the
//! certificate itself, demands the anchor's signature and the validity period, and has rustls verify
//! the handshake signature by the certificate's bare public key. The peer's address is not compared:
//! all HSMs of a cluster share one certificate, and holding its key is what membership means.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature_with_raw_key,
};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, PeerIncompatible, ServerConfig,
    SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer,
    UnixTime,
};

use crate::certificates::{CertificateFault, TrustAnchor, parse};
use crate::device::Identity;
use crate::error::HsmError;

/// TLS of a client that trusts `anchor` alone.
pub(crate) fn client_config(anchor: &TrustAnchor) -> Result<Arc<ClientConfig>, HsmError> {
    let provider = provider();
    let verifier = ClusterVerifier {
        anchor: anchor.clone(),
        algorithms: provider.signature_verification_algorithms,
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// TLS of a device that shows the cluster's certificate.
pub(crate) fn server_config(identity: &Identity) -> Result<Arc<ServerConfig>, HsmError> {
    let provider = provider();
    let certificate = CertificateDer::from_pem_slice(identity.certificate_pem.as_bytes())
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.key.expose().to_vec()));
    let key = provider.key_provider.load_private_key(key)?;
    // Not `with_single_cert`: it would parse the certificate by the Web PKI rules. That the key is
    // the certificate's was checked when the device was initialised.
    let certified = CertifiedKey::new(vec![certificate], key);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(OneCertificate(Arc::new(certified))));
    // Resumption would outlive a restore or a tamper; connections are long-lived anyway.
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

struct OneCertificate(Arc<CertifiedKey>);

impl fmt::Debug for OneCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneCertificate")
    }
}

impl ResolvesServerCert for OneCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct ClusterVerifier {
    anchor: TrustAnchor,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for ClusterVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.anchor
            .check(end_entity, Duration::from_secs(now.as_secs()))
            .map(|_| ServerCertVerified::assertion())
            .map_err(|fault| Error::InvalidCertificate(certificate_error(fault)))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // Only TLS 1.3 is offered.
        Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOfferedOrEnabled))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let certificate =
            parse(cert).map_err(|fault| Error::InvalidCertificate(certificate_error(fault)))?;
        let key = SubjectPublicKeyInfoDer::from(certificate.public_key().raw);
        verify_tls13_signature_with_raw_key(message, &key, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn certificate_error(fault: CertificateFault) -> CertificateError {
    match fault {
        CertificateFault::Unreadable => CertificateError::BadEncoding,
        CertificateFault::OutsideValidity => CertificateError::Expired,
        CertificateFault::NotSignedByAnchor => CertificateError::UnknownIssuer,
        other => CertificateError::Other(rustls::OtherError(Arc::new(other))),
    }
}
