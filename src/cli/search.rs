//! `memtorch search`

use std::io::Write;

use memtorch_utils::files::write_atomic;

use super::arguments::Search;
use super::{context, print};
use crate::experiment::Document;
use crate::search::{self, Found, Verdict};
use crate::sweep::{self, Sweep};
use crate::{Error, Registry};

pub(crate) fn execute(arguments: &Search, registry: &Registry) -> Result<(), Error> {
    let mut document = Document::read(&arguments.input)?;
    context::apply(&mut document, &arguments.compute)?;
    if Sweep::find(&document)?.is_some() {
        let _ = writeln!(std::io::stderr(), "note: the [sweep] of the experiment is not part of a search");
    }
    for (option, value) in [("--drop", arguments.drop), ("--confidence", arguments.confidence)] {
        if !(value > 0.0 && value < 1.0) {
            return Err(Error::argument(option, value, "a number between 0 and 1"));
        }
    }
    let search = search::Search {
        key: arguments.key.clone(),
        values: sweep::read_values("--values", &arguments.values)?,
        drop: arguments.drop,
        confidence: arguments.confidence,
        blocks: usize::from(arguments.blocks),
    };
    let backend = context::backend(&arguments.compute.backend, registry)?;
    let found = context::with_threads(arguments.compute.threads, || {
        let progress = context::Progress::new();
        search.run(&document, arguments.limit, registry, &backend, &|what| progress.say(what))
    })?;
    context::warn(&found.left_to_cpu);
    if let Some(path) = &arguments.out {
        let text = format!("{:#}\n", as_json(&search, &found, false));
        write_atomic(path, |file| file.write_all(text.as_bytes()))?;
    }
    if arguments.json {
        print(&format!("{:#}\n", as_json(&search, &found, true)))?;
    } else {
        print(&table(&search, &found))?;
    }
    if found.first.is_none() {
        let expected = format!("a safer value: the last was not shown to lose at most {}", arguments.drop);
        return Err(Error::argument("--values", &arguments.values, expected));
    }
    Ok(())
}

/// Equal searches give equal numbers, but for the time.
fn as_json(search: &search::Search, found: &Found, with_time: bool) -> serde_json::Value {
    let value = |index: usize| sweep::json_value(&search.values[index]);
    let tried = found.tried.iter().map(|tried| {
        serde_json::json!({
            "value": value(tried.index),
            "verdict": tried.verdict,
            "loss": tried.loss,
            "confidence_low": tried.loss - tried.half,
            "confidence_high": tried.loss + tried.half,
            "blocks": tried.blocks,
            "samples": tried.samples,
        })
    });
    let mut json = serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "key": search.key,
        "value": found.first.map(value),
        "drop": search.drop,
        "confidence": search.confidence,
        "digital_accuracy": found.digital,
        "tried": tried.collect::<Vec<_>>(),
        "spent": { "programmings": programmings(found), "samples": samples(found) },
        "all": { "programmings": search.values.len() * search.blocks, "samples": search.values.len() * found.samples },
    });
    if with_time {
        json["spent"]["seconds"] = found.seconds.into();
    }
    json
}

fn programmings(found: &Found) -> usize {
    found.tried.iter().map(|tried| tried.blocks).sum()
}

fn samples(found: &Found) -> usize {
    found.tried.iter().map(|tried| tried.samples).sum()
}

fn table(search: &search::Search, found: &Found) -> String {
    let head = [&search.key, "loss, points", "interval", "within", "blocks", "samples"].map(str::to_owned);
    let mut rows = vec![head.to_vec()];
    for tried in &found.tried {
        let points = |share: f64| 100.0 * share;
        let (low, high) = (points(tried.loss - tried.half), points(tried.loss + tried.half));
        let within = match tried.verdict {
            Verdict::Within => "yes",
            Verdict::Beyond => "no",
            Verdict::Undecided => "not decided",
        };
        rows.push(vec![
            sweep::shown(&search.values[tried.index]),
            format!("{:.2}", points(tried.loss)),
            format!("{low:.2} .. {high:.2}"),
            within.to_owned(),
            tried.blocks.to_string(),
            tried.samples.to_string(),
        ]);
    }
    let (drop, confidence) = (100.0 * search.drop, 100.0 * search.confidence);
    let found_text = match found.first {
        Some(first) => format!(
            "{} = {}: the first of {} values that is shown to lose at most {drop} points of {:.2} %\n\
             (all decisions together with {confidence} % confidence, if what follows a value that keeps the \
             accuracy keeps it too)\n",
            search.key,
            sweep::shown(&search.values[first]),
            search.values.len(),
            100.0 * found.digital
        ),
        None => String::new(),
    };
    let all = search.values.len() * found.samples;
    format!(
        "{}\n{found_text}spent: {} programmings, {} samples on crossbars ({:.0} % of the {all} that all values \
         take once), {}\n",
        crate::report::align(&rows),
        programmings(found),
        samples(found),
        100.0 * samples(found) as f64 / all as f64,
        context::duration(found.seconds)
    )
}
