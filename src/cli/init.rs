//! `memtorch init`

use std::path::Path;

use memtorch_utils::files::{FileError, write_atomic};

use super::arguments::Init;
use super::{context, print};
use crate::experiment::template;
use crate::{Error, Registry};

pub(crate) fn execute(arguments: &Init, registry: &Registry) -> Result<(), Error> {
    if !registry.devices().iter().any(|entry| entry.name == arguments.device) {
        let names: Vec<&str> = registry.devices().iter().map(|entry| entry.name).collect();
        return Err(Error::argument("--device", &arguments.device, format!("one of {}", names.join(", "))));
    }
    if arguments.out.exists() && !arguments.force {
        let error = std::io::Error::new(
            std::io::ErrorKind::AlreadyExists,
            "the file is there already: expected another name, or --force",
        );
        return Err(FileError::new(&arguments.out, error).into());
    }
    // A file that cannot be imported needs no experiment.
    context::import(&arguments.model, false)?;
    let text = template(&relative(&arguments.model, &arguments.out)?, &arguments.device, registry);
    write_atomic(&arguments.out, |file| file.write_all(text.as_bytes()))?;
    print(&format!("{}: set [data] images and labels, then: memtorch run {0}\n", arguments.out.display()))
}

/// The network's path as it is seen from the folder of the experiment.
fn relative(model: &Path, out: &Path) -> Result<String, Error> {
    let absolute = |path: &Path| std::path::absolute(path).map_err(|e| FileError::new(path, e));
    let (model, out) = (absolute(model)?, absolute(out)?);
    let folder = out.parent().unwrap_or(&out);
    Ok(match model.strip_prefix(folder) {
        Ok(below) => below.display().to_string(),
        Err(_) => model.display().to_string(),
    })
}
