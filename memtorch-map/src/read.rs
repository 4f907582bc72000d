//! From programmed arrays to operands of a backend.

use std::borrow::Cow;

use memtorch_crossbar::passive::{TileCircuit, Wiring, effective_block};
use memtorch_crossbar::{Accumulate, Array, ArrayBackend, Layout, Operand};
use ndarray::ArrayView2;
use rayon::prelude::*;

use crate::MapError;
use crate::hardware::{Hardware, ReadMode};
use crate::placement::Placement;
use crate::remap::Arrangement;
use crate::scheme::Minus;

/// One product of a read, and what becomes of its result.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) operand: Operand,
    pub(crate) accumulate: Accumulate,
    /// Whether the operand has reference columns, whose results are subtracted from those of their tiles.
    pub(crate) with_reference: bool,
}

/// The products of one term of the scheme, whose sum has this weight.
#[derive(Clone, Debug)]
pub(crate) struct WeighedReads {
    pub(crate) weight: f32,
    pub(crate) reads: Vec<Read>,
}

/// Packs what the scheme's terms read. Differences are formed in f64 and rounded once to f32.
pub(crate) fn pack(
    arrays: &[Array],
    (placement, arrangement): (&Placement, Option<&Arrangement>),
    hardware: &Hardware,
    backend: &dyn ArrayBackend,
) -> Result<Vec<WeighedReads>, MapError> {
    let (on, off) = (1.0 / hardware.device.model.r_on(), 1.0 / hardware.device.model.r_off());
    let operand = |layout: &Layout, values: &mut dyn Iterator<Item = f64>| {
        let values: Vec<f32> = values.map(|g| g as f32).collect();
        backend.pack(layout, &values)
    };
    let (physical, layout) = (&placement.physical, &placement.read);
    let mut terms = Vec::new();
    let effective: Vec<Cow<'_, [f64]>> =
        arrays.iter().map(|array| effective(array, physical, hardware)).collect::<Result<_, _>>()?;
    let effective: Vec<Cow<'_, [f64]>> = match arrangement {
        None => effective,
        Some(order) => effective.iter().map(|g| Cow::Owned(order.weights(physical, g))).collect(),
    };
    // What of an array the read layout has.
    let own: Vec<Cow<'_, [f64]>> = effective.iter().map(|array| weights_only(array, placement)).collect();
    for term in hardware.scheme.terms() {
        let (array, each) = (&*own[term.array], hardware.adc.read == ReadMode::Each);
        let read = |layout, values: &mut dyn Iterator<Item = f64>, accumulate| {
            Ok::<_, MapError>(Read { operand: operand(layout, values)?, accumulate, with_reference: false })
        };
        let minus: Option<Box<dyn Iterator<Item = f64>>> = match term.minus {
            Minus::Nothing => None,
            Minus::Array(other) => Some(Box::new(own[other].iter().copied())),
            Minus::State(state) => {
                let mirror = off + (on - off) * state;
                Some(Box::new(std::iter::repeat_n(mirror, array.len())))
            }
            Minus::Reference if !each => Some(Box::new(references(&effective[term.array], placement))),
            Minus::Reference | Minus::ConvertedReference => {
                let mut all = effective[term.array].iter().copied();
                let read = Read { with_reference: true, ..read(physical, &mut all, Accumulate::Set)? };
                terms.push(WeighedReads { weight: term.weight, reads: vec![read] });
                continue;
            }
        };
        let reads = match minus {
            None => vec![read(layout, &mut array.iter().copied(), Accumulate::Set)?],
            Some(minus) if !each => {
                vec![read(layout, &mut array.iter().zip(minus).map(|(g, m)| g - m), Accumulate::Set)?]
            }
            Some(mut minus) => vec![
                read(layout, &mut array.iter().copied(), Accumulate::Set)?,
                read(layout, &mut minus, Accumulate::Subtract)?,
            ],
        };
        terms.push(WeighedReads { weight: term.weight, reads });
    }
    Ok(terms)
}

/// The devices of an array without those of its reference columns, in the order of the read layout.
fn weights_only<'a>(array: &'a [f64], placement: &Placement) -> Cow<'a, [f64]> {
    if !placement.has_reference() {
        return Cow::Borrowed(array);
    }
    let lines = placement.physical.tiles().flat_map(|tile| array[tile.range()].chunks_exact(tile.bit_lines));
    Cow::Owned(lines.flat_map(|line| &line[..line.len() - 1]).copied().collect())
}

/// For each device of the read layout, the device of the reference column on its word line and tile.
fn references<'a>(array: &'a [f64], placement: &'a Placement) -> impl Iterator<Item = f64> + 'a {
    let lines = placement.physical.tiles().flat_map(|tile| array[tile.range()].chunks_exact(tile.bit_lines));
    lines.flat_map(|line| std::iter::repeat_n(line[line.len() - 1], line.len() - 1))
}

/// What an array's terminals see, in the order of the layout: its conductances, or with wires those of
/// its tiles' circuits. Every physical array is a circuit of its own.
fn effective<'a>(array: &'a Array, layout: &Layout, hardware: &Hardware) -> Result<Cow<'a, [f64]>, MapError> {
    let wires = &hardware.wires;
    if wires.is_ideal() {
        return Ok(Cow::Borrowed(array.conductances()));
    }
    let circuit = TileCircuit {
        shape: layout.tile_shape(),
        unused_conductance: 1.0 / hardware.device.model.r_off(),
        unused: wires.unused,
        wiring: Wiring::new(wires.source_resistance, wires.line_resistance),
        transistor_resistance: wires.transistor_resistance,
    };
    let tiles: Vec<Result<Vec<f64>, MapError>> = (0..layout.tile_count())
        .into_par_iter()
        .map(|index| {
            let tile = layout.tile(index);
            let shape = (tile.word_lines, tile.bit_lines);
            // A tile's range has as many devices as its lines cross.
            let used = ArrayView2::from_shape(shape, &array.conductances()[tile.range()])
                .expect("a tile is a block of the layout");
            let effective = effective_block(used, &circuit)?;
            Ok(effective.iter().copied().collect())
        })
        .collect();
    let mut all = Vec::with_capacity(layout.device_count());
    for tile in tiles {
        all.extend(tile?);
    }
    Ok(Cow::Owned(all))
}
