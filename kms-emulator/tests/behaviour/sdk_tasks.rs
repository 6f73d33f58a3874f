//! One list of tasks, done by the AWS SDKs of six languages and the aws command line.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey};
use aws_sdk_kms::Client;
use aws_sdk_kms::error::ProvideErrorMetadata;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{
    ExpirationModelType, GrantConstraints, GrantOperation, KeySpec, KeyUsageType, OriginType,
    RotationType, SigningAlgorithmSpec,
};
use strongroom_peers::PeerError;
use strongroom_peers::kms_client::{KmsAccess, KmsClient, TASKS, TaskOutcome};

use crate::harness::{ACCOUNT, Server};
use crate::import::import_of;

const REGION: &str = "us-east-1";
const REPLICA_REGION: &str = "eu-west-1";
const SECOND_ACCESS_KEY_ID: &str = "AKIASECOND0000000000";
const SECOND_SECRET: &str = "the secret of the second principal, of 40";
const MESSAGE: &[u8] = b"a message";

fn access(server: &Server) -> KmsAccess {
    let root = server.emulator.credentials();
    KmsAccess {
        endpoint: server.emulator.endpoint(),
        region: REGION.to_owned(),
        access_key_id: root.access_key_id.to_owned(),
        secret_access_key: root.secret_access_key.to_owned(),
        second_arn: format!("arn:aws:iam::{ACCOUNT}:user/second"),
        second_access_key_id: SECOND_ACCESS_KEY_ID.to_owned(),
        second_secret_access_key: SECOND_SECRET.to_owned(),
    }
}

async fn server() -> Server {
    Server::with_credentials(&format!(
        r#"{{"credentials": [{{"accountId": "{ACCOUNT}", "userName": "second",
            "accessKeyId": "{SECOND_ACCESS_KEY_ID}", "secretAccessKey": "{SECOND_SECRET}"}}]}}"#
    ))
    .await
}

