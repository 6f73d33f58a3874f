//! A CloudHSM cluster as a key store: a client of its HSMs, logged in as `kmsuser`.
//!
//! A key's material is found by its label, which is the key's ARN, on whatever HSM answers: each HSM
//! of the cluster has a copy. Requests go round the HSMs that live; one that fails hands its request
//! to the next. With none left the KMS cannot communicate with the cluster, and says so.

mod login;
mod node;
mod pool;

use std::sync::Arc;

use async_trait::async_trait;
use strongroom_hsm::{Client, HsmError, KeyHandle, Plaintext, Refusal};
use zeroize::Zeroizing;

use self::node::Node;
use super::{Connection, DataKey, KeyStore, KeyStoreError, label};
use crate::ids::KeyArn;
use crate::records::Material;

pub(crate) use login::{Connect, KMSUSER};
pub(crate) use pool::Pool;

/// Availability zones in which HSMs must live before a key is made.
const ZONES_MIN: usize = 2;

/// What an HSM is asked to do with a key, in one round trip.
enum Work<'a> {
    Seal { aad: &'a [u8], plaintext: &'a [u8] },
    Open { aad: &'a [u8], sealed: &'a [u8] },
    GenerateDataKey { aad: &'a [u8], bytes: u16 },
    GenerateSealedDataKey { aad: &'a [u8], bytes: u16 },
}

/// What an HSM made of it: both of a data key, else the one or the other.
#[derive(Default)]
struct Done {
    plaintext: Zeroizing<Vec<u8>>,
    sealed: Vec<u8>,
}

impl Work<'_> {
    async fn run(&self, client: &Client, key: KeyHandle) -> Result<Done, HsmError> {
        let mut done = Done::default();
        match self {
            Self::Seal { aad, plaintext } => {
                done.sealed = client.seal(key, aad, Plaintext::new(plaintext)?).await?;
            }
            Self::Open { aad, sealed } => {
                done.plaintext = owned(&client.open(key, aad, sealed).await?);
            }
            Self::GenerateDataKey { aad, bytes } => {
                let (plaintext, sealed) = client.generate_data_key(key, aad, *bytes).await?;
                done = Done { plaintext: owned(&plaintext), sealed };
            }
            Self::GenerateSealedDataKey { aad, bytes } => {
                done.sealed = client.generate_sealed_data_key(key, aad, *bytes).await?;
            }
        }
        Ok(done)
    }
}

fn owned(plaintext: &Plaintext) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(plaintext.expose().to_vec())
}

impl Pool {
    /// Has the first HSM that can do some work with a key.
    async fn work(&self, material: &Material, work: Work<'_>) -> Result<Done, KeyStoreError> {
        let label = label::of(material)?;
        let mut failure = Failure::default();
        for is_last_round in [false, true] {
            for node in self.in_turn() {
                let Some(client) = node.session() else { continue };
                match Self::work_on(&node, &client, label, &work).await {
                    Ok(result) => {
                        node.hear();
                        return Ok(result);
                    }
                    Err(error) => failure.note(&node, &client, error)?,
                }
            }
            // Nobody answered who was known to live: see who else does, once.
            if is_last_round || failure.is_final() {
                break;
            }
            self.look_for_request().await;
        }
        failure.note_exhausted(&self.nodes());
        if failure.is_key_missing {
            self.note_missing(label);
        }
        Err(failure.into_error())
    }

    async fn work_on(
        node: &Node,
        client: &Client,
        label: &str,
        work: &Work<'_>,
    ) -> Result<Done, HsmError> {
        let key = node.find_key(client, label).await?;
        let done = work.run(client, key).await;
        if let Err(HsmError::Refused(Refusal::KeyNotFound { .. })) = &done {
            node.forget_key(label);
        }
        done
    }
}

/// What went wrong on the HSMs that were tried.
#[derive(Default)]
struct Failure {
    last: Option<String>,
    is_key_missing: bool,
    are_sessions_exhausted: bool,
}

