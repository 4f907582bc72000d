//! Writing by pulses: against simulations of its own (`brute_force`), what each model reaches (`models`), what other
//! cells see (`arrays`), which pulses follow (`schemes`).

mod arrays;
mod brute_force;
mod models;
mod schemes;

use std::sync::Arc;

use memtorch_crossbar::programming::{Bias, Cell, Order, Programmer, ProgrammingReport, PulseScheme};
use memtorch_crossbar::{Array, Layout, TileShape};
use memtorch_devices::{Device, DeviceSpec, Stream};

/// A time step of VTEAM, in s.
pub(crate) const STEP: f64 = 1e-10;

/// The stream of all tests.
pub(crate) fn seed() -> Stream {
    Stream::root(5, 0)
}

pub(crate) fn array(spec: &DeviceSpec, shape: [usize; 2], tile: TileShape) -> Array {
    let layout = Layout::new(1, shape[0], shape[1], tile).unwrap();
    Array::fabricate(layout, spec, seed().named("device")).unwrap().0
}

/// Devices at the conductance at which a trace begins.
pub(crate) fn started(device: Arc<dyn Device>, shape: [usize; 2]) -> Array {
    let mut array = array(&DeviceSpec::new(device.clone()), shape, TileShape::Layer);
    array.conductances_mut().fill(device.start_conductance());
    array
}

/// Conductances anywhere in the range of a device.
pub(crate) fn targets(device: &dyn Device, count: usize) -> Vec<f64> {
    let (low, high) = (1.0 / device.r_off(), 1.0 / device.r_on());
    let stream = seed().named("target");
    (0..count).map(|k| low + (high - low) * stream.at([k as u32, 0, 0]).uniform()).collect()
}

pub(crate) fn program(programmer: &Programmer, array: &mut Array, targets: &[f64]) -> ProgrammingReport {
    programmer.program(array, targets, seed().named("program")).unwrap()
}

pub(crate) fn fixed(set: f64, reset: f64, steps: u32) -> Programmer {
    let pulses = Programmer::new(set, reset, f64::from(steps) * STEP);
    Programmer { scheme: PulseScheme::Fixed, max_pulses: 60, ..pulses }
}

pub(crate) fn passive(bias: Bias) -> Cell {
    Cell::Passive { bias, order: Order::RowMajor }
}
