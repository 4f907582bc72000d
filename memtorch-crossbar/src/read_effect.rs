//! What a read sees besides conductances: devices that are not ohmic, and noise.

use std::fmt::Debug;
use std::sync::Arc;

use memtorch_devices::Stream;

/// How the current of a device depends on its voltage at a read. Reads move no state.
///
/// Where a current is a sum of a few products, `i = sum over k of c_k(device) f_k(v)`, a matrix of such devices is
/// read with as many ordinary products, at the speed of ohmic devices; else device after device.
pub trait ReadLaw: Debug + Send + Sync {
    /// The current (ampere) and its slope (siemens) at `voltage` (volt) of a device that conducts `conductance`
    /// (siemens). `device` is its index in the array; `None` is a device of a tile that is not in use.
    fn current_and_slope(&self, device: Option<usize>, conductance: f64, voltage: f64) -> (f64, f64);

    /// The currents (ampere) of consecutive devices, from `first` on, at one voltage.
    fn currents(&self, first: usize, conductances: &[f64], voltage: f64, currents: &mut [f64]) {
        for (offset, (conductance, current)) in conductances.iter().zip(currents).enumerate() {
            *current = self.current_and_slope(Some(first + offset), *conductance, voltage).0;
        }
    }

    /// The largest magnitude of a voltage (volt) for which it holds.
    fn limit(&self) -> f64 {
        f64::INFINITY
    }

    /// How many products make a current; 0 where it is no such sum.
    fn products(&self) -> usize {
        0
    }

    /// The function `f_k` of voltages in volt; 0 at 0 V. The first function is near the voltage itself in size.
    fn function(&self, _k: usize, _volts: &[f32], _values: &mut [f32]) {}

    /// All functions `f_k` of voltages in volt, in their order.
    fn functions(&self, volts: &[f32]) -> Vec<Vec<f32>> {
        let one = |k| {
            let mut values = vec![0.0; volts.len()];
            self.function(k, volts, &mut values);
            values
        };
        (0..self.products()).map(one).collect()
    }

    /// The coefficient `c_k` of every device, from the conductances of all devices of the array (siemens).
    fn coefficients(&self, _k: usize, conductances: &[f64]) -> Vec<f64> {
        conductances.to_vec()
    }

    /// Numbers that say which functions `f_k` it has: laws with equal signatures share their functions.
    fn signature(&self) -> Vec<u64> {
        Vec::new()
    }

    /// Whether the current rises with the voltage everywhere, as a network with wires needs it.
    fn is_rising(&self) -> bool {
        true
    }
}

/// Noise of a read: new at every read, and independent from device to device.
pub trait DeviceNoise: Debug + Send + Sync {
    /// The variance of the current of a device that conducts `conductance` (siemens): `[c0, c1, c2]` of
    /// `c0 + c1 |v| + c2 v^2`, in square amperes.
    fn variance(&self, conductance: f64) -> [f64; 3];

    /// Two-level noise besides.
    fn telegraph(&self) -> Option<Telegraph> {
        None
    }
}

/// Random telegraph noise: a device jumps between two conductances, `1 - p` and `p` of the reads in each, a
/// share `amplitude` of its conductance apart and with that as its mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Telegraph {
    /// Distance of the levels over the conductance.
    pub amplitude: f64,
    /// Share of the reads at the higher level, in (0, 1).
    pub high: f64,
    /// Share of the devices that do this, in [0, 1].
    pub devices: f64,
}

impl Telegraph {
    /// What the higher and the lower level differ from the conductance by, as shares of it.
    pub fn levels(&self) -> [f64; 2] {
        [self.amplitude * (1.0 - self.high), -self.amplitude * self.high]
    }

    /// A device is at the higher level where a random word is below this.
    pub fn threshold(&self) -> f64 {
        self.high * 4_294_967_296.0
    }
}

/// Noise with the stream from which it is drawn.
#[derive(Clone, Debug)]
pub struct AttachedNoise {
    /// The noise.
    pub noise: Arc<dyn DeviceNoise>,
    /// The stream of this step of the list and this array.
    pub stream: Stream,
}

/// What a read of an array sees besides its conductances.
#[derive(Clone, Debug, Default)]
pub struct ReadEffects {
    /// How currents depend on voltages; absent for ohmic devices.
    pub law: Option<Arc<dyn ReadLaw>>,
    /// Noise, in the order of the list.
    pub noise: Vec<AttachedNoise>,
}

impl ReadEffects {
    /// Whether a read is the product of conductances and voltages, and nothing else.
    pub fn is_empty(&self) -> bool {
        self.law.is_none() && self.noise.is_empty()
    }
}
