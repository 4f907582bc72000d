use std::ops::Range;
use std::sync::Arc;

use memtorch_utils::{Distribution, Stream, StreamRng};
use rayon::prelude::*;

use crate::{Device, DeviceError};

/// A parameter of many devices.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter {
    /// All devices have this value.
    Uniform(f64),
    /// Each device has its own.
    Each(Vec<f64>),
}

impl Parameter {
    /// The value of one device.
    #[inline]
    pub fn get(&self, device: usize) -> f64 {
        match self {
            Self::Uniform(value) => *value,
            Self::Each(values) => values[device],
        }
    }
}

/// Devices that are drawn together by one thread.
const BLOCK: usize = 8192;

/// Devices whose first random bits are made together.
const TOGETHER: usize = 256;

/// Where consecutive devices are.
type Places<'a> = dyn Fn(Range<usize>) -> Vec<[u32; 3]> + Sync + 'a;

/// A parameter that is drawn.
struct Column {
    index: usize,
    distribution: Distribution,
    stream: Stream,
}

/// What drawing parameters did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VaryReport {
    /// Devices of which at least one draw was not possible and was made again.
    pub redrawn: usize,
}

/// The devices of an array as they were fabricated: one model, and an array of values only for the
/// parameters that vary. States are not in here.
#[derive(Clone, Debug)]
pub struct DeviceParameters {
    model: Arc<dyn Device>,
    count: usize,
    values: Vec<Parameter>,
}

impl DeviceParameters {
    /// Devices that are all alike.
    pub fn new(model: Arc<dyn Device>, count: usize) -> Self {
        let values = model.values().into_iter().map(Parameter::Uniform).collect();
        Self { model, count, values }
    }

