//! Makes inputs, gives them to a reader, and looks at what becomes of it.

use std::cell::RefCell;
use std::fmt::Debug;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use memtorch::utils::Stream;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::allocator::memory;

/// Inputs of a format where nobody says how many.
const INPUTS: u64 = 10_000;
/// No input may take the processor for longer: a hundred times what the slowest takes.
const LONGEST: Duration = Duration::from_secs(10);

/// What a reader did with an input: took it, or refused it with an error.
pub type Outcome = Result<(), String>;

/// A format and what its reader may cost.
pub struct Format {
    pub name: &'static str,
    /// Bytes of memory for each byte of the input.
    pub multiple: usize,
    /// Bytes of memory whatever the size of the input: tables, buffers, the reader's own.
    pub free: usize,
}

/// What is wrong with an input's outcome, if anything is.
pub fn judge(format: &Format, size: usize, read: impl FnOnce() -> Outcome) -> Result<bool, String> {
    let began = computed();
    let (outcome, memory) = memory(read);
    let time = computed().saturating_sub(began);
    if time > LONGEST {
        return Err(format!("it took {time:?}: expected at most {LONGEST:?}"));
    }
    let most = format.free + format.multiple * size;
    if memory > most {
        return Err(format!("{size} bytes took {memory} bytes of memory: expected at most {most}"));
    }
    let Err(error) = outcome else { return Ok(true) };
    // Names may be whatever they are in the input; the command prints one line of them, as its own test sees.
    let words = error.chars().filter(|c| !c.is_control() && !c.is_whitespace()).count();
    if words < 8 || error.len() > 4096 + 4 * size {
        return Err(format!("{error:?}: expected an error that says something"));
    }
    Ok(false)
}

/// How long this thread has had a processor; where the system does not say, how long the process has run.
fn computed() -> Duration {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let spent = text.split_whitespace().next().and_then(|text| text.parse().ok());
    spent.map_or_else(|| BEGIN.elapsed(), Duration::from_nanos)
}

fn number(name: &str, default: u64) -> u64 {
    let Ok(text) = std::env::var(name) else { return default };
    text.parse().unwrap_or_else(|_| panic!("{name} = {text:?}: expected a whole number"))
}

/// The numbers of the inputs.
pub fn numbers() -> std::ops::Range<u64> {
    let first = number("MEMTORCH_FUZZ_FROM", 0);
    first..first + number("MEMTORCH_FUZZ", INPUTS)
}

/// A runner that draws what belongs to this number, and nothing else.
pub fn runner(name: &str, number: u64) -> TestRunner {
    let key = Stream::root(number, 0).named(name).key();
    let mut seed = [0; 32];
    seed[..4].copy_from_slice(&key[0].to_le_bytes());
    seed[4..8].copy_from_slice(&key[1].to_le_bytes());
    let config = Config { failure_persistence: None, max_shrink_time: 20_000, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
}

/// The folder for inputs that failed.
fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The number of the input that is read now, in a file: what ends the process can be made again.
pub struct Now(std::fs::File);

impl Now {
    pub fn new(name: &str) -> Self {
        Self(std::fs::File::create(folder().join(format!("{name}.now"))).unwrap())
    }

    pub fn is(&mut self, number: u64) {
        self.0.rewind().unwrap();
        self.0.write_all(&format!("{number:<20}").into_bytes()).unwrap();
    }
}

/// Gives a reader all inputs: `render` makes the bytes from what was drawn, `read` reads them.
///
/// At least `taken` of a hundred inputs must be taken, and some refused: else they test nothing.
pub fn fuzz<S: Strategy>(
    format: &Format,
    taken: f64,
    strategy: S,
    render: impl Fn(&S::Value) -> Vec<u8>,
    read: impl Fn(&[u8]) -> Outcome,
) where
    S::Value: Debug,
{
    let name = format.name;
    let mut now = Now::new(name);
    let counts = RefCell::new([0u64; 2]);
    let numbers = numbers();
    for number in numbers.clone() {
        now.is(number);
        let mut runner = runner(name, number);
        let tree = strategy.new_tree(&mut runner).unwrap();
        let _ = tree.current();
        let result = runner.run_one(tree, |drawn| {
            let bytes = render(&drawn);
            let good = judge(format, bytes.len(), || read(&bytes)).map_err(TestCaseError::fail)?;
            counts.borrow_mut()[usize::from(good)] += 1;
            Ok(())
        });
        if let Err(TestError::Fail(why, drawn)) = result {
            let file = folder().join(format!("{name}-{number}"));
            std::fs::write(&file, render(&drawn)).unwrap();
            panic!(
                "{name}, input {number}: {why}\nthe input: {}\nagain: MEMTORCH_FUZZ_FROM={number} MEMTORCH_FUZZ=1 \
                 cargo test --test fuzz {name}\n{drawn:?}",
                file.display()
            );
        }
    }
    let [refused, good] = counts.into_inner();
    println!("{name}: inputs {} to {}: {good} taken, {refused} refused", numbers.start, numbers.end - 1);
    let all = refused + good;
    if all >= INPUTS {
        let share = 100.0 * good as f64 / all as f64;
        assert!(
            share >= taken && share <= 97.0,
            "{name}: {share} of 100 were taken, expected at least {taken}"
        );
    }
}
