//! The model against its equations, and by name in the command.

use std::process::{Command, Output};
use std::sync::Arc;

use memtorch_devices::{Stream, Trace, contract::Contract, trace};
use new_device_model::Pcm;

#[test]
fn keeps_the_contract() {
    // Drift moves a cell without voltage, and either polarity switches both ways.
    let contract = Contract { volatile: true, unipolar: true, ..Contract::default() };
    assert_eq!(contract.check(&Pcm::default()), []);
}

/// So many steps of `dt` seconds at a voltage, from a resistance.
fn after(resistance: f64, voltage: f64, dt: f64, steps: usize) -> Trace {
    let device = Pcm { start_conductance: Some(1.0 / resistance), ..Pcm::default() };
    trace(Arc::new(device), &vec![voltage; steps], dt, Stream::root(0, 0)).unwrap()
}

#[test]
fn pulses_of_either_polarity_melt_and_crystallise() {
    for sign in [1.0, -1.0] {
        let molten = 1.0 / after(1e4, 1.3 * sign, 1e-9, 100).final_conductance;
        assert!((molten / 1e6 - 1.0).abs() < 1e-12, "{molten}");
        // ln(R / r_on) falls to 1/e in t_set.
        let crystal = 1.0 / after(1e6, 0.8 * sign, 1e-9, 100).final_conductance;
        assert!(((crystal / 1e4).ln() / (100f64.ln() / 1f64.exp()) - 1.0).abs() < 1e-12, "{crystal}");
    }
}

#[test]
fn drift_is_a_power_law_whatever_the_step() {
    // A little above r_reset, so that rounding does not put the cell among those that stay.
    let start: f64 = 1.001e6;
    let age = (start / 1e6).powf(1.0 / 0.05);
    for (dt, steps) in [(1e4, 1), (100.0, 100), (0.5, 20_000)] {
        let found = 1.0 / after(start, 0.0, dt, steps).final_conductance;
        let expected = 1e6 * (age + 1e4_f64).powf(0.05);
        assert!((found / expected - 1.0).abs() < 1e-10, "{dt}: {found}, expected {expected}");
    }
    // It ends at r_off, and a crystalline cell stays.
    assert!((after(9.9e6, 0.0, 1e300, 1).final_conductance * 1e7 - 1.0).abs() < 1e-12);
    assert_eq!(after(5e5, 0.0, 1e6, 3).states[0], after(5e5, 0.0, 1e6, 3).states[2]);
}

fn command(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_new-device-model"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap()
}

#[test]
fn the_command_knows_the_name() {
    let listed = command(&["device", "list"]);
    assert!(String::from_utf8(listed.stdout).unwrap().contains("pcm-drift"));
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("t.csv");
    let traced = command(&["device", "trace", "pcm-drift", "--switching", "--csv", csv.to_str().unwrap()]);
    assert!(traced.status.success(), "{traced:?}");
    assert_eq!(std::fs::read_to_string(csv).unwrap().lines().count(), 1002);
    let run = command(&["run", "experiment.toml", "--limit", "200", "--json"]);
    assert!(run.status.success(), "{run:?}");
    let report = String::from_utf8(run.stdout).unwrap();
    assert!(report.contains("\"patched\": true") || report.contains("\"memristive\""), "{report}");
    // Its own parameters are checked like those of every model.
    let wrong = command(&["run", "experiment.toml", "--set", "device.nuu=1"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8(wrong.stderr).unwrap().contains("did you mean `nu`"));
}
