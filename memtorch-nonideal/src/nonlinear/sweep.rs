use std::collections::BTreeSet;
use std::sync::Arc;

use memtorch_crossbar::{Array, CrossbarError, ReadLaw};
use memtorch_devices::{Device, DeviceParameters, Population, Stream, Waveform};
use memtorch_utils::kernel::{Loop, widest};

use super::factor::{Factors, factor};
use super::{SweepSettings, named};

/// The conductances for which a sweep is recorded, in siemens, ascending.
#[derive(Clone, Debug)]
pub(super) struct Grid(Vec<f64>);

impl Grid {
    /// The conductances of an array if they are at most so many, else as many between the nominal bounds, evenly
    /// spaced in their logarithm.
    pub(super) fn of(array: &Array, states: usize) -> Self {
        let mut own = BTreeSet::new();
        for g in array.conductances() {
            // Positive numbers are ordered as their bits.
            own.insert(g.max(f64::MIN_POSITIVE).to_bits());
            if own.len() > states {
                break;
            }
        }
        if own.len() <= states {
            return Self(own.into_iter().map(f64::from_bits).collect());
        }
        let model = array.devices().model();
        let (low, ratio) = (1.0 / model.r_off(), (model.r_off() / model.r_on()).ln());
        Self((0..states).map(|k| low * (ratio * k as f64 / (states - 1) as f64).exp()).collect())
    }

    /// What tells the tables of two arrays apart.
    pub(super) fn key(&self, array: &Array) -> Vec<u64> {
        let model = array.devices().model();
        let values = model.values().into_iter().chain(self.0.iter().copied());
        std::iter::once(named(model.name())).chain(values.map(f64::to_bits)).collect()
    }
}

/// Currents over voltages of one sweep for each of some states.
#[derive(Clone, Debug)]
pub(super) struct SweepTable {
    grid: Grid,
    amplitude: f64,
    /// Current over conductance at each point, in volt, one row a state.
    shapes: Vec<Vec<f64>>,
    factors: Factors,
    /// The functions of the factors, so many at a time, at each point.
    points: Vec<Vec<[f64; TOGETHER]>>,
    moved: f64,
}

impl SweepTable {
    /// Sweeps the nominal device from each state.
    pub(super) fn record(
        model: Arc<dyn Device>,
        settings: &SweepSettings,
        grid: Grid,
    ) -> Result<Self, CrossbarError> {
        let own = model.sweeps().map(|sweeps| sweeps.switching.frequency);
        let frequency = settings.frequency.or(own).ok_or_else(|| {
            let expected = format!("a frequency in Hz: {} has none of its own", model.name());
            CrossbarError::value("frequency", "none", expected)
        })?;
        let rise = 0.25 / frequency;
        let between = (rise / (settings.points - 1) as f64 / model.time_step()).ceil().max(1.0);
        /// About a minute of one thread.
        const MOST: f64 = 1e9;
        let steps = between * (settings.points - 1) as f64 * grid.0.len() as f64;
        if !(steps <= MOST) {
            let expected = format!(
                "a frequency at which all sweeps take at most {MOST:e} steps of {} s, not {steps:e}",
                model.time_step()
            );
            return Err(CrossbarError::value("frequency", frequency, expected));
        }
        let directions =
            [1.0, -1.0].map(|sign| Branch::record(&model, settings, &grid, sign, between as usize, rise));
        let [up, down] = directions;
        let (up, down) = (up?, down?);
        // RESET lowers conductances; where neither sign moves any, they are as good.
        let branch = if up.left < down.left { up } else { down };
        let largest = branch.shapes.iter().flatten().fold(0.0f64, |m, x| m.max(x.abs()));
        let factors = factor(&branch.shapes, 1e-7 * largest);
        let amplitude = settings.amplitude;
        let at = |functions: &[Vec<f64>], point: usize| {
            let mut values = [0.0; TOGETHER];
            values.iter_mut().zip(functions).for_each(|(value, function)| *value = function[point]);
            values
        };
        let together = factors.right.chunks(TOGETHER);
        let points =
            together.map(|functions| (0..settings.points).map(|p| at(functions, p)).collect()).collect();
        Ok(Self { grid, amplitude, shapes: branch.shapes, factors, points, moved: branch.moved })
    }

    pub(super) fn states(&self) -> usize {
        self.grid.0.len()
    }

    pub(super) fn products(&self) -> usize {
        self.factors.left.len().max(1)
    }

    /// The largest error of the products, over the least of all states' largest values.
    pub(super) fn error(&self) -> f64 {
        let least = self.shapes.iter().map(|row| row.iter().fold(0.0f64, |m, x| m.max(x.abs())));
        let least = least.fold(f64::INFINITY, f64::min);
        if least > 0.0 { self.factors.error / least } else { 0.0 }
    }

    pub(super) fn moved(&self) -> f64 {
        self.moved
    }

    /// The states beside a conductance, and the share of the second.
    fn beside(&self, conductance: f64) -> (usize, usize, f64) {
        let grid = &self.grid.0;
        let above = grid.partition_point(|g| *g < conductance);
        if above == 0 {
            return (0, 0, 0.0);
        }
        if above == grid.len() {
            return (above - 1, above - 1, 0.0);
        }
        let (low, high) = (grid[above - 1], grid[above]);
        (above - 1, above, (conductance / low).ln() / (high / low).ln())
    }

    /// The points beside a voltage that is not negative, and the share of the second; beyond the last it goes on as
    /// between the last two.
    #[inline(always)]
    fn between(&self, voltage: f64) -> (usize, f64) {
        let last = self.shapes[0].len() - 1;
        let place = voltage * (last as f64 / self.amplitude);
        let point = (place as usize).min(last - 1);
        (point, place - point as f64)
    }

