//! Changes of bytes.

use proptest::prelude::*;
use proptest::sample::select;

/// Numbers at which readers go wrong.
const NUMBERS: &[u64] = &[
    0,
    1,
    2,
    3,
    7,
    8,
    16,
    64,
    127,
    128,
    255,
    256,
    1000,
    0x7fff,
    0x8000,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    1_000_000_000_000,
    i64::MAX as u64,
    i64::MIN as u64,
    u64::MAX - 1,
    u64::MAX,
];

/// A number at which readers go wrong, or any other.
pub fn number() -> impl Strategy<Value = u64> {
    prop_oneof![4 => select(NUMBERS), 2 => 0..100u64, 1 => any::<u64>()]
}

/// A place in an input: near its beginning or anywhere.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    near: bool,
    at: u32,
}

impl Place {
    /// The place in so many bytes.
    pub fn of(self, length: usize) -> usize {
        let room = if self.near { length.min(300) } else { length };
        (self.at as usize * room) >> 32
    }
}

pub fn place() -> impl Strategy<Value = Place> {
    (any::<bool>(), any::<u32>()).prop_map(|(near, at)| Place { near, at })
}

#[derive(Clone, Debug)]
pub enum Edit {
    Flip(Place, u8),
    Set(Place, u8),
    Cut(Place),
    Remove(Place, usize),
    Repeat(Place, usize, usize),
    Insert(Place, Vec<u8>),
    /// A number of so many bytes, the most significant first or last.
    Number(Place, usize, bool, u64),
    Copy(Place, Place, usize),
}

pub fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        4 => (place(), 0..8u8).prop_map(|(at, bit)| Edit::Flip(at, bit)),
        3 => (place(), any::<u8>()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        1 => place().prop_map(Edit::Cut),
        2 => (place(), 1..40usize).prop_map(|(at, length)| Edit::Remove(at, length)),
        1 => (place(), 1..40usize, 1..200usize).prop_map(|(at, length, times)| Edit::Repeat(at, length, times)),
        1 => (place(), prop::collection::vec(any::<u8>(), 1..20)).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        4 => (place(), select(&[1, 2, 4, 8][..]), any::<bool>(), number())
            .prop_map(|(at, width, big, value)| Edit::Number(at, width, big, value)),
        1 => (place(), place(), 1..40usize).prop_map(|(from, to, length)| Edit::Copy(from, to, length)),
    ]
}

/// A few changes; often only one.
pub fn edits() -> impl Strategy<Value = Vec<Edit>> {
    prop_oneof![prop::collection::vec(edit(), 1..2), prop::collection::vec(edit(), 0..6)]
}

impl Edit {
    pub fn apply(&self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        if length == 0 {
            return;
        }
        match self {
            Self::Flip(at, bit) => bytes[at.of(length)] ^= 1 << bit,
            Self::Set(at, byte) => bytes[at.of(length)] = *byte,
            Self::Cut(at) => bytes.truncate(at.of(length)),
            Self::Remove(at, count) => {
                let at = at.of(length);
                bytes.drain(at..length.min(at + count));
            }
            Self::Repeat(at, count, times) => {
                let at = at.of(length);
                let part = bytes[at..length.min(at + count)].repeat(*times);
                bytes.splice(at..at, part);
            }
            Self::Insert(at, more) => {
                let at = at.of(length);
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Number(at, width, big, value) => {
                let mut number = value.to_le_bytes()[..*width].to_vec();
                if *big {
                    number.reverse();
                }
                let at = at.of(length);
                for (byte, new) in bytes[at..].iter_mut().zip(number) {
                    *byte = new;
                }
            }
            Self::Copy(from, to, count) => {
                let from = from.of(length);
                let part = bytes[from..length.min(from + count)].to_vec();
                let to = to.of(length);
                for (byte, new) in bytes[to..].iter_mut().zip(part) {
                    *byte = new;
                }
            }
        }
    }
}

/// One of some good inputs, with changes.
pub fn changed(good: &[Vec<u8>]) -> impl Strategy<Value = (usize, Vec<Edit>)> + use<> {
    (0..good.len(), edits())
}

/// The bytes of such an input.
pub fn render(good: &[Vec<u8>], (which, edits): &(usize, Vec<Edit>)) -> Vec<u8> {
    let mut bytes = good[*which].clone();
    edits.iter().for_each(|edit| edit.apply(&mut bytes));
    bytes
}
