//! Mapping schemes against physical arrays written out by hand: every tile a table of conductances, references and
//! devices between groups included, every current a sum in f64.

use std::sync::Arc;

use memtorch_crossbar::backend::CpuBackend;
use memtorch_crossbar::{
    Array, CrossbarError, FullScale, Input, LinearConverter, Mask, NonIdeality, Phase, Report,
};
use memtorch_crossbar::{PatchGeometry, TileShape};
use memtorch_devices::{DeviceSpec, Stream, models};
use memtorch_map::{
    BitSliced, DoubleColumn, Entry, GroupPacking, Hardware, MappedMatrix, MappingScheme, OffsetColumn,
    ReadMode, Reference, Remapping, Sign, SingleColumn, Tuning, Usage, Wires,
};
use memtorch_utils::config::{Table, Value};
use ndarray::Array3;

const ON: f64 = 1.0 / 1.4e4;
const OFF: f64 = 1.0 / 2e5;
const ROWS: usize = 37;
const COLUMNS: usize = 20;
const WORD_LINES: usize = 16;
const BIT_LINES: usize = 7;

fn hardware(scheme: Arc<dyn MappingScheme>) -> Hardware {
    let vteam = models::MODELS.iter().find(|m| m.name == "vteam").unwrap();
    let table = Table::from_iter([("r_on", Value::Real(1.0 / ON)), ("r_off", Value::Real(1.0 / OFF))]);
    Hardware {
        tile: TileShape::Sized { word_lines: WORD_LINES, bit_lines: BIT_LINES },
        scheme,
        tuning: Tuning { samples: 0, ..Tuning::default() },
        ..Hardware::new(DeviceSpec::configure(vteam, &table).unwrap())
    }
}

fn random(count: usize, label: u64) -> Vec<f32> {
    let stream = Stream::root(label, 0);
    (0..count).map(|i| (2.0 * stream.at([i as u32, 0, 0]).uniform() - 1.0) as f32).collect()
}

fn map(weights: &Array3<f32>, usage: &Usage, hardware: &Hardware) -> MappedMatrix {
    let backend = Arc::new(CpuBackend::portable());
    MappedMatrix::new("layer", weights.view(), usage, hardware, Stream::root(0, 0), backend).unwrap()
}

/// The converter of the paper in f64, on the currents of one tile for one vector.
fn convert(currents: &[f64], bits: Option<i32>) -> Vec<f64> {
    let Some(bits) = bits else { return currents.to_vec() };
    let largest = currents.iter().fold(0.0f64, |m, i| m.max(i.abs()));
    let (half, full_scale) = (2f64.powi(bits - 1), 2f64.powf(largest.log2().ceil()));
    let step = full_scale / half;
    currents.iter().map(|i| (i / step + 0.5).floor().clamp(-half, half - 1.0) * step).collect()
}

/// What a scheme gives for a tile: the voltages of its word lines and the relative weights `[word line][bit line]`
/// become one number a weight column, in volts times siemens times the relative weight.
type OfTile = dyn Fn(&[f64], &[Vec<f64>], ReadMode, Option<i32>) -> Vec<f64>;

fn current(volts: &[f64], column: impl Fn(usize) -> f64) -> f64 {
    volts.iter().enumerate().map(|(i, v)| v * column(i)).sum()
}

