//! Kernels: the instruction sets, and the loops around them.
//!
//! There is one inner loop (`body::dot`): a block of values, each broadcast, times a panel of
//! lanes, summed over word lines in registers. For vectors that are rows (`rows`), the bit lines lie in
//! lanes and a block is some vectors; for the patches of images (`images`), neighbouring
//! positions lie in lanes and a block is some bit lines. The partial sums of a tile then lie in
//! the first-level cache, where the converter finds them.

#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod body;
mod images;
mod lanes;
mod moves;
mod output;
mod patches;
mod rows;
mod scratch;
mod simd;
mod single;

use body::{Convert, Dot, Linear, Rule, Scattered};
use moves::{Arrange, Order, Piece, Run, Spread};

use super::{Conversions, Input, Product, check::Checked, packed::Packed};
use crate::converter::steps;
use crate::{Converter, ConverterSpec, FullScale, Layout, Tile};

/// An instruction set that this machine has: only [`Isa::available`] and [`Isa::LANES`] make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Isa(Set);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    /// Arrays as lanes.
    Lanes,
    /// AVX2 with FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    /// Arrays as lanes, which every machine has.
    pub(super) const LANES: Self = Self(Set::Lanes);

    /// Those that this machine has, the fastest last.
    pub(super) fn available() -> Vec<Self> {
        let mut found = vec![Self::LANES];
        #[cfg(target_arch = "x86_64")]
        {
            use std::is_x86_feature_detected as has;
            if has!("avx2") && has!("fma") && has!("popcnt") {
                found.push(Self(Set::Avx2));
                if has!("avx512f") && has!("avx512dq") && has!("avx512bw") && has!("avx512vl") {
                    found.push(Self(Set::Avx512));
                }
            }
        }
        found
    }

    /// In reports.
    pub(super) fn name(self) -> &'static str {
        match self.0 {
            Set::Lanes => lanes::PortableLanes::NAME,
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => avx2::Avx2::NAME,
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => avx512::Avx512::NAME,
        }
    }

    /// Multiply-adds without memory: the FLOP of `rounds`, to be timed.
    pub(super) fn spin(self, rounds: usize) -> usize {
        unsafe fn run<K: Kernel>(rounds: usize) -> usize {
            // SAFETY: the caller's promise.
            std::hint::black_box(unsafe { K::spin(rounds, std::hint::black_box(0.5)) });
            rounds * body::SPIN * 2 * K::LANES
        }
        // SAFETY: an `Isa` is only made of what the processor has.
        unsafe {
            match self.0 {
                Set::Lanes => run::<lanes::PortableLanes>(rounds),
                #[cfg(target_arch = "x86_64")]
                Set::Avx2 => run::<avx2::Avx2>(rounds),
                #[cfg(target_arch = "x86_64")]
                Set::Avx512 => run::<avx512::Avx512>(rounds),
            }
        }
    }

    /// Computes a product; `None` where only the definition can.
    pub(super) fn multiply(self, checked: &mut Checked<'_>) -> Option<Conversions> {
        let Checked { layout, packed, product, output, .. } = checked;
        // SAFETY: an `Isa` is only made of what the processor has; the lengths were checked.
        unsafe {
            match self.0 {
                Set::Lanes => multiply::<lanes::PortableLanes>(layout, packed, product, output),
                #[cfg(target_arch = "x86_64")]
                Set::Avx2 => multiply::<avx2::Avx2>(layout, packed, product, output),
                #[cfg(target_arch = "x86_64")]
                Set::Avx512 => multiply::<avx512::Avx512>(layout, packed, product, output),
            }
        }
    }
}

