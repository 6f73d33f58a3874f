//! Material that a device finds by its label, which is the ARN of the key.

use aws_lc_rs::digest;

use super::KeyStoreError;
use crate::records::{Material, MaterialId};

/// The material with that label. `made` tells what the device made now from anything else that had, or will
/// have, the same label.
pub(super) fn material(label: &str, made: &[u8]) -> Material {
    let mut input = label.as_bytes().to_vec();
    input.extend_from_slice(made);
    let digest = digest::digest(&digest::SHA256, &input);
    let mut id = [0; 32];
    for (to, from) in id.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    Material::made(MaterialId(id), label.as_bytes())
}

/// The label of a material.
pub(super) fn of(material: &Material) -> Result<&str, KeyStoreError> {
    std::str::from_utf8(&material.reference).map_err(|_| KeyStoreError::MaterialMissing)
}