/// Compares every output of a matrix whose tiles have so many weight columns.
fn compare(scheme: Arc<dyn MappingScheme>, weight_columns: usize, of_tile: &OfTile) {
    for (read, bits) in [
        (ReadMode::Difference, None),
        (ReadMode::Each, None),
        (ReadMode::Difference, Some(8)),
        (ReadMode::Each, Some(10)),
    ] {
        let mut hardware = hardware(scheme.clone());
        hardware.adc.read = read;
        if let Some(bits) = bits {
            let range = FullScale::Dynamic { overflow_rate: 0.0 };
            hardware.adc.converter = Arc::new(LinearConverter::new(bits as u32, range).unwrap());
        }
        let weights = Array3::from_shape_vec((1, ROWS, COLUMNS), random(ROWS * COLUMNS, 1)).unwrap();
        let w_max = weights.iter().fold(0.0f64, |m, w| m.max(f64::from(w.abs())));
        let matrix = map(&weights, &Usage::Rows, &hardware);
        let (vectors, x) = (9, random(9 * ROWS, 2));
        let mut y = vec![0.0; vectors * COLUMNS];
        matrix.multiply(Input::Rows { values: &x, rows: vectors }, &mut y).unwrap();
        let mut off = 0;
        for (x, y) in x.chunks(ROWS).zip(y.chunks(COLUMNS)) {
            let scale = x.iter().fold(0.0f64, |m, x| m.max(f64::from(x.abs()))) / 0.3;
            let volts: Vec<f64> = x.iter().map(|x| f64::from(*x) / scale).collect();
            let mut expected = vec![0.0; COLUMNS];
            for row in (0..ROWS).step_by(WORD_LINES) {
                let volts = &volts[row..ROWS.min(row + WORD_LINES)];
                for column in (0..COLUMNS).step_by(weight_columns) {
                    let columns = column..COLUMNS.min(column + weight_columns);
                    let relative: Vec<Vec<f64>> = (0..volts.len())
                        .map(|i| {
                            columns.clone().map(|j| f64::from(weights[[0, row + i, j]]) / w_max).collect()
                        })
                        .collect();
                    let found = of_tile(volts, &relative, read, bits);
                    expected[columns].iter_mut().zip(found).for_each(|(sum, part)| *sum += part);
                }
            }
            let size = expected.iter().fold(0.0f64, |m, y| m.max(y.abs()));
            for (y, expected) in y.iter().zip(&expected) {
                let found = f64::from(*y) / (w_max * scale);
                off += usize::from((found - expected).abs() > 3e-5 * size);
            }
        }
        // A current half way between two codes may round either way in f32.
        let allowed = if bits.is_some() { vectors * COLUMNS / 50 } else { 0 };
        assert!(off <= allowed, "{} {read:?} {bits:?}: {off} outputs differ", scheme.name());
    }
}

/// A column of devices in the middle of the range is subtracted before or after conversion.
fn with_middle_column(volts: &[f64], w: &[Vec<f64>], each: bool, bits: Option<i32>) -> Vec<f64> {
    let own = |j: usize| current(volts, |i| OFF + (ON - OFF) * (w[i][j] + 1.0) / 2.0);
    let mut lines: Vec<f64> = (0..w[0].len()).map(own).collect();
    let reference = current(volts, |_| (ON + OFF) / 2.0);
    let unit = (ON - OFF) / 2.0;
    if !each {
        lines.iter_mut().for_each(|i| *i -= reference);
        return convert(&lines, bits).iter().map(|i| i / unit).collect();
    }
    // The reference is one of the bit lines of the tile: a range holds for it too.
    lines.push(reference);
    let codes = convert(&lines, bits);
    codes[..codes.len() - 1].iter().map(|i| (i - codes[codes.len() - 1]) / unit).collect()
}

#[test]
fn a_reference_column_is_subtracted_where_the_read_mode_says() {
    compare(
        Arc::new(SingleColumn { reference: Reference::Column }),
        BIT_LINES - 1,
        &move |volts, w, read, bits| with_middle_column(volts, w, read == ReadMode::Each, bits),
    );
}

#[test]
fn an_offset_column_is_converted_and_subtracted_digitally() {
    compare(Arc::new(OffsetColumn), BIT_LINES - 1, &move |volts, w, _, bits| {
        with_middle_column(volts, w, true, bits)
    });
}

