//! Random numbers that are a function of where they are used.
//!
//! Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3, SC 2011)
//! maps a 128-bit counter and a 64-bit key to 128 random bits. A [`Stream`] is a key; its counter is
//! the place of a draw (tile, word line, bit line, or device and step) and the number of the draw
//! there. So a draw does not depend on what was drawn before it, on threads or on batch size, and a
//! GPU kernel can make the same one.

use rand_core::{Infallible, TryRng};

use crate::kernel::{Loop, widest};

const MULTIPLIER: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Philox4x32 with ten rounds.
#[inline]
pub fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let [mut k0, mut k1] = key;
    for round in 0..10 {
        if round > 0 {
            k0 = k0.wrapping_add(WEYL[0]);
            k1 = k1.wrapping_add(WEYL[1]);
        }
        let low = u64::from(MULTIPLIER[0]) * u64::from(c0);
        let high = u64::from(MULTIPLIER[1]) * u64::from(c2);
        (c0, c1, c2, c3) =
            ((high >> 32) as u32 ^ c1 ^ k0, high as u32, (low >> 32) as u32 ^ c3 ^ k1, low as u32);
    }
    [c0, c1, c2, c3]
}

/// [`philox4x32`] of several counters at a time, word by word: the lower halves of the numbers, whose upper halves
/// are not looked at.
#[inline(always)]
#[allow(
    clippy::needless_range_loop,
    reason = "counted loops over arrays are what the compiler turns into vector instructions"
)]
pub fn philox4x32_lanes<const W: usize>(
    [mut a, mut b, mut c, mut d]: [[u64; W]; 4],
    key: [u32; 2],
) -> [[u64; W]; 4] {
    const LOW: u64 = 0xffff_ffff;
    let [mut k0, mut k1] = key;
    for round in 0..10 {
        if round > 0 {
            k0 = k0.wrapping_add(WEYL[0]);
            k1 = k1.wrapping_add(WEYL[1]);
        }
        for lane in 0..W {
            let low = (a[lane] & LOW) * u64::from(MULTIPLIER[0]);
            let high = (c[lane] & LOW) * u64::from(MULTIPLIER[1]);
            a[lane] = (high >> 32) ^ b[lane] ^ u64::from(k0);
            b[lane] = high;
            c[lane] = (low >> 32) ^ d[lane] ^ u64::from(k1);
            d[lane] = low;
        }
    }
    [a, b, c, d]
}

/// The 64-bit FNV-1a hash of a name: the same on every machine and in every version.
pub fn stable_hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A family of random numbers: one key of the generator.
///
/// Streams form a tree: [`Stream::root`] is the seed and the repeat, [`Stream::child`] and
/// [`Stream::named`] go down by purpose, by index in a list, by layer name, by array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stream {
    key: [u32; 2],
}

impl Stream {
    /// The stream of an experiment's seed and of one of its repeats.
    pub fn root(seed: u64, repeat: u64) -> Self {
        let seed = Self { key: split(seed) };
        seed.child(repeat)
    }

    /// The stream under this one with a number: an index in a list, an array.
    pub fn child(self, label: u64) -> Self {
        let [low, high] = split(label);
        // The last two counter words tell key derivation from draws at most places: the third is
        // beyond any bit line and the fourth beyond any number of draws.
        let words = philox4x32([low, high, u32::MAX, u32::MAX], self.key);
        Self { key: [words[0], words[1]] }
    }

    /// The stream under this one with a name: a purpose, a layer, a parameter.
    pub fn named(self, name: &str) -> Self {
        self.child(stable_hash(name))
    }

    /// The generator of a place: `[tile, word line, bit line]` of a crossbar, or
    /// `[low, high, 0]` words of a device's index.
    #[inline]
    pub fn at(self, place: [u32; 3]) -> StreamRng {
        StreamRng { key: self.key, place, block: 0, words: [0; 4], used: 4 }
    }

    /// The first 128 bits at each of many places, for [`Stream::at_with`]: made together, which is several times as fast.
    pub fn first_words(self, places: &[[u32; 3]]) -> Vec<[u32; 4]> {
        let mut words = vec![[0; 4]; places.len()];
        widest(FirstWords { key: self.key, places, words: &mut words });
        words
    }

    /// [`Stream::at`], where its first 128 bits are known.
    #[inline]
    pub fn at_with(self, place: [u32; 3], words: [u32; 4]) -> StreamRng {
        StreamRng { key: self.key, place, block: 1, words, used: 0 }
    }

    /// The raw 128 bits of draw number `draw` at a place.
    #[inline]
    pub fn words(self, place: [u32; 3], draw: u32) -> [u32; 4] {
        philox4x32([place[0], place[1], place[2], draw], self.key)
    }

