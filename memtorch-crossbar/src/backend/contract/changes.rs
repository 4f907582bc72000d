use std::ops::Range;
use std::sync::Arc;

use memtorch_devices::models::Vteam;
use memtorch_devices::{DeviceSpec, Distribution, Stream};

use super::{Random, tile};
use crate::backend::ArrayBackend;
use crate::{Array, Change, CrossbarError, Layout};

/// Steps that change each device by itself give what their definitions give, to the bit; where a normal number is
/// drawn, to 1e-13 of its deviation. The nearest state is looked for among all of them.
///
/// # Errors
/// They do not, or there is no kernel: the backend and the case.
pub fn changes(backends: &[Arc<dyn ArrayBackend>], cases: Range<u64>) -> Result<(), String> {
    for case in cases {
        let mut random = Random(4_000_000 + case);
        let (groups, rows) = (random.pick(&[1, 1, 3]), random.pick(&[1, 5, 16, 33]));
        let columns = random.pick(&[1, 2, 7, 20]);
        let layout = Layout::new(groups, rows, columns, tile(&mut random)).unwrap();
        let mut spec = DeviceSpec::new(Arc::new(Vteam::default()));
        if random.below(2) == 0 {
            spec.distributions.push(("r_on", Distribution::normal(50.0, 5.0).unwrap()));
        }
        if random.below(2) == 0 {
            spec.distributions.push(("r_off", Distribution::normal(1000.0, 50.0).unwrap()));
        }
        let (mut array, _) = Array::fabricate(layout, &spec, Stream::root(case, 1)).unwrap();
        let targets: Vec<f64> =
            (0..layout.device_count()).map(|_| 0.0105 + 0.0105 * f64::from(random.value())).collect();
        array.program(&targets).unwrap();
        let stream = Stream::root(case, 2);
        let count = random.pick(&[2, 3, 20, 256]);
        let levels: Vec<f64> =
            (1..=count).map(|k| 0.02 * f64::from(k * k) / f64::from(count * count)).collect();
        let all = [
            Change::Scaled(0.37),
            Change::EvenConductances(count),
            Change::EvenResistances(count),
            Change::Levels(&levels),
            Change::Missed { relative: 0.1, absolute: 1e-4 },
            Change::Missed { relative: 0.0, absolute: 0.0 },
        ];
        for change in all {
            for backend in backends {
                let fail = |why: String| format!("case {case}, {change:?} on {layout:?}: {backend:?}: {why}");
                let found = backend.change(&change, &array, stream);
                let found = found.map_err(|error: CrossbarError| fail(error.to_string()))?;
                let found = found.ok_or_else(|| fail("no kernel".to_owned()))?;
                for (device, found) in found.iter().enumerate() {
                    let (expected, bound) = expected(&change, &array, stream, device);
                    if !((found - expected).abs() <= bound) {
                        return Err(fail(format!(
                            "device {device} is not that of the definition: {found:e}, not {expected:e}"
                        )));
                    }
                }
            }
        }
    }
    Ok(())
}

/// What becomes of a device, and how far from it a backend may be.
fn expected(change: &Change<'_>, array: &Array, stream: Stream, device: usize) -> (f64, f64) {
    let g = array.conductances()[device];
    let (low, high) = array.bounds(device);
    let between = |count: u32, [from, to]: [f64; 2]| {
        let last = f64::from(count - 1);
        (0..count).map(move |k| if k == count - 1 { to } else { from + (to - from) * (f64::from(k) / last) })
    };
    let nearest = |states: &mut dyn Iterator<Item = f64>| {
        let nearer = |best: f64, state: f64| {
            let (a, b) = ((best - g).abs(), (state - g).abs());
            if b < a || (b == a && state > best) { state } else { best }
        };
        states.reduce(nearer).unwrap_or(f64::NAN)
    };
    match *change {
        Change::Scaled(factor) => (g * factor, 0.0),
        Change::EvenConductances(count) => (nearest(&mut between(count, [low, high])), 0.0),
        Change::EvenResistances(count) => {
            (nearest(&mut between(count, [1.0 / high, 1.0 / low]).map(|r| 1.0 / r)), 0.0)
        }
        Change::Levels(levels) => (nearest(&mut levels.iter().copied()), 0.0),
        Change::Missed { relative, absolute } => {
            let deviation = (relative * g).hypot(absolute);
            let [normal, _] = stream.normals(array.layout().place(device), 0);
            (g + deviation * normal, 1e-13 * deviation + f64::EPSILON * g.abs())
        }
    }
}
