use std::io::Write;
use std::path::PathBuf;

use super::*;

/// A folder of files that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("memtorch-data-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.0.join(name), bytes).unwrap();
    }

    fn open(&self, entries: &[(&str, &str)]) -> Result<DataSet, DataError> {
        let table = Table::from_iter(entries.iter().map(|(k, v)| (*k, Value::Text((*v).to_owned()))));
        DataSet::open(&table, &self.0)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn idx(shape: &[u32], body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, shape.len() as u8];
    shape.iter().for_each(|d| bytes.extend(d.to_be_bytes()));
    bytes.extend(body);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

const IDX: [(&str, &str); 3] = [("kind", "idx"), ("images", "x"), ("labels", "y")];

#[test]
fn the_test_images_of_the_repository_are_read() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data");
    let table = Table::from_iter([
        ("images", Value::Text("fashion-mnist-t2k-images-idx3-ubyte.gz".to_owned())),
        ("labels", Value::Text("fashion-mnist-t2k-labels-idx1-ubyte.gz".to_owned())),
    ]);
    let set = DataSet::open(&table, &data).unwrap();
    assert_eq!((set.len(), set.sample_shape()), (2000, [1, 28, 28].as_slice()));
    assert_eq!(set.labels()[..8], [9, 2, 1, 1, 6, 1, 4, 6]);
    let mut images = vec![0.0; 2 * 784];
    set.read(0..2, &mut images).unwrap();
    assert!(images.iter().all(|x| (0.0..=1.0).contains(x)));
    // The ankle boot has pixels of 255 / 255.
    assert!(images[..784].contains(&1.0));
    set.check_labels(10, 2000).unwrap();
    assert!(set.check_labels(9, 1).unwrap_err().to_string().contains("label 0 is 9"));
}

#[test]
fn values_are_scaled_and_normalised_by_channel() {
    let folder = Folder::new("normalise");
    folder.put("x", &gzip(&idx(&[2, 2, 1, 2], &[0, 255, 51, 102, 204, 153, 0, 255])));
    folder.put("y", &idx(&[2], &[1, 0]));
    let mut table = Table::from_iter(IDX.map(|(k, v)| (k, Value::Text(v.to_owned()))));
    let reals = |list: &[f64]| Value::List(list.iter().map(|x| Value::Real(*x)).collect());
    table.insert("mean", reals(&[0.5, 0.0]));
    table.insert("std", reals(&[0.5]));
    let set = DataSet::open(&table, &folder.0).unwrap();
    let mut samples = vec![0.0; 8];
    set.read(0..2, &mut samples).unwrap();
    for (x, expected) in samples.iter().zip([-1.0, 1.0, 0.4, 0.8, 0.6, 0.2, 0.0, 2.0]) {
        assert!((x - expected).abs() < 1e-6, "{x} {expected}");
    }
    let mut second = vec![0.0; 4];
    set.read(1..2, &mut second).unwrap();
    assert_eq!(second, samples[4..]);
    table.insert("mean", reals(&[0.5, 0.5, 0.5]));
    let error = DataSet::open(&table, &folder.0).unwrap_err().to_string();
    assert!(error.contains("mean") && error.contains("2 channels"), "{error}");
    table.insert("mean", reals(&[0.5]));
    table.insert("std", reals(&[0.0]));
    assert!(DataSet::open(&table, &folder.0).is_err());
}

#[test]
fn files_that_do_not_fit_each_other_are_named() {
    let folder = Folder::new("misfit");
    folder.put("x", &idx(&[2, 1, 2], &[0; 4]));
    folder.put("y", &idx(&[3], &[0; 3]));
    let error = folder.open(&IDX).unwrap_err().to_string();
    assert!(error.contains("3 labels: expected 2"), "{error}");
    let swapped = [("kind", "idx"), ("images", "y"), ("labels", "x")];
    let error = folder.open(&swapped).unwrap_err().to_string();
    assert!(error.contains("is it the file of labels?"), "{error}");
    folder.put("y", &idx(&[0], &[]));
    folder.put("x", &idx(&[0, 1, 2], &[]));
    assert!(folder.open(&IDX).unwrap_err().to_string().contains("no samples"));
    let error = folder.open(&[("kind", "idx"), ("images", "gone"), ("labels", "y")]).unwrap_err().to_string();
    assert!(error.contains("gone"), "{error}");
    let error = folder.open(&[("kind", "idx"), ("images", "x")]).unwrap_err().to_string();
    assert!(error.contains("labels"), "{error}");
}

