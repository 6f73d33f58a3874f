//! Answers as late as a KMS over a network gives them, for programs that are to be tried under it.

use std::time::Duration;

/// How long answers take beyond what the work takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Latency {
    /// No longer.
    #[default]
    None,
    /// About as long as within one Region: milliseconds, more for RSA and for changes.
    Realistic,
}

impl Latency {
    /// The pause before the answer of an operation. `random` spreads it: most answers are near the
    /// typical, few are several times as late.
    pub(super) fn pause(self, operation: &str, random: u8) -> Duration {
        match self {
            Self::None => Duration::ZERO,
            Self::Realistic => {
                let tail: u64 = match random {
                    0..=230 => 0,
                    231..=252 => 2,
                    _ => 8,
                };
                let typical = typical_millis(operation);
                let spread = u64::from(random % 16).saturating_mul(typical) / 32;
                let millis =
                    typical.saturating_add(spread).saturating_add(typical.saturating_mul(tail));
                Duration::from_millis(millis)
            }
        }
    }
}

/// Milliseconds of a typical answer.
fn typical_millis(operation: &str) -> u64 {
    match operation {
        "Sign" | "GenerateDataKeyPair" | "GenerateDataKeyPairWithoutPlaintext" => 40,
        "Decrypt" | "Encrypt" | "ReEncrypt" | "Verify" => 6,
        _ if operation.starts_with("Generate") => 6,
        _ if ["Describe", "Get", "List"].iter().any(|verb| operation.starts_with(verb)) => 10,
        _ => 30,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_bounded_and_spread() {
        let pauses = || (0..=u8::MAX).map(|random| Latency::Realistic.pause("Decrypt", random));
        assert!(pauses().all(|pause| pause >= Duration::from_millis(6)));
        assert!(pauses().all(|pause| pause <= Duration::from_millis(60)));
        assert!(pauses().filter(|pause| *pause < Duration::from_millis(10)).count() > 200);
        assert_eq!(Latency::None.pause("Decrypt", 255), Duration::ZERO);
    }
}
