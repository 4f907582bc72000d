//! Standard normal numbers of consecutive devices.

#![allow(
    clippy::needless_range_loop,
    reason = "counted loops over arrays are what the compiler turns into vector instructions"
)]

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
    let [a, b, c, d] = philox(place, noise.stream.key());
    // In (0, 1], so that the logarithm is finite.
    let radius = Lanes::splat(1.0) - unit(a, b);
    let radius = (Lanes::splat(-2.0) * radius.ln()).sqrt();
    radius * unit(c, d).cos_turns()
}

const LOW: u64 = 0xffff_ffff;

/// [`memtorch_utils::random::philox4x32`] of several counters. The upper half of each word is not looked at.
#[inline(always)]
fn philox<const W: usize>([mut a, mut b, mut c, mut d]: [[u64; W]; 4], key: [u32; 2]) -> [[u64; W]; 4] {
    let [mut k0, mut k1] = key;
    for round in 0..10 {
        if round > 0 {
            k0 = k0.wrapping_add(0x9E37_79B9);
            k1 = k1.wrapping_add(0xBB67_AE85);
        }
        for lane in 0..W {
            let low = (a[lane] & LOW) * 0xD251_1F53;
            let high = (c[lane] & LOW) * 0xCD9E_8D57;
            a[lane] = (high >> 32) ^ b[lane] ^ u64::from(k0);
            b[lane] = high;
            c[lane] = (low >> 32) ^ d[lane] ^ u64::from(k1);
            d[lane] = low;
        }
    }
    [a, b, c, d]
}

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
    use memtorch_utils::Stream;

    use super::*;

    /// Devices and steps beyond 32 bits, at any lane.
    #[test]
    fn words_are_those_of_the_generator() {
        let stream = Stream::root(3, 1);
        let devices = [0, 7, (1 << 32) - 1, 1 << 32, u64::MAX];
        let step = (5 << 32) | 9;
        let counter = [devices.map(|d| d & LOW), devices.map(|d| d >> 32), [step & LOW; 5], [step >> 32; 5]];
        let found = philox(counter, stream.key());
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