impl Failure {
    /// Takes note of an error after which another HSM may succeed; returns any other.
    fn note(&mut self, node: &Node, client: &Client, error: HsmError) -> Result<(), KeyStoreError> {
        if let HsmError::Refused(Refusal::NotAuthentic | Refusal::TooLong) = error {
            return Err(KeyStoreError::NotAuthentic);
        }
        if !error.another_hsm_may_succeed() {
            return Err(error.into());
        }
        match &error {
            HsmError::Refused(Refusal::KeyNotFound { .. }) => self.is_key_missing = true,
            HsmError::Refused(Refusal::SessionsExhausted) => self.are_sessions_exhausted = true,
            error if error.is_silence() => node.give_up(),
            _ => node.drop_session(client),
        }
        tracing::debug!(hsm = %node.id, %error, "an HSM failed; another is tried");
        self.last = Some(error.to_string());
        Ok(())
    }

    /// Takes note of HSMs that would answer if they had a session left.
    fn note_exhausted(&mut self, nodes: &[Arc<Node>]) {
        self.are_sessions_exhausted |= nodes.iter().any(|node| node.is_exhausted());
    }

    /// Whether other HSMs would give no better answer.
    fn is_final(&self) -> bool {
        self.is_key_missing || self.are_sessions_exhausted
    }

    fn into_error(self) -> KeyStoreError {
        if self.is_key_missing {
            return KeyStoreError::MaterialMissing;
        }
        if self.are_sessions_exhausted {
            return KeyStoreError::SessionsExhausted;
        }
        KeyStoreError::Unreachable(self.last.unwrap_or_else(|| "no HSM is logged in to".to_owned()))
    }
}

#[async_trait]
impl Connection for Pool {
    async fn clear(&self, key: &KeyArn) -> Result<(), KeyStoreError> {
        self.delete_labelled(&key.to_string()).await
    }

    async fn close(&self) {
        self.log_out().await;
    }
}

impl Pool {
    /// Destroys the keys with a label on every HSM. All have to answer: one that does not may keep its copy.
    async fn delete_labelled(&self, label: &str) -> Result<(), KeyStoreError> {
        self.look_for_request().await;
        let members = self.members();
        delete_everywhere(&members, label).await?;
        match self.absent() {
            0 => Ok(()),
            absent => Err(KeyStoreError::Unreachable(format!(
                "{absent} HSMs of the cluster do not answer and may keep their copy"
            ))),
        }
    }
}

#[async_trait]
impl KeyStore for Pool {
    /// Makes the key inside one HSM and has it copied to all others, encrypted for the cluster.
    async fn create(&self, key: &KeyArn) -> Result<Material, KeyStoreError> {
        self.look_for_request().await;
        let _still = self.stand_still().await;
        let label = key.to_string();
        loop {
            let members = self.members_in_zones(ZONES_MIN).ok_or(KeyStoreError::TooFewHsms)?;
            let (failed, error) = match make_everywhere(&members, &label).await {
                Ok(handle) => return Ok(label::material(&label, &handle.0.to_be_bytes())),
                Err(failure) => failure,
            };
            // What was made cannot be used without its copies.
            if let Err(error) = delete_everywhere(&members, &label).await {
                tracing::warn!(%key, %error, "material of a key that is not made remains for now");
            }
            if !error.another_hsm_may_succeed() {
                return Err(error.into());
            }
            // Each round has fewer HSMs.
            tracing::warn!(hsm = %failed.id, %error, "an HSM failed while a key was made");
            failed.give_up();
        }
    }

