//! Questions to whoever sits at the terminal.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};

/// Longest answer to a question, in bytes.
const ANSWER_BYTES_MAX: u64 = 1024;

/// Asks `question` on standard error and answers the line that comes from standard input; an empty
/// one when there is none.
pub(super) fn ask(question: &str) -> io::Result<String> {
    let mut error = io::stderr().lock();
    write!(error, "{question} ")?;
    error.flush()?;
    let mut answer = String::new();
    io::stdin().lock().take(ANSWER_BYTES_MAX).read_line(&mut answer)?;
    Ok(answer.trim().to_owned())
}

/// Whether somebody is there to answer.
pub(super) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}
