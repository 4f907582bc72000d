//! From programmed arrays to operands of a backend.

use std::borrow::Cow;

use memtorch_crossbar::passive::{NonlinearTile, TileCircuit, Wiring};
use memtorch_crossbar::{Accumulate, Array, ArrayBackend, Layout, Operand};
use ndarray::ArrayView2;

use crate::explicit::{Explicit, NoiseParts, Other, OtherKind};
use crate::feature::{Feature, Power};
use crate::hardware::{Hardware, ReadMode};
use crate::placement::Placement;
use crate::remap::Arrangement;
use crate::scheme::Minus;
use crate::stacked::Stacked;
use crate::{MapError, Usage};

/// One conversion of a read, and what becomes of its result.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) currents: Currents,
    /// How what is converted lies on tiles.
    pub(crate) layout: Layout,
    pub(crate) accumulate: Accumulate,
    /// Whether the results of reference columns are among those of the others, to be subtracted from them.
    pub(crate) with_reference: bool,
}

/// How the currents of a conversion are found.
#[derive(Clone, Debug)]
pub(crate) enum Currents {
    /// A function of the voltages times a matrix.
    Product(Feature, Operand),
    /// A sum of such products.
    Stacked(Stacked),
    /// Partial sums one by one.
    Explicit(Explicit),
}

/// The products of one term of the scheme, whose sum has this weight.
#[derive(Clone, Debug)]
pub(crate) struct WeighedReads {
    pub(crate) weight: f32,
    pub(crate) reads: Vec<Read>,
}

/// How what is converted lies on tiles, read by read.
pub(crate) fn layouts(terms: &[WeighedReads]) -> Vec<Layout> {
    terms.iter().flat_map(|term| &term.reads).map(|read| read.layout).collect()
}

/// A current that flows into a converter.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// Of the columns of an array.
    Array(usize),
    /// Of an ideal mirror: so many siemens times the sum of the voltages.
    Mirror(f64),
}

/// What becomes of the reference columns of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum References {
    /// They are not read.
    Unread,
    /// Their currents are subtracted from those of the other columns of their tiles.
    Subtracted,
    /// They are converted as all others.
    Converted,
}

/// Packs what the scheme's terms read. Differences are formed in f64 and rounded once to f32.
pub(crate) fn pack(
    arrays: &[Array],
    (placement, arrangement, usage): (&Placement, Option<&Arrangement>, &Usage),
    hardware: &Hardware,
    backend: &dyn ArrayBackend,
) -> Result<Vec<WeighedReads>, MapError> {
    let (on, off) = (1.0 / hardware.device.model.r_on(), 1.0 / hardware.device.model.r_off());
    let effective: Vec<Cow<'_, [f64]>> = arrays
        .iter()
        .map(|array| effective(array, &placement.physical, hardware, backend))
        .collect::<Result<_, _>>()?;
    let channel = usage.channel();
    let pack = Pack { arrays, effective, placement, arrangement, channel, hardware, backend };
    let each = hardware.adc.read == ReadMode::Each;
    let mut terms = Vec::new();
    for term in hardware.scheme.terms() {
        let array = (1.0, Source::Array(term.array));
        let plain = |sources: &[_], accumulate| pack.read(sources, References::Unread, accumulate);
        let minus = match term.minus {
            Minus::Nothing => None,
            Minus::Array(other) => Some(Source::Array(other)),
            Minus::State(state) => Some(Source::Mirror(off + (on - off) * state)),
            Minus::Reference | Minus::ConvertedReference => {
                let converted = each || term.minus == Minus::ConvertedReference;
                let references = if converted { References::Converted } else { References::Subtracted };
                let reads = vec![pack.read(&[array], references, Accumulate::Set)?];
                terms.push(WeighedReads { weight: term.weight, reads });
                continue;
            }
        };
        let reads = match minus {
            None => vec![plain(&[array], Accumulate::Set)?],
            Some(minus) if !each => vec![plain(&[array, (-1.0, minus)], Accumulate::Set)?],
            Some(minus) => {
                vec![plain(&[array], Accumulate::Set)?, plain(&[(1.0, minus)], Accumulate::Subtract)?]
            }
        };
        terms.push(WeighedReads { weight: term.weight, reads });
    }
    Ok(terms)
}

/// The devices of an array without those of its reference columns, in the order of the read layout, less those of the
/// references where they are subtracted.
fn read_out(array: &[f64], placement: &Placement, references: References) -> Vec<f64> {
    if !placement.has_reference() || references == References::Converted {
        return array.to_vec();
    }
    let subtracted = references == References::Subtracted;
    let lines = placement.physical.tiles().flat_map(|tile| array[tile.range()].chunks_exact(tile.bit_lines));
    let mut devices = Vec::with_capacity(placement.read.device_count());
    for line in lines {
        let (last, own) = line.split_last().expect("a tile has a bit line");
        devices.extend(own.iter().map(|g| if subtracted { g - last } else { *g }));
    }
    devices
}

