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
    Beside::write(path, write).and_then(Beside::keep).map_err(fail)
}

/// Writes files of a folder that belong together: all of them or, where one fails, none; those that are `gone` do not
/// belong to them. The last file is not there while another one is new and it is not: where it is, all are its own.
///
/// # Errors
/// Whatever the system says; all files are then as they were before.
pub fn write_together(
    folder: impl AsRef<Path>,
    files: &[(&str, String)],
    gone: &[&str],
) -> Result<(), FileError> {
    let folder = folder.as_ref();
    let mut written = Vec::new();
    for (name, text) in files {
        let path = folder.join(name);
        let beside = Beside::write(&path, |file| file.write_all(text.as_bytes()));
        written.push(beside.map_err(|error| FileError::new(path, error))?);
    }
    for name in files.last().map(|(last, _)| last).into_iter().chain(gone) {
        let path = folder.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(FileError::new(path, error)),
            _ => {}
        }
    }
    for beside in written {
        let path = beside.path.clone();
        beside.keep().map_err(|error| FileError::new(path, error))?;
    }
    Ok(())
}

/// A file that is written and on the disk, and not yet in its place.
struct Beside {
    path: PathBuf,
    /// Where it is.
    beside: PathBuf,
    kept: bool,
}

impl Beside {
    fn write(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<Self> {
        let Some(name) = path.file_name() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the name of a file"));
        };
        let (mut file, beside) = create_beside(path, name)?;
        let beside = Self { path: path.to_owned(), beside, kept: false };
        let mut buffered = BufWriter::new(&mut file);
        write(&mut buffered)?;
        buffered.flush()?;
        drop(buffered);
        file.sync_all()?;
        Ok(beside)
    }

    fn keep(mut self) -> io::Result<()> {
        std::fs::rename(&self.beside, &self.path)?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if !self.kept {
            // What is left of a failed attempt is of no use to anybody.
            let _ = std::fs::remove_file(&self.beside);
        }
    }
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
    // A full disk takes a name, but not a block.
    Beside::write(&place, |file| file.write_all(&[0; 4096])).map(drop).map_err(fail)
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

    #[test]
    fn files_that_belong_together_are_all_new_or_all_old() {
        let folder = folder("together");
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        let files = |text: &str| [("a.txt", text.to_owned()), ("b.txt", text.to_owned())];
        write_together(&folder, &files("old"), &[]).unwrap();
        std::fs::write(folder.join("c.txt"), "of another run").unwrap();
        // The third cannot be written: its place has no such folder.
        let mut three = files("new").to_vec();
        three.push(("no/such.txt", String::new()));
        let error = write_together(&folder, &three, &["c.txt"]).unwrap_err().to_string();
        assert!(error.contains("no/such.txt"), "{error}");
        assert_eq!((read("a.txt"), read("b.txt"), read("c.txt").len()), ("old".into(), "old".into(), 14));
        write_together(&folder, &files("new"), &["c.txt", "d.txt"]).unwrap();
        assert_eq!((read("a.txt"), read("b.txt")), ("new".into(), "new".into()));
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);
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
