//! Noise of reads.

use cust::error::CudaResult;
use memtorch_crossbar::backend::SumNoise;

use crate::arguments::arguments;
use crate::backend::{CudaBackend, Resident};
use crate::gpu::Buffer;

const THREADS: u32 = 256;

/// Memory that noise uses, read after read.
#[derive(Debug, Default)]
pub(crate) struct NoiseMemory {
    sums: Buffer<f32>,
    volts: Buffer<f32>,
    variances: [Buffer<f32>; 2],
    constants: Buffer<f64>,
    conductances: Buffer<f64>,
    places: Buffer<u32>,
}

/// `Noise` of `noise.cu`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Noise {
    scales: [f64; 2],
    high: f64,
    low: f64,
    threshold: f64,
    sums: u64,
    columns: u32,
    variances: u32,
    key: [u32; 2],
    row: u32,
    first_block: u32,
    groups: u32,
    group_columns: u32,
    word_lines: u32,
    bit_lines: u32,
}

impl Noise {
    fn new(noise: &SumNoise<'_>, sums: usize) -> Self {
        let layout = noise.layout;
        Self {
            scales: [0.0; 2],
            high: 0.0,
            low: 0.0,
            threshold: 0.0,
            sums: sums as u64,
            columns: (layout.groups() * layout.columns()) as u32,
            variances: 0,
            key: noise.stream.key(),
            row: noise.row as u32,
            first_block: noise.first_block() as u32,
            groups: layout.groups() as u32,
            group_columns: layout.columns() as u32,
            word_lines: noise.word_lines() as u32,
            bit_lines: layout.tile_shape()[1].min(layout.columns()) as u32,
        }
    }
}

impl CudaBackend {
    /// Adds noise whose lengths fit; the sums stay on the GPU until all of it is added. `operands` are the matrices of
    /// the variances, one after another.
    pub(crate) fn add(
        &self,
        noises: &[SumNoise<'_>],
        operands: &[&Resident],
        sums: &mut [f32],
    ) -> CudaResult<()> {
        let mut scratch = self.scratch();
        let mut memory = std::mem::take(&mut scratch.noise);
        self.gpu.enter()?;
        memory.sums.upload(sums)?;
        let mut operands = operands.iter();
        for noise in noises {
            let places: Vec<u32> = noise.places.iter().flatten().copied().collect();
            memory.places.upload(&places)?;
            memory.constants.upload(noise.constants)?;
            let mut own = Noise::new(noise, sums.len());
            let blocks = sums.len().div_ceil(THREADS as usize) as u32;
            let NoiseMemory { sums, volts, variances, constants, conductances, places } = &mut memory;
            for ((variance, resident), (found, scale)) in
                noise.variances.iter().zip(&mut operands).zip(variances.iter_mut().zip(&mut own.scales))
            {
                volts.upload(variance.values)?;
                found.reserve(own.sums as usize)?;
                let vectors = noise.places.len();
                self.plain(resident, variance.operand.layout(), volts.address(), vectors, found.address())?;
                *scale = variance.scale;
                own.variances += 1;
            }
            let (sums, places) = (sums.address(), places.address());
            let constants = constants.address();
            let [first, second] = [&variances[0], &variances[1]].map(Buffer::address);
            let arguments = arguments![sums, constants, places, first, second, own];
            // SAFETY: as `normal_noise` is declared; all are as long as the sums, the columns and the vectors say.
            unsafe { self.gpu.launch(&self.noise, "normal_noise", (blocks, 1), THREADS, arguments)? };
            let Some(switching) = &noise.telegraph else { continue };
            let of_row: Vec<f64> =
                noise.tiles().flat_map(|tile| switching.conductances[tile.range()].iter().copied()).collect();
            conductances.upload(&of_row)?;
            volts.upload(switching.volts)?;
            [own.high, own.low] = switching.telegraph.levels();
            own.threshold = switching.telegraph.threshold();
            own.key = noise.stream.named("telegraph").key();
            let (conductances, volts) = (conductances.address(), volts.address());
            let arguments = arguments![sums, conductances, places, volts, own];
            // SAFETY: as `telegraph_noise` is declared; likewise, and the row's devices.
            unsafe { self.gpu.launch(&self.noise, "telegraph_noise", (blocks, 1), THREADS, arguments)? };
        }
        self.gpu.finish()?;
        memory.sums.download(sums)?;
        scratch.noise = memory;
        Ok(())
    }
}