    /// Two independent standard normal numbers from one block of random bits at a place, by the transform of
    /// Box and Muller (Ann. Math. Stat. 29, 1958).
    ///
    /// The uniform number under the logarithm has 53 bits and lies in (0, 1], so that no magnitude exceeds 8.6.
    #[inline]
    pub fn normals(self, place: [u32; 3], draw: u32) -> [f64; 2] {
        const SCALE: f64 = 1.0 / (1u64 << 53) as f64;
        let [a, b, c, d] = self.words(place, draw);
        let bits = |low: u32, high: u32| (u64::from(low) | u64::from(high) << 32) >> 11;
        let radius = (-2.0 * ((bits(a, b) + 1) as f64 * SCALE).ln()).sqrt();
        let (sine, cosine) = (std::f64::consts::TAU * (bits(c, d) as f64 * SCALE)).sin_cos();
        [radius * cosine, radius * sine]
    }

    /// The two words of the generator's key, for kernels that draw by themselves.
    pub fn key(self) -> [u32; 2] {
        self.key
    }
}

/// A random number generator at one place of a [`Stream`].
///
/// It implements the traits of `rand_core`, so that every distribution of `rand_distr` can draw
/// from it. After 2^34 words it starts again.
#[derive(Clone, Debug)]
pub struct StreamRng {
    key: [u32; 2],
    place: [u32; 3],
    block: u32,
    words: [u32; 4],
    used: usize,
}

impl StreamRng {
    #[inline]
    fn word(&mut self) -> u32 {
        if self.used == 4 {
            let [a, b, c] = self.place;
            self.words = philox4x32([a, b, c, self.block], self.key);
            self.block = self.block.wrapping_add(1);
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }

    /// A uniform number in [0, 1) with 53 random bits.
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        let bits = u64::from(self.word()) | u64::from(self.word()) << 32;
        (bits >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }
}

impl TryRng for StreamRng {
    type Error = Infallible;

    #[inline]
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.word())
    }

    #[inline]
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from(self.word()) | u64::from(self.word()) << 32)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(4) {
            let word = self.word().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Ok(())
    }
}

fn split(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

struct FirstWords<'a> {
    key: [u32; 2],
    places: &'a [[u32; 3]],
    words: &'a mut [[u32; 4]],
}

impl Loop for FirstWords<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        const W: usize = 16;
        for (places, words) in self.places.chunks(W).zip(self.words.chunks_mut(W)) {
            let mut counters = [[0; W]; 4];
            for (lane, place) in places.iter().enumerate() {
                for (counter, word) in counters.iter_mut().zip(place) {
                    counter[lane] = u64::from(*word);
                }
            }
            let found = philox4x32_lanes(counters, self.key);
            for (lane, words) in words.iter_mut().enumerate() {
                *words = found.map(|word| word[lane] as u32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of the Random123 distribution (kat_vectors, philox4x32 10).
    #[test]
    fn philox_gives_the_published_vectors() {
        assert_eq!(philox4x32([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            philox4x32([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox4x32([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn neighbouring_streams_are_not_correlated() {
        let streams = [
            Stream::root(0, 0),
            Stream::root(0, 1),
            Stream::root(1, 0),
            Stream::root(0, 0).child(0),
            Stream::root(0, 0).child(1),
            Stream::root(0, 0).named("fc1"),
            Stream::root(0, 0).named("fc2"),
        ];
        let n = 20_000;
        let draws: Vec<Vec<f64>> =
            streams.iter().map(|s| (0..n).map(|i| s.at([0, i, 0]).uniform() - 0.5).collect()).collect();
        for i in 0..draws.len() {
            for j in 0..i {
                let product: f64 = draws[i].iter().zip(&draws[j]).map(|(a, b)| a * b).sum();
                let correlation = 12.0 * product / f64::from(n);
                // Five standard deviations of an uncorrelated pair.
                assert!(correlation.abs() < 5.0 / f64::from(n).sqrt(), "{i} {j} {correlation}");
            }
        }
    }

    #[test]
    fn first_words_made_together_are_those_of_each_place() {
        let stream = Stream::root(7, 3).named("layer");
        let places: Vec<[u32; 3]> = (0..37u32).map(|i| [i << 27, u32::MAX - i, i]).collect();
        for (place, words) in places.iter().zip(stream.first_words(&places)) {
            let (mut found, mut expected) = (stream.at_with(*place, words), stream.at(*place));
            // Odd numbers of words over several blocks.
            let words = |rng: &mut StreamRng| [(); 11].map(|()| rng.word());
            assert_eq!(words(&mut found), words(&mut expected), "{place:?}");
        }
    }

    #[test]
    fn a_draw_depends_on_its_place_only() {
        let stream = Stream::root(7, 3).named("layer");
        let later = stream.at([1, 2, 3]).uniform();
        let _ = stream.at([0, 0, 0]).uniform();
        assert_eq!(later, stream.at([1, 2, 3]).uniform());
        assert_ne!(later, stream.at([1, 3, 2]).uniform());
    }
}