/// Digits are shifted and added after each slice has been converted.
#[test]
fn bit_slices_in_pairs_are_shifted_and_added() {
    for (bits_per_cell, slices) in [(1u32, 4u32), (2, 4), (4, 2)] {
        let scheme = BitSliced::new(bits_per_cell, slices, Sign::Differential).unwrap();
        compare(Arc::new(scheme), BIT_LINES, &move |volts, w, read, bits| {
            let largest = 2f64.powi((bits_per_cell * slices) as i32) - 1.0;
            let base = 2u32.pow(bits_per_cell);
            let mut sums = vec![0.0; w[0].len()];
            for k in 0..slices {
                let conductance = |weight: f64, sign: f64| {
                    let whole = ((weight * sign).max(0.0) * largest + 0.5).floor() as u32;
                    OFF + (ON - OFF) * f64::from(whole / base.pow(k) % base) / f64::from(base - 1)
                };
                let side = |sign: f64| -> Vec<f64> {
                    (0..w[0].len()).map(|j| current(volts, |i| conductance(w[i][j], sign))).collect()
                };
                let (plus, minus) = (side(1.0), side(-1.0));
                let codes: Vec<f64> = if read == ReadMode::Each {
                    convert(&plus, bits).iter().zip(convert(&minus, bits)).map(|(p, m)| p - m).collect()
                } else {
                    convert(&plus.iter().zip(&minus).map(|(p, m)| p - m).collect::<Vec<_>>(), bits)
                };
                // One siemens of a slice is so many units of the digit.
                let digit = f64::from(base - 1) / (ON - OFF);
                for (sum, code) in sums.iter_mut().zip(codes) {
                    *sum += code * digit * f64::from(base.pow(k)) / largest;
                }
            }
            sums
        });
    }
}

/// The machine's own two's complement: the sign bit is a slice of its own, whose weight is negative.
#[test]
fn bit_slices_in_twos_complement_are_shifted_and_added() {
    for (bits_per_cell, slices) in [(1u32, 6u32), (2, 4)] {
        for reference in [Reference::Mirror, Reference::Column] {
            let scheme = BitSliced::new(bits_per_cell, slices, Sign::TwosComplement(reference)).unwrap();
            let columns = BIT_LINES - usize::from(reference == Reference::Column);
            compare(Arc::new(scheme), columns, &move |volts, w, read, bits| {
                let digits = bits_per_cell * (slices - 1);
                let largest = 2f64.powi(digits as i32) - 1.0;
                let base = 2i64.pow(bits_per_cell);
                let zero = current(volts, |_| OFF);
                let mut sums = vec![0.0; w[0].len()];
                for k in 0..slices {
                    let digit = |weight: f64| {
                        let whole = (weight.abs() * largest + 0.5).floor().copysign(weight) as i64;
                        let bits = whole.rem_euclid(2i64.pow(digits + 1));
                        bits / base.pow(k) % base
                    };
                    let line = |j: usize| {
                        current(volts, |i| OFF + (ON - OFF) * digit(w[i][j]) as f64 / (base - 1) as f64)
                    };
                    let mut lines: Vec<f64> = (0..w[0].len()).map(line).collect();
                    let codes = match (read, reference) {
                        (ReadMode::Each, Reference::Column) => {
                            lines.push(zero);
                            let codes = convert(&lines, bits);
                            codes.iter().map(|i| i - codes[codes.len() - 1]).collect()
                        }
                        (ReadMode::Each, _) => {
                            let zero = convert(&[zero], bits)[0];
                            convert(&lines, bits).iter().map(|i| i - zero).collect()
                        }
                        _ => convert(&lines.iter().map(|i| i - zero).collect::<Vec<_>>(), bits),
                    };
                    let sign = if k + 1 == slices { -1.0 } else { 1.0 };
                    let unit = (base - 1) as f64 / (ON - OFF) * base.pow(k) as f64 / largest;
                    sums.iter_mut().zip(codes).for_each(|(sum, code)| *sum += sign * unit * code);
                }
                sums
            });
        }
    }
}

/// A step that multiplies what the devices conduct where a rule says so.
#[derive(Debug)]
struct Scale(fn(&[u32; 3]) -> f64);

impl NonIdeality for Scale {
    fn name(&self) -> &str {
        "scale"
    }

    fn phase(&self) -> Phase {
        Phase::Programmed
    }

    fn apply(&self, array: &mut Array, _: Stream) -> Result<Report, CrossbarError> {
        let layout = *array.layout();
        for (device, g) in array.conductances_mut().iter_mut().enumerate() {
            *g *= self.0(&layout.place(device));
        }
        Ok(Report::default())
    }
}

