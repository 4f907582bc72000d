//! A measured record in a file.

use std::path::Path;

use memtorch_devices::fit::Measurement;
use memtorch_utils::files::FileError;

use crate::Error;

/// How far a step of time may be from the mean one: files have rounded times.
const UNEVEN: f64 = 0.01;

/// Reads columns `voltage` and `current`, and `time` where no time step is given; other columns are left alone.
pub(super) fn read(path: &Path, dt: Option<f64>) -> Result<Measurement, Error> {
    if let Some(dt) = dt.filter(|dt| !(*dt > 0.0 && dt.is_finite())) {
        return Err(Error::argument("--dt", dt, "a positive number of s"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| FileError::new(path, error))?;
    let name = path.display().to_string();
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut rows = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let mut rows = rows.by_ref().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let cells = |line: &str| -> Vec<String> {
        line.split(',').map(|cell| cell.trim().trim_matches('"').trim().to_owned()).collect()
    };
    let Some((_, head)) = rows.next() else {
        return Err(Error::argument(name, "no rows", "a row of names: time,voltage,current"));
    };
    let head = cells(head);
    let find = |column: &str| head.iter().position(|name| name.eq_ignore_ascii_case(column));
    let need = |column: &str| {
        find(column).ok_or_else(|| {
            let found = format!("columns {}", head.join(", "));
            let also = "time,voltage,current, or voltage,current with --dt";
            Error::argument(&*name, found, format!("one named `{column}`, as in {also}"))
        })
    };
    let (voltage, current) = (need("voltage")?, need("current")?);
    let time = match dt {
        None => Some(need("time")?),
        Some(_) if find("time").is_some() => {
            let expected = format!("no --dt, or no column `time` in {name}");
            return Err(Error::argument("--dt", dt.unwrap_or_default(), expected));
        }
        Some(_) => None,
    };
    let (mut times, mut voltages, mut currents) = (Vec::new(), Vec::new(), Vec::new());
    for (row, line) in rows {
        let cells = cells(line);
        let number = |at: usize| {
            let what = || format!("{name}:{row}: {}", head[at]);
            let Some(cell) = cells.get(at) else {
                let found = format!("a row of {} cells", cells.len());
                return Err(Error::argument(what(), found, format!("{} cells", head.len())));
            };
            match cell.parse::<f64>() {
                Ok(value) if value.is_finite() => Ok(value),
                _ => Err(Error::argument(what(), format!("{cell:?}"), "a finite number")),
            }
        };
        voltages.push(number(voltage)?);
        currents.push(number(current)?);
        if let Some(time) = time {
            times.push(number(time)?);
        }
    }
    let time_step = match dt {
        Some(dt) => dt,
        None => step(&name, &times)?,
    };
    Ok(Measurement { time_step, voltages, currents })
}

/// The time step of times that grow evenly.
fn step(name: &str, times: &[f64]) -> Result<f64, Error> {
    let (Some(first), Some(last), true) = (times.first(), times.last(), times.len() > 1) else {
        return Err(Error::argument(name, format!("{} samples", times.len()), "at least two"));
    };
    let step = (last - first) / (times.len() - 1) as f64;
    let uneven = times.windows(2).position(|pair| !((pair[1] - pair[0] - step).abs() <= UNEVEN * step));
    match uneven {
        None if step > 0.0 => Ok(step),
        at => {
            let at = at.unwrap_or(0);
            let what = format!("{name}: time step of sample {}", at + 1);
            let found = format!("{:e} s", times[at + 1] - times[at]);
            let expected = format!("times that grow evenly, {step:e} s on the average: resample the record");
            Err(Error::argument(what, found, expected))
        }
    }
}
