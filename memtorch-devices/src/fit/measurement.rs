use super::FitError;

/// A record of one device: equally long lists, one sample each `time_step` seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// Seconds between samples.
    pub time_step: f64,
    /// Voltage of each sample in V.
    pub voltages: Vec<f64>,
    /// Current of each sample in A.
    pub currents: Vec<f64>,
}

impl Measurement {
    /// That it is a record from which something can be learnt.
    pub(super) fn check(&self) -> Result<(), FitError> {
        let wrong =
            |what: String, expected: &str| Err(FitError::Measurement { what, expected: expected.to_owned() });
        if !(self.time_step > 0.0 && self.time_step.is_finite()) {
            return wrong(format!("time step {}", self.time_step), "a positive number of seconds");
        }
        if self.voltages.len() != self.currents.len() {
            let what = format!("{} voltages and {} currents", self.voltages.len(), self.currents.len());
            return wrong(what, "as many of both");
        }
        for (name, list) in [("voltage", &self.voltages), ("current", &self.currents)] {
            if let Some(at) = list.iter().position(|x| !x.is_finite()) {
                return wrong(format!("{name} {} at sample {at}", list[at]), "a finite number");
            }
            match list.first() {
                Some(first) if list.iter().all(|x| x == first) => {
                    return wrong(format!("{name} {first} at every sample"), "values that change");
                }
                None => return wrong("no samples".to_owned(), "some"),
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// The root mean square of the currents, in A; positive where they change.
    pub(super) fn scale(&self) -> f64 {
        // The largest comes out first, so that squares of tiny currents are not 0.
        let largest = self.currents.iter().fold(0.0f64, |largest, i| largest.max(i.abs()));
        let mean =
            self.currents.iter().map(|i| (i / largest).powi(2)).sum::<f64>() / self.currents.len() as f64;
        largest * mean.sqrt()
    }
}
