//! Which pulses follow, what a read is, and what is not possible.

use std::sync::Arc;

use memtorch_crossbar::TileShape;
use memtorch_crossbar::programming::{Cycling, Miss, Programmer, PulseScheme, Tolerance, Verify};
use memtorch_devices::models::Vteam;
use memtorch_devices::{Device, DeviceSpec, Distribution, trace};

use super::{STEP, fixed, program, seed, started, targets};

#[test]
fn reads_with_noise_and_voltage_do_what_they_must() {
    let device: Arc<dyn Device> = Arc::new(Vteam::default());
    let targets = targets(&*device, 4000);
    let mut programmer = Programmer::of(&*device).unwrap();
    programmer.verify.noise = 0.005;
    let mut array = started(device.clone(), [40, 100]);
    let report = program(&programmer, &mut array, &targets);
    // A device is left where its measured error is within 0.01: its own is spread by the noise, and some miss.
    assert!(report.count(Miss::Misread) > 40 && report.error_largest < 0.035, "{}", report.error_largest);
    assert_eq!(report.count(Miss::Misread), report.missed.len());
    // A read above the threshold moves what it reads: a device that is where it should be does not stay.
    programmer.verify = Verify { read_voltage: Some(0.1), noise: 0.0 };
    let start = device.start_conductance();
    let mut array = started(device.clone(), [1, 1]);
    let report = program(&programmer, &mut array, &[start]);
    let after = trace(device, &[0.1], 1e-10, seed()).unwrap();
    assert_eq!((report.pulses, array.conductances()[0]), (0, after.final_conductance));
    assert!((report.energy / (0.1 * after.currents[0] * 1e-10) - 1.0).abs() < 1e-12);
    assert_eq!(report.time, 1e-10);
}

