//! `--caching NAME=VALUE…`: data keys that are used for more than one message.

use std::sync::Arc;
use std::time::Duration;

use strongroom_sdk::clock::SystemClock;
use strongroom_sdk::cmm::{CachingCmm, CachingLimits, MaterialsCache, MaterialsManager};

use super::pairs::{self, NotAPair};

/// How far a data key may go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Caching {
    /// Most data keys that are kept.
    capacity: usize,
    limits: CachingLimits,
}

/// Why caching options cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CachingError {
    /// Not of the form that all have.
    #[error("--caching: {0}")]
    Pair(#[from] NotAPair),
    /// A name that must be there is not.
    #[error("--caching needs {0}=…")]
    Missing(&'static str),
    /// A name that nobody knows, or one twice.
    #[error("--caching takes no \"{0}\", or only once")]
    Unknown(String),
    /// A value that is no number, or none that its name takes.
    #[error("--caching: \"{0}\" is no number for {1}")]
    Number(String, &'static str),
}

impl Caching {
    /// From `capacity=` and `max_age=` (in seconds), and perhaps `max_messages_encrypted=` and
    /// `max_bytes_encrypted=`.
    pub(super) fn parse(arguments: &[String]) -> Result<Option<Self>, CachingError> {
        if arguments.is_empty() {
            return Ok(None);
        }
        let mut pairs = arguments
            .iter()
            .map(|argument| pairs::parse(argument))
            .collect::<Result<Vec<_>, _>>()?;
        let mut take = |name: &'static str| {
            let at = pairs.iter().position(|(found, _)| *found == name)?;
            Some(pairs.remove(at).1)
        };
        let capacity = take("capacity").ok_or(CachingError::Missing("capacity"))?;
        let age = take("max_age").ok_or(CachingError::Missing("max_age"))?;
        let mut limits = CachingLimits::of_age(seconds(age)?);
        if let Some(text) = take("max_messages_encrypted") {
            limits.messages_max = number(text, "max_messages_encrypted")?;
        }
        if let Some(text) = take("max_bytes_encrypted") {
            limits.bytes_max = number(text, "max_bytes_encrypted")?;
        }
        match pairs.first() {
            Some((name, _)) => Err(CachingError::Unknown((*name).to_owned())),
            None => Ok(Some(Self { capacity: number(capacity, "capacity")?, limits })),
        }
    }

    /// A manager that asks `underlying` only for what it does not have.
    pub(super) fn over(
        &self,
        underlying: Arc<dyn MaterialsManager>,
    ) -> strongroom_sdk::Result<CachingCmm> {
        let cache = MaterialsCache::new(self.capacity, Arc::new(SystemClock::default()))?;
        CachingCmm::new(underlying, Arc::new(cache), self.limits)
    }
}

fn number<N: std::str::FromStr>(text: &str, name: &'static str) -> Result<N, CachingError> {
    text.parse().map_err(|_| CachingError::Number(text.to_owned(), name))
}

/// A positive number of seconds, perhaps with a fraction.
fn seconds(text: &str) -> Result<Duration, CachingError> {
    let seconds: f64 = number(text, "max_age")?;
    let duration = Duration::try_from_secs_f64(seconds).ok().filter(|age| !age.is_zero());
    duration.ok_or_else(|| CachingError::Number(text.to_owned(), "max_age"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Option<Caching>, CachingError> {
        let arguments: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        Caching::parse(&arguments)
    }

    #[test]
    fn capacity_and_age_are_needed_and_the_others_have_their_most() {
        assert_eq!(parse(""), Ok(None));
        let caching = parse("max_age=1.5 capacity=10").unwrap().unwrap();
        let limits = CachingLimits::of_age(Duration::from_millis(1500));
        assert_eq!(caching, Caching { capacity: 10, limits });
        let more = "capacity=1 max_age=60 max_messages_encrypted=7 max_bytes_encrypted=8";
        let limits = parse(more).unwrap().unwrap().limits;
        assert_eq!((limits.messages_max, limits.bytes_max), (7, 8));
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (text, part) in [
            ("capacity=1", "max_age"),
            ("max_age=1", "capacity"),
            ("capacity=1 max_age=0", "max_age"),
            ("capacity=1 max_age=nan", "max_age"),
            ("capacity=-1 max_age=1", "-1"),
            ("capacity=1 max_age=1 size=2", "size"),
            ("capacity=1 capacity=2 max_age=1", "capacity"),
            ("capacity", "NAME=VALUE"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
