//! Frames and the single block: layout, and the data that authenticates their place.
//!
//! ```text
//! regular frame:            number(4) iv(12)           content(F) tag(16)
//! final frame:    FFFFFFFF  number(4) iv(12) length(4) content    tag(16)
//! single block:                       iv(12) length(8) content    tag(16)
//! ```
//! Source: `data-format/message-body.md`, `data-format/message-body-aad.md`.

use std::num::NonZeroU32;

use super::codec::Reader;
use super::header::MessageId;
use super::limits::{SINGLE_BLOCK_BYTES_MAX, within};
use super::suite::{IV_BYTES, TAG_BYTES};
use crate::error::{Error, Fault, Region, Result};

/// Bytes of a regular frame before its content.
pub const REGULAR_PREFIX_BYTES: usize = 4 + IV_BYTES;
/// Bytes that a regular frame takes beyond its content.
pub const REGULAR_OVERHEAD_BYTES: usize = REGULAR_PREFIX_BYTES + TAG_BYTES;
/// Bytes of the final frame before its content.
pub const FINAL_PREFIX_BYTES: usize = 4 + 4 + IV_BYTES + 4;
/// Bytes that the final frame takes beyond its content.
pub const FINAL_OVERHEAD_BYTES: usize = FINAL_PREFIX_BYTES + TAG_BYTES;
/// Bytes of a single block before its content.
pub const SINGLE_BLOCK_PREFIX_BYTES: usize = IV_BYTES + 8;
/// Bytes that a single block takes beyond its content.
pub const SINGLE_BLOCK_OVERHEAD_BYTES: usize = SINGLE_BLOCK_PREFIX_BYTES + TAG_BYTES;

//= data-format/message-body.md#sequence-number-end
//# The value MUST be encoded as the 4 bytes FF FF FF FF in hexadecimal notation.
/// What stands before the sequence number of the final frame.
const FINAL_MARK: u32 = u32::MAX;

//= data-format/message-body.md#framed-data
//# The number of frames in a single message MUST be less than or equal to 2^32 - 1.
/// The sequence number of a frame, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrameNumber(NonZeroU32);

impl FrameNumber {
    //= data-format/message-body.md#sequence-number
    //# Framed Data MUST start at Sequence Number 1.
    //= client-apis/decrypt.md#decrypt-the-message-body
    //# If this is framed data and the first frame sequentially, this value MUST be 1.
    /// The number of the first frame.
    pub const FIRST: Self = Self(NonZeroU32::MIN);
    /// The last number there is. It can only be a final frame's: as a regular frame's it would read
    /// as the mark of the final frame.
    pub const LAST: Self = Self(NonZeroU32::MAX);

    /// The frame number `number`; `None` for zero, which no frame bears.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0.get()
    }

    /// The next number; `None` after [`LAST`](Self::LAST).
    #[must_use]
    pub fn next(self) -> Option<Self> {
        //= data-format/message-body.md#sequence-number
        //# Subsequent frames MUST be in order and MUST contain an increment of 1 from the previous
        //# frame.
        //= client-apis/encrypt.md#construct-a-frame
        //# Otherwise, this value MUST be 1 greater than the value of the sequence number of the
        //# previous frame.
        self.0.checked_add(1).map(Self)
    }

    /// The IV that writers use: the number, padded with zeros on the left.
    #[must_use]
    pub fn iv(self) -> [u8; IV_BYTES] {
        //= data-format/message-body.md#iv
        //# The IV MUST be a unique IV within the message.
        let mut iv = [0; IV_BYTES];
        //= data-format/message-body.md#iv-1
        //# Each frame in the Framed Data MUST include an IV that is unique within the message.
        //= data-format/message-body.md#iv-2
        //# The IV MUST be a unique IV within the message.
        if let Some(low) = iv.last_chunk_mut::<4>() {
            *low = self.get().to_be_bytes();
        }
        iv
    }
}

/// The three kinds of content, which their authenticated data tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A frame of exactly the frame length, not the last.
    Regular,
    /// The last frame, of at most the frame length.
    Final,
    /// The only block of an unframed message.
    SingleBlock,
}

impl Kind {
    /// Bytes before the content.
    #[must_use]
    pub fn prefix_bytes(self) -> usize {
        match self {
            Self::Regular => REGULAR_PREFIX_BYTES,
            Self::Final => FINAL_PREFIX_BYTES,
            Self::SingleBlock => SINGLE_BLOCK_PREFIX_BYTES,
        }
    }