#[test]
fn truncated_and_damaged_files_are_errors() {
    let folder = Folder::new("damaged");
    let good = idx(&[2, 1, 2], &[1, 2, 3, 4]);
    folder.put("y", &idx(&[2], &[0; 2]));
    for end in 0..good.len() {
        folder.put("x", &good[..end]);
        assert!(folder.open(&IDX).is_err(), "{end}");
    }
    folder.put("x", &[&good[..], &[0]].concat());
    assert!(folder.open(&IDX).unwrap_err().to_string().contains("more bytes of data"));
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        folder.put("x", &bad);
        let _ = folder.open(&IDX);
    }
    let packed = gzip(&good);
    for end in 2..packed.len() {
        folder.put("x", &packed[..end]);
        assert!(folder.open(&IDX).is_err(), "{end}");
    }
    // A shape of 2^96 elements.
    folder.put("x", &idx(&[u32::MAX; 3], &[0; 4]));
    assert!(folder.open(&IDX).unwrap_err().to_string().contains("more than any file has"));
}

#[test]
fn cifar10_records_are_read_from_a_file_or_a_folder() {
    let folder = Folder::new("cifar");
    let mut record = vec![7u8; 3073];
    record[0] = 3;
    folder.put("data_batch_2.bin", &record);
    record[0] = 9;
    folder.put("data_batch_1.bin", &[record.clone(), record.clone()].concat());
    let set = folder.open(&[("kind", "cifar10"), ("images", ".")]).unwrap();
    assert_eq!((set.labels(), set.sample_shape()), ([9, 9, 3].as_slice(), [3, 32, 32].as_slice()));
    record[0] = 10;
    folder.put("one.bin", &record);
    let error = folder.open(&[("kind", "cifar10"), ("images", "one.bin")]).unwrap_err().to_string();
    assert!(error.contains("label 0 is 10"), "{error}");
    // The archive as it is distributed: the test batch is taken.
    let mut archive = tar::Builder::new(Vec::new());
    for (name, label) in
        [("cifar/data_batch_1.bin", 1), ("cifar/test_batch.bin", 5), ("cifar/readme.html", 0)]
    {
        record[0] = label;
        let mut header = tar::Header::new_ustar();
        header.set_size(3073);
        archive.append_data(&mut header, name, record.as_slice()).unwrap();
    }
    folder.put("cifar.tar.gz", &gzip(&archive.into_inner().unwrap()));
    let set = folder.open(&[("kind", "cifar10"), ("images", "cifar.tar.gz")]).unwrap();
    assert_eq!(set.labels(), [5]);
    folder.put("short.bin", &record[..3000]);
    assert!(folder.open(&[("kind", "cifar10"), ("images", "short.bin")]).is_err());
}

/// A record is a label, then 1024 bytes of red, of green, of blue, line by line (the data set's own page).
#[test]
fn cifar10_planes_are_normalised_by_channel_across_files() {
    let folder = Folder::new("planes");
    let byte = |record: usize, c: usize, y: usize, x: usize| (record * 5 + c * 70 + y * 2 + x) as u8;
    let record = |record: usize| -> Vec<u8> {
        let pixels = (0..3072).map(|i| byte(record, i / 1024, i / 32 % 32, i % 32));
        [record as u8].into_iter().chain(pixels).collect()
    };
    folder.put("data_batch_1.bin", &[record(0), record(1)].concat());
    folder.put("data_batch_2.bin", &record(2));
    let reals = |list: [f64; 3]| Value::List(list.map(Value::Real).to_vec());
    let (mean, std) = ([0.4914, 0.4822, 0.4465], [0.247, 0.2435, 0.2616]);
    let table = Table::from_iter([
        ("kind", Value::Text("cifar10".to_owned())),
        ("images", Value::Text(".".to_owned())),
        ("mean", reals(mean)),
        ("std", reals(std)),
    ]);
    let set = DataSet::open(&table, &folder.0).unwrap();
    assert_eq!((set.labels(), set.sample_shape()), ([0, 1, 2].as_slice(), [3, 32, 32].as_slice()));
    let mut values = vec![0.0; 2 * 3072];
    set.read(1..3, &mut values).unwrap();
    for (i, value) in values.iter().enumerate() {
        let (sample, c, y, x) = (1 + i / 3072, i / 1024 % 3, i / 32 % 32, i % 32);
        let expected = ((f64::from(byte(sample, c, y, x)) / 255.0 - mean[c]) / std[c]) as f32;
        assert!((value - expected).abs() <= 1e-6, "{i}: {value} {expected}");
    }
}

