//! What a test does when a peer is missing: it says so and passes, or fails where peers are required.

use std::io::Write as _;

use crate::PeerError;

/// Set to `1`, it turns a missing peer from a skipped test into a failed one, unless the peer is one that
/// `.ci/peers` installs only when named.
pub const REQUIRE_VARIABLE: &str = "STRONGROOM_REQUIRE_PEERS";

/// Takes the peer out of a `Result`, or leaves the test.
///
/// `require!(result)` returns `()` from the test if the peer is absent; `require!(result => value)`
/// returns `value`, for tests that return a `Result`. Where `STRONGROOM_REQUIRE_PEERS=1`, and
/// whenever the peer is there but does not work, it panics instead.
#[macro_export]
macro_rules! require {
    ($peer:expr) => {
        $crate::require!($peer => ())
    };
    ($peer:expr => $skipped:expr) => {
        match $peer {
            Ok(peer) => peer,
            Err(error) => {
                $crate::require::skip(&error, module_path!());
                return $skipped;
            }
        }
    };
}

/// Writes the one line that tells of a skipped test, past the harness, which would capture it.
///
/// The test is named by its thread, as the harness names it, or else by `module`. Called by
/// [`require!`](crate::require!).
///
/// # Panics
///
/// If the peer is there but broken, or `STRONGROOM_REQUIRE_PEERS=1`.
#[expect(clippy::panic, reason = "this is how a test fails")]
pub fn skip(error: &PeerError, module: &str) {
    let required = std::env::var_os(REQUIRE_VARIABLE).is_some_and(|value| value == "1");
    if (required && !error.is_absence_by_choice()) || !error.is_absence() {
        panic!("{}", with_sources(error));
    }
    let thread = std::thread::current();
    let test = thread.name().filter(|name| *name != "main").unwrap_or(module);
    // A line that cannot be written has no reader who could miss it.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {error}");
}

/// The error and its causes, on one line.
fn with_sources(error: &PeerError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::PeerError;

    #[test]
    fn a_peer_that_is_there_is_handed_over() {
        assert_eq!(crate::require!(Ok::<_, PeerError>(7)), 7);
    }

    #[test]
    #[should_panic(expected = "cannot start /nowhere: not here")]
    fn a_broken_peer_fails_the_test() {
        let source = std::io::Error::other("not here");
        crate::require!(Err::<(), _>(PeerError::Start { program: "/nowhere".into(), source }));
    }
}
