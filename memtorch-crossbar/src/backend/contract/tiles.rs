use std::ops::Range;
use std::sync::Arc;

use ndarray::Array2;

use super::Random;
use crate::backend::ArrayBackend;
use crate::passive::{TileCircuit, Unused, Wiring, effective_block};

/// Relative difference that effective conductances of two backends may have.
const BOUND: f64 = 1e-12;

/// Effective conductances of tiles of random sizes, wires and devices are those of the CPU, to a relative 1e-12 of
/// each, however small it is. Tiles have so many
/// `lines` of each kind.
///
/// # Errors
/// They are not: the backend and the case.
pub fn tiles(
    backends: &[Arc<dyn ArrayBackend>],
    cases: Range<u64>,
    lines: Range<usize>,
) -> Result<(), String> {
    for case in cases {
        let mut random = Random(2_000_000 + case);
        let shape = [0, 1].map(|_| lines.start + random.below(lines.len()));
        let resistances = [0.0, 1e-30, 1e-9, 0.3, 2.0, 47.0, 1e4, 1e9];
        let wiring = match random.below(4) {
            0 => Wiring {
                word_left: None,
                word_right: Some(random.pick(&resistances)),
                bit_top: Some(random.pick(&resistances)),
                bit_bottom: None,
                word_line: random.pick(&resistances),
                bit_line: random.pick(&resistances),
            },
            1 if random.below(4) == 0 => Wiring::both_sides(5.0, 1.0),
            _ => Wiring::new(random.pick(&resistances), random.pick(&resistances)),
        };
        let tile = TileCircuit {
            shape,
            unused_conductance: random.pick(&[0.0, 1e-6]),
            unused: random.pick(&[Unused::Full, Unused::Absent]),
            wiring,
            transistor_resistance: random.pick(&[0.0, 0.0, 1e3]),
        };
        // Tiles that fill their matrix, and those at its edges.
        let edge = shape.map(|n| 1 + random.below(n));
        let sizes = [shape, shape, [edge[0], shape[1]], edge];
        let used: Vec<Array2<f64>> = sizes[..1 + random.below(4)]
            .iter()
            .map(|size| {
                Array2::from_shape_simple_fn(*size, || match random.below(12) {
                    0 => 0.0,
                    1 => 1.0,
                    _ => 10f64.powf(-6.0 + 2.0 * f64::from(random.value())),
                })
            })
            .collect();
        let views: Vec<_> = used.iter().map(|used| used.view()).collect();
        for backend in backends {
            let fail = |why: String| format!("case {case}, {sizes:?} of {tile:?}: {backend:?}: {why}");
            let found = backend.effective_blocks(&views, &tile).map_err(|e| fail(e.to_string()))?;
            if found.len() != used.len() {
                return Err(fail(format!("{} of {} blocks", found.len(), used.len())));
            }
            for (found, used) in found.iter().zip(&used) {
                let expected = effective_block(used.view(), &tile).map_err(|e| fail(e.to_string()))?;
                if found.dim() != expected.dim() {
                    return Err(fail(format!("{:?} for {:?}", found.dim(), expected.dim())));
                }
                for ((place, g), h) in found.indexed_iter().zip(&expected) {
                    if !((g - h).abs() <= BOUND * h.abs()) {
                        return Err(fail(format!(
                            "not those of the definition: {g:e}, not {h:e} at {place:?}"
                        )));
                    }
                }
            }
        }
    }
    Ok(())
}
