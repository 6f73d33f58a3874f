//! A custom key store on a token of SoftHSM 2, used through the operations of the KMS.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use strongroom_peers::{Peer, require};

use super::token::{self, Token};
use super::{Device, SESSIONS_MAX};
use crate::ids::{ClusterId, CustomKeyStoreId, RealmId};
use crate::keystore::{Connection, KeyStore as _};
use crate::records::{
    ConnectionError, ConnectionState, CustomKeyStore, KeyStorePassword, Passwords,
};
use crate::{CallError, DataDir, Emulator, EmulatorConfig};

/// This test again, in a process of its own with a token: the module reads from the environment where it is.
const MODULE_VARIABLE: &str = "STRONGROOM_TEST_PKCS11_MODULE";
const TEST: &str = "keystore::pkcs11::tests::a_token_serves_as_a_custom_key_store";

const TOKEN: &str = "vault-eu-1";
const FIRST_PIN: &str = "kmsuser-first-pin";
const SECOND_PIN: &str = "kmsuser-second-pin";
const OFFICER_PIN: &str = "security-officer-pin";

#[tokio::test(flavor = "multi_thread")]
async fn a_token_serves_as_a_custom_key_store() {
    match std::env::var_os(MODULE_VARIABLE) {
        None => again_with_a_token(&require!(Peer::SoftHsm.find())),
        Some(module) => {
            let module = PathBuf::from(module);
            logins_fail_with_the_codes_of_the_api(&module).await;
            the_pin_is_rotated(&module).await;
            operations_use_the_token(&module).await;
        }
    }
}

fn again_with_a_token(module: &Path) {
    let dir = tempfile::tempdir().unwrap();
    let (tokens, configuration) = (dir.path().join("tokens"), dir.path().join("softhsm2.conf"));
    std::fs::create_dir(&tokens).unwrap();
    let text = format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display());
    std::fs::write(&configuration, text).unwrap();

    let tool = module.ancestors().nth(3).unwrap().join("bin/softhsm2-util");
    let made = Command::new(tool)
        .env("SOFTHSM2_CONF", &configuration)
        .args([OsStr::new("--module"), module.as_os_str()])
        .args(["--init-token", "--free", "--label", TOKEN])
        .args(["--so-pin", OFFICER_PIN, "--pin", FIRST_PIN])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");

    let run = Command::new(std::env::current_exe().unwrap())
        .env("SOFTHSM2_CONF", &configuration)
        .env(MODULE_VARIABLE, module)
        .args(["--exact", TEST, "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
    assert!(said.contains("1 passed"), "{said}");
}

async fn logins_fail_with_the_codes_of_the_api(module: &Path) {
    let connect = async |label: &str, pin: &str| {
        Device::connect(module, label, &passwords(pin, None)).await.err().unwrap()
    };
    assert_eq!(connect(TOKEN, "not-the-pin").await, ConnectionError::InvalidCredentials);
    assert_eq!(connect("nowhere", FIRST_PIN).await, ConnectionError::ClusterNotFound);
    // A token that has an officer and no user yet.
    let library = token::load(module).unwrap();
    let free = *library.get_all_slots().unwrap().last().unwrap();
    library.init_token(free, &OFFICER_PIN.to_owned().into(), "bare").unwrap();
    assert_eq!(connect("bare", FIRST_PIN).await, ConnectionError::UserNotFound);
    let first = passwords(FIRST_PIN, None);
    let elsewhere = Device::connect(Path::new("/nowhere"), TOKEN, &first).await;
    assert_eq!(elsewhere.err(), Some(ConnectionError::InternalError));
}

async fn the_pin_is_rotated(module: &Path) {
    // What the store remembers before the token has the new one, and again after a crash in between.
    for _ in 0..2 {
        let both = passwords(FIRST_PIN, Some(SECOND_PIN));
        Device::connect(module, TOKEN, &both).await.ok().unwrap().close().await;
    }
    let old = Device::connect(module, TOKEN, &passwords(FIRST_PIN, None)).await;
    assert_eq!(old.err(), Some(ConnectionError::InvalidCredentials));
}

async fn operations_use_the_token(module: &Path) {
    let kms = Emulator::start(EmulatorConfig::loopback(DataDir::Ephemeral).unwrap()).await.unwrap();
    let store = Store::connected(&kms, module).await;
    let key = &store.create_key().await;
    let described = store.call("DescribeKey", json!({ "KeyId": key })).await.unwrap();
    assert_eq!(described["KeyMetadata"]["CustomKeyStoreId"], store.id.as_str());

    let context = json!({ "object": "2026/11/26.tar" });
    let sealed = store.encrypt(key, b"to be kept", &context).await.unwrap();
    assert_eq!(store.decrypt(&sealed, &context).await.unwrap(), b"to be kept");
    let elsewhere = store.decrypt(&sealed, &json!({ "object": "another" })).await.unwrap_err();
    assert_eq!(elsewhere.code, "InvalidCiphertextException");
    let mut flipped = BASE64_STANDARD.decode(&sealed).unwrap();
    *flipped.last_mut().unwrap() ^= 1;
    let flipped = store.decrypt(&BASE64_STANDARD.encode(flipped), &context).await.unwrap_err();
    assert_eq!(flipped.code, "InvalidCiphertextException");

    let of_store = json!({ "NumberOfBytes": 64, "CustomKeyStoreId": store.id.as_str() });
    let drawn = store.call("GenerateRandom", of_store).await.unwrap();
    assert_eq!(BASE64_STANDARD.decode(drawn["Plaintext"].as_str().unwrap()).unwrap().len(), 64);

    many_at_once(&store, key).await;
    a_lost_login_is_made_again(&store, key, module).await;
    a_key_that_is_gone_is_unavailable(&store, module).await;

    let id = json!({ "CustomKeyStoreId": store.id.as_str() });
    store.call("DisconnectCustomKeyStore", id).await.unwrap();
    let refused = store.encrypt(key, b"too late", &context).await.unwrap_err();
    assert_eq!(refused.code, "KMSInvalidStateException");
    let described = store.call("DescribeKey", json!({ "KeyId": key })).await.unwrap();
    assert_eq!(described["KeyMetadata"]["KeyState"], "Unavailable");
    // Whoever had the connection in hand.
    let late = store.device.random(1).await.err().unwrap().to_string();
    assert!(late.contains("disconnected"), "{late}");
    kms.shutdown().await;
}

/// More requests than the device has sessions, each with its own data key.
async fn many_at_once(store: &Store<'_>, key: &str) {
    let asked = (0..8 * SESSIONS_MAX).map(|_| async {
        let input = json!({ "KeyId": key, "KeySpec": "AES_256" });
        let made = store.call("GenerateDataKey", input).await.unwrap();
        let sealed = made["CiphertextBlob"].as_str().unwrap();
        let opened = store.decrypt(sealed, &json!({})).await.unwrap();
        assert_eq!(BASE64_STANDARD.encode(&opened), made["Plaintext"]);
        opened
    });
    let mut drawn = futures::future::join_all(asked).await;
    drawn.sort();
    drawn.dedup();
    assert_eq!(drawn.len(), 8 * SESSIONS_MAX);
    assert!(store.device.0.idle().len() <= SESSIONS_MAX);
}

async fn a_lost_login_is_made_again(store: &Store<'_>, key: &str, module: &Path) {
    let token = Token::find(module, TOKEN).unwrap().unwrap();
    token.open_session().unwrap().logout().unwrap();
    store.encrypt(key, b"again", &json!({})).await.unwrap();
}

async fn a_key_that_is_gone_is_unavailable(store: &Store<'_>, module: &Path) {
    let key = &store.create_key().await;
    store.encrypt(key, b"now", &json!({})).await.unwrap();
    // The owner of the token destroys it there.
    let token = Token::find(module, TOKEN).unwrap().unwrap();
    token.destroy(&token.open_session().unwrap(), key).unwrap();
    let refused = store.encrypt(key, b"later", &json!({})).await.unwrap_err();
    assert_eq!(refused.code, "KMSInvalidStateException");
    assert!(refused.message.contains("does not exist"), "{refused}");
    let described = store.call("DescribeKey", json!({ "KeyId": key })).await.unwrap();
    assert_eq!(described["KeyMetadata"]["KeyState"], "Unavailable");
}

/// A custom key store of a server, on the token.
struct Store<'a> {
    kms: &'a Emulator,
    id: CustomKeyStoreId,
    device: Arc<Device>,
}

