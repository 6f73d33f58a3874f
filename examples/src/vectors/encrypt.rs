//! Encrypting the messages that a manifest asks for.

use std::io::Write;
use std::path::Path;

use strongroom_sdk::options::EncryptOptions;

use super::Inputs;
use super::decrypt::{DecryptVector, Writer, check_message, verdict_of_error};
use super::error::Result;
use super::json::Object;
use super::keys::Keys;
use super::manifest::{Manifest, tests};
use super::report::{Report, Verdict};
use super::surfaces;
use super::wrapping::{Manager, Obstacle, Use, Wrapping};

mod output;
mod plaintexts;
mod vector;

use output::Output;
use plaintexts::Plaintexts;
use vector::{EncryptVector, Expected, Layout};

/// The types of the manifests that [`encrypt`] takes.
const MANIFEST_TYPES: &str = "awses-encrypt or awses-decrypt-generate";

/// Encrypts every message of a manifest of type `awses-encrypt` through every surface, and writes to the
/// folder `folder` what another implementation needs to decrypt them: a manifest of type `awses-decrypt`,
/// the keys, the plaintexts and the messages. Of each message one is kept, of the surfaces in turn.
///
/// A vector passes when what each surface wrote opens through every surface, or when none writes what the
/// manifest says cannot be written. For each that does not, a line is printed to `out`.
///
/// # Errors
/// When the manifest, its keys or a plaintext cannot be read or are none, when the folder cannot be
/// written, and when printing fails.
pub async fn encrypt(inputs: &Inputs<'_>, folder: &Path, out: &mut dyn Write) -> Result<Report> {
    let manifest = Manifest::read(inputs.manifest)?;
    let (root, version) = manifest.open(MANIFEST_TYPES)?;
    let keys = Keys::read(&manifest.keys_file(inputs.keys, &root)?)?;
    let vectors = tests(&root)?
        .into_iter()
        .map(|(name, test)| EncryptVector::parse(name, &test, version))
        .collect::<Result<Vec<_>>>()?;
    let names = vectors.iter().map(|vector| &vector.plaintext);
    let plaintexts = Plaintexts::make(names, &root, &manifest)?;

    let wrapping = Wrapping { keys: &keys, kms: inputs.kms };
    let mut output = Output::create(folder, &plaintexts, keys.as_json())?;
    let mut report = Report::default();
    for (at, vector) in vectors.iter().enumerate() {
        let plaintext = plaintexts.get(&vector.plaintext);
        let (verdict, mut messages) = write(vector, plaintext, &wrapping, &output).await?;
        if !messages.is_empty() {
            output.add(vector, &messages.swap_remove(at % messages.len()))?;
        }
        report.add(&vector.name, verdict, out)?;
    }
    // The first version that has results is 2.
    output.finish(version.max(2))?;
    Ok(report)
}

/// What became of `vector`, and its messages, one of each surface, if they are for readers.
async fn write(
    vector: &EncryptVector,
    plaintext: &[u8],
    wrapping: &Wrapping<'_>,
    output: &Output,
) -> Result<(Verdict, Vec<Vec<u8>>)> {
    if let Some(reason) = vector.unwritable {
        return Ok((Verdict::Skipped(reason.to_owned()), Vec::new()));
    }
    let manager = match wrapping.manager(&vector.keys, Use::Encrypt) {
        Ok(manager) => manager,
        Err(Obstacle::Skip(reason)) => return Ok((Verdict::Skipped(reason), Vec::new())),
        Err(Obstacle::Fault(_)) if vector.expected == Expected::NotWritten => {
            return Ok((Verdict::Passed, Vec::new()));
        }
        Err(Obstacle::Fault(reason)) => return Ok((Verdict::Failed(reason), Vec::new())),
        Err(Obstacle::Malformed(error)) => return Err(error),
    };
    let (mut written, mut refused) = (Vec::new(), Vec::new());
    for outcome in through_surfaces(vector, plaintext, &manager).await {
        match outcome.bytes {
            Ok(message) => written.push((outcome.surface, message)),
            Err(error) => match verdict_of_error(&error) {
                Verdict::Failed(reason) => refused.push(format!("{}: {reason}", outcome.surface)),
                skipped => return Ok((skipped, Vec::new())),
            },
        }
    }
    if vector.expected == Expected::NotWritten {
        let surfaces: Vec<&str> = written.iter().map(|(surface, _)| *surface).collect();
        let verdict = match surfaces[..] {
            [] => Verdict::Passed,
            _ => Verdict::Failed(format!("{}: written, and must not be", surfaces.join(", "))),
        };
        return Ok((verdict, Vec::new()));
    }
    if !refused.is_empty() {
        return Ok((Verdict::Failed(refused.join(", ")), Vec::new()));
    }
    read_back(vector, plaintext, written, wrapping, output).await
}

async fn through_surfaces(
    vector: &EncryptVector,
    plaintext: &[u8],
    manager: &Manager,
) -> Vec<surfaces::Outcome> {
    match vector.layout {
        Layout::Frames(frame_length) => {
            let options = EncryptOptions { frame_length };
            surfaces::write(plaintext, &*manager.cmm, &vector.request, &options).await
        }
        Layout::SingleBlock => {
            surfaces::write_block(plaintext, &*manager.cmm, &vector.request).await
        }
    }
}

/// Reads what each surface wrote through every surface, as readers of the output will.
async fn read_back(
    vector: &EncryptVector,
    plaintext: &[u8],
    written: Vec<(&'static str, Vec<u8>)>,
    wrapping: &Wrapping<'_>,
    output: &Output,
) -> Result<(Verdict, Vec<Vec<u8>>)> {
    let test = output.test_of(vector);
    let test = Object::of(&test, "the manifest for readers", &vector.name)?;
    let of_reader =
        DecryptVector::parse(&vector.name, &test, &Manifest::nowhere(), 5, Writer::Other)?;
    let manager = match wrapping.manager(&of_reader.keys, Use::Decrypt) {
        Ok(manager) => manager,
        // Written for keys that nothing here can read with: for others to try.
        Err(Obstacle::Skip(_)) => return Ok((Verdict::PassedWith(UNREAD), bytes_of(written))),
        Err(Obstacle::Fault(reason)) => return Ok((Verdict::Failed(reason), Vec::new())),
        Err(Obstacle::Malformed(error)) => return Err(error),
    };
    for (surface, message) in &written {
        let verdict = check_message(&of_reader, message, &manager, plaintext).await;
        if let Verdict::Failed(reason) = verdict {
            return Ok((Verdict::Failed(format!("written by {surface}: {reason}")), Vec::new()));
        }
    }
    Ok((Verdict::Passed, bytes_of(written)))
}

const UNREAD: &str = "without being read back: no key here opens them";

fn bytes_of(written: Vec<(&'static str, Vec<u8>)>) -> Vec<Vec<u8>> {
    written.into_iter().map(|(_, message)| message).collect()
}
