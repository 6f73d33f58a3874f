//! The authority of a cluster's owner.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256, RsaKeySize,
};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::clock::Timestamp;

/// Validity of both certificates, in days (10 years, as the user guide has it).
const VALID_DAYS: i64 = 3_652;

/// `customerCA`: what the user guide makes with `openssl genrsa` and `openssl req -x509`.
pub struct CustomerCa {
    certificate: String,
    key: Zeroizing<String>,
}

impl CustomerCa {
    /// Makes a new one, valid from `now`, with a key of RSA 2048.
    ///
    /// # Errors
    /// What the library says.
    pub async fn generate(now: Timestamp) -> Result<Self, rcgen::Error> {
        let work = tokio::task::spawn_blocking(move || Self::make(now));
        work.await.unwrap_or(Err(rcgen::Error::KeyGenerationUnavailable))
    }

    fn make(now: Timestamp) -> Result<Self, rcgen::Error> {
        let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = name();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut params, now);
        let certificate = params.self_signed(&pair)?.pem();
        Ok(Self { certificate, key: Zeroizing::new(pair.serialize_pem()) })
    }

    /// The certificate in PEM: the trust anchor, `customerCA.crt`.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The private key in PEM, `customerCA.key`: whoever has it can pose as the cluster.
    #[must_use]
    pub fn expose_key(&self) -> &str {
        &self.key
    }

    /// Signs a cluster's request (PEM) and returns the certificate (PEM), valid from `now`.
    ///
    /// # Errors
    /// What the library says, for example of a request that is none.
    pub fn sign(&self, request: &str, now: Timestamp) -> Result<String, rcgen::Error> {
        let issuer = Issuer::from_ca_cert_pem(&self.certificate, KeyPair::from_pem(&self.key)?)?;
        let mut request = CertificateSigningRequestParams::from_pem(request)?;
        set_validity(&mut request.params, now);
        Ok(request.signed_by(&issuer)?.pem())
    }
}

fn name() -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Strongroom");
    name.push(DnType::CommonName, "customerCA");
    name
}

fn set_validity(params: &mut CertificateParams, now: Timestamp) {
    let seconds = now.as_millis().div_euclid(1_000);
    let start = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    params.not_before = start;
    params.not_after = start.saturating_add(time::Duration::days(VALID_DAYS));
}
