//! Counts the clauses of the specification that the SDK cites.
//!
//! usage: `spec_coverage [--missing] [--from SPECIFICATION]`, in the root of the checkout

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;
use strongroom_spec::SpecError;
use strongroom_spec::citation::{Role, citations_below};
use strongroom_spec::clause::{Table, Worded, clauses_of};
use strongroom_spec::coverage::{Count, Coverage, read_exceptions};

/// The chapters, in the order in which they are counted.
const PARTS: [&str; 3] = ["data-format/", "client-apis/", "framework/"];

/// Counts the clauses of the specification that the SDK cites; fails on a citation of what is no clause.
#[derive(Parser)]
struct Arguments {
    /// A clone of the specification's repository, to make the table of clauses from and to quote from.
    #[arg(long)]
    from: Option<PathBuf>,
    /// List the clauses that are not cited.
    #[arg(long)]
    missing: bool,
    /// The SDK's folder.
    #[arg(long, default_value = "sdk")]
    sdk: PathBuf,
}

fn main() -> ExitCode {
    let mut out = std::io::stdout();
    match run(&Arguments::parse(), &mut out) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(out, "{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments, out: &mut impl Write) -> Result<bool, SpecError> {
    let folder = arguments.sdk.join("specification");
    let file = folder.join("clauses.tsv");
    let worded = match &arguments.from {
        None => Vec::new(),
        Some(specification) => {
            let worded = read_specification(specification)?;
            let clauses = worded.iter().map(|worded| worded.clause.clone()).collect();
            Table { commit: git(specification, &["rev-parse", "HEAD"])?, clauses }.write(&file)?;
            worded
        }
    };
    let table = Table::read(&file)?;
    let citations = citations_below(&arguments.sdk)?;
    let exceptions = read_exceptions(&folder.join("exceptions.tsv"))?;
    let coverage = Coverage::new(&table, &citations, &exceptions);
    let print = |error| SpecError::file("standard output")(error);
    print_counts(&coverage, out).map_err(print)?;
    if arguments.missing {
        print_missing(&coverage, &worded, out).map_err(print)?;
    }
    for citation in &coverage.unknown {
        let (file, line) = (citation.file.display(), citation.line);
        writeln!(out, "{file}:{line}: no clause has these words: {}", citation.clause)
            .map_err(print)?;
    }
    for exception in &coverage.idle {
        writeln!(out, "an exception without use: {}", exception.clause).map_err(print)?;
    }
    Ok(coverage.unknown.is_empty() && coverage.idle.is_empty())
}

fn print_counts(coverage: &Coverage<'_>, out: &mut impl Write) -> std::io::Result<()> {
    for part in PARTS {
        let chapters = coverage.chapters(part);
        for (chapter, count) in &chapters {
            writeln!(out, "{}", line(chapter, *count))?;
        }
        writeln!(out, "{}\n", line(part, chapters.into_iter().map(|(_, count)| count).sum()))?;
    }
    let promised = PARTS[..2].iter().flat_map(|part| coverage.chapters(part));
    let sum: Count = promised.map(|(_, count)| count).sum();
    let unknown = coverage.unknown.len();
    writeln!(out, "S9: {}, {unknown} misquoted", line("data format and client APIs", sum))
}

fn line(name: &str, count: Count) -> String {
    let Count { clauses, in_code, in_tests, excepted } = count;
    format!(
        "{name}: {clauses} clauses, {in_code} cited in code, {in_tests} cited in tests, {excepted} excepted"
    )
}

fn print_missing(
    coverage: &Coverage<'_>,
    worded: &[Worded],
    out: &mut impl Write,
) -> std::io::Result<()> {
    for (role, what) in [(Role::Code, "code"), (Role::Test, "tests")] {
        for clause in coverage.missing(role) {
            let found = worded.iter().find(|worded| worded.clause == *clause);
            let text = found.map_or("", |worded| worded.text.as_str());
            writeln!(out, "not in {what}: {} {} {text}", clause.id, clause.level)?;
        }
    }
    Ok(())
}

/// The clauses of the newest revision in `specification`, chapter by chapter.
fn read_specification(specification: &Path) -> Result<Vec<Worded>, SpecError> {
    let names = git(specification, &["ls-tree", "-r", "--name-only", "HEAD"])?;
    let mut worded = Vec::new();
    for part in PARTS {
        let chapters = names.lines().filter(|name| name.starts_with(part) && name.ends_with(".md"));
        for chapter in chapters.filter(|name| !name.contains("/test-vectors/")) {
            let text = git(specification, &["show", &format!("HEAD:{chapter}")])?;
            worded.extend(clauses_of(chapter, &text));
        }
    }
    Ok(worded)
}

/// What git prints; works in a bare repository too.
fn git(repository: &Path, arguments: &[&str]) -> Result<String, SpecError> {
    let output = Command::new("git").arg("-C").arg(repository).args(arguments).output();
    let output = output.map_err(SpecError::file("git"))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(SpecError::file(repository)(std::io::Error::other(words)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}