/// What a person should know about how these arrays are read.
pub(crate) fn cautions(arrays: &[Array], hardware: &Hardware) -> Vec<String> {
    let noisy = arrays.iter().any(|array| !array.read_effects().noise.is_empty());
    let bent = arrays.iter().any(|array| {
        let effects = array.read_effects();
        !effects.noise.is_empty() && effects.law.as_ref().is_some_and(|law| law.products() != 1)
    });
    let mut cautions = Vec::new();
    if noisy && !hardware.wires.is_ideal() {
        cautions.push("read noise with wires is approximate: that of the effective conductances".to_owned());
    }
    if bent {
        let what = "read noise of nonlinear devices is approximate";
        cautions.push(format!("{what}: that of ohmic devices at the same voltage"));
    }
    cautions
}

struct Pack<'a> {
    arrays: &'a [Array],
    effective: Vec<Cow<'a, [f64]>>,
    placement: &'a Placement,
    arrangement: Option<&'a Arrangement>,
    /// Word lines of one channel.
    channel: usize,
    hardware: &'a Hardware,
    backend: &'a dyn ArrayBackend,
}

impl Pack<'_> {
    /// One conversion of the sum of these currents.
    fn read(
        &self,
        sources: &[(f64, Source)],
        references: References,
        accumulate: Accumulate,
    ) -> Result<Read, MapError> {
        let physical = &self.placement.physical;
        let converted = references == References::Converted;
        let layout = if converted { *physical } else { self.placement.read };
        let mut products: Vec<(Feature, Vec<f64>)> = Vec::new();
        let (mut others, mut noises) = (Vec::new(), Vec::new());
        let mut add = |sign: f64, feature: Feature, matrix: &mut dyn Iterator<Item = f64>| match products
            .iter_mut()
            .find(|(known, _)| known.same(&feature))
        {
            Some((_, sum)) => sum.iter_mut().zip(matrix).for_each(|(sum, g)| *sum += sign * g),
            None => products.push((feature, matrix.map(|g| sign * g).collect())),
        };
        for &(sign, source) in sources {
            let array = match source {
                Source::Mirror(g) => {
                    let devices = physical.device_count();
                    add(sign, Feature::VOLTAGE, &mut std::iter::repeat_n(g, devices));
                    continue;
                }
                Source::Array(array) => array,
            };
            let effects = self.arrays[array].read_effects();
            match &effects.law {
                None => {
                    add(sign, Feature::VOLTAGE, &mut self.of_weights(&self.effective[array]).iter().copied())
                }
                Some(law) => {
                    self.check(law.limit())?;
                    if self.hardware.wires.is_ideal() && law.products() > 0 {
                        for k in 0..law.products() {
                            let feature = Feature { law: Some((law.clone(), k)), power: Power::One };
                            let matrix = law.coefficients(k, self.arrays[array].conductances());
                            add(sign, feature, &mut self.of_weights(&matrix).iter().copied());
                        }
                    } else {
                        others.push(Other { sign, law: law.clone(), kind: self.other(array)? });
                    }
                }
            }
            noises.extend(self.noises(sign, array));
        }
        let currents = match products.as_slice() {
            [(feature, matrix)] if others.is_empty() && noises.is_empty() => {
                let devices = read_out(matrix, self.placement, references);
                let values: Vec<f32> = devices.into_iter().map(|g| g as f32).collect();
                Currents::Product(feature.clone(), self.backend.pack(&layout, &values)?)
            }
            [_, ..] if others.is_empty() && noises.is_empty() => {
                let read_out = |(feature, matrix): (Feature, Vec<f64>)| {
                    (feature, read_out(&matrix, self.placement, references))
                };
                let products: Vec<_> = products.into_iter().map(read_out).collect();
                Currents::Stacked(Stacked::new(layout, &products, self.channel, self.backend)?)
            }
            _ => {
                let subtracted = references == References::Subtracted;
                let shape = (*physical, layout, subtracted);
                Currents::Explicit(Explicit::new(shape, products, others, noises, self.backend)?)
            }
        };
        Ok(Read { currents, layout, accumulate, with_reference: converted && self.placement.has_reference() })
    }

    /// What belongs to the devices of an array, in the order of the weights that they hold.
    fn of_weights<'b>(&self, devices: &'b [f64]) -> Cow<'b, [f64]> {
        match self.arrangement {
            None => Cow::Borrowed(devices),
            Some(order) => Cow::Owned(order.weights(&self.placement.physical, devices)),
        }
    }

    /// A law must hold at every voltage of the inputs.
    fn check(&self, limit: f64) -> Result<(), MapError> {
        let volts = self.hardware.input.max_voltage;
        if volts > limit {
            let expected = format!("at most {limit} V, up to where the currents of the devices are known");
            return Err(MapError::Setting { key: "max_voltage", value: volts.to_string(), expected });
        }
        Ok(())
    }

    /// An array whose currents are no product.
    fn other(&self, array: usize) -> Result<OtherKind, MapError> {
        if self.arrangement.is_some() {
            return Err(MapError::Setting {
                key: "remapping",
                value: format!("{:?}", self.hardware.remapping),
                expected: "none: the currents of these devices depend on where they lie".to_owned(),
            });
        }
        let array = &self.arrays[array];
        if self.hardware.wires.is_ideal() {
            return Ok(OtherKind::Devices(array.conductances().into()));
        }
        let rising = array.read_effects().law.as_ref().is_none_or(|law| law.is_rising());
        if !rising {
            return Err(MapError::Setting {
                key: "line_resistance",
                value: self.hardware.wires.line_resistance.to_string(),
                expected: "no resistance of wires, sources or transistors: the current of these devices \
                           falls somewhere while their voltage rises"
                    .to_owned(),
            });
        }
        let circuit = circuit(&self.placement.physical, self.hardware);
        let tiles = self.placement.physical.tiles().map(|tile| {
            let shape = (tile.word_lines, tile.bit_lines);
            let used = ArrayView2::from_shape(shape, &array.conductances()[tile.range()])
                .expect("a tile is a block of the layout");
            NonlinearTile::new(used, &circuit)
        });
        Ok(OtherKind::Circuits(tiles.collect::<Result<Vec<_>, _>>()?.into()))
    }

    /// The noise of an array whose currents have this sign.
    fn noises(&self, sign: f64, array: usize) -> Vec<NoiseParts> {
        let effects = self.arrays[array].read_effects();
        let conductances = &*self.of_weights(&self.effective[array]);
        let base = match &effects.law {
            Some(law) if law.products() == 1 => Feature { law: Some((law.clone(), 0)), power: Power::One },
            _ => Feature::VOLTAGE,
        };
        let parts = |attached: &memtorch_crossbar::AttachedNoise| {
            let mut variance = [const { Vec::new() }; 3];
            for list in &mut variance {
                list.reserve_exact(conductances.len());
            }
            for g in conductances {
                let of = attached.noise.variance(*g);
                variance.iter_mut().zip(of).for_each(|(list, c)| list.push(c));
            }
            let telegraph = attached.noise.telegraph().map(|telegraph| {
                let traps = attached.stream.named("traps");
                let has = |device: usize| {
                    traps.at(self.placement.physical.place(device)).uniform() < telegraph.devices
                };
                let switching =
                    conductances.iter().enumerate().map(|(d, g)| if has(d) { sign * g } else { 0.0 });
                (telegraph, base.clone(), switching.collect())
            });
            let features = [base.with(Power::Magnitude), base.with(Power::Square)];
            NoiseParts { stream: attached.stream, variance, features, telegraph }
        };
        effects.noise.iter().map(parts).collect()
    }
}

