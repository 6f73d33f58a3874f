//! Clauses and citations together: what is cited, what is excepted, what is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::SpecError;
use crate::citation::{Citation, Role};
use crate::clause::{Clause, ClauseId, Table};

/// A clause that nothing here can implement or test, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// The clause.
    pub clause: ClauseId,
    /// Whether code that implements it exists all the same, and only a test cannot.
    pub only_test: bool,
    /// Why.
    pub reason: String,
}

/// Reads the exceptions in `file`: chapter, anchor, hash, `all` or `test`, and the reason, between tabs.
///
/// # Errors
/// [`SpecError::File`], [`SpecError::Table`].
pub fn read_exceptions(file: &Path) -> Result<Vec<Exception>, SpecError> {
    let text = std::fs::read_to_string(file).map_err(SpecError::file(file))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with('#'));
    lines
        .map(|(at, line)| {
            let expected = "chapter, anchor, hash, `all` or `test`, and reason between tabs";
            let wrong = SpecError::Table { path: file.into(), line: at + 1, expected };
            parse_exception(line).ok_or(wrong)
        })
        .collect()
}

fn parse_exception(line: &str) -> Option<Exception> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [chapter, anchor, hash, scope @ ("all" | "test"), reason] = fields[..] else { return None };
    let (chapter, anchor, hash) = (chapter.to_owned(), anchor.to_owned(), hash.to_owned());
    let clause = ClauseId { chapter, anchor, hash };
    (!reason.is_empty()).then(|| Exception {
        clause,
        only_test: scope == "test",
        reason: reason.to_owned(),
    })
}

/// How many clauses there are, and how many of them are cited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Clauses.
    pub clauses: usize,
    /// Of these: cited where they are implemented.
    pub in_code: usize,
    /// Of these: cited where they are tested.
    pub in_tests: usize,
    /// Of these: excepted, wholly or from being tested.
    pub excepted: usize,
}

/// What the citations make of the table.
pub struct Coverage<'a> {
    table: &'a Table,
    code: BTreeSet<&'a ClauseId>,
    tests: BTreeSet<&'a ClauseId>,
    exceptions: BTreeMap<&'a ClauseId, &'a Exception>,
    /// Citations of what is no clause: misquoted, moved, or gone.
    pub unknown: Vec<&'a Citation>,
    /// Exceptions of what is no clause, or is cited after all.
    pub idle: Vec<&'a Exception>,
}

impl<'a> Coverage<'a> {
    /// Holds `citations` and `exceptions` against `table`.
    #[must_use]
    pub fn new(table: &'a Table, citations: &'a [Citation], exceptions: &'a [Exception]) -> Self {
        let known: BTreeSet<&ClauseId> = table.clauses.iter().map(|clause| &clause.id).collect();
        let cited = |role: Role| {
            let of_role = citations.iter().filter(move |citation| citation.role == role);
            of_role.map(|citation| &citation.clause).collect::<BTreeSet<_>>()
        };
        let (code, tests) = (cited(Role::Code), cited(Role::Test));
        let idle = |exception: &&Exception| {
            let id = &exception.clause;
            !known.contains(id) || tests.contains(id) || (!exception.only_test && code.contains(id))
        };
        Self {
            table,
            unknown: citations.iter().filter(|found| !known.contains(&found.clause)).collect(),
            idle: exceptions.iter().filter(idle).collect(),
            exceptions: exceptions.iter().map(|found| (&found.clause, found)).collect(),
            code,
            tests,
        }
    }

    /// The counts of each chapter whose name begins with `prefix`, in the order of the table.
    #[must_use]
    pub fn chapters(&self, prefix: &str) -> Vec<(&'a str, Count)> {
        let mut counts: Vec<(&str, Count)> = Vec::new();
        for clause in self.table.clauses.iter().filter(|c| c.id.chapter.starts_with(prefix)) {
            let chapter = clause.id.chapter.as_str();
            if counts.last().is_none_or(|(last, _)| *last != chapter) {
                counts.push((chapter, Count::default()));
            }
            if let Some((_, count)) = counts.last_mut() {
                self.count(clause, count);
            }
        }
        counts
    }

    /// The clauses that are not cited in code, and those that are not cited in tests, without the excepted.
    #[must_use]
    pub fn missing(&self, role: Role) -> Vec<&'a Clause> {
        let cited = match role {
            Role::Code => &self.code,
            Role::Test => &self.tests,
        };
        let excepted = |clause: &Clause| {
            let found = self.exceptions.get(&clause.id);
            found.is_some_and(|exception| role == Role::Test || !exception.only_test)
        };
        let clauses = self.table.clauses.iter();
        clauses.filter(|clause| !cited.contains(&clause.id) && !excepted(clause)).collect()
    }

    fn count(&self, clause: &Clause, count: &mut Count) {
        count.clauses += 1;
        count.in_code += usize::from(self.code.contains(&clause.id));
        count.in_tests += usize::from(self.tests.contains(&clause.id));
        count.excepted += usize::from(self.exceptions.contains_key(&clause.id));
    }
}

/// The sum of several counts.
impl std::iter::Sum for Count {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |a, b| Self {
            clauses: a.clauses + b.clauses,
            in_code: a.in_code + b.in_code,
            in_tests: a.in_tests + b.in_tests,
            excepted: a.excepted + b.excepted,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clause::Level;

    fn id(text: &str) -> ClauseId {
        ClauseId::new("c.md", "a", text)
    }

    fn citation(text: &str, role: Role) -> Citation {
        Citation { clause: id(text), role, file: "f.rs".into(), line: 1 }
    }

    #[test]
    fn citations_exceptions_and_what_is_neither_are_told_apart() {
        let clauses =
            ["one", "two", "three"].map(|text| Clause { id: id(text), level: Level::Must });
        let table = Table { commit: "x".into(), clauses: clauses.to_vec() };
        let citations =
            [citation("one", Role::Code), citation("one", Role::Test), citation("on", Role::Code)];
        let except =
            |text, only_test| Exception { clause: id(text), only_test, reason: "r".into() };
        let exceptions = [except("two", false), except("one", true), except("gone", false)];
        let coverage = Coverage::new(&table, &citations, &exceptions);
        assert_eq!(coverage.unknown, [&citations[2]]);
        assert_eq!(coverage.idle, [&exceptions[1], &exceptions[2]]);
        assert_eq!(coverage.missing(Role::Code), [&table.clauses[2]]);
        assert_eq!(coverage.missing(Role::Test), [&table.clauses[2]]);
        let expected = Count { clauses: 3, in_code: 1, in_tests: 1, excepted: 2 };
        assert_eq!(coverage.chapters("c"), [("c.md", expected)]);
    }
}
