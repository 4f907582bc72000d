//! Each step against a small computation of its own.

mod common;

use common::{follows, normal_cdf};
use memtorch_crossbar::{Array, Layout, Mask, NonIdeality, TileShape};
use memtorch_devices::{DeviceSpec, Distribution, Stream, models};
use memtorch_nonideal::{Clustering, DeviceToDevice, ENTRIES, FaultMap, Spacing, States, Stuck};
use memtorch_utils::Shape;
use memtorch_utils::config::{self, Table, Value};

const R_ON: f64 = 1.4e4;
const R_OFF: f64 = 5e7;

fn spec() -> DeviceSpec {
    let vteam = models::MODELS.iter().find(|m| m.name == "vteam").unwrap();
    let table = Table::from_iter([("r_on", Value::Real(R_ON)), ("r_off", Value::Real(R_OFF))]);
    DeviceSpec::configure(vteam, &table).unwrap()
}

/// An array of odd tiles whose targets climb evenly from the OFF to the ON conductance.
fn array(groups: usize, rows: usize, columns: usize) -> Array {
    let tile = TileShape::Sized { word_lines: 16, bit_lines: 7 };
    let layout = Layout::new(groups, rows, columns, tile).unwrap();
    Array::fabricate(layout, &spec(), Stream::root(0, 0)).unwrap().0
}

fn ramp(count: usize) -> Vec<f64> {
    let (low, high) = (1.0 / R_OFF, 1.0 / R_ON);
    (0..count).map(|i| low + (high - low) * i as f64 / (count - 1) as f64).collect()
}

fn masked(array: &Array, mask: Mask) -> Vec<usize> {
    array.masks().iter().filter(|(_, m)| *m == mask).map(|(d, _)| *d).collect()
}

#[test]
fn stuck_devices_are_counted_exactly_over_all_tiles_and_groups() {
    // 3 * 33 * 10 = 990 devices; 0.05 of them are 49.5, rounded up to 50; 0.0111 are 10.989 -> 11.
    let mut array = array(3, 33, 10);
    Stuck::new(0.05, 0.0111, 0.2).unwrap().apply(&mut array, Stream::root(3, 0)).unwrap();
    array.settle();
    assert_eq!(masked(&array, Mask::Lrs).len(), 50);
    assert_eq!(masked(&array, Mask::Hrs).len(), 11);
    assert_eq!(masked(&array, Mask::Unformed(None)).len(), 198);
    assert_eq!(array.masks().len(), 50 + 11 + 198);
    array.program(&vec![1.0 / 1e5; 990]).unwrap();
    for (device, mask) in array.masks() {
        let held = if *mask == Mask::Lrs { 1.0 / R_ON } else { 1.0 / R_OFF };
        assert_eq!(array.conductances()[*device], held);
    }
    let healthy = array.conductances().iter().filter(|g| **g == 1.0 / 1e5).count();
    assert_eq!(healthy, 990 - 259);
}

#[test]
fn stuck_devices_are_nested_along_a_sweep_and_the_kinds_are_disjoint() {
    let faults = |lrs, hrs| {
        let mut array = array(1, 40, 25);
        Stuck::new(lrs, hrs, 0.0).unwrap().apply(&mut array, Stream::root(1, 0)).unwrap();
        (masked(&array, Mask::Lrs), masked(&array, Mask::Hrs))
    };
    let (mut inner, all) = (faults(0.0, 0.0), faults(0.5, 0.5));
    assert_eq!(all.0.len() + all.1.len(), 1000);
    for share in [0.01, 0.05, 0.1, 0.25, 0.5] {
        let outer = faults(share, share);
        assert!(inner.0.iter().all(|d| outer.0.contains(d)), "{share}");
        assert!(inner.1.iter().all(|d| outer.1.contains(d)), "{share}");
        assert!(outer.0.iter().all(|d| !outer.1.contains(d)), "{share}");
        inner = outer;
    }
    // What is stuck ON does not depend on how many are stuck OFF.
    assert_eq!(faults(0.1, 0.0).0, faults(0.1, 0.4).0);
}