#[test]
fn csv_lines_begin_with_targets_where_some_are_wanted() {
    let folder = Folder::new("targets");
    let open = |text: &str, targets: i64| {
        folder.put("a.csv", text.as_bytes());
        let table = Table::from_iter([
            ("kind", Value::Text("csv".to_owned())),
            ("images", Value::Text("a.csv".to_owned())),
            ("targets", Value::Integer(targets)),
        ]);
        DataSet::open(&table, &folder.0)
    };
    let set = open("u,v,a,b,c\n-1.5,2,10,20,30\n0,1e-3,40,50,60\n", 2).unwrap();
    assert_eq!(*set.targets(), Targets::Reals { values: vec![-1.5, 2.0, 0.0, 1e-3], each: 2 });
    let mut values = vec![0.0; 6];
    set.read(0..2, &mut values).unwrap();
    // As they are: they are no pixels.
    assert_eq!(values, [10.0, 20.0, 30.0, 40.0, 50.0, 60.0]);
    same_in_any_order(&set);
    for (text, targets, word) in [
        ("1,2\n1,x\n", 1, "line 2, column 2"),
        ("1,2,3\n1,x,3\n", 2, "line 2: the label is \"1,x\": expected 2 finite numbers"),
        ("1,2,3\n1\n", 2, "line 2"),
        ("1,2\n", 2, "0 values"),
        ("1,2\ninf,2\n", 1, "a finite number"),
    ] {
        let error = open(text, targets).unwrap_err().to_string();
        assert!(error.contains(word), "{text:?}: {error}");
    }
    let error = folder.open(&[("kind", "csv"), ("images", "a.csv")]).unwrap_err().to_string();
    assert!(error.contains("line 2: the label is \"inf\""), "{error}");
    folder.put("a.csv", b"1.5,2\n");
    let error = folder.open(&[("kind", "csv"), ("images", "a.csv")]).unwrap_err().to_string();
    assert!(error.contains("`targets` = 1"), "{error}");
}

#[test]
fn csv_lines_are_read_and_wrong_ones_named() {
    let folder = Folder::new("csv");
    let open = |text: &str| {
        folder.put("a.csv", text.as_bytes());
        folder.open(&[("kind", "csv"), ("images", "a.csv")])
    };
    let set = open("label,a,b\n1,255,0\n0, 51 ,102\n").unwrap();
    let mut values = vec![0.0; 4];
    set.read(0..2, &mut values).unwrap();
    assert_eq!(set.labels(), [1, 0]);
    for (x, expected) in values.iter().zip([1.0, 0.0, 0.2, 0.4]) {
        assert!((x - expected).abs() < 1e-6);
    }
    for (text, word) in [
        ("1,2\n-1,3\n", "line 2"),
        ("1,2\n0,x\n", "line 2, column 2"),
        ("1,2\n0,nan\n", "line 2, column 2"),
        ("1,2\n0,1,2\n", "line 2"),
        ("1\n", "line 1"),
        // Only words are column names, and a long line is not repeated.
        ("1.5,2\n1,3\n", "line 1: the label is \"1.5\""),
        (&format!("{}\n", "5;".repeat(500)), "5;\": expected"),
        ("", "no samples"),
    ] {
        let error = open(text).unwrap_err().to_string();
        assert!(error.contains(word), "{text:?}: {error}");
    }
}

