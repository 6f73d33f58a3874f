//! What is released before damage is noticed, whatever the sizes of the buffers on both sides (promise S3).

use std::io::{self, BufRead, BufReader, Read};
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::TryStreamExt;
use strongroom_sdk::cmm::MaterialsManager;
use strongroom_sdk::engine::{FrameOpener, SignatureStaysUnverified};
use strongroom_sdk::error::Region;
use strongroom_sdk::futures_stream::DecryptStream;
use strongroom_sdk::materials::DecryptionMaterials;
use strongroom_sdk::message::frame::{FINAL_OVERHEAD_BYTES, REGULAR_OVERHEAD_BYTES};
use strongroom_sdk::message::suite::AlgorithmSuite;
use strongroom_sdk::options::DecryptOptions;
use strongroom_sdk::parallel::ParallelDecryptor;
use strongroom_sdk::range::RangeReader;
use strongroom_sdk::stream::PendingReader;
use strongroom_sdk::tokio_stream::AsyncDecryptReader;
use strongroom_sdk::{Error, Result};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use crate::fixtures::{self, pool, say, unpack, wait};

/// Sizes of buffers, in bytes: below, at and above a frame of either length, and more than a message.
const SIZES: [usize; 8] = [1, 7, 16, 4095, 4096, 4097, 65_536, 1 << 20];
const FRAME_LENGTHS: [usize; 2] = [16, 4096];
/// What buffers hold before anything is read into them.
const UNTOUCHED: u8 = 0xee;

/// A message of three regular frames and a final one that is not full.
struct Specimen {
    suite: AlgorithmSuite,
    frame_length: usize,
    plaintext: Vec<u8>,
    message: Vec<u8>,
    header_bytes: usize,
}

impl Specimen {
    const REGULAR: usize = 3;

    fn new(suite: AlgorithmSuite, frame_length: usize) -> Self {
        let plaintext = fixtures::sample(Self::REGULAR * frame_length + frame_length / 2);
        let message = fixtures::encrypt(&plaintext, suite, frame_length as u32);
        let header_bytes = fixtures::parse(&message).length;
        Self { suite, frame_length, plaintext, message, header_bytes }
    }

    /// The bytes of frame `index`, from 0.
    fn frame(&self, index: usize) -> Range<usize> {
        let regular = self.frame_length + REGULAR_OVERHEAD_BYTES;
        let start = self.header_bytes + index * regular;
        let last = self.frame_length / 2 + FINAL_OVERHEAD_BYTES;
        start..start + if index < Self::REGULAR { regular } else { last }
    }

    /// Damaged messages, each with the frame that is the first to be wrong; and the one that is right.
    fn damages(&self) -> Vec<(Option<usize>, Vec<u8>)> {
        let flipped = |at: usize| {
            let mut damaged = self.message.clone();
            damaged[at] ^= 1;
            damaged
        };
        let mut all = vec![(None, self.message.clone())];
        for index in 0..=Self::REGULAR {
            let Range { start, end } = self.frame(index);
            all.push((Some(index), flipped(end - 1)));
            all.push((Some(index), flipped(end - 17)));
            all.push((Some(index), flipped(start + 3)));
            all.push((Some(index), self.message[..end - 1].to_vec()));
        }
        // What comes after the final frame makes that wrong, too.
        all.push((Some(Self::REGULAR), [&self.message[..], &[0]].concat()));
        if self.suite.signature().is_some() {
            all.push((Some(Self::REGULAR), flipped(self.message.len() - 1)));
        }
        all
    }

    /// The plaintext of the frames before `damaged`.
    fn before(&self, damaged: Option<usize>) -> &[u8] {
        &self.plaintext[..damaged.map_or(self.plaintext.len(), |index| index * self.frame_length)]
    }
}

/// A message that comes in pieces of no more than `size` bytes.
struct Pieces<'a> {
    rest: &'a [u8],
    size: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let room = out.len().min(self.size);
        Read::read(&mut self.rest, &mut out[..room])
    }
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = out.remaining().min(self.size).min(self.rest.len());
        let (piece, rest) = self.rest.split_at(count);
        out.put_slice(piece);
        self.rest = rest;
        Poll::Ready(Ok(()))
    }
}

