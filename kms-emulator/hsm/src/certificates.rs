//! Certificates and signing requests: the factory's chain, the cluster's identity, and the check
//! that a customer's certificate is the cluster's.
//!
//! Customers sign the request with `openssl x509 -req`, which by default makes certificates of
//! X.509 version 1 or without a subject alternative name. Web PKI verifiers refuse those; what
//! counts here is that the key is the cluster's and that the trust anchor signed it.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_RSA_SHA256, RsaKeySize,
};
use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;
use x509_parser::oid_registry::{
    OID_PKCS1_RSASSAPSS, OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA,
};
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::codec::wire_enum;
use crate::error::HsmError;
use crate::limits::PEM_BYTES_MAX;
use crate::secret::PrivateKey;

wire_enum! {
    /// What is wrong with a certificate.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
    #[non_exhaustive]
    pub enum CertificateFault as "certificate fault" {
        /// It is not exactly one certificate in PEM.
        #[error("it is not one PEM certificate")]
        Unreadable = 1,
        /// The current time is outside its validity.
        #[error("it is expired or not yet valid")]
        OutsideValidity = 2,
        /// The trust anchor is not signed by itself.
        #[error("the trust anchor is not self-signed")]
        NotSelfSigned = 3,
        /// The trust anchor's key is not RSA of 2,048 or 4,096 bits.
        #[error("the trust anchor's key is not RSA 2048 or RSA 4096")]
        KeyNotAllowed = 4,
        /// It is signed with an algorithm that is no longer safe, or unknown.
        #[error("its signature algorithm is not allowed")]
        SignatureNotAllowed = 5,
        /// The trust anchor did not sign it.
        #[error("the trust anchor did not sign it")]
        NotSignedByAnchor = 6,
        /// It certifies another key than the cluster's.
        #[error("its key is not that of the certificate signing request")]
        OtherKey = 7,
        /// The trust anchor has version 3 extensions without Basic Constraints.
        #[error("the trust anchor has extensions but no basic constraints that make it a CA")]
        NotACa = 8,
    }
}

/// A trust anchor (`customerCA.crt`) that has been checked: self-signed, RSA 2048 or 4096.
#[derive(Debug, Clone)]
pub struct TrustAnchor {
    der: Vec<u8>,
}

impl TrustAnchor {
    /// Reads and checks a PEM certificate.
    ///
    /// `now` is the time since the Unix epoch at which it has to be valid.
    ///
    /// # Errors
    ///
    /// The [`CertificateFault`] found first.
    pub fn from_pem(pem: &str, now: Duration) -> Result<Self, CertificateFault> {
        let der = pem_to_der(pem)?;
        let certificate = parse(&der)?;
        check_validity(&certificate, now)?;
        check_ca_extensions(&certificate)?;
        check_anchor_key(&certificate)?;
        check_signature(&certificate, &certificate, CertificateFault::NotSelfSigned)?;
        Ok(Self { der })
    }

    /// Whether the other anchor is the same certificate.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.der == other.der
    }

    /// Checks that this anchor signed `der` and that it is valid at `now`; returns its public key
    /// (DER `SubjectPublicKeyInfo`).
    ///
    /// # Errors
    ///
    /// The [`CertificateFault`] found first.
    pub fn check(&self, der: &[u8], now: Duration) -> Result<Vec<u8>, CertificateFault> {
        let anchor = parse(&self.der)?;
        let certificate = parse(der)?;
        check_validity(&certificate, now)?;
        check_signature(&certificate, &anchor, CertificateFault::NotSignedByAnchor)?;
        Ok(certificate.public_key().raw.to_vec())
    }
}

/// A cluster certificate that [`check_cluster_certificate`] found to be the cluster's own.
#[derive(Debug, Clone)]
pub struct ClusterCertificate {
    der: Vec<u8>,
}

impl ClusterCertificate {
    /// The certificate in DER.
    #[must_use]
    pub fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from(self.der.clone())
    }
}

