//! Figures, the report, and the table as Parquet.

#[cfg(feature = "parquet")]
use super::cells;
use super::common::memtorch_in;
use super::{read, says, small, sweep};

#[test]
fn figures_and_the_report_are_made_and_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    let tiles = "sweep.\"crossbar.tile\"=[[64, 64], [32, 16]]";
    sweep(folder, &["--out", "s", "--set", tiles]).done();
    let names = ["accuracy-nonideality.0.hrs", "accuracy-adc.bits", "heat-map", "repeats", "layers"];
    let files: Vec<String> =
        names.iter().flat_map(|n| [format!("s/{n}.svg"), format!("s/{n}.png")]).collect();
    let bytes = || files.iter().map(|file| std::fs::read(folder.join(file)).unwrap()).collect::<Vec<_>>();
    let (before, report) = (bytes(), read(folder, "s/report.html"));
    for file in &files {
        std::fs::remove_file(folder.join(file)).unwrap();
    }
    let printed = memtorch_in(folder, &["plot", "s"]).done().stdout;
    assert_eq!(printed.lines().count(), names.len() + 1, "{printed}");
    assert!(bytes() == before && read(folder, "s/report.html") == report, "not the same figures");
    let lines = read(folder, "s/accuracy-adc.bits.svg");
    for text in
        ["adc: bits", "accuracy (%)", "stuck: hrs", "crossbar: tile: 32 x 16", "digital", "20 samples"]
    {
        assert!(lines.contains(text), "no {text:?} in the figure");
    }
    // One file, which fetches nothing, with every figure and point in it.
    for outside in ["src=", "href=", "<script", "@import", "url("] {
        assert!(!report.contains(outside), "{outside}");
    }
    assert_eq!(report.matches("<svg").count(), names.len());
    assert_eq!(report.matches("<tr>").count(), 1 + 12);
    assert!(report.contains("[sweep]") && report.contains("12 points of 12, 2 repeats each"));
    // A key that is no number, and no repeats.
    let text = read(folder, "e.toml");
    let named = text[..text.find("[sweep]").unwrap()].to_owned()
        + "[sweep]\n\"adc.read\" = [\"difference\", \"each\"]\n";
    std::fs::write(folder.join("e.toml"), named).unwrap();
    sweep(folder, &["--out", "named"]).done();
    let lines = read(folder, "named/accuracy-adc.read.svg");
    assert!(lines.contains("adc: read") && lines.contains("difference") && lines.contains("each"));
    // A run has figures too, and another folder has none.
    memtorch_in(folder, &["run", "s/experiment.toml", "--limit", "5", "--out", "r"]).done();
    memtorch_in(folder, &["plot", "r"]).done();
    assert!(read(folder, "r/layers.svg").contains("fc1") && read(folder, "r/report.html").contains("<svg"));
    std::fs::create_dir(folder.join("empty")).unwrap();
    says(&memtorch_in(folder, &["plot", "empty"]), &["empty", "memtorch sweep"]);
}

/// What a reader of Parquet finds is what the CSV says, cell by cell, and the experiment.
#[cfg(feature = "parquet")]
#[test]
fn the_parquet_file_has_the_cells_of_the_csv() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    // A key that only some points have, and one whose values are text.
    let swept = "sweep.\"nonideality.0\"=[{ kind = \"stuck\", hrs = 0.1 }, { kind = \"states\", count = 4 }]";
    let file = read(folder, "e.toml").replace("\"nonideality.0.hrs\" = [0.0, 0.2]\n", "");
    std::fs::write(folder.join("e.toml"), file).unwrap();
    sweep(folder, &["--out", "s", "--set", swept]).done();
    let runs = read(folder, "s/runs.csv");
    let mut lines = runs.lines().map(cells);
    let names = lines.next().unwrap();
    let reader =
        SerializedFileReader::new(std::fs::File::open(folder.join("s/runs.parquet")).unwrap()).unwrap();
    let mut empty = 0;
    let mut rows = 0;
    for (line, row) in lines.zip(reader.get_row_iter(None).unwrap()) {
        let found: Vec<(String, String)> = row
            .unwrap()
            .get_column_iter()
            .map(|(name, field)| {
                let text = match field {
                    Field::Null => String::new(),
                    Field::Bool(x) => x.to_string(),
                    Field::Long(x) => x.to_string(),
                    Field::Double(x) => format!("{x:?}"),
                    Field::Str(text) => text.clone(),
                    other => panic!("{name}: {other:?}"),
                };
                (name.clone(), text)
            })
            .collect();
        let plain = |cell: &&str| cell.trim_matches('"').replace("\"\"", "\"");
        assert_eq!(found.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), names);
        assert_eq!(
            found.iter().map(|(_, text)| text.clone()).collect::<Vec<_>>(),
            line.iter().map(plain).collect::<Vec<_>>()
        );
        empty += found.iter().filter(|(_, text)| text.is_empty()).count();
        rows += 1;
    }
    assert_eq!((rows, empty > 0), (12, true));
    let about = reader.metadata().file_metadata().key_value_metadata().unwrap();
    let experiment = about.iter().find(|entry| entry.key == "memtorch.experiment").unwrap();
    assert_eq!(experiment.value.as_deref(), Some(read(folder, "s/experiment.toml").as_str()));
}
