//! Reading whole messages, in pieces of any size.

use std::io::{self, Read};
use std::sync::Arc;

use strongroom_sdk::cmm::{DefaultCmm, MaterialsManager};
use strongroom_sdk::crypto::default_provider;
use strongroom_sdk::engine::{FrameOpener, SignatureStaysUnverified};
use strongroom_sdk::materials::DecryptionRequest;
use strongroom_sdk::message::header::Header;
use strongroom_sdk::range::RangeReader;
use strongroom_sdk::stream::PendingReader;
use strongroom_sdk::{Result, oneshot};

use super::choices::Choices;
use super::messages::{self, now, reading};
use super::permissive;

/// One byte: which provider; three bytes: sizes of pieces; then the message.
///
/// Every surface comes to the same end: the same plaintext, or a refusal and nothing released that the bytes
/// surface would not have released.
pub fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    let provider = if choices.byte() == 1 { default_provider() } else { permissive::provider() };
    let pieces = [choices.byte(), choices.byte(), choices.byte()];
    let message = choices.rest();
    let manager = messages::manager(provider);

    let whole = now(oneshot::decrypt(message, &manager, &reading()));
    let (released, error) = read_in_pieces(message, &manager, pieces);
    match (&whole, &error) {
        (Ok(opened), None) => assert_eq!(opened.plaintext, released),
        (Err(_), Some(_)) => {}
        _ => panic!("bytes: {whole:?}, stream: {} bytes, {error:?}", released.len()),
    }
    if let Some(ranged) = read_by_range(message, &manager) {
        assert!(ranged.starts_with(&released), "a frame is the same on every way to it");
        assert!(whole.is_err() || ranged == released);
    }
}

/// What comes out of `message` before its end or an error.
fn read_in_pieces(
    message: &[u8],
    manager: &DefaultCmm,
    sizes: [u8; 3],
) -> (Vec<u8>, Option<io::Error>) {
    let mut released = Vec::new();
    let opened: Result<_> = (|| {
        let pieces = Pieces { rest: message, sizes };
        let pending = PendingReader::read_header(pieces, &reading())?;
        let materials = now(manager.decryption_materials(pending.request()))?;
        pending.verify(materials)
    })();
    let mut reader = match opened {
        Ok(reader) => reader,
        Err(error) => return (released, Some(error.into())),
    };
    let error = reader.read_to_end(&mut released).err();
    if error.is_some() {
        let after = reader.read(&mut [0; 16]);
        assert!(after.is_err(), "a reader that has failed stays so: {after:?}");
    }
    (released, error)
}

/// The plaintext by random access; `None` when the message does not allow it.
fn read_by_range(message: &[u8], manager: &DefaultCmm) -> Option<Vec<u8>> {
    let parsed = Header::parse(message, &reading().limits).ok()?;
    let request = DecryptionRequest::new(&parsed.header, &reading()).ok()?;
    let materials = now(manager.decryption_materials(&request)).ok()?;
    let header = parsed.header.verify(materials).ok()?;
    let signed = header.suite().signature().is_some();
    let opener = FrameOpener::of_signed(header, SignatureStaysUnverified).ok()?;
    if signed {
        // The footer is not told from frames by the length of the message alone.
        return None;
    }
    let reader = RangeReader::new(message, Arc::new(opener)).ok()?;
    let length = reader.map().plaintext_length();
    reader.read(0..length).ok().map(|plaintext| plaintext.to_vec())
}

/// Gives out a message in pieces of three sizes in turn.
struct Pieces<'a> {
    rest: &'a [u8],
    sizes: [u8; 3],
}

impl Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.sizes.rotate_left(1);
        let size = usize::from(self.sizes[0]).max(1).min(out.len());
        self.rest.read(&mut out[..size])
    }
}

/// Every message, in pieces; those of the last suite with real cryptography too, where they end at a tag.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let permissive =
        messages::all().into_iter().map(|message| [&[0, 1, 7, 200], &message[..]].concat());
    let real = messages::all().into_iter().take(2);
    permissive.chain(real.map(|message| [&[1, 255, 255, 255], &message[..]].concat())).collect()
}
