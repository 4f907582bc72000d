//! A backend of your own: it keeps each bit line of a tile in one piece, and takes bit lines one after the other.
//!
//! `cargo run --release --example custom_backend` runs the suite that every backend must pass on it, then a matrix.

use std::sync::Arc;

use memtorch::crossbar::backend::{CpuBackend, contract};
use memtorch::crossbar::{
    Accumulate, ArrayBackend, Conversions, ConverterSpec, CrossbarError, Input, Layout, Operand, Product,
};
use memtorch::devices::{CpuPopulations, DeviceSpec, Stream, models};
use memtorch::map::{Hardware, MappedMatrix, Usage, ndarray::Array3};
use memtorch::{BackendEntry, Registry};

const NAME: &str = "bit-lines";

/// What a registry needs to offer it as `--backend bit-lines`.
const ENTRY: BackendEntry = BackendEntry {
    name: NAME,
    open: || Ok(Arc::new(BitLines)),
    open_populations: || Ok(Arc::new(CpuPopulations)),
};

#[derive(Clone, Copy, Debug)]
struct BitLines;

/// A matrix as this backend packs it: tile after tile, `[bit line, word line]`.
struct Packed(Vec<f32>);

impl ArrayBackend for BitLines {
    fn name(&self) -> &'static str {
        NAME
    }

    fn pack(&self, layout: &Layout, values: &[f32]) -> Result<Operand, CrossbarError> {
        if values.len() != layout.device_count() {
            let (found, expected) = (vec![values.len()], vec![layout.device_count()]);
            return Err(CrossbarError::Shape { what: "matrix", found, expected });
        }
        let mut packed = Vec::with_capacity(values.len());
        for tile in layout.tiles() {
            let devices = &values[tile.range()];
            for bit_line in 0..tile.bit_lines {
                packed.extend(devices.iter().skip(bit_line).step_by(tile.bit_lines));
            }
        }
        Ok(Operand::new(*layout, NAME, Arc::new(Packed(packed))))
    }

    fn multiply(
        &self,
        operand: &Operand,
        product: &Product<'_>,
        output: &mut [f32],
    ) -> Result<Conversions, CrossbarError> {
        let (layout, packed) = (operand.layout(), operand.downcast::<Packed>(NAME)?);
        product.check(layout, output.len())?;
        let (rows, columns) = (layout.groups() * layout.rows(), layout.groups() * layout.columns());
        let positions = match product.input {
            Input::Patches { geometry, .. } => geometry.positions(),
            _ => 1,
        };
        let mut done = Conversions::default();
        let mut patch = vec![0.0; rows];
        for at in 0..product.input.vectors() {
            let (sample, position) = (at / positions, at % positions);
            let vector = match product.input {
                Input::Rows { values, .. } => &values[at * rows..][..rows],
                Input::Patches { values, geometry, .. } => {
                    let image = &values[sample * geometry.image_len()..][..geometry.image_len()];
                    geometry.patch(image, position, &mut patch);
                    &patch
                }
                // A kind of input that came after this backend.
                _ => {
                    return Err(CrossbarError::Backend {
                        backend: NAME.to_owned(),
                        why: "rows and patches only".to_owned(),
                    });
                }
            };
            for (column, value) in packed.through_tiles(layout, vector, product, &mut done).iter().enumerate()
            {
                let slot = &mut output[(sample * columns + column) * positions + position];
                *slot = match product.accumulate {
                    Accumulate::Set => *value,
                    Accumulate::Add => *slot + value,
                    Accumulate::Subtract => *slot - value,
                };
            }
        }
        Ok(done)
    }
}

impl Packed {
    /// One vector through all tiles. The order of arithmetic is the interface's: a chain of fused multiply-adds from 0
    /// along the word lines, the converter, then row tiles in ascending order.
    fn through_tiles(
        &self,
        layout: &Layout,
        vector: &[f32],
        product: &Product<'_>,
        done: &mut Conversions,
    ) -> Vec<f32> {
        let ideal = matches!(product.converter.descriptor(), Some(ConverterSpec::Ideal));
        let mut result = vec![0.0f32; layout.groups() * layout.columns()];
        for tile in layout.tiles() {
            let volts = &vector[tile.group * layout.rows() + tile.row..][..tile.word_lines];
            let bit_lines = self.0[tile.range()].chunks_exact(tile.word_lines);
            let sum = |line: &[f32]| volts.iter().zip(line).fold(0.0f32, |sum, (v, g)| v.mul_add(*g, sum));
            let mut sums: Vec<f32> = bit_lines.map(sum).collect();
            if !ideal {
                done.codes += sums.len() as u64;
                done.clipped += product.converter.quantise(&mut sums, &tile) as u64;
            }
            let first = tile.group * layout.columns() + tile.column;
            result[first..].iter_mut().zip(&sums).for_each(|(total, sum)| *total += sum);
        }
        result
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut registry = Registry::with_defaults();
    registry.register_backend(ENTRY)?;
    let backend = (ENTRY.open)()?;
    // The bits of the definition, over random shapes, values and converters.
    let backends = [backend];
    contract::rows(&backends, 0..100, 200_000)?;
    contract::patches(&backends, 0..100, 200_000)?;
    contract::ties(&backends)?;
    println!("{NAME}: the bits of the definition in 200 cases");

    let vteam = models::MODELS.iter().find(|model| model.name == "vteam").ok_or("no VTEAM model")?;
    let hardware = Hardware::new(DeviceSpec::configure(vteam, &Default::default())?);
    let weights = Array3::from_shape_fn((1, 64, 8), |(_, i, o)| ((i * 7 + o * 5) % 19) as f32 / 9.0 - 1.0);
    let mut outputs = Vec::new();
    for backend in backends.into_iter().chain([CpuBackend::shared()]) {
        let stream = Stream::root(0, 0);
        let matrix = MappedMatrix::new("demo", weights.view(), &Usage::Rows, &hardware, stream, backend)?;
        let mut y = [0.0; 8];
        matrix.multiply(Input::Rows { values: &[0.5; 64], rows: 1 }, &mut y)?;
        println!("{:>9}: {y:8.3?}", matrix.backend().name());
        outputs.push(y);
    }
    assert_eq!(outputs[0], outputs[1]);
    Ok(())
}
