//! Where chunks end: FastCDC (Xia et al., IEEE TPDS 2020) over a gear table of the location's own.

use fastcdc::v2020::{MASKS, cut_gear};
use zeroize::Zeroizing;

/// The lengths that chunks may have, in bytes.
///
/// Part of a location's format: other parameters give other chunks, which deduplicate against
/// nothing that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ChunkerParameters {
    /// No chunk is shorter, but for the last one of a file.
    pub bytes_min: u32,
    /// What lengths centre on; a power of two. A file that is no longer is one chunk.
    pub bytes_average: u32,
    /// No chunk is longer.
    pub bytes_max: u32,
}

/// The location's secret from which its gear table is made, 32 bytes.
///
/// A table of one's own keeps chunk lengths from being recognised; it is no proof against
/// someone who can choose what is archived (eprint 2025/532).
pub struct ChunkerKey(Box<Zeroizing<[u8; 32]>>);

/// Files longer than this are cut into longer chunks, so that their lists stay short.
pub const LONG_FILE_BYTES: u64 = 32 << 30;

/// How long files are cut.
const LONG_FILE: ChunkerParameters =
    ChunkerParameters { bytes_min: 1 << 20, bytes_average: 4 << 20, bytes_max: 16 << 20 };

/// The two ways in which a location cuts its files.
pub struct Chunkers {
    usual: Chunker,
    long: Chunker,
}

/// Cuts files into chunks.
pub struct Chunker {
    parameters: ChunkerParameters,
    gear: Zeroizing<Vec<u64>>,
    /// The same, each shifted left once: the algorithm rolls two bytes a step.
    gear_shifted: Zeroizing<Vec<u64>>,
    /// Strict mask before the average length, lenient mask after it.
    masks: (u64, u64),
}

impl Default for ChunkerParameters {
    fn default() -> Self {
        Self { bytes_min: 64 << 10, bytes_average: 256 << 10, bytes_max: 1 << 20 }
    }
}

impl ChunkerParameters {
    /// Whether a chunker can be made of these: even, ascending, within what FastCDC supports.
    #[must_use]
    pub fn are_valid(&self) -> bool {
        let Self { bytes_min, bytes_average, bytes_max } = *self;
        bytes_min.is_multiple_of(2)
            && bytes_max.is_multiple_of(2)
            && bytes_average.is_power_of_two()
            && (64..=1 << 20).contains(&bytes_min)
            && (256..=4 << 20).contains(&bytes_average)
            && (1024..=16 << 20).contains(&bytes_max)
            && bytes_min <= bytes_average
            && bytes_average <= bytes_max
    }
}

impl ChunkerKey {
    /// Takes the key's bytes.
    #[must_use]
    pub fn new(bytes: Box<Zeroizing<[u8; 32]>>) -> Self {
        Self(bytes)
    }

    /// The key's bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Chunkers {
    /// The chunkers with the table that `key` makes; `None` for parameters that are not valid.
    #[must_use]
    pub fn new(key: &ChunkerKey, parameters: ChunkerParameters) -> Option<Self> {
        Some(Self { usual: Chunker::new(key, parameters)?, long: Chunker::new(key, LONG_FILE)? })
    }

    /// The chunker for a file of `size` bytes.
    #[must_use]
    pub fn for_size(&self, size: u64) -> &Chunker {
        if size > LONG_FILE_BYTES { &self.long } else { &self.usual }
    }
}

impl Chunker {
    /// A chunker with the table that `key` makes; `None` for parameters that are not valid.
    #[must_use]
    pub fn new(key: &ChunkerKey, parameters: ChunkerParameters) -> Option<Self> {
        if !parameters.are_valid() {
            return None;
        }
        let gear = gear_table(key);
        let gear_shifted = Zeroizing::new(gear.iter().map(|g| g << 1).collect());
        // Normalised chunking, level 1: one bit stricter before the average, one bit after it
        // more lenient.
        let bits = parameters.bytes_average.ilog2() as usize;
        let mask = |bits: usize| MASKS.get(bits).copied();
        let masks = (mask(bits + 1)?, mask(bits - 1)?);
        Some(Self { parameters, gear, gear_shifted, masks })
    }