#[test]
fn stuck_devices_lie_evenly_and_differ_between_arrays() {
    let place = |stream: Stream| {
        let mut array = array(1, 100, 100);
        Stuck::new(0.0, 0.1, 0.0).unwrap().apply(&mut array, stream).unwrap();
        masked(&array, Mask::Hrs)
    };
    let root = Stream::root(5, 0);
    let (positive, negative) = (place(root.child(0)), place(root.child(1)));
    let both = positive.iter().filter(|d| negative.contains(d)).count();
    // 1000 of 10000 in each: 100 +- 9 in both by chance; five deviations.
    assert!((55..=145).contains(&both), "{both}");
    let first_half = positive.iter().filter(|d| **d < 5000).count();
    assert!((425..=575).contains(&first_half), "{first_half}");
}

/// Where devices are stuck OFF, `[rows, columns]`, as the weights see it.
fn stuck_off(array: &mut Array) -> Vec<(usize, usize)> {
    array.settle();
    array.program(&vec![1.0 / 1e5; array.layout().device_count()]).unwrap();
    let matrices = array.layout().to_matrices(array.conductances());
    matrices.indexed_iter().filter(|(_, g)| **g == 1.0 / R_OFF).map(|((_, r, c), _)| (r, c)).collect()
}

#[test]
fn clusters_are_whole_lines_of_a_tile_along_the_axis_that_they_name() {
    // Two by two full tiles of 16 word lines and 7 bit lines, 448 devices.
    let clusters = |clustering, share: f64| {
        let mut array = array(1, 32, 14);
        let stuck = Stuck::new(0.0, share, 0.0).unwrap().with_clustering(clustering).unwrap();
        stuck.apply(&mut array, Stream::root(2, 0)).unwrap();
        stuck_off(&mut array)
    };
    // Three word lines of 7 devices: each row of a tile that has one has all.
    let along = clusters(Clustering::WordLines(None), 21.0 / 448.0);
    assert_eq!(along.len(), 21);
    for &(row, column) in &along {
        let tile = column / 7 * 7;
        assert!((tile..tile + 7).all(|c| along.contains(&(row, c))), "{row}, {column}");
    }
    // Two bit lines of 16 devices.
    let down = clusters(Clustering::BitLines(None), 32.0 / 448.0);
    assert_eq!(down.len(), 32);
    for &(row, column) in &down {
        let tile = row / 16 * 16;
        assert!((tile..tile + 16).all(|r| down.contains(&(r, column))), "{row}, {column}");
    }
    // Runs of four: a bit line of 16 has four of them, and they do not cross its quarters.
    let runs = clusters(Clustering::BitLines(Some(4)), 40.0 / 448.0);
    assert_eq!(runs.len(), 40);
    for &(row, column) in &runs {
        let run = row / 4 * 4;
        assert!((run..run + 4).all(|r| runs.contains(&(r, column))), "{row}, {column}");
    }
}

#[test]
fn a_map_puts_faults_on_the_weights_that_it_names() {
    // Tiles of 16 x 7: inside the first, at the first corner of the last, and at its end.
    let places = [(3, 5, 1), (16, 7, 2), (32, 9, 3)];
    let mut faults = vec![0; 33 * 10];
    for (row, column, fault) in places {
        faults[row * 10 + column] = fault;
    }
    let map = FaultMap::new([1, 33, 10], faults.clone()).unwrap();
    let mut tested = array(1, 33, 10);
    let stuck = Stuck::map(map).with_unformed_resistance(1e9).unwrap();
    stuck.apply(&mut tested, Stream::root(0, 0)).unwrap();
    assert_eq!(stuck_off(&mut tested), [(16, 7)]);
    let matrices = tested.layout().to_matrices(tested.conductances());
    assert_eq!((matrices[[0, 3, 5]], matrices[[0, 32, 9]]), (1.0 / R_ON, 1.0 / 1e9));
    assert_eq!(tested.masks().len(), 3);
    // The same numbers as a matrix of another shape are of another matrix.
    let turned = Stuck::map(FaultMap::new([1, 10, 33], faults).unwrap());
    let error = turned.apply(&mut array(1, 33, 10), Stream::root(0, 0)).unwrap_err();
    assert!(error.to_string().contains("[1, 33, 10]"), "{error}");
}

