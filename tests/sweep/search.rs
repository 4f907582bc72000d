//! Searches.

use super::common::memtorch_in;
use super::{experiment, read, says};

#[test]
fn a_search_finds_what_trying_all_finds_and_says_what_it_spent() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // Nothing is random here, so that all blocks have one hardware and their mean is that of a run.
    std::fs::write(folder.join("e.toml"), experiment("[device]\nmodel = \"vteam\"\n[tune]\nsamples = 0\n"))
        .unwrap();
    let values = "{ from = 2, to = 9, step = 1 }";
    let search = |more: &[&str]| {
        let base = ["search", "e.toml", "--key", "adc.bits", "--json"];
        let values: &[&str] = if more.contains(&"--values") { &[] } else { &["--values", values] };
        let limit: &[&str] = if more.contains(&"--limit") { &[] } else { &["--limit", "1000"] };
        memtorch_in(folder, &[&base[..], values, limit, more].concat())
    };
    let ran = search(&["--drop", "0.02", "--out", "found.json"]).done();
    let found: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let loss = |bits: u64| {
        let set = format!("adc.bits={bits}");
        let run = ["run", "e.toml", "--limit", "1000", "--json", "--set", &set];
        let ran = memtorch_in(folder, &run).done();
        let results: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let right = |path: &str| results[path]["correct"].as_f64().unwrap();
        (right("digital") - right("memristive")) / 1000.0
    };
    let tried = found["tried"].as_array().unwrap();
    assert!((3..=4).contains(&tried.len()), "{found}");
    for entry in tried {
        let bits = entry["value"].as_u64().unwrap();
        let number = |key: &str| entry[key].as_f64().unwrap();
        if entry["blocks"] == 20 {
            assert!((number("loss") - loss(bits)).abs() < 1e-12, "{entry}");
        }
        let (low, high) = (number("confidence_low"), number("confidence_high"));
        let verdict = if high <= 0.02 {
            "within"
        } else if low > 0.02 {
            "beyond"
        } else {
            "undecided"
        };
        assert_eq!(entry["verdict"], verdict);
    }
    // Trying all agrees: what was found loses less than the bound, and so does each value after it.
    let bits = found["value"].as_u64().unwrap();
    assert!((bits..=9).all(|bits| loss(bits) <= 0.02), "{found}");
    assert!(loss(2) > 0.02, "the search had nothing to find");
    let spent: u64 = tried.iter().map(|entry| entry["samples"].as_u64().unwrap()).sum();
    assert_eq!(found["spent"]["samples"], spent);
    assert!(spent < 8 * 1000, "{spent}");
    // The same with one thread, but for the time; none where there is none.
    search(&["--drop", "0.02", "--out", "one.json", "--threads", "1"]).done();
    assert_eq!(read(folder, "found.json"), read(folder, "one.json"));
    says(&search(&["--drop", "0.02", "--values", "[2, 3]"]), &["--values", "safer"]);
    says(&search(&["--drop", "2"]), &["--drop", "between 0 and 1"]);
    says(&search(&["--drop", "0.1", "--limit", "4"]), &["--blocks", "at most 4"]);
}
