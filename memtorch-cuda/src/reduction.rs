//! Effective conductances of tiles, many at a time.

use cust::error::CudaResult;
use cust::module::Module;
use memtorch_crossbar::ndarray::{Array2, ArrayView2};
use memtorch_crossbar::passive::TileNetwork;

use crate::arguments::arguments;
use crate::gpu::{Buffer, Gpu};

const LEAF: usize = 4;
const LEAF_THREADS: u32 = 64;
const THREADS: u32 = 256;
/// Numbers that the arenas of tiles that are reduced together should not exceed much: 2 GiB, some 300 tiles of 128 x 128,
/// two for each multiprocessor of a large GPU.
const LIMIT: usize = 256 << 20;
/// Tiles of one launch: rows of a grid.
const MOST_TILES: usize = 65535;

/// `Circuit` of `reduce.cu`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Circuit {
    word_source: f64,
    bit_source: f64,
    word_line: f64,
    bit_line: f64,
    rows: u32,
    columns: u32,
    arena: u64,
    scratch: u64,
}

/// `Leaf` of `reduce.cu`.
#[repr(C)]
#[derive(Clone, Copy, Debug, cust::DeviceCopy)]
struct Leaf {
    to: u64,
    row: u32,
    column: u32,
    height: u32,
    width: u32,
    right: u32,
    bottom: u32,
}

/// `Block` of `reduce.cu`: where it lies, and its ports at the left, right, top and bottom.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, cust::DeviceCopy)]
struct Block {
    at: u64,
    ports: [u32; 4],
}

/// `Merge` of `reduce.cu`.
#[repr(C)]
#[derive(Clone, Copy, Debug, cust::DeviceCopy)]
struct Merge {
    first: Block,
    second: Block,
    to: u64,
    scratch: u64,
    below: u32,
    unused: u32,
}

impl Block {
    fn count(&self) -> u64 {
        self.ports.iter().map(|n| u64::from(*n)).sum()
    }

    fn size(&self) -> u64 {
        self.count() * self.count()
    }

    /// With another at its right, or below it.
    fn with(&self, second: &Self, below: bool) -> Self {
        let ([left, right, top, bottom], other) = (self.ports, second.ports);
        let ports = if below {
            [left + other[0], right + other[1], top, other[3]]
        } else {
            [left, other[1], top + other[2], bottom + other[3]]
        };
        Self { at: 0, ports }
    }
}

/// How tiles of one size are reduced: leaves, then pairs of neighbours, until one block is left.
#[derive(Debug)]
struct Plan {
    leaves: Vec<Leaf>,
    levels: Vec<Vec<Merge>>,
    /// Numbers of a tile's arena, and of its scratch memory: those of the largest step.
    arena: u64,
    scratch: u64,
}

impl Plan {
    fn new(rows: usize, columns: usize) -> Self {
        let cuts = |length: usize| -> Vec<usize> {
            let parts = length.div_ceil(LEAF);
            (0..=parts).map(|k| k * length / parts).collect()
        };
        let (row_cuts, column_cuts) = (cuts(rows), cuts(columns));
        let (mut down, mut across) = (row_cuts.len() - 1, column_cuts.len() - 1);
        let mut plan = Self { leaves: Vec::new(), levels: Vec::new(), arena: 0, scratch: 0 };
        let mut blocks = Vec::new();
        for (i, lines) in row_cuts.windows(2).enumerate() {
            for (j, bits) in column_cuts.windows(2).enumerate() {
                let [row, column] = [lines[0], bits[0]].map(|n| n as u32);
                let [height, width] = [lines[1] - lines[0], bits[1] - bits[0]].map(|n| n as u32);
                let (right, bottom) = (u32::from(j + 1 < across), u32::from(i + 1 < down));
                let at = plan.arena;
                let block = Block { at, ports: [height, right * height, width, bottom * width] };
                plan.leaves.push(Leaf { to: at, row, column, height, width, right, bottom });
                plan.arena += block.size();
                blocks.push(block);
            }
        }
        let (mut height, mut width) = (LEAF, LEAF);
        while blocks.len() > 1 {
            // Along the direction in which blocks are shorter, so that they stay near square.
            let below = down > 1 && (height < width || across == 1);
            let (mut merges, mut joined) = (Vec::new(), Vec::new());
            let (mut used, mut scratch) = (0, 0);
            for i in (0..down).step_by(if below { 2 } else { 1 }) {
                for j in (0..across).step_by(if below { 1 } else { 2 }) {
                    let first = blocks[i * across + j];
                    let there = if below { i + 1 < down } else { j + 1 < across };
                    let next = if below { (i + 1) * across + j } else { i * across + j + 1 };
                    let second = if there { blocks[next] } else { Block::default() };
                    let mut block = if there { first.with(&second, below) } else { first };
                    block.at = used;
                    merges.push(Merge { first, second, to: used, scratch, below: below.into(), unused: 0 });
                    used += block.size();
                    if there {
                        let shared = u64::from(first.ports[if below { 3 } else { 1 }]);
                        scratch += shared * (first.count() + second.count() - shared);
                    }
                    joined.push(block);
                }
            }
            if below {
                (down, height) = (down.div_ceil(2), 2 * height);
            } else {
                (across, width) = (across.div_ceil(2), 2 * width);
            }
            (plan.arena, plan.scratch) = (plan.arena.max(used), plan.scratch.max(scratch));
            blocks = joined;
            plan.levels.push(merges);
        }
        plan
    }
}