    /// The region that an error about frame `number` names.
    #[must_use]
    pub fn region(self, number: FrameNumber) -> Region {
        match self {
            Self::Regular => Region::Frame(number.get()),
            Self::Final => Region::FinalFrame(number.get()),
            Self::SingleBlock => Region::SingleBlock,
        }
    }

    /// The text in the authenticated data.
    fn label(self) -> &'static [u8] {
        match self {
            //= data-format/message-body-aad.md#body-aad-content
            //# The regular frames in framed data MUST use the value AWSKMSEncryptionClient Frame.
            Self::Regular => b"AWSKMSEncryptionClient Frame",
            //= data-format/message-body-aad.md#body-aad-content
            //# The final frame in framed data MUST use the value AWSKMSEncryptionClient Final
            //# Frame.
            Self::Final => b"AWSKMSEncryptionClient Final Frame",
            //= data-format/message-body-aad.md#body-aad-content
            //# Non-framed data MUST use the value AWSKMSEncryptionClient Single Block.
            Self::SingleBlock => b"AWSKMSEncryptionClient Single Block",
        }
    }
}

/// The fields that stand before a frame's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// Which kind of frame.
    pub kind: Kind,
    /// Its number; 1 for a single block.
    pub number: FrameNumber,
    /// Its IV. Today's writers use the number, early ones used random bytes.
    pub iv: [u8; IV_BYTES],
    /// Bytes of its content.
    pub content_bytes: u64,
}

impl Prefix {
    /// Reads the prefix of the frame that should be number `due`, with frames of `frame_length` bytes.
    ///
    /// # Errors
    /// [`Error::Truncated`] when `bytes` ends inside the prefix, [`Error::Malformed`] when it is
    /// another frame or its content is longer than a frame.
    pub fn parse_framed(bytes: &[u8], due: FrameNumber, frame_length: u32) -> Result<Self> {
        let mut reader = Reader::new(bytes, Kind::Regular.region(due));
        let mark = reader.u32()?;
        //= client-apis/decrypt.md#decrypt-the-message-body
        //# If deserializing framed data, this operation MUST use the first 4 bytes of a frame to
        //# determine if the frame MUST be deserialized as a final frame or regular frame.
        if mark != FINAL_MARK {
            //= client-apis/decrypt.md#decrypt-the-message-body
            //# Otherwise, this MUST be deserialized as the sequence number and the following bytes
            //# according to the regular frame spec.
            require_number(&reader, due, mark)?;
            let iv = reader.array()?;
            //= data-format/message-body-aad.md#content-length
            //# For regular frames, this value MUST equal the value of the frame length field in the
            //# message header.
            //= data-format/message-body.md#encrypted-content-1
            //# The length of the encrypted content of a Regular Frame MUST be equal to the Frame
            //# Length.
            let content_bytes = u64::from(frame_length);
            return Ok(Self { kind: Kind::Regular, number: due, iv, content_bytes });
        }
        //= client-apis/decrypt.md#decrypt-the-message-body
        //# If the first 4 bytes have a value of 0xFFFF, then this MUST be deserialized as the
        //# sequence number end and the following bytes according to the final frame spec.
        reader.enter(Kind::Final.region(due));
        let number = reader.u32()?;
        //= data-format/message-body.md#sequence-number-1
        //# The Final Frame Sequence number MUST be equal to the total number of frames in the
        //# Framed Data.
        require_number(&reader, due, number)?;
        let iv = reader.array()?;
        let content_bytes = u64::from(reader.u32()?);
        //= data-format/message-body.md#final-frame
        //# The length of the plaintext to be encrypted in the Final Frame MUST be greater than or
        //# equal to 0 and less than or equal to the Frame Length.
        //= data-format/message-body-aad.md#content-length
        //# For the final frame, this value MUST be greater than or equal to 0 and less than or
        //# equal to the value of the frame length field in the message header.
        //= client-apis/decrypt.md#decrypt-the-message-body
        //# If deserializing a final frame, this operation MUST ensure that the length of the
        //# encrypted content field is less than or equal to the frame length deserialized in the
        //# message header.
        if content_bytes > u64::from(frame_length) {
            return Err(reader.fault(Fault::ContentLength(content_bytes)));
        }
        Ok(Self { kind: Kind::Final, number: due, iv, content_bytes })
    }

