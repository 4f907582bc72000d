//! Reports as one file of HTML, which needs nothing else.

use std::path::{Path, PathBuf};

use memtorch_utils::files::{FileError, write_atomic};

use crate::Error;

/// A part of a report.
pub(crate) enum Part<'a> {
    /// A heading and sentences.
    Text(&'a str, String),
    /// A heading and a table as CSV, with a line of names.
    Table(&'a str, &'a str),
    /// A heading and a text as it is.
    Verbatim(&'a str, &'a str),
    /// A heading and SVG files.
    Figures(&'a str, &'a [PathBuf]),
}

const STYLE: &str = "\
body { font: 15px/1.45 sans-serif; color: #222; margin: 2em auto; max-width: 75em; padding: 0 1em }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em }
table { border-collapse: collapse; font-size: 13px; display: block; overflow-x: auto }
th, td { border-bottom: 1px solid #ddd; padding: .25em .7em; text-align: right; white-space: nowrap }
th { border-bottom: 2px solid #888 } td:first-child, th:first-child { text-align: left }
pre { background: #f5f5f5; padding: 1em; overflow-x: auto; font-size: 13px }
svg { max-width: 100%; height: auto; display: block; margin: 1em 0 }
";

/// Writes `report.html` into a folder.
///
/// # Errors
/// A figure that cannot be read; a folder that cannot be written to.
pub(crate) fn write(folder: &Path, title: &str, parts: &[Part<'_>]) -> Result<(), Error> {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{0}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{0}</h1>\n",
        escaped(title)
    );
    for part in parts {
        let (Part::Text(heading, _)
        | Part::Table(heading, _)
        | Part::Verbatim(heading, _)
        | Part::Figures(heading, _)) = part;
        if !heading.is_empty() {
            page.push_str(&format!("<h2>{}</h2>\n", escaped(heading)));
        }
        match part {
            Part::Text(_, text) => {
                for line in text.lines() {
                    page.push_str(&format!("<p>{}</p>\n", escaped(line)));
                }
            }
            Part::Table(_, csv) => page.push_str(&table(csv)),
            Part::Verbatim(_, text) => page.push_str(&format!("<pre>{}</pre>\n", escaped(text))),
            Part::Figures(_, files) => {
                for file in *files {
                    let svg = std::fs::read_to_string(file).map_err(|error| FileError::new(file, error))?;
                    // What may stand before the element is for files of their own.
                    page.push_str(svg.find("<svg").map_or("", |at| &svg[at..]));
                }
            }
        }
    }
    page.push_str("</body>\n</html>\n");
    Ok(write_atomic(folder.join("report.html"), |file| file.write_all(page.as_bytes()))?)
}

fn table(csv: &str) -> String {
    let mut html = String::from("<table>\n");
    for (index, record) in records(csv).iter().enumerate() {
        let cell = if index == 0 { "th" } else { "td" };
        let cells: String =
            record.iter().map(|text| format!("<{cell}>{}</{cell}>", escaped(&short(text)))).collect();
        html.push_str(&format!("<tr>{cells}</tr>\n"));
    }
    html.push_str("</table>\n");
    html
}

/// A number with at most six digits; anything else as it is.
fn short(text: &str) -> String {
    let long = text.len() > 9 && text.contains('.');
    match text.parse::<f64>() {
        Ok(x) if long && (1e-3..1e6).contains(&x.abs()) => {
            let text = format!("{x:.6}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        Ok(x) if long => format!("{x:.4e}"),
        _ => text.to_owned(),
    }
}

/// The cells of a CSV file (RFC 4180).
fn records(csv: &str) -> Vec<Vec<String>> {
    let mut records = vec![vec![String::new()]];
    let mut inside = false;
    let mut rest = csv.chars().peekable();
    while let Some(c) = rest.next() {
        let record = records.last_mut().expect("there is one from the beginning");
        let cell = record.last_mut().expect("a record has a cell");
        match c {
            '"' if inside && rest.peek() == Some(&'"') => {
                rest.next();
                cell.push('"');
            }
            '"' => inside = !inside,
            ',' if !inside => record.push(String::new()),
            '\n' if !inside => records.push(vec![String::new()]),
            c => cell.push(c),
        }
    }
    records.retain(|record| record.len() > 1 || !record[0].is_empty());
    records
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_keep_what_is_quoted_and_escape_what_html_would_take() {
        let html = table("a,\"b, \"\"c\"\"\"\n\"<x>\",0.123456789012\n");
        assert_eq!(
            html,
            "<table>\n<tr><th>a</th><th>b, &quot;c&quot;</th></tr>\n<tr><td>&lt;x&gt;</td><td>0.123457</td></tr>\n</table>\n"
        );
    }
}
