//! Files that are whole or not there.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl FileError {
    /// The error of a file.
    pub fn new(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self { path: path.into(), source }
    }
}

/// Writes a file beside its place and renames it when all is written and on the disk, so that a
/// reader sees the old file or the new one and never a part. A link is followed; what is no plain file
/// (`/dev/stdout`, a pipe) is written as it is.
///
/// # Errors
/// Whatever the system or `write` says; the file is then as it was before.
pub fn write_atomic(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), FileError> {
    let given = path.as_ref();
    let fail = |source| FileError::new(given, source);
    let mut place = given.to_owned();
    if let Ok(there) = std::fs::metadata(given) {
        if !there.is_file() && !there.is_dir() {
            // A device is not to be replaced by a file.
            let file = OpenOptions::new().write(true).open(given).map_err(fail)?;
            let mut buffered = BufWriter::new(file);
            return write(&mut buffered).and_then(|()| buffered.flush()).map_err(fail);
        }
        place = std::fs::canonicalize(given).map_err(fail)?;
    }
    let path = place.as_path();
    let Some(name) = path.file_name() else {
        return Err(fail(io::Error::new(io::ErrorKind::InvalidInput, "not the name of a file")));
    };
    let (mut file, beside) = create_beside(path, name).map_err(fail)?;
    let written = (|| {
        let mut buffered = BufWriter::new(&mut file);
        write(&mut buffered)?;
        buffered.flush()?;
        drop(buffered);
        file.sync_all()?;
        std::fs::rename(&beside, path)
    })();
    written.map_err(|error| {
        // What is left of a failed attempt is of no use to anybody.
        let _ = std::fs::remove_file(&beside);
        fail(error)
    })
}

/// Sees that [`write_atomic`] will be able to write a file, before anything long is done for it. Nothing is
/// left behind.
///
/// # Errors
/// Whatever the system says.
pub fn check_writable(path: impl AsRef<Path>) -> Result<(), FileError> {
    let given = path.as_ref();
    let fail = |source| FileError::new(given, source);
    let mut place = given.to_owned();
    if let Ok(there) = std::fs::metadata(given) {
        if there.is_dir() {
            return Err(fail(io::Error::new(io::ErrorKind::IsADirectory, "is a folder: expected a file")));
        }
        if !there.is_file() {
            return OpenOptions::new().write(true).open(given).map(drop).map_err(fail);
        }
        place = std::fs::canonicalize(given).map_err(fail)?;
    }
    let Some(name) = place.file_name() else {
        return Err(fail(io::Error::new(io::ErrorKind::InvalidInput, "not the name of a file")));
    };
    let (file, beside) = create_beside(&place, name).map_err(fail)?;
    drop(file);
    std::fs::remove_file(&beside).map_err(fail)
}

/// Creates a new file with a name of its own in the folder of `path`.
fn create_beside(path: &Path, name: &std::ffi::OsStr) -> io::Result<(File, PathBuf)> {
    let process = std::process::id();
    for attempt in 0..1000 {
        let mut beside = std::ffi::OsString::from(".");
        beside.push(name);
        beside.push(format!(".{process}-{attempt}.tmp"));
        let beside = path.with_file_name(beside);
        match OpenOptions::new().write(true).create_new(true).open(&beside) {
            Ok(file) => return Ok((file, beside)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "a thousand temporary files are in the way"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("memtorch-files-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = folder("failed");
        let path = folder.join("a.txt");
        write_atomic(&path, |w| w.write_all(b"old")).unwrap();
        let error = write_atomic(&path, |w| {
            w.write_all(b"half")?;
            Err(io::Error::other("no more"))
        })
        .unwrap_err();
        assert!(error.to_string().contains("a.txt") && error.to_string().contains("no more"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        write_atomic(&path, |w| w.write_all(b"new")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_what_is_no_file_is_not_replaced() {
        use std::os::unix::fs::FileTypeExt;
        let folder = folder("links");
        let (target, link, socket) = (folder.join("a.txt"), folder.join("link"), folder.join("socket"));
        std::fs::write(&target, "old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write_atomic(&link, |w| w.write_all(b"new")).unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&target).unwrap(), b"new");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(write_atomic(&socket, |w| w.write_all(b"x")).is_err());
        assert!(std::fs::metadata(&socket).unwrap().file_type().is_socket());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let path = folder("missing").join("no/such/file");
        let error = write_atomic(&path, |_| Ok(())).unwrap_err();
        assert!(error.to_string().contains("no/such/file"), "{error}");
        assert!(write_atomic("/", |_| Ok(())).is_err());
        for bad in [path.as_path(), Path::new("/"), &std::env::temp_dir()] {
            assert!(check_writable(bad).is_err(), "{}", bad.display());
        }
        let folder = folder("writable");
        check_writable(folder.join("new.txt")).unwrap();
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
