use crate::MapError;
use crate::scheme::{MappingScheme, Minus, Reference, Term};

/// How a bit-sliced weight has a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sign {
    /// The magnitude is sliced, and each slice is a pair of devices of which one carries it.
    Differential,
    /// Two's complement: the last slice holds the sign bit alone, whose weight is negative. A reference
    /// subtracts what devices at zero conduct.
    TwosComplement(Reference),
}

/// Weights as whole numbers, whose digits lie on devices of their own; the digital side shifts what the
/// columns of the slices give, and adds.
///
/// A digit d of b bits is the state `d / (2^b - 1)`. With S slices of b bits, and [`Sign::Differential`],
/// `q = round(|w| (2^B - 1))` with `B = b S` bits, on 2 S devices; slice k weighs `2^(b k)`. With
/// [`Sign::TwosComplement`], `q = round(w (2^(B - 1) - 1))` with `B = b (S - 1) + 1` bits, on S devices; the
/// sign bit weighs `-2^(B - 1)`. `round` takes halves away from zero; w is relative to the largest weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitSliced {
    bits_per_cell: u32,
    slices: u32,
    sign: Sign,
}

/// More bits than this are not whole numbers in f32, in which slices are added.
const MOST_BITS: u32 = 24;

impl BitSliced {
    /// Weights of `slices` digits of `bits_per_cell` bits.
    ///
    /// # Errors
    /// No bits, no slices, one slice that would be only a sign, more than 24 bits together.
    pub fn new(bits_per_cell: u32, slices: u32, sign: Sign) -> Result<Self, MapError> {
        let wrong = |key, value: u32, expected: String| {
            Err(MapError::Setting { key, value: value.to_string(), expected })
        };
        if !(1..=8).contains(&bits_per_cell) {
            return wrong("bits_per_cell", bits_per_cell, "a whole number from 1 to 8".to_owned());
        }
        let fewest = match sign {
            Sign::Differential => 1,
            Sign::TwosComplement(_) => 2,
        };
        let most = MOST_BITS / bits_per_cell + fewest - 1;
        if !(fewest..=most).contains(&slices) {
            let expected = format!(
                "a whole number from {fewest} to {most}: a weight has at most {MOST_BITS} bits beside its sign, \
                 here {bits_per_cell} a device"
            );
            return wrong("slices", slices, expected);
        }
        Ok(Self { bits_per_cell, slices, sign })
    }

    /// Slices with digits: all, or all but the sign.
    fn digits(&self) -> u32 {
        match self.sign {
            Sign::Differential => self.slices,
            Sign::TwosComplement(_) => self.slices - 1,
        }
    }

    /// The largest magnitude: `2^(bits of the digits) - 1`.
    fn largest(&self) -> f64 {
        2f64.powi((self.bits_per_cell * self.digits()) as i32) - 1.0
    }

    /// The largest digit.
    fn base(&self) -> f64 {
        2f64.powi(self.bits_per_cell as i32) - 1.0
    }

    /// Writes the digits of a whole number as states.
    fn digit_states(&self, whole: u32, states: &mut [f64]) {
        for (k, state) in (0..).zip(states) {
            let digit = whole >> (self.bits_per_cell * k) & ((1 << self.bits_per_cell) - 1);
            *state = f64::from(digit) / self.base();
        }
    }
}

impl MappingScheme for BitSliced {
    fn name(&self) -> &str {
        "bit-sliced"
    }

    fn arrays(&self) -> usize {
        match self.sign {
            Sign::Differential => 2 * self.slices as usize,
            Sign::TwosComplement(_) => self.slices as usize,
        }
    }

    fn states(&self, weight: f64, _floor: f64, states: &mut [f64]) {
        let magnitude = (weight.abs() * self.largest() + 0.5).floor() as u32;
        states.fill(0.0);
        match self.sign {
            Sign::Differential => {
                let (positive, negative) = states.split_at_mut(self.slices as usize);
                self.digit_states(magnitude, if weight < 0.0 { negative } else { positive });
            }
            Sign::TwosComplement(_) => {
                let (sign, digits) = states.split_last_mut().expect("at least two slices");
                let bits = self.bits_per_cell * self.digits();
                let negative = weight < 0.0 && magnitude > 0;
                let whole = if negative { (1 << bits) - magnitude } else { magnitude };
                self.digit_states(whole, digits);
                *sign = if negative { 1.0 / self.base() } else { 0.0 };
            }
        }
    }

