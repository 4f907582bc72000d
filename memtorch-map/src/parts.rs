//! The state of a matrix on crossbars as plain numbers.

use std::sync::Arc;

use memtorch_crossbar::{Array, ArrayBackend, ArrayParts, FullScale, Layout};
use memtorch_devices::Stream;

use crate::hardware::InputScale;
use crate::placement::Placement;
use crate::remap::Arrangement;
use crate::tune::{self, TileGains};
use crate::{Hardware, MapError, MappedMatrix, MatrixReport, Usage, calibrate, program, read};

/// What was drawn, programmed and tuned for one matrix: with its [`Hardware`] all of a [`MappedMatrix`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MatrixParts {
    /// The mapping scheme.
    pub scheme: String,
    /// Word lines and bit lines of a tile.
    pub tile: [usize; 2],
    /// The device model.
    pub device: String,
    /// The nominal parameters of its devices, by name, in SI units.
    pub nominal: Vec<(String, f64)>,
    /// The arrays in the order of the scheme: of a double column the positive, then the negative one.
    pub arrays: Vec<ArrayParts>,
    /// The gains: one, or one for each column of each group.
    pub gains: Vec<f64>,
    /// The constants, likewise.
    pub intercepts: Vec<f64>,
    /// Factors on the gain of each tile; absent where tiles have none.
    pub tile_gains: Option<Vec<f64>>,
    /// The calibrated full scales of the converters, one for each read; none where none was calibrated.
    pub full_scales: Vec<FullScale>,
    /// The calibrated scale of the inputs, in units of the input a volt; absent where it was not calibrated.
    pub input_scale: Option<f64>,
    /// Where lines were permuted: which row of its tile each word line holds, then which column each bit line,
    /// tile after tile.
    pub lines: Option<Vec<usize>>,
    /// What programming gave.
    pub report: MatrixReport,
}

impl MappedMatrix {
    /// The state, to be kept.
    ///
    /// # Errors
    /// State that cannot be kept.
    pub fn to_parts(&self) -> Result<MatrixParts, MapError> {
        let Description { scheme, tile, device, nominal } = description(&self.hardware, self.layout());
        Ok(MatrixParts {
            scheme,
            tile,
            device,
            nominal,
            arrays: self.arrays().iter().map(Array::to_parts).collect(),
            gains: self.gains().to_vec(),
            intercepts: self.intercepts().to_vec(),
            tile_gains: self.tile_gains().map(<[f64]>::to_vec),
            full_scales: self.full_scales.to_vec(),
            input_scale: self.report().input_scale,
            lines: self.arrangement.as_deref().map(Arrangement::to_list),
            report: self.report().clone(),
        })
    }

