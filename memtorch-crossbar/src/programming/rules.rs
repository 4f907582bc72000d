//! Which pulse comes next.

use memtorch_devices::{Device, Distribution, Job, Noise, Parameter, Stream, Task, Waveform};

use super::curve::Curve;
use super::{Cell, Cycling, Miss, Programmer, PulseScheme, Tolerance};
use crate::CrossbarError;

/// A pulse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pulse {
    /// Volt.
    pub(super) voltage: f64,
    /// Time steps.
    pub(super) steps: u32,
    /// Whether it is to raise the conductance.
    pub(super) sets: bool,
}

/// What the pulses at one visit of a device have done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit {
    pub(super) pulses: u32,
    /// The error that the last pulse was to close, in S.
    error: f64,
    /// The last pulse.
    last: Pulse,
    /// How often the error changed its sign.
    changes: u32,
    /// Pulses since the polarity changed.
    run: u32,
    /// Whether the last pulse changed nothing.
    unmoved: bool,
    /// Whether there are no more pulses.
    done: bool,
    /// Whether it was near enough then.
    near: bool,
    /// Whether nobody looked.
    blind: bool,
}

impl Visit {
    pub(super) fn new() -> Self {
        let last = Pulse { voltage: 0.0, steps: 0, sets: false };
        Self {
            pulses: 0,
            error: 0.0,
            last,
            changes: 0,
            run: 0,
            unmoved: false,
            done: false,
            near: false,
            blind: false,
        }
    }

    /// Whether there are no more pulses.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Why a device would be missed that is not where it should be.
    pub(super) fn miss(&self) -> Miss {
        if self.blind {
            return Miss::OpenLoop;
        }
        if self.near {
            return Miss::Misread;
        }
        // An adaptive pulse takes some steps to come back.
        if self.changes > 0 && self.changes.saturating_mul(20) >= self.pulses {
            Miss::Overshoots
        } else if self.unmoved {
            Miss::Unmoved
        } else {
            Miss::Slow
        }
    }
}

/// A [`Programmer`] that was checked, in the units of a model.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    set: f64,
    reset: f64,
    /// Time steps of the shortest pulse.
    width: u32,
    scheme: PulseScheme,
    max_pulses: u32,
    pub(super) passes: u32,
    /// Of open-loop programming.
    curve: Option<Curve>,
    cycling: Option<Cycling>,
    /// Siemens.
    pub(super) tolerance: f64,
    /// g_on - g_off of the nominal device in S.
    pub(super) range: f64,
    /// The time step in s.
    pub(super) dt: f64,
    read_voltage: Option<f64>,
    /// What a read adds, in S.
    noise: Option<Distribution>,
}

