//! From inputs and an output to pairs of paths, one for each message.
//!
//! | input | output |
//! |---|---|
//! | standard input | standard output, a file |
//! | one file | standard output, a file, an existing directory |
//! | several files, a pattern, directories | an existing directory |

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use strongroom::entry::{Entry, EntryKind, InodeId};
use strongroom::fs::walk::{LocalTree, WalkOptions};
use strongroom::source::{Found, Source as _, Trouble};

use super::arguments::Common;
use super::mode::Mode;
use crate::cli::exit::Failure;

/// What stands for standard input and standard output.
pub(super) const STANDARD: &str = "-";

/// Most inputs that patterns may expand to; directories count as one, whatever they hold.
const INPUTS_MAX: usize = 1 << 20;

/// Why inputs and output do not fit together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PathRule {
    /// Nothing is there.
    #[error("there is no file, and no match for the pattern, {}", .0.display())]
    NoInput(PathBuf),
    /// A pattern that is malformed.
    #[error("{} is no pattern: {reason}", .path.display())]
    Pattern {
        /// What was given.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// More inputs than can be meant.
    #[error("there are more than {INPUTS_MAX} inputs")]
    TooMany,
    /// A directory, and no leave to descend into it.
    #[error("{} is a directory, and --recursive is not given", .0.display())]
    Directory(PathBuf),
    /// Standard input beside other inputs.
    #[error("standard input cannot be one of several inputs")]
    StandardInputAmongOthers,
    /// Standard input has no name to be called by in a directory.
    #[error("{} is a directory: standard input needs a file or standard output", .0.display())]
    StandardInputToDirectory(PathBuf),
    /// Several inputs and not a directory to put them into.
    #[error("several inputs, or a directory, need an existing directory as output: {}", .0.display())]
    OutputNotDirectory(PathBuf),
    /// The folder of the output file does not exist.
    #[error("the folder of the output file {} does not exist", .0.display())]
    NoFolder(PathBuf),
    /// The input is the output.
    #[error("{} is input and output at once", .0.display())]
    InputIsOutput(PathBuf),
    /// The metadata file would be an input or an output.
    #[error("the metadata file {} is, or lies in, the input or the output", .0.display())]
    MetadataInTheWay(PathBuf),
    /// Standard output has one use at a time.
    #[error("standard output cannot carry both {0} and {1}")]
    StandardOutputTwice(&'static str, &'static str),
    /// Standard input has one use at a time.
    #[error("standard input is the input: nobody can answer the questions of --interactive there")]
    StandardInputTwice,
}

/// One message: where from, where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    /// A file, or [`STANDARD`].
    pub(super) input: PathBuf,
    /// A file, or [`STANDARD`].
    pub(super) output: PathBuf,
}

/// What a plan gives out.
#[derive(Debug)]
pub(super) enum Planned {
    /// A message to write or to read.
    Job(Job),
    /// Something that is no file, by its path and what it is.
    LeftOut(String),
    /// Something that cannot be read.
    Unreadable(Trouble),
}

/// Inputs and output that fit together.
pub(super) struct Plan {
    inputs: Vec<PathBuf>,
    output: PathBuf,
    /// Of the output, when it is a directory.
    directory: Option<InodeId>,
    suffix: String,
}

impl Plan {
    /// Expands the patterns among the inputs and checks the rules.
    pub(super) fn new(common: &Common, mode: Mode) -> Result<Self, PathRule> {
        let inputs = expand(&common.input)?;
        let output = common.output.clone();
        let directory = inode_of(&output).filter(|_| output.is_dir());
        check_standard(&inputs, &output, directory.is_some())?;
        let many = inputs.len() > 1 || inputs.iter().any(|input| input.is_dir());
        if many && directory.is_none() {
            return Err(PathRule::OutputNotDirectory(output));
        }
        if let Some(found) = inputs.iter().find(|input| input.is_dir() && !common.recursive) {
            return Err(PathRule::Directory(found.clone()));
        }
        if directory.is_none() && !same_as_standard(&output) && !folder_of(&output).is_dir() {
            return Err(PathRule::NoFolder(output));
        }
        let at_output = inode_of(&output);
        let same = |input: &&PathBuf| at_output.is_some() && inode_of(input) == at_output;
        if let Some(input) = inputs.iter().find(same) {
            return Err(PathRule::InputIsOutput(input.clone()));
        }
        let suffix = common.suffix.clone().unwrap_or_else(|| mode.suffix().to_owned());
        Ok(Self { inputs, output, directory, suffix })
    }

    /// Whether there may be more than one message.
    pub(super) fn is_many(&self) -> bool {
        self.inputs.len() > 1 || self.inputs.iter().any(|input| input.is_dir())
    }

