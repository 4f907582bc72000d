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
    set.read(0..2, &mut images);
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
    set.read(0..2, &mut samples);
    for (x, expected) in samples.iter().zip([-1.0, 1.0, 0.4, 0.8, 0.6, 0.2, 0.0, 2.0]) {
        assert!((x - expected).abs() < 1e-6, "{x} {expected}");
    }
    let mut second = vec![0.0; 4];
    set.read(1..2, &mut second);
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
        assert!(super::idx::parse(&good[..end]).is_err(), "{end}");
    }
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let _ = super::idx::parse(&bad);
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

#[test]
fn csv_lines_are_read_and_wrong_ones_named() {
    let folder = Folder::new("csv");
    let open = |text: &str| {
        folder.put("a.csv", text.as_bytes());
        folder.open(&[("kind", "csv"), ("images", "a.csv")])
    };
    let set = open("label,a,b\n1,255,0\n0, 51 ,102\n").unwrap();
    let mut values = vec![0.0; 4];
    set.read(0..2, &mut values);
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
    set.read(0..1, &mut values);
    assert_eq!(values, [0.5, 1.0, -2.0]);
    put("y", &[2], NpyData::I64(vec![1, -1]));
    assert!(folder.open(&entries).unwrap_err().to_string().contains("label 1 is -1"));
    put("y", &[2], NpyData::F32(vec![1.0, 0.0]));
    assert!(folder.open(&entries).unwrap_err().to_string().contains("whole numbers"));
    put("y", &[2], NpyData::U8(vec![1, 0]));
    put("x", &[2, 3], NpyData::F32(vec![0.5, f32::NAN, -2.0, 0.0, 3.0, 4.0]));
    assert!(folder.open(&entries).unwrap_err().to_string().contains("[0, 1] is NaN"));
}
