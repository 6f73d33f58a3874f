//! Clauses: sentences that demand, recommend or permit; and the table that knows them by their hash.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::SpecError;
use crate::markdown::{plain, sentences};

/// Bytes of SHA-256 that name a clause: more than enough to tell some thousand apart.
const HASH_BYTES: usize = 6;
/// The section in which chapters explain the key words themselves.
const ABOUT_KEY_WORDS: &str = "conventions-used-in-this-document";

/// How binding a clause is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// MUST, MUST NOT, SHALL, SHALL NOT.
    Must,
    /// SHOULD, SHOULD NOT.
    Should,
    /// MAY.
    May,
}

impl Level {
    /// The level of a sentence: of its strongest key word.
    #[must_use]
    pub fn of(sentence: &str) -> Option<Self> {
        let has = |word: &str| sentence.split(|c: char| !c.is_alphabetic()).any(|w| w == word);
        match () {
            () if has("MUST") || has("SHALL") => Some(Self::Must),
            () if has("SHOULD") => Some(Self::Should),
            () if has("MAY") => Some(Self::May),
            () => None,
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Must, Self::Should, Self::May].into_iter().find(|level| level.to_string() == name)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::May => "MAY",
        })
    }
}

/// Where a clause stands, and which it is there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClauseId {
    /// The chapter, e.g. `data-format/message-header.md`.
    pub chapter: String,
    /// The anchor of its heading.
    pub anchor: String,
    /// The hash of its words.
    pub hash: String,
}

impl ClauseId {
    /// The clause `text` under `anchor` of `chapter`.
    #[must_use]
    pub fn new(chapter: &str, anchor: &str, text: &str) -> Self {
        let hash = hex::encode(&Sha256::digest(plain(text))[..HASH_BYTES]);
        Self { chapter: chapter.to_owned(), anchor: anchor.to_owned(), hash }
    }
}

impl fmt::Display for ClauseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{} {}", self.chapter, self.anchor, self.hash)
    }
}

/// A clause as the table has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// Which one.
    pub id: ClauseId,
    /// How binding it is.
    pub level: Level,
}

/// A clause with its words, which only a copy of the specification has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worded {
    /// The clause.
    pub clause: Clause,
    /// Its words, without marks of Markdown.
    pub text: String,
}

/// The clauses of `chapter`, whose text is `markdown`; one that is repeated under its heading counts once.
#[must_use]
pub fn clauses_of(chapter: &str, markdown: &str) -> Vec<Worded> {
    let mut seen = BTreeSet::new();
    sentences(markdown)
        .into_iter()
        .filter(|sentence| sentence.anchor != ABOUT_KEY_WORDS)
        .filter_map(|sentence| {
            let id = ClauseId::new(chapter, &sentence.anchor, &sentence.text);
            let level = Level::of(&sentence.text)?;
            let new = seen.insert(id.clone());
            new.then_some(Worded { clause: Clause { id, level }, text: sentence.text })
        })
        .collect()
}

/// The clauses of one revision of the specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The revision, as a commit of the specification's repository.
    pub commit: String,
    /// The clauses, chapter by chapter, in their order.
    pub clauses: Vec<Clause>,
}

impl Table {
    /// Reads the table in `file`.
    ///
    /// # Errors
    /// [`SpecError::File`], [`SpecError::Table`].
    pub fn read(file: &Path) -> Result<Self, SpecError> {
        let text = std::fs::read_to_string(file).map_err(SpecError::file(file))?;
        let wrong = |line: usize, expected| SpecError::Table { path: file.into(), line, expected };
        let mut lines = text.lines();
        let commit = lines.next().and_then(|line| line.strip_prefix("# commit "));
        let commit = commit.ok_or(wrong(1, "`# commit` and the revision"))?.to_owned();
        let clauses = lines.enumerate().map(|(at, line)| {
            parse_clause(line).ok_or(wrong(at + 2, "chapter, anchor, level and hash between tabs"))
        });
        Ok(Self { commit, clauses: clauses.collect::<Result<_, _>>()? })
    }

    /// Writes the table to `file`.
    ///
    /// # Errors
    /// [`SpecError::File`].
    pub fn write(&self, file: &Path) -> Result<(), SpecError> {
        let mut text = format!("# commit {}\n", self.commit);
        for Clause { id: ClauseId { chapter, anchor, hash }, level } in &self.clauses {
            text.push_str(&format!("{chapter}\t{anchor}\t{level}\t{hash}\n"));
        }
        std::fs::write(file, text).map_err(SpecError::file(file))
    }
}

fn parse_clause(line: &str) -> Option<Clause> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [chapter, anchor, level, hash] = fields[..] else { return None };
    let level = Level::from_name(level)?;
    let (chapter, anchor, hash) = (chapter.to_owned(), anchor.to_owned(), hash.to_owned());
    Some(Clause { id: ClauseId { chapter, anchor, hash }, level })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_key_word_makes_the_level() {
        assert_eq!(Level::of("It MAY be, but then it MUST NOT."), Some(Level::Must));
        assert_eq!(Level::of("It SHOULD."), Some(Level::Should));
        assert_eq!(Level::of("It may, and MAYBE must."), None);
    }

    #[test]
    fn a_clause_is_known_by_its_words_alone() {
        let markdown = "## A\n\nThe `x` MUST be\n[one](y.md). The `x` MUST be one. Not this.\n";
        let found = clauses_of("c.md", markdown);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].clause.id, ClauseId::new("c.md", "a", "The x  MUST be one."));
        assert_ne!(found[0].clause.id, ClauseId::new("c.md", "a", "The x MUST be two."));
    }
}
