//! Exponentials that are the same on every machine, without branches, so that loops over them vectorise.
//!
//! The system's functions differ in the last bit from one C library to the next, and take one element at a
//! time.

/// `e^x`, within one and a half units in the last place.
///
/// `x = n ln 2 + r` with whole `n`; `e^r` is `1 + r + r^2 q(r)` on `[-ln 2 / 2, ln 2 / 2]`, with `q` the
/// polynomial of degree 4 through the Chebyshev nodes.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding it leaves the nearest whole number in the lowest bits.
    const SHIFT: f32 = 12_582_912.0;
    // ln 2 in two parts, of which the first has so few digits that its multiples are exact.
    const LN2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    // Beyond these the result is 0 or infinite; a NaN passes.
    let x = x.clamp(-104.0, 89.0);
    let shifted = x * std::f32::consts::LOG2_E + SHIFT;
    let n = shifted - SHIFT;
    let r = (x - n * LN2[0]) - n * LN2[1];
    let q = 0.001_392_617_6f32;
    let q = q * r + 0.008_363_173;
    let q = q * r + 0.041_666_556;
    let q = q * r + 0.166_665_78;
    let q = q * r + 0.5;
    let y = r * r * q + r + 1.0;
    // 2^n in two factors, because n goes from -150 to 128.
    let n = (shifted.to_bits() as i32).wrapping_sub(SHIFT.to_bits() as i32);
    let (a, b) = (n >> 1, n - (n >> 1));
    let power = |n: i32| f32::from_bits((n.wrapping_add(127) as u32) << 23);
    y * power(a) * power(b)
}

/// `tanh x`, within two and a half units in the last place.
///
/// Below 0.625 `x + x z p(z)`, `z = x^2`, with `p` of degree 4; above `1 - 2 / (e^2x + 1)`.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let (magnitude, z) = (x.abs(), x * x);
    let p = -0.006_096_714f32;
    let p = p * z + 0.020_997_18;
    let p = p * z - 0.053_850_908;
    let p = p * z + 0.133_327_7;
    let p = p * z - 0.333_333_28;
    let small = magnitude + magnitude * (z * p);
    let large = 1.0 - 2.0 / (exp(2.0 * magnitude) + 1.0);
    (if magnitude < 0.625 { small } else { large }).copysign(x)
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error in units of the last place of `expected`.
    fn error(found: f32, expected: f64) -> f64 {
        let rounded = expected as f32;
        let unit = f64::from(f32::from_bits(rounded.abs().to_bits() + 1)) - f64::from(rounded.abs());
        (f64::from(found) - expected).abs() / unit
    }

    #[test]
    fn values_are_those_of_the_system_in_f64() {
        for i in -200_000..200_000 {
            let x = i as f32 * 4.3e-4;
            assert!(error(exp(x), f64::from(x).exp()) < 1.5, "exp {x}");
            let y = x * 0.1;
            assert!(error(tanh(y), f64::from(y).tanh()) < 2.5, "tanh {y}");
            // Its own rounding and that of the exponential.
            assert!(error(sigmoid(y), 1.0 / (1.0 + (-f64::from(y)).exp())) < 2.5, "sigmoid {y}");
        }
        for i in -300..0 {
            let x = 10.0f32.powf(i as f32 * 0.1);
            assert!(error(tanh(x), f64::from(x).tanh()) < 2.5, "tanh {x}");
            assert_eq!(tanh(-x), -tanh(x));
        }
    }

    #[test]
    fn limits_are_kept() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp(-200.0), 0.0);
        assert_eq!(exp(89.0), f32::INFINITY);
        assert!(exp(88.7).is_finite());
        // The smallest numbers have fewer digits.
        assert!((f64::from(exp(-100.0)) - (-100.0f64).exp()).abs() < 1.5e-45);
        assert!(exp(f32::NAN).is_nan() && tanh(f32::NAN).is_nan() && sigmoid(f32::NAN).is_nan());
        assert_eq!((tanh(50.0), tanh(f32::NEG_INFINITY)), (1.0, -1.0));
        assert_eq!((sigmoid(200.0), sigmoid(-200.0)), (1.0, 0.0));
        assert_eq!(tanh(-0.0).to_bits(), (-0.0f32).to_bits());
    }
}