#[test]
fn shares_that_make_no_sense_are_errors() {
    assert!(Stuck::new(-0.1, 0.0, 0.0).is_err());
    assert!(Stuck::new(f64::NAN, 0.0, 0.0).is_err());
    let error = Stuck::new(0.6, 0.6, 0.0).unwrap_err();
    assert!(error.to_string().contains("1.2"), "{error}");
}

#[test]
fn a_device_that_was_never_formed_takes_the_resistance_given() {
    let mut array = array(1, 10, 10);
    let step = Stuck::new(0.0, 0.0, 1.0).unwrap().with_unformed_resistance(1e9).unwrap();
    step.apply(&mut array, Stream::root(0, 0)).unwrap();
    array.settle();
    assert!(array.conductances().iter().all(|g| *g == 1.0 / 1e9));
}

/// The nearest level by looking at all of them; of two equally near the higher.
fn brute(levels: &[f64], g: f64) -> f64 {
    let mut best = levels[0];
    for level in levels {
        let (new, old) = ((level - g).abs(), (best - g).abs());
        if new < old || (new == old && *level > best) {
            best = *level;
        }
    }
    best
}

#[test]
fn states_are_the_nearest_of_all_levels() {
    let (low, high) = (1.0 / R_OFF, 1.0 / R_ON);
    for count in [2u32, 3, 5, 10, 16, 1000] {
        for spacing in [Spacing::Conductance, Spacing::Resistance] {
            let last = f64::from(count - 1);
            let levels: Vec<f64> = (0..count)
                .map(|k| match spacing {
                    Spacing::Conductance => low + (high - low) * f64::from(k) / last,
                    _ => 1.0 / (R_ON + (R_OFF - R_ON) * f64::from(k) / last),
                })
                .collect();
            let mut array = array(1, 33, 15);
            let targets = ramp(495);
            array.program(&targets).unwrap();
            States::even(count, spacing).unwrap().apply(&mut array, Stream::root(0, 0)).unwrap();
            for (g, target) in array.conductances().iter().zip(&targets) {
                let expected = brute(&levels, *target);
                // The level is computed another way here: some roundings of 1e-16 of the range apart.
                let near = (g - expected).abs() <= 1e-14 * high;
                // Half way between two states the two ways may round apart.
                let tie = ((g - target).abs() - (expected - target).abs()).abs() <= 1e-14 * high;
                assert!(near || tie, "{count} {spacing:?} {target:e}: {g:e} {expected:e}");
            }
        }
    }
}

#[test]
fn half_way_goes_to_the_higher_conductance() {
    let mut array = array(1, 1, 1);
    // 1/R_off and 1/R_on with three states: exact quarters in binary need exact bounds, so levels.
    array.program(&[3.0 / 65536.0]).unwrap();
    let levels = vec![4.0 / 65536.0, 2.0 / 65536.0];
    States::given(levels).unwrap().apply(&mut array, Stream::root(0, 0)).unwrap();
    assert_eq!(array.conductances(), [4.0 / 65536.0]);
}

/// Fault 5 of the published tool: finite states together with per-device bounds failed in silence.
#[test]
fn states_lie_between_the_bounds_of_each_device() {
    let mut array = array(1, 32, 32);
    DeviceToDevice::sigma(1e3).unwrap().apply(&mut array, Stream::root(0, 0)).unwrap();
    array.settle();
    array.program(&ramp(1024)).unwrap();
    States::even(2, Spacing::Conductance).unwrap().apply(&mut array, Stream::root(0, 0)).unwrap();
    let mut ends = std::collections::BTreeSet::new();
    for device in 0..1024 {
        let (low, high) = array.bounds(device);
        let g = array.conductances()[device];
        assert!(g == low || g == high, "{device}: {g:e} of {low:e}..{high:e}");
        ends.insert(g.to_bits());
    }
    assert!(ends.len() > 1000, "devices share bounds");
}

