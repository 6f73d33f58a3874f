//! Patterns that choose paths of a tree.
//!
//! The patterns are those of `gitignore(5)`, which people know: without a slash a pattern matches
//! a name anywhere, with one it is anchored at the tree's root, a trailing slash matches
//! directories only, `**` crosses directories, and `!` takes back what an earlier pattern chose.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::entry::EntryPath;

/// Most patterns of one set.
pub const PATTERNS_MAX: usize = 10_000;

/// A compiled set of patterns.
#[derive(Clone, Debug)]
pub struct Patterns {
    matcher: Gitignore,
}

/// A pattern that is not one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// The pattern's text breaks the rules of `gitignore(5)`.
    #[error("the pattern \"{pattern}\" is malformed")]
    Malformed {
        /// The pattern as it was given.
        pattern: String,
        /// What is wrong with it.
        #[source]
        source: ignore::Error,
    },
    /// More patterns than [`PATTERNS_MAX`].
    #[error("{count} patterns are more than the {PATTERNS_MAX} that one run takes")]
    TooMany {
        /// How many were given.
        count: usize,
    },
    /// Patterns that are each well-formed but cannot be compiled together.
    #[error("the patterns cannot be compiled together")]
    Set {
        /// What the compiler says.
        #[source]
        source: ignore::Error,
    },
}

impl Patterns {
    /// Compiles `patterns`, later ones overruling earlier ones.
    ///
    /// # Errors
    /// [`PatternError`], naming the pattern at fault.
    pub fn new<S: AsRef<str>>(patterns: &[S]) -> Result<Self, PatternError> {
        Self::with_case(patterns, false)
    }

    /// As [`Self::new`]; with `ignore_case`, letters match in either case.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_case<S: AsRef<str>>(
        patterns: &[S],
        ignore_case: bool,
    ) -> Result<Self, PatternError> {
        if patterns.len() > PATTERNS_MAX {
            return Err(PatternError::TooMany { count: patterns.len() });
        }
        let mut builder = GitignoreBuilder::new("");
        builder.case_insensitive(ignore_case).map_err(|source| PatternError::Set { source })?;
        for pattern in patterns.iter().map(AsRef::as_ref) {
            builder.add_line(None, pattern).map_err(|source| PatternError::Malformed {
                pattern: pattern.to_owned(),
                source,
            })?;
        }
        let matcher = builder.build().map_err(|source| PatternError::Set { source })?;
        Ok(Self { matcher })
    }

    /// Whether there is no pattern at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.matcher.is_empty()
    }

    /// Whether the patterns choose `path` itself; directories above it are not looked at.
    #[must_use]
    pub fn choose(&self, path: &EntryPath, is_directory: bool) -> bool {
        !path.as_bytes().is_empty() && self.matcher.matched(os_path(path), is_directory).is_ignore()
    }

    /// Whether the patterns choose `path` or any directory above it.
    #[must_use]
    pub fn choose_below(&self, path: &EntryPath, is_directory: bool) -> bool {
        let mut chosen = self.choose(path, is_directory);
        let mut above = path.clone();
        while !chosen && !above.parent().is_empty() {
            let Some(parent) = EntryPath::from_bytes(above.parent().to_vec()) else { break };
            chosen = self.choose(&parent, true);
            above = parent;
        }
        chosen
    }
}

fn os_path(path: &EntryPath) -> &Path {
    Path::new(OsStr::from_bytes(path.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> EntryPath {
        EntryPath::from_bytes(text.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn patterns_are_those_of_gitignore() {
        let patterns =
            Patterns::new(&["*.o", "/target", "cache/", "doc/**/*.tmp", "!keep.o"]).unwrap();
        for chosen in ["a.o", "deep/down/b.o", "target", "doc/a/b/c.tmp"] {
            assert!(patterns.choose(&path(chosen), false), "{chosen}");
        }
        for left in ["a.c", "sub/target", "x/keep.o", "cache", "other/a.tmp"] {
            assert!(!patterns.choose(&path(left), false), "{left}");
        }
        assert!(patterns.choose(&path("x/cache"), true));
        assert!(!patterns.choose(&EntryPath::root(), true));
    }

    #[test]
    fn what_stands_below_a_chosen_directory_is_chosen_with_it() {
        let patterns = Patterns::new(&["/a/b"]).unwrap();
        assert!(patterns.choose_below(&path("a/b/c/d"), false));
        assert!(!patterns.choose_below(&path("a/c"), false));
    }

    #[test]
    fn a_malformed_pattern_is_named() {
        let error = Patterns::new(&["fine", "a{b"]).unwrap_err();
        assert!(error.to_string().contains("a{b"), "{error}");
    }

    #[test]
    fn the_number_of_patterns_is_limited() {
        assert!(Patterns::new(&vec!["a"; PATTERNS_MAX]).is_ok());
        let more = Patterns::new(&vec!["a"; PATTERNS_MAX + 1]);
        assert!(matches!(more, Err(PatternError::TooMany { count }) if count == PATTERNS_MAX + 1));
    }
}
