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

/// Relative links of all pages lead to files that are there, and their anchors to headings.
#[test]
fn links_in_the_documentation_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![];
    for folder in [".", "docs", "benches", "docs/figure1"].map(str::to_owned).into_iter().chain(
        BELOW
            .iter()
            .flat_map(|(name, _)| [(*name).to_owned(), format!("{name}/docs"), format!("{name}/kernels")]),
    ) {
        let Ok(entries) = std::fs::read_dir(root.join(folder)) else { continue };
        pages.extend(
            entries
                .map(|entry| entry.expect("an entry").path())
                .filter(|p| p.extension() == Some("md".as_ref())),
        );
    }
    let mut broken = vec![];
    for page in &pages {
        let text = std::fs::read_to_string(page).expect("a page");
        let mut inside = false;
        for line in text.lines() {
            inside ^= line.starts_with("```");
            if inside {
                continue;
            }
            // `[text](target)`; rustdoc's links to items have colons, other machines' a scheme.
            for target in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                if target.contains(':') || target.is_empty() {
                    continue;
                }
                let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
                let path = if file.is_empty() { page.clone() } else { page.with_file_name(file) };
                let heading = |line: &str| {
                    let words = line.trim_start_matches('#').trim().to_lowercase();
                    let kept = words.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
                    kept.collect::<String>().replace(' ', "-") == anchor
                };
                let found = path.exists()
                    && (anchor.is_empty()
                        || std::fs::read_to_string(&path)
                            .is_ok_and(|text| text.lines().filter(|l| l.starts_with('#')).any(heading)));
                if !found {
                    broken.push(format!("{}: {target}", page.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
    assert!(pages.len() > 15, "pages were looked for in the wrong place: {pages:?}");
}