    /// Reads the prefix of a single block.
    ///
    /// # Errors
    /// [`Error::Truncated`]; [`Error::LimitExceeded`] above [`SINGLE_BLOCK_BYTES_MAX`].
    pub fn parse_single_block(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, Region::SingleBlock);
        let iv = reader.array()?;
        let content_bytes = reader.u64()?;
        //= data-format/message-body.md#encrypted-content-length
        //# The length MUST NOT be greater than 2^36 - 32, or 64 gibibytes (64 GiB), due to
        //# restrictions imposed by the implemented algorithms.
        within("single-block content bytes", content_bytes, SINGLE_BLOCK_BYTES_MAX)?;
        //= data-format/message-body-aad.md#sequence-number
        //# For non-framed data, the value of this field MUST be 1.
        //= client-apis/decrypt.md#decrypt-the-message-body
        //# If this is un-framed data, this value MUST be 1.
        Ok(Self { kind: Kind::SingleBlock, number: FrameNumber::FIRST, iv, content_bytes })
    }

    /// Bytes of the whole frame: prefix, content, tag.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        let around = self.kind.prefix_bytes().saturating_add(TAG_BYTES);
        self.content_bytes.saturating_add(around as u64)
    }

    /// The region that an error about this frame names.
    #[must_use]
    pub fn region(&self) -> Region {
        self.kind.region(self.number)
    }
}

fn require_number(reader: &Reader<'_>, due: FrameNumber, found: u32) -> Result<()> {
    //= client-apis/decrypt.md#decrypt-the-message-body
    //# Otherwise, this value MUST be 1 greater than the value of the sequence number of the
    //# previous frame.
    if found == due.get() {
        return Ok(());
    }
    Err(reader.fault(Fault::SequenceNumber { expected: due.get(), found }))
}

/// Writes the prefix of frame `number` over the first bytes of `frame`.
///
/// # Errors
/// [`Error::BufferSize`] when `frame` is shorter than the prefix or the content of a final frame longer
/// than four bytes can say.
pub(crate) fn write_prefix(
    frame: &mut [u8],
    kind: Kind,
    number: FrameNumber,
    content_bytes: usize,
) -> Result<()> {
    let (needed, found) = (kind.prefix_bytes() as u64, frame.len() as u64);
    let too_small = || Error::BufferSize { buffer: "frame", needed, found };
    //= client-apis/encrypt.md#construct-a-frame
    //# Sequence Number: MUST be the sequence number of this frame, as determined above.
    let number_bytes = number.get().to_be_bytes();
    if kind == Kind::Regular {
        let (at_number, rest) = frame.split_first_chunk_mut::<4>().ok_or_else(too_small)?;
        *at_number = number_bytes;
        *rest.first_chunk_mut::<IV_BYTES>().ok_or_else(too_small)? = number.iv();
        return Ok(());
    }
    if kind == Kind::SingleBlock {
        //= client-apis/encrypt.md#un-framed-message-body-encryption
        //# IV: MUST be the sequence number used in the message body AAD.
        let (at_iv, rest) = frame.split_first_chunk_mut::<IV_BYTES>().ok_or_else(too_small)?;
        *at_iv = number.iv();
        let length = (content_bytes as u64).to_be_bytes();
        *rest.first_chunk_mut::<8>().ok_or_else(too_small)? = length;
        return Ok(());
    }
    let length = u32::try_from(content_bytes).map_err(|_| too_small())?;
    let (at_mark, rest) = frame.split_first_chunk_mut::<4>().ok_or_else(too_small)?;
    *at_mark = FINAL_MARK.to_be_bytes();
    let (at_number, rest) = rest.split_first_chunk_mut::<4>().ok_or_else(too_small)?;
    *at_number = number_bytes;
    let (at_iv, rest) = rest.split_first_chunk_mut::<IV_BYTES>().ok_or_else(too_small)?;
    *at_iv = number.iv();
    *rest.first_chunk_mut::<4>().ok_or_else(too_small)? = length.to_be_bytes();
    Ok(())
}

/// Longest [`BodyAad`]: id(32), label(35), number(4), length(8).
const BODY_AAD_BYTES_MAX: usize = 32 + 35 + 4 + 8;

/// The additional authenticated data of one frame, on the stack: no allocation for each frame.
pub(crate) struct BodyAad {
    bytes: [u8; BODY_AAD_BYTES_MAX],
    length: usize,
}

