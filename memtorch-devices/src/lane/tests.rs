use super::*;

/// Distance in units in the last place of the expected value.
fn ulps(found: f64, expected: f64) -> f64 {
    if found == expected || (found.is_nan() && expected.is_nan()) {
        return 0.0;
    }
    let step = f64::from_bits(expected.abs().to_bits() + 1) - expected.abs();
    ((found - expected) / step).abs()
}

#[track_caller]
fn check(
    name: &str,
    bound: f64,
    points: impl Iterator<Item = f64>,
    f: fn(Lanes<2>) -> Lanes<2>,
    exact: fn(f64) -> f64,
) {
    for x in points {
        let Lanes([found, other]) = f(Lanes([x, x]));
        assert_eq!(found.to_bits(), other.to_bits());
        let distance = ulps(found, exact(x));
        assert!(distance <= bound, "{name}({x:e}) = {found:e}, expected {:e}: {distance} ulp", exact(x));
    }
}

fn spread(low: f64, high: f64) -> impl Iterator<Item = f64> {
    (0..20_000).map(move |i| low + (high - low) * (f64::from(i) * 0.618_033_988_749).fract())
}

fn decades() -> impl Iterator<Item = f64> {
    spread(-300.0, 300.0).map(|x| 10f64.powf(x))
}

/// The references are the standard library's, themselves within an ulp.
#[test]
fn functions_are_near_the_exact_ones() {
    check("exp", 3.0, spread(-740.0, 709.7), Lane::exp, f64::exp);
    check("exp", 2.0, spread(-1.0, 1.0), Lane::exp, f64::exp);
    check("exp_m1", 4.0, spread(-2.0, 2.0), Lane::exp_m1, f64::exp_m1);
    check("exp_m1", 2.0, spread(-1e-8, 1e-8), Lane::exp_m1, f64::exp_m1);
    check("ln", 2.0, decades(), Lane::ln, f64::ln);
    check("ln", 3.0, spread(0.5, 2.0), Lane::ln, f64::ln);
    check("ln_1p", 4.0, spread(-0.999, 3.0), Lane::ln_1p, f64::ln_1p);
    check("ln_1p", 2.0, spread(-1e-9, 1e-9), Lane::ln_1p, f64::ln_1p);
    check("sinh", 5.0, spread(-3.0, 3.0), Lane::sinh, f64::sinh);
    check("sinh", 6.0, spread(-710.0, 710.0), Lane::sinh, f64::sinh);
    check("sqrt", 0.0, decades(), Lane::sqrt, f64::sqrt);
}

/// A lane that sends all to the longer way changes no bits of the others.
#[test]
fn neighbours_are_not_seen() {
    let functions: [fn(Lanes<2>) -> Lanes<2>; 5] =
        [Lane::exp, Lane::exp_m1, Lane::ln, Lane::ln_1p, Lane::sinh];
    let far = [0.0, 1e-320, 0.1, -3.0, 750.0, -750.0, f64::INFINITY, f64::NAN];
    for (index, f) in functions.into_iter().enumerate() {
        for x in spread(-720.0, 720.0).take(2000).chain(spread(-1.0, 1.0).take(2000)) {
            let alone = f(Lanes([x, x])).0[0].to_bits();
            for other in far {
                assert_eq!(
                    f(Lanes([x, other])).0[0].to_bits(),
                    alone,
                    "function {index} of {x} beside {other}"
                );
            }
        }
    }
}

#[test]
fn ends_and_numbers_that_are_none() {
    let one = |f: fn(Lanes<1>) -> Lanes<1>, x: f64| f(Lanes([x])).0[0];
    assert_eq!(one(Lane::exp, f64::NEG_INFINITY), 0.0);
    assert_eq!(one(Lane::exp, f64::INFINITY), f64::INFINITY);
    assert_eq!(one(Lane::exp, 0.0), 1.0);
    assert_eq!(one(Lane::ln, 0.0), f64::NEG_INFINITY);
    assert_eq!(one(Lane::ln, f64::INFINITY), f64::INFINITY);
    assert_eq!(one(Lane::ln, 1.0), 0.0);
    assert!(ulps(one(Lane::ln, 5e-324), (5e-324f64).ln()) < 2.0);
    assert!(one(Lane::ln, -1.0).is_nan() && one(Lane::exp, f64::NAN).is_nan());
    assert_eq!(one(Lane::ln_1p, 0.0), 0.0);
    assert_eq!(one(Lane::sinh, -0.0).to_bits(), (-0.0f64).to_bits());
}

#[test]
fn clamping_does_not_hide_what_is_not_a_number() {
    let Lanes([below, within, above, none]) =
        Lanes([-3.0, 0.5, f64::INFINITY, f64::NAN]).clamp(Lanes([0.0; 4]), Lanes([1.0; 4]));
    assert_eq!((below, within, above), (0.0, 0.5, 1.0));
    assert!(none.is_nan());
}

#[test]
fn powers_by_products_and_by_logarithms() {
    for base in spread(0.0, 20.0).take(500).chain([0.0, 1.0]) {
        for exponent in [0.0, 1.0, 2.0, 3.0, 8.0, 0.5, 2.7, 11.0] {
            let Lanes([found, _]) = Lanes([base, base]).pow(Lanes([exponent, 3.3]));
            let alone = Lanes([base]).pow(Lanes([exponent])).0[0];
            // A device does not see which exponents its neighbours have.
            assert_eq!(found.to_bits(), alone.to_bits());
            let expected = base.powf(exponent);
            assert!((found - expected).abs() <= 1e-14 * expected, "{base} {exponent}: {found} {expected}");
        }
    }
}

#[test]
fn cosine_of_turns() {
    for x in spread(0.0, 1.0).chain([0.0, 0.25, 0.5, 0.75, 1.0]) {
        let found = Lanes([x]).cos_turns().0[0];
        let expected = (2.0 * std::f64::consts::PI * x).cos();
        // The reference rounds 2 pi x first, by up to 4.4e-16.
        assert!((found - expected).abs() < 1e-15, "{x} {found} {expected}");
    }
}