#[test]
fn what_is_not_possible_is_an_error() {
    let device: Arc<dyn Device> = Arc::new(Vteam::default());
    let good = Programmer::of(&*device).unwrap();
    let with = |change: &dyn Fn(&mut Programmer)| {
        let mut programmer = good.clone();
        change(&mut programmer);
        let mut array = started(device.clone(), [1, 1]);
        programmer.program(&mut array, &[0.01], seed()).map(|_| ()).map_err(|e| e.to_string())
    };
    with(&|_| {}).unwrap();
    type Change<'a> = &'a dyn Fn(&mut Programmer);
    let cases: [(Change<'_>, &str); 14] = [
        (&|p| p.set_voltage = 0.0, "set_voltage = 0"),
        (&|p| p.set_voltage = 0.3, "a voltage that raises the conductance: of vteam, this one lowers it"),
        (&|p| p.reset_voltage = -0.3, "a voltage that lowers the conductance"),
        (&|p| p.reset_voltage = f64::NAN, "reset_voltage = NaN"),
        (&|p| p.pulse_width = 0.5e-10, "pulse_width = 5e-11: expected a multiple of the time step, 1e-10 s"),
        (&|p| p.pulse_width = 1.5e-10, "pulse_width"),
        (&|p| p.tolerance = Tolerance::Range(0.0), "tolerance = 0"),
        (&|p| p.tolerance = Tolerance::Siemens(-1.0), "siemens"),
        (&|p| p.max_pulses = 0, "max_pulses"),
        (&|p| p.passes = 0, "passes"),
        (&|p| p.scheme = PulseScheme::Incremental { step: 0.0, limit: 1.0 }, "voltage_step"),
        (&|p| p.scheme = PulseScheme::Incremental { step: 0.1, limit: 0.9 }, "voltage_limit"),
        (&|p| p.resistances.line = -1.0, "line_resistance = -1"),
        (&|p| p.verify.noise = -0.1, "read_noise"),
    ];
    for (change, words) in cases {
        let error = with(change).unwrap_err();
        assert!(error.contains(words), "{error}: expected {words}");
    }
    let mut array = started(device.clone(), [1, 2]);
    for (targets, words) in [
        (vec![0.01, 0.03], "target 1 = 3e-2: expected a conductance from"),
        (vec![0.01, f64::NAN], "target 1"),
        (vec![0.01], "targets has shape [1]"),
    ] {
        let error = good.program(&mut array, &targets, seed()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}: expected {words}");
    }
    assert_eq!(array.conductances(), started(device, [1, 2]).conductances(), "nothing was written");
}

#[test]
fn pulses_that_nobody_reads_follow_the_nominal_device() {
    let device: Arc<dyn Device> = Arc::new(Vteam::default());
    let targets = targets(&*device, 400);
    let mut programmer = Programmer::of(&*device).unwrap();
    programmer.pulse_width = 50.0 * STEP;
    programmer.scheme = PulseScheme::OpenLoop;
    programmer.max_pulses = 3000;
    // Down from ON in steps that add the same resistance each: half of the largest step of conductance is left.
    let ohms = 950.0 * 5e-4 * 50.0 * STEP / 3e-9;
    let half_step = 0.5 * (1.0 / 50.0 - 1.0 / (50.0 + ohms));
    let mut array = started(device.clone(), [20, 20]);
    // Wherever devices are before, they are erased.
    array.conductances_mut().copy_from_slice(&super::targets(&*device, 400));
    array.conductances_mut().reverse();
    let report = program(&programmer, &mut array, &targets);
    for (k, (g, target)) in array.conductances().iter().zip(&targets).enumerate() {
        assert!((g - target).abs() <= half_step * (1.0 + 1e-9), "device {k}: {g:e} for {target:e}");
        let pulses = f64::from(report.device_pulses[k]);
        let written = ((1.0 / g - 50.0) / ohms).round();
        // The erasing pulses come first: the nominal device is ON after 60 at most.
        assert!(
            pulses >= written && pulses <= written + 61.0,
            "device {k}: {pulses} pulses, {written} to write"
        );
    }
    assert!(report.missed.iter().all(|missed| missed.miss == Miss::OpenLoop));
    // Devices that differ from the nominal one end elsewhere.
    let spread = Distribution::normal(5e-4, 5e-5).unwrap();
    let spec = DeviceSpec { model: device.clone(), distributions: vec![("k_off", spread)] };
    let mut other = super::array(&spec, [20, 20], TileShape::Layer);
    let off = program(&programmer, &mut other, &targets);
    assert!(off.error_rms > 5.0 * report.error_rms, "{} {}", off.error_rms, report.error_rms);
}

/// At each change of polarity a device's bounds are drawn anew around its own, and its normalised state stays.
#[test]
fn bounds_are_drawn_anew_at_each_change_of_polarity() {
    let device: Arc<dyn Device> = Arc::new(Vteam::default());
    // A pulse down from ON moves a device by 5 % of its range, past this target; the next one brings it back to ON.
    let count = 300;
    let targets = vec![0.0195; count];
    let run = |sigma: Option<f64>, keep_conductance: bool| {
        let mut programmer = fixed(-0.22, 0.08, 50);
        programmer.cycling = sigma.map(|sigma| Cycling { sigma, keep_conductance });
        programmer.max_pulses = 40;
        programmer.record = true;
        let mut array = started(device.clone(), [30, count / 30]);
        let report = program(&programmer, &mut array, &targets);
        (report, array.conductances().to_vec())
    };
    let (without, g) = run(None, false);
    let (nothing, same) = run(Some(0.0), false);
    let near = g.iter().zip(&same).all(|(a, b)| (a / b - 1.0).abs() < 1e-9);
    assert!(near && nothing.device_pulses == without.device_pulses, "a deviation of 0 draws what there is");
    for keep_conductance in [false, true] {
        let (report, _) = run(Some(1.0), keep_conductance);
        let pairs = report.record.windows(2).filter(|pair| pair[0].device == pair[1].device);
        let turns = pairs.filter(|pair| (pair[0].applied > 0.0) != (pair[1].applied > 0.0)).count();
        assert!(turns > 100, "{turns}");
        assert_eq!(report.cycles, turns as u64);
    }
}

#[test]
fn incremental_pulses_rise_and_start_again_at_a_change_of_polarity() {
    let device: Arc<dyn Device> = Arc::new(Vteam::default());
    let mut programmer = fixed(-0.21, 0.06, 50);
    programmer.scheme = PulseScheme::Incremental { step: 0.05, limit: 1.5 };
    programmer.record = true;
    let mut array = started(device.clone(), [10, 20]);
    let report = program(&programmer, &mut array, &targets(&*device, 200));
    let (mut last, mut most, mut changes) = (None, 0, 0);
    for pulse in &report.record {
        let sets = pulse.applied < 0.0;
        let run = match last {
            Some((device, set, run)) if device == pulse.device && set == sets => run + 1,
            other => {
                changes += usize::from(other.is_some_and(|(device, ..)| device == pulse.device));
                0
            }
        };
        let expected = if sets { -0.21 } else { 0.06 } * f64::min(1.0 + 0.05 * f64::from(run), 1.5);
        assert!((pulse.applied / expected - 1.0).abs() < 1e-12, "{pulse:?}, expected {expected} V");
        last = Some((pulse.device, sets, run));
        most = most.max(run);
    }
    assert!(most > 10 && changes > 20, "{most} {changes}");
}