    /// The matrix `[groups, inputs, outputs]` of such a state, and how its layer uses it. It multiplies like the one that gave the
    /// state, bit for bit, if `name`, `hardware` and `stream` are the same.
    ///
    /// # Errors
    /// Settings that are not possible; a state of another matrix or other hardware.
    pub fn from_parts(
        name: &str,
        ([groups, rows, columns], usage): ([usize; 3], &Usage),
        hardware: &Hardware,
        stream: Stream,
        backend: Arc<dyn ArrayBackend>,
        parts: &MatrixParts,
    ) -> Result<Self, MapError> {
        hardware.check()?;
        let reference = hardware.scheme.reference().is_some();
        let placement = Placement::new([groups, rows, columns], hardware.tile, hardware.packing, reference)?;
        let layout = placement.physical;
        let Description { scheme, tile, device, nominal } = description(hardware, &layout);
        let other = |key, value: String, expected: String| {
            Err(MapError::Setting {
                key,
                value,
                expected: format!("{expected}, with which it was programmed"),
            })
        };
        if parts.scheme != scheme {
            return other("scheme", scheme, parts.scheme.clone());
        }
        if parts.tile != tile {
            return other("tile", format!("{tile:?}"), format!("{:?}", parts.tile));
        }
        if parts.device != device {
            return other("model", device, parts.device.clone());
        }
        if let Some(((name, value), (_, kept))) =
            nominal.iter().zip(&parts.nominal).find(|(a, b)| a.0 != b.0 || a.1.to_bits() != b.1.to_bits())
        {
            return other("model", format!("{device} with {name} = {value:e}"), format!("{kept:e}"));
        }
        let wrong = |key, value: usize, expected: String| {
            Err(MapError::Setting { key, value: value.to_string(), expected })
        };
        let expected = hardware.scheme.arrays();
        if parts.arrays.len() != expected {
            return wrong(
                "arrays",
                parts.arrays.len(),
                format!("{expected}, as {} has", hardware.scheme.name()),
            );
        }
        for (key, list) in [("gains", &parts.gains), ("intercepts", &parts.intercepts)] {
            let all = groups * columns;
            if ![1, all].contains(&list.len()) {
                return wrong(key, list.len(), format!("1 or {all} numbers"));
            }
            if list.iter().any(|value| !value.is_finite()) {
                return Err(MapError::Setting {
                    key,
                    value: format!("{list:?}"),
                    expected: "finite numbers".into(),
                });
            }
        }
        let arrays = parts.arrays.iter().map(|array| Array::from_parts(layout, &hardware.device, array));
        let mut arrays = arrays.collect::<Result<Vec<_>, _>>()?;
        // What it reports was told when the state was made.
        let mut told = MatrixReport::default();
        let at = (stream.named(name), &*backend);
        program::attach(&mut arrays, hardware, at, &mut told, |_| true)?;
        let mut report = parts.report.clone();
        report.footprint = placement.footprint(hardware.scheme.arrays());
        report.stuck = arrays.iter().map(|array| array.masks().len()).sum();
        let mut hardware = hardware.clone();
        match (hardware.input.scale, parts.input_scale) {
            (InputScale::Calibrated, Some(scale)) if scale > 0.0 && scale.is_finite() => {
                hardware.input.scale = InputScale::Fixed(scale);
            }
            (InputScale::Calibrated, scale) => {
                let value = scale.map_or("nothing".to_owned(), |scale| scale.to_string());
                return Err(MapError::Setting {
                    key: "scale",
                    value,
                    expected: "a positive number".to_owned(),
                });
            }
            _ => {}
        }
        let arrangement = match &parts.lines {
            None => None,
            Some(list) => {
                let error = report.remapping.unwrap_or_default();
                let Some(found) = Arrangement::from_list(list, &layout, error) else {
                    let expected = format!("permutations of the lines of {} tiles", layout.tile_count());
                    return wrong("lines", list.len(), expected);
                };
                Some(Arc::new(found))
            }
        };
        let terms = read::pack(&arrays, (&placement, arrangement.as_deref(), usage), &hardware, &*backend)?;
        let layouts = read::layouts(&terms);
        let converter = &hardware.adc.converter;
        let calibrated = hardware.adc.range.is_some() && !tune::is_ideal(&**converter);
        let mut converters = hardware.adc.fabricate(&layouts, stream.named(name));
        if calibrated {
            let fits = |(full_scale, layout): (&FullScale, &Layout)| match full_scale {
                FullScale::PerTile(list) => list.len() == layout.tile_count(),
                FullScale::PerLine(tiles) => {
                    let lines = tiles.iter().map(|lines| lines.len());
                    lines.eq(layout.tiles().map(|tile| tile.bit_lines))
                }
                _ => true,
            };
            if parts.full_scales.len() != layouts.len() || !parts.full_scales.iter().zip(&layouts).all(fits) {
                let expected = format!("calibrated full scales of {} reads", layouts.len());
                return wrong("range", parts.full_scales.len(), expected);
            }
            converters = calibrate::converters(&converters, &parts.full_scales)?;
        }
        let tile_gains: Option<Arc<[f64]>> = parts.tile_gains.clone().map(Into::into);
        if let Some(gains) = &tile_gains {
            if gains.len() != placement.read.tile_count() || gains.iter().any(|gain| !gain.is_finite()) {
                let expected = format!("{} finite numbers", placement.read.tile_count());
                return wrong("tile_gains", gains.len(), expected);
            }
            let gains: Arc<[f32]> = gains.iter().map(|gain| *gain as f32).collect();
            converters = TileGains::wrap(&converters, &gains);
        }
        let mut matrix = Self {
            placement,
            arrangement,
            terms: Arc::new(terms),
            arrays: Arc::new(arrays),
            converters: Arc::new(converters),
            full_scales: Arc::new(parts.full_scales.clone()),
            hardware: Arc::new(hardware),
            gains: Arc::new(parts.gains.clone()),
            tile_gains,
            intercepts: Arc::new(parts.intercepts.clone()),
            backend,
            report: Arc::default(),
        };
        report.on_cpu = matrix.on_cpu(false);
        matrix.report = Arc::new(report);
        Ok(matrix)
    }
}

/// What of the hardware a state belongs to.
struct Description {
    scheme: String,
    tile: [usize; 2],
    device: String,
    nominal: Vec<(String, f64)>,
}

fn description(hardware: &Hardware, layout: &Layout) -> Description {
    let model = &hardware.device.model;
    let names = model.parameter_names().iter().map(|name| (*name).to_owned());
    Description {
        scheme: hardware.scheme.name().to_owned(),
        tile: layout.tile_shape(),
        device: model.name().to_owned(),
        nominal: names.zip(model.values()).collect(),
    }
}
