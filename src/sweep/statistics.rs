/// What repeats say about a mean.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Statistics {
    /// How many values there are.
    pub count: usize,
    /// Their mean.
    pub mean: f64,
    /// Their deviation, with `count - 1`; absent for one value.
    pub deviation: Option<f64>,
    /// The lower end of the mean's 95 % confidence interval (Student's t); absent for one value.
    pub low: Option<f64>,
    /// Its upper end.
    pub high: Option<f64>,
    /// The least value.
    pub worst: f64,
    /// The greatest value.
    pub best: f64,
}

impl Statistics {
    /// Of at least one value.
    pub fn of(values: &[f64]) -> Self {
        let count = values.len();
        let mean = values.iter().sum::<f64>() / count.max(1) as f64;
        let squares: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
        let deviation = (count > 1).then(|| (squares / (count - 1) as f64).sqrt());
        let half = deviation.map(|s| student(count - 1, 0.05) * s / (count as f64).sqrt());
        Self {
            count,
            mean,
            deviation,
            low: half.map(|h| mean - h),
            high: half.map(|h| mean + h),
            worst: values.iter().copied().fold(f64::INFINITY, f64::min),
            best: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

/// The t beyond which, on both sides together, Student's distribution with so many degrees of freedom has
/// this share, by bisection.
pub(crate) fn student(degrees: usize, outside: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while within(high, degrees) < 1.0 - outside && high < 1e12 {
        high *= 2.0;
    }
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if within(middle, degrees) < 1.0 - outside { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// The probability of a value between -t and t (Abramowitz and Stegun, 26.7.3 and 26.7.4).
fn within(t: f64, degrees: usize) -> f64 {
    let angle = (t / (degrees as f64).sqrt()).atan();
    let (sine, cosine) = angle.sin_cos();
    let odd = degrees % 2 == 1;
    // cos^k times the product of even over odd numbers (odd over even ones), k = 1, 3, ... (0, 2, ...).
    let mut term = if odd { cosine } else { 1.0 };
    let mut sum = 0.0;
    let mut k = if odd { 1 } else { 0 };
    while k + 2 <= degrees {
        sum += term;
        term *= cosine * cosine * (k + 1) as f64 / (k + 2) as f64;
        k += 2;
    }
    if odd { std::f64::consts::FRAC_2_PI * (angle + sine * sum) } else { sine * sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published tables, which scipy.stats.t.ppf(0.975, n) gives too.
    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (degrees, t) in [
            (1, 12.706_204_736),
            (2, 4.302_652_730),
            (3, 3.182_446_305),
            (4, 2.776_445_105),
            (5, 2.570_581_836),
            (9, 2.262_157_163),
            (10, 2.228_138_852),
            (29, 2.045_229_642),
            (100, 1.983_971_519),
            (999, 1.962_341_461),
        ] {
            let found = student(degrees, 0.05);
            assert!((found - t).abs() < 2e-9, "{degrees}: {found}");
        }
        // scipy.stats.t.ppf(1 - 0.001 / 2, 4)
        assert!((student(4, 0.001) - 8.610_301_581).abs() < 1e-8);
    }

    #[test]
    fn five_values_have_a_mean_and_its_interval() {
        let s = Statistics::of(&[0.90, 0.92, 0.94, 0.91, 0.93]);
        assert!((s.mean - 0.92).abs() < 1e-15);
        assert!((s.deviation.unwrap() - 0.015_811_388_300_841_9).abs() < 1e-15);
        // 2.776445 * 0.0158114 / sqrt(5)
        assert!((s.high.unwrap() - s.mean - 0.019_632_431_614_9).abs() < 1e-12);
        assert_eq!((s.worst, s.best), (0.90, 0.94));
        let one = Statistics::of(&[0.5]);
        assert_eq!((one.mean, one.deviation, one.low), (0.5, None, None));
    }
}
