//! The citations in source code.

use std::path::{Path, PathBuf};

use crate::SpecError;
use crate::clause::ClauseId;

/// What a citation says of the code below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// That it implements the clause.
    Code,
    /// That it tests it.
    Test,
}

/// One citation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Citation {
    /// The clause that it quotes, whether there is one or not.
    pub clause: ClauseId,
    /// What it says of the code below it.
    pub role: Role,
    /// The file.
    pub file: PathBuf,
    /// Its first line, from 1.
    pub line: usize,
}

/// The citations in every Rust file below `folder`, in the order of their names.
///
/// # Errors
/// [`SpecError::File`].
pub fn citations_below(folder: &Path) -> Result<Vec<Citation>, SpecError> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder).map_err(SpecError::file(folder))?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(SpecError::file(folder))?;
    paths.sort();
    for path in paths {
        if path.is_dir() && !path.ends_with("target") {
            found.extend(citations_below(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).map_err(SpecError::file(&path))?;
            found.extend(citations_in(&text, &path));
        }
    }
    Ok(found)
}

/// The citations in `text`, the contents of `file`.
fn citations_in(text: &str, file: &Path) -> Vec<Citation> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let starts = (0..lines.len()).filter_map(|at| {
        let place = lines[at].strip_prefix("//= ")?;
        place.split_once('#').map(|(chapter, anchor)| (at, chapter, anchor))
    });
    starts
        .map(|(at, chapter, anchor)| {
            let below = &lines[at + 1..];
            let is_test = below.first() == Some(&"//= type=test");
            let quoted = &below[usize::from(is_test)..];
            let words: Vec<&str> =
                quoted.iter().map_while(|line| line.strip_prefix("//#")).collect();
            Citation {
                clause: ClauseId::new(chapter, anchor, &words.join(" ")),
                role: if is_test { Role::Test } else { Role::Code },
                file: file.to_owned(),
                line: at + 1,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn citations_are_read_with_their_role_and_all_of_their_lines() {
        let text = "fn a() {\n    //= c.md#x\n    //# It MUST\n    //# be.\n    b();\n}\n\
                    //= c.md#y\n//= type=test\n//# It MAY.\n#[test]\n";
        let found = citations_in(text, Path::new("f.rs"));
        let expected = [
            (ClauseId::new("c.md", "x", "It MUST be."), Role::Code, 2),
            (ClauseId::new("c.md", "y", "It MAY."), Role::Test, 7),
        ];
        let found: Vec<_> = found.into_iter().map(|c| (c.clause, c.role, c.line)).collect();
        assert_eq!(found, expected);
    }
}
