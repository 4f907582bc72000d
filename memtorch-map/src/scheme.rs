use std::fmt::Debug;

/// What is subtracted from a column current before (or after) conversion.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Minus {
    /// Nothing.
    Nothing,
    /// The current of the same column of another array.
    Array(usize),
    /// An ideal mirror of the current that devices at this state (0 is g_off, 1 is g_on) would give:
    /// its conductance times the sum of the voltages on the tile's driven word lines.
    State(f64),
}

/// One converted current: of an array, less something, weighed when the digital side adds up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    /// The array whose column current it is.
    pub array: usize,
    /// What is subtracted.
    pub minus: Minus,
    /// Its weight in the digital sum.
    pub weight: f32,
}

/// How weights become states of devices, and how column currents become outputs.
///
/// States are normalised: 0 is the nominal OFF conductance, 1 the nominal ON conductance.
pub trait MappingScheme: Debug + Send + Sync {
    /// The name in configurations: lower case, words joined by `-`.
    fn name(&self) -> &str;

    /// How many arrays there are: the devices that a weight costs.
    fn arrays(&self) -> usize;

    /// The states of a weight's devices, one for each array.
    ///
    /// `weight` is relative to the largest of its range, in [-1, 1]; `floor` is the smallest magnitude
    /// that is mapped, relative to the largest, in [0, 1).
    fn states(&self, weight: f64, floor: f64, states: &mut [f64]);

    /// The converted currents that make an output.
    fn terms(&self) -> Vec<Term>;

    /// By how much the relative weight grows when the weighed sum of states grows by one.
    fn gain(&self, floor: f64) -> f64;
}

/// Two devices a weight, of which one carries its magnitude: the positive or the negative array.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DoubleColumn;

impl MappingScheme for DoubleColumn {
    fn name(&self) -> &str {
        "double-column"
    }

    fn arrays(&self) -> usize {
        2
    }

    fn states(&self, weight: f64, floor: f64, states: &mut [f64]) {
        for (state, magnitude) in states.iter_mut().zip([weight.max(0.0), (-weight).max(0.0)]) {
            *state = (magnitude.clamp(floor, 1.0) - floor) / (1.0 - floor);
        }
    }

    fn terms(&self) -> Vec<Term> {
        vec![Term { array: 0, minus: Minus::Array(1), weight: 1.0 }]
    }

    fn gain(&self, floor: f64) -> f64 {
        1.0 - floor
    }
}

/// One device a weight; half the range is the weight 0, and an ideal mirror subtracts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SingleColumn;

impl MappingScheme for SingleColumn {
    fn name(&self) -> &str {
        "single-column"
    }

    fn arrays(&self) -> usize {
        1
    }

    fn states(&self, weight: f64, _floor: f64, states: &mut [f64]) {
        states[0] = 0.5 * (weight + 1.0);
    }

    fn terms(&self) -> Vec<Term> {
        vec![Term { array: 0, minus: Minus::State(0.5), weight: 1.0 }]
    }

    fn gain(&self, _floor: f64) -> f64 {
        2.0
    }
}