impl BodyAad {
    /// The data that binds content of `content_bytes` to its place in its message.
    pub(crate) fn new(
        message_id: &MessageId,
        kind: Kind,
        number: FrameNumber,
        content_bytes: u64,
    ) -> Self {
        let mut aad = Self { bytes: [0; BODY_AAD_BYTES_MAX], length: 0 };
        aad.push(message_id.as_bytes());
        aad.push(kind.label());
        //= data-format/message-body-aad.md#sequence-number
        //# For framed data, the value of this field MUST be the frame sequence number.
        aad.push(&number.get().to_be_bytes());
        //= data-format/message-body-aad.md#content-length
        //# For framed data, this value MUST equal the length, in bytes, of the plaintext being
        //# encrypted in this frame.
        //= data-format/message-body-aad.md#content-length
        //# For non-framed data, this value MUST equal the length, in bytes, of the plaintext data
        //# provided to the algorithm for encryption.
        aad.push(&content_bytes.to_be_bytes());
        aad
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.split_at_checked(self.length).map_or(&[], |(used, _)| used)
    }

    /// Appends `part`; the sizes of the four parts are fixed and add up to the array's size.
    fn push(&mut self, part: &[u8]) {
        let end = self.length.saturating_add(part.len());
        if let Some(room) = self.bytes.get_mut(self.length..end) {
            room.copy_from_slice(part);
            self.length = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::suite::MessageVersion;
    use super::*;

    #[test]
    fn the_longest_authenticated_data_fits() {
        let id = MessageId::fill_with(MessageVersion::V2, |id| {
            id.fill(1);
            Ok(())
        })
        .unwrap();
        let aad = BodyAad::new(&id, Kind::SingleBlock, FrameNumber::LAST, u64::MAX);
        assert_eq!(aad.as_bytes().len(), BODY_AAD_BYTES_MAX);
        assert!(aad.as_bytes().ends_with(&[0xff; 12]));
    }

    //= data-format/message-body.md#encrypted-content-length
    //= type=test
    //# The length MUST NOT be greater than 2^36 - 32, or 64 gibibytes (64 GiB), due to restrictions
    //# imposed by the implemented algorithms.
    #[test]
    fn a_single_block_is_read_up_to_the_bound_of_the_cipher() {
        let prefix = |length: u64| [&[0; IV_BYTES][..], &length.to_be_bytes()].concat();
        let longest = Prefix::parse_single_block(&prefix(SINGLE_BLOCK_BYTES_MAX)).unwrap();
        assert_eq!(longest.content_bytes, SINGLE_BLOCK_BYTES_MAX);
        let error = Prefix::parse_single_block(&prefix(SINGLE_BLOCK_BYTES_MAX + 1)).unwrap_err();
        assert!(matches!(error, Error::LimitExceeded { .. }), "{error}");
    }

    #[test]
    fn prefixes_round_trip() {
        for (kind, content) in [(Kind::Regular, 7), (Kind::Final, 0), (Kind::Final, 7)] {
            let mut frame = [0; FINAL_PREFIX_BYTES];
            let number = FrameNumber::new(3).unwrap();
            write_prefix(&mut frame, kind, number, content).unwrap();
            let prefix = Prefix::parse_framed(&frame, number, 7).unwrap();
            assert_eq!((prefix.kind, prefix.content_bytes), (kind, content as u64));
            assert_eq!(prefix.iv, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]);
        }
    }

    //= client-apis/decrypt.md#decrypt-the-message-body
    //= type=test
    //# If deserializing a final frame, this operation MUST ensure that the length of the encrypted
    //# content field is less than or equal to the frame length deserialized in the message header.
    #[test]
    fn the_prefix_of_a_single_block_round_trips() {
        let mut block = [0; SINGLE_BLOCK_PREFIX_BYTES];
        write_prefix(&mut block, Kind::SingleBlock, FrameNumber::FIRST, 0x0102_0304).unwrap();
        let prefix = Prefix::parse_single_block(&block).unwrap();
        assert_eq!((prefix.kind, prefix.content_bytes), (Kind::SingleBlock, 0x0102_0304));
        assert_eq!(prefix.iv, FrameNumber::FIRST.iv());
        let short = &mut block[..SINGLE_BLOCK_PREFIX_BYTES - 1];
        assert!(write_prefix(short, Kind::SingleBlock, FrameNumber::FIRST, 0).is_err());
    }

    #[test]
    fn a_final_frame_of_the_frame_length_is_read_and_a_longer_one_refused() {
        let mut frame = [0; FINAL_PREFIX_BYTES];
        write_prefix(&mut frame, Kind::Final, FrameNumber::FIRST, 8).unwrap();
        assert!(Prefix::parse_framed(&frame, FrameNumber::FIRST, 8).is_ok());
        let error = Prefix::parse_framed(&frame, FrameNumber::FIRST, 7).unwrap_err();
        assert_eq!(error.region(), Some(Region::FinalFrame(1)));
    }
}
