use crate::{sine, triangle};

/// A periodic voltage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sweep {
    /// Amplitude in V.
    pub amplitude: f64,
    /// Frequency in Hz.
    pub frequency: f64,
    /// Duration in s.
    pub duration: f64,
}

/// The sweeps that show what a model does with its default parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sweeps {
    /// A sine, for the loop of current over voltage.
    pub hysteresis: Sweep,
    /// One period of a triangle, for the logarithm of the current over voltage.
    pub switching: Sweep,
}

impl Sweeps {
    /// A sine over a duration (s), and one period of a triangle; amplitudes in V, frequencies in Hz.
    pub const fn new(hysteresis: (f64, f64, f64), switching: (f64, f64)) -> Self {
        let (amplitude, frequency, duration) = hysteresis;
        let hysteresis = Sweep { amplitude, frequency, duration };
        let (amplitude, frequency) = switching;
        Self { hysteresis, switching: Sweep { amplitude, frequency, duration: 1.0 / frequency } }
    }
}

impl Sweep {
    /// How many samples it has with a time step of `dt` seconds: `round(duration / dt) + 1`. A number that is no
    /// count (infinite, or not a number) comes from a sweep or step that is not possible.
    pub fn samples(&self, dt: f64) -> f64 {
        (self.duration / dt).round() + 1.0
    }

    /// The sweep as a sine: see [`sine`].
    pub fn sine(&self, dt: f64) -> Vec<f64> {
        sine(self.amplitude, self.frequency, self.duration, dt)
    }

    /// The sweep as a triangle, `0 -> A -> 0 -> -A -> 0` in each period; over one period the same as [`triangle`].
    pub fn triangle(&self, dt: f64) -> Vec<f64> {
        let period = 1.0 / self.frequency;
        if self.duration == period {
            return triangle(self.amplitude, self.frequency, dt);
        }
        let sample = |k: usize| {
            let periods = k as f64 * dt / period;
            match periods - periods.floor() {
                p if p <= 0.25 => 4.0 * p,
                p if p <= 0.75 => 2.0 - 4.0 * p,
                p => 4.0 * p - 4.0,
            }
        };
        (0..self.samples(dt) as usize).map(|k| self.amplitude * sample(k)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triangles_repeat() {
        let one = Sweep { amplitude: 1.5, frequency: 10.0, duration: 0.1 };
        let three = Sweep { duration: 0.3, ..one };
        let (one, three) = (one.triangle(1e-3), three.triangle(1e-3));
        assert_eq!((one.len(), three.len()), (101, 301));
        for (k, v) in three.iter().enumerate() {
            assert!((v - one[k % 100]).abs() < 1e-12, "{k}: {v} {}", one[k % 100]);
        }
        assert_eq!(one[25], 1.5);
        assert!(one[50].abs() < 1e-15 && (one[75] + 1.5).abs() < 1e-15 && one[100].abs() < 1e-15);
    }
}
