//! The way from nothing to a KMS key whose material lives in HSMs, as the guides describe it, played by
//! a program: for a first start, and for tests.
//!
//! Every step is the real one: the control plane is called as a client calls it, the cluster's request
//! is signed by an own `customerCA`, and officers log in to HSMs over TLS with the same client that the
//! management tool uses.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use aws_lc_rs::rand;
use serde_json::{Value, json};
use strongroom_hsm::server::MANAGEMENT_PORT;
use strongroom_hsm::{CertificateFault, Client, HsmError, Password, Role, TrustAnchor};
use zeroize::Zeroizing;

use crate::emulator::{CallError, Emulator};
use crate::keystore::KMSUSER;

mod customer_ca;

pub use customer_ca::CustomerCa;

/// The crypto officer's name, which every cluster begins with.
const OFFICER: &str = "admin";
/// The password that the officer begins with.
const FIRST_PASSWORD: &str = "password";
/// Letters of a password that is made here.
const PASSWORD_LETTERS: usize = 24;
/// Longest that an HSM may take to be connected to, in seconds.
const CONNECT_SECONDS_MAX: u64 = 5;
/// Longest that the key store may take to be connected, in seconds.
const CONNECTION_SECONDS_MAX: u64 = 120;
/// Pause between two looks at the key store, in milliseconds.
const LOOK_MILLIS: u64 = 50;

/// What a story is played for.
#[derive(Clone, Debug)]
pub struct Plot {
    /// Name of the custom key store, unique in the account.
    pub key_store_name: String,
    /// Alias of the key, with its prefix: `alias/…`.
    pub alias: String,
    /// Description of the key.
    pub description: String,
}

/// A step that was done, for whoever tells the story.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// A cluster exists over two private subnets.
    ClusterCreated {
        /// Its id.
        cluster_id: String,
    },
    /// An HSM was made and switched on; all but the first are cloned from a backup of the first.
    HsmCreated {
        /// Its id.
        hsm_id: String,
        /// Its availability zone.
        zone: String,
        /// The address of its network interface.
        address: String,
    },
    /// The own authority signed the cluster's certificate.
    CertificateSigned,
    /// The cluster has its certificate.
    Initialized,
    /// The officer has changed the first password: the cluster is active.
    Activated,
    /// `kmsuser` exists on an HSM.
    KmsuserCreated {
        /// The HSM's address.
        address: String,
    },
    /// A custom key store exists.
    KeyStoreCreated {
        /// Its id.
        custom_key_store_id: String,
    },
    /// The KMS is logged in to the cluster and has given `kmsuser` a new password.
    KeyStoreConnected,
    /// A KMS key exists; its material was made in one HSM and copied to the other.
    KeyCreated {
        /// Its ARN.
        key_arn: String,
    },
    /// The key has an alias.
    AliasCreated {
        /// The alias.
        alias: String,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClusterCreated { cluster_id } => {
                write!(f, "created {cluster_id} over two private subnets")
            }
            Self::HsmCreated { hsm_id, zone, address } => {
                write!(f, "created {hsm_id} in {zone} at {address}")
            }
            Self::CertificateSigned => {
                f.write_str("signed the cluster's certificate with an own customerCA")
            }
            Self::Initialized => f.write_str("initialized the cluster"),
            Self::Activated => f.write_str("activated the cluster: its officer has a new password"),
            Self::KmsuserCreated { address } => {
                write!(f, "created the crypto user {KMSUSER} on {address}")
            }
            Self::KeyStoreCreated { custom_key_store_id } => {
                write!(f, "created the custom key store {custom_key_store_id}")
            }
            Self::KeyStoreConnected => {
                write!(f, "connected it: the KMS logged in and gave {KMSUSER} a new password")
            }
            Self::KeyCreated { key_arn } => {
                write!(f, "created {key_arn}: made in one HSM, copied to the other")
            }
            Self::AliasCreated { alias } => write!(f, "named it {alias}"),
        }
    }
}