    /// Gives every device a value of its own of one parameter, as it was fabricated before.
    ///
    /// # Errors
    /// An unknown parameter, another number of values than devices, values that are not finite.
    pub fn set_each(&mut self, name: &str, values: Vec<f64>) -> Result<(), DeviceError> {
        let index = self.index(name)?;
        let wrong = |value, expected: String| DeviceError::Parameter {
            parameter: self.model.parameter_names()[index],
            value,
            expected,
        };
        if values.len() != self.count {
            return Err(wrong(values.len() as f64, format!("{} values, one a device", self.count)));
        }
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(wrong(*value, "finite numbers".to_owned()));
        }
        self.values[index] = Parameter::Each(values);
        Ok(())
    }

    /// The model.
    pub fn model(&self) -> &Arc<dyn Device> {
        &self.model
    }

    /// How many devices there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// A parameter by name.
    ///
    /// # Errors
    /// The model has no such parameter.
    pub fn parameter(&self, name: &str) -> Result<&Parameter, DeviceError> {
        Ok(&self.values[self.index(name)?])
    }

    /// Resistance of the ON state of each device in ohm.
    pub fn r_on(&self) -> &Parameter {
        self.named("r_on")
    }

    /// Resistance of the OFF state of each device in ohm.
    pub fn r_off(&self) -> &Parameter {
        self.named("r_off")
    }

    /// All parameters in the order of [`Device::parameter_names`].
    pub fn values(&self) -> &[Parameter] {
        &self.values
    }

    /// Draws parameters anew for every device. A device that is not possible (see
    /// [`Device::check`]) is drawn again, all of the given parameters together.
    ///
    /// `places` says where consecutive devices are, which fixes their draws: a parameter's draws at a place do not
    /// depend on which other parameters vary, on the number of devices or on threads.
    ///
    /// # Errors
    /// An unknown parameter, one that was varied before, 1000 draws of a device without a possible one.
    pub fn vary(
        &mut self,
        draws: &[(&str, Distribution)],
        stream: Stream,
        places: &(dyn Fn(Range<usize>) -> Vec<[u32; 3]> + Sync),
    ) -> Result<VaryReport, DeviceError> {
        let mut columns: Vec<Column> = Vec::new();
        for (name, distribution) in draws {
            let index = self.index(name)?;
            if matches!(self.values[index], Parameter::Each(_)) || columns.iter().any(|c| c.index == index) {
                return Err(DeviceError::VariedTwice { parameter: (*name).to_owned() });
            }
            columns.push(Column { index, distribution: *distribution, stream: stream.named(name) });
        }
        let mut drawn: Vec<Vec<f64>> = columns.iter().map(|_| vec![0.0; self.count]).collect();
        // One part a block: its slice of each column.
        let mut parts: Vec<Vec<&mut [f64]>> = (0..self.count.div_ceil(BLOCK)).map(|_| Vec::new()).collect();
        for column in &mut drawn {
            for (part, slice) in parts.iter_mut().zip(column.chunks_mut(BLOCK)) {
                part.push(slice);
            }
        }
        let redrawn = parts
            .into_par_iter()
            .enumerate()
            .map(|(block, mut part)| self.draw_block(block * BLOCK, &columns, &mut part, places))
            .collect::<Vec<_>>();
        let mut report = VaryReport::default();
        // In order, so that the first device that cannot be is the one that is told of.
        for count in redrawn {
            report.redrawn += count?;
        }
        for (column, values) in columns.iter().zip(drawn) {
            self.values[column.index] = Parameter::Each(values);
        }
        Ok(report)
    }

    /// Draws a block of devices; the number of those drawn again.
    fn draw_block(
        &self,
        first: usize,
        columns: &[Column],
        part: &mut [&mut [f64]],
        places: &Places<'_>,
    ) -> Result<usize, DeviceError> {
        // What is neither drawn nor varied before stays the same from device to device.
        let mut values: Vec<f64> = self.values.iter().map(|parameter| parameter.get(first)).collect();
        let each = |(index, parameter): (usize, &Parameter)| {
            matches!(parameter, Parameter::Each(_)).then_some(index)
        };
        let varied: Vec<usize> = self.values.iter().enumerate().filter_map(each).collect();
        let count = part.first().map_or(0, |slice| slice.len());
        let mut redrawn = 0;
        for start in (0..count).step_by(TOGETHER) {
            let end = (start + TOGETHER).min(count);
            let places = places(first + start..first + end);
            let words: Vec<Vec<[u32; 4]>> =
                columns.iter().map(|column| column.stream.first_words(&places)).collect();
            for (at, place) in places.into_iter().enumerate() {
                for index in &varied {
                    values[*index] = self.values[*index].get(first + start + at);
                }
                for (column, words) in columns.iter().zip(&words) {
                    let mut rng = column.stream.at_with(place, words[at]);
                    values[column.index] = column.distribution.sample(&mut rng);
                }
                if self.model.check(&values).is_err() {
                    self.draw_again(columns, place, &mut values)?;
                    redrawn += 1;
                }
                for (column, slice) in columns.iter().zip(part.iter_mut()) {
                    slice[start + at] = values[column.index];
                }
            }
        }
        Ok(redrawn)
    }

    /// Draws a device until it is a possible one.
    fn draw_again(&self, columns: &[Column], place: [u32; 3], values: &mut [f64]) -> Result<(), DeviceError> {
        const TRIES: u32 = 1000;
        let mut generators: Vec<StreamRng> = columns.iter().map(|column| column.stream.at(place)).collect();
        let mut attempt = 0;
        loop {
            for (column, rng) in columns.iter().zip(&mut generators) {
                values[column.index] = column.distribution.sample(rng);
            }
            attempt += 1;
            match self.model.check(values) {
                Ok(()) => return Ok(()),
                Err(why) if attempt == TRIES => {
                    return Err(DeviceError::ImpossibleDraws { tries: TRIES, why: why.to_string() });
                }
                Err(_) => {}
            }
        }
    }

    fn index(&self, name: &str) -> Result<usize, DeviceError> {
        let names = self.model.parameter_names();
        names.iter().position(|n| *n == name).ok_or_else(|| DeviceError::UnknownParameter {
            model: self.model.name(),
            parameter: name.to_owned(),
            nearest: memtorch_utils::config::nearest(name, names.iter().copied()).map(str::to_owned),
        })
    }

    /// A parameter that every model has.
    fn named(&self, name: &str) -> &Parameter {
        let at = self.model.parameter_names().iter().position(|n| *n == name);
        at.map(|i| &self.values[i]).expect("every device model lists r_on and r_off")
    }
}
