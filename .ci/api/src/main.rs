//! Prints the public items of a crate, one a line, from the file of rustdoc's JSON that is named. Exits with 3 if the
//! file is of another version than `public_api` reads.

use std::error::Error;
use std::process::ExitCode;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: api FILE.json")?;
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path)?)?;
    let (found, read) = (&json["format_version"], rustdoc_types::FORMAT_VERSION);
    if found.as_u64() != Some(u64::from(read)) {
        eprintln!("rustdoc's JSON is of version {found} with this toolchain, not {read}");
        return Ok(ExitCode::from(3));
    }
    let api = public_api::Builder::from_rustdoc_json(path)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .build()?;
    for item in api.items() {
        println!("{item}");
    }
    Ok(ExitCode::SUCCESS)
}
