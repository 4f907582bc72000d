use memtorch_crossbar::TileShape;
use memtorch_map::{Footprint, GroupPacking};

use crate::{Layer, LayerChoice, NnError};

/// What putting a network on crossbars will cost, layer by layer, before anything is programmed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Plan {
    /// The layers in the order of the network.
    pub layers: Vec<PlannedLayer>,
}

/// One layer of a [`Plan`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PlannedLayer {
    /// Its short name.
    pub name: String,
    /// Where it will be.
    pub place: Place,
}

/// Where a layer will be.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Place {
    /// Nowhere: it runs digitally.
    Digital {
        /// Why.
        reason: String,
    },
    /// On tiles.
    Crossbars {
        /// The mapping scheme.
        scheme: String,
        /// The size of the tiles.
        tile: TileShape,
        /// Whether groups of a convolution share tiles.
        packing: GroupPacking,
        /// Physical arrays, each with so many tiles.
        arrays: usize,
        /// What it costs.
        footprint: Footprint,
    },
}

impl Plan {
    /// The plan for these layers on this hardware, one choice for each.
    ///
    /// # Errors
    /// Another number of choices than layers; the first layer that does not fit its tiles.
    pub fn new(layers: &[Layer], choices: &[LayerChoice]) -> Result<Self, NnError> {
        if choices.len() != layers.len() {
            return Err(NnError::Choices { found: choices.len(), expected: layers.len() });
        }
        let place = |(layer, choice): (&Layer, &LayerChoice)| {
            let place = match choice {
                LayerChoice::Digital { reason } => Place::Digital { reason: reason.clone() },
                LayerChoice::Memristive(hardware) => {
                    let sizes = [layer.groups, layer.rows, layer.columns];
                    let (tile, packing, scheme) = (hardware.tile, hardware.packing, &*hardware.scheme);
                    let footprint = Footprint::new(sizes, tile, packing, scheme).map_err(|source| {
                        NnError::Map { layer: layer.name.clone(), source: Box::new(source) }
                    })?;
                    let (scheme, arrays) = (scheme.name().to_owned(), scheme.arrays());
                    Place::Crossbars { scheme, tile, packing, arrays, footprint }
                }
            };
            Ok(PlannedLayer { name: layer.name.clone(), place })
        };
        Ok(Self { layers: layers.iter().zip(choices).map(place).collect::<Result<_, _>>()? })
    }
}
