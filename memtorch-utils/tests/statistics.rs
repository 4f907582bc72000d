//! Draws against the distribution functions that they are meant to follow.

use memtorch_utils::{Distribution, Shape, Stream};

const DRAWS: u32 = 100_000;

fn draws(shape: Shape, stream: Stream) -> Vec<f64> {
    let distribution = Distribution::new(shape, f64::NEG_INFINITY, f64::INFINITY).unwrap();
    (0..DRAWS).map(|i| distribution.sample(&mut stream.at([i % 7, i / 7, 0]))).collect()
}

/// The greatest distance between the distribution of the draws and the one that is meant, times the root
/// of their number: above 2.23 with a probability of 1e-4 (Kolmogorov, `2 exp(-2 x^2)`). The seed is
/// fixed, so that a test that passed does so for ever; one in which 1 % of the draws is wrong gives 3.
fn kolmogorov_smirnov(mut draws: Vec<f64>, function: impl Fn(f64) -> f64) -> f64 {
    draws.sort_by(f64::total_cmp);
    let n = draws.len() as f64;
    let distance = draws.iter().enumerate().fold(0.0f64, |distance, (i, x)| {
        let p = function(*x);
        distance.max(p - i as f64 / n).max((i + 1) as f64 / n - p)
    });
    distance * n.sqrt()
}

fn follows(shape: Shape, function: impl Fn(f64) -> f64) {
    let found = kolmogorov_smirnov(draws(shape, Stream::root(11, 0).named("statistics")), function);
    assert!(found < 2.23, "{shape:?}: {found}");
}

/// Regularised lower incomplete gamma function by its power series, which converges for every x > 0:
/// `x^a e^-x sum x^n / (a (a+1) ... (a+n)) / Gamma(a)`.
fn incomplete_gamma(a: f64, x: f64, gamma_of_a: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
    while term > sum * 1e-16 {
        n += 1.0;
        term *= x / n;
        sum += term;
    }
    (a * x.ln() - x).exp() * sum / gamma_of_a
}

/// The normal distribution function: `1/2 + sign(z) P(1/2, z^2/2) / 2`.
fn phi(z: f64) -> f64 {
    let half = incomplete_gamma(0.5, (0.5 * z * z).min(700.0), std::f64::consts::PI.sqrt());
    0.5 + 0.5 * half.copysign(z)
}

#[test]
fn the_functions_of_this_test_give_tabulated_values() {
    for (found, expected) in [
        (phi(0.0), 0.5),
        (phi(1.0), 0.841_344_746_068_543),
        (phi(-1.959_963_984_540_054), 0.025),
        (incomplete_gamma(1.0, 2.0, 1.0), 1.0 - (-2.0f64).exp()),
        (incomplete_gamma(3.0, 1.0, 2.0), 1.0 - 2.5 * (-1.0f64).exp()),
    ] {
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    }
}

#[test]
fn normal_draws_follow_their_distribution() {
    follows(Shape::Normal { mean: 3.0, std: 2.0 }, |x| phi((x - 3.0) / 2.0));
}

#[test]
fn lognormal_draws_follow_their_distribution() {
    follows(Shape::Lognormal { median: 2.0, sigma_ln: 0.5 }, |x| phi((x / 2.0).ln() / 0.5));
}

#[test]
fn uniform_draws_follow_their_distribution() {
    follows(Shape::Uniform { low: -1.0, high: 4.0 }, |x| ((x + 1.0) / 5.0).clamp(0.0, 1.0));
}

#[test]
fn gamma_draws_follow_their_distribution_below_and_above_shape_one() {
    // Gamma(5/2) = 3 sqrt(pi) / 4, Gamma(1/2) = sqrt(pi).
    let root = std::f64::consts::PI.sqrt();
    follows(Shape::Gamma { shape: 2.5, scale: 3.0 }, |x| incomplete_gamma(2.5, x / 3.0, 0.75 * root));
    follows(Shape::Gamma { shape: 0.5, scale: 3.0 }, |x| incomplete_gamma(0.5, x / 3.0, root));
}

#[test]
fn weibull_draws_follow_their_distribution() {
    follows(Shape::Weibull { shape: 1.7, scale: 2.0 }, |x| -(-(x / 2.0).powf(1.7)).exp_m1());
}

#[test]
fn one_draw_in_a_hundred_that_is_wrong_is_found() {
    let mut values = draws(Shape::Uniform { low: 0.0, high: 1.0 }, Stream::root(1, 0));
    values.iter_mut().step_by(100).for_each(|x| *x = 0.0);
    assert!(kolmogorov_smirnov(values, |x| x) > 2.23);
}

/// Limits gather at their ends what lies beyond, and leave the rest as it was.
#[test]
fn limits_clamp_and_do_not_draw_again() {
    let shape = Shape::Normal { mean: 0.0, std: 1.0 };
    let stream = Stream::root(11, 0).named("limits");
    let limited = Distribution::new(shape, -0.5, 1.0).unwrap();
    let mut at_the_ends = [0u32; 2];
    for (i, free) in (0..).zip(draws(shape, stream)) {
        let found = limited.sample(&mut stream.at([i % 7, i / 7, 0]));
        assert_eq!(found, free.clamp(-0.5, 1.0));
        at_the_ends[0] += u32::from(found == -0.5);
        at_the_ends[1] += u32::from(found == 1.0);
    }
    for (count, share) in at_the_ends.into_iter().zip([phi(-0.5), phi(-1.0)]) {
        let n = f64::from(DRAWS);
        // Five standard deviations of a count.
        assert!((f64::from(count) - n * share).abs() < 5.0 * (n * share * (1.0 - share)).sqrt());
    }
}

/// Each bit of the words of neighbouring places is set half of the time.
#[test]
fn bits_of_neighbouring_places_are_even() {
    let stream = Stream::root(0, 0);
    let mut set = [0u32; 128];
    for i in 0..DRAWS {
        for (word, bits) in stream.words([0, i / 256, i % 256], 0).iter().zip(set.chunks_mut(32)) {
            for (bit, count) in bits.iter_mut().enumerate() {
                *count += word >> bit & 1;
            }
        }
    }
    let n = f64::from(DRAWS);
    assert!(set.iter().all(|count| (f64::from(*count) - n / 2.0).abs() < 5.0 * n.sqrt() / 2.0));
}
