//! What can be seen only from inside: that no key is anywhere in clear, and that none stays behind.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::factory::Factory;
use crate::key::{KeyHandle, Label};
use crate::provision::{ProviderCommand, ProviderResponse};
use crate::state::{Claim, Cluster};
use crate::user::{Role, User, UserId, UserName};
use crate::wire::{Aad, Command, Response};
use crate::{Attribute, Pem, Plaintext};

fn device(dir: &Path) -> Device {
    let factory = Factory::open(&dir.join("factory"), &SystemClock).unwrap();
    let home = dir.join("device");
    factory.manufacture(&home, "hsm-abcdefghijk", &SystemClock).unwrap();
    let config = Config { pbkdf2_iterations: PBKDF2_ITERATIONS_MIN, ..Config::default() };
    Device::power_on(&home, config).unwrap()
}

/// A device of a claimed cluster with a CU, by the short way.
fn device_with_user(dir: &Path) -> (Device, SessionId) {
    let device = device(dir);
    device.provide(ProviderCommand::MakeRequest);
    device
        .change(|contents| {
            let cluster = contents.cluster.clone().unwrap();
            let claim = Claim { certificate: Pem::default(), trust_anchor: Pem::default() };
            let mut copy: Cluster = crate::codec::decode(&crate::codec::encode(&cluster)).unwrap();
            copy.claimed = Some(claim);
            contents.cluster = Some(Arc::new(copy));
            contents.add_user(User {
                id: UserId(0),
                role: Role::CryptoUser,
                name: UserName::parse("kmsuser").unwrap(),
                password: None,
                login_failures: 0,
                second_factor: None,
            })
        })
        .unwrap();
    let session = device.open_session(Port::Client).unwrap();
    let name = UserName::parse("kmsuser").unwrap();
    let login = sessions::Login { user: UserId(1), role: Role::CryptoUser, name };
    device.sessions.set_login(session, Some(login)).unwrap();
    (device, session)
}

fn generate(device: &Device, session: SessionId) -> KeyHandle {
    let label = Label::new("label").unwrap();
    match device.handle(session, Command::GenerateKey { label }) {
        Response::Key { handle } => handle,
        _ => panic!("no key was made"),
    }
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

/// Every answer that a session or the provider can get about a key, encoded.
fn everything_said(device: &Device, session: SessionId, handle: KeyHandle) -> Vec<Vec<u8>> {
    let aad = || Aad::new(b"aad".to_vec()).unwrap();
    let plaintext = || Plaintext::new(b"plaintext").unwrap();
    let mut commands = vec![
        Command::Info,
        Command::ListUsers,
        Command::FindKeys { label: None },
        Command::KeyInfo { handle },
        Command::KeysOfUser { user: UserId(1) },
        Command::ExtractMasked { handle },
        Command::Encrypt { handle, aad: aad(), plaintext: plaintext() },
        Command::Seal { handle, aad: aad(), plaintext: plaintext() },
        Command::GenerateSealed { handle, aad: aad(), bytes: 32, with_plaintext: true },
        Command::Random { bytes: 4_096 },
    ];
    let attributes = Attribute::ALL.iter();
    commands.extend(
        attributes.map(|attribute| Command::KeyAttribute { handle, attribute: *attribute }),
    );
    let mut said: Vec<_> = commands
        .into_iter()
        .map(|command| device.handle(session, command).encode().to_vec())
        .collect();
    for command in [
        ProviderCommand::Status,
        ProviderCommand::MakeRequest,
        ProviderCommand::Backup,
        ProviderCommand::AuditLog { offset: 0 },
    ] {
        let response: ProviderResponse = device.provide(command);
        assert!(!matches!(response, ProviderResponse::Refused { .. }));
        said.push(crate::codec::encode(&response).to_vec());
    }
    said
}

#[test]
fn a_key_is_in_no_file_and_in_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let (device, session) = device_with_user(dir.path());
    let handle = generate(&device, session);
    let state = device.state().unwrap();
    let secret = state.contents.key(handle).unwrap().secret.expose();
    for said in everything_said(&device, session, handle) {
        assert!(!contains(&said, secret));
    }
    for entry in std::fs::read_dir(device.dir()).unwrap() {
        let path = entry.unwrap().path();
        assert!(!contains(&std::fs::read(&path).unwrap(), secret), "{}", path.display());
    }
    // The search does find what is there.
    assert!(contains(&crate::codec::encode(&state.contents), secret));
}

#[test]
fn a_tamper_response_leaves_no_key_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let (device, session) = device_with_user(dir.path());
    let handle = generate(&device, session);
    let key = Arc::downgrade(device.state().unwrap().contents.key(handle).unwrap());
    let state = Arc::downgrade(&device.state().unwrap());
    assert!(key.upgrade().is_some());
    device.tamper().unwrap();
    // Dropped, and therefore zeroised.
    assert!(key.upgrade().is_none() && state.upgrade().is_none());
}

#[test]
fn a_deleted_key_leaves_memory() {
    let dir = tempfile::tempdir().unwrap();
    let (device, session) = device_with_user(dir.path());
    let handle = generate(&device, session);
    let key = Arc::downgrade(device.state().unwrap().contents.key(handle).unwrap());
    device.handle(session, Command::DeleteKey { handle });
    assert!(key.upgrade().is_none());
}