/// Checks what a customer hands over to initialise a cluster.
///
/// `signed_pem` is the signed cluster certificate, `anchor` what signed it, `public_key` the DER
/// `SubjectPublicKeyInfo` of the signing request, `now` the time since the Unix epoch.
///
/// # Errors
///
/// The [`CertificateFault`] found first.
pub fn check_cluster_certificate(
    signed_pem: &str,
    anchor: &TrustAnchor,
    public_key: &[u8],
    now: Duration,
) -> Result<ClusterCertificate, CertificateFault> {
    let der = pem_to_der(signed_pem)?;
    if parse(&der)?.public_key().raw != public_key {
        return Err(CertificateFault::OtherKey);
    }
    anchor.check(&der, now)?;
    Ok(ClusterCertificate { der })
}

/// The public key (DER `SubjectPublicKeyInfo`) of a signing request in PEM.
///
/// # Errors
///
/// [`CertificateFault::Unreadable`] when it is not one.
pub fn csr_public_key(csr_pem: &str) -> Result<Vec<u8>, CertificateFault> {
    let der = pem_to_der(csr_pem)?;
    let (_, csr) = x509_parser::certification_request::X509CertificationRequest::from_der(&der)
        .map_err(|_| CertificateFault::Unreadable)?;
    Ok(csr.certification_request_info.subject_pki.raw.to_vec())
}

/// Reads a public key in PEM; returns the DER of its `SubjectPublicKeyInfo`.
///
/// # Errors
///
/// [`CertificateFault::Unreadable`].
pub fn public_key_from_pem(pem: &[u8]) -> Result<Vec<u8>, CertificateFault> {
    pem_to_der(std::str::from_utf8(pem).map_err(|_| CertificateFault::Unreadable)?)
}

fn pem_to_der(pem: &str) -> Result<Vec<u8>, CertificateFault> {
    if pem.len() > PEM_BYTES_MAX {
        return Err(CertificateFault::Unreadable);
    }
    let (_, document) = parse_x509_pem(pem.as_bytes()).map_err(|_| CertificateFault::Unreadable)?;
    Ok(document.contents)
}

pub(crate) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, CertificateFault> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(CertificateFault::Unreadable),
    }
}

fn check_validity(
    certificate: &X509Certificate<'_>,
    now: Duration,
) -> Result<(), CertificateFault> {
    let seconds = i64::try_from(now.as_secs()).map_err(|_| CertificateFault::OutsideValidity)?;
    let validity = certificate.validity();
    let inside =
        validity.not_before.timestamp() <= seconds && seconds <= validity.not_after.timestamp();
    if inside { Ok(()) } else { Err(CertificateFault::OutsideValidity) }
}

/// "If using X509v3 extensions, the X509v3 Basic Constraints extension must be present."
fn check_ca_extensions(certificate: &X509Certificate<'_>) -> Result<(), CertificateFault> {
    if certificate.extensions().is_empty() {
        return Ok(());
    }
    match certificate.basic_constraints() {
        Ok(Some(constraints)) if constraints.value.ca => Ok(()),
        _ => Err(CertificateFault::NotACa),
    }
}

/// "You must use the RSA 2048 certificate or the RSA 4096 certificate."
fn check_anchor_key(certificate: &X509Certificate<'_>) -> Result<(), CertificateFault> {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) if matches!(key.key_size(), 2_048 | 4_096) => Ok(()),
        _ => Err(CertificateFault::KeyNotAllowed),
    }
}

fn check_signature(
    certificate: &X509Certificate<'_>,
    issuer: &X509Certificate<'_>,
    fault: CertificateFault,
) -> Result<(), CertificateFault> {
    let allowed = [
        OID_PKCS1_SHA256WITHRSA,
        OID_PKCS1_SHA384WITHRSA,
        OID_PKCS1_SHA512WITHRSA,
        OID_PKCS1_RSASSAPSS,
    ];
    if !allowed.contains(&certificate.signature_algorithm.algorithm) {
        return Err(CertificateFault::SignatureNotAllowed);
    }
    certificate.verify_signature(Some(issuer.public_key())).map_err(|_| fault)
}

/// A key and the certificate that speaks for it.
pub(crate) struct Authority {
    key: PrivateKey,
    certificate_pem: String,
}

