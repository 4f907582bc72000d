/// To which samples and steps the vectors of an input belong: where what is random at a read is drawn.
///
/// Results do not depend on how a data set is split into batches if each batch says where it begins, and if rows are laid
/// out as it says. Rows of all samples for one step after the other (`[step, sample]`) that are read as if those of a sample
/// lay together are as noisy and as independent; but which draw a row gets then depends on how many samples there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadIndex {
    /// Index of the first sample in the data set.
    pub first_sample: usize,
    /// How many samples there are; 0 where each row or image is one.
    pub samples: usize,
    /// Whether all samples of one step come before those of the next, as in a recurrent layer; else the rows or
    /// images of a sample lie together.
    pub time_first: bool,
    /// The number of the first step.
    pub first_step: u32,
}

impl ReadIndex {
    /// The sample and the step of row or image `row` of `rows`, as words of a place.
    pub(crate) fn of(&self, row: usize, rows: usize) -> [u32; 2] {
        let samples = if self.samples == 0 { rows } else { self.samples };
        let (sample, step) = if self.time_first {
            (row % samples, row / samples)
        } else {
            let steps = (rows / samples).max(1);
            (row / steps, row % steps)
        };
        [(self.first_sample + sample) as u32, self.first_step.wrapping_add(step as u32)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_find_their_sample_and_step() {
        let plain = ReadIndex { first_sample: 7, ..ReadIndex::default() };
        assert_eq!(plain.of(2, 5), [9, 0]);
        let sequences = ReadIndex { samples: 2, ..plain };
        assert_eq!([0, 2, 3, 5].map(|row| sequences.of(row, 6)), [[7, 0], [7, 2], [8, 0], [8, 2]]);
        let steps = ReadIndex { time_first: true, first_step: 10, ..sequences };
        assert_eq!([0, 1, 2, 5].map(|row| steps.of(row, 6)), [[7, 10], [8, 10], [7, 11], [8, 12]]);
    }
}
