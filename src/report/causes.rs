//! How much of a layer's error each cause makes.

use super::LayerReport;
use super::files::quoted;
use super::table::align;

/// The error of a layer's output, as a share of the digital output, with some of its causes.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Explanation {
    /// With all of them: the error of the layer.
    pub all: Option<f64>,
    /// With none of them: that of the mapping itself, and of rounding.
    pub none: Option<f64>,
    /// One by one, from the devices to the converters.
    pub each: Vec<CauseError>,
}

/// What one cause does.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct CauseError {
    /// The cause: a section of the experiment, or a non-ideality with its place in the list.
    pub cause: String,
    /// The error with this cause alone.
    pub alone: Option<f64>,
    /// The error with all causes but this one.
    pub without: Option<f64>,
}

/// `causes.csv`: one row for each cause of each layer, and one for all together.
pub fn causes_csv(layers: &[LayerReport]) -> String {
    let mut text = String::from("layer,cause,alone,without\n");
    let real = |value: Option<f64>| value.map_or(String::new(), |x| format!("{x:?}"));
    for (layer, found) in layers.iter().filter_map(|layer| Some((layer, layer.causes.as_ref()?))) {
        let each = found.each.iter().map(|one| (&*one.cause, one.alone, one.without));
        for (cause, alone, without) in each.chain([("all", found.all, found.none)]) {
            let (name, cause) = (quoted(&layer.name), quoted(cause));
            text.push_str(&format!("{name},{cause},{},{}\n", real(alone), real(without)));
        }
    }
    text
}

/// Two tables to read: the errors with each cause alone, and with all but it.
pub(super) fn tables(layers: &[LayerReport]) -> String {
    let explained = || layers.iter().filter_map(|layer| Some((layer, layer.causes.as_ref()?)));
    let mut causes: Vec<&str> = Vec::new();
    for one in explained().flat_map(|(_, found)| &found.each) {
        if !causes.contains(&&*one.cause) {
            causes.push(&one.cause);
        }
    }
    if causes.is_empty() {
        return String::new();
    }
    let mut text = String::new();
    type Choose = fn(&CauseError) -> Option<f64>;
    let both: [(&str, Choose); 2] =
        [("with each cause alone", |one| one.alone), ("with all causes but one", |one| one.without)];
    for (title, choose) in both {
        let head = ["layer"].into_iter().chain(causes.iter().copied()).chain(["all", "none"]);
        let mut rows: Vec<Vec<String>> = vec![head.map(str::to_owned).collect()];
        for (layer, found) in explained() {
            let of = |cause: &&str| found.each.iter().find(|one| one.cause == *cause).and_then(choose);
            let errors = causes.iter().map(of).chain([found.all, found.none]);
            let percent =
                |error: Option<f64>| error.map_or("-".to_owned(), |x| format!("{:.3} %", 100.0 * x));
            rows.push([layer.name.clone()].into_iter().chain(errors.map(percent)).collect());
        }
        text.push_str(&format!("\nError of each layer's output {title}:\n{}", align(&rows)));
    }
    text
}