    fn reference(&self) -> Option<f64> {
        match self.sign {
            Sign::Differential => None,
            Sign::TwosComplement(reference) => reference.column(0.0),
        }
    }

    fn terms(&self) -> Vec<Term> {
        let slices = self.slices as usize;
        (0..slices)
            .map(|array| {
                let power = 2f32.powi((self.bits_per_cell * array as u32) as i32);
                match self.sign {
                    Sign::Differential => Term { array, minus: Minus::Array(slices + array), weight: power },
                    Sign::TwosComplement(reference) => {
                        let weight = if array + 1 == slices { -power } else { power };
                        Term { array, minus: reference.minus(0.0), weight }
                    }
                }
            })
            .collect()
    }

    fn gain(&self, _floor: f64) -> f64 {
        self.base() / self.largest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the states of a weight stand for, from the weights of the terms alone.
    fn read(scheme: &BitSliced, weight: f64) -> f64 {
        let mut states = vec![f64::NAN; scheme.arrays()];
        scheme.states(weight, 0.0, &mut states);
        assert!(states.iter().all(|state| (0.0..=1.0).contains(state)), "{states:?}");
        let value = |term: &Term| {
            let minus = match term.minus {
                Minus::Array(other) => states[other],
                Minus::State(state) => state,
                _ => scheme.reference().expect("a reference"),
            };
            f64::from(term.weight) * (states[term.array] - minus)
        };
        scheme.gain(0.0) * scheme.terms().iter().map(value).sum::<f64>()
    }

    #[test]
    fn digits_stand_for_the_nearest_whole_number() {
        let signs = [
            Sign::Differential,
            Sign::TwosComplement(Reference::Mirror),
            Sign::TwosComplement(Reference::Column),
        ];
        for (bits_per_cell, slices) in [(1, 8), (2, 4), (3, 2), (4, 3), (8, 3), (1, 2)] {
            for sign in signs {
                let scheme = BitSliced::new(bits_per_cell, slices, sign).unwrap();
                let digits = if sign == Sign::Differential { slices } else { slices - 1 };
                let largest = 2f64.powi((bits_per_cell * digits) as i32) - 1.0;
                for i in -50..=50 {
                    let weight = f64::from(i) / 50.0;
                    let expected = (weight.abs() * largest + 0.5).floor().copysign(weight) / largest;
                    let found = read(&scheme, weight);
                    assert!((found - expected).abs() < 1e-12, "{scheme:?} {weight}: {found} {expected}");
                }
            }
        }
    }

    #[test]
    fn twos_complement_is_that_of_the_machine() {
        // Five devices of two bits: eight bits and the sign.
        let scheme = BitSliced::new(2, 5, Sign::TwosComplement(Reference::Mirror)).unwrap();
        for q in [-255i32, -128, -37, -1, 0, 1, 100, 255] {
            let mut states = [0.0; 5];
            scheme.states(f64::from(q) / 255.0, 0.0, &mut states);
            let bits = (q & 0x1ff) as u32;
            let expected: Vec<f64> = (0..5).map(|k| f64::from(bits >> (2 * k) & 3) / 3.0).collect();
            assert_eq!(states[..], expected[..], "{q}");
        }
    }

    #[test]
    fn slices_that_cannot_be_are_errors() {
        for (bits_per_cell, slices, sign, key) in [
            (0, 4, Sign::Differential, "bits_per_cell"),
            (9, 1, Sign::Differential, "bits_per_cell"),
            (2, 0, Sign::Differential, "slices"),
            (2, 13, Sign::Differential, "slices"),
            (2, 1, Sign::TwosComplement(Reference::Mirror), "slices"),
            (8, 5, Sign::TwosComplement(Reference::Mirror), "slices"),
        ] {
            let error = BitSliced::new(bits_per_cell, slices, sign).unwrap_err().to_string();
            assert!(error.starts_with(key), "{error}");
        }
        assert!(BitSliced::new(2, 12, Sign::Differential).is_ok());
        assert!(BitSliced::new(8, 4, Sign::TwosComplement(Reference::Column)).is_ok());
    }
}
