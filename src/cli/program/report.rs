//! What programming did, for machines and for people.

use memtorch_crossbar::Array;
use memtorch_crossbar::programming::{Bias, Cell, Miss, Order, Programmer, ProgrammingReport, PulseScheme};
use memtorch_devices::Device;
use serde_json::{Value, json};

/// Bins of the histogram of errors.
const BINS: usize = 20;

fn range(model: &dyn Device) -> f64 {
    1.0 / model.r_on() - 1.0 / model.r_off()
}

pub(crate) fn json(
    programmer: &Programmer,
    model: &dyn Device,
    seed: u64,
    done: &ProgrammingReport,
    array: &Array,
    targets: &[f64],
    columns: usize,
) -> Value {
    let failed: Vec<Value> = done
        .missed
        .iter()
        .map(|missed| {
            json!({
                "row": missed.device / columns,
                "column": missed.device % columns,
                "target": missed.target,
                "final": missed.conductance,
                "pulses": missed.pulses,
                "reason": missed.miss.name(),
            })
        })
        .collect();
    let mut value = json!({
        "model": model.name(),
        "time_step": model.time_step(),
        "start_conductance": model.start_conductance(),
        "cell": if programmer.cell == Cell::Transistor { "1t1r" } else { "0t1r" },
        "scheme": scheme(programmer),
        "set_voltage": programmer.set_voltage,
        "reset_voltage": programmer.reset_voltage,
        "pulse_width": programmer.pulse_width,
        "max_pulses": programmer.max_pulses,
        "passes": programmer.passes,
        "tolerance": done.tolerance,
        "range": range(model),
        "seed": seed,
        "devices": done.devices,
        "within_tolerance": done.within_tolerance,
        "failed": failed,
        "reasons": reasons(done).map(|(miss, n)| (miss.name().to_owned(), n.into())).collect::<serde_json::Map<_, _>>(),
        "pulses": done.pulses,
        "time": done.time,
        "energy": done.energy,
        "error": {
            "rms": done.error_rms,
            "largest": done.error_largest,
            "histogram": histogram(array.conductances(), targets, range(model)),
        },
    });
    if let Cell::Passive { bias, order } = programmer.cell {
        value["bias"] = bias_name(bias).into();
        value["order"] = match order {
            Order::Random => "random",
            Order::WorstFirst => "worst-first",
            _ => "row",
        }
        .into();
        value["disturbance"] = json!({
            "devices": done.disturbance.devices,
            "mean": done.disturbance.mean,
            "largest": done.disturbance.largest,
        });
    }
    if !programmer.resistances.is_ideal() {
        value["source_resistance"] = programmer.resistances.source.into();
        value["line_resistance"] = programmer.resistances.line.into();
        if let Cell::Passive { .. } = programmer.cell {
            value["voltage_error"] = programmer.voltage_error.into();
            value["solutions"] = done.solutions.into();
        }
    }
    value
}

fn scheme(programmer: &Programmer) -> &'static str {
    match programmer.scheme {
        PulseScheme::Incremental { .. } => "incremental",
        PulseScheme::Adaptive { .. } => "adaptive",
        PulseScheme::OpenLoop => "open-loop",
        _ => "fixed",
    }
}

fn bias_name(bias: Bias) -> &'static str {
    match bias {
        Bias::Third => "third",
        Bias::Floating => "floating",
        _ => "half",
    }
}

/// Reasons that there are, with how many devices each has.
fn reasons(done: &ProgrammingReport) -> impl Iterator<Item = (Miss, usize)> + '_ {
    Miss::ALL.into_iter().map(|miss| (miss, done.count(miss))).filter(|(_, count)| *count > 0)
}

/// Errors (what is minus what should be, as a share of the range) from the lowest to the highest.
fn histogram(conductances: &[f64], targets: &[f64], range: f64) -> Value {
    let errors: Vec<f64> = conductances.iter().zip(targets).map(|(g, target)| (g - target) / range).collect();
    let (low, high) =
        errors.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), e| (l.min(*e), h.max(*e)));
    let width = (high - low) / BINS as f64;
    let edges: Vec<f64> = (0..=BINS).map(|k| if k == BINS { high } else { low + width * k as f64 }).collect();
    let mut counts = vec![0u64; BINS];
    for error in errors {
        let bin = if width > 0.0 { ((error - low) / width) as usize } else { 0 };
        counts[bin.min(BINS - 1)] += 1;
    }
    json!({ "edges": edges, "counts": counts })
}

pub(crate) fn human(
    programmer: &Programmer,
    model: &dyn Device,
    done: &ProgrammingReport,
    array: &Array,
) -> String {
    let shape = (array.layout().rows(), array.layout().columns());
    let share = 100.0 * done.within_tolerance as f64 / done.devices as f64;
    let cell = match programmer.cell {
        Cell::Passive { bias, .. } => format!("0t1r, {}", bias_name(bias)),
        _ => "1t1r".to_owned(),
    };
    let mut text = format!(
        "{}: {} x {} devices ({cell}), {} pulses of {} V to set, {} V to reset, from {:e} s\n",
        model.name(),
        shape.0,
        shape.1,
        scheme(programmer),
        programmer.set_voltage,
        programmer.reset_voltage,
        programmer.pulse_width,
    );
    text += &format!(
        "reached      {} of {} devices ({share:.2} %) within {:.4e} S\n",
        done.within_tolerance, done.devices, done.tolerance
    );
    text += &format!(
        "error        {:.4} of the range (root mean square), {:.4} at most\n",
        done.error_rms, done.error_largest
    );
    text += &format!(
        "pulses       {} ({:.1} a device), {:.4e} s, {:.4e} J\n",
        done.pulses,
        done.pulses as f64 / done.devices as f64,
        done.time,
        done.energy
    );
    if let Cell::Passive { .. } = programmer.cell {
        let d = done.disturbance;
        text += &format!(
            "disturbed    {} devices after their last pulse: by {:.2e} of the range (mean), {:.2e} at most\n",
            d.devices, d.mean, d.largest
        );
    }
    if done.solutions > 0 {
        text += &format!("network      solved {} times\n", done.solutions);
    }
    for (miss, count) in reasons(done) {
        text += &format!("missed       {count}: {}\n", explanation(miss));
    }
    text
}

fn explanation(miss: Miss) -> &'static str {
    match miss {
        Miss::Masked => "cannot be written",
        Miss::OutOfRange => "the target is outside the device's own bounds",
        Miss::Overshoots => {
            "overshoot: the shortest pulse moves them by more than the tolerance (a shorter time_step, voltages nearer to the thresholds)"
        }
        Miss::Unmoved => "do not move: the voltage moves nothing, or they are at a bound",
        Miss::Slow => {
            "were on their way when they had had their pulses (more, longer or higher pulses, or --scheme adaptive)"
        }
        Miss::Disturbed => "were reached and then disturbed (more passes, another bias)",
        Miss::OpenLoop => {
            "nobody read them between pulses: they differ from the nominal device, or its levels lie too far apart"
        }
        Miss::Misread => "were taken to be reached: noise of the read",
        _ => "for another reason",
    }
}
