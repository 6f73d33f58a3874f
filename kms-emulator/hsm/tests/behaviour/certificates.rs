//! The factory's chain, and what a customer may hand over.

use std::path::Path;
use std::process::Command;

use strongroom_hsm::{CertificateFault, Refusal};
use tempfile::TempDir;

use crate::support::{Customer, Node, factory, refusal, skip};

/// A folder in which `openssl` works, or `None` if there is no `openssl`.
struct OpenSsl {
    dir: TempDir,
}

impl OpenSsl {
    fn find(test: &str) -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            skip(test, "no openssl command");
            return None;
        }
        Some(Self { dir: tempfile::tempdir().unwrap() })
    }

    fn put(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(name)).unwrap()
    }

    /// Runs `openssl`, returns success and what it printed.
    fn run(&self, arguments: &[&str]) -> (bool, String) {
        let output =
            Command::new("openssl").args(arguments).current_dir(self.dir.path()).output().unwrap();
        let printed = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&printed).into_owned())
    }

    fn succeed(&self, arguments: &[&str]) -> String {
        let (success, printed) = self.run(arguments);
        assert!(success, "openssl {arguments:?}: {printed}");
        printed
    }

    /// The guide's own commands: a customerCA, and the signed request.
    fn claim(&self, csr: &str, bits: &str) -> (String, String) {
        self.put("cluster_ClusterCsr.csr", csr);
        self.succeed(&["genrsa", "-aes256", "-passout", "pass:1234", "-out", "ca.key", bits]);
        self.succeed(&[
            "req",
            "-new",
            "-x509",
            "-days",
            "3652",
            "-key",
            "ca.key",
            "-passin",
            "pass:1234",
            "-subj",
            "/C=US/O=Example/CN=customerCA",
            "-out",
            "customerCA.crt",
        ]);
        self.succeed(&[
            "x509",
            "-req",
            "-days",
            "3652",
            "-in",
            "cluster_ClusterCsr.csr",
            "-CA",
            "customerCA.crt",
            "-CAkey",
            "ca.key",
            "-passin",
            "pass:1234",
            "-CAcreateserial",
            "-out",
            "cluster_CustomerHsmCertificate.crt",
        ]);
        (self.read("cluster_CustomerHsmCertificate.crt"), self.read("customerCA.crt"))
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }
}

#[tokio::test]
async fn openssl_signs_the_request_with_the_commands_of_the_guide() {
    let Some(openssl) = OpenSsl::find("the guide's openssl commands") else { return };
    for bits in ["2048", "4096"] {
        let node = Node::new();
        let request = node.provider().make_request().await.unwrap();
        let (certificate, anchor) = openssl.claim(request.csr.as_str(), bits);
        let subject = openssl.succeed(&[
            "req",
            "-in",
            "cluster_ClusterCsr.csr",
            "-noout",
            "-subject",
            "-nameopt",
            "compat",
        ]);
        let serial = node.device_serial().await;
        let expected = format!(
            "/C=US/ST=CA/O=Cavium/OU=N3FIPS/L=SanJose/CN=HSM:{serial}:PARTN:1, for FIPS mode"
        );
        assert!(subject.contains(&expected), "{subject}");
        node.provider().initialize(&certificate, &anchor).await.unwrap();
        assert!(node.status_initialized().await);
    }
    assert!(openssl.path().exists());
}

#[tokio::test]
async fn openssl_verifies_both_chains_of_the_hardware() {
    let Some(openssl) = OpenSsl::find("verification of the hardware's chains") else { return };
    let node = Node::new();
    let request = node.provider().make_request().await.unwrap();
    openssl.put("hsm.crt", request.hsm_certificate.as_str());
    for (hardware, root) in [
        (&request.aws_hardware_certificate, factory().aws_root_pem()),
        (&request.manufacturer_hardware_certificate, factory().manufacturer_root_pem()),
    ] {
        openssl.put("chain.crt", &[hardware.as_str(), root].concat());
        let printed = openssl.succeed(&["verify", "-CAfile", "chain.crt", "hsm.crt"]);
        assert!(printed.contains("hsm.crt: OK"), "{printed}");
    }
    // The request's key is the one that the hardware certifies.
    openssl.put("cluster.csr", request.csr.as_str());
    let of_csr = openssl.succeed(&["req", "-in", "cluster.csr", "-pubkey", "-noout"]);
    let of_hsm = openssl.succeed(&["x509", "-in", "hsm.crt", "-pubkey", "-noout"]);
    assert_eq!(of_csr, of_hsm);
}

#[tokio::test]
async fn a_certificate_of_another_ca_or_another_key_is_refused() {
    let node = Node::new();
    let request = node.provider().make_request().await.unwrap();
    let (customer, other) = (Customer::shared(), Customer::new());
    let certificate = customer.sign(request.csr.as_str());
    let initialize = async |certificate: &str, anchor: &str| {
        refusal(node.provider().initialize(certificate, anchor).await)
    };
    let refused = |fault| Refusal::CertificateRefused { fault };
    assert_eq!(
        initialize(&certificate, &other.ca_pem).await,
        refused(CertificateFault::NotSignedByAnchor)
    );
    assert_eq!(
        initialize(&customer.ca_pem, &customer.ca_pem).await,
        refused(CertificateFault::OtherKey)
    );
    assert_eq!(
        initialize(&certificate, &certificate).await,
        refused(CertificateFault::NotSelfSigned)
    );
    assert_eq!(initialize("", &customer.ca_pem).await, refused(CertificateFault::Unreadable));
    assert!(!node.status_initialized().await);
    node.provider().initialize(&certificate, &customer.ca_pem).await.unwrap();
    assert_eq!(initialize(&certificate, &customer.ca_pem).await, Refusal::AlreadyInitialized);
}

#[tokio::test]
async fn a_request_is_made_once() {
    let node = Node::new();
    let first = node.provider().make_request().await.unwrap();
    assert_eq!(node.provider().make_request().await.unwrap(), first);
    let node = node.reboot();
    assert_eq!(node.provider().make_request().await.unwrap(), first);
}

#[tokio::test]
async fn without_a_request_there_is_nothing_to_initialize() {
    let node = Node::new();
    let customer = Customer::shared();
    let refused = node.provider().initialize(&customer.ca_pem, &customer.ca_pem).await;
    assert_eq!(refusal(refused), Refusal::NoRequest);
}

impl Node {
    async fn device_serial(&self) -> String {
        let info = self.provider().status().await.unwrap().info.unwrap();
        info.serial.into_string()
    }

    async fn status_initialized(&self) -> bool {
        self.provider().status().await.unwrap().info.unwrap().initialized
    }
}
