//! Draws of parameters do not depend on threads or on the number of devices.

use std::sync::Arc;

use memtorch_devices::models::Vteam;
use memtorch_devices::{DeviceParameters, Distribution, Parameter, Population, Stream, VaryReport};

fn drawn(threads: usize, count: usize) -> (Vec<Parameter>, VaryReport) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    pool.install(|| {
        let mut parameters = DeviceParameters::new(Arc::new(Vteam::default()), count);
        // So wide that some draws are not possible and are made again.
        let draws = [
            ("r_on", Distribution::normal(50.0, 25.0).expect("a distribution")),
            ("r_off", Distribution::normal(1000.0, 50.0).expect("a distribution")),
        ];
        let report = parameters
            .vary(&draws, Stream::root(7, 0), &|devices| {
                devices.map(|device| [device as u32, 0, 0]).collect()
            })
            .expect("possible devices");
        (parameters.values().to_vec(), report)
    })
}

#[test]
fn draws_are_the_same_on_any_number_of_threads_and_beside_any_others() {
    // Several blocks, the last one incomplete.
    let (one, report) = drawn(1, 20_011);
    let (two, same) = drawn(2, 20_011);
    assert_eq!(one, two);
    assert_eq!(report, same);
    // A normal of 50 and 25 is below 0 in 2.3 % of draws: five standard errors.
    assert!((report.redrawn as f64 - 0.02275 * 20_011.0).abs() < 5.0 * (0.02275 * 20_011.0f64).sqrt());
    let (few, _) = drawn(1, 100);
    for (all, few) in one.iter().zip(&few) {
        assert!((0..100).all(|device| all.get(device).to_bits() == few.get(device).to_bits()));
    }
}

/// Only what varies costs memory: a million devices with two parameters of their own stay below 30 MB.
#[test]
fn a_million_devices_take_what_varies_and_a_state() {
    const DEVICES: usize = 1_000_000;
    let mut parameters = DeviceParameters::new(Arc::new(Vteam::default()), DEVICES);
    let draws = [
        ("r_on", Distribution::normal(50.0, 5.0).expect("a distribution")),
        ("r_off", Distribution::normal(1000.0, 50.0).expect("a distribution")),
    ];
    let start = std::time::Instant::now();
    parameters
        .vary(&draws, Stream::root(7, 0), &|devices| devices.map(|device| [device as u32, 0, 0]).collect())
        .expect("possible devices");
    println!("drawn in {:?}", start.elapsed());
    let population = Population::new(parameters, Stream::root(7, 0));
    let numbers: usize = population
        .parameters()
        .values()
        .iter()
        .map(|parameter| match parameter {
            Parameter::Uniform(_) => 1,
            Parameter::Each(values) => values.len(),
        })
        .sum::<usize>()
        + population.states().len();
    assert!(numbers * size_of::<f64>() < 30_000_000, "{numbers} numbers");
    // The third array is the last: nothing else grows with the number of devices.
    assert!(numbers < 3 * DEVICES + 100, "{numbers} numbers");
}