    /// A function between the points beside a voltage, with the voltage's sign: it is odd.
    fn odd(right: &[f64], (point, part): (usize, f64), v: f32) -> f32 {
        let (a, b) = (right[point], right[point + 1]);
        (f64::from(v.signum()) * (a + part * (b - a))) as f32
    }
}

/// The rising branch of a sweep.
struct Branch {
    shapes: Vec<Vec<f64>>,
    /// The largest change of a conductance, as a share of it.
    moved: f64,
    /// The mean of what is left of each conductance, as a share of it.
    left: f64,
}

impl Branch {
    fn record(
        model: &Arc<dyn Device>,
        settings: &SweepSettings,
        grid: &Grid,
        sign: f64,
        between: usize,
        rise: f64,
    ) -> Result<Self, CrossbarError> {
        let (points, states) = (settings.points, grid.0.len());
        let devices = DeviceParameters::new(model.clone(), states);
        let mut population = Population::new(devices, Stream::root(0, 0).named("sweep"));
        let start = population.set_conductances(&grid.0)?;
        let dt = rise / ((points - 1) * between) as f64;
        let volt = |step: usize| sign * settings.amplitude * step as f64 / ((points - 1) * between) as f64;
        let mut shapes = vec![Vec::with_capacity(points); states];
        for point in 0..points {
            let voltages = vec![volt(point * between); states];
            let currents = population.currents(&voltages)?;
            for ((shape, current), g) in shapes.iter_mut().zip(currents).zip(&start) {
                shape.push(sign * current / g);
            }
            if point + 1 < points {
                let waveform: Vec<f64> = (0..between).map(|step| volt(point * between + step)).collect();
                population.advance(Waveform::Common(&waveform), dt)?;
            }
        }
        let end = population.conductances();
        let moved = start.iter().zip(&end).fold(0.0f64, |m, (a, b)| m.max((b - a).abs() / a));
        let left = start.iter().zip(&end).map(|(a, b)| b / a).sum::<f64>() / states as f64;
        // Equal up to rounding: the state came back.
        Ok(Self { shapes, moved: if moved < 1e-12 { 0.0 } else { moved }, left })
    }
}

/// Functions that are found together: a vector of numbers.
const TOGETHER: usize = 8;

/// Of some functions of a table, the values at some voltages.
struct Functions<'a> {
    table: &'a SweepTable,
    /// The functions at each point.
    points: &'a [[f64; TOGETHER]],
    volts: &'a [f32],
    values: &'a mut [Vec<f32>],
}

impl Loop for Functions<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        const BLOCK: usize = 64;
        for (block, volts) in self.volts.chunks(BLOCK).enumerate() {
            let mut found = [[0.0f32; TOGETHER]; BLOCK];
            for (found, v) in found.iter_mut().zip(volts) {
                let (point, part) = self.table.between(f64::from(v.abs()));
                let (a, b, sign) = (&self.points[point], &self.points[point + 1], f64::from(v.signum()));
                for ((found, a), b) in found.iter_mut().zip(a).zip(b) {
                    *found = (sign * (a + part * (b - a))) as f32;
                }
            }
            for (k, values) in self.values.iter_mut().enumerate() {
                for (value, found) in values[block * BLOCK..].iter_mut().zip(&found[..volts.len()]) {
                    *value = found[k];
                }
            }
        }
    }
}

/// Currents from a table.
#[derive(Clone, Debug)]
pub(super) struct SweepLaw {
    pub(super) table: Arc<SweepTable>,
}

impl ReadLaw for SweepLaw {
    fn current_and_slope(&self, _device: Option<usize>, conductance: f64, voltage: f64) -> (f64, f64) {
        let table = &*self.table;
        let ((low, high, share), (point, part)) = (table.beside(conductance), table.between(voltage.abs()));
        let at = |point: usize| (1.0 - share) * table.shapes[low][point] + share * table.shapes[high][point];
        let (a, b) = (at(point), at(point + 1));
        let width = table.amplitude / (table.shapes[0].len() - 1) as f64;
        let current = conductance * (a + part * (b - a));
        (if voltage < 0.0 { -current } else { current }, conductance * (b - a) / width)
    }

    fn limit(&self) -> f64 {
        self.table.amplitude
    }

    fn products(&self) -> usize {
        self.table.products()
    }

    fn function(&self, k: usize, volts: &[f32], values: &mut [f32]) {
        let Some(right) = self.table.factors.right.get(k) else {
            values.fill(0.0);
            return;
        };
        for (value, v) in values.iter_mut().zip(volts) {
            *value = SweepTable::odd(right, self.table.between(f64::from(v.abs())), *v);
        }
    }

    fn functions(&self, volts: &[f32]) -> Vec<Vec<f32>> {
        let mut values = vec![vec![0.0; volts.len()]; self.products()];
        for (points, values) in self.table.points.iter().zip(values.chunks_mut(TOGETHER)) {
            widest(Functions { table: &self.table, points, volts, values });
        }
        values
    }

    fn coefficients(&self, k: usize, conductances: &[f64]) -> Vec<f64> {
        let Some(left) = self.table.factors.left.get(k) else { return vec![0.0; conductances.len()] };
        let of = |g: &f64| {
            let (low, high, share) = self.table.beside(*g);
            g * ((1.0 - share) * left[low] + share * left[high])
        };
        conductances.iter().map(of).collect()
    }

    fn signature(&self) -> Vec<u64> {
        let numbers = self.table.factors.right.iter().flatten().chain([&self.table.amplitude]);
        std::iter::once(named("sweep")).chain(numbers.map(|x| x.to_bits())).collect()
    }

    fn is_rising(&self) -> bool {
        self.table.shapes.iter().all(|row| row.windows(2).all(|pair| pair[1] >= pair[0]))
    }
}
