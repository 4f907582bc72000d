//! The crates of the workspace depend on each other as the design says, and in no other way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What each crate stands on directly or through others.
const BELOW: [(&str, &[&str]); 7] = [
    ("memtorch-utils", &[]),
    ("memtorch-devices", &["memtorch-utils"]),
    ("memtorch-crossbar", &["memtorch-devices", "memtorch-utils"]),
    ("memtorch-map", &["memtorch-crossbar", "memtorch-devices", "memtorch-utils"]),
    ("memtorch-nonideal", &["memtorch-crossbar", "memtorch-devices", "memtorch-utils"]),
    ("memtorch-cuda", &["memtorch-crossbar", "memtorch-devices", "memtorch-utils"]),
    ("memtorch-nn", &["memtorch-map", "memtorch-crossbar", "memtorch-devices", "memtorch-utils"]),
];

#[test]
fn crates_depend_downwards_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let below: BTreeMap<_, BTreeSet<_>> =
        BELOW.iter().map(|(name, list)| (*name, list.iter().copied().collect())).collect();
    for (name, allowed) in below {
        let path = root.join(name).join("Cargo.toml");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let manifest: toml::Table = text.parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = manifest.get(section).and_then(toml::Value::as_table) else { continue };
            for dependency in dependencies.keys().filter(|d| d.starts_with("memtorch")) {
                assert!(
                    allowed.contains(dependency.as_str()),
                    "{name} may not depend on {dependency} ({section})"
                );
            }
        }
    }
}

/// The libraries of linear algebra and of the GPU stay inside: who depends on a crate never names them.
#[test]
fn numerics_libraries_are_not_in_public_signatures() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for (name, _) in BELOW {
        collect(&root.join(name).join("src"), &mut files);
    }
    assert!(files.len() > 20, "the sources were not found");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            let public = line.trim_start().starts_with("pub ") && !line.contains("pub(");
            let named = ["sprs::", "rsparse::", "cust::"].iter().any(|name| line.contains(name));
            assert!(!(public && named), "{}:{}: {line}", file.display(), number + 1);
        }
    }
}

fn collect(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}