/// What goes wrong in the reference column of a tile goes wrong for all of its outputs; other tiles have their own.
#[test]
fn a_reference_column_shares_the_faults_of_its_tile() {
    let weights = Array3::from_elem((1, 2, 8), 0.25f32);
    let mut hardware = hardware(Arc::new(SingleColumn { reference: Reference::Column }));
    // Tiles of six weights and a reference: bit line 6 of tile 0, bit line 2 of tile 1.
    let step = Arc::new(Scale(|place| if place[0] == 0 && place[2] == 6 { 1.1 } else { 1.0 }));
    hardware.nonidealities = vec![Entry::new(step)];
    let matrix = map(&weights, &Usage::Rows, &hardware);
    assert_eq!(matrix.layout().columns(), 10);
    let mut y = [0.0; 8];
    matrix.multiply(Input::Rows { values: &[1.0, 2.0], rows: 1 }, &mut y).unwrap();
    let (middle, unit) = ((ON + OFF) / 2.0, (ON - OFF) / 2.0);
    for (column, y) in y.iter().enumerate() {
        let shift = if column < 6 { 0.25 * 3.0 * 0.1 * middle / unit } else { 0.0 };
        assert!((f64::from(*y) - (0.75 - shift)).abs() < 1e-5, "{column}: {y} {}", 0.75 - shift);
    }
}

/// One device a weight on a tile of two bit lines: the reference lies behind the same wires.
#[test]
fn a_reference_column_shares_the_wires_of_its_tile() {
    let mut hardware = hardware(Arc::new(SingleColumn { reference: Reference::Column }));
    hardware.tile = TileShape::Layer;
    hardware.wires = Wires { source_resistance: 1e3, ..Wires::default() };
    let weights = Array3::from_shape_vec((1, 1, 1), vec![0.5f32]).unwrap();
    let mut y = [0.0];
    let matrix = map(&weights, &Usage::Rows, &hardware);
    matrix.multiply(Input::Rows { values: &[1.0], rows: 1 }, &mut y).unwrap();
    // The weight is the largest: g_on beside the middle, each with its sink resistance, behind one driver.
    let branch = |g: f64| 1.0 / (1.0 / g + 1e3);
    let (own, reference) = (branch(ON), branch((ON + OFF) / 2.0));
    let node = 1.0 / (1.0 + 1e3 * (own + reference));
    let expected = 0.5 * node * (own - reference) / ((ON - OFF) / 2.0);
    assert!((f64::from(y[0]) - expected).abs() < 1e-6, "{} {expected}", y[0]);
}