/// Reads with a buffer of `size` bytes. Nothing but what is released may get into it.
fn drain(reader: &mut impl Read, size: usize, released: &mut Vec<u8>) -> Result<()> {
    let (mut buffer, clean) = (vec![UNTOUCHED; size], vec![UNTOUCHED; size]);
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                released.extend_from_slice(&buffer[..count]);
                buffer[..count].fill(UNTOUCHED);
                assert!(buffer == clean, "written beyond {count}");
            }
            Err(error) => {
                // A frame that did not verify leaves zeros where it would have been.
                let zeros = buffer.iter().take_while(|byte| **byte == 0).count();
                assert!(buffer[zeros..] == clean[zeros..], "left in {size} bytes: {error}");
                return Err(unpack(error));
            }
        }
    }
}

/// What one surface reads, with buffers of `size` bytes on both sides.
struct Reading<'a> {
    message: &'a [u8],
    size: usize,
    options: &'a DecryptOptions,
}

impl<'a> Reading<'a> {
    fn pieces(&self) -> Pieces<'a> {
        Pieces { rest: self.message, size: self.size }
    }

    /// The header out of `source`, and what the message needs.
    fn pending<R: Read>(&self, source: R) -> Result<(PendingReader<R>, DecryptionMaterials)> {
        let pending = PendingReader::read_header(source, self.options)?;
        let materials = wait(fixtures::manager().decryption_materials(pending.request()))?;
        Ok((pending, materials))
    }
}