#[test]
fn states_leave_stuck_devices_alone_and_count_them() {
    let mut array = array(1, 20, 20);
    let unformed = Stuck::new(0.0, 0.0, 0.25).unwrap().with_unformed_resistance(1e9).unwrap();
    unformed.apply(&mut array, Stream::root(0, 0)).unwrap();
    array.settle();
    array.program(&ramp(400)).unwrap();
    let report =
        States::even(4, Spacing::Conductance).unwrap().apply(&mut array, Stream::root(0, 0)).unwrap();
    assert_eq!(array.conductances().iter().filter(|g| **g == 1.0 / 1e9).count(), 100);
    let left = report.effects.iter().find(|e| e.what.contains("cannot be written")).unwrap();
    assert_eq!(left.value, 100.0);
}

/// 1e5 draws of each distribution, as parameters of devices. The bounds of `r_on < r_off` are far away.
#[test]
fn parameters_follow_their_distributions() {
    let draws = |shape| -> Vec<f64> {
        let mut array = array(1, 400, 250);
        let distribution = Distribution::new(shape, f64::NEG_INFINITY, f64::INFINITY).unwrap();
        let step = DeviceToDevice::parameters(vec![("r_on".to_owned(), distribution)]);
        step.apply(&mut array, Stream::root(4, 0)).unwrap();
        let r_on = array.devices().parameter("r_on").unwrap();
        (0..100_000).map(|device| r_on.get(device)).collect()
    };
    let r = R_ON;
    follows(draws(Shape::Normal { mean: r, std: 0.1 * r }), |x| normal_cdf((x - r) / (0.1 * r)));
    follows(draws(Shape::Lognormal { median: r, sigma_ln: 0.4 }), |x| normal_cdf((x / r).ln() / 0.4));
    follows(draws(Shape::Uniform { low: r, high: 3.0 * r }), |x| ((x - r) / (2.0 * r)).clamp(0.0, 1.0));
    // Of shape 3: 1 - exp(-x) (1 + x + x^2 / 2).
    follows(draws(Shape::Gamma { shape: 3.0, scale: r }), |x| {
        let x = x / r;
        1.0 - (-x).exp() * (1.0 + x + 0.5 * x * x)
    });
    follows(draws(Shape::Weibull { shape: 1.7, scale: r }), |x| 1.0 - (-(x / r).powf(1.7)).exp());
}

#[test]
fn sigma_draws_around_the_resistances_of_the_model_in_use() {
    // Fault 6 of the published tool: the means were always the model's defaults (50 and 1000 ohm here).
    let mut array = array(1, 400, 250);
    DeviceToDevice::sigma(500.0).unwrap().apply(&mut array, Stream::root(2, 0)).unwrap();
    for (name, mean, sigma) in [("r_on", R_ON, 500.0), ("r_off", R_OFF, 1000.0)] {
        let parameter = array.devices().parameter(name).unwrap();
        let values = (0..100_000).map(|device| parameter.get(device)).collect();
        follows(values, |x| normal_cdf((x - mean) / sigma));
    }
}

/// Chi-square of 1e5 stuck devices over the hundred parts of an array, and over its kinds of lines.
#[test]
fn stuck_devices_are_as_likely_anywhere() {
    let (rows, columns) = (1000, 1000);
    let mut array = array(1, rows, columns);
    Stuck::new(0.05, 0.05, 0.0).unwrap().apply(&mut array, Stream::root(8, 0)).unwrap();
    let places: Vec<[u32; 3]> =
        array.masks().iter().map(|(device, _)| array.layout().place(*device)).collect();
    assert_eq!(places.len(), 100_000);
    let test = |parts: Vec<(usize, usize)>| {
        // Drawn without putting back: the variance is 0.9 of a binomial's.
        let chi_square: f64 = parts
            .iter()
            .map(|(found, devices)| {
                let expected = *devices as f64 * 0.1;
                (*found as f64 - expected).powi(2) / (0.9 * expected)
            })
            .sum();
        // Its mean and deviation are n - 1 and sqrt(2 (n - 1)); five and a half of them.
        let freedom = (parts.len() - 1) as f64;
        assert!((chi_square - freedom).abs() < 5.5 * (2.0 * freedom).sqrt(), "{chi_square} of {freedom}");
    };
    let by = |part: &dyn Fn(usize) -> usize, count: usize| {
        let mut parts = vec![(0, 0); count];
        for device in 0..rows * columns {
            parts[part(device)].1 += 1;
        }
        array.masks().iter().for_each(|(device, _)| parts[part(*device)].0 += 1);
        parts
    };
    test(by(&|device| device / 10_000, 100));
    test(by(&|device| array.layout().place(device)[1] as usize, 16));
    test(by(&|device| array.layout().place(device)[2] as usize, 7));
    test(by(&|device| device % 64, 64));
}

