//! Standard normal numbers of consecutive devices.

#![allow(
    clippy::needless_range_loop,
    reason = "counted loops over arrays are what the compiler turns into vector instructions"
)]

use memtorch_utils::Stream;
use memtorch_utils::kernel::{Loop, widest};
use memtorch_utils::random::philox4x32_lanes;

use crate::job::Noise;
use crate::{Lane, Lanes};

/// The numbers of the devices from `device` on at one step, by the transform of Box and Muller.
#[inline(always)]
pub(crate) fn normals<const W: usize>(noise: &Noise, device: u64, step: u64) -> Lanes<W> {
    let step = noise.first_step.wrapping_add(step);
    let first = noise.first_device.wrapping_add(device);
    let mut place = [[0; W], [0; W], [step & LOW; W], [step >> 32; W]];
    for lane in 0..W {
        let device = first.wrapping_add(lane as u64);
        (place[0][lane], place[1][lane]) = (device & LOW, device >> 32);
    }
    let [a, b, c, d] = philox4x32_lanes(place, noise.stream.key());
    // In (0, 1], so that the logarithm is finite.
    let radius = Lanes::splat(1.0) - unit(a, b);
    let radius = (Lanes::splat(-2.0) * radius.ln()).sqrt();
    radius * unit(c, d).cos_turns()
}

/// Standard normal numbers, one at each of several places: the first of the two of
/// [`Stream::normals`](memtorch_utils::Stream::normals) but for some units in the last place, and the same on every
/// machine.
///
/// # Panics
/// Another number of places than of numbers.
pub fn normals_at(stream: Stream, places: &[[u32; 3]], draw: u32, normals: &mut [f64]) {
    assert_eq!(places.len(), normals.len(), "one number for each place");
    widest(AtPlaces { key: stream.key(), places, draw, normals });
}

struct AtPlaces<'a> {
    key: [u32; 2],
    places: &'a [[u32; 3]],
    draw: u32,
    normals: &'a mut [f64],
}

impl Loop for AtPlaces<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        const W: usize = 16;
        for (places, normals) in self.places.chunks(W).zip(self.normals.chunks_mut(W)) {
            let mut counters = [[0; W], [0; W], [0; W], [u64::from(self.draw); W]];
            for (lane, place) in places.iter().enumerate() {
                for (counter, word) in counters.iter_mut().zip(place) {
                    counter[lane] = u64::from(*word);
                }
            }
            let [a, b, c, d] = philox4x32_lanes(counters, self.key);
            // In (0, 1]: one step of 2^-53 more than a unit.
            let inside = unit(a, b) + Lanes::splat(1.0 / 9_007_199_254_740_992.0);
            let radius = (Lanes::splat(-2.0) * inside.ln()).sqrt();
            normals.copy_from_slice(&(radius * unit(c, d).cos_turns()).0[..normals.len()]);
        }
    }
}

const LOW: u64 = 0xffff_ffff;

/// Uniform numbers in [0, 1) of 53 bits from two words each.
#[inline(always)]
fn unit<const W: usize>(low: [u64; W], high: [u64; W]) -> Lanes<W> {
    let mut unit = [0.0; W];
    for lane in 0..W {
        unit[lane] = ((high[lane] << 32 | low[lane] & LOW) >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0);
    }
    Lanes(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_at_places_are_those_of_the_stream() {
        let stream = Stream::root(5, 2).named("noise");
        let places: Vec<[u32; 3]> = (0..1000u32).map(|i| [i.wrapping_mul(0x9E37_79B9), i, 7 * i]).collect();
        let mut found = vec![0.0; places.len()];
        normals_at(stream, &places, 3, &mut found);
        for (place, found) in places.iter().zip(found) {
            let [expected, _] = stream.normals(*place, 3);
            // Logarithm, root, cosine and their arguments: each some units in the last place of at most 8.6.
            assert!(
                (found - expected).abs() < 1e-14 * (1.0 + expected.abs()),
                "{place:?} {found} {expected}"
            );
        }
    }

    /// Devices and steps beyond 32 bits, at any lane.
    #[test]
    fn words_are_those_of_the_generator() {
        let stream = Stream::root(3, 1);
        let devices = [0, 7, (1 << 32) - 1, 1 << 32, u64::MAX];
        let step = (5 << 32) | 9;
        let counter = [devices.map(|d| d & LOW), devices.map(|d| d >> 32), [step & LOW; 5], [step >> 32; 5]];
        let found = philox4x32_lanes(counter, stream.key());
        for (lane, device) in devices.into_iter().enumerate() {
            let expected =
                stream.words([device as u32, (device >> 32) as u32, step as u32], (step >> 32) as u32);
            for (word, expected) in found.iter().zip(expected) {
                assert_eq!(word[lane] as u32, expected, "{device}");
            }
        }
    }

    #[test]
    fn normal_numbers_are_normal() {
        let noise = Noise { stream: Stream::root(0, 0), first_step: 0, first_device: 0 };
        let draws: Vec<f64> = (0..6250).flat_map(|step| normals::<16>(&noise, 0, step).0).collect();
        let n = draws.len() as f64;
        let moment = |k: i32| draws.iter().map(|z| z.powi(k)).sum::<f64>() / n;
        // Five standard errors of each moment of a standard normal.
        assert!(moment(1).abs() < 5.0 / n.sqrt());
        assert!((moment(2) - 1.0).abs() < 5.0 * (2.0 / n).sqrt());
        assert!(moment(3).abs() < 5.0 * (15.0 / n).sqrt());
        assert!((moment(4) - 3.0).abs() < 5.0 * (96.0 / n).sqrt());
    }
}
