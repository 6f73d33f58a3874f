//! What is encrypted: plaintexts of the sizes that a manifest names, made at random.

use std::collections::BTreeMap;
use std::path::PathBuf;

use strongroom_sdk::crypto::default_provider;

use crate::vectors::error::{Error, Result};
use crate::vectors::json::Object;
use crate::vectors::manifest::Manifest;

/// The most bytes that are made for one plaintext.
const PLAINTEXT_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// The size of `small` where a manifest names it and gives no sizes.
const SMALL_BYTES: u64 = 10_240;

/// The name of a plaintext in its manifest, which can be the name of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PlaintextName(String);

impl PlaintextName {
    /// The name in the field `plaintext`.
    pub(crate) fn parse(fields: &Object<'_>) -> Result<Self> {
        Ok(Self(fields.required_text("plaintext")?.to_owned()))
    }

    /// The name, as that of a file.
    pub(crate) fn file_name(&self) -> String {
        file_name(&self.0)
    }
}

/// Every plaintext of a manifest, by its name.
pub(crate) struct Plaintexts(BTreeMap<PlaintextName, Vec<u8>>);

impl Plaintexts {
    /// Makes the plaintexts that `names` name in the manifest `root`, or reads those that are files.
    pub(crate) fn make<'a>(
        names: impl Iterator<Item = &'a PlaintextName>,
        root: &Object<'_>,
        manifest: &Manifest,
    ) -> Result<Self> {
        let sizes = root.object("plaintexts")?;
        let mut all = BTreeMap::new();
        for name in names {
            if !all.contains_key(name) {
                all.insert(name.clone(), make(name, root, sizes.as_ref(), manifest)?);
            }
        }
        Ok(Self(all))
    }

    /// The plaintext `name`.
    pub(crate) fn get(&self, name: &PlaintextName) -> &[u8] {
        self.0.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&PlaintextName, &[u8])> {
        self.0.iter().map(|(name, bytes)| (name, bytes.as_slice()))
    }
}

fn make(
    name: &PlaintextName,
    root: &Object<'_>,
    sizes: Option<&Object<'_>>,
    manifest: &Manifest,
) -> Result<Vec<u8>> {
    let size = sizes.map(|sizes| sizes.number(&name.0)).transpose();
    match size {
        Ok(Some(Some(bytes))) => random(bytes, root),
        Ok(None) if name.0 == "small" => random(SMALL_BYTES, root),
        // Not a size: where the plaintext is.
        _ => {
            let reference = sizes.and_then(|sizes| sizes.text(&name.0).ok().flatten());
            let path: PathBuf = manifest.file(reference.unwrap_or(&name.0));
            std::fs::read(&path).map_err(|source| Error::Read { path, source })
        }
    }
}

fn random(bytes: u64, root: &Object<'_>) -> Result<Vec<u8>> {
    const NAME: &str = "plaintexts";
    if bytes > PLAINTEXT_BYTES_MAX {
        return Err(root.error(NAME, "must be of at most 256 MiB"));
    }
    let length = usize::try_from(bytes).unwrap_or_default();
    let mut plaintext = vec![0; length];
    let filled = default_provider().fill_random(&mut plaintext);
    filled.map_err(|_| root.error(NAME, "cannot be made: the system gives no random bytes"))?;
    Ok(plaintext)
}

/// A file name made of `name`: whatever could lead out of a folder becomes an underscore.
pub(crate) fn file_name(name: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ' | '+' | '=');
    let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    if plain.chars().all(|c| c == '.') { format!("_{plain}") } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_its_folder() {
        for (name, file) in [
            ("0478-ec_len_2", "0478-ec_len_2"),
            ("../keys.json", ".._keys.json"),
            ("/etc/passwd", "_etc_passwd"),
            ("..", "_.."),
            ("", "_"),
        ] {
            assert_eq!(file_name(name), file);
        }
    }
}
