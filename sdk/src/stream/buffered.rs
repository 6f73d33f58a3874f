//! Reading a message from a source that has a buffer of its own.

use std::io::{self, BufRead, Read};

use super::DecryptReader;
use crate::engine::pull::Step;
use crate::message::encryption_context::EncryptionContext;
use crate::message::suite::AlgorithmSuite;

/// A [`DecryptReader`] over a source that is buffered or in memory: frames that lie in its buffer as a
/// whole are opened from there, without a copy.
///
/// Made by [`DecryptReader::buffered`].
pub struct BufferedDecryptReader<R>(pub(super) DecryptReader<R>);

impl<R> BufferedDecryptReader<R> {
    /// The authenticated encryption context.
    #[must_use]
    pub fn encryption_context(&self) -> &EncryptionContext {
        self.0.encryption_context()
    }

    /// The suite of the message.
    #[must_use]
    pub fn suite(&self) -> AlgorithmSuite {
        self.0.suite()
    }
}

impl<R: BufRead> Read for BufferedDecryptReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for BufferedDecryptReader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let DecryptReader { inner, pull, .. } = &mut self.0;
        while pull.step()? == Step::More {
            match inner.fill_buf() {
                Ok(input) => {
                    let count = pull.take_from(input)?;
                    inner.consume(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(pull.plaintext())
    }

    fn consume(&mut self, count: usize) {
        self.0.pull.consume(count);
    }
}