impl Rules {
    pub(super) fn new(options: &Programmer, device: &dyn Device) -> Result<Self, CrossbarError> {
        let wrong = |what: &str, value: f64, expected: &str| Err(CrossbarError::value(what, value, expected));
        let number = |what: &str, value: f64, right: bool, expected: &str| match right {
            true => Ok(()),
            false => wrong(what, value, expected),
        };
        let finite = |v: f64| v != 0.0 && v.is_finite();
        let (set, reset) = (options.set_voltage, options.reset_voltage);
        number("set_voltage", set, finite(set), "a finite voltage that is not 0")?;
        number("reset_voltage", reset, finite(reset), "a finite voltage that is not 0")?;
        let dt = device.time_step();
        let steps = (options.pulse_width / dt).round();
        let multiple = steps >= 1.0 && (options.pulse_width / dt - steps).abs() <= 1e-6 * steps;
        if !(multiple && steps <= 1e9) {
            let expected = format!("a multiple of the time step, {dt:e} s");
            return Err(CrossbarError::value("pulse_width", format!("{:e}", options.pulse_width), expected));
        }
        let range = 1.0 / device.r_on() - 1.0 / device.r_off();
        let positive = |x: f64| x > 0.0 && x.is_finite();
        let tolerance = match options.tolerance {
            Tolerance::Range(share) => {
                number("tolerance", share, positive(share), "a positive share of the range")?;
                share * range
            }
            Tolerance::Siemens(error) => {
                number("tolerance", error, positive(error), "a positive number of siemens")?;
                error
            }
        };
        match options.scheme {
            PulseScheme::Incremental { step, limit } => {
                number("voltage_step", step, positive(step), "a positive share of the first voltage")?;
                let right = limit >= 1.0 && limit.is_finite();
                number("voltage_limit", limit, right, "at least 1, the first voltage")?;
            }
            PulseScheme::Adaptive { longest } => {
                number("longest_pulse", longest.into(), longest >= 1, "at least 1 width")?;
            }
            PulseScheme::Fixed | PulseScheme::OpenLoop => {}
        }
        let noise = options.verify.noise;
        number("read_noise", noise, noise >= 0.0 && noise.is_finite(), "a share of the range, at least 0")?;
        if let Some(v) = options.verify.read_voltage {
            number("read_voltage", v, finite(v), "a finite voltage that is not 0")?;
        }
        number("max_pulses", options.max_pulses.into(), options.max_pulses >= 1, "at least 1")?;
        number("passes", options.passes.into(), options.passes >= 1, "at least 1")?;
        for (what, value) in [
            ("source_resistance", options.resistances.source),
            ("line_resistance", options.resistances.line),
            ("transistor_resistance", options.resistances.transistor),
        ] {
            number(what, value, value >= 0.0 && value.is_finite(), "a number of ohm of at least 0")?;
        }
        let error = options.voltage_error;
        number("voltage_error", error, (0.0..1.0).contains(&error), "a share from 0 to below 1")?;
        if let Cell::Passive { .. } = options.cell {
            let transistor = options.resistances.transistor;
            number("transistor_resistance", transistor, transistor == 0.0, "0: a passive cell has none")?;
        }
        for (what, voltage, sign) in [("set_voltage", set, 1.0), ("reset_voltage", reset, -1.0)] {
            polarity(device, what, voltage, sign, steps as u32)?;
        }
        if let Some(Cycling { sigma, .. }) = options.cycling {
            number("sigma", sigma, sigma >= 0.0 && sigma.is_finite(), "a number of ohm of at least 0")?;
        }
        let pulse = |voltage, sets| Pulse { voltage, steps: steps as u32, sets };
        let curve = (options.scheme == PulseScheme::OpenLoop)
            .then(|| Curve::new(device, pulse(set, true), pulse(reset, false), options.max_pulses));
        Ok(Self {
            set,
            reset,
            width: steps as u32,
            scheme: options.scheme,
            max_pulses: options.max_pulses,
            curve,
            cycling: options.cycling,
            passes: options.passes,
            tolerance,
            range,
            dt,
            read_voltage: options.verify.read_voltage,
            noise: (noise > 0.0).then(|| normal(noise * range)),
        })
    }

    /// The voltage of the reads between pulses, if they have one.
    pub(super) fn reads(&self) -> Option<f64> {
        self.read_voltage.filter(|_| self.curve.is_none())
    }

    /// What a device draws at each change of polarity.
    pub(super) fn cycling(&self) -> Option<Cycling> {
        self.cycling
    }

    /// The error of a measurement, in S: `read` counts those of the device at this place.
    pub(super) fn read_error(&self, stream: Stream, place: [u32; 3], read: u32) -> f64 {
        let Some(noise) = self.noise else { return 0.0 };
        let mut rng = stream.named("verify").child(read.into()).at(place);
        noise.sample(&mut rng)
    }

