//! What became of the vectors of a manifest.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;

use super::error::{Error, Result};

/// What became of one vector.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Passed,
    /// Passed in a way that is worth counting.
    PassedWith(&'static str),
    Failed(String),
    /// Could not be tried.
    Skipped(String),
}

/// How many vectors passed, failed and were skipped, and why the last were.
///
/// Its text is one line with the three numbers, and one more for each reason.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Report {
    passed: usize,
    failed: usize,
    skipped: BTreeMap<String, usize>,
    remarks: BTreeMap<&'static str, usize>,
}

impl Report {
    /// Vectors that came out as the manifest says, through every surface.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.passed
    }

    /// Vectors that did not.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.failed
    }

    /// How many vectors could not be tried, by reason.
    #[must_use]
    pub fn skipped(&self) -> &BTreeMap<String, usize> {
        &self.skipped
    }

    /// Counts one verdict; of a failure, prints a line to `out`.
    pub(super) fn add(&mut self, name: &str, verdict: Verdict, out: &mut dyn Write) -> Result<()> {
        match verdict {
            Verdict::Passed => self.passed += 1,
            Verdict::PassedWith(remark) => {
                self.passed += 1;
                *self.remarks.entry(remark).or_default() += 1;
            }
            Verdict::Skipped(reason) => *self.skipped.entry(reason).or_default() += 1,
            Verdict::Failed(reason) => {
                self.failed += 1;
                let reason = reason.replace('\n', " ");
                writeln!(out, "FAILED {name}: {reason}").map_err(Error::Print)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skipped: usize = self.skipped.values().sum();
        write!(f, "{} passed, {} failed, {skipped} skipped", self.passed, self.failed)?;
        for (remark, count) in &self.remarks {
            write!(f, "\n    {count} passed {remark}")?;
        }
        for (reason, count) in &self.skipped {
            write!(f, "\n    {count} skipped: {reason}")?;
        }
        Ok(())
    }
}
