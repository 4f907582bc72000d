//! Device populations on the GPU.

use std::any::Any;
use std::sync::Arc;

use cust::error::{CudaError, CudaResult};
use cust::module::Module;
use memtorch_devices::models::{DataDriven, DataDriven2021, LinearIonDrift, StanfordPku, Vteam};
use memtorch_devices::{
    CpuPopulations, Device, DeviceError, DeviceParameters, Noise, Parameter, Population, PopulationBackend,
    Recording, Waveform, Window,
};

use crate::NAME;
use crate::arguments::arguments;
use crate::gpu::{Buffer, Gpu};

/// Steps of the models that come with memtorch, with the loop over time inside a kernel; another model is stepped on
/// the CPU. The bits are those of the CPU, noise among them.
#[derive(Debug)]
pub(crate) struct CudaPopulations {
    gpu: Arc<Gpu>,
    modules: Vec<(&'static str, Module)>,
}

/// The kernels, each in a file of its name.
macro_rules! kernels {
    ($($name:literal),*) => { [$(($name, include_str!(concat!("../kernels/", $name, ".ptx")))),*] };
}

const KERNELS: [(&str, &str); 5] =
    kernels!["vteam", "linear_ion_drift", "data_driven", "data_driven_2021", "stanford_pku"];
const MOST_PARAMETERS: usize = 48;
const MOST_OPTIONS: usize = 40;
const THREADS: u32 = 128;

/// `Population` of `population.cuh`.
#[repr(C)]
struct Devices {
    devices: u64,
    offsets: [u64; MOST_PARAMETERS],
    each: u64,
    options: [f64; MOST_OPTIONS],
}

/// `Steps64` of `population.cuh`.
#[repr(C)]
struct Steps {
    steps: u64,
    dt: f64,
    each: u32,
    key: [u32; 2],
    unused: u32,
    first_step: u64,
    first_device: u64,
}

impl CudaPopulations {
    pub(crate) fn new(gpu: Arc<Gpu>) -> CudaResult<Self> {
        let load = |(name, ptx): &(&'static str, &str)| Ok((*name, gpu.load(ptx)?));
        let modules = KERNELS.iter().map(load).collect::<CudaResult<_>>()?;
        Ok(Self { gpu, modules })
    }

    fn steps(
        &self,
        (kernel, options): (&str, [f64; MOST_OPTIONS]),
        parameters: &DeviceParameters,
        states: &mut [f64],
        (waveform, dt, noise): (Waveform<'_>, f64, Noise),
        history: Option<&mut [f64]>,
    ) -> CudaResult<()> {
        let (_, module) = self.modules.iter().find(|(name, _)| *name == kernel).ok_or(CudaError::NotFound)?;
        let mut population =
            Devices { devices: states.len() as u64, offsets: [0; MOST_PARAMETERS], each: 0, options };
        let mut values = Vec::new();
        for (index, (parameter, offset)) in
            parameters.values().iter().zip(&mut population.offsets).enumerate()
        {
            *offset = values.len() as u64;
            match parameter {
                Parameter::Uniform(value) => values.push(*value),
                Parameter::Each(list) => {
                    population.each |= 1 << index;
                    values.extend_from_slice(list);
                }
            }
        }
        let (voltages, each) = match waveform {
            Waveform::Common(voltages) => (voltages, 0),
            Waveform::Each { voltages, .. } => (voltages, 1),
            _ => return Err(CudaError::InvalidValue),
        };
        let steps = Steps {
            steps: waveform.steps() as u64,
            dt,
            each,
            key: noise.stream.key(),
            unused: 0,
            first_step: noise.first_step,
            first_device: noise.first_device,
        };
        self.gpu.enter()?;
        let moved = Buffer::of(states)?;
        let (values, voltages) = (Buffer::of(&values)?, Buffer::of(voltages)?);
        let (state, value, voltage) = (moved.address(), values.address(), voltages.address());
        let mut written = Buffer::<f64>::default();
        if let Some(history) = &history {
            written.reserve(history.len())?;
        }
        let past = written.address();
        let arguments = arguments![state, value, voltage, past, population, steps];
        let blocks = states.len().div_ceil(THREADS as usize) as u32;
        // SAFETY: as `ADVANCE` declares them; states, values, voltages and history are as long as the structures say.
        unsafe { self.gpu.launch(module, kernel, (blocks, 1), THREADS, arguments)? };
        self.gpu.finish()?;
        if let Some(history) = history {
            written.download(history)?;
        }
        moved.download(states)
    }
}

impl Drop for CudaPopulations {
    fn drop(&mut self) {
        // The modules are unloaded in the context that is entered here; if that fails, cust leaves them be.
        let _ = self.gpu.enter();
    }
}

impl PopulationBackend for CudaPopulations {
    fn name(&self) -> &'static str {
        NAME
    }

    fn advance(
        &self,
        population: &mut Population,
        waveform: Waveform<'_>,
        dt: f64,
    ) -> Result<(), DeviceError> {
        let Some(kernel) = kernel_of(&**population.parameters().model()) else {
            return CpuPopulations.advance(population, waveform, dt);
        };
        population.advance_by(waveform, dt, |parameters, states, noise| {
            if states.is_empty() || waveform.steps() == 0 {
                return Ok(());
            }
            self.steps(kernel, parameters, states, (waveform, dt, noise), None).map_err(failed)
        })
    }

    fn record(
        &self,
        population: &mut Population,
        voltages: &[f64],
        dt: f64,
    ) -> Result<Recording, DeviceError> {
        let Some(kernel) = kernel_of(&**population.parameters().model()) else {
            return CpuPopulations.record(population, voltages, dt);
        };
        population.record_by(voltages, dt, |parameters, states, noise, history| {
            if history.is_empty() {
                return Ok(());
            }
            let waveform = Waveform::Common(voltages);
            self.steps(kernel, parameters, states, (waveform, dt, noise), Some(history)).map_err(failed)
        })
    }

    fn leaves_to_cpu(&self, model: &dyn Device) -> Vec<&'static str> {
        if has_kernel(model) { vec!["currents and conductances"] } else { vec!["all steps"] }
    }
}

/// What the driver said, as an error of the devices' crate.
fn failed(error: CudaError) -> DeviceError {
    let why = format!("the NVIDIA driver said: {error}");
    DeviceError::Backend { backend: NAME.to_owned(), why }
}

/// Whether a model is stepped by a kernel; other models are stepped on the CPU.
pub(crate) fn has_kernel(model: &dyn Device) -> bool {
    kernel_of(model).is_some()
}

/// The kernel of a model and its options, as the kernel's file says; `None` for a model without one.
fn kernel_of(model: &dyn Device) -> Option<(&'static str, [f64; MOST_OPTIONS])> {
    let model: &dyn Any = model;
    if let Some(m) = model.downcast_ref::<Vteam>() {
        // The law of resistances is that of reads; steps do not know it.
        let centre = |a: Option<f64>| [f64::from(a.is_some()), a.unwrap_or(0.0)];
        return options("vteam", &[&[window(m.window)?], &centre(m.a_on), &centre(m.a_off)]);
    }
    if let Some(m) = model.downcast_ref::<LinearIonDrift>() {
        return options("linear_ion_drift", &[&[window(m.window)?]]);
    }
    if let Some(m) = model.downcast_ref::<DataDriven>() {
        let head = [m.eta, m.r_p.len() as f64, m.r_n.len() as f64];
        return options("data_driven", &[&head, &m.r_p, &m.r_n]);
    }
    if let Some(m) = model.downcast_ref::<DataDriven2021>() {
        return options("data_driven_2021", &[&[m.r_p.len() as f64, m.r_n.len() as f64], &m.r_p, &m.r_n]);
    }
    let m = model.downcast_ref::<StanfordPku>()?;
    options("stanford_pku", &[&[f64::from(m.dynamic)]])
}

/// The lists one after the other; `None` if they are longer than a kernel takes.
fn options(kernel: &'static str, lists: &[&[f64]]) -> Option<(&'static str, [f64; MOST_OPTIONS])> {
    let joined = lists.concat();
    let mut options = [0.0; MOST_OPTIONS];
    options.get_mut(..joined.len())?.copy_from_slice(&joined);
    Some((kernel, options))
}

/// The number of a window in `population.cuh`.
fn window(window: Window) -> Option<f64> {
    Some(match window {
        Window::None => 0.0,
        Window::Joglekar => 1.0,
        Window::Biolek => 2.0,
        Window::Prodromakis => 3.0,
        Window::Team => 4.0,
        _ => return None,
    })
}