    /// The next pulse for a device that is measured to conduct `found` (S); `None` where it is near enough to its
    /// target, or has had its pulses.
    pub(super) fn next(&self, visit: &mut Visit, found: f64, target: f64) -> Option<Pulse> {
        let error = target - found;
        if let Some(curve) = &self.curve {
            let pulse = curve.pulse(visit.pulses, target);
            visit.done = pulse.is_none();
            visit.blind = true;
            visit.pulses += u32::from(!visit.done);
            return pulse;
        }
        let first = visit.pulses == 0;
        visit.unmoved = !first && error == visit.error;
        let changed = !first && (error > 0.0) != (visit.error > 0.0);
        visit.changes += u32::from(changed);
        visit.near = error.abs() <= self.tolerance;
        visit.done = visit.near || visit.pulses == self.max_pulses;
        if visit.done {
            return None;
        }
        visit.run = if first || changed { 0 } else { visit.run + 1 };
        let sets = error > 0.0;
        let start = if sets { self.set } else { self.reset };
        let pulse = match self.scheme {
            _ if first || changed => Pulse { voltage: start, steps: self.width, sets },
            PulseScheme::Fixed | PulseScheme::OpenLoop => visit.last,
            PulseScheme::Incremental { step, limit } => {
                // From the number of the pulse, so that no rounding adds up.
                let times = (1.0 + step * f64::from(visit.run)).min(limit);
                Pulse { voltage: start * times, steps: self.width, sets }
            }
            PulseScheme::Adaptive { longest } => {
                let (closed, left) = (visit.error.abs() - error.abs(), error.abs());
                let longest = self.width.saturating_mul(longest);
                let mut steps = visit.last.steps;
                if 4.0 * closed <= left {
                    // What does not move at all moves no more in a longer time.
                    if !visit.unmoved {
                        steps = steps.saturating_mul(2).min(longest);
                    }
                } else {
                    let mut expected = closed;
                    while steps > self.width && 2.0 * expected > left {
                        // A half of a power of two widths, or of the longest pulse.
                        steps = (steps / self.width).div_ceil(2) * self.width;
                        expected *= 0.5;
                    }
                }
                Pulse { voltage: start, steps, sets }
            }
        };
        visit.pulses += 1;
        visit.error = error;
        visit.last = pulse;
        Some(pulse)
    }
}

fn normal(std: f64) -> Distribution {
    Distribution::normal(0.0, std).expect("a deviation that was checked")
}

/// Looks whether a pulse moves the nominal device in this direction, as far as it moves it.
fn polarity(
    device: &dyn Device,
    what: &str,
    voltage: f64,
    sign: f64,
    steps: u32,
) -> Result<(), CrossbarError> {
    /// Conductances to try, and the most steps to try: both only to see a direction.
    const TRIES: usize = 9;
    const STEPS: usize = 16;
    if device.is_noisy() {
        return Ok(());
    }
    let (low, high) = (1.0 / device.r_off(), 1.0 / device.r_on());
    let from: Vec<f64> = (0..TRIES).map(|k| low + (high - low) * (k as f64 + 0.5) / TRIES as f64).collect();
    let parameters: Vec<Parameter> = device.values().into_iter().map(Parameter::Uniform).collect();
    let (mut states, mut before, mut after) = (vec![0.0; TRIES], vec![0.0; TRIES], vec![0.0; TRIES]);
    let run = |task: Task<'_>| device.run(Job { parameters: &parameters, first: 0, task });
    run(Task::States { conductances: &from, states: &mut states });
    run(Task::Conductances { states: &states, conductances: &mut before });
    let waveform = vec![voltage; STEPS.min(steps as usize)];
    run(Task::Advance {
        states: &mut states,
        waveform: Waveform::Common(&waveform),
        dt: device.time_step(),
        noise: Noise { stream: Stream::root(0, 0), first_step: 0, first_device: 0 },
        record: None,
    });
    run(Task::Conductances { states: &states, conductances: &mut after });
    let moves = before.iter().zip(&after).map(|(before, after)| sign * (after - before));
    let (right, left) = moves.fold((false, false), |(r, l), m| (r || m > 0.0, l || m < 0.0));
    if left && !right {
        let (verb, other) = if sign > 0.0 { ("raises", "lowers") } else { ("lowers", "raises") };
        let expected =
            format!("a voltage that {verb} the conductance: of {}, this one {other} it", device.name());
        return Err(CrossbarError::value(what, voltage, expected));
    }
    Ok(())
}
