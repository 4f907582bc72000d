//! What kernels take by value: the twins of the structures in `kernels/`.

use std::borrow::Cow;

use memtorch_crossbar::{ConverterSpec, FullScale, Layout, PatchGeometry};

/// `Shape` of `common.cuh`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) groups: u32,
    pub(crate) rows: u32,
    pub(crate) columns: u32,
    pub(crate) word_lines: u32,
    pub(crate) bit_lines: u32,
    pub(crate) first_tile_row: u32,
    pub(crate) tile_rows: u32,
    pub(crate) vectors: u32,
    pub(crate) first_vector: u32,
    pub(crate) positions: u32,
}

impl Shape {
    /// All tile rows, no vectors yet.
    pub(crate) fn new(layout: &Layout) -> Self {
        // A tile may be larger than its matrix, by any number; what is beyond it is not in use.
        let line = |tile: usize, matrix: usize| tile.min(matrix) as u32;
        let [word_lines, bit_lines] = layout.tile_shape();
        Self {
            groups: layout.groups() as u32,
            rows: layout.rows() as u32,
            columns: layout.columns() as u32,
            word_lines: line(word_lines, layout.rows()),
            bit_lines: line(bit_lines, layout.columns()),
            first_tile_row: 0,
            tile_rows: layout.tile_rows() as u32,
            vectors: 0,
            first_vector: 0,
            positions: 1,
        }
    }
}

/// `Rule` of `common.cuh`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    overflow_rate: f64,
    kind: u32,
    bits: u32,
    full_scale: f32,
    unused: u32,
}

impl Rule {
    /// Currents as they are.
    pub(crate) const IDEAL: Self = Self { overflow_rate: 0.0, kind: 0, bits: 2, full_scale: 0.0, unused: 0 };

    /// The rule of a converter that a kernel knows.
    pub(crate) fn new(converter: &ConverterSpec) -> Option<Self> {
        let ConverterSpec::Linear { bits, full_scale } = converter else {
            return matches!(converter, ConverterSpec::Ideal).then_some(Self::IDEAL);
        };
        let rule = Self { bits: *bits, ..Self::IDEAL };
        Some(match full_scale {
            FullScale::Fixed(full_scale) => Self { kind: 1, full_scale: *full_scale, ..rule },
            FullScale::PerTile(_) => Self { kind: 2, ..rule },
            FullScale::Dynamic { overflow_rate } => Self { kind: 3, overflow_rate: *overflow_rate, ..rule },
            FullScale::PerLine(_) => Self { kind: 4, ..rule },
            _ => return None,
        })
    }

    /// The full scales of a converter as kernels want them: one a tile; or one a column for each row of tiles.
    pub(crate) fn scales<'a>(converter: &'a ConverterSpec, layout: &Layout) -> Cow<'a, [f32]> {
        match converter {
            ConverterSpec::Linear { full_scale: FullScale::PerTile(list), .. } => Cow::Borrowed(list),
            ConverterSpec::Linear { full_scale: FullScale::PerLine(tiles), .. } => {
                let columns = layout.groups() * layout.columns();
                let mut scales = vec![0.0; layout.tile_rows() * columns];
                for (tile, lines) in layout.tiles().zip(tiles.iter()) {
                    let row = tile.index % layout.tile_rows();
                    let at = row * columns + tile.group * layout.columns() + tile.column;
                    scales[at..at + lines.len()].copy_from_slice(lines);
                }
                Cow::Owned(scales)
            }
            _ => Cow::Borrowed(&[]),
        }
    }

    pub(crate) fn is_ideal(&self) -> bool {
        self.kind == 0
    }

    pub(crate) fn is_dynamic(&self) -> bool {
        self.kind == 3
    }
}

/// `Geometry` of `gather.cu`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    channels: u64,
    input: [u64; 3],
    kernel: [u64; 3],
    stride: [u64; 3],
    dilation: [u64; 3],
    padding: [u64; 3],
    output: [u64; 3],
}

impl Geometry {
    pub(crate) fn new(geometry: &PatchGeometry) -> Self {
        let wide = |sizes: [usize; 3]| sizes.map(|n| n as u64);
        Self {
            channels: geometry.channels as u64,
            input: wide(geometry.input),
            kernel: wide(geometry.kernel),
            stride: wide(geometry.stride),
            dilation: wide(geometry.dilation),
            padding: wide(geometry.padding),
            output: wide(geometry.output),
        }
    }
}

/// The address of an argument, as a launch wants it.
macro_rules! arguments {
    ($($value:expr),* $(,)?) => {
        &[$((&raw const $value).cast_mut().cast::<std::ffi::c_void>()),*]
    };
}
pub(crate) use arguments;
