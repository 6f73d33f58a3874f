//! Arguments from files: `@FILE` among the arguments stands for the arguments that FILE holds.
//!
//! As in the official command line, each line is split like a shell would, `#` begins a comment, a
//! leading `~` and `$NAME` are expanded, and a file may name further files.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Most argument files in one command, nested ones counted; what ends files that name each other.
const ARGUMENT_FILES_MAX: usize = 64;

/// Longest argument file, in bytes.
const ARGUMENT_FILE_BYTES_MAX: u64 = 1 << 20;

/// Why the arguments of a file cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ArgumentFileError {
    /// It cannot be read.
    #[error("cannot read the argument file {}: {source}", .path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is longer than any that a person writes.
    #[error("the argument file {} has more than {ARGUMENT_FILE_BYTES_MAX} bytes", .path.display())]
    TooLong {
        /// Which one.
        path: PathBuf,
    },
    /// A quotation mark without its partner.
    #[error("{}:{line}: a quotation mark is not closed", .path.display())]
    Quotation {
        /// In which file.
        path: PathBuf,
        /// In which line, from 1.
        line: usize,
    },
    /// Too many of them, or some that name each other.
    #[error("there are more than {ARGUMENT_FILES_MAX} argument files; do they name each other?")]
    TooMany,
}

/// `arguments` with every `@FILE` replaced by what FILE holds.
pub(in crate::cli) fn expand(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Vec<OsString>, ArgumentFileError> {
    let mut expansion = Expansion { files: 0, arguments: Vec::new() };
    arguments.into_iter().try_for_each(|argument| expansion.push(argument))?;
    Ok(expansion.arguments)
}

struct Expansion {
    files: usize,
    arguments: Vec<OsString>,
}

impl Expansion {
    fn push(&mut self, argument: OsString) -> Result<(), ArgumentFileError> {
        match argument.as_bytes().strip_prefix(b"@") {
            Some(path) => self.push_file(Path::new(OsStr::from_bytes(path))),
            None => {
                self.arguments.push(argument);
                Ok(())
            }
        }
    }

    fn push_file(&mut self, path: &Path) -> Result<(), ArgumentFileError> {
        self.files += 1;
        if self.files > ARGUMENT_FILES_MAX {
            return Err(ArgumentFileError::TooMany);
        }
        let text = read(path)?;
        for (number, line) in text.lines().enumerate() {
            let words = shlex::split(line).ok_or_else(|| ArgumentFileError::Quotation {
                path: path.to_owned(),
                line: number + 1,
            })?;
            for word in words {
                self.push(variables(&word).into())?;
            }
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<String, ArgumentFileError> {
    let unreadable = |source| ArgumentFileError::Unreadable { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    file.take(ARGUMENT_FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > ARGUMENT_FILE_BYTES_MAX {
        return Err(ArgumentFileError::TooLong { path: path.to_owned() });
    }
    Ok(text)
}

/// `word` with a leading `~` and every variable that is set replaced.
fn variables(word: &str) -> String {
    let variable = |name: &str| std::env::var(name).ok();
    let expanded = shellexpand::env_with_context_no_errors(word, variable);
    match (expanded.strip_prefix('~'), variable("HOME")) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => home + rest,
        _ => expanded.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(arguments: &[OsString]) -> Vec<&str> {
        arguments.iter().map(|argument| argument.to_str().unwrap()).collect()
    }

    #[test]
    fn files_are_split_like_a_shell_would_and_may_name_others() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        std::fs::write(&two, "--caching capacity=1\n").unwrap();
        let text = format!("# a comment\n-c 'key 1=a b' k=\\# # more\n\n@{}\n$HOME", two.display());
        std::fs::write(&one, text).unwrap();
        let mut at_one = OsString::from("@");
        at_one.push(&one);
        let expanded = expand(["encrypt".into(), at_one, "-r".into()]).unwrap();
        let home = std::env::var("HOME").unwrap();
        let expected =
            ["encrypt", "-c", "key 1=a b", "k=#", "--caching", "capacity=1", &home, "-r"];
        assert_eq!(texts(&expanded), expected);
    }

    #[test]
    fn the_home_and_unknown_variables() {
        let home = std::env::var("HOME").unwrap();
        assert_eq!(variables("~/x"), format!("{home}/x"));
        assert_eq!(variables("a~"), "a~");
        assert_eq!(variables("${NO_SUCH_VARIABLE_HERE}"), "${NO_SUCH_VARIABLE_HERE}");
    }

    #[test]
    fn limits_hold_at_max_and_not_beyond() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let at = || {
            let mut argument = OsString::from("@");
            argument.push(&path);
            argument
        };
        let most = usize::try_from(ARGUMENT_FILE_BYTES_MAX).unwrap();
        std::fs::write(&path, "#".repeat(most)).unwrap();
        assert!(expand([at()]).unwrap().is_empty());
        std::fs::write(&path, "#".repeat(most + 1)).unwrap();
        assert!(matches!(expand([at()]), Err(ArgumentFileError::TooLong { .. })));
        std::fs::write(&path, "x").unwrap();
        assert_eq!(expand(vec![at(); ARGUMENT_FILES_MAX]).unwrap().len(), ARGUMENT_FILES_MAX);
        let more = expand(vec![at(); ARGUMENT_FILES_MAX + 1]);
        assert!(matches!(more, Err(ArgumentFileError::TooMany)));
    }

    #[test]
    fn files_that_name_each_other_and_open_quotations_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, format!("@{}", path.display())).unwrap();
        let mut at = OsString::from("@");
        at.push(&path);
        assert!(matches!(expand([at.clone()]), Err(ArgumentFileError::TooMany)));
        std::fs::write(&path, "fine\n'open").unwrap();
        assert!(matches!(expand([at]), Err(ArgumentFileError::Quotation { line: 2, .. })));
    }
}
