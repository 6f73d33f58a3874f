//! What manifests of every type have in common: a head, a list of tests, and references to files.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::error::{Error, Result};
use super::json::Object;

/// The newest version of the manifests for messages.
pub(super) const MANIFEST_VERSION_MAX: u64 = 5;
/// Names that a manifest has in its folder, for callers who name the folder.
const FILE_NAMES: [&str; 4] =
    ["manifest.json", "decrypt-manifest.json", "decrypt_message.json", "encrypt-manifest.json"];

/// A manifest of tests, as it is in its file.
pub(super) struct Manifest {
    path: PathBuf,
    value: Value,
}

impl Manifest {
    /// The manifest in `path`, or in the folder `path`.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let in_folder = FILE_NAMES.iter().map(|name| path.join(name)).find(|file| file.is_file());
        let path = in_folder.unwrap_or_else(|| path.to_owned());
        Ok(Self { value: read_json(&path)?, path })
    }

    /// No manifest: references to files mean nothing.
    pub(super) fn nowhere() -> Self {
        Self { path: PathBuf::new(), value: Value::Null }
    }

    /// The whole of it, and its version, if it is of one of the types `expected`.
    pub(super) fn open(&self, expected: &'static str) -> Result<(Object<'_>, u64)> {
        let root = Object::of_file(&self.value, &self.path)?;
        let head = root.required_object("manifest")?;
        let found = head.required_text("type")?;
        let path = self.path.clone();
        if !expected.split(" or ").any(|kind| kind == found) {
            return Err(Error::Type { path, found: found.to_owned(), expected });
        }
        match head.number("version")?.ok_or_else(|| head.error("version", "is missing"))? {
            found @ 1..=MANIFEST_VERSION_MAX => Ok((root, found)),
            found => Err(Error::Version { path, found, newest: MANIFEST_VERSION_MAX }),
        }
    }

    /// The file of the keys: the one that the caller names, or the one that the manifest does.
    pub(super) fn keys_file(&self, given: Option<&Path>, root: &Object<'_>) -> Result<PathBuf> {
        match given {
            Some(path) => Ok(path.to_owned()),
            None => Ok(self.file(root.text("keys")?.unwrap_or("keys.json"))),
        }
    }

    /// The file that `reference` means: a `file://` URI or a path, relative to the manifest's folder.
    pub(super) fn file(&self, reference: &str) -> PathBuf {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let path = reference.strip_prefix("file:").unwrap_or(reference);
        folder.join(path.strip_prefix("//").unwrap_or(path))
    }
}

/// The tests of a manifest, in its order.
pub(super) fn tests<'a>(root: &Object<'a>) -> Result<Vec<(&'a str, Object<'a>)>> {
    let tests = root.required_object("tests")?;
    let test = |(name, value): (&'a String, &'a Value)| {
        Ok((name.as_str(), Object::of(value, tests.place(), name)?))
    };
    tests.iter().map(test).collect()
}

pub(super) fn read_json(path: &Path) -> Result<Value> {
    let bytes =
        std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    serde_json::from_slice(&bytes).map_err(|source| Error::Json { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_relative_to_the_manifest() {
        let manifest =
            Manifest { path: PathBuf::from("/vectors/manifest.json"), value: Value::Null };
        for (reference, file) in [
            ("file://ciphertexts/1", "/vectors/ciphertexts/1"),
            ("file:///elsewhere/1", "/elsewhere/1"),
            ("file:ciphertexts/1", "/vectors/ciphertexts/1"),
            ("ciphertexts/1", "/vectors/ciphertexts/1"),
            ("/elsewhere/1", "/elsewhere/1"),
        ] {
            assert_eq!(manifest.file(reference), Path::new(file), "{reference}");
        }
    }
}
