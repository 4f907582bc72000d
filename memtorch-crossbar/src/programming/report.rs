use super::rules::Rules;
use crate::Array;

/// Why a device is not within the tolerance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Miss {
    /// It cannot be written.
    Masked,
    /// Its target is outside its own bounds.
    OutOfRange,
    /// Pulses carried it past the target again and again: the shortest one moves it by more than the tolerance.
    Overshoots,
    /// The last pulse did not move it: the voltage is below what moves it, or it is at a bound.
    Unmoved,
    /// It was on its way when it had had its pulses.
    Slow,
    /// It was within the tolerance when its last pulse ended, and pulses on other devices moved it.
    Disturbed,
    /// It was taken to be within the tolerance by a read with noise.
    Misread,
    /// Nobody read it between its pulses: it is not like the nominal device, or the levels of that are too far apart.
    OpenLoop,
}

impl Miss {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Masked,
        Self::OutOfRange,
        Self::Overshoots,
        Self::Unmoved,
        Self::Slow,
        Self::Disturbed,
        Self::Misread,
        Self::OpenLoop,
    ];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Masked => "masked",
            Self::OutOfRange => "out of range",
            Self::Overshoots => "overshoots",
            Self::Unmoved => "unmoved",
            Self::Slow => "slow",
            Self::Disturbed => "disturbed",
            Self::Misread => "misread",
            Self::OpenLoop => "open loop",
        }
    }
}

/// A device that is not within the tolerance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Missed {
    /// Its place in the order of the layout.
    pub device: usize,
    /// What it should conduct, in S.
    pub target: f64,
    /// What it conducts after the last pulse of the whole array, in S.
    pub conductance: f64,
    /// Pulses that it was given.
    pub pulses: u32,
    /// Why.
    pub miss: Miss,
}

/// What pulses on other devices did to devices after their own last pulse: changes of their conductance, as
/// shares of the nominal range.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Disturbance {
    /// Devices that changed.
    pub devices: usize,
    /// The mean over all devices of the magnitude.
    pub mean: f64,
    /// The largest magnitude.
    pub largest: f64,
}

/// One pulse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PulseRecord {
    /// The selected device, in the order of the layout.
    pub device: usize,
    /// The pass, from 0.
    pub pass: u32,
    /// The voltage applied to its lines, in V.
    pub applied: f64,
    /// The voltage across the device, in V.
    pub voltage: f64,
    /// Time steps.
    pub steps: u32,
    /// Its conductance before, in S.
    pub before: f64,
    /// Its conductance after, in S.
    pub after: f64,
}

/// What writing an array by pulses did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProgrammingReport {
    /// Devices of the array.
    pub devices: usize,
    /// Devices within the tolerance after the last pulse of the whole array.
    pub within_tolerance: usize,
    /// The others, in the order of the layout.
    pub missed: Vec<Missed>,
    /// Devices that cannot be written, wherever they are.
    pub masked: usize,
    /// The error that is good enough, in S.
    pub tolerance: f64,
    /// Pulses, over all devices.
    pub pulses: u64,
    /// Pulses of each device, in the order of the layout.
    pub device_pulses: Vec<u32>,
    /// Seconds: the length of all pulses (and reads that take time) one after another.
    pub time: f64,
    /// Joule: `sum V I dt` over all devices that see a voltage.
    pub energy: f64,
    /// Root mean square of the errors, as a share of the nominal range.
    pub error_rms: f64,
    /// The largest error, as a share of the nominal range.
    pub error_largest: f64,
    /// What pulses on other devices did.
    pub disturbance: Disturbance,
    /// How often a network of wires was solved.
    pub solutions: u64,
    /// Changes of polarity at which bounds were drawn anew.
    pub cycles: u64,
    /// Every pulse in the order of a machine that makes one after another, if it was asked for.
    pub record: Vec<PulseRecord>,
}

impl ProgrammingReport {
    /// How many devices missed for a reason.
    pub fn count(&self, miss: Miss) -> usize {
        self.missed.iter().filter(|missed| missed.miss == miss).count()
    }