fn circuit(layout: &Layout, hardware: &Hardware) -> TileCircuit {
    let wires = &hardware.wires;
    TileCircuit {
        shape: layout.tile_shape(),
        unused_conductance: 1.0 / hardware.device.model.r_off(),
        unused: wires.unused,
        wiring: Wiring::new(wires.source_resistance, wires.line_resistance),
        transistor_resistance: wires.transistor_resistance,
    }
}

/// What an array's terminals see, in the order of the layout: its conductances, or with wires those of
/// its tiles' circuits. Every physical array is a circuit of its own.
fn effective<'a>(
    array: &'a Array,
    layout: &Layout,
    hardware: &Hardware,
    backend: &dyn ArrayBackend,
) -> Result<Cow<'a, [f64]>, MapError> {
    if hardware.wires.is_ideal() {
        return Ok(Cow::Borrowed(array.conductances()));
    }
    // A tile's range has as many devices as its lines cross.
    let used = layout.tiles().map(|tile| {
        ArrayView2::from_shape((tile.word_lines, tile.bit_lines), &array.conductances()[tile.range()])
            .expect("a tile is a block of the layout")
    });
    let blocks = backend.effective_blocks(&used.collect::<Vec<_>>(), &circuit(layout, hardware))?;
    Ok(Cow::Owned(blocks.iter().flatten().copied().collect()))
}
