//! Decrypting the messages of a manifest.

use std::io::Write;
use std::path::Path;

use strongroom_sdk::options::{DecryptOptions, NetV4_0_0};

use super::Inputs;
use super::error::Result;
use super::keys::Keys;
use super::manifest::{Manifest, tests};
use super::report::{Report, Verdict};
use super::surfaces::{self, RangeOfSigned};
use super::wrapping::{Manager, Obstacle, Use, Wrapping};

mod vector;

pub(super) use vector::{DecryptVector, Writer};

use vector::Expected;

/// The type of the manifests that [`decrypt`] takes.
const MANIFEST_TYPE: &str = "awses-decrypt";

/// Decrypts every message of a manifest of type `awses-decrypt`, versions 1 to 5, through every surface.
///
/// A vector passes when each surface gives the plaintext that the manifest names, or when each refuses
/// a message that the manifest says must not open. For each that does not, a line is printed to `out`.
///
/// # Errors
/// When the manifest or its keys cannot be read or are no manifest, and when printing fails.
pub async fn decrypt(inputs: &Inputs<'_>, out: &mut dyn Write) -> Result<Report> {
    let manifest = Manifest::read(inputs.manifest)?;
    let (root, version) = manifest.open(MANIFEST_TYPE)?;
    let keys = Keys::read(&manifest.keys_file(inputs.keys, &root)?)?;
    let writer = Writer::of(&root)?;
    // All are read before any is tried: what is wrong with a manifest is known at once.
    let vectors = tests(&root)?
        .into_iter()
        .map(|(name, test)| DecryptVector::parse(name, &test, &manifest, version, writer))
        .collect::<Result<Vec<_>>>()?;

    let wrapping = Wrapping { keys: &keys, kms: inputs.kms };
    let mut report = Report::default();
    for vector in &vectors {
        let verdict = verdict(vector, &wrapping).await?;
        report.add(&vector.name, verdict, out)?;
    }
    Ok(report)
}

/// What became of `vector`.
async fn verdict(vector: &DecryptVector, wrapping: &Wrapping<'_>) -> Result<Verdict> {
    let manager = match wrapping.manager(&vector.keys, Use::Decrypt) {
        Ok(manager) => manager,
        Err(Obstacle::Skip(reason)) => return Ok(Verdict::Skipped(reason)),
        Err(Obstacle::Fault(reason)) => return Ok(Verdict::Failed(reason)),
        Err(Obstacle::Malformed(error)) => return Err(error),
    };
    let message = match read(&vector.ciphertext) {
        Ok(message) => message,
        Err(reason) => return Ok(Verdict::Failed(reason)),
    };
    let plaintext = match &vector.expected {
        Expected::Plaintext(path) => read(path),
        Expected::Error => Ok(Vec::new()),
    };
    let verdict = match plaintext {
        Ok(plaintext) => check_message(vector, &message, &manager, &plaintext).await,
        Err(reason) => Verdict::Failed(reason),
    };
    Ok(match (verdict, manager.missing.into_iter().next()) {
        // Whether the missing key would have made the difference, nobody here can tell.
        (Verdict::Failed(_), Some(reason)) => Verdict::Skipped(reason),
        (Verdict::Passed, Some(reason)) if vector.expected == Expected::Error => {
            Verdict::Skipped(reason)
        }
        (verdict, _) => verdict,
    })
}

/// Whether what `vector` says becomes of `message`; `plaintext` counts if it is to open.
pub(super) async fn check_message(
    vector: &DecryptVector,
    message: &[u8],
    manager: &Manager,
    plaintext: &[u8],
) -> Verdict {
    match vector.expected {
        Expected::Plaintext(_) => opens(vector, message, manager, plaintext).await,
        Expected::Error => refuses(vector, message, manager).await,
    }
}

/// Passes if every surface gives `plaintext`.
///
/// Messages of .NET 4.0.0 that break the specification pass if every surface refuses them, and gives
/// `plaintext` when it is told to retry.
async fn opens(
    vector: &DecryptVector,
    message: &[u8],
    manager: &Manager,
    plaintext: &[u8],
) -> Verdict {
    let default = gives(vector, message, manager, &vector.options, plaintext).await;
    let may_retry = vector.writer == Writer::NetV4_0_0 && matches!(default, Verdict::Failed(_));
    if !may_retry || refuses(vector, message, manager).await != Verdict::Passed {
        return default;
    }
    let options = DecryptOptions { net_v4_0_0: NetV4_0_0::Retry, ..vector.options.clone() };
    match gives(vector, message, manager, &options, plaintext).await {
        Verdict::Passed => Verdict::PassedWith(RETRIED),
        verdict => verdict,
    }
}

const RETRIED: &str = "under the retry policy for .NET 4.0.0 alone, refused without it";

/// Passes if every surface gives `plaintext` to a reader with `options`.
async fn gives(
    vector: &DecryptVector,
    message: &[u8],
    manager: &Manager,
    options: &DecryptOptions,
    plaintext: &[u8],
) -> Verdict {
    let cmm = &*manager.cmm;
    let opened = match surfaces::open(message, cmm, options).await {
        Ok(opened) => opened,
        Err(error) => return verdict_of_error(&error),
    };
    if let Some(other) = vector.suite.filter(|suite| *suite != opened.header.suite) {
        return Verdict::Failed(format!(
            "suite {} where {other} was expected",
            opened.header.suite
        ));
    }
    if let Some(key) = vector.missing_pair(&opened.header.encryption_context) {
        return Verdict::Failed(format!("encryption context: not the expected value for {key:?}"));
    }
    let mut problems = Vec::new();
    if opened.plaintext != plaintext {
        problems.push("one-shot: other plaintext".to_owned());
    }
    for outcome in surfaces::read(message, cmm, options, RangeOfSigned::Allowed).await {
        match outcome.bytes {
            Ok(found) if found == plaintext => {}
            Ok(_) => problems.push(format!("{}: other plaintext", outcome.surface)),
            Err(error) => problems.push(format!("{}: {error}", outcome.surface)),
        }
    }
    verdict_of(&problems)
}

/// Passes if no surface opens the message.
async fn refuses(vector: &DecryptVector, message: &[u8], manager: &Manager) -> Verdict {
    let (cmm, options) = (&*manager.cmm, &vector.options);
    let mut problems = Vec::new();
    match surfaces::open(message, cmm, options).await {
        Ok(_) => problems.push("one-shot: opened what must not open".to_owned()),
        // A key that could not be asked for refuses nothing.
        Err(error) if lacks_kms_key(&error) => return verdict_of_error(&error),
        Err(_) => {}
    }
    for outcome in surfaces::read(message, cmm, options, RangeOfSigned::Refused).await {
        if outcome.bytes.is_ok() {
            problems.push(format!("{}: opened what must not open", outcome.surface));
        }
    }
    verdict_of(&problems)
}

fn verdict_of(problems: &[String]) -> Verdict {
    if problems.is_empty() { Verdict::Passed } else { Verdict::Failed(problems.join(", ")) }
}

/// A message fails, unless the KMS that was named does not have its key.
pub(super) fn verdict_of_error(error: &strongroom_sdk::Error) -> Verdict {
    if lacks_kms_key(error) {
        return Verdict::Skipped("a KMS key that the KMS does not have".to_owned());
    }
    Verdict::Failed(error.to_string())
}

fn lacks_kms_key(error: &strongroom_sdk::Error) -> bool {
    error.kms_errors().iter().any(|(_, error)| error.code() == Some("NotFoundException"))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}