unsafe fn multiply<K: Kernel>(
    layout: &Layout,
    packed: &Packed,
    product: &Product<'_>,
    output: &mut [f32],
) -> Option<Conversions> {
    let conversion = Conversion::new(product.converter);
    // SAFETY: the caller's promise.
    unsafe {
        match product.input {
            Input::Rows { values, rows } => Some(rows::multiply::<K>(
                layout,
                packed,
                values,
                rows,
                &conversion,
                product.accumulate,
                output,
            )),
            Input::Patches { values, samples, geometry } => images::multiply::<K>(
                layout,
                packed.values(),
                (values, samples, geometry),
                &conversion,
                product.accumulate,
                output,
            ),
        }
    }
}

/// An instruction set's functions, and the sizes that suit its registers.
///
/// # Safety
/// Every function needs the instruction set and what the function of the same name in `body` or `moves` needs.
#[allow(clippy::missing_safety_doc, reason = "stated once above")]
trait Kernel {
    const NAME: &'static str;
    /// f32 in a register.
    const LANES: usize;
    /// The largest blocks for panels of 1, 2, 4, 8 registers.
    const BLOCKS: [usize; 4];
    /// The most bit lines for which a panel of positions has 8, and 4 registers.
    const NARROW: [usize; 2];

    unsafe fn dot(vectors: usize, block: usize, d: &Dot);
    unsafe fn convert_rows(c: &Convert) -> u64;
    unsafe fn convert_lanes(vectors: usize, c: &Convert) -> u64;
    unsafe fn scattered(vectors: usize, block: usize, d: &Scattered);
    unsafe fn gather(source: &[f32], offsets: &[usize], runs: &[Run], panel: &mut [f32], width: usize);

    unsafe fn spread(s: &Spread);
    unsafe fn arrange(a: &Arrange);
    unsafe fn collect(pieces: &[Piece], lanes: &[i32], source: *const f32, target: *mut f32);
    unsafe fn spin(rounds: usize, factor: f32) -> f32;

    /// The largest block for a panel of so many registers.
    fn block(vectors: usize) -> usize {
        Self::BLOCKS[vectors.trailing_zeros() as usize]
    }
}

