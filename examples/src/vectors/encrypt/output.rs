//! The folder in which readers find messages: manifest, keys, plaintexts and ciphertexts.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::plaintexts::{Plaintexts, file_name};
use super::vector::EncryptVector;
use crate::vectors::error::{Error, Result};

const CIPHERTEXTS: &str = "ciphertexts";
const PLAINTEXTS: &str = "plaintexts";

/// A folder that fills with messages.
pub(crate) struct Output {
    folder: PathBuf,
    tests: Map<String, Value>,
}

impl Output {
    /// The folder `path`, made if it is not there, with the plaintexts and the keys in it.
    pub(crate) fn create(path: &Path, plaintexts: &Plaintexts, keys: &Value) -> Result<Self> {
        let output = Self { folder: path.to_owned(), tests: Map::new() };
        for folder in [CIPHERTEXTS, PLAINTEXTS] {
            let path = output.folder.join(folder);
            fs::create_dir_all(&path).map_err(|source| Error::Write { path, source })?;
        }
        output.write("keys.json", &pretty(keys))?;
        for (name, bytes) in plaintexts.iter() {
            output.write(&format!("{PLAINTEXTS}/{}", name.file_name()), bytes)?;
        }
        Ok(output)
    }

    /// The test of `vector` for readers.
    pub(crate) fn test_of(&self, vector: &EncryptVector) -> Value {
        let ciphertext = format!("file://{CIPHERTEXTS}/{}", file_name(&vector.name));
        let plaintext = format!("file://{PLAINTEXTS}/{}", vector.plaintext.file_name());
        vector.test_of(&ciphertext, &plaintext)
    }

    /// Adds the message of `vector`.
    pub(crate) fn add(&mut self, vector: &EncryptVector, message: &[u8]) -> Result<()> {
        self.write(&format!("{CIPHERTEXTS}/{}", file_name(&vector.name)), message)?;
        let test = self.test_of(vector);
        self.tests.insert(vector.name.clone(), test);
        Ok(())
    }

    /// Writes the manifest, last: readers find nothing before all is there.
    pub(crate) fn finish(self, version: u64) -> Result<()> {
        let manifest = json!({
            "manifest": { "type": "awses-decrypt", "version": version },
            "client": { "name": "strongroom", "version": env!("CARGO_PKG_VERSION") },
            "keys": "file://keys.json",
            "tests": &self.tests,
        });
        self.write("manifest.json", &pretty(&manifest))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder.join(name);
        fs::write(&path, bytes).map_err(|source| Error::Write { path, source })
    }
}

fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}
