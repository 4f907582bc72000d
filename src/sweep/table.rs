use std::collections::BTreeMap;

use super::{Row, Statistics, Sweep, shown};
use crate::report::quoted;

type Rows = BTreeMap<(usize, usize), Row>;

/// `results.csv`: one line for each point and repeat, in their order. Equal sweeps give equal bytes.
pub fn results_csv(sweep: &Sweep, rows: &Rows) -> String {
    let mut text = head("point,repeat", sweep, "samples,digital_accuracy,memristive_accuracy");
    for ((point, repeat), row) in rows {
        let r = &row.results;
        text.push_str(&format!(
            "{point},{repeat},{}{},{:?},{:?}\n",
            cells(sweep, *point),
            r.samples,
            r.digital.accuracy,
            r.memristive.accuracy
        ));
    }
    text
}

/// What the repeats of a point say.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The point.
    pub point: usize,
    /// Samples looked at.
    pub samples: usize,
    /// Digital accuracy.
    pub digital: f64,
    /// Memristive accuracy over the repeats.
    pub memristive: Statistics,
}

/// The points that were computed, in their order.
pub fn summaries(rows: &Rows) -> Vec<Summary> {
    let mut points: BTreeMap<usize, Vec<&Row>> = BTreeMap::new();
    for ((point, _), row) in rows {
        points.entry(*point).or_default().push(row);
    }
    points
        .into_iter()
        .map(|(point, rows)| {
            let values: Vec<f64> = rows.iter().map(|row| row.results.memristive.accuracy).collect();
            let first = &rows[0].results;
            let (samples, digital) = (first.samples, first.digital.accuracy);
            Summary { point, samples, digital, memristive: Statistics::of(&values) }
        })
        .collect()
}

/// `summary.csv`: one line for each point. What one repeat does not tell is empty.
pub fn summary_csv(sweep: &Sweep, summaries: &[Summary]) -> String {
    let last = "repeats,samples,digital_accuracy,mean,deviation,confidence_low,confidence_high,worst,best";
    let mut text = head("point", sweep, last);
    let real = |value: Option<f64>| value.map_or(String::new(), |x| format!("{x:?}"));
    for summary in summaries {
        let s = &summary.memristive;
        let numbers = [
            s.count.to_string(),
            summary.samples.to_string(),
            real(Some(summary.digital)),
            real(Some(s.mean)),
            real(s.deviation),
            real(s.low),
            real(s.high),
            real(Some(s.worst)),
            real(Some(s.best)),
        ];
        let point = summary.point;
        text.push_str(&format!("{point},{}{}\n", cells(sweep, point), numbers.join(",")));
    }
    text
}

fn head(first: &str, sweep: &Sweep, last: &str) -> String {
    let keys: String = sweep.keys().map(|key| format!("{},", quoted(key))).collect();
    format!("{first},{keys}{last}\n")
}

/// The values of a point, each with a comma after it.
fn cells(sweep: &Sweep, point: usize) -> String {
    sweep.values(point).iter().map(|value| format!("{},", quoted(&shown(value)))).collect()
}