/// What a story leaves behind.
pub struct Ending {
    /// The cluster.
    pub cluster_id: String,
    /// Its HSMs.
    pub hsm_ids: Vec<String>,
    /// The addresses of its HSMs, in the same order.
    pub addresses: Vec<String>,
    /// The custom key store.
    pub custom_key_store_id: String,
    /// The key.
    pub key_arn: String,
    /// The key's alias.
    pub alias: String,
    /// The authority of the cluster's owner; its certificate is what clients trust.
    pub customer_ca: CustomerCa,
    /// The password of the crypto officer `admin`.
    pub officer_password: Zeroizing<String>,
}

/// Why a story did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoryError {
    /// An operation was refused.
    #[error("{operation} was refused: {source}")]
    Refused {
        /// The operation.
        operation: &'static str,
        /// By what.
        source: CallError,
    },
    /// A reply has not what the API model says that it has.
    #[error("the reply of {operation} has no {member}")]
    Reply {
        /// The operation.
        operation: &'static str,
        /// What is missing.
        member: &'static str,
    },
    /// An HSM refused or failed.
    #[error("the HSM at {address} did not {action}: {source}")]
    Hsm {
        /// Its address.
        address: String,
        /// What it was asked.
        action: &'static str,
        /// What it said.
        source: Box<HsmError>,
    },
    /// The authority could not be made, or could not sign.
    #[error("customerCA cannot sign: {0}")]
    Authority(#[from] rcgen::Error),
    /// The authority's certificate does not serve.
    #[error("customerCA does not serve as trust anchor: {0}")]
    Anchor(#[from] CertificateFault),
    /// The key store is not connected.
    #[error("the custom key store is {state}{reason}")]
    NotConnected {
        /// Its connection state.
        state: String,
        /// The error code in parentheses, if it has one.
        reason: String,
    },
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness")]
    Randomness,
}

/// Plays the whole story on a server and returns what it leaves behind. `tell` hears of each step when
/// it is done.
///
/// # Errors
/// The step that failed; what was made before it stays.
pub async fn play(
    emulator: &Emulator,
    plot: &Plot,
    tell: &mut (dyn FnMut(&Step) + Send),
) -> Result<Ending, StoryError> {
    let mut stage = Stage { emulator, tell };
    let customer_ca = CustomerCa::generate(emulator.clock().now()).await?;
    let cluster_id = stage.create_cluster().await?;
    let first = stage.create_hsm(&cluster_id, 'a').await?;
    stage.initialize(&cluster_id, &customer_ca).await?;
    let anchor = stage.anchor(&customer_ca)?;
    let officer_password = new_password()?;
    stage.activate(&first, &anchor, &officer_password).await?;
    let second = stage.create_hsm(&cluster_id, 'b').await?;
    let kmsuser_password = new_password()?;
    for hsm in [&first, &second] {
        stage.create_kmsuser(hsm, &anchor, &officer_password, &kmsuser_password).await?;
    }
    let custom_key_store_id =
        stage.create_key_store(plot, &cluster_id, &customer_ca, &kmsuser_password).await?;
    stage.connect(&custom_key_store_id).await?;
    let key_arn = stage.create_key(plot, &custom_key_store_id).await?;
    stage.create_alias(&plot.alias, &key_arn).await?;
    Ok(Ending {
        cluster_id,
        hsm_ids: vec![first.id, second.id],
        addresses: vec![first.address.to_string(), second.address.to_string()],
        custom_key_store_id,
        key_arn,
        alias: plot.alias.clone(),
        customer_ca,
        officer_password,
    })
}

struct Stage<'a> {
    emulator: &'a Emulator,
    tell: &'a mut (dyn FnMut(&Step) + Send),
}

struct StoryHsm {
    id: String,
    address: IpAddr,
}