/// Reduces tiles to their terminals.
#[derive(Debug)]
pub(crate) struct Reduction {
    module: Module,
}

impl Reduction {
    pub(crate) fn new(gpu: &Gpu) -> CudaResult<Self> {
        Ok(Self { module: gpu.load(include_str!("../kernels/reduce.ptx"))? })
    }

    /// The conductances between the terminals of word lines and bit lines of each network. All are of the size and
    /// the wires of the first.
    pub(crate) fn reduce(&self, gpu: &Gpu, networks: &[TileNetwork]) -> CudaResult<Vec<Array2<f64>>> {
        let Some(first) = networks.first() else { return Ok(Vec::new()) };
        let (rows, columns) = first.devices.dim();
        let plan = Plan::new(rows, columns);
        let circuit = Circuit {
            word_source: first.word_source,
            bit_source: first.bit_source,
            word_line: first.word_line,
            bit_line: first.bit_line,
            rows: rows as u32,
            columns: columns as u32,
            arena: plan.arena,
            scratch: plan.scratch,
        };
        let leaves = Buffer::of(&plan.leaves)?;
        let levels = plan.levels.iter().map(|merges| Buffer::of(merges)).collect::<CudaResult<Vec<_>>>()?;
        let size = rows * columns;
        let each = 2 * plan.arena as usize + plan.scratch as usize + 2 * size;
        let most = (LIMIT / each).clamp(1, MOST_TILES);
        let mut memory = Memory::default();
        let mut all = Vec::with_capacity(networks.len());
        for networks in networks.chunks(most) {
            let tiles = networks.len();
            let devices: Vec<f64> =
                networks.iter().flat_map(|network| network.devices.iter().copied()).collect();
            memory.devices.upload(&devices)?;
            for arena in &mut memory.arenas {
                arena.reserve(tiles * plan.arena as usize)?;
            }
            memory.scratch.reserve(tiles * plan.scratch as usize)?;
            memory.found.reserve(tiles * size)?;
            self.launch(gpu, &plan, (leaves.address(), &levels), (tiles as u32, circuit), &memory)?;
            gpu.finish()?;
            let mut found = vec![0.0; tiles * size];
            memory.found.download(&mut found)?;
            for (network, found) in networks.iter().zip(found.chunks_exact(size)) {
                let found = ArrayView2::from_shape((rows, columns), found).expect("as many as devices");
                all.push(network.used(found));
            }
        }
        Ok(all)
    }

    fn launch(
        &self,
        gpu: &Gpu,
        plan: &Plan,
        (leaves, levels): (u64, &[Buffer<Merge>]),
        (tiles, circuit): (u32, Circuit),
        memory: &Memory,
    ) -> CudaResult<()> {
        let devices = memory.devices.address();
        let [mut from, mut to] = [0, 1].map(|arena: usize| memory.arenas[arena].address());
        let (scratch, found) = (memory.scratch.address(), memory.found.address());
        let grid = (plan.leaves.len() as u32, tiles);
        let arguments = arguments![devices, from, leaves, circuit];
        // SAFETY: as `reduce_leaves` is declared; the plan's leaves lie in the tiles and in the arena.
        unsafe { gpu.launch(&self.module, "reduce_leaves", grid, LEAF_THREADS, arguments)? };
        for (merges, planned) in levels.iter().zip(&plan.levels) {
            let merges = merges.address();
            let grid = (planned.len() as u32, tiles);
            let arguments = arguments![from, to, scratch, merges, circuit];
            // SAFETY: as `reduce_merges` is declared; the plan's blocks lie in the arenas.
            unsafe { gpu.launch(&self.module, "reduce_merges", grid, THREADS, arguments)? };
            std::mem::swap(&mut from, &mut to);
        }
        let grid = ((circuit.rows * circuit.columns).div_ceil(THREADS).min(1024), tiles);
        let arguments = arguments![from, found, circuit];
        // SAFETY: as `reduce_pick` is declared; the last block is the first of its arena.
        unsafe { gpu.launch(&self.module, "reduce_pick", grid, THREADS, arguments) }
    }
}

/// Memory of the tiles that are reduced together.
#[derive(Debug, Default)]
struct Memory {
    devices: Buffer<f64>,
    arenas: [Buffer<f64>; 2],
    scratch: Buffer<f64>,
    found: Buffer<f64>,
}