impl Authority {
    /// Makes a self-signed root named `common_name`, valid for `days` from `now`.
    pub(crate) fn self_signed(
        common_name: &str,
        days: u32,
        now: Duration,
    ) -> Result<Self, HsmError> {
        let pair = generate_rsa("root")?;
        let params = ca_params(name(&[(DnType::CommonName, common_name)]), days, now);
        let certificate = params.self_signed(&pair).map_err(failed("root"))?;
        Ok(Self { key: private_key(&pair), certificate_pem: certificate.pem() })
    }

    /// Takes up a stored key and certificate.
    pub(crate) fn load(key: PrivateKey, certificate_pem: String) -> Self {
        Self { key, certificate_pem }
    }

    /// The certificate.
    pub(crate) fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The key, for storing.
    pub(crate) fn into_key(self) -> PrivateKey {
        self.key
    }

    /// Certifies `subject_key` under the name `subject`, valid for `days` from `now`; `what` names
    /// the certificate in errors.
    pub(crate) fn certify(
        &self,
        what: &'static str,
        subject: DistinguishedName,
        subject_key: &PrivateKey,
        days: u32,
        now: Duration,
    ) -> Result<String, HsmError> {
        let issuer_key = load_rsa(&self.key, what)?;
        let issuer =
            Issuer::from_ca_cert_pem(&self.certificate_pem, issuer_key).map_err(failed(what))?;
        let certificate = ca_params(subject, days, now)
            .signed_by(&load_rsa(subject_key, what)?, &issuer)
            .map_err(failed(what))?;
        Ok(certificate.pem())
    }
}

/// Makes an RSA 2048 key.
pub(crate) fn generate_identity_key() -> Result<PrivateKey, HsmError> {
    Ok(private_key(&generate_rsa("HSM")?))
}

/// Makes the cluster's signing request in PEM.
pub(crate) fn make_csr(key: &PrivateKey, subject: DistinguishedName) -> Result<String, HsmError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject;
    params
        .serialize_request(&load_rsa(key, "request")?)
        .and_then(|request| request.pem())
        .map_err(failed("request"))
}

/// The subject of an HSM: `/C=US/ST=CA/O=Cavium/OU=N3FIPS/L=SanJose/CN=HSM:…:PARTN:…, for FIPS mode`.
pub(crate) fn hsm_subject(serial: &str, partition: u32) -> DistinguishedName {
    let common_name = format!("HSM:{serial}:PARTN:{partition}, for FIPS mode");
    name(&[
        (DnType::CountryName, "US"),
        (DnType::StateOrProvinceName, "CA"),
        (DnType::OrganizationName, "Cavium"),
        (DnType::OrganizationalUnitName, "N3FIPS"),
        (DnType::LocalityName, "SanJose"),
        (DnType::CommonName, &common_name),
    ])
}

/// The subject of a piece of hardware.
pub(crate) fn hardware_subject(serial: &str) -> DistinguishedName {
    let common_name = format!("HSM:{serial}");
    name(&[
        (DnType::CountryName, "US"),
        (DnType::StateOrProvinceName, "CA"),
        (DnType::OrganizationName, "Cavium"),
        (DnType::OrganizationalUnitName, "N3FIPS"),
        (DnType::LocalityName, "SanJose"),
        (DnType::CommonName, &common_name),
    ])
}

fn ca_params(subject: DistinguishedName, days: u32, now: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let start = i64::try_from(now.as_secs())
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    params.not_before = start;
    params.not_after = start.saturating_add(time::Duration::days(i64::from(days)));
    params
}

fn name(parts: &[(DnType, &str)]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    for (kind, value) in parts {
        name.push(kind.clone(), *value);
    }
    name
}

fn generate_rsa(what: &'static str) -> Result<KeyPair, HsmError> {
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).map_err(failed(what))
}

fn private_key(pair: &KeyPair) -> PrivateKey {
    PrivateKey::from_pkcs8(pair.serialized_der())
}

fn load_rsa(key: &PrivateKey, what: &'static str) -> Result<KeyPair, HsmError> {
    let der = rustls_pki_types::PrivatePkcs8KeyDer::from(key.expose());
    KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_RSA_SHA256).map_err(failed(what))
}

fn failed(what: &'static str) -> impl FnOnce(rcgen::Error) -> HsmError {
    move |source| HsmError::Certificate { what, source }
}