#[test]
fn numpy_arrays_keep_their_reals() {
    use crate::npy::{NpyArray, NpyData};
    let folder = Folder::new("npy");
    let put = |name: &str, shape: &[usize], data: NpyData| {
        NpyArray { shape: shape.to_vec(), data }.write(folder.0.join(name)).unwrap();
    };
    put("x", &[2, 3], NpyData::F64(vec![0.5, 1.0, -2.0, 0.0, 3.0, 4.0]));
    put("y", &[2], NpyData::I64(vec![1, 0]));
    let entries = [("kind", "npy"), ("images", "x"), ("labels", "y")];
    let set = folder.open(&entries).unwrap();
    let mut values = vec![0.0; 3];
    set.read(0..1, &mut values).unwrap();
    assert_eq!(values, [0.5, 1.0, -2.0]);
    put("y", &[2], NpyData::I64(vec![1, -1]));
    assert!(folder.open(&entries).unwrap_err().to_string().contains("label 1 is -1"));
    // Real numbers are targets of a regression.
    put("y", &[2, 2], NpyData::F32(vec![1.0, 0.0, -0.5, 3.0]));
    let set = folder.open(&entries).unwrap();
    assert_eq!(*set.targets(), Targets::Reals { values: vec![1.0, 0.0, -0.5, 3.0], each: 2 });
    assert_eq!((set.len(), set.labels().len()), (2, 0));
    put("y", &[2], NpyData::F32(vec![1.0, f32::INFINITY]));
    assert!(folder.open(&entries).unwrap_err().to_string().contains("[1] is inf"));
    put("y", &[2], NpyData::U8(vec![1, 0]));
    put("x", &[2, 3], NpyData::F32(vec![0.5, f32::NAN, -2.0, 0.0, 3.0, 4.0]));
    assert!(folder.open(&entries).unwrap_err().to_string().contains("[0, 1] is NaN"));
    put("x", &[2, 3], NpyData::F64(vec![0.5, 1.0, -2.0, 0.0, -1e300, 4.0]));
    let error = folder.open(&entries).unwrap_err().to_string();
    assert!(error.contains("[1, 1] is -1e300") && error.contains("up to 3.4"), "{error}");
    let mut long = std::fs::read(folder.0.join("x")).unwrap();
    long.push(0);
    folder.put("x", &long);
    assert!(folder.open(&entries).unwrap_err().to_string().contains("more bytes of data: expected 48"));
    let table = |scale| {
        let mut table = Table::from_iter(IDX.map(|(k, v)| (k, Value::Text(v.to_owned()))));
        table.insert("scale", Value::Real(scale));
        table
    };
    folder.put("x", &idx(&[1, 1, 2], &[1, 2]));
    folder.put("y", &idx(&[1], &[0]));
    for scale in [0.0, f64::NAN, f64::INFINITY] {
        let error = DataSet::open(&table(scale), &folder.0).unwrap_err().to_string();
        assert!(error.contains("`scale`") && error.contains("other than 0"), "{error}");
    }
    DataSet::open(&table(-1.0), &folder.0).unwrap();
}

/// Samples in any order, in parts of any size, are those that are read at once.
#[track_caller]
fn same_in_any_order(set: &DataSet) {
    let (n, length) = (set.len(), set.sample_len());
    let mut all = vec![0.0; n * length];
    set.read(0..n, &mut all).unwrap();
    let again = set.clone();
    for range in [n - 1..n, 0..1, n / 2..n, 0..n / 2, 1..n, 0..0, n / 3..n / 2] {
        let mut part = vec![0.0; range.len() * length];
        let set = if range.start % 2 == 0 { set } else { &again };
        set.read(range.clone(), &mut part).unwrap();
        assert_eq!(part, all[range.start * length..range.end * length], "{range:?}");
    }
}

#[test]
fn archives_of_arrays_are_read_compressed_or_not() {
    // Written by numpy 2.4.6, savez and savez_compressed: x is 7 x 2 x 3 of f8, y is 7 of i8.
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/npz");
    let mut first = None;
    for (file, more) in [
        ("plain.npz", &[][..]),
        ("compressed.npz", &[]),
        ("compressed.npz", &[("images_name", "x"), ("labels_name", "y")]),
        ("fortran.npz", &[]),
        ("big_endian.npz", &[]),
    ] {
        let mut entries = vec![("kind", "npz"), ("images", file)];
        entries.extend(more);
        let table = Table::from_iter(entries.iter().map(|(k, v)| (*k, Value::Text((*v).to_owned()))));
        let set = DataSet::open(&table, &here).unwrap();
        assert_eq!((set.labels(), set.sample_shape()), ([6, 5, 4, 3, 2, 1, 0].as_slice(), [2, 3].as_slice()));
        let mut values = vec![0.0; 42];
        set.read(0..7, &mut values).unwrap();
        assert_eq!(values[5], 5.0 / 8.0, "{file}");
        assert_eq!(*first.get_or_insert(values.clone()), values, "{file}");
        same_in_any_order(&set);
    }
    let folder = Folder::new("npz");
    let bytes = std::fs::read(here.join("compressed.npz")).unwrap();
    let entries = [("kind", "npz"), ("images", "a.npz")];
    for end in 0..bytes.len() {
        folder.put("a.npz", &bytes[..end]);
        assert!(folder.open(&entries).is_err(), "{end}");
    }
    folder.put("a.npz", &bytes);
    let named = [("kind", "npz"), ("images", "a.npz"), ("images_name", "z")];
    let error = folder.open(&named).unwrap_err().to_string();
    assert!(error.contains("arrays x, y") && error.contains("images_name"), "{error}");
}