#[test]
fn a_parameter_is_varied_once_only() {
    let mut array = array(1, 4, 4);
    let normal = Distribution::normal(R_ON, 10.0).unwrap();
    let step = DeviceToDevice::parameters(vec![("r_on".to_owned(), normal)]);
    step.apply(&mut array, Stream::root(0, 0)).unwrap();
    let error = step.apply(&mut array, Stream::root(0, 0)).unwrap_err();
    assert!(error.to_string().contains("r_on"), "{error}");
    let unknown = DeviceToDevice::parameters(vec![("r_onn".to_owned(), normal)]);
    let error = unknown.apply(&mut array, Stream::root(0, 0)).unwrap_err();
    assert!(error.to_string().contains("did you mean `r_on`"), "{error}");
}

#[test]
fn draws_without_a_possible_device_are_an_error() {
    let mut array = array(1, 2, 2);
    let above = Distribution::normal(R_OFF * 2.0, 1.0).unwrap();
    let step = DeviceToDevice::parameters(vec![("r_on".to_owned(), above)]);
    let error = step.apply(&mut array, Stream::root(0, 0)).unwrap_err();
    assert!(error.to_string().contains("1000 draws"), "{error}");
}

#[test]
fn parameters_are_not_drawn_after_programming() {
    let mut array = array(1, 2, 2);
    array.program(&ramp(4)).unwrap();
    let error = DeviceToDevice::sigma(1.0).unwrap().apply(&mut array, Stream::root(0, 0)).unwrap_err();
    assert!(error.to_string().contains("after_tuning"), "{error}");
}

fn build(kind: &str, entries: Vec<(&str, Value)>) -> Result<(), config::ConfigError> {
    let entry = ENTRIES.iter().find(|e| e.name == kind).unwrap();
    let table = config::check(entry.fields, &Table::from_iter(entries))?;
    (entry.build)(&table).map(|step| assert_eq!(step.name(), kind))
}

#[test]
fn configurations_are_read_and_wrong_ones_named() {
    build("stuck", vec![("lrs", Value::Real(0.1)), ("hrs", Value::Integer(0))]).unwrap();
    build("states", vec![("count", Value::Integer(4))]).unwrap();
    build("device-to-device", vec![("sigma", Value::Real(1.0))]).unwrap();
    let normal = Table::from_iter([("mean", Value::Real(1e4)), ("std", Value::Real(10.0))]);
    let distribution = Value::Table(Table::from_iter([("normal", Value::Table(normal))]));
    let parameters = Value::Table(Table::from_iter([("r_on", distribution.clone())]));
    build("device-to-device", vec![("parameters", parameters.clone())]).unwrap();
    for (kind, entries, key) in [
        ("stuck", vec![("lsr", Value::Real(0.1))], "did you mean `lrs`"),
        ("stuck", vec![("lrs", Value::Real(1.5))], "`lrs` = 1.5"),
        ("states", vec![], "count"),
        ("states", vec![("count", Value::Integer(1))], "`count` = 1"),
        ("states", vec![("count", Value::Real(2.5))], "`count` = 2.5"),
        ("states", vec![("levels", Value::List(vec![Value::Real(-1.0), Value::Real(1.0)]))], "levels"),
        ("device-to-device", vec![], "sigma"),
        ("device-to-device", vec![("sigma", Value::Real(1.0)), ("parameters", parameters)], "sigma"),
        ("device-to-device", vec![("sigma", Value::Real(-1.0))], "`sigma` = -1"),
    ] {
        let error = build(kind, entries).unwrap_err().to_string();
        assert!(error.contains(key), "{kind}: {error}");
    }
}
