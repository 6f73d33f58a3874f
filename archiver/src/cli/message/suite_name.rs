//! The names of the algorithm suites as the official command line spells them.

use clap::builder::PossibleValue;
use strongroom_sdk::AlgorithmSuite;

/// A suite as the value of an option, and as metadata names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SuiteName(pub(super) AlgorithmSuite);

impl SuiteName {
    /// The suite's name.
    pub(super) const fn as_str(self) -> &'static str {
        self.name_and_digits().0
    }

    /// The name, and the identifier in the digits of the specification.
    const fn name_and_digits(self) -> (&'static str, &'static str) {
        match self.0 {
            AlgorithmSuite::Aes128Gcm => ("AES_128_GCM_IV12_TAG16", "0014"),
            AlgorithmSuite::Aes192Gcm => ("AES_192_GCM_IV12_TAG16", "0046"),
            AlgorithmSuite::Aes256Gcm => ("AES_256_GCM_IV12_TAG16", "0078"),
            AlgorithmSuite::Aes128GcmHkdfSha256 => ("AES_128_GCM_IV12_TAG16_HKDF_SHA256", "0114"),
            AlgorithmSuite::Aes192GcmHkdfSha256 => ("AES_192_GCM_IV12_TAG16_HKDF_SHA256", "0146"),
            AlgorithmSuite::Aes256GcmHkdfSha256 => ("AES_256_GCM_IV12_TAG16_HKDF_SHA256", "0178"),
            AlgorithmSuite::Aes128GcmHkdfSha256EcdsaP256 => {
                ("AES_128_GCM_IV12_TAG16_HKDF_SHA256_ECDSA_P256", "0214")
            }
            AlgorithmSuite::Aes192GcmHkdfSha384EcdsaP384 => {
                ("AES_192_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384", "0346")
            }
            AlgorithmSuite::Aes256GcmHkdfSha384EcdsaP384 => {
                ("AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384", "0378")
            }
            AlgorithmSuite::Aes256GcmHkdfSha512CommitKey => {
                ("AES_256_GCM_HKDF_SHA512_COMMIT_KEY", "0478")
            }
            AlgorithmSuite::Aes256GcmHkdfSha512CommitKeyEcdsaP384 => {
                ("AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384", "0578")
            }
        }
    }
}

impl clap::ValueEnum for SuiteName {
    fn value_variants<'a>() -> &'a [Self] {
        const NAMES: [SuiteName; AlgorithmSuite::ALL.len()] = {
            let mut names = [SuiteName(AlgorithmSuite::ALL[0]); AlgorithmSuite::ALL.len()];
            let mut at = 0;
            while at < names.len() {
                names[at] = SuiteName(AlgorithmSuite::ALL[at]);
                at += 1;
            }
            names
        };
        &NAMES
    }

    /// The name, and the four digits of the specification.
    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, digits) = self.name_and_digits();
        Some(PossibleValue::new(name).alias(digits))
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_suite_is_found_by_name_and_by_digits() {
        for name in SuiteName::value_variants() {
            let digits = format!("{:04x}", name.0.id());
            assert_eq!(SuiteName::from_str(&digits, true), Ok(*name));
            assert_eq!(SuiteName::from_str(name.as_str(), true), Ok(*name));
        }
    }
}