#[test]
fn formats_are_read_in_any_order() {
    let folder = Folder::new("order");
    let body: Vec<u8> = (0..7 * 6).map(|i| (i * 37 % 251) as u8).collect();
    folder.put("y", &idx(&[7], &[0; 7]));
    for packed in [false, true] {
        let bytes = idx(&[7, 2, 3], &body);
        folder.put("x", &if packed { gzip(&bytes) } else { bytes });
        same_in_any_order(&folder.open(&IDX).unwrap());
    }
    let lines: String = (0..9).map(|i| format!("{i},{},{}\n", i * i, i + 100)).collect();
    folder.put("a.csv", format!("label,a,b\n{lines}").as_bytes());
    same_in_any_order(&folder.open(&[("kind", "csv"), ("images", "a.csv")]).unwrap());
    let record = |label: u8| [vec![label], (0..3072).map(|i| (i % 256) as u8 ^ label).collect()].concat();
    folder.put("data_batch_1.bin", &[record(1), record(2), record(3)].concat());
    folder.put("data_batch_2.bin", &gzip(&[record(4), record(5)].concat()));
    let set = folder.open(&[("kind", "cifar10"), ("images", ".")]).unwrap();
    assert_eq!(set.labels(), [1, 2, 3, 4, 5]);
    same_in_any_order(&set);
}

#[cfg(feature = "pictures")]
#[test]
fn folders_of_pictures_are_read_by_class() {
    // Written by Pillow: 4 x 3 pixels, red, green and blue planes 10 y + x, 100 + 10 y + x, 200 + 10 y + x.
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pictures");
    let open = |folder: &Path| {
        let table = Table::from_iter([
            ("kind", Value::Text("folder".to_owned())),
            ("images", Value::Text(folder.display().to_string())),
            ("scale", Value::Real(1.0)),
        ]);
        DataSet::open(&table, Path::new(""))
    };
    let set = open(&here).unwrap();
    // cat: grey.png, palette.png; dog: opaque.png, photo.jpg, rgb.png
    assert_eq!((set.labels(), set.sample_shape()), ([0, 0, 1, 1, 1].as_slice(), [3, 3, 4].as_slice()));
    let mut values = vec![0.0; 5 * 36];
    set.read(0..5, &mut values).unwrap();
    let expected = |c: usize, y: usize, x: usize| (100 * c + 10 * y + x) as f32;
    for (i, value) in values.iter().enumerate() {
        let (sample, c, y, x) = (i / 36, i / 12 % 3, i / 4 % 3, i % 4);
        let (c, error) = match sample {
            0 => (0, 0.0),
            // JPEG loses something, and its decoders differ by a little.
            3 => (c, 4.0),
            _ => (c, 0.0),
        };
        assert!((value - expected(c, y, x)).abs() <= error, "{sample} {c} {y} {x}: {value}");
    }
    same_in_any_order(&set);

    let folder = Folder::new("pictures");
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    let fails = |words: &[&str]| {
        let error = match open(&folder.0) {
            Ok(set) => {
                let mut values = vec![0.0; set.len() * set.sample_len()];
                set.read(0..set.len(), &mut values).unwrap_err().to_string()
            }
            Err(error) => error.to_string(),
        };
        assert!(words.iter().all(|word| error.contains(word)), "{words:?}: {error}");
    };
    fails(&["no sub-folders"]);
    let picture = |name: &str| std::fs::read(here.join(name)).unwrap();
    put("a/1.png", &picture("dog/rgb.png"));
    put("a/.hidden", b"");
    assert_eq!(open(&folder.0).unwrap().len(), 1);
    put("a/2.jpg", &picture("dog/photo.jpg")[..300]);
    fails(&["2.jpg"]);
    put("a/2.jpg", &picture("dog/photo.jpg"));
    let good = picture("dog/rgb.png");
    put("a/1.png", &good[..good.len() - 20]);
    fails(&["1.png"]);
    put("a/1.png", &good);
    put("a/3.png", &picture("../pictures-wrong/wide.png"));
    fails(&["3.png", "5 x 3 pixels: expected 4 x 3"]);
    put("a/3.png", &picture("../pictures-wrong/transparent.png"));
    fails(&["3.png", "transparent"]);
    put("a/3.png", &picture("../pictures-wrong/deep.png"));
    fails(&["3.png", "16 bits"]);
    put("a/3.png", b"no picture");
    fails(&["3.png", "not a PNG picture"]);
    std::fs::remove_file(folder.0.join("a/3.png")).unwrap();
    put("a/notes.txt", b"");
    fails(&["notes.txt", ".png"]);
    std::fs::remove_file(folder.0.join("a/notes.txt")).unwrap();
    std::fs::create_dir(folder.0.join("b")).unwrap();
    fails(&["no pictures"]);
}