    /// The lengths that this chunker keeps to.
    #[must_use]
    pub fn parameters(&self) -> ChunkerParameters {
        self.parameters
    }

    /// The length in bytes of the first chunk of `data`, which must reach to the end of the file
    /// or hold at least `bytes_max` bytes; 0 only when `data` is empty.
    #[must_use]
    pub fn cut(&self, data: &[u8]) -> usize {
        let ChunkerParameters { bytes_min, bytes_average, bytes_max } = self.parameters;
        let (strict, lenient) = self.masks;
        let (_, length) = cut_gear(
            data,
            bytes_min as usize,
            bytes_average as usize,
            bytes_max as usize,
            strict,
            lenient,
            strict << 1,
            lenient << 1,
            &self.gear,
            &self.gear_shifted,
        );
        length
    }
}

/// 256 pseudo-random words: the key's BLAKE3 stream for this one purpose.
fn gear_table(key: &ChunkerKey) -> Zeroizing<Vec<u64>> {
    let mut stream = blake3::Hasher::new_keyed(key.expose());
    stream.update(b"strongroom gear table 1");
    let mut reader = stream.finalize_xof();
    let word = |_| {
        let mut word = [0; 8];
        reader.fill(&mut word);
        u64::from_le_bytes(word)
    };
    Zeroizing::new((0..256).map(word).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chunker(key: u8) -> Chunker {
        let parameters = ChunkerParameters { bytes_min: 64, bytes_average: 256, bytes_max: 1024 };
        Chunker::new(&ChunkerKey::new(Box::new([key; 32].into())), parameters).unwrap()
    }

    fn cuts(chunker: &Chunker, mut data: &[u8]) -> Vec<usize> {
        let mut cuts = Vec::new();
        while !data.is_empty() {
            let length = chunker.cut(data);
            cuts.push(length);
            data = &data[length..];
        }
        cuts
    }

    fn noise(length: usize, seed: u8) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
        bytes
    }

    #[test]
    fn another_key_cuts_elsewhere() {
        let data = noise(1 << 16, 0);
        assert_eq!(cuts(&chunker(1), &data), cuts(&chunker(1), &data));
        assert_ne!(cuts(&chunker(1), &data), cuts(&chunker(2), &data));
    }

    #[test]
    fn an_insertion_moves_only_nearby_cuts() {
        let data = noise(1 << 16, 0);
        let mut changed = data.clone();
        changed.splice(1000..1000, *b"inserted");
        let (before, after) = (cuts(&chunker(1), &data), cuts(&chunker(1), &changed));
        let common = before.iter().rev().zip(after.iter().rev()).take_while(|(a, b)| a == b);
        assert!(common.count() + 10 > before.len(), "{before:?}\n{after:?}");
    }

    #[test]
    fn files_get_longer_chunks_from_one_byte_above_the_limit_on() {
        let chunkers =
            Chunkers::new(&ChunkerKey::new(Box::new([0; 32].into())), ChunkerParameters::default())
                .unwrap();
        let average = |size| chunkers.for_size(size).parameters().bytes_average;
        assert_eq!(average(LONG_FILE_BYTES), 256 << 10);
        assert_eq!(average(LONG_FILE_BYTES + 1), 4 << 20);
    }

    #[test]
    fn unfit_parameters_make_no_chunker() {
        let fit = ChunkerParameters::default();
        for unfit in [
            ChunkerParameters { bytes_min: 63, ..fit },
            ChunkerParameters { bytes_average: 300_000, ..fit },
            ChunkerParameters { bytes_max: (16 << 20) + 2, ..fit },
            ChunkerParameters { bytes_min: 512 << 10, ..fit },
        ] {
            assert!(Chunker::new(&ChunkerKey::new(Box::new([0; 32].into())), unfit).is_none());
        }
    }

    proptest! {
        #[test]
        fn chunks_keep_to_their_limits_and_cover_everything(
            length in 0_usize..20_000, seed: u8,
        ) {
            let lengths = cuts(&chunker(3), &noise(length, seed));
            prop_assert_eq!(lengths.iter().sum::<usize>(), length);
            prop_assert!(lengths.iter().all(|&l| l <= 1024));
            prop_assert!(lengths.iter().rev().skip(1).all(|&l| l >= 64));
        }
    }
}