    /// Whether `path` is, or lies in, an input or the output.
    pub(super) fn touches(&self, path: &Path) -> bool {
        let path = real(path);
        self.inputs.iter().chain([&self.output]).any(|place| path.starts_with(real(place)))
    }

    /// Hands out the messages one after the other until `take` answers false.
    pub(super) fn visit(&self, mut take: impl FnMut(Planned) -> bool) -> Result<(), Failure> {
        for input in &self.inputs {
            let go_on = match input.is_dir() {
                true => self.visit_directory(input, &mut take)?,
                false => take(Planned::Job(self.job(input.clone(), None))),
            };
            if !go_on {
                break;
            }
        }
        Ok(())
    }

    fn visit_directory(
        &self,
        root: &Path,
        take: &mut impl FnMut(Planned) -> bool,
    ) -> Result<bool, Failure> {
        // What is being written must not be found and processed again.
        let leave_out = self.directory.into_iter().collect();
        let options = WalkOptions { leave_out, ..WalkOptions::default() };
        let tree = LocalTree::open(&[root.to_owned()], options)?;
        for found in tree.walk() {
            let planned = match found {
                Found::Entry(entry) => self.entry(root, &entry),
                Found::Unreadable(trouble) => Some(Planned::Unreadable(trouble)),
                Found::Skipped(trouble) => Some(Planned::LeftOut(trouble.to_string())),
            };
            if !planned.is_none_or(&mut *take) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn entry(&self, root: &Path, entry: &Entry) -> Option<Planned> {
        let relative = Path::new(OsStr::from_bytes(entry.path.as_bytes()));
        let path = root.join(relative);
        match entry.kind {
            EntryKind::Directory => None,
            EntryKind::File { .. } => Some(Planned::Job(self.job(path, relative.parent()))),
            // The content of what a link points to, as with cp(1).
            EntryKind::Symlink { .. } if path.is_file() => {
                Some(Planned::Job(self.job(path, relative.parent())))
            }
            _ => Some(Planned::LeftOut(format!("{} is no file", path.display()))),
        }
    }

    /// The message of `input`, in the folder `below` of the output directory.
    fn job(&self, input: PathBuf, below: Option<&Path>) -> Job {
        let output = match (self.directory, input.file_name()) {
            (Some(_), Some(name)) => {
                let mut name = name.to_owned();
                name.push(&self.suffix);
                self.output.join(below.unwrap_or(Path::new(""))).join(name)
            }
            _ => self.output.clone(),
        };
        Job { input, output }
    }
}

/// Whether `path` stands for standard input or output.
pub(super) fn same_as_standard(path: &Path) -> bool {
    path == Path::new(STANDARD)
}

/// The folder that `path` is in.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Which inode stands at `path`, links followed.
pub(super) fn inode_of(path: &Path) -> Option<InodeId> {
    let stat = path.metadata().ok().filter(|_| !same_as_standard(path))?;
    Some(InodeId { device: stat.dev(), inode: stat.ino() })
}

fn check_standard(inputs: &[PathBuf], output: &Path, to_directory: bool) -> Result<(), PathRule> {
    if !inputs.iter().any(|input| same_as_standard(input)) {
        return Ok(());
    }
    if inputs.len() > 1 {
        return Err(PathRule::StandardInputAmongOthers);
    }
    match to_directory {
        true => Err(PathRule::StandardInputToDirectory(output.to_owned())),
        false => Ok(()),
    }
}

/// Replaces what does not exist by what it matches as a pattern.
fn expand(given: &[PathBuf]) -> Result<Vec<PathBuf>, PathRule> {
    let mut inputs = Vec::new();
    for path in given {
        if same_as_standard(path) || path.symlink_metadata().is_ok() {
            inputs.push(path.clone());
        } else {
            inputs.extend(matching(path)?.take(INPUTS_MAX + 1));
        }
        if inputs.len() > INPUTS_MAX {
            return Err(PathRule::TooMany);
        }
    }
    Ok(inputs)
}

fn matching(path: &Path) -> Result<impl Iterator<Item = PathBuf>, PathRule> {
    let no_input = || PathRule::NoInput(path.to_owned());
    let pattern = path.to_str().ok_or_else(no_input)?;
    // As shells do: a name that begins with a dot is matched by a dot only.
    let options =
        glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::default() };
    let found = glob::glob_with(pattern, options)
        .map_err(|error| PathRule::Pattern { path: path.to_owned(), reason: error.msg })?;
    let mut found = found.filter_map(Result::ok).peekable();
    if found.peek().is_none() {
        return Err(no_input());
    }
    Ok(found)
}

/// The path without links, also of a file that is not there yet.
fn real(path: &Path) -> PathBuf {
    let whole = path.canonicalize();
    let by_folder = || Some(folder_of(path).canonicalize().ok()?.join(path.file_name()?));
    whole.ok().or_else(by_folder).unwrap_or_else(|| path.to_owned())
}
