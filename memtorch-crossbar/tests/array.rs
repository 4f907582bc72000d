//! Arrays: fabrication, direct programming, devices that cannot be written.

use memtorch_crossbar::{Array, Layout, Mask, TileShape};
use memtorch_devices::{DeviceSpec, Distribution, Stream, models};
use memtorch_utils::config::{Table, Value};

const R_ON: f64 = 100.0;
const R_OFF: f64 = 1e4;

fn spec() -> DeviceSpec {
    let vteam = models::MODELS.iter().find(|m| m.name == "vteam").unwrap();
    let table = Table::from_iter([("r_on", Value::Real(R_ON)), ("r_off", Value::Real(R_OFF))]);
    DeviceSpec::configure(vteam, &table).unwrap()
}

fn layout() -> Layout {
    Layout::new(2, 9, 5, TileShape::Sized { word_lines: 4, bit_lines: 3 }).unwrap()
}

#[test]
fn nominal_bounds_are_no_clipping() {
    let (mut array, _) = Array::fabricate(layout(), &spec(), Stream::root(0, 0)).unwrap();
    let targets: Vec<f64> = (0..90).map(|i| if i % 2 == 0 { 1.0 / R_ON } else { 1.0 / R_OFF }).collect();
    assert_eq!(array.program(&targets).unwrap().clipped, 0);
    assert_eq!(array.conductances(), targets);
}

#[test]
fn targets_beyond_a_device_are_clipped_to_its_own_bounds_and_counted() {
    let mut spec = spec();
    spec.distributions.push(("r_on", Distribution::normal(R_ON, 20.0).unwrap()));
    let (mut array, _) = Array::fabricate(layout(), &spec, Stream::root(4, 0)).unwrap();
    let report = array.program(&[1.0 / R_ON; 90]).unwrap();
    let mut beyond = 0;
    for device in 0..90 {
        let (_, high) = array.bounds(device);
        assert_eq!(array.conductances()[device], high.min(1.0 / R_ON));
        beyond += usize::from(high < 1.0 / R_ON);
    }
    assert_eq!(report.clipped, beyond);
    assert!((20..70).contains(&beyond), "half of the devices have a higher resistance: {beyond}");
}

#[test]
fn draws_follow_the_place_of_a_device_and_not_the_rest_of_the_array() {
    let mut spec = spec();
    spec.distributions.push(("r_on", Distribution::normal(R_ON, 20.0).unwrap()));
    let tile = TileShape::Sized { word_lines: 4, bit_lines: 3 };
    let small = Array::fabricate(Layout::new(1, 4, 3, tile).unwrap(), &spec, Stream::root(1, 0)).unwrap().0;
    let large = Array::fabricate(Layout::new(2, 9, 5, tile).unwrap(), &spec, Stream::root(1, 0)).unwrap().0;
    for row in 0..4 {
        for column in 0..3 {
            let (a, b) = (small.layout().device(0, row, column), large.layout().device(0, row, column));
            assert_eq!(small.bounds(a), large.bounds(b));
        }
    }
}

#[test]
fn the_positive_and_the_negative_array_are_not_correlated() {
    let mut spec = spec();
    spec.distributions.push(("r_on", Distribution::normal(R_ON, 10.0).unwrap()));
    let layout = Layout::new(1, 100, 100, TileShape::Layer).unwrap();
    let stream = Stream::root(0, 0).named("layer").named("device");
    let draw = |array| {
        let array = Array::fabricate(layout, &spec, stream.child(array)).unwrap().0;
        (0..10_000).map(|d| (array.devices().r_on().get(d) - R_ON) / 10.0).collect::<Vec<f64>>()
    };
    let correlation = draw(0).iter().zip(draw(1)).map(|(a, b)| a * b).sum::<f64>() / 1e4;
    // Five standard deviations of an uncorrelated pair.
    assert!(correlation.abs() < 0.05, "{correlation}");
}

#[test]
fn devices_that_cannot_be_written_keep_what_they_are_held_at() {
    let (mut array, _) = Array::fabricate(layout(), &spec(), Stream::root(0, 0)).unwrap();
    array.add_masks(&[(7, Mask::Lrs), (3, Mask::Hrs), (5, Mask::Unformed(Some(1e6)))]).unwrap();
    // The older mask is kept.
    array.add_masks(&[(3, Mask::Lrs), (80, Mask::Unformed(None))]).unwrap();
    array.settle();
    assert_eq!(array.program(&[0.005; 90]).unwrap().masked, 4);
    let g = array.conductances();
    assert_eq!([g[3], g[5], g[7], g[80], g[4]], [1.0 / R_OFF, 1e-6, 1.0 / R_ON, 1.0 / R_OFF, 0.005]);
    let mut seen = Vec::new();
    array.write(|device, old, _| {
        seen.push(device);
        old
    });
    assert_eq!(seen.len(), 86);
    assert!([3, 5, 7, 80].iter().all(|d| !seen.contains(d)));
}

#[test]
fn impossible_programs_and_masks_are_errors() {
    let (mut array, _) = Array::fabricate(layout(), &spec(), Stream::root(0, 0)).unwrap();
    assert!(array.program(&[0.0; 89]).is_err());
    let mut targets = [1e-3; 90];
    targets[17] = f64::NAN;
    let error = array.program(&targets).unwrap_err().to_string();
    assert!(error.contains("target 17") && error.contains("NaN"), "{error}");
    assert!(array.add_masks(&[(90, Mask::Lrs)]).is_err());
    assert!(array.add_masks(&[(0, Mask::Unformed(Some(-1.0)))]).is_err());
}
