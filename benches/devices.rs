//! Populations of devices under a waveform, against a plain scalar loop of the same model.
//!
//! `cargo bench --bench devices`, or with a filter, as `cargo bench --bench devices vteam`. One thread. Two parameters
//! differ from device to device. Beside criterion's figures, each case prints its device-steps a second, those of the
//! scalar loop in the same run (f64, the standard library's functions, time inside the loop over devices), and
//! their ratio. What limits each is in docs/devices.md.

mod support;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use memtorch_devices::models::{DataDriven, StanfordPku, Vteam};
use memtorch_devices::{Device, DeviceParameters, Distribution, Population, Stream, Waveform};

const DEVICES: usize = 100_000;
const STEPS: usize = 1000;
/// The scalar loop is timed on fewer devices: it has no set-up that this would favour.
const SCALAR: usize = 2000;

/// The least time of a few runs.
fn best(mut run: impl FnMut()) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed());
    }
    best
}

/// A step of one device from its resistances, state and voltage; the generator is that of the noise.
type Scalar<'a> = &'a dyn Fn(&mut [f64], &[f64], &[f64], &[f64]);

fn case(criterion: &mut Criterion, name: &str, device: Arc<dyn Device>, dt: f64, scalar: Scalar<'_>) {
    if !support::is_wanted(&format!("devices/{name}")) {
        return;
    }
    let mut parameters = DeviceParameters::new(device.clone(), DEVICES);
    let vary = [("r_on", device.r_on()), ("r_off", device.r_off())].map(|(parameter, mean)| {
        (parameter, Distribution::normal(mean, 0.02 * mean).expect("a distribution"))
    });
    parameters
        .vary(&vary, Stream::root(0, 0), &|devices| devices.map(|device| [device as u32, 0, 0]).collect())
        .expect("possible devices");
    let voltages: Vec<f64> = (0..STEPS).map(|k| 1.2 * (0.01 * k as f64).sin()).collect();
    let (r_on, r_off): (Vec<f64>, Vec<f64>) =
        (0..SCALAR).map(|i| (parameters.r_on().get(i), parameters.r_off().get(i))).unzip();
    let mut population = Population::new(parameters, Stream::root(0, 0));
    let mut states = population.states()[..SCALAR].to_vec();
    let own = (DEVICES * STEPS) as f64
        / best(|| population.advance(Waveform::Common(&voltages), dt).expect("a waveform")).as_secs_f64();
    let plain = (SCALAR * STEPS) as f64
        / best(|| scalar(black_box(&mut states), &r_on, &r_off, &voltages)).as_secs_f64();
    println!("{name}: {own:.2e} device-steps/s, scalar loop {plain:.2e}, ratio {:.1}", own / plain);
    let mut group = criterion.benchmark_group("devices");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(50))
        .measurement_time(Duration::from_millis(500));
    group.throughput(Throughput::Elements((DEVICES * STEPS) as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| population.advance(Waveform::Common(&voltages), dt).expect("a waveform"));
    });
    group.finish();
}

fn vteam(criterion: &mut Criterion, name: &str, alpha_on: f64, alpha_off: f64) {
    let mut device = Vteam::default();
    device.parameters.alpha_on = alpha_on;
    device.parameters.alpha_off = alpha_off;
    let p = device.parameters;
    let power = |base: f64, exponent: f64| {
        if exponent == exponent.floor() { base.powi(exponent as i32) } else { base.powf(exponent) }
    };
    case(criterion, name, Arc::new(device), 1e-10, &|states, _, _, voltages| {
        for state in states {
            for v in voltages {
                let rate = if *v > p.v_off {
                    p.k_off * power(v / p.v_off - 1.0, alpha_off)
                } else if *v < p.v_on {
                    p.k_on * power(v / p.v_on - 1.0, alpha_on)
                } else {
                    0.0
                };
                *state = (*state + 1e-10 * rate).clamp(p.w_on, p.w_off);
            }
        }
    });
}

/// The scalar loop is without noise: what a normal number costs depends on the generator.
fn stanford_pku(criterion: &mut Criterion) {
    let device = StanfordPku { dynamic: true, ..StanfordPku::default() };
    let p = device.parameters;
    let (k, q) = (1.380_649e-23, 1.602_176_634e-19);
    let read = p.i_0 * (p.v_read / p.v_0).sinh() / p.v_read;
    case(criterion, "stanford_pku_dynamic", Arc::new(device), 1e-9, &|states, r_on, r_off, voltages| {
        for ((state, r_on), r_off) in states.iter_mut().zip(r_on).zip(r_off) {
            let (low, high) = (p.g_0 * (read * r_on).ln(), p.g_0 * (read * r_off).ln());
            for v in voltages {
                let current = p.i_0 * (-*state / p.g_0).exp() * (v / p.v_0).sinh();
                let t = p.t_0 + (v * current).abs() * p.r_th;
                let mut gamma = p.gamma_0 - p.beta * (*state * 1e9).powi(3);
                if gamma * v.abs() / p.t_ox < p.f_min {
                    gamma = 0.0;
                }
                let hop = (gamma * p.a_0 * q * v / (p.t_ox * k * t)).sinh();
                let drift = -p.nu_0 * (-q * p.e_a / (k * t)).exp() * hop;
                let noise = p.delta_g_0 / (1.0 + ((p.t_crit - t) / p.t_smth).exp());
                *state = (*state + 1e-9 * (drift + 0.5 * noise)).clamp(low, high);
            }
        }
    });
}

fn data_driven(criterion: &mut Criterion) {
    let device = DataDriven::default();
    let p = device.parameters;
    case(criterion, "data_driven", Arc::new(device), 1e-8, &|states, r_on, r_off, voltages| {
        for ((state, r_on), r_off) in states.iter_mut().zip(r_on).zip(r_off) {
            for v in voltages {
                let (z, k, rate, t, bound) = if *v > 0.0 {
                    (1.0, p.k_p, p.rate_p, p.t_p, 16719.0)
                } else {
                    (-1.0, p.k_n, p.rate_n, p.t_n, 29304.82557 + 23692.77225 * v)
                };
                let u = z * k * (bound - *state);
                let sigma = z * k * rate * (t * v.abs()).exp_m1() * 1e-8;
                if u > 0.0 && sigma > 0.0 {
                    *state += z / k * (-(-sigma).exp_m1() * u.exp_m1()).ln_1p();
                }
                *state = state.clamp(*r_on, *r_off);
            }
        }
    });
}

fn main() {
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().expect("the only pool");
    let mut criterion = Criterion::default().configure_from_args();
    support::peak(&mut criterion);
    vteam(&mut criterion, "vteam_whole_exponents", 3.0, 1.0);
    vteam(&mut criterion, "vteam_real_exponents", 2.7, 1.3);
    stanford_pku(&mut criterion);
    data_driven(&mut criterion);
    criterion.final_summary();
}
