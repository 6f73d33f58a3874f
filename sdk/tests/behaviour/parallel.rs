//! One message on several cores: the same bytes, the same rules, bounded memory.

use std::io::{self, Read, Write};

use strongroom_sdk::Error;
use strongroom_sdk::cmm::MaterialsManager;
use strongroom_sdk::error::Region;
use strongroom_sdk::message::frame::REGULAR_OVERHEAD_BYTES;
use strongroom_sdk::message::suite::AlgorithmSuite;
use strongroom_sdk::oneshot;
use strongroom_sdk::options::EncryptOptions;
use strongroom_sdk::parallel::{self, ParallelDecryptor, ParallelEncryptor, run_frames};
use strongroom_sdk::stream::PendingReader;

use crate::fixtures::{self, Outcome, say, unpack, wait};
use crate::heap::peak_bytes_of;

const FRAME: usize = 256 * 1024;

/// Frames in a run of the tests' pool.
fn frames_in_run() -> usize {
    run_frames(fixtures::pool().current_num_threads(), FRAME)
}

fn write(plaintext: &[u8], suite: AlgorithmSuite, piece: usize) -> Vec<u8> {
    let materials = wait(fixtures::manager().encryption_materials(&fixtures::request(suite)));
    let options = EncryptOptions { frame_length: FRAME as u32 };
    let pool = fixtures::pool();
    let mut writer =
        ParallelEncryptor::new(Vec::new(), materials.unwrap(), &options, pool).unwrap();
    plaintext.chunks(piece).for_each(|bytes| writer.write_all(bytes).unwrap());
    writer.finish().unwrap()
}

#[test]
fn messages_of_several_runs_are_written_and_read() {
    let run = frames_in_run() * FRAME;
    let sample = fixtures::sample(2 * run + FRAME + 77);
    for suite in fixtures::COMMITTING {
        for length in [run, run + 1, 2 * run + FRAME + 77] {
            let plaintext = &sample[..length];
            // Pieces that are smaller than a run, and all at once.
            for piece in [run / 3 + 5, usize::MAX] {
                let message = write(plaintext, suite, piece);
                let (manager, options) = (fixtures::manager(), fixtures::reading(suite));
                let one_shot = wait(oneshot::decrypt(&message, &manager, &options)).unwrap();
                assert!(one_shot.plaintext == plaintext, "{suite} {length}");
                for outcome in fixtures::read_in_parallel(&message, &manager, &options) {
                    let Outcome { surface, released, error } = outcome;
                    assert!(error.is_none(), "{suite} {length} {surface}: {error:?}");
                    assert!(released == plaintext, "{suite} {length} {surface}");
                }
            }
        }
    }
}

#[test]
fn what_is_released_ends_before_the_first_damaged_frame_of_a_run() {
    let frames = 2 * frames_in_run() + 2;
    let plaintext = fixtures::sample(frames * FRAME);
    let (manager, options) = (fixtures::manager(), fixtures::reading(fixtures::UNSIGNED));
    let message = write(&plaintext, fixtures::UNSIGNED, usize::MAX);
    let header = fixtures::parse(&message).length;
    for first in [0, 1, frames_in_run() - 1, frames_in_run(), frames_in_run() + 4] {
        let mut damaged = message.clone();
        // Two frames: the one that comes first in the message is named, whichever is opened first.
        for index in [first, first + 1] {
            damaged[header + index * (FRAME + REGULAR_OVERHEAD_BYTES) + 99] ^= 1;
        }
        for outcome in fixtures::read_in_parallel(&damaged, &manager, &options) {
            let Outcome { surface, released, error } = outcome;
            let error = error.unwrap_or_else(|| panic!("{surface}: accepted"));
            assert_eq!(error.region(), Some(Region::Frame(first as u32 + 1)), "{surface}");
            let authentic = if fixtures::releases_at_once(surface) { 0 } else { first * FRAME };
            assert!(released == plaintext[..authentic], "{surface}: {}", released.len());
        }
    }
}

/// Gives `bytes`, then fails once, then goes on.
struct Hiccup<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Read for Hiccup<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at == 0 {
            self.at = usize::MAX;
            return Err(io::ErrorKind::TimedOut.into());
        }
        let count = out.len().min(self.at).min(self.bytes.len());
        let count = (&self.bytes[..count]).read(out)?;
        self.bytes = &self.bytes[count..];
        self.at = self.at.saturating_sub(count);
        Ok(count)
    }
}