    /// Adds the report of another array, whose devices come after these.
    pub fn merge(&mut self, other: Self) {
        let (n, m) = (self.devices as f64, other.devices as f64);
        let mean = |a: f64, b: f64| if n + m > 0.0 { (n * a + m * b) / (n + m) } else { 0.0 };
        let first = self.devices;
        self.error_rms = mean(self.error_rms.powi(2), other.error_rms.powi(2)).sqrt();
        self.disturbance.mean = mean(self.disturbance.mean, other.disturbance.mean);
        self.disturbance.devices += other.disturbance.devices;
        self.disturbance.largest = self.disturbance.largest.max(other.disturbance.largest);
        self.devices += other.devices;
        self.within_tolerance += other.within_tolerance;
        self.masked += other.masked;
        self.tolerance = self.tolerance.max(other.tolerance);
        self.pulses += other.pulses;
        self.time += other.time;
        self.energy += other.energy;
        self.error_largest = self.error_largest.max(other.error_largest);
        self.solutions += other.solutions;
        self.cycles += other.cycles;
        self.device_pulses.extend(other.device_pulses);
        let missed = other.missed.into_iter();
        self.missed.extend(missed.map(|missed| Missed { device: missed.device + first, ..missed }));
        let record = other.record.into_iter();
        self.record.extend(record.map(|pulse| PulseRecord { device: pulse.device + first, ..pulse }));
    }
}

/// An array after its last pulse.
pub(super) struct Written {
    /// What each device conducts, in S.
    pub(super) conductances: Vec<f64>,
    /// Of each device: what it conducted when its last visit ended.
    pub(super) left: Vec<f64>,
    /// Of each device: pulses.
    pub(super) pulses: Vec<u32>,
    /// Of each device: why it would have been given up.
    pub(super) misses: Vec<Miss>,
    /// Time steps of all pulses and reads.
    pub(super) steps: u64,
    pub(super) energy: f64,
    pub(super) solutions: u64,
    pub(super) cycles: u64,
    pub(super) record: Vec<PulseRecord>,
}

impl Written {
    /// An array without devices yet, with room for so many.
    pub(super) fn nothing(devices: usize) -> Self {
        Self {
            conductances: Vec::with_capacity(devices),
            left: Vec::with_capacity(devices),
            pulses: Vec::with_capacity(devices),
            misses: Vec::with_capacity(devices),
            steps: 0,
            energy: 0.0,
            solutions: 0,
            cycles: 0,
            record: Vec::new(),
        }
    }

    /// Adds devices that come after these.
    pub(super) fn append(&mut self, other: Self) {
        self.conductances.extend(other.conductances);
        self.left.extend(other.left);
        self.pulses.extend(other.pulses);
        self.misses.extend(other.misses);
        self.steps += other.steps;
        self.energy += other.energy;
        self.solutions += other.solutions;
        self.cycles += other.cycles;
        self.record.extend(other.record);
    }

    /// Puts the conductances into the array and reports.
    pub(super) fn finish(self, rules: &Rules, array: &mut Array, targets: &[f64]) -> ProgrammingReport {
        let devices = self.conductances.len();
        let mut masked = array.masks().iter().map(|(device, _)| *device).peekable();
        let mut missed = Vec::new();
        let (mut squares, mut largest) = (0.0, 0.0f64);
        let mut disturbance = Disturbance::default();
        for (device, (g, target)) in self.conductances.iter().zip(targets).enumerate() {
            let error = (g - target).abs();
            squares += (error / rules.range).powi(2);
            largest = largest.max(error / rules.range);
            let moved = (g - self.left[device]).abs() / rules.range;
            disturbance.devices += usize::from(moved > 0.0);
            disturbance.mean += moved / devices as f64;
            disturbance.largest = disturbance.largest.max(moved);
            let is_masked = masked.next_if_eq(&device).is_some();
            if error <= rules.tolerance {
                continue;
            }
            let (low, high) = array.bounds(device);
            let outside = (low - target).max(target - high) > rules.tolerance;
            let left = (self.left[device] - target).abs() <= rules.tolerance;
            let miss = match () {
                () if is_masked => Miss::Masked,
                () if outside => Miss::OutOfRange,
                () if left => Miss::Disturbed,
                () => self.misses[device],
            };
            missed.push(Missed {
                device,
                target: *target,
                conductance: *g,
                pulses: self.pulses[device],
                miss,
            });
        }
        let report = ProgrammingReport {
            devices,
            within_tolerance: devices - missed.len(),
            missed,
            masked: array.masks().len(),
            tolerance: rules.tolerance,
            pulses: self.pulses.iter().map(|n| u64::from(*n)).sum(),
            device_pulses: self.pulses,
            time: self.steps as f64 * rules.dt,
            energy: self.energy,
            error_rms: (squares / devices.max(1) as f64).sqrt(),
            error_largest: largest,
            disturbance,
            solutions: self.solutions,
            cycles: self.cycles,
            record: self.record,
        };
        array.put(self.conductances);
        report
    }
}
