//! Keyrings and materials managers, as a job describes them.

use std::future::Future;
use std::pin::Pin;

use aws_esdk::aws_cryptography_primitives::types::EcdhCurveSpec;
use aws_esdk::material_providers::client::Client;
use aws_esdk::material_providers::types::cryptographic_materials_manager::CryptographicMaterialsManagerRef;
use aws_esdk::material_providers::types::keyring::KeyringRef;
use aws_esdk::material_providers::types::material_providers_config::MaterialProvidersConfig;
use aws_esdk::material_providers::types::{
    AesWrappingAlg, DiscoveryFilter, EphemeralPrivateKeyToStaticPublicKeyInput,
    KmsEcdhStaticConfigurations, KmsPrivateKeyToStaticPublicKeyInput, KmsPublicKeyDiscoveryInput,
    PaddingScheme, PublicKeyDiscoveryInput, RawEcdhStaticConfigurations,
    RawPrivateKeyToStaticPublicKeyInput,
};
use aws_sdk_kms::config::{Credentials, Region};
use aws_sdk_kms::primitives::Blob;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::{Outcome, Refusal, bytes, text};

/// The materials manager of a job: the default one over its keyring, or one that requires a context.
pub async fn manager(job: &Value) -> Outcome<CryptographicMaterialsManagerRef> {
    if job["caching"] == true {
        return Err(Refusal::Unsupported("a caching materials manager".to_owned()));
    }
    let providers = Client::from_conf(MaterialProvidersConfig::builder().build()?)?;
    let keyring = keyring(&providers, &job["keyring"]).await?;
    let default =
        providers.create_default_cryptographic_materials_manager().keyring(keyring).send().await?;
    let required = texts(job, "required");
    if required.is_empty() {
        return Ok(default);
    }
    Ok(providers
        .create_required_encryption_context_cmm()
        .underlying_cmm(default)
        .required_encryption_context_keys(required)
        .send()
        .await?)
}

type Pending<'a> = Pin<Box<dyn Future<Output = Outcome<KeyringRef>> + Send + 'a>>;

fn keyring<'a>(providers: &'a Client, said: &'a Value) -> Pending<'a> {
    Box::pin(async move {
        match text(said, "kind") {
            "raw-aes" => raw_aes(providers, said).await,
            "raw-rsa" => raw_rsa(providers, said).await,
            "raw-ecdh" => raw_ecdh(providers, said).await,
            "kms" => kms(providers, said).await,
            "kms-discovery" => kms_discovery(providers, said).await,
            "kms-rsa" => kms_rsa(providers, said).await,
            "kms-ecdh" => kms_ecdh(providers, said).await,
            "multi" => multi(providers, said).await,
            other => Err(Refusal::Unsupported(format!("keyring {other}"))),
        }
    })
}

async fn raw_aes(providers: &Client, said: &Value) -> Outcome<KeyringRef> {
    let key = bytes(said, "key")?;
    let algorithm = match key.len() {
        16 => AesWrappingAlg::AlgAes128GcmIv12Tag16,
        24 => AesWrappingAlg::AlgAes192GcmIv12Tag16,
        _ => AesWrappingAlg::AlgAes256GcmIv12Tag16,
    };
    Ok(providers
        .create_raw_aes_keyring()
        .key_namespace(text(said, "namespace"))
        .key_name(text(said, "name"))
        .wrapping_key(Blob::new(key))
        .wrapping_alg(algorithm)
        .send()
        .await?)
}

async fn raw_rsa(providers: &Client, said: &Value) -> Outcome<KeyringRef> {
    let padding = match text(said, "padding") {
        "pkcs1" => PaddingScheme::Pkcs1,
        "oaep-sha1" => PaddingScheme::OaepSha1Mgf1,
        "oaep-sha256" => PaddingScheme::OaepSha256Mgf1,
        "oaep-sha384" => PaddingScheme::OaepSha384Mgf1,
        "oaep-sha512" => PaddingScheme::OaepSha512Mgf1,
        other => return Err(Refusal::Unsupported(format!("padding {other}"))),
    };
    Ok(providers
        .create_raw_rsa_keyring()
        .key_namespace(text(said, "namespace"))
        .key_name(text(said, "name"))
        .padding_scheme(padding)
        .set_public_key(pem(said, "public"))
        .set_private_key(pem(said, "private"))
        .send()
        .await?)
}

async fn raw_ecdh(providers: &Client, said: &Value) -> Outcome<KeyringRef> {
    let scheme = match text(said, "schema") {
        "static" => RawEcdhStaticConfigurations::RawPrivateKeyToStaticPublicKey(
            RawPrivateKeyToStaticPublicKeyInput::builder()
                .set_sender_static_private_key(pem(said, "private"))
                .recipient_public_key(der(said, "public")?)
                .build()?,
        ),
        "ephemeral" => RawEcdhStaticConfigurations::EphemeralPrivateKeyToStaticPublicKey(
            EphemeralPrivateKeyToStaticPublicKeyInput::builder()
                .recipient_public_key(der(said, "public")?)
                .build()?,
        ),
        _ => RawEcdhStaticConfigurations::PublicKeyDiscovery(
            PublicKeyDiscoveryInput::builder()
                .set_recipient_static_private_key(pem(said, "private"))
                .build()?,
        ),
    };
    Ok(providers
        .create_raw_ecdh_keyring()
        .key_agreement_scheme(scheme)
        .curve_spec(curve(said)?)
        .send()
        .await?)
}

