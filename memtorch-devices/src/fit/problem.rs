use std::sync::Arc;

use memtorch_utils::Stream;
use memtorch_utils::config::{Table, Value};
use rayon::prelude::*;

use super::unknown::{self, Place, Unknown};
use super::{FitError, FitOptions, Measurement};
use crate::job::{Job, Noise, Record, Task, Waveform};
use crate::{Device, DeviceEntry, DeviceError, Parameter};

/// Devices that are simulated together: the widest vectors hold as many.
pub(super) const TOGETHER: usize = 32;
/// Samples between two looks at the record.
const STRETCH: usize = 4096;

/// A model, a record and the numbers that are looked for. A candidate is a list of positions, one an unknown.
pub(super) struct Problem<'a> {
    entry: &'a DeviceEntry,
    pub(super) measured: &'a Measurement,
    pub(super) unknowns: Vec<Unknown>,
    /// Everything that can be set, as the search begins.
    table: Table,
    device: Arc<dyn Device>,
    /// Whether the start follows `r_on`, because nobody sets or looks for it.
    starts_on: bool,
}

impl<'a> Problem<'a> {
    pub(super) fn new(
        entry: &'a DeviceEntry,
        given: &Table,
        complete: Table,
        measured: &'a Measurement,
        options: &FitOptions,
    ) -> Result<Self, FitError> {
        let device = (entry.build)(&complete)?;
        if device.is_noisy() {
            let why =
                "the model's noise differs from the device's at every sample: expected it without".to_owned();
            return Err(FitError::Parameter { name: device.name().to_owned(), why });
        }
        let unknowns = unknown::unknowns(&*device, given, &complete, options.parameters.as_deref())?;
        let samples = measured.voltages.len();
        if samples < 2 * unknowns.len() {
            let what = format!("{samples} samples for {} parameters", unknowns.len());
            let expected = format!("at least {}", 2 * unknowns.len());
            return Err(FitError::Measurement { what, expected });
        }
        let starts_on = complete.get("start_conductance").is_none();
        Ok(Self { entry, measured, unknowns, table: complete, device, starts_on })
    }

    pub(super) fn device(&self) -> &dyn Device {
        &*self.device
    }

    /// The values of a candidate.
    pub(super) fn values(&self, candidate: &[f64]) -> Vec<f64> {
        self.unknowns.iter().zip(candidate).map(|(unknown, position)| unknown.value(*position)).collect()
    }

    /// The table with the values of a candidate.
    pub(super) fn table(&self, values: &[f64]) -> Table {
        let mut table = self.table.clone();
        for (unknown, value) in self.unknowns.iter().zip(values) {
            match unknown.place {
                Place::List { name, at } => {
                    if let Some(Value::List(list)) = table.get_mut(name) {
                        list[at] = Value::Real(*value);
                    }
                }
                _ => {
                    table.insert(unknown.field(), Value::Real(*value));
                }
            }
        }
        table
    }

    /// The resistances between which a device with these values is.
    pub(super) fn resistances(&self, values: &[f64]) -> (f64, f64) {
        let of = |name: &str, otherwise: f64| {
            let found = self.unknowns.iter().zip(values).find(|(unknown, _)| unknown.name == name);
            found.map_or(otherwise, |(_, value)| *value)
        };
        (of("r_on", self.device.r_on()), of("r_off", self.device.r_off()))
    }

    /// The currents of candidates; `None` for those that are not possible, or whose currents are no numbers.
    pub(super) fn currents(&self, candidates: &[Vec<f64>]) -> Vec<Option<Vec<f64>>> {
        self.each(candidates, |all| all.map(<[f64]>::to_vec))
    }

    /// The sums of squared differences of candidates, as shares of that of the record; infinite for those that are
    /// not possible.
    pub(super) fn sums(&self, candidates: &[Vec<f64>]) -> Vec<f64> {
        let scale = self.measured.scale();
        self.each(candidates, |currents| {
            let Some(currents) = currents else { return f64::INFINITY };
            let square = |(i, m): (&f64, &f64)| ((i - m) / scale).powi(2);
            currents.iter().zip(&self.measured.currents).map(square).sum::<f64>() / currents.len() as f64
        })
    }