/// Groups on one tile: the devices between them hold the weight 0, and whatever they conduct is seen.
#[test]
fn groups_on_one_tile_are_a_block_diagonal() {
    let schemes: [(Arc<dyn MappingScheme>, bool); 3] = [
        (Arc::new(DoubleColumn), true),
        (Arc::new(SingleColumn::default()), false),
        (Arc::new(OffsetColumn), false),
    ];
    for (scheme, in_pairs) in schemes {
        let mut hardware = hardware(scheme);
        hardware.packing = GroupPacking::BlockDiagonal;
        hardware.tile = TileShape::Sized { word_lines: 16, bit_lines: 8 };
        let geometry = PatchGeometry {
            channels: 6,
            input: [1, 4, 5],
            kernel: [1, 2, 2],
            stride: [1; 3],
            dilation: [1; 3],
            padding: [0; 3],
            output: [1, 3, 4],
        };
        // Six channels with a 2 x 2 kernel and two outputs each: three groups on a tile.
        let weights = Array3::from_shape_vec((6, 4, 2), random(48, 3)).unwrap();
        let usage = Usage::Patches { geometry, dimensions: 2 };
        let packed = map(&weights, &usage, &hardware);
        assert_eq!((packed.report().footprint.tiles, packed.layout().groups()), (2, 2));
        assert_eq!(packed.report().footprint.utilisation, 48.0 / (2.0 * 16.0 * 8.0));
        let between = |array: &Array| {
            let layout = *array.layout();
            (0..layout.device_count())
                .map(|device| (layout.place(device), array.conductances()[device]))
                .filter(|([_, w, b], _)| *b < 6 && w / 4 != b / 2)
                .map(|(_, g)| g)
                .collect::<Vec<_>>()
        };
        let zero = if in_pairs { OFF } else { (ON + OFF) / 2.0 };
        for array in packed.arrays() {
            let between = between(array);
            assert_eq!(between.len(), 2 * (12 * 6 - 3 * 8));
            assert!(between.iter().all(|g| (g / zero - 1.0).abs() < 1e-12));
        }
        hardware.packing = GroupPacking::Separate;
        let separate = map(&weights, &usage, &hardware);
        assert_eq!(separate.report().footprint.tiles, 6);
        let images = random(2 * geometry.image_len(), 4);
        let input = Input::Patches { values: &images, samples: 2, geometry: &geometry };
        let (mut together, mut alone) = (vec![0.0f32; 2 * 12 * 12], vec![0.0f32; 2 * 12 * 12]);
        packed.multiply(input, &mut together).unwrap();
        separate.multiply(input, &mut alone).unwrap();
        for (a, b) in together.iter().zip(&alone) {
            assert!((a - b).abs() < 2e-5, "{a} {b}");
        }
        // Between groups ten times the conductance in the first array: other groups' inputs leak in.
        hardware.packing = GroupPacking::BlockDiagonal;
        let leak = Scale(|[_, w, b]| if *b < 6 && w / 4 != b / 2 { 1.5 } else { 1.0 });
        hardware.nonidealities =
            vec![Entry { arrays: memtorch_map::Arrays::Positive, ..Entry::new(Arc::new(leak)) }];
        let leaky = map(&weights, &usage, &hardware);
        let mut leaked = vec![0.0f32; 2 * 12 * 12];
        leaky.multiply(input, &mut leaked).unwrap();
        let gain = leaky.gains()[0];
        for (sample, image) in images.chunks(geometry.image_len()).enumerate() {
            for column in 0..12 {
                let group = column / 2;
                let others = (group / 3 * 3..group / 3 * 3 + 3).filter(|g| *g != group);
                for position in 0..12 {
                    let (y, x) = (position / 4, position % 4);
                    let sum: f32 = others
                        .clone()
                        .flat_map(|g| [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(i, j)| (g, i, j)))
                        .map(|(g, i, j)| image[(g * 4 + y + i) * 5 + x + j])
                        .sum();
                    let at = (sample * 12 + column) * 12 + position;
                    let expected = f64::from(together[at]) + gain * 0.5 * zero * f64::from(sum);
                    assert!((f64::from(leaked[at]) - expected).abs() < 3e-5, "{} {expected}", leaked[at]);
                }
            }
        }
    }
}

/// Some devices are stuck before anything is written.
#[derive(Debug)]
struct Stick;

impl NonIdeality for Stick {
    fn name(&self) -> &str {
        "stick"
    }

    fn phase(&self) -> Phase {
        Phase::Fabrication
    }

    fn apply(&self, array: &mut Array, stream: Stream) -> Result<Report, CrossbarError> {
        let layout = *array.layout();
        let drawn = |device: usize| stream.at(layout.place(device)).uniform();
        let masks: Vec<(usize, Mask)> = (0..layout.device_count())
            .filter(|device| drawn(*device) < 0.1)
            .map(|device| (device, if drawn(device) < 0.05 { Mask::Lrs } else { Mask::Hrs }))
            .collect();
        array.add_masks(&masks)?;
        Ok(Report::default())
    }
}