async fn kms(providers: &Client, said: &Value) -> Outcome<KeyringRef> {
    let (key, client) = (text(said, "key"), client(said));
    if said["mrk"] == true {
        return Ok(providers
            .create_aws_kms_mrk_keyring()
            .kms_key_id(key)
            .kms_client(client)
            .send()
            .await?);
    }
    Ok(providers.create_aws_kms_keyring().kms_key_id(key).kms_client(client).send().await?)
}

async fn kms_discovery(providers: &Client, said: &Value) -> Outcome<KeyringRef> {
    let filter = DiscoveryFilter::builder()
        .account_ids(texts(said, "accounts"))
        .partition(text(said, "partition"))
        .build()?;
    if said["mrk"] == true {
        return Ok(providers
            .create_aws_kms_mrk_discovery_keyring()
            .kms_client(client(said))
            .region(text(said, "region"))
            .discovery_filter(filter)
            .send()
            .await?);
    }
    Ok(providers
        .create_aws_kms_discovery_keyring()
        .kms_client(client(said))
        .discovery_filter(filter)
        .send()
        .await?)
}

async fn kms_rsa(providers: &Client, said: &Value) -> Outcome<KeyringRef> {
    Ok(providers
        .create_aws_kms_rsa_keyring()
        .kms_key_id(text(said, "key"))
        .encryption_algorithm(text(said, "algorithm"))
        .set_public_key(pem(said, "public"))
        .kms_client(client(said))
        .send()
        .await?)
}

async fn kms_ecdh(providers: &Client, said: &Value) -> Outcome<KeyringRef> {
    let scheme = match text(said, "schema") {
        "static" => KmsEcdhStaticConfigurations::KmsPrivateKeyToStaticPublicKey(
            KmsPrivateKeyToStaticPublicKeyInput::builder()
                .sender_kms_identifier(text(said, "key"))
                .recipient_public_key(der(said, "public")?)
                .build()?,
        ),
        _ => KmsEcdhStaticConfigurations::KmsPublicKeyDiscovery(
            KmsPublicKeyDiscoveryInput::builder()
                .recipient_kms_identifier(text(said, "key"))
                .build()?,
        ),
    };
    Ok(providers
        .create_aws_kms_ecdh_keyring()
        .key_agreement_scheme(scheme)
        .curve_spec(curve(said)?)
        .kms_client(client(said))
        .send()
        .await?)
}

async fn multi(providers: &Client, said: &Value) -> Outcome<KeyringRef> {
    let mut children = Vec::new();
    for child in said["children"].as_array().into_iter().flatten() {
        children.push(keyring(providers, child).await?);
    }
    Ok(providers
        .create_multi_keyring()
        .generator(keyring(providers, &said["generator"]).await?)
        .child_keyrings(children)
        .send()
        .await?)
}

/// A client of the Region of the key, with endpoint and credentials from the environment.
fn client(said: &Value) -> aws_sdk_kms::Client {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let region = match text(said, "region") {
        "" => text(said, "key").split(':').nth(3).unwrap_or_default(),
        region => region,
    };
    let (access_key, secret_key) =
        (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"));
    let config = aws_sdk_kms::Config::builder()
        .behavior_version(aws_sdk_kms::config::BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .endpoint_url(variable("AWS_ENDPOINT_URL_KMS"))
        .credentials_provider(Credentials::new(access_key, secret_key, None, None, "environment"))
        .build();
    aws_sdk_kms::Client::from_conf(config)
}

fn curve(said: &Value) -> Outcome<EcdhCurveSpec> {
    match text(said, "curve") {
        "P-256" => Ok(EcdhCurveSpec::EccNistP256),
        "P-384" => Ok(EcdhCurveSpec::EccNistP384),
        "P-521" => Ok(EcdhCurveSpec::EccNistP521),
        other => Err(Refusal::Unsupported(format!("curve {other}"))),
    }
}

fn texts(said: &Value, member: &str) -> Vec<String> {
    let items = said[member].as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A key as PEM, which this implementation takes as bytes.
fn pem(said: &Value, member: &str) -> Option<Blob> {
    said[member].as_str().map(|text| Blob::new(text.as_bytes()))
}

/// The DER inside a PEM.
fn der(said: &Value, member: &str) -> Outcome<Blob> {
    let body: String =
        text(said, member).lines().filter(|line| !line.starts_with("-----")).collect();
    Ok(Blob::new(BASE64_STANDARD.decode(body)?))
}
