//! The device models.

mod data_driven;
mod data_driven_2021;
mod linear_ion_drift;
mod shared;
mod stanford_pku;
mod vteam;

pub use data_driven::{DataDriven, DataDrivenParameters};
pub use data_driven_2021::{DataDriven2021, DataDriven2021Parameters};
pub use linear_ion_drift::{LinearIonDrift, LinearIonDriftParameters};
pub use stanford_pku::{StanfordPku, StanfordPkuParameters};
pub use vteam::{ResistanceLaw, Vteam, VteamParameters};

use crate::DeviceEntry;

/// The models that come with the crate.
pub static MODELS: &[DeviceEntry] = &[
    DeviceEntry::of::<LinearIonDrift>(),
    DeviceEntry::of::<Vteam>(),
    DeviceEntry::of::<StanfordPku>(),
    DeviceEntry::of::<DataDriven>(),
    DeviceEntry::of::<DataDriven2021>(),
];
