//! Reading a message from a source that has a buffer of its own.

use std::io::{self, BufRead, Read};

use super::DecryptReader;
use crate::engine::pull::Step;
use crate::message::header::HeaderFields;

/// A [`DecryptReader`] over a source that is buffered or in memory: frames that lie in its buffer as a
/// whole are opened from there, without a copy.
///
/// Made by [`DecryptReader::buffered`].
pub struct BufferedDecryptReader<R>(pub(super) DecryptReader<R>);

impl<R> BufferedDecryptReader<R> {
    /// What the header says, authenticated: the encryption context, the suite, and all else.
    #[must_use]
    pub fn header_fields(&self) -> &HeaderFields {
        self.0.header_fields()
    }
}

impl<R: BufRead> Read for BufferedDecryptReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let DecryptReader { inner, pull } = &mut self.0;
        while pull.step()? == Step::More {
            match inner.fill_buf() {
                Ok(input) => {
                    let (taken, written) = pull.take_into(input, out)?;
                    inner.consume(taken);
                    if written > 0 {
                        return Ok(written);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(pull.give(out))
    }
}

impl<R: BufRead> BufRead for BufferedDecryptReader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let DecryptReader { inner, pull } = &mut self.0;
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
