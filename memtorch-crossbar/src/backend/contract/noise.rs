use std::ops::Range;
use std::sync::Arc;

use memtorch_devices::Stream;

use super::{Random, tile};
use crate::backend::{ArrayBackend, CpuBackend, SumNoise, Switching, Variance};
use crate::{CrossbarError, Layout, Telegraph, TileShape};

/// Noise on sums of random shapes has the bits of the CPU's.
///
/// # Errors
/// It is not: the backend and the case.
pub fn noise(backends: &[Arc<dyn ArrayBackend>], cases: Range<u64>) -> Result<(), String> {
    for case in cases {
        let mut random = Random(3_000_000 + case);
        let (groups, rows) = (random.pick(&[1, 1, 2, 3]), random.pick(&[1, 3, 4, 5, 16, 33, 70]));
        let columns = random.pick(&[1, 2, 7, 16, 33, 60]);
        let layout = Layout::new(groups, rows, columns, tile(&mut random)).unwrap();
        let row = random.below(layout.tile_rows());
        let vectors = random.pick(&[1, 2, 5, 14]);
        let size = layout.tile_shape()[0];
        let lines = size.min(rows - row * size);
        let shape = TileShape::Sized { word_lines: lines, bit_lines: layout.tile_shape()[1] };
        let block = Layout::new(groups, lines, columns, shape).unwrap();
        let places: Vec<[u32; 2]> =
            (0..vectors).map(|_| [random.next() as u32, random.next() as u32]).collect();
        let width = groups * columns;
        // Square amperes, with columns without any.
        let positive =
            |random: &mut Random, n: usize| -> Vec<f32> { (0..n).map(|_| random.value().max(0.0)).collect() };
        let constants: Vec<f64> =
            positive(&mut random, width).into_iter().map(|c| 1e-6 * f64::from(c)).collect();
        let (matrix, values) =
            (positive(&mut random, block.device_count()), positive(&mut random, vectors * groups * lines));
        let conductances: Vec<f64> =
            (0..layout.device_count()).map(|_| 1e-3 * f64::from(random.value())).collect();
        let old: Vec<f32> = random.values(vectors * width, random.0 as usize % 2);
        let (variances, switches) = (random.below(3), random.below(3) == 0);
        let normal = variances > 0 || !switches;
        let none = vec![0.0; width];
        let telegraph = Telegraph { amplitude: 0.3, high: 0.4, devices: 1.0 };
        let run = |backend: &dyn ArrayBackend| {
            let fail = |error: CrossbarError| format!("case {case}: {backend:?}: {error}");
            let operand = backend.pack(&block, &matrix).map_err(fail)?;
            let noise = |seed: u64| SumNoise {
                layout: &layout,
                row,
                stream: Stream::root(seed, 0),
                places: &places,
                constants: if normal { &constants } else { &none },
                variances: vec![Variance { scale: 1e-6, operand: &operand, values: &values }; variances],
                telegraph: switches.then_some(Switching {
                    telegraph,
                    conductances: &conductances,
                    volts: &values,
                }),
            };
            let mut sums = old.clone();
            backend.add_noise(&[noise(case), noise(case + 1)], &mut sums).map_err(fail)?;
            Ok::<_, String>(sums)
        };
        let expected = run(&CpuBackend::portable())?;
        for backend in backends {
            let found = run(&**backend)?;
            for (at, (x, y)) in found.iter().zip(&expected).enumerate() {
                if x.to_bits() != y.to_bits() {
                    return Err(format!(
                        "case {case}, row {row} of {layout:?}: {backend:?}: sum {at} is not that of the definition: \
                         {x:e}, not {y:e}"
                    ));
                }
            }
        }
    }
    Ok(())
}
