use super::Value;

/// What may stand at a key.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number between [`Field::low`] and [`Field::high`].
    Integer,
    /// A real number between [`Field::low`] and [`Field::high`].
    Real,
    /// A real number, or a distribution of them: `{ normal = { mean = 1.0, std = 0.1 }, min = 0.5 }`.
    Parameter,
    /// Text.
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// One of these words, or a real number.
    ChoiceOrReal(&'static [&'static str]),
    /// A list of real numbers.
    Reals,
    /// Anything: whoever reads the field checks it.
    Any,
}

/// What a field is when nobody sets it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Default {
    /// It must be set.
    Required,
    /// It has no value, and that means something of its own, which the meaning states.
    Absent,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A real number.
    Real(f64),
    /// Text.
    Text(&'static str),
    /// Real numbers.
    Reals(&'static [f64]),
    /// Whole numbers.
    Integers(&'static [i64]),
}

impl Default {
    /// The default as a value, if it is one.
    pub fn value(self) -> Option<Value> {
        Some(match self {
            Self::Required | Self::Absent => return None,
            Self::Bool(value) => Value::Bool(value),
            Self::Integer(value) => Value::Integer(value),
            Self::Real(value) => Value::Real(value),
            Self::Text(text) => Value::Text(text.to_owned()),
            Self::Reals(values) => Value::List(values.iter().copied().map(Value::Real).collect()),
            Self::Integers(values) => Value::List(values.iter().copied().map(Value::Integer).collect()),
        })
    }
}

/// One key that can be set: everything that reading, errors, generated files and documentation need.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field {
    /// The key.
    pub name: &'static str,
    /// What may stand there.
    pub kind: Kind,
    /// What it is when nobody sets it.
    pub default: Default,
    /// SI unit; empty where there is none.
    pub unit: &'static str,
    /// Least number allowed; infinite for none.
    pub low: f64,
    /// Greatest number allowed; infinite for none.
    pub high: f64,
    /// What it means, in one sentence without a full stop.
    pub meaning: &'static str,
}

impl Field {
    /// A field of this name, kind, default and meaning, without unit and bounds.
    pub const fn new(name: &'static str, kind: Kind, default: Default, meaning: &'static str) -> Self {
        Self { name, kind, default, unit: "", low: f64::NEG_INFINITY, high: f64::INFINITY, meaning }
    }

    /// The same field with a unit.
    pub const fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    /// The same field with inclusive bounds.
    pub const fn range(mut self, low: f64, high: f64) -> Self {
        self.low = low;
        self.high = high;
        self
    }

    /// What is expected at this key, in words.
    pub fn expected(&self) -> String {
        let bound = |x: f64| if x == x.trunc() && x.abs() < 1e15 { format!("{x}") } else { format!("{x:?}") };
        // The least positive number is how a bound says "positive".
        let between = |what: &str| match (self.low.is_finite(), self.high.is_finite()) {
            (true, false) if self.low == f64::MIN_POSITIVE => "a positive number".to_owned(),
            (true, true) if self.low == f64::MIN_POSITIVE => {
                format!("a positive number of at most {}", bound(self.high))
            }
            (true, true) => format!("{what} from {} to {}", bound(self.low), bound(self.high)),
            (true, false) => format!("{what} of at least {}", bound(self.low)),
            (false, true) => format!("{what} of at most {}", bound(self.high)),
            (false, false) => what.to_owned(),
        };
        let words =
            |list: &[&str]| list.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        match self.kind {
            Kind::Bool => "true or false".to_owned(),
            Kind::Integer => {
                let whole = |x: f64| format!("{x:.0}");
                match (self.low.is_finite(), self.high.is_finite()) {
                    (true, true) => {
                        format!("a whole number from {} to {}", whole(self.low), whole(self.high))
                    }
                    (true, false) => format!("a whole number of at least {}", whole(self.low)),
                    _ => "a whole number".to_owned(),
                }
            }
            Kind::Real => between("a number"),
            Kind::Parameter => format!("{} or a distribution", between("a number")),
            Kind::Text => "text".to_owned(),
            Kind::Choice(list) => format!("one of {}", words(list)),
            Kind::ChoiceOrReal(list) => format!("one of {}, or {}", words(list), between("a number")),
            Kind::Reals => "a list of numbers".to_owned(),
            Kind::Any => "a value".to_owned(),
        }
    }
}
