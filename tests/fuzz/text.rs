//! Changes of text, word by word.

use proptest::prelude::*;
use proptest::sample::select;

use crate::bytes::{Place, place};

/// Words at which readers go wrong, whatever the format.
pub const WORDS: &[&str] = &[
    "0",
    "-0",
    "1",
    "-1",
    "2",
    "7",
    "0.5",
    "-2.5",
    "1e-300",
    "1e300",
    "1e39",
    "1e400",
    "nan",
    "inf",
    "-inf",
    "NaN",
    "255",
    "256",
    "65536",
    "2147483648",
    "4294967296",
    "1000000000000",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "0x10",
    "1_000",
    "\"",
    "'",
    "\"\"\"",
    "=",
    ",",
    ",,,",
    ";",
    ":",
    ".",
    "#",
    "[",
    "]",
    "[[",
    "{",
    "}",
    "[]",
    "{}",
    "\n",
    "\r\n",
    "\r",
    "\t",
    " ",
    "",
    "\u{feff}",
    "\u{1b}[2J",
    "\0",
    "ä",
    "日本",
    "\u{202e}",
    "true",
    "false",
    "text",
    "\"text\"",
    "null",
    "../../x",
    "/dev/null",
    "x=y",
];

#[derive(Clone, Debug)]
pub enum TextEdit {
    /// Another word in place of one.
    Replace(Place, String),
    /// A word beside one.
    Insert(Place, String),
    Remove(Place, usize),
    /// Lines once more, elsewhere.
    Copy(Place, Place, usize),
    /// The end is missing.
    Cut(Place),
}

/// Changes with words of this format among others.
pub fn edit(words: &'static [&'static str]) -> impl Strategy<Value = TextEdit> {
    let word = prop_oneof![
        3 => select(WORDS).prop_map(str::to_owned),
        3 => select(words).prop_map(str::to_owned),
        1 => any::<i64>().prop_map(|n| n.to_string()),
        1 => any::<f64>().prop_map(|x| format!("{x:e}")),
        1 => prop::collection::vec(any::<char>(), 1..6).prop_map(|list| list.into_iter().collect()),
        1 => (select(WORDS), 1..300usize).prop_map(|(word, times)| word.repeat(times)),
    ];
    let word = word.boxed();
    prop_oneof![
        5 => (place(), word.clone()).prop_map(|(at, word)| TextEdit::Replace(at, word)),
        2 => (place(), word).prop_map(|(at, word)| TextEdit::Insert(at, word)),
        2 => (place(), 1..6usize).prop_map(|(at, count)| TextEdit::Remove(at, count)),
        1 => (place(), place(), 1..12usize).prop_map(|(from, to, count)| TextEdit::Copy(from, to, count)),
        1 => place().prop_map(TextEdit::Cut),
    ]
}

pub fn edits(words: &'static [&'static str]) -> impl Strategy<Value = Vec<TextEdit>> {
    prop_oneof![prop::collection::vec(edit(words), 1..2), prop::collection::vec(edit(words), 0..6),]
}

/// A text as words and what lies between them, all of it in order.
pub fn split(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut inside = false;
    for c in text.chars() {
        let word = c.is_alphanumeric() || "_-.+".contains(c);
        match parts.last_mut() {
            Some(last) if word && inside => last.push(c),
            _ => parts.push(c.to_string()),
        }
        inside = word;
    }
    parts
}

pub fn apply(edits: &[TextEdit], parts: &mut Vec<String>) {
    for edit in edits {
        let length = parts.len();
        if length == 0 {
            return;
        }
        match edit {
            TextEdit::Replace(at, word) => parts[at.of(length)].clone_from(word),
            TextEdit::Insert(at, word) => parts.insert(at.of(length), word.clone()),
            TextEdit::Remove(at, count) => {
                let at = at.of(length);
                parts.drain(at..length.min(at + count));
            }
            TextEdit::Copy(from, to, count) => {
                let from = from.of(length);
                let part = parts[from..length.min(from + count)].to_vec();
                let to = to.of(length);
                parts.splice(to..to, part);
            }
            TextEdit::Cut(at) => parts.truncate(at.of(length)),
        }
    }
}

/// One of some good texts, with changes.
pub fn changed(good: usize, words: &'static [&'static str]) -> impl Strategy<Value = (usize, Vec<TextEdit>)> {
    (0..good, edits(words))
}

/// Such a text; `good` are texts in parts.
pub fn render(good: &[Vec<String>], (which, edits): &(usize, Vec<TextEdit>)) -> String {
    let mut parts = good[*which].clone();
    apply(edits, &mut parts);
    parts.concat()
}