impl<'a> Store<'a> {
    async fn connected(kms: &'a Emulator, module: &Path) -> Self {
        let passwords = passwords(SECOND_PIN, None);
        let device = Arc::new(Device::connect(module, TOKEN, &passwords).await.ok().unwrap());
        let id = CustomKeyStoreId::random();
        let record = CustomKeyStore {
            realm: RealmId { account: kms.account(), region: kms.region().clone() },
            id: id.clone(),
            name: "on a token".into(),
            created: kms.clock().now(),
            cluster: ClusterId::random(),
            trust_anchor: "".into(),
            cluster_certificate: "".into(),
            passwords,
            connection: ConnectionState::Connected,
        };
        let put = kms.kms().registry.update(move |draft| {
            draft.put_custom_key_store(record.clone());
            Ok::<(), std::convert::Infallible>(())
        });
        put.await.ok().unwrap();
        kms.kms().key_stores.connect(&id, &(Arc::clone(&device) as Arc<dyn Connection>));
        Self { kms, id, device }
    }

    async fn call(&self, operation: &str, input: Value) -> Result<Value, CallError> {
        self.kms.call(&format!("TrentService.{operation}"), &input).await
    }

    /// Returns the ARN of the new key, which is its label on the token.
    async fn create_key(&self) -> String {
        let input = json!({ "Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": self.id.as_str() });
        let made = self.call("CreateKey", input).await.unwrap();
        made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
    }

    async fn encrypt(
        &self,
        key: &str,
        plaintext: &[u8],
        context: &Value,
    ) -> Result<String, CallError> {
        let plaintext = BASE64_STANDARD.encode(plaintext);
        let input = json!({ "KeyId": key, "Plaintext": plaintext, "EncryptionContext": context });
        let sealed = self.call("Encrypt", input).await?;
        Ok(sealed["CiphertextBlob"].as_str().unwrap().to_owned())
    }

    async fn decrypt(&self, sealed: &str, context: &Value) -> Result<Vec<u8>, CallError> {
        let input = json!({ "CiphertextBlob": sealed, "EncryptionContext": context });
        let opened = self.call("Decrypt", input).await?;
        Ok(BASE64_STANDARD.decode(opened["Plaintext"].as_str().unwrap()).unwrap())
    }
}

fn passwords(current: &str, next: Option<&str>) -> Passwords {
    let secret = |text: &str| Arc::new(KeyStorePassword::new(text.to_owned()));
    Passwords { current: secret(current), next: next.map(secret) }
}
