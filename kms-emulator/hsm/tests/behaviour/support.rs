//! Devices, customers and clients that the tests share.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair,
    PKCS_RSA_SHA256,
};
use strongroom_hsm::clock::SystemClock;
use strongroom_hsm::limits::PBKDF2_ITERATIONS_MIN;
use strongroom_hsm::{
    Client, Config, Device, Factory, HsmError, Password, Port, Provider, Refusal, Role,
};
use tempfile::TempDir;

/// The password of the CO that [`Node::activate`] makes.
pub(crate) const OFFICER: &str = "officer1pw";
/// The password of the CU that [`Node::activate`] makes.
pub(crate) const KMSUSER: &str = "kmsuser1pw";

/// Making roots takes a second: one factory serves all tests.
pub(crate) fn factory() -> &'static Factory {
    static FACTORY: OnceLock<(TempDir, Factory)> = OnceLock::new();
    let (_, factory) = FACTORY.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let factory = Factory::open(&dir.path().join("factory"), &SystemClock).unwrap();
        (dir, factory)
    });
    factory
}

/// The fewest iterations allowed: these tests are about the device, not about PBKDF2.
pub(crate) fn config() -> Config {
    Config { pbkdf2_iterations: PBKDF2_ITERATIONS_MIN, ..Config::default() }
}

pub(crate) fn password(text: &str) -> Password {
    Password::new(text).unwrap()
}

/// A device in a directory of its own, in this process.
pub(crate) struct Node {
    pub(crate) dir: TempDir,
    pub(crate) device: Arc<Device>,
}

impl Node {
    /// A device as it leaves the factory.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        factory().manufacture(dir.path(), "hsm-abcdefghijk", &SystemClock).unwrap();
        let device = Arc::new(Device::power_on(dir.path(), config()).unwrap());
        Self { dir, device }
    }

    /// A device whose cluster a customer has claimed.
    pub(crate) async fn initialized() -> Self {
        let node = Self::new();
        let customer = Customer::shared();
        let request = node.provider().make_request().await.unwrap();
        let certificate = customer.sign(request.csr.as_str());
        node.provider().initialize(&certificate, &customer.ca_pem).await.unwrap();
        node
    }

    /// A device with a CO `admin` and a CU `kmsuser`.
    pub(crate) async fn activated() -> Self {
        let node = Self::initialized().await;
        node.activate().await;
        node
    }

    async fn activate(&self) {
        let admin = self.client(Port::Management);
        admin.login(Role::PrecryptoOfficer, "admin", password("password")).await.unwrap();
        admin.change_password(Role::PrecryptoOfficer, "admin", password(OFFICER)).await.unwrap();
        admin.create_user(Role::CryptoUser, "kmsuser", password(KMSUSER), None).await.unwrap();
    }

    /// A copy by backup and restore, as a second HSM of the cluster.
    pub(crate) async fn cloned(&self) -> Self {
        let copy = Self::new();
        let backup = self.provider().backup().await.unwrap();
        copy.provider().restore(backup).await.unwrap();
        copy
    }

    pub(crate) fn client(&self, port: Port) -> Client {
        Client::in_process(Arc::clone(&self.device), port).unwrap()
    }

    pub(crate) async fn officer(&self) -> Client {
        let client = self.client(Port::Management);
        client.login(Role::CryptoOfficer, "admin", password(OFFICER)).await.unwrap();
        client
    }

    pub(crate) async fn user(&self) -> Client {
        let client = self.client(Port::Client);
        client.login(Role::CryptoUser, "kmsuser", password(KMSUSER)).await.unwrap();
        client
    }

    pub(crate) fn provider(&self) -> Provider {
        Provider::of_device(Arc::clone(&self.device))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Pulls the plug and switches on again. Every client has to be gone.
    pub(crate) fn reboot(self) -> Self {
        let dir = self.power_off();
        let device = Arc::new(Device::power_on(dir.path(), config()).unwrap());
        Self { dir, device }
    }

    /// Pulls the plug and leaves the directory.
    pub(crate) fn power_off(self) -> TempDir {
        let device = Arc::into_inner(self.device).expect("a client is left");
        drop(device);
        self.dir
    }
}

/// Somebody with a `customerCA`.
pub(crate) struct Customer {
    pub(crate) ca_pem: String,
    key: KeyPair,
}

impl Customer {
    /// Making an RSA key takes a while: most tests share one customer.
    pub(crate) fn shared() -> &'static Self {
        static CUSTOMER: OnceLock<Customer> = OnceLock::new();
        CUSTOMER.get_or_init(Self::new)
    }

    pub(crate) fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
        let ca_pem = ca_params().self_signed(&key).unwrap().pem();
        Self { ca_pem, key }
    }

    pub(crate) fn sign(&self, csr: &str) -> String {
        let issuer = Issuer::new(ca_params(), &self.key);
        CertificateSigningRequestParams::from_pem(csr).unwrap().signed_by(&issuer).unwrap().pem()
    }
}

fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// The refusal that a call ended in.
pub(crate) fn refusal<T>(result: Result<T, HsmError>) -> Refusal {
    match result {
        Err(HsmError::Refused(refusal)) => refusal,
        Err(other) => panic!("not a refusal: {other}"),
        Ok(_) => panic!("not refused"),
    }
}

/// Says on the terminal, past the harness, that a test was skipped.
pub(crate) fn skip(what: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {what}: {why}");
}

/// Whether a file below `dir` contains `needle`.
pub(crate) fn any_file_contains(dir: &Path, needle: &[u8]) -> bool {
    std::fs::read_dir(dir).unwrap().any(|entry| {
        let entry = entry.unwrap();
        entry.file_type().unwrap().is_file()
            && std::fs::read(entry.path())
                .unwrap()
                .windows(needle.len())
                .any(|window| window == needle)
    })
}