/// Defines a [`Kernel`] whose functions have the given attributes.
macro_rules! isa {
    ($name:ident, $lanes:ty, $text:literal, blocks: $blocks:expr, columns: $columns:expr, $(#[$attribute:meta])*) => {
        /// The instruction set.
        pub(super) struct $name;

        const _: () = {
            use super::body::{self, Convert, Dot, Scattered};
            use super::moves::{self, Arrange, Piece, Run, Spread};

            $(#[$attribute])*
            unsafe fn dot<const BLOCK: usize, const VECTORS: usize>(d: &Dot) {
                // SAFETY: the attributes enable the instructions; the rest is the caller's promise.
                unsafe { body::dot::<$lanes, BLOCK, VECTORS>(d) }
            }

            $(#[$attribute])*
            unsafe fn scattered<const BLOCK: usize, const VECTORS: usize>(d: &Scattered) {
                // SAFETY: as above.
                unsafe { body::scattered::<$lanes, BLOCK, VECTORS>(d) }
            }

            $(#[$attribute])*
            unsafe fn convert_rows(c: &Convert) -> u64 {
                // SAFETY: as above.
                unsafe { body::convert_rows::<$lanes>(c) }
            }

            $(#[$attribute])*
            unsafe fn convert_lanes<const VECTORS: usize>(c: &Convert) -> u64 {
                // SAFETY: as above.
                unsafe { body::convert_lanes::<$lanes, VECTORS>(c) }
            }

            $(#[$attribute])*
            unsafe fn gather(
                source: &[f32],
                offsets: &[usize],
                runs: &[Run],
                panel: &mut [f32],
                width: usize,
            ) {
                moves::gather::<$lanes>(source, offsets, runs, panel, width)
            }

            $(#[$attribute])*
            unsafe fn spread(s: &Spread) {
                // SAFETY: as above.
                unsafe { moves::spread::<$lanes>(s) }
            }

            $(#[$attribute])*
            unsafe fn arrange(a: &Arrange) {
                // SAFETY: as above.
                unsafe { moves::arrange::<$lanes>(a) }
            }

            $(#[$attribute])*
            unsafe fn collect(pieces: &[Piece], lanes: &[i32], source: *const f32, target: *mut f32) {
                // SAFETY: as above.
                unsafe { moves::collect::<$lanes>(pieces, lanes, source, target) }
            }

            $(#[$attribute])*
            unsafe fn spin(rounds: usize, factor: f32) -> f32 {
                // SAFETY: as above.
                unsafe { body::spin::<$lanes>(rounds, factor) }
            }

            impl super::Kernel for $name {
                const NAME: &'static str = $text;
                const LANES: usize = <$lanes as super::simd::Simd>::LANES;
                const BLOCKS: [usize; 4] = $blocks;
                const NARROW: [usize; 2] = $columns;

                unsafe fn dot(vectors: usize, block: usize, d: &Dot) {
                    super::choose!(vectors, block, dot, d;
                        1: 1 2 3 4 5 6 7 8 9 10 11 12 13;
                        2: 1 2 3 4 5 6 7 8 9 10 11 12 13;
                        4: 1 2 3 4 5 6;
                        8: 1 2 3;
                    )
                }

                unsafe fn scattered(vectors: usize, block: usize, d: &Scattered) {
                    super::choose!(vectors, block, scattered, d;
                        1: 1 2 3 4 5 6 7 8 9 10 11 12 13;
                        2: 1 2 3 4 5 6 7 8 9 10 11 12 13;
                        4: 1 2 3 4 5 6;
                        8: 1 2 3;
                    )
                }

                unsafe fn spread(s: &Spread) {
                    // SAFETY: the caller's promise.
                    unsafe { spread(s) }
                }

                unsafe fn arrange(a: &Arrange) {
                    // SAFETY: the caller's promise.
                    unsafe { arrange(a) }
                }

                unsafe fn collect(
                    pieces: &[Piece],
                    lanes: &[i32],
                    source: *const f32,
                    target: *mut f32,
                ) {
                    // SAFETY: the caller's promise.
                    unsafe { collect(pieces, lanes, source, target) }
                }

                unsafe fn spin(rounds: usize, factor: f32) -> f32 {
                    // SAFETY: the caller's promise.
                    unsafe { spin(rounds, factor) }
                }

                unsafe fn convert_rows(c: &Convert) -> u64 {
                    // SAFETY: the caller's promise.
                    unsafe { convert_rows(c) }
                }

                unsafe fn convert_lanes(vectors: usize, c: &Convert) -> u64 {
                    // SAFETY: the caller's promise.
                    unsafe {
                        match vectors {
                            1 => convert_lanes::<1>(c),
                            2 => convert_lanes::<2>(c),
                            4 => convert_lanes::<4>(c),
                            8 => convert_lanes::<8>(c),
                            _ => unreachable!("panels have 1, 2, 4 or 8 registers"),
                        }
                    }
                }

                unsafe fn gather(
                    source: &[f32],
                    offsets: &[usize],
                    runs: &[Run],
                    panel: &mut [f32],
                    width: usize,
                ) {
                    // SAFETY: the caller's promise.
                    unsafe { gather(source, offsets, runs, panel, width) }
                }
            }
        };
    };
}

/// Calls the instance for a panel's registers and a block.
macro_rules! choose {
    ($vectors:ident, $block:ident, $function:ident, $argument:ident; $($v:literal: $($b:literal)*;)*) => {
        match ($vectors, $block) {
            // SAFETY: the caller's promise.
            $($(($v, $b) => unsafe { $function::<$b, $v>($argument) },)*)*
            _ => unreachable!("a block of {} with {} registers", $block, $vectors),
        }
    };
}

use {choose, isa};

/// A tile's bit lines that have a range each: `1 / step` and the step of each, then zeros to fill a register.
struct Lines {
    inverses: Vec<f32>,
    sizes: Vec<f32>,
}

impl Lines {
    fn new(full_scales: &[f32], bits: u32) -> Self {
        let steps = full_scales.iter().map(|&full_scale| steps(full_scale, bits));
        let (mut inverses, mut sizes): (Vec<f32>, Vec<f32>) = steps.unzip();
        let len = full_scales.len() + 16;
        inverses.resize(len, 0.0);
        sizes.resize(len, 0.0);
        Self { inverses, sizes }
    }
}

/// What a converter does to a tile.
enum Conversion<'a> {
    /// A rule that kernels know, for the tile of this number and width.
    Known(Known),
    /// The converter's own method.
    Own(&'a dyn Converter),
}

enum Known {
    Ideal,
    Fixed(Linear, f32),
    PerTile(Linear, std::sync::Arc<[f32]>),
    PerLine(Linear, Vec<Lines>),
    Dynamic(Linear),
}

impl<'a> Conversion<'a> {
    fn new(converter: &'a dyn Converter) -> Self {
        let linear = |bits: u32| {
            let half = 2.0f32.powi(bits as i32 - 1);
            Linear { bits, low: -half, high: half - 1.0 }
        };
        Self::Known(match converter.descriptor() {
            Some(ConverterSpec::Ideal) => Known::Ideal,
            Some(ConverterSpec::Linear { bits, full_scale }) => match full_scale {
                FullScale::Fixed(full_scale) => Known::Fixed(linear(bits), full_scale),
                FullScale::PerTile(list) => Known::PerTile(linear(bits), list),
                FullScale::Dynamic { overflow_rate: 0.0 } => Known::Dynamic(linear(bits)),
                FullScale::PerLine(tiles) => {
                    Known::PerLine(linear(bits), tiles.iter().map(|lines| Lines::new(lines, bits)).collect())
                }
                FullScale::Dynamic { .. } => return Self::Own(converter),
            },
            None => return Self::Own(converter),
        })
    }

    fn is_ideal(&self) -> bool {
        matches!(self, Self::Known(Known::Ideal))
    }

    /// A tile's bit lines need not be converted together.
    fn is_separable(&self) -> bool {
        matches!(self, Self::Known(Known::Ideal | Known::Fixed(..) | Known::PerTile(..) | Known::PerLine(..)))
    }

    /// The rule for one tile's bit lines from `first` on, or the converter that is its own rule.
    fn rule(&self, tile: &Tile, first: usize) -> Result<Rule<'_>, &'a dyn Converter> {
        Ok(match self {
            Self::Known(Known::Ideal) => Rule::Ideal,
            Self::Known(Known::Fixed(linear, full_scale)) => {
                Rule::Fixed { linear: *linear, full_scale: *full_scale }
            }
            Self::Known(Known::PerTile(linear, list)) => {
                Rule::Fixed { linear: *linear, full_scale: list[tile.index] }
            }
            Self::Known(Known::PerLine(linear, tiles)) => {
                let Lines { inverses, sizes } = &tiles[tile.index];
                Rule::Lines { linear: *linear, inverses: &inverses[first..], sizes: &sizes[first..] }
            }
            Self::Known(Known::Dynamic(linear)) => Rule::Dynamic { linear: *linear },
            Self::Own(converter) => return Err(*converter),
        })
    }
}

/// Word lines that are summed before the next block of vectors has its turn: what they need
/// stays in the first-level cache.
const DEPTH: usize = 256;

/// The sizes of the least number of nearly equal parts of `n`, none above `most`: `(start, size)`.
fn parts(n: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let (count, size, longer) = if n <= most {
        (1, n, 0)
    } else {
        let count = n.div_ceil(most.max(1));
        (count, n / count, n % count)
    };
    (0..count).map(move |i| (i * size + i.min(longer), size + usize::from(i < longer)))
}