#[test]
fn a_failure_of_the_source_comes_after_what_was_authentic_before_it() {
    let plaintext = fixtures::sample((2 * frames_in_run() + 2) * FRAME);
    let message = write(&plaintext, fixtures::SIGNED, usize::MAX);
    for at in [5_000, FRAME * 3, FRAME * (frames_in_run() + 3)] {
        let source = Hiccup { bytes: &message, at };
        let options = fixtures::reading(fixtures::SIGNED);
        let pending = PendingReader::read_header(source, &options).unwrap();
        let materials = wait(fixtures::manager().decryption_materials(pending.request())).unwrap();
        let mut reader = ParallelDecryptor::new(pending, materials, fixtures::pool()).unwrap();
        let mut released = Vec::new();
        let error = reader.read_to_end(&mut released).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(plaintext.starts_with(&released));
        reader.read_to_end(&mut released).unwrap();
        assert!(released == plaintext, "{at}: {} of {}", released.len(), plaintext.len());
    }
}

/// Fails when it has taken so many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        if taken == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_writer_that_failed_does_not_go_on() {
    let request = fixtures::request(fixtures::UNSIGNED);
    let materials = wait(fixtures::manager().encryption_materials(&request)).unwrap();
    let options = EncryptOptions { frame_length: FRAME as u32 };
    let pool = fixtures::pool();
    let mut writer = ParallelEncryptor::new(Full(300_000), materials, &options, pool).unwrap();
    let plaintext = vec![0; (3 * frames_in_run() + 1) * FRAME];
    let error = writer.write_all(&plaintext).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    let error = unpack(writer.write_all(b"more").unwrap_err());
    assert!(matches!(error, Error::OutOfOrder(_)), "{error}");
    assert!(matches!(writer.finish(), Err(Error::OutOfOrder(_))));
}

#[test]
fn memory_is_bounded_by_three_runs() {
    let run = frames_in_run() * (FRAME + REGULAR_OVERHEAD_BYTES);
    let total = 64 << 20;
    for suite in fixtures::COMMITTING {
        let materials = wait(fixtures::manager().encryption_materials(&fixtures::request(suite)));
        let options = EncryptOptions { frame_length: FRAME as u32 };
        let (piece, mut message) = (vec![7; 100_000], tempfile::tempfile().unwrap());
        let writing = peak_bytes_of(|| {
            let mut writer = ParallelEncryptor::new(
                &mut message,
                materials.unwrap(),
                &options,
                fixtures::pool(),
            )
            .unwrap();
            (0..total / piece.len()).for_each(|_| writer.write_all(&piece).unwrap());
            writer.finish().unwrap();
        });
        io::Seek::rewind(&mut message).unwrap();
        let reading = peak_bytes_of(|| {
            let options = fixtures::reading(suite);
            let pending = PendingReader::read_header(&mut message, &options).unwrap();
            let materials = wait(fixtures::manager().decryption_materials(pending.request()));
            let mut reader =
                ParallelDecryptor::new(pending, materials.unwrap(), fixtures::pool()).unwrap();
            io::copy(&mut reader, &mut io::sink()).unwrap();
        });
        say(&format!(
            "parallel stream of {total} bytes, suite {suite}, runs of {run}: peak heap {writing} \
             writing, {reading} reading"
        ));
        // While a buffer grows, the old one is still there.
        assert!(writing < 4 * run && reading < 5 * run, "{writing} {reading}");
    }
}

#[test]
fn vectors_that_served_before_are_written_over() {
    let (manager, pool) = (fixtures::manager(), fixtures::pool());
    let options = EncryptOptions { frame_length: 1000 };
    let (mut message, mut plaintext) = (vec![9; 77], vec![8; 99]);
    for length in [50_000, 10, 0, 70_000] {
        let sample = fixtures::sample(length);
        let request = fixtures::request(fixtures::SIGNED);
        let materials = wait(manager.encryption_materials(&request)).unwrap();
        parallel::seal_into(&sample, materials, &options, &pool, &mut message).unwrap();
        let parsed = fixtures::parse(&message);
        let materials = fixtures::decryption_materials(&manager, &parsed);
        parallel::open_into(&message, parsed, materials, &pool, &mut plaintext).unwrap();
        assert_eq!(plaintext, sample);
        let parsed = fixtures::parse(&message);
        let materials = fixtures::decryption_materials(&manager, &parsed);
        oneshot::open_into(&message, parsed, materials, &mut plaintext).unwrap();
        assert_eq!(plaintext, sample);
    }
    // Nothing is left in them after a failure.
    *message.last_mut().unwrap() ^= 1;
    let parsed = fixtures::parse(&message);
    let materials = fixtures::decryption_materials(&manager, &parsed);
    parallel::open_into(&message, parsed, materials, &pool, &mut plaintext).unwrap_err();
    assert!(plaintext.is_empty());
}
