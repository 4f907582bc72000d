use super::*;

fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("memtorch-npz-{}-{name}", std::process::id()))
}

fn example(path: &Path) -> NpyArray {
    let array = NpyArray::from_f64(&[2, 2], vec![1.0, -2.0, 1e-300, f64::MAX]);
    NpzWriter::write(path, |npz| {
        npz.array("layer/gains", &array)?;
        npz.bytes("header.json", b"{}")?;
        npz.array("empty", &NpyArray::from_f32(&[0], Vec::new()))
    })
    .unwrap();
    array
}

#[test]
fn what_is_written_is_read_again_and_equal_archives_have_equal_bytes() {
    let (path, again) = (file("a.npz"), file("b.npz"));
    let array = example(&path);
    let mut npz = Npz::open(&path).unwrap();
    assert_eq!(npz.names().collect::<Vec<_>>(), ["layer/gains", "header.json", "empty"]);
    assert_eq!(npz.array("layer/gains").unwrap(), array);
    assert_eq!(npz.bytes("header.json").unwrap(), b"{}");
    assert_eq!(npz.array("empty").unwrap().shape, [0]);
    let error = npz.array("other").unwrap_err().to_string();
    assert!(error.contains("other") && error.contains("layer/gains"), "{error}");
    example(&again);
    assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&again).unwrap());
    std::fs::remove_file(path).unwrap();
    std::fs::remove_file(again).unwrap();
}

#[test]
fn a_name_is_there_once() {
    let path = file("twice.npz");
    let error = NpzWriter::write(&path, |npz| {
        npz.bytes("a", b"1")?;
        npz.bytes("a", b"2")
    });
    assert!(error.unwrap_err().to_string().contains("two members"));
    assert!(!path.exists());
}

#[test]
fn truncated_and_changed_files_are_errors_and_no_panics() {
    let path = file("bad.npz");
    example(&path);
    let good = std::fs::read(&path).unwrap();
    let all = |path: &Path| -> Result<Vec<NpyArray>, NpyError> {
        let mut npz = Npz::open(path)?;
        let names: Vec<String> = npz.names().map(str::to_owned).collect();
        names.iter().filter(|name| !name.ends_with(".json")).map(|name| npz.array(name)).collect()
    };
    for end in 0..good.len() {
        std::fs::write(&path, &good[..end]).unwrap();
        assert!(all(&path).is_err(), "{end}");
    }
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        std::fs::write(&path, &bad).unwrap();
        let _ = all(&path);
    }
    // A number of the first array is changed: only the checksum tells.
    let at = good.windows(8).position(|w| w == 1e-300f64.to_le_bytes()).unwrap();
    let mut bad = good.clone();
    bad[at] ^= 1;
    std::fs::write(&path, &bad).unwrap();
    assert!(all(&path).unwrap_err().to_string().contains("checksum"));
    std::fs::remove_file(path).unwrap();
}
