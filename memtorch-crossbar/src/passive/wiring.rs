use crate::CrossbarError;

/// The resistances of an array's lines, the same for all lines of a kind.
///
/// A word line is driven at its left end, its right end or both, by one voltage, through
/// `word_left`, `word_right`; a bit line leaves at its top end, its bottom end or both, to one
/// voltage, through `bit_top`, `bit_bottom`. `None` is an open end. Between neighbouring cells of a
/// line lies one segment of the line's resistance, none between an end cell and its source.
/// All in ohm; 0 is exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wiring {
    /// Source resistance at the left ends of the word lines.
    pub word_left: Option<f64>,
    /// Source resistance at the right ends of the word lines.
    pub word_right: Option<f64>,
    /// Resistance between the bit lines' top ends and their voltages.
    pub bit_top: Option<f64>,
    /// Resistance between the bit lines' bottom ends and their voltages.
    pub bit_bottom: Option<f64>,
    /// One segment of a word line.
    pub word_line: f64,
    /// One segment of a bit line.
    pub bit_line: f64,
}

impl Wiring {
    /// The circuit of Chen, IEEE Transactions on Electron Devices 60, 2013, 1318: word lines driven
    /// at the left, bit lines read at the bottom, the same resistances on both.
    pub fn new(source_resistance: f64, line_resistance: f64) -> Self {
        Self {
            word_left: Some(source_resistance),
            word_right: None,
            bit_top: None,
            bit_bottom: Some(source_resistance),
            word_line: line_resistance,
            bit_line: line_resistance,
        }
    }

    /// Word lines driven from both sides, bit lines read at both ends.
    pub fn both_sides(source_resistance: f64, line_resistance: f64) -> Self {
        Self {
            word_right: Some(source_resistance),
            bit_top: Some(source_resistance),
            ..Self::new(source_resistance, line_resistance)
        }
    }

    /// Whether no wire has any resistance.
    pub fn is_ideal(&self) -> bool {
        let ends = [self.word_left, self.word_right, self.bit_top, self.bit_bottom];
        ends.iter().flatten().all(|r| *r == 0.0) && self.word_line == 0.0 && self.bit_line == 0.0
    }

    /// Looks for what is not possible.
    ///
    /// # Errors
    /// A resistance that is negative or not finite; lines of a kind open at both ends.
    pub fn check(&self) -> Result<(), CrossbarError> {
        for (what, value) in [
            ("word-line source resistance", self.word_left),
            ("word-line source resistance", self.word_right),
            ("bit-line source resistance", self.bit_top),
            ("bit-line source resistance", self.bit_bottom),
            ("word-line resistance", Some(self.word_line)),
            ("bit-line resistance", Some(self.bit_line)),
        ] {
            if let Some(value) = value {
                check_resistance(what, value)?;
            }
        }
        for (what, ends) in [
            ("word lines", [self.word_left, self.word_right]),
            ("bit lines", [self.bit_top, self.bit_bottom]),
        ] {
            if ends == [None, None] {
                return Err(CrossbarError::value(what, "open at both ends", "a source at one end at least"));
            }
        }
        Ok(())
    }
}

/// A resistance must be finite and not negative.
pub(super) fn check_resistance(what: &str, value: f64) -> Result<(), CrossbarError> {
    if !(value >= 0.0 && value.is_finite()) {
        return Err(CrossbarError::value(what, value, "a finite number of ohm that is not negative"));
    }
    Ok(())
}

/// The conductance of a resistance. Below 1e-30 ohm nothing changes within double precision, and
/// above it nothing overflows: so 0 needs no case of its own. Nor does anything change above 1e290.
pub(super) fn conductance(resistance: f64) -> f64 {
    1.0 / resistance.clamp(1e-30, 1e290)
}