impl Stage<'_> {
    async fn create_cluster(&mut self) -> Result<String, StoryError> {
        const OPERATION: &str = "BaldrApiService.CreateCluster";
        let [(_, first), (_, second), _] = crate::SUBNETS;
        let input = json!({ "HsmType": "hsm1.medium", "SubnetIds": [first, second] });
        let reply = self.call(OPERATION, &input).await?;
        let cluster_id = text(&reply, OPERATION, "/Cluster/ClusterId")?;
        (self.tell)(&Step::ClusterCreated { cluster_id: cluster_id.clone() });
        Ok(cluster_id)
    }

    async fn create_hsm(&mut self, cluster: &str, letter: char) -> Result<StoryHsm, StoryError> {
        const OPERATION: &str = "BaldrApiService.CreateHsm";
        let zone = format!("{}{letter}", self.emulator.region());
        let input = json!({ "ClusterId": cluster, "AvailabilityZone": zone });
        let reply = self.call(OPERATION, &input).await?;
        let id = text(&reply, OPERATION, "/Hsm/HsmId")?;
        let address = text(&reply, OPERATION, "/Hsm/EniIp")?;
        let missing = StoryError::Reply { operation: OPERATION, member: "address in EniIp" };
        let parsed = address.parse().map_err(|_| missing)?;
        (self.tell)(&Step::HsmCreated { hsm_id: id.clone(), zone, address });
        Ok(StoryHsm { id, address: parsed })
    }

    async fn initialize(&mut self, cluster: &str, ca: &CustomerCa) -> Result<(), StoryError> {
        const DESCRIBE: &str = "BaldrApiService.DescribeClusters";
        let filter = json!({ "Filters": { "clusterIds": [cluster] } });
        let reply = self.call(DESCRIBE, &filter).await?;
        let csr = text(&reply, DESCRIBE, "/Clusters/0/Certificates/ClusterCsr")?;
        let signed = ca.sign(&csr, self.emulator.clock().now())?;
        (self.tell)(&Step::CertificateSigned);
        let input = json!({
            "ClusterId": cluster, "SignedCert": signed, "TrustAnchor": ca.certificate(),
        });
        self.call("BaldrApiService.InitializeCluster", &input).await?;
        (self.tell)(&Step::Initialized);
        Ok(())
    }

    fn anchor(&self, ca: &CustomerCa) -> Result<TrustAnchor, StoryError> {
        let now = u64::try_from(self.emulator.clock().now().as_millis()).unwrap_or_default();
        Ok(TrustAnchor::from_pem(ca.certificate(), Duration::from_millis(now))?)
    }

    async fn activate(
        &mut self,
        hsm: &StoryHsm,
        anchor: &TrustAnchor,
        new: &str,
    ) -> Result<(), StoryError> {
        let change = async {
            let client = connect(hsm, anchor).await?;
            let first = Password::new(FIRST_PASSWORD)?;
            client.login(Role::PrecryptoOfficer, OFFICER, first).await?;
            client.change_password(Role::PrecryptoOfficer, OFFICER, Password::new(new)?).await?;
            client.logout().await
        };
        change.await.map_err(hsm.failed("let the officer change the first password"))?;
        (self.tell)(&Step::Activated);
        Ok(())
    }

    async fn create_kmsuser(
        &mut self,
        hsm: &StoryHsm,
        anchor: &TrustAnchor,
        officer: &str,
        kmsuser: &str,
    ) -> Result<(), StoryError> {
        let create = async {
            let client = connect(hsm, anchor).await?;
            client.login(Role::CryptoOfficer, OFFICER, Password::new(officer)?).await?;
            let password = Password::new(kmsuser)?;
            client.create_user(Role::CryptoUser, KMSUSER, password, None).await?;
            client.logout().await
        };
        create.await.map_err(hsm.failed("create kmsuser"))?;
        (self.tell)(&Step::KmsuserCreated { address: hsm.address.to_string() });
        Ok(())
    }

    async fn create_key_store(
        &mut self,
        plot: &Plot,
        cluster: &str,
        ca: &CustomerCa,
        password: &str,
    ) -> Result<String, StoryError> {
        const OPERATION: &str = "TrentService.CreateCustomKeyStore";
        let input = json!({
            "CustomKeyStoreName": plot.key_store_name, "CloudHsmClusterId": cluster,
            "TrustAnchorCertificate": ca.certificate(), "KeyStorePassword": password,
        });
        let reply = self.call(OPERATION, &input).await?;
        let custom_key_store_id = text(&reply, OPERATION, "/CustomKeyStoreId")?;
        (self.tell)(&Step::KeyStoreCreated { custom_key_store_id: custom_key_store_id.clone() });
        Ok(custom_key_store_id)
    }

    async fn connect(&mut self, store: &str) -> Result<(), StoryError> {
        const DESCRIBE: &str = "TrentService.DescribeCustomKeyStores";
        let input = json!({ "CustomKeyStoreId": store });
        self.call("TrentService.ConnectCustomKeyStore", &input).await?;
        let looks = CONNECTION_SECONDS_MAX.saturating_mul(1_000) / LOOK_MILLIS;
        let mut state = String::new();
        for _ in 0..looks {
            let reply = self.call(DESCRIBE, &input).await?;
            state = text(&reply, DESCRIBE, "/CustomKeyStores/0/ConnectionState")?;
            if state == "CONNECTED" {
                (self.tell)(&Step::KeyStoreConnected);
                return Ok(());
            }
            let code = text(&reply, DESCRIBE, "/CustomKeyStores/0/ConnectionErrorCode");
            if let Ok(code) = code {
                return Err(StoryError::NotConnected { state, reason: format!(" ({code})") });
            }
            tokio::time::sleep(Duration::from_millis(LOOK_MILLIS)).await;
        }
        Err(StoryError::NotConnected { state, reason: String::new() })
    }

    async fn create_key(&mut self, plot: &Plot, store: &str) -> Result<String, StoryError> {
        const OPERATION: &str = "TrentService.CreateKey";
        let input = json!({
            "Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": store, "Description": plot.description,
        });
        let reply = self.call(OPERATION, &input).await?;
        let key_arn = text(&reply, OPERATION, "/KeyMetadata/Arn")?;
        (self.tell)(&Step::KeyCreated { key_arn: key_arn.clone() });
        Ok(key_arn)
    }

    async fn create_alias(&mut self, alias: &str, key: &str) -> Result<(), StoryError> {
        let input = json!({ "AliasName": alias, "TargetKeyId": key });
        self.call("TrentService.CreateAlias", &input).await?;
        (self.tell)(&Step::AliasCreated { alias: alias.to_owned() });
        Ok(())
    }

    async fn call(&self, operation: &'static str, input: &Value) -> Result<Value, StoryError> {
        let refused = |source| StoryError::Refused { operation, source };
        self.emulator.call(operation, input).await.map_err(refused)
    }
}

impl StoryHsm {
    fn failed(&self, action: &'static str) -> impl FnOnce(HsmError) -> StoryError {
        let address = self.address.to_string();
        move |source| StoryError::Hsm { address, action, source: Box::new(source) }
    }
}

async fn connect(hsm: &StoryHsm, anchor: &TrustAnchor) -> Result<Client, HsmError> {
    let address = SocketAddr::new(hsm.address, MANAGEMENT_PORT);
    Client::connect(address, anchor, Duration::from_secs(CONNECT_SECONDS_MAX)).await
}

fn text(
    reply: &Value,
    operation: &'static str,
    pointer: &'static str,
) -> Result<String, StoryError> {
    let found = reply.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    found.ok_or(StoryError::Reply { operation, member: pointer })
}

/// 24 letters and digits, each of 32: 120 random bits.
fn new_password() -> Result<Zeroizing<String>, StoryError> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = Zeroizing::new([0_u8; PASSWORD_LETTERS]);
    rand::fill(bytes.as_mut()).map_err(|_| StoryError::Randomness)?;
    let letters = bytes.iter().filter_map(|byte| LETTERS.get(usize::from(byte % 32)));
    Ok(Zeroizing::new(letters.map(|letter| char::from(*letter)).collect()))
}
