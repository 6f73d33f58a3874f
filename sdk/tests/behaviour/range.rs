//! Random access reads once, and little more than it was asked for.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use strongroom_sdk::cmm::MaterialsManager;
use strongroom_sdk::engine::{Encryptor, FrameOpener};
use strongroom_sdk::message::encryption_context::EncryptionContext;
use strongroom_sdk::message::frame::{FINAL_OVERHEAD_BYTES, REGULAR_OVERHEAD_BYTES};
use strongroom_sdk::options::EncryptOptions;
use strongroom_sdk::range::{FrameMap, RangeReader, ReadAt};
use strongroom_sdk::{Error, oneshot};

use crate::fixtures::{self, say, wait};

const FRAME: usize = 64 * 1024;
const SEALED: usize = FRAME + REGULAR_OVERHEAD_BYTES;
const MEBIBYTE: u64 = 1 << 20;

/// A message of which only some frames are there. It counts what is read.
struct Sparse {
    header_length: u64,
    length: u64,
    frames: BTreeMap<u64, Vec<u8>>,
    reads: RefCell<Vec<usize>>,
}

impl ReadAt for Sparse {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.reads.borrow_mut().push(buffer.len());
        let mut at = offset - self.header_length;
        for part in buffer.chunks_mut(SEALED) {
            let frame = &self.frames[&(at / SEALED as u64)];
            part.copy_from_slice(&frame[..part.len()]);
            at += part.len() as u64;
        }
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.length)
    }
}

#[test]
fn a_message_is_opened_by_its_header_however_long_that_is() {
    // More than is read at first to find the header; and less than that in all.
    for (value, length) in [(10_000, 1000), (10, 100)] {
        let manager = fixtures::manager();
        let mut request = fixtures::request(fixtures::UNSIGNED);
        let pairs = [("long", "x".repeat(value))];
        request.encryption_context = EncryptionContext::from_pairs(pairs).unwrap();
        let (plaintext, options) = (fixtures::sample(length), EncryptOptions { frame_length: 64 });
        let message = wait(oneshot::encrypt(&plaintext, &manager, &request, &options)).unwrap();
        let reading = fixtures::reading(fixtures::UNSIGNED);
        let reader = wait(RangeReader::open(&message, &manager, &reading)).unwrap();
        assert_eq!(reader.read(10..77).unwrap(), plaintext[10..77]);
        let again = RangeReader::new(&message, reader.opener().clone()).unwrap();
        assert_eq!(again.read(0..length as u64).unwrap(), plaintext);
        for end in [0, 10, reader.opener().header_length() - 1] {
            let cut = &message[..end];
            let error = wait(RangeReader::open(cut, &manager, &reading)).err().unwrap();
            assert!(matches!(error, Error::Truncated { .. }), "{end}: {error}");
        }
    }
    let signed = fixtures::encrypt(b"text", fixtures::SIGNED, 64);
    let reading = fixtures::reading(fixtures::SIGNED);
    let refused = wait(RangeReader::open(&signed, &fixtures::manager(), &reading)).err().unwrap();
    assert!(matches!(refused, Error::SignedSuiteRefused { .. }), "{refused}");
}

#[test]
fn a_mebibyte_out_of_ten_gibibytes_takes_one_read_and_two_frames_more_at_most() {
    let total: u64 = 10 << 30;
    // At the start of a frame, amid one, across the place where two bytes of its number change.
    let starts = [0, 5 * MEBIBYTE + 1, 65_535 * FRAME as u64 - 77, 9 << 30, total - MEBIBYTE];
    let request = fixtures::request(fixtures::UNSIGNED);
    let materials = wait(fixtures::manager().encryption_materials(&request)).unwrap();
    let options = EncryptOptions { frame_length: FRAME as u32 };
    let mut encryptor = Encryptor::new(materials, &options).unwrap();
    let header = encryptor.header().to_vec();
    let last = total / FRAME as u64 - 1;
    let kept = |index: u64| {
        let from = index * FRAME as u64;
        starts.iter().any(|start| from + FRAME as u64 > *start && from < start + MEBIBYTE)
    };
    let mut frames = BTreeMap::new();
    let mut frame = vec![0; SEALED];
    for index in 0..last {
        // What is sealed where nobody looks does not matter.
        if kept(index) {
            frame[REGULAR_OVERHEAD_BYTES - 16..][..FRAME].fill(index as u8);
        }
        encryptor.seal_frame(&mut frame).unwrap();
        if kept(index) {
            frames.insert(index, frame.clone());
        }
    }
    let mut final_frame = vec![0; FRAME + FINAL_OVERHEAD_BYTES];
    final_frame[FINAL_OVERHEAD_BYTES - 16..][..FRAME].fill(last as u8);
    encryptor.seal_final_frame(&mut final_frame).unwrap();
    // The final frame is read in two parts of this source's frames.
    frames.insert(last + 1, final_frame.split_off(SEALED));
    frames.insert(last, final_frame);

    let opener = Arc::new(FrameOpener::new(fixtures::verified(&header)).unwrap());
    let map = FrameMap::from_plaintext_length(header.len() as u64, FRAME as u32, total).unwrap();
    let (length, header_length) = (map.message_length(), header.len() as u64);
    let source = Sparse { header_length, length, frames, reads: RefCell::default() };
    let reader = RangeReader::new(&source, opener).unwrap();
    assert_eq!(reader.map(), &map);
    let mut most = 0;
    for start in starts {
        let read = reader.read(start..start + MEBIBYTE).unwrap();
        assert!(read.iter().zip(start..).all(|(byte, at)| *byte == (at / FRAME as u64) as u8));
        let mut into = vec![1; MEBIBYTE as usize];
        reader.read_exact_at(&mut into, start).unwrap();
        assert_eq!(into, read);
        let reads = source.reads.take();
        assert_eq!(reads.len(), 2, "one for each of the two");
        most = most.max(reads[0]);
        assert!(reads[0] <= MEBIBYTE as usize + 2 * FRAME + 18 * FINAL_OVERHEAD_BYTES, "{reads:?}");
    }
    say(&format!("range: 1 MiB out of 10 GiB: 1 read, {most} bytes at most"));
}