/// Remapping keeps the stuck devices, moves the weights, and is undone: what is left is a smaller error.
#[test]
fn lines_are_permuted_around_stuck_devices_and_put_back() {
    let weights = Array3::from_shape_vec((1, ROWS, COLUMNS), random(ROWS * COLUMNS, 1)).unwrap();
    let w_max = weights.iter().fold(0.0f64, |m, w| m.max(f64::from(w.abs())));
    // Unit vectors give the weights as the hardware has them.
    let unit: Vec<f32> = (0..ROWS * ROWS).map(|i| if i / ROWS == i % ROWS { 1.0 } else { 0.0 }).collect();
    let schemes: [Arc<dyn MappingScheme>; 4] = [
        Arc::new(DoubleColumn),
        Arc::new(SingleColumn { reference: Reference::Column }),
        Arc::new(OffsetColumn),
        Arc::new(BitSliced::new(4, 2, Sign::Differential).unwrap()),
    ];
    for scheme in schemes {
        let run = |remapping, stuck: bool| {
            let mut hardware = hardware(scheme.clone());
            hardware.remapping = remapping;
            if stuck {
                hardware.nonidealities = vec![Entry::new(Arc::new(Stick))];
            }
            let matrix = map(&weights, &Usage::Rows, &hardware);
            let mut y = vec![0.0; ROWS * COLUMNS];
            matrix.multiply(Input::Rows { values: &unit, rows: ROWS }, &mut y).unwrap();
            (matrix, y)
        };
        let (_, whole) = run(Remapping::None, false);
        let (plain, y) = run(Remapping::None, true);
        assert_eq!(plain.report().remapping, None);
        let loss = |y: &[f32]| -> f64 {
            y.iter().zip(&whole).map(|(y, w)| (f64::from(y - w) / w_max).powi(2)).sum()
        };
        let before = loss(&y);
        let mut least = before;
        for remapping in [Remapping::Rows, Remapping::Columns, Remapping::Both] {
            let (matrix, y) = run(remapping, true);
            let masks = |matrix: &MappedMatrix| -> Vec<_> {
                matrix.arrays().iter().map(|array| array.masks().to_vec()).collect()
            };
            assert_eq!(masks(&matrix), masks(&plain));
            let after = loss(&y);
            let [said_before, said_after] = matrix.report().remapping.unwrap();
            // What the report says is what the outputs show, but for stuck references, which it leaves out.
            if scheme.reference().is_none() {
                assert!((said_before / before - 1.0).abs() < 1e-3, "{said_before} {before}");
                assert!((said_after / after - 1.0).abs() < 1e-3, "{said_after} {after}");
            }
            assert!(said_after < 0.8 * said_before, "{remapping:?}: {said_after} of {said_before}");
            if remapping == Remapping::Both {
                assert!(after < least, "{} {after} {least}", scheme.name());
            }
            least = least.min(after);
        }
    }
}

/// With wires, a weight sees the wires of the line that it lies on.
#[test]
fn permuted_lines_lie_in_the_circuit_where_they_are() {
    // One column of three rows on a tile of its own size; the driver of row i is i segments from the sink.
    let weights = Array3::from_shape_vec((1, 3, 1), vec![0.1f32, 1.0, 0.4]).unwrap();
    let mut hardware = hardware(Arc::new(DoubleColumn));
    hardware.tile = TileShape::Layer;
    hardware.wires = Wires { line_resistance: 2e3, ..Wires::default() };
    hardware.remapping = Remapping::Rows;
    #[derive(Debug)]
    struct First;
    impl NonIdeality for First {
        fn name(&self) -> &str {
            "first"
        }
        fn phase(&self) -> Phase {
            Phase::Fabrication
        }
        fn apply(&self, array: &mut Array, _: Stream) -> Result<Report, CrossbarError> {
            array.add_masks(&[(0, Mask::Lrs)])?;
            Ok(Report::default())
        }
    }
    hardware.nonidealities =
        vec![Entry { arrays: memtorch_map::Arrays::Positive, ..Entry::new(Arc::new(First)) }];
    let matrix = map(&weights, &Usage::Rows, &hardware);
    // The largest weight goes to the stuck device at the top, whose row takes the largest weight's place or another.
    let positive = matrix.arrays()[0].conductances();
    assert!((positive[0] / ON - 1.0).abs() < 1e-12);
    let mut y = [0.0f32];
    matrix.multiply(Input::Rows { values: &[0.0, 1.0, 0.0], rows: 1 }, &mut y).unwrap();
    // Only the top device is driven; the others leak from the bit line to ground through their word lines. Node
    // voltages of the bit line by Kirchhoff's law: v0 above v1 above v2, which is the sink at 0 V.
    let side = |g: [f64; 3]| {
        let line = 1.0 / 2e3;
        // (g0 + line) v0 - line v1 = g0 * 1 ; -line v0 + (g1 + 2 line) v1 = 0 (v2 = 0).
        let determinant = (g[0] + line) * (g[1] + 2.0 * line) - line * line;
        let v1 = line * g[0] / determinant;
        line * v1
    };
    let column = |array: usize| {
        let g = matrix.arrays()[array].conductances();
        side([g[0], g[1], g[2]])
    };
    let expected = (column(0) - column(1)) / (ON - OFF);
    assert!((f64::from(y[0]) / expected - 1.0).abs() < 1e-4, "{} {expected}", y[0]);
}
