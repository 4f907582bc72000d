//! One device at a time, without noise, and random devices.

use memtorch_utils::Stream;
use memtorch_utils::config::Kind;

use crate::{DeviceModel, Lane, Lanes};

/// A device of one lane.
pub(super) struct Single<'m, M: DeviceModel> {
    model: &'m M,
    prepared: M::Prepared<Lanes<1>>,
    pub(super) g_min: f64,
    pub(super) g_max: f64,
}

impl<'m, M: DeviceModel> Single<'m, M> {
    pub(super) fn new(model: &'m M, values: &[f64]) -> Self {
        let lanes: Vec<Lanes<1>> = values.iter().map(|value| Lane::splat(*value)).collect();
        let named = |name| M::PARAMETERS.iter().position(|p| *p == name).map_or(f64::NAN, |at| values[at]);
        let (r_on, r_off): (f64, f64) = (named("r_on"), named("r_off"));
        Self { model, prepared: model.prepare(&lanes), g_min: 1.0 / r_off, g_max: 1.0 / r_on }
    }

    pub(super) fn conductance(&self, state: f64) -> f64 {
        self.model.conductance(&self.prepared, Lanes([state])).0[0]
    }

    pub(super) fn state(&self, conductance: f64) -> f64 {
        self.model.state(&self.prepared, Lanes([conductance])).0[0]
    }

    pub(super) fn current(&self, state: f64, voltage: f64) -> f64 {
        self.model.current(&self.prepared, Lanes([state]), Lanes([voltage])).0[0]
    }

    pub(super) fn step(&self, state: f64, voltage: f64, dt: f64) -> f64 {
        self.model.step(&self.prepared, Lanes([state]), Lanes([voltage]), dt, Lanes([0.0])).0[0]
    }

    /// Conductances over the whole range, evenly spaced in their logarithm, ends included.
    pub(super) fn range(&self, count: usize) -> impl Iterator<Item = f64> + use<M> {
        let (low, high) = (self.g_min, self.g_max);
        (0..count).map(move |i| match i {
            0 => low,
            _ if i + 1 == count => high,
            _ => low * (high / low).powf(i as f64 / (count - 1) as f64),
        })
    }
}

/// Random values that the model allows: each nominal one times a factor between `1 / spread` and `spread`, within
/// its field's range. The nominal ones where none is found in a hundred draws.
pub(super) fn draw<M: DeviceModel>(model: &M, stream: Stream, device: usize, spread: f64) -> Vec<f64> {
    let nominal = model.nominal();
    let mut rng = stream.at([device as u32, 0, 0]);
    for _ in 0..100 {
        let mut values = nominal.clone();
        for (value, name) in values.iter_mut().zip(M::PARAMETERS) {
            let factor = spread.powf(2.0 * rng.uniform() - 1.0);
            let field = M::FIELDS.iter().find(|f| f.name == *name && f.kind == Kind::Parameter);
            let (low, high) = field.map_or((f64::NEG_INFINITY, f64::INFINITY), |f| (f.low, f.high));
            *value = (*value * factor).clamp(low, high);
        }
        if model.validate(&values).is_ok() {
            return values;
        }
    }
    nominal
}

/// Random voltages, each held for a few steps.
pub(super) fn voltages(amplitude: f64, steps: usize, stream: Stream, place: usize) -> Vec<f64> {
    let mut rng = stream.at([place as u32, 1, 0]);
    let mut held = 0.0;
    (0..steps)
        .map(|step| {
            if step % 4 == 0 {
                held = amplitude * (2.0 * rng.uniform() - 1.0);
            }
            held
        })
        .collect()
}
