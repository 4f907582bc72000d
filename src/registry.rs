use std::sync::Arc;

use memtorch_crossbar::backend::CpuBackend;
use memtorch_crossbar::{ArrayBackend, Converter, CrossbarError};
use memtorch_devices::{CpuPopulations, DeviceEntry, PopulationBackend};
use memtorch_map::MappingScheme;
use memtorch_nonideal::NonIdealityEntry;
use memtorch_utils::config::{ConfigError, Field, Table};

use crate::Error;
use crate::experiment::{converters, schemes};

/// Makes a mapping scheme from its checked fields.
pub type BuildScheme = fn(&Table) -> Result<Arc<dyn MappingScheme>, ConfigError>;

/// Makes a converter of so many bits (at least 1) from its checked fields.
pub type BuildConverter = fn(u32, &Table) -> Result<Arc<dyn Converter>, ConfigError>;

/// How a configuration makes a mapping scheme.
#[derive(Clone, Copy, Debug)]
pub struct SchemeEntry {
    /// The `scheme` in the section `[crossbar]`.
    pub name: &'static str,
    /// What it is, in one sentence without a full stop.
    pub meaning: &'static str,
    /// What can be set for it in `[crossbar]`.
    pub fields: &'static [Field],
    /// Makes it.
    pub build: BuildScheme,
}

/// How a configuration makes a converter.
#[derive(Clone, Copy, Debug)]
pub struct ConverterEntry {
    /// The `method` in the section `[adc]`.
    pub name: &'static str,
    /// What it is, in one sentence without a full stop.
    pub meaning: &'static str,
    /// What can be set for it in `[adc]`, beyond `bits`, `method` and `read`.
    pub fields: &'static [Field],
    /// Makes it.
    pub build: BuildConverter,
}

/// How a backend is opened.
#[derive(Clone, Copy, Debug)]
pub struct BackendEntry {
    /// The value of `--backend`.
    pub name: &'static str,
    /// Opens it for products.
    pub open: fn() -> Result<Arc<dyn ArrayBackend>, CrossbarError>,
    /// Opens it for populations of devices.
    pub open_populations: fn() -> Result<Arc<dyn PopulationBackend>, CrossbarError>,
}

/// The names that configurations may use, and what they make.
///
/// There is no global: whoever wants more registers it and passes the registry on.
///
/// ```
/// let registry = memtorch::Registry::with_defaults();
/// assert!(registry.devices().iter().any(|device| device.name == "vteam"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Registry {
    devices: Vec<DeviceEntry>,
    non_idealities: Vec<NonIdealityEntry>,
    schemes: Vec<SchemeEntry>,
    converters: Vec<ConverterEntry>,
    backends: Vec<BackendEntry>,
}

impl Registry {
    /// A registry without names.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Everything that comes with memtorch.
    pub fn with_defaults() -> Self {
        Self {
            devices: memtorch_devices::models::MODELS.to_vec(),
            non_idealities: memtorch_nonideal::ENTRIES.to_vec(),
            schemes: schemes::SCHEMES.to_vec(),
            converters: vec![converters::LINEAR, converters::LOG],
            backends: vec![
                BackendEntry {
                    name: "cpu",
                    open: || Ok(Arc::new(CpuBackend::new())),
                    open_populations: || Ok(Arc::new(CpuPopulations)),
                },
                cuda::ENTRY,
                #[cfg(feature = "cuda-emulated")]
                BackendEntry {
                    name: "cuda-emulated",
                    open: memtorch_cuda::open_emulated,
                    open_populations: memtorch_cuda::open_emulated_populations,
                },
            ],
        }
    }

    /// Adds a device model.
    ///
    /// # Errors
    /// The name is taken.
    pub fn register_device(&mut self, entry: DeviceEntry) -> Result<(), Error> {
        add(&mut self.devices, entry, "device model", |e| e.name)
    }

    /// Adds a non-ideality.
    ///
    /// # Errors
    /// The name is taken.
    pub fn register_non_ideality(&mut self, entry: NonIdealityEntry) -> Result<(), Error> {
        add(&mut self.non_idealities, entry, "non-ideality", |e| e.name)
    }

    /// Adds a mapping scheme.
    ///
    /// # Errors
    /// The name is taken.
    pub fn register_scheme(&mut self, entry: SchemeEntry) -> Result<(), Error> {
        add(&mut self.schemes, entry, "mapping scheme", |e| e.name)
    }

    /// Adds a converter.
    ///
    /// # Errors
    /// The name is taken.
    pub fn register_converter(&mut self, entry: ConverterEntry) -> Result<(), Error> {
        add(&mut self.converters, entry, "converter", |e| e.name)
    }

    /// Adds a backend.
    ///
    /// # Errors
    /// The name is taken.
    pub fn register_backend(&mut self, entry: BackendEntry) -> Result<(), Error> {
        add(&mut self.backends, entry, "backend", |e| e.name)
    }

    /// The device models.
    pub fn devices(&self) -> &[DeviceEntry] {
        &self.devices
    }

    /// The non-idealities.
    pub fn non_idealities(&self) -> &[NonIdealityEntry] {
        &self.non_idealities
    }

    /// The mapping schemes.
    pub fn schemes(&self) -> &[SchemeEntry] {
        &self.schemes
    }

    /// The converters.
    pub fn converters(&self) -> &[ConverterEntry] {
        &self.converters
    }

    /// The backends.
    pub fn backends(&self) -> &[BackendEntry] {
        &self.backends
    }
}

fn add<T>(
    list: &mut Vec<T>,
    entry: T,
    what: &'static str,
    name: impl Fn(&T) -> &'static str,
) -> Result<(), Error> {
    if list.iter().any(|other| name(other) == name(&entry)) {
        return Err(Error::Registered { what, name: name(&entry).to_owned() });
    }
    list.push(entry);
    Ok(())
}

#[cfg(feature = "cuda")]
mod cuda {
    pub(super) const ENTRY: super::BackendEntry = super::BackendEntry {
        name: "cuda",
        open: memtorch_cuda::open,
        open_populations: memtorch_cuda::open_populations,
    };
}

#[cfg(not(feature = "cuda"))]
mod cuda {
    use super::CrossbarError;

    pub(super) const ENTRY: super::BackendEntry =
        super::BackendEntry { name: "cuda", open: || Err(missing()), open_populations: || Err(missing()) };

    fn missing() -> CrossbarError {
        CrossbarError::Backend {
            backend: "cuda".to_owned(),
            why: "this build has no GPU backend: build with the feature `cuda`, or use the backend cpu"
                .to_owned(),
        }
    }
}
