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
    /// The current of the column of devices that [`MappingScheme::reference`] puts on the same tile, before
    /// or after conversion as the read mode says.
    Reference,
    /// The same, always after conversion: the digital side subtracts it.
    ConvertedReference,
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

impl Term {
    /// The array whose current is subtracted.
    pub(crate) fn subtracted(&self) -> Option<usize> {
        match self.minus {
            Minus::Array(array) => Some(array),
            _ => None,
        }
    }
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

    /// The state of the devices of one more column on every tile of every array, if there is one: a
    /// reference that shares the tile's wires and faults.
    fn reference(&self) -> Option<f64> {
        None
    }

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

/// What the columns of a single-ended scheme are compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reference {
    /// An ideal mirror current, which costs no devices.
    #[default]
    Mirror,
    /// A column of devices on every tile.
    Column,
}

impl Reference {
    /// What is subtracted where the reference conducts at this state.
    pub(crate) fn minus(self, state: f64) -> Minus {
        match self {
            Self::Mirror => Minus::State(state),
            Self::Column => Minus::Reference,
        }
    }

    /// The state of the column, if there is one.
    pub(crate) fn column(self, state: f64) -> Option<f64> {
        (self == Self::Column).then_some(state)
    }
}

/// One device a weight; half the range is the weight 0, which a reference current subtracts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SingleColumn {
    /// What gives the reference current.
    pub reference: Reference,
}

/// The state of the weight 0 where one device has both signs.
const MIDDLE: f64 = 0.5;

impl MappingScheme for SingleColumn {
    fn name(&self) -> &str {
        "single-column"
    }

    fn arrays(&self) -> usize {
        1
    }

    fn states(&self, weight: f64, _floor: f64, states: &mut [f64]) {
        states[0] = MIDDLE * (weight + 1.0);
    }

    fn reference(&self) -> Option<f64> {
        self.reference.column(MIDDLE)
    }

    fn terms(&self) -> Vec<Term> {
        vec![Term { array: 0, minus: self.reference.minus(MIDDLE), weight: 1.0 }]
    }

    fn gain(&self, _floor: f64) -> f64 {
        2.0
    }
}

/// One device a weight, shifted by half the range so that none is negative, and on every tile one more
/// column of devices at that shift. It is converted like the others; the digital side subtracts it
/// (the unit column of Shafiee et al., ISCA 2016, here at the conductance of the weight 0).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OffsetColumn;

impl MappingScheme for OffsetColumn {
    fn name(&self) -> &str {
        "offset-column"
    }

    fn arrays(&self) -> usize {
        1
    }

    fn states(&self, weight: f64, _floor: f64, states: &mut [f64]) {
        states[0] = MIDDLE * (weight + 1.0);
    }

    fn reference(&self) -> Option<f64> {
        Some(MIDDLE)
    }

    fn terms(&self) -> Vec<Term> {
        vec![Term { array: 0, minus: Minus::ConvertedReference, weight: 1.0 }]
    }

    fn gain(&self, _floor: f64) -> f64 {
        2.0
    }
}
