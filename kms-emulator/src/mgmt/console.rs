//! Where commands come from and answers go.

use std::io;

use zeroize::Zeroizing;

/// A terminal, a pipe, or a test.
pub trait Console: Send {
    /// Prints text as it is.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn print(&mut self, text: &str) -> io::Result<()>;

    /// Reads a line without its end; `None` at the end of the input. Lines may hold passwords.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn line(&mut self) -> io::Result<Option<Zeroizing<String>>>;

    /// Reads a line that a terminal does not show.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn secret(&mut self) -> io::Result<Option<Zeroizing<String>>>;
}