fn row(name: &str, outcomes: &[TaskOutcome]) -> String {
    let cells: Vec<&str> = outcomes
        .iter()
        .map(|outcome| if outcome.error.is_none() { "ok" } else { "FAILED" })
        .collect();
    format!("{name:<30}{}", cells.iter().map(|cell| format!("{cell:<12}")).collect::<String>())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sdk_does_the_tasks() {
    let server = server().await;
    let access = access(&server);
    let clients = KmsClient::ALL.map(|client| {
        let access = access.clone();
        tokio::task::spawn_blocking(move || client.run(&access))
    });
    let heads: String = TASKS.iter().map(|task| format!("{task:<12}")).collect();
    let mut table = vec![format!("{:<30}{heads}", "SDK")];
    let mut failures = Vec::new();
    let rust = TASKS.map(|task| TaskOutcome { task: task.to_owned(), error: None });
    Tasks::new(&server).all().await;
    table.push(row("aws-sdk-kms (Rust)", &rust));
    for (client, run) in KmsClient::ALL.into_iter().zip(clients) {
        let outcomes: Result<_, PeerError> = run.await.unwrap();
        let outcomes = match outcomes {
            Ok(outcomes) => outcomes,
            Err(error) => {
                // Says that it is missing, or fails.
                strongroom_peers::require::skip(&error, module_path!());
                continue;
            }
        };
        table.push(row(client.name(), &outcomes));
        for TaskOutcome { task, error } in outcomes {
            failures.extend(error.map(|error| format!("{}: {task}: {error}", client.name())));
        }
    }
    println!("{}", table.join("\n"));
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The list with the AWS SDK for Rust.
struct Tasks<'a> {
    server: &'a Server,
    kms: Client,
}

impl<'a> Tasks<'a> {
    fn new(server: &'a Server) -> Self {
        Self { server, kms: server.client() }
    }

    async fn all(&self) {
        let made = self.kms.create_key().description("tasks").send().await.unwrap();
        let key = made.key_metadata.unwrap().key_id;
        let before = self.encrypt(&key).await;
        self.opens(&self.kms, &before).await;
        self.kms.rotate_key_on_demand().key_id(&key).send().await.unwrap();
        let listed = self.kms.list_key_rotations().key_id(&key).send().await.unwrap();
        let kinds: Vec<_> = listed.rotations().iter().map(|each| each.rotation_type()).collect();
        assert_eq!(kinds, [Some(&RotationType::OnDemand)]);
        self.opens(&self.kms, &before).await;
        self.opens(&self.kms, &self.encrypt(&key).await).await;
        self.sign_and_verify().await;
        self.import().await;
        self.grant(&key).await;
        self.replicate().await;
    }

    async fn encrypt(&self, key: &str) -> Blob {
        let encrypt = self.kms.encrypt().key_id(key).plaintext(Blob::new(MESSAGE));
        let reply = encrypt.encryption_context("about", "tasks").send().await.unwrap();
        reply.ciphertext_blob.unwrap()
    }

    async fn open(&self, with: &Client, blob: &Blob) -> Result<Vec<u8>, String> {
        let decrypt = with.decrypt().ciphertext_blob(blob.clone());
        match decrypt.encryption_context("about", "tasks").send().await {
            Ok(reply) => Ok(reply.plaintext.unwrap().into_inner()),
            Err(error) => Err(error.code().unwrap_or_default().to_owned()),
        }
    }

    async fn opens(&self, with: &Client, blob: &Blob) {
        assert_eq!(self.open(with, blob).await.as_deref(), Ok(MESSAGE));
    }

    async fn is_denied(&self, with: &Client, blob: &Blob) {
        assert_eq!(self.open(with, blob).await, Err("AccessDeniedException".to_owned()));
    }

    async fn sign_and_verify(&self) {
        let make = self.kms.create_key().key_spec(KeySpec::EccNistP256);
        let made = make.key_usage(KeyUsageType::SignVerify).send().await.unwrap();
        let key = made.key_metadata.unwrap().key_id;
        let sign = self.kms.sign().key_id(&key).message(Blob::new(MESSAGE));
        let signed =
            sign.signing_algorithm(SigningAlgorithmSpec::EcdsaSha256).send().await.unwrap();
        let public = self.kms.get_public_key().key_id(&key).send().await.unwrap();
        let public = public.public_key.unwrap();
        let public = ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public.as_ref()).unwrap();
        public.verify_sig(MESSAGE, signed.signature.unwrap().as_ref()).unwrap();
    }

    async fn import(&self) {
        let made = self.kms.create_key().origin(OriginType::External).send().await.unwrap();
        let key = made.key_metadata.unwrap().key_id;
        let input = import_of(self.server, &key, &[9; 32]).await;
        let blob = |member: &str| {
            use base64::Engine;
            let text = input[member].as_str().unwrap();
            Blob::new(base64::engine::general_purpose::STANDARD.decode(text).unwrap())
        };
        let import = self.kms.import_key_material().key_id(&key).import_token(blob("ImportToken"));
        let import = import.encrypted_key_material(blob("EncryptedKeyMaterial"));
        let never = ExpirationModelType::KeyMaterialDoesNotExpire;
        import.expiration_model(never).send().await.unwrap();
        self.opens(&self.kms, &self.encrypt(&key).await).await;
    }

    async fn grant(&self, key: &str) {
        let second = self.server.client_as(SECOND_ACCESS_KEY_ID, SECOND_SECRET, REGION);
        let blob = self.encrypt(key).await;
        self.is_denied(&second, &blob).await;
        let constraints =
            GrantConstraints::builder().encryption_context_subset("about", "tasks").build();
        let grant = self.kms.create_grant().key_id(key).operations(GrantOperation::Decrypt);
        let grant = grant.grantee_principal(format!("arn:aws:iam::{ACCOUNT}:user/second"));
        let made = grant.constraints(constraints).send().await.unwrap();
        self.opens(&second, &blob).await;
        let revoke = self.kms.revoke_grant().key_id(key).grant_id(made.grant_id.unwrap());
        revoke.send().await.unwrap();
        self.is_denied(&second, &blob).await;
    }

    async fn replicate(&self) {
        let made = self.kms.create_key().multi_region(true).send().await.unwrap();
        let key = made.key_metadata.unwrap().key_id;
        let root = self.server.emulator.credentials();
        let there =
            self.server.client_as(root.access_key_id, root.secret_access_key, REPLICA_REGION);
        let blob = self.encrypt(&key).await;
        self.is_denied(&there, &blob).await;
        let replicate = self.kms.replicate_key().key_id(&key).replica_region(REPLICA_REGION);
        replicate.send().await.unwrap();
        self.opens(&there, &blob).await;
    }
}