    async fn seal(
        &self,
        material: &Material,
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, KeyStoreError> {
        let done = self.work(material, Work::Seal { aad, plaintext }).await?;
        Ok(done.sealed)
    }

    async fn open(
        &self,
        material: &Material,
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyStoreError> {
        let done = self.work(material, Work::Open { aad, sealed }).await?;
        Ok(done.plaintext)
    }

    async fn generate_data_key(
        &self,
        material: &Material,
        aad: &[u8],
        bytes: usize,
    ) -> Result<DataKey, KeyStoreError> {
        let work = Work::GenerateDataKey { aad, bytes: drawn(bytes)? };
        let Done { plaintext, sealed } = self.work(material, work).await?;
        Ok(DataKey { plaintext, sealed })
    }

    async fn generate_sealed_data_key(
        &self,
        material: &Material,
        aad: &[u8],
        bytes: usize,
    ) -> Result<Vec<u8>, KeyStoreError> {
        let work = Work::GenerateSealedDataKey { aad, bytes: drawn(bytes)? };
        Ok(self.work(material, work).await?.sealed)
    }

    async fn random(&self, bytes: usize) -> Result<Zeroizing<Vec<u8>>, KeyStoreError> {
        let bytes = drawn(bytes)?;
        let mut failure = Failure::default();
        for is_last_round in [false, true] {
            for node in self.in_turn() {
                let Some(client) = node.session() else { continue };
                match client.random(bytes).await {
                    Ok(drawn) => return Ok(owned(&drawn)),
                    Err(error) => failure.note(&node, &client, error)?,
                }
            }
            if !is_last_round {
                self.look_for_request().await;
            }
        }
        failure.note_exhausted(&self.nodes());
        Err(failure.into_error())
    }

    async fn delete(&self, material: &Material) -> Result<(), KeyStoreError> {
        self.delete_labelled(label::of(material)?).await
    }

    fn is_available(&self, material: &Material) -> bool {
        // By the guide a key stays `Enabled` while its store is connected, even if no HSM answers; one whose
        // material is gone becomes unavailable.
        label::of(material).is_ok_and(|label| !self.is_missing(label))
    }
}

/// An HSM and a session of it.
type Member = (Arc<Node>, Client);

/// Makes a key and its copies; returns its number, or the HSM that failed.
async fn make_everywhere<'a>(
    members: &'a [Member],
    label: &str,
) -> Result<KeyHandle, (&'a Node, HsmError)> {
    let mut handle = KeyHandle(0);
    let mut masked = None;
    for (node, client) in members {
        let failed = |error| (&**node, error);
        match &masked {
            None => {
                handle = client.generate_key(label).await.map_err(failed)?;
                masked = Some(client.extract_masked(handle).await.map_err(failed)?);
            }
            Some(masked) => {
                client.insert_masked(masked.clone()).await.map_err(failed)?;
            }
        }
    }
    Ok(handle)
}

async fn delete_everywhere(members: &[Member], label: &str) -> Result<(), HsmError> {
    let mut outcome = Ok(());
    for (node, client) in members {
        node.forget_key(label);
        let deleted = async {
            for handle in client.find_keys(label).await? {
                client.delete_key(handle).await?;
            }
            Ok(())
        };
        outcome = outcome.and(deleted.await);
    }
    outcome
}

/// Bytes to be drawn, as an HSM counts them.
fn drawn(bytes: usize) -> Result<u16, KeyStoreError> {
    Ok(u16::try_from(bytes).map_err(|_| HsmError::Refused(Refusal::TooLong))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use strongroom_hsm::{Blob, Command, Response, Transport};

    /// Answers a data key's command with what it asks for, and remembers every command's kind.
    #[derive(Default)]
    struct Recorder(Mutex<Vec<&'static str>>);

    #[async_trait]
    impl Transport for Recorder {
        async fn call(&self, command: Command) -> Result<Response, HsmError> {
            let (kind, response) = match command {
                Command::GenerateSealed { bytes, with_plaintext, .. } => {
                    let plaintext = Plaintext::new(&vec![1; usize::from(bytes)]).unwrap();
                    let message = Blob::new(vec![2; 76]).unwrap();
                    let plaintext = with_plaintext.then_some(plaintext);
                    let kind = if with_plaintext { "data key" } else { "sealed data key" };
                    (kind, Response::Generated { plaintext, message })
                }
                _ => ("other", Response::Done),
            };
            self.0.lock().unwrap().push(kind);
            Ok(response)
        }

        fn address(&self) -> &str {
            "recorder"
        }

        fn is_open(&self) -> bool {
            true
        }
    }

    #[tokio::test]
    async fn a_data_key_takes_one_round_trip() {
        let recorder = Arc::new(Recorder::default());
        let client = Client::new(Arc::clone(&recorder) as _);
        let work = Work::GenerateDataKey { aad: b"", bytes: 32 };
        let made = work.run(&client, KeyHandle(7)).await.unwrap();
        assert_eq!((made.plaintext.len(), made.sealed.len()), (32, 76));
        let work = Work::GenerateSealedDataKey { aad: b"", bytes: 16 };
        let made = work.run(&client, KeyHandle(7)).await.unwrap();
        assert_eq!((made.plaintext.len(), made.sealed.len()), (0, 76));
        assert_eq!(*recorder.0.lock().unwrap(), ["data key", "sealed data key"]);
    }
}
