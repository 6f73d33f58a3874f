//! Writing one message.

use std::io::Write;

use bytes::Bytes;
use futures::TryStreamExt;
use strongroom_sdk::Result;
use strongroom_sdk::cmm::MaterialsManager;
use strongroom_sdk::futures_stream::EncryptStream;
use strongroom_sdk::materials::{EncryptionMaterials, EncryptionRequest};
use strongroom_sdk::oneshot;
use strongroom_sdk::options::EncryptOptions;
use strongroom_sdk::parallel::{self, ParallelEncryptor};
use strongroom_sdk::stream::EncryptWriter;
use strongroom_sdk::tokio_stream::AsyncEncryptWriter;
use tokio::io::AsyncWriteExt;

use super::{Outcome, PART_BYTES, pool, unpack};

/// Writes `plaintext` through every surface that writes frames: one message each.
pub(in crate::vectors) async fn write(
    plaintext: &[u8],
    manager: &dyn MaterialsManager,
    request: &EncryptionRequest,
    options: &EncryptOptions,
) -> Vec<Outcome> {
    let one_shot = oneshot::encrypt(plaintext, manager, request, options).await;
    let mut outcomes = vec![Outcome { surface: "one-shot", bytes: one_shot }];
    for surface in ["std::io", "tokio", "Stream<Bytes>", "parallel", "parallel stream"] {
        let bytes = match manager.encryption_materials(request).await {
            Ok(materials) => through(surface, plaintext, materials, options).await,
            Err(error) => Err(error),
        };
        outcomes.push(Outcome { surface, bytes });
    }
    outcomes
}

/// Writes `plaintext` as a single block, which the byte-slice surface does.
pub(in crate::vectors) async fn write_block(
    plaintext: &[u8],
    manager: &dyn MaterialsManager,
    request: &EncryptionRequest,
) -> Vec<Outcome> {
    let bytes = oneshot::encrypt_single_block(plaintext, manager, request).await;
    vec![Outcome { surface: "one-shot", bytes }]
}

async fn through(
    surface: &str,
    plaintext: &[u8],
    materials: EncryptionMaterials,
    options: &EncryptOptions,
) -> Result<Vec<u8>> {
    match surface {
        "std::io" => std_io(plaintext, materials, options),
        "tokio" => tokio(plaintext, materials, options).await,
        "Stream<Bytes>" => stream(plaintext, materials, options).await,
        "parallel" => parallel::seal(plaintext, materials, options, &*pool()?),
        _ => parallel_stream(plaintext, materials, options),
    }
}

fn std_io(
    plaintext: &[u8],
    materials: EncryptionMaterials,
    options: &EncryptOptions,
) -> Result<Vec<u8>> {
    let mut writer = EncryptWriter::new(Vec::new(), materials, options)?;
    for part in plaintext.chunks(PART_BYTES) {
        writer.write_all(part).map_err(unpack)?;
    }
    writer.finish()
}

async fn tokio(
    plaintext: &[u8],
    materials: EncryptionMaterials,
    options: &EncryptOptions,
) -> Result<Vec<u8>> {
    let mut writer = AsyncEncryptWriter::new(Vec::new(), materials, options)?;
    for part in plaintext.chunks(PART_BYTES) {
        writer.write_all(part).await.map_err(unpack)?;
    }
    writer.finish().await
}

async fn stream(
    plaintext: &[u8],
    materials: EncryptionMaterials,
    options: &EncryptOptions,
) -> Result<Vec<u8>> {
    let parts = plaintext.chunks(PART_BYTES);
    let parts: Vec<std::io::Result<Bytes>> =
        parts.map(|part| Ok(Bytes::copy_from_slice(part))).collect();
    let mut stream = EncryptStream::new(futures::stream::iter(parts), materials, options)?;
    let mut message = Vec::new();
    while let Some(part) = stream.try_next().await? {
        message.extend_from_slice(&part);
    }
    Ok(message)
}

fn parallel_stream(
    plaintext: &[u8],
    materials: EncryptionMaterials,
    options: &EncryptOptions,
) -> Result<Vec<u8>> {
    let mut writer = ParallelEncryptor::new(Vec::new(), materials, options, pool()?)?;
    for part in plaintext.chunks(PART_BYTES) {
        writer.write_all(part).map_err(unpack)?;
    }
    writer.finish()
}
