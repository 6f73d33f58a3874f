//! The story of a custom key store inside the test's process, and the calls that go on from it.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_hsm::server::{CLIENT_PORT, MANAGEMENT_PORT};
use strongroom_hsm::{Client, Password, Role, TrustAnchor};
use strongroom_kms::story::{self, Ending, Plot, Step};
use strongroom_kms::{CallError, Emulator};

use crate::harness::Server;

/// A server on which the story was played.
pub(crate) struct Played {
    pub(crate) server: Server,
    pub(crate) ending: Ending,
}

impl Played {
    pub(crate) async fn new() -> Self {
        Self::on(Server::start().await).await
    }

    pub(crate) async fn on(server: Server) -> Self {
        let ending = story::play(&server.emulator, &plot(), &mut |_: &Step| {}).await.unwrap();
        Self { server, ending }
    }

    pub(crate) fn emulator(&self) -> &Emulator {
        &self.server.emulator
    }

    pub(crate) async fn kms(&self, operation: &str, input: Value) -> Result<Value, CallError> {
        self.emulator().call(&format!("TrentService.{operation}"), &input).await
    }

    pub(crate) async fn hsm(&self, operation: &str, input: Value) -> Result<Value, CallError> {
        self.emulator().call(&format!("BaldrApiService.{operation}"), &input).await
    }

    /// Does an operation on the custom key store.
    pub(crate) async fn store(&self, operation: &str) -> Result<Value, CallError> {
        self.kms(operation, json!({ "CustomKeyStoreId": self.ending.custom_key_store_id })).await
    }

    /// `ConnectionState`, and behind a blank `ConnectionErrorCode` if there is one.
    pub(crate) async fn connection(&self) -> String {
        let reply = self.store("DescribeCustomKeyStores").await.unwrap();
        let store = &reply["CustomKeyStores"][0];
        let text = |name: &str| store[name].as_str().unwrap_or_default().to_owned();
        let (state, error) = (text("ConnectionState"), text("ConnectionErrorCode"));
        format!("{state} {error}").trim_end().to_owned()
    }

    /// Connects the store and waits for the outcome.
    pub(crate) async fn connect(&self) -> String {
        self.store("ConnectCustomKeyStore").await.unwrap();
        for _ in 0..600 {
            let state = self.connection().await;
            if state != "CONNECTING" {
                return state;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        "CONNECTING for ever".to_owned()
    }

    /// Disconnects the store and connects it again.
    pub(crate) async fn reconnect(&self) -> String {
        self.store("DisconnectCustomKeyStore").await.unwrap();
        self.connect().await
    }

    /// Encrypts and decrypts with the key.
    pub(crate) async fn round_trip(&self) -> Result<(), CallError> {
        let input = json!({ "KeyId": self.ending.key_arn, "EncryptionContext": { "a": "b" } });
        let made = self.kms("GenerateDataKey", with(&input, "KeySpec", "AES_256")).await?;
        let blob = made["CiphertextBlob"].as_str().unwrap();
        let opened = self.kms("Decrypt", with(&input, "CiphertextBlob", blob)).await?;
        assert_eq!(opened["Plaintext"], made["Plaintext"]);
        Ok(())
    }

    pub(crate) async fn key_state(&self) -> String {
        let reply = self.kms("DescribeKey", json!({ "KeyId": self.ending.key_arn })).await.unwrap();
        reply["KeyMetadata"]["KeyState"].as_str().unwrap().to_owned()
    }

    /// A session of the officer on one of the two HSMs.
    pub(crate) async fn officer(&self, index: usize) -> Client {
        let client = self.session(index, MANAGEMENT_PORT).await;
        let password = Password::new(&self.ending.officer_password).unwrap();
        client.login(Role::CryptoOfficer, "admin", password).await.unwrap();
        client
    }

    /// A session on one of the two HSMs, not logged in.
    pub(crate) async fn client(&self, index: usize) -> Client {
        self.session(index, CLIENT_PORT).await
    }

    async fn session(&self, index: usize, port: u16) -> Client {
        self.connect_to(SocketAddr::new(self.ending.addresses[index].parse().unwrap(), port)).await
    }

    /// A session on an HSM of the owner's, not logged in.
    pub(crate) async fn connect_to(&self, address: SocketAddr) -> Client {
        let now = u64::try_from(self.emulator().clock().now().as_millis()).unwrap();
        let anchor = TrustAnchor::from_pem(
            self.ending.customer_ca.certificate(),
            Duration::from_millis(now),
        );
        Client::connect(address, &anchor.unwrap(), Duration::from_secs(5)).await.unwrap()
    }

    /// Gives `kmsuser` a password on both HSMs, as an officer does after a mishap.
    pub(crate) async fn set_kmsuser_password(&self, password: &str) {
        for index in 0..2 {
            let officer = self.officer(index).await;
            let change = || {
                let password = Password::new(password).unwrap();
                officer.change_password(Role::CryptoUser, "kmsuser", password)
            };
            // Sessions of a connection that has just failed may still be going down.
            let mut changed = change().await;
            for _ in 0..50 {
                if changed.is_ok() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
                changed = change().await;
            }
            changed.unwrap();
        }
    }

    pub(crate) async fn update_password(&self, password: &str) -> Result<Value, CallError> {
        let id = &self.ending.custom_key_store_id;
        let input = json!({ "CustomKeyStoreId": id, "KeyStorePassword": password });
        self.kms("UpdateCustomKeyStore", input).await
    }
}

pub(crate) fn plot() -> Plot {
    Plot {
        key_store_name: "ExampleKeyStore".to_owned(),
        alias: "alias/story".to_owned(),
        description: "a key of a story".to_owned(),
    }
}

pub(crate) fn code(result: Result<Value, CallError>) -> String {
    result.unwrap_err().code
}

fn with(input: &Value, name: &str, value: &str) -> Value {
    let mut input = input.clone();
    input[name] = value.into();
    input
}