/// Reads through one surface; what comes out is appended to the bytes that were released.
type Surface = fn(&Reading<'_>, &mut Vec<u8>) -> Result<()>;

const SURFACES: [(&str, Surface); 6] = [
    ("std::io", through_reader),
    ("std::io, without a buffer of the caller's", through_fill_buf),
    ("std::io, buffered", through_buffered),
    ("parallel", through_parallel),
    ("tokio", through_tokio),
    ("futures", through_futures),
];

fn through_reader(reading: &Reading<'_>, released: &mut Vec<u8>) -> Result<()> {
    let (pending, materials) = reading.pending(reading.pieces())?;
    drain(&mut pending.verify(materials)?, reading.size, released)
}

fn through_fill_buf(reading: &Reading<'_>, released: &mut Vec<u8>) -> Result<()> {
    let (pending, materials) = reading.pending(reading.pieces())?;
    let mut reader = pending.verify(materials)?;
    loop {
        let ready = reader.fill_buf().map_err(unpack)?;
        let taken = ready.len().min(reading.size);
        released.extend_from_slice(&ready[..taken]);
        if taken == 0 {
            return Ok(());
        }
        reader.consume(taken);
    }
}

fn through_buffered(reading: &Reading<'_>, released: &mut Vec<u8>) -> Result<()> {
    let source = BufReader::with_capacity(reading.size, reading.message);
    let (pending, materials) = reading.pending(source)?;
    drain(&mut pending.verify(materials)?.buffered(), reading.size, released)
}

fn through_parallel(reading: &Reading<'_>, released: &mut Vec<u8>) -> Result<()> {
    let (pending, materials) = reading.pending(reading.pieces())?;
    drain(&mut ParallelDecryptor::new(pending, materials, pool())?, reading.size, released)
}

fn through_tokio(reading: &Reading<'_>, released: &mut Vec<u8>) -> Result<()> {
    wait(async {
        let manager = fixtures::manager();
        let source = reading.pieces();
        let mut reader = AsyncDecryptReader::open(source, &manager, reading.options).await?;
        let mut buffer = vec![UNTOUCHED; reading.size];
        loop {
            let count = reader.read(&mut buffer).await.map_err(unpack)?;
            released.extend_from_slice(&buffer[..count]);
            if count == 0 {
                return Ok(());
            }
        }
    })
}

fn through_futures(reading: &Reading<'_>, released: &mut Vec<u8>) -> Result<()> {
    let pieces = reading.message.chunks(reading.size);
    let pieces = pieces.map(|piece| Ok::<_, io::Error>(Bytes::copy_from_slice(piece)));
    wait(async {
        let manager = fixtures::manager();
        let source = futures::stream::iter(pieces);
        let mut stream = DecryptStream::open(source, &manager, reading.options).await?;
        while let Some(plaintext) = stream.try_next().await? {
            released.extend_from_slice(&plaintext);
        }
        Ok(())
    })
}

#[test]
fn buffers_of_every_size_get_what_stands_before_the_damage_and_nothing_else() {
    let mut readings = 0;
    for (suite, frame_length) in fixtures::COMMITTING
        .into_iter()
        .flat_map(|suite| FRAME_LENGTHS.map(|length| (suite, length)))
    {
        let specimen = Specimen::new(suite, frame_length);
        let options = fixtures::reading(suite);
        for (number, (damaged, message)) in specimen.damages().into_iter().enumerate() {
            for (size, (name, surface)) in SIZES.into_iter().flat_map(|s| SURFACES.map(|f| (s, f)))
            {
                let mut released = Vec::new();
                let reading = Reading { message: &message, size, options: &options };
                let result = surface(&reading, &mut released);
                let case = format!("{suite}, {frame_length}: damage {number}: {name}, {size}");
                assert_eq!(result.is_ok(), damaged.is_none(), "{case}: {result:?}");
                assert!(released == specimen.before(damaged), "{case}: {} bytes", released.len());
                readings += 1;
            }
        }
    }
    let (surfaces, sizes) = (SURFACES.len(), SIZES.len());
    say(&format!(
        "S3: {readings} readings through {surfaces} surfaces with {sizes} sizes of buffers, 0 bytes too many"
    ));
}

#[test]
fn ranges_of_every_size_are_refused_exactly_where_they_touch_the_damage() {
    let mut ranges = 0;
    for (suite, frame_length) in fixtures::COMMITTING
        .into_iter()
        .flat_map(|suite| FRAME_LENGTHS.map(|length| (suite, length)))
    {
        let specimen = Specimen::new(suite, frame_length);
        let header = fixtures::verified(&specimen.message);
        let opener = Arc::new(FrameOpener::of_signed(header, SignatureStaysUnverified).unwrap());
        let end = specimen.frame(Specimen::REGULAR).end;
        let length = specimen.plaintext.len();
        for bad in (0..=Specimen::REGULAR).flat_map(|index| {
            let Range { start, end } = specimen.frame(index);
            [start, start + 3, start + 4, end - 17, end - 1].map(|at| (index, at))
        }) {
            let (index, at) = bad;
            let mut damaged = specimen.message.clone();
            damaged[at] ^= 1;
            // Of a signed message the last bytes say where the final frame is; this is not about them.
            let map = RangeReader::new(&specimen.message, opener.clone()).unwrap().map().clone();
            let reader = RangeReader::with_map(&damaged[..end], opener.clone(), map);
            for size in SIZES.map(|size| size.min(length)) {
                for start in (0..=length - size).step_by(size.max(length / 16)) {
                    let mut buffer = vec![UNTOUCHED; size];
                    let read = reader.read_exact_at(&mut buffer, start as u64);
                    let frames = start / frame_length..(start + size - 1) / frame_length + 1;
                    // The end of the plaintext is only proven by the final frame.
                    let proves_end = start + size == length && index == Specimen::REGULAR;
                    let touches = frames.contains(&index) || proves_end;
                    assert_eq!(read.is_err(), touches, "{bad:?}: {start}, {size}: {read:?}");
                    match read {
                        Ok(()) => assert!(buffer == specimen.plaintext[start..start + size]),
                        Err(error) => {
                            let clean = |byte: &u8| [UNTOUCHED, 0].contains(byte);
                            assert!(buffer.iter().all(clean), "{bad:?}: {start}, {size}");
                            assert!(names_frame(&error, index), "{bad:?}: {error}");
                        }
                    }
                    ranges += 1;
                }
            }
        }
    }
    say(&format!("S3: {ranges} ranges read around damaged frames, 0 bytes too many"));
}

/// Whether `error` names the frame `index`, from 0.
fn names_frame(error: &Error, index: usize) -> bool {
    let number = index as u32 + 1;
    [Some(Region::Frame(number)), Some(Region::FinalFrame(number))].contains(&error.region())
}

#[test]
fn a_final_frame_that_lies_about_its_length_is_named() {
    let specimen = Specimen::new(fixtures::UNSIGNED, 64);
    let opener = Arc::new(FrameOpener::new(fixtures::verified(&specimen.message)).unwrap());
    let length = specimen.plaintext.len() as u64;
    let field = specimen.frame(Specimen::REGULAR).start + 4 + 4 + 12;
    for lie in (0..=u8::MAX).filter(|lie| *lie != specimen.message[field + 3]) {
        let mut damaged = specimen.message.clone();
        damaged[field + 3] = lie;
        let reader = RangeReader::new(&damaged, opener.clone()).unwrap();
        let error = reader.read(0..length).unwrap_err();
        assert!(names_frame(&error, Specimen::REGULAR), "{lie}: {error}");
    }
}
