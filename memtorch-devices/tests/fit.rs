//! Known parameters are found again in records of them with noise.
#![cfg(feature = "fit")]

use memtorch_devices::fit::{Fit, FitOptions, Measurement, fit};
use memtorch_devices::models::MODELS;
use memtorch_devices::{DeviceEntry, Distribution, Stream, Table, Value, sine, trace};

fn entry(name: &str) -> &'static DeviceEntry {
    MODELS.iter().find(|entry| entry.name == name).unwrap()
}

fn table(set: &[(&str, f64)]) -> Table {
    set.iter().map(|(name, value)| (*name, Value::Real(*value))).collect()
}

/// The record of a device with normal noise of this share of the greatest current.
fn record(name: &str, truth: &Table, voltages: Vec<f64>, dt: f64, noise: f64) -> Measurement {
    let entry = entry(name);
    let complete = memtorch_utils::config::check(entry.fields, truth).unwrap();
    let device = (entry.build)(&complete).unwrap();
    let mut currents = trace(device, &voltages, dt, Stream::root(0, 0)).unwrap().currents;
    let largest = currents.iter().fold(0.0f64, |a, i| a.max(i.abs()));
    if noise > 0.0 {
        let normal = Distribution::normal(0.0, noise * largest).unwrap();
        for (k, current) in currents.iter_mut().enumerate() {
            *current += normal.sample(&mut Stream::root(9, 0).at([k as u32, 0, 0]));
        }
    }
    Measurement { time_step: dt, voltages, currents }
}

fn show(fit: &Fit) {
    println!("residual {:e} ({:e}), converged {}", fit.residual, fit.relative_residual, fit.converged);
    for p in &fit.parameters {
        println!("  {:18} {:>14e} -> {:>14e} +- {:?} {:?}", p.name, p.start, p.value, p.standard_error, p.determined);
    }
}

fn one(name: &str, set: &[(&str, f64)], voltages: Vec<f64>, dt: f64) {
    for noise in [0.0, 0.01] {
        let begin = std::time::Instant::now();
        let truth = table(set);
        let measured = record(name, &truth, voltages.clone(), dt, noise);
        let largest = measured.currents.iter().fold(0.0f64, |a, i| a.max(i.abs()));
        println!("\n{name} noise {noise}, {} samples, largest {largest:e}", measured.voltages.len());
        let fit = fit(entry(name), &Table::new(), &measured, &FitOptions::default()).unwrap();
        show(&fit);
        println!("truth {set:?} {:?}", begin.elapsed());
    }
}

#[test]
fn explore() {
    one("linear-ion-drift", &[("r_on", 150.0), ("r_off", 12e3), ("u_v", 1.6e-14)], sine(5.0, 2.5, 0.8, 4e-4), 4e-4);
    one("vteam", &[("r_on", 80.0), ("r_off", 1500.0), ("k_on", -20.0), ("k_off", 8e-3), ("alpha_on", 2.5), ("alpha_off", 1.3), ("v_on", -0.3), ("v_off", 0.03)], sine(1.0, 500e6, 4e-9, 4e-12), 4e-12);
    one("stanford-pku", &[("r_on", 700.0), ("r_off", 1.5e5), ("v_0", 0.3), ("gamma_0", 17.0), ("nu_0", 15.0)], sine(1.5, 10.0, 0.2, 1e-4), 1e-4);
    one("stanford-pku", &[("r_on", 700.0), ("r_off", 1.5e5), ("v_0", 0.3), ("gamma_0", 17.0), ("nu_0", 15.0)], sine(1.5, 1e6, 2e-6, 1e-9), 1e-9);
    one("data-driven", &[("rate_p", 900.0), ("rate_n", -5e4), ("t_p", 6.0), ("a_p", 0.3), ("a_n", 0.2), ("b_p", 2.8), ("b_n", 3.2)], sine(1.5, 10e3, 2e-4, 1e-7), 1e-7);
    one("data-driven-2021", &[("rate_p", 800.0), ("rate_n", -30.0), ("a_p", 0.4), ("a_n", 0.25), ("b_p", 2.5), ("b_n", 2.9)], sine(1.5, 10e3, 2e-4, 1e-7), 1e-7);
}
