//! Imported key material: what time does to it and to its tokens, and that it survives a restart.

use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::Server;

const DAY_SECONDS: i64 = 86_400;
const MATERIAL: [u8; 32] = [0x5a; 32];

pub(crate) async fn call(server: &Server, operation: &str, input: Value) -> Result<Value, String> {
    let target = format!("TrentService.{operation}");
    server.emulator.call(&target, &input).await.map_err(|error| format!("{error}"))
}

/// The input of ImportKeyMaterial that brings `material` into a key, to stay.
pub(crate) async fn import_of(server: &Server, key: &str, material: &[u8]) -> Value {
    let input = json!({"KeyId": key, "WrappingAlgorithm": "RSAES_OAEP_SHA_256",
        "WrappingKeySpec": "RSA_2048"});
    let parameters = call(server, "GetParametersForImport", input).await.unwrap();
    let public_key = STANDARD.decode(parameters["PublicKey"].as_str().unwrap()).unwrap();
    let public_key = PublicEncryptingKey::from_der(&public_key).unwrap();
    let public_key = OaepPublicEncryptingKey::new(public_key).unwrap();
    let mut wrapped = vec![0; public_key.ciphertext_size()];
    public_key.encrypt(&OAEP_SHA256_MGF1SHA256, material, &mut wrapped, None).unwrap();
    json!({"KeyId": key, "ImportToken": parameters["ImportToken"],
        "EncryptedKeyMaterial": STANDARD.encode(&wrapped),
        "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"})
}

/// The same, to expire so many seconds from now.
fn expiring(server: &Server, mut input: Value, seconds: i64) -> Value {
    let at = server.emulator.clock().now().plus_seconds(seconds);
    input["ExpirationModel"] = "KEY_MATERIAL_EXPIRES".into();
    input["ValidTo"] = serde_json::to_value(at).unwrap();
    input
}

async fn create(server: &Server) -> String {
    let created = call(server, "CreateKey", json!({"Origin": "EXTERNAL"})).await.unwrap();
    created["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned()
}

async fn state(server: &Server, key: &str) -> String {
    let described = call(server, "DescribeKey", json!({"KeyId": key})).await.unwrap();
    described["KeyMetadata"]["KeyState"].as_str().unwrap().to_owned()
}

async fn encrypt(server: &Server, key: &str) -> Result<Value, String> {
    let sealed = call(server, "Encrypt", json!({"KeyId": key, "Plaintext": "AAAA"})).await?;
    Ok(sealed["CiphertextBlob"].clone())
}

#[tokio::test]
async fn a_token_is_valid_for_a_day() {
    let (server, clock) = Server::with_clock().await;
    let key = create(&server).await;
    let input = import_of(&server, &key, &MATERIAL).await;
    clock.advance_seconds(DAY_SECONDS - 1);
    call(&server, "ImportKeyMaterial", input.clone()).await.unwrap();
    clock.advance_seconds(1);
    let refused = call(&server, "ImportKeyMaterial", input).await.unwrap_err();
    assert!(refused.starts_with("ExpiredImportTokenException"), "{refused}");
}

#[tokio::test]
async fn expired_material_is_gone_at_once_and_for_good() {
    let (server, clock) = Server::with_clock().await;
    let key = create(&server).await;
    let input = import_of(&server, &key, &MATERIAL).await;
    let input = expiring(&server, input, 2 * DAY_SECONDS);
    call(&server, "ImportKeyMaterial", input).await.unwrap();
    let blob = encrypt(&server, &key).await.unwrap();
    clock.advance_seconds(2 * DAY_SECONDS - 1);
    assert_eq!(state(&server, &key).await, "Enabled");
    clock.advance_seconds(1);
    assert_eq!(state(&server, &key).await, "PendingImport");
    let refused = encrypt(&server, &key).await.unwrap_err();
    assert!(refused.contains("is pending import"), "{refused}");

    // A clock that is set back does not bring it back once it has been removed.
    let mut is_removed = false;
    for _ in 0..300 {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        clock.advance_seconds(-DAY_SECONDS);
        is_removed = state(&server, &key).await == "PendingImport";
        clock.advance_seconds(DAY_SECONDS);
        if is_removed {
            break;
        }
    }
    assert!(is_removed, "expired material is still there");

    let input = import_of(&server, &key, &MATERIAL).await;
    call(&server, "ImportKeyMaterial", input).await.unwrap();
    let opened = call(&server, "Decrypt", json!({"CiphertextBlob": blob})).await.unwrap();
    assert_eq!(opened["Plaintext"], "AAAA");
}

#[tokio::test]
async fn the_bounds_of_an_expiration_are_those_of_the_guide() {
    let (server, _clock) = Server::with_clock().await;
    let key = create(&server).await;
    let input = import_of(&server, &key, &MATERIAL).await;
    for seconds in [0, 365 * DAY_SECONDS + 1] {
        let input = expiring(&server, input.clone(), seconds);
        let refused = call(&server, "ImportKeyMaterial", input).await.unwrap_err();
        assert!(refused.starts_with("ValidationException"), "{refused}");
    }
    for seconds in [1, 365 * DAY_SECONDS] {
        let input = expiring(&server, input.clone(), seconds);
        call(&server, "ImportKeyMaterial", input).await.unwrap();
    }
}

#[tokio::test]
async fn imported_and_awaiting_keys_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::on(dir.path()).await;
    let (there, gone, never) =
        (create(&server).await, create(&server).await, create(&server).await);
    for key in [&there, &gone] {
        let input = import_of(&server, key, &MATERIAL).await;
        let input = expiring(&server, input, 9 * DAY_SECONDS);
        call(&server, "ImportKeyMaterial", input).await.unwrap();
    }
    let describe = json!({"KeyId": there});
    let before = call(&server, "DescribeKey", describe.clone()).await.unwrap();
    let blob = encrypt(&server, &there).await.unwrap();
    let lost = encrypt(&server, &gone).await.unwrap();
    call(&server, "DeleteImportedKeyMaterial", json!({"KeyId": gone})).await.unwrap();
    let pending = import_of(&server, &gone, &MATERIAL).await;
    let other = import_of(&server, &gone, &[1; 32]).await;
    server.emulator.shutdown().await;

    let server = Server::on(dir.path()).await;
    assert_eq!(call(&server, "DescribeKey", describe).await.unwrap(), before);
    let opened = call(&server, "Decrypt", json!({"CiphertextBlob": blob})).await.unwrap();
    assert_eq!(opened["Plaintext"], "AAAA");
    assert_eq!(state(&server, &never).await, "PendingImport");
    assert_eq!(state(&server, &gone).await, "PendingImport");
    let refused = call(&server, "ImportKeyMaterial", other).await.unwrap_err();
    assert!(refused.starts_with("IncorrectKeyMaterialException"), "{refused}");
    call(&server, "ImportKeyMaterial", pending).await.unwrap();
    let opened = call(&server, "Decrypt", json!({"CiphertextBlob": lost})).await.unwrap();
    assert_eq!(opened["Plaintext"], "AAAA");
}
