//! What the voltages of a read are turned into before they are multiplied.

use std::sync::Arc;

use memtorch_crossbar::ReadLaw;

/// A function of the voltage: that of a device's law, as it is, its magnitude or its square.
#[derive(Clone, Debug)]
pub(crate) struct Feature {
    /// The law and the number of its function; absent for the voltage itself.
    pub(crate) law: Option<(Arc<dyn ReadLaw>, usize)>,
    pub(crate) power: Power,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Power {
    One,
    Magnitude,
    Square,
}

/// The values of several features. All functions of a law that follow each other are computed together.
pub(crate) fn all(features: &[Feature], volts: &[f32]) -> Vec<Vec<f32>> {
    let mut values = Vec::with_capacity(features.len());
    while let Some(feature) = features.get(values.len()) {
        match &feature.law {
            Some((law, 0)) if feature.power == Power::One && is_whole(&features[values.len()..], law) => {
                values.extend(law.functions(volts));
            }
            _ => values.push(feature.of(volts)),
        }
    }
    values
}

/// Whether a list begins with all functions of a law in their order.
fn is_whole(features: &[Feature], law: &Arc<dyn ReadLaw>) -> bool {
    let count = law.products();
    let is = |(k, feature): (usize, &Feature)| {
        let own = feature.law.as_ref().is_some_and(|(other, at)| *at == k && Arc::ptr_eq(other, law));
        own && feature.power == Power::One
    };
    features.len() >= count && features.iter().take(count).enumerate().all(is)
}

impl Feature {
    /// The voltage itself.
    pub(crate) const VOLTAGE: Self = Self { law: None, power: Power::One };

    pub(crate) fn is_voltage(&self) -> bool {
        self.law.is_none() && self.power == Power::One
    }

    pub(crate) fn with(&self, power: Power) -> Self {
        Self { law: self.law.clone(), power }
    }

    /// Whether both are the same function.
    pub(crate) fn same(&self, other: &Self) -> bool {
        let laws = match (&self.law, &other.law) {
            (None, None) => true,
            (Some((a, i)), Some((b, j))) => {
                let signature = a.signature();
                i == j && (Arc::ptr_eq(a, b) || (!signature.is_empty() && signature == b.signature()))
            }
            _ => false,
        };
        laws && self.power == other.power
    }

    /// Its values.
    pub(crate) fn of(&self, volts: &[f32]) -> Vec<f32> {
        let mut values = match &self.law {
            None => volts.to_vec(),
            Some((law, k)) => {
                let mut values = vec![0.0; volts.len()];
                law.function(*k, volts, &mut values);
                values
            }
        };
        match self.power {
            Power::One => {}
            Power::Magnitude => values.iter_mut().for_each(|x| *x = x.abs()),
            Power::Square => values.iter_mut().for_each(|x| *x *= *x),
        }
        values
    }
}