    fn each<T: Send>(&self, candidates: &[Vec<f64>], take: impl Fn(Option<&[f64]>) -> T + Sync) -> Vec<T> {
        let values: Vec<Vec<f64>> = candidates.iter().map(|candidate| self.values(candidate)).collect();
        // Candidates with the same lists are devices of one model.
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for (index, one) in values.iter().enumerate() {
            let alike = |group: &&mut Vec<usize>| {
                group.len() < TOGETHER
                    && self.unknowns.iter().zip(one).zip(&values[group[0]]).all(|((unknown, a), b)| {
                        !matches!(unknown.place, Place::List { .. }) || a.to_bits() == b.to_bits()
                    })
            };
            match groups.iter_mut().find(alike) {
                Some(group) => group.push(index),
                None => groups.push(vec![index]),
            }
        }
        let mut found: Vec<(usize, T)> = groups
            .par_iter()
            .flat_map_iter(|group| {
                let members: Vec<&[f64]> = group.iter().map(|index| &values[*index][..]).collect();
                let taken: Vec<T> = match self.simulate(&members) {
                    Ok(currents) => currents.iter().map(|one| take(one.as_deref())).collect(),
                    Err(_) => members.iter().map(|_| take(None)).collect(),
                };
                group.iter().copied().zip(taken)
            })
            .collect();
        found.sort_by_key(|(index, _)| *index);
        found.into_iter().map(|(_, taken)| taken).collect()
    }

    /// Runs devices of one model side by side. An error where the lists are not possible.
    fn simulate(&self, members: &[&[f64]]) -> Result<Vec<Option<Vec<f64>>>, DeviceError> {
        let lists = self.unknowns.iter().any(|unknown| matches!(unknown.place, Place::List { .. }));
        let device = match lists {
            // Of the first: what differs from device to device is set below.
            true => (self.entry.build)(&self.table(members[0]))?,
            false => self.device.clone(),
        };
        let nominal = self.device.values();
        let mut possible = vec![true; members.len()];
        let mut rows = vec![nominal.clone(); members.len()];
        for ((row, possible), values) in rows.iter_mut().zip(&mut possible).zip(members) {
            for (unknown, value) in self.unknowns.iter().zip(*values) {
                if let Place::Parameter(at) = unknown.place {
                    row[at] = *value;
                }
            }
            if device.check(row).is_err() {
                *possible = false;
                row.clone_from(&nominal);
            }
        }
        let parameters: Vec<Parameter> =
            (0..nominal.len()).map(|at| Parameter::Each(rows.iter().map(|row| row[at]).collect())).collect();
        let start = self.unknowns.iter().position(|unknown| unknown.place == Place::Start);
        let conductances: Vec<f64> = members
            .iter()
            .map(|values| match start {
                Some(at) => values[at],
                None if self.starts_on => 1.0 / self.resistances(values).0,
                None => self.device.start_conductance(),
            })
            .collect();
        let mut states = vec![0.0; members.len()];
        let task = Task::States { conductances: &conductances, states: &mut states };
        device.run(Job { parameters: &parameters, first: 0, task });
        let mut currents = vec![Vec::with_capacity(self.measured.voltages.len()); members.len()];
        let room = members.len() * STRETCH;
        let mut record = [vec![0.0; room], vec![0.0; room], vec![0.0; room]];
        for voltages in self.measured.voltages.chunks(STRETCH) {
            let filled = members.len() * voltages.len();
            let [i, x, g] = &mut record;
            let recorded = Record {
                currents: &mut i[..filled],
                states: &mut x[..filled],
                conductances: &mut g[..filled],
            };
            // Noisy models were refused.
            let noise = Noise { stream: Stream::root(0, 0), first_step: 0, first_device: 0 };
            let task = Task::Advance {
                states: &mut states,
                waveform: Waveform::Common(voltages),
                dt: self.measured.time_step,
                noise,
                record: Some(recorded),
            };
            device.run(Job { parameters: &parameters, first: 0, task });
            for step in i[..filled].chunks(members.len()) {
                for (list, current) in currents.iter_mut().zip(step) {
                    list.push(*current);
                }
            }
        }
        let finite = |list: &Vec<f64>| list.iter().all(|i| i.is_finite());
        Ok(currents
            .into_iter()
            .zip(possible)
            .map(|(list, ok)| (ok && finite(&list)).then_some(list))
            .collect())
    }
}
