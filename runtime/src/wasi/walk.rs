//! Paths resolved without `openat2`, for kernels and containers that lack it: one component at a time.
//!
//! Takes what `openat2` takes; gives the same, more slowly. Every directory on the way is held open, and `..` goes back to the
//! one held, so that nothing another process renames can lead out. No component is opened through a link: links are read, and
//! their text joins the path; an absolute one leads out. Magic links read as absolute paths, or as names that do not exist.

use super::descriptors::Owned;
use super::raw_call;
use super::resolve::{O_CLOEXEC, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_PATH, PATH_MAX, is_procfs};
use crate::sys::{errno, number};
use alloc::vec::Vec;

const ENOENT: i32 = 2;
const PERM: i32 = 1;
const EISDIR: i32 = 21;
const EINVAL: i32 = 22;
const ELOOP: i32 = 40;

/// Links on the way, as many as Linux allows.
const MOST_LINKS: u32 = 40;

type Result<T> = core::result::Result<T, i32>;

/// `openat`; the path has a NUL behind it.
pub fn open_at(directory: i64, path: &[u8], flags: u64, mode: u64) -> Result<Owned> {
    loop {
        let args = [directory as usize, path.as_ptr() as usize, (flags | O_CLOEXEC) as usize, mode as usize, 0, 0];
        match raw_call(number::OPENAT, args) {
            Ok(fd) => return Ok(Owned::new(fd)),
            Err(errno::EINTR) if !crate::interrupt::pending() => {}
            Err(error) => return Err(error),
        }
    }
}

/// The components of a path that are still to be walked, the next one last.
struct Rest {
    components: Vec<Vec<u8>>,
    /// A slash or dot at the end asks for a directory, through a link if need be.
    directory: bool,
    /// It was a slash: nothing is created by such a name.
    slash: bool,
    links: u32,
}

impl Rest {
    /// Puts a path (without NUL) before the rest.
    fn push(&mut self, path: &[u8]) -> Result<()> {
        if path.first() == Some(&b'/') {
            return Err(errno::EXDEV);
        }
        if self.components.is_empty() {
            self.slash |= path.ends_with(b"/");
            self.directory |= path.ends_with(b"/") || path.ends_with(b"/.") || path == b".";
        }
        let parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
        self.components.extend(parts.rev().map(|part| [part, b"\0"].concat()));
        Ok(())
    }

    /// Puts the text of a link before the rest.
    fn link(&mut self, target: &[u8]) -> Result<()> {
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(ELOOP);
        }
        if target.is_empty() {
            return Err(ENOENT);
        }
        self.push(target)
    }
}

/// The text of a link, or nothing if the entry is none.
fn read_link(directory: i64, name: &[u8], buffer: &mut [u8; PATH_MAX]) -> Result<Option<usize>> {
    let args = [directory as usize, name.as_ptr() as usize, buffer.as_mut_ptr() as usize, buffer.len(), 0, 0];
    match raw_call(number::READLINKAT, args) {
        Ok(length) => Ok(Some(length)),
        Err(EINVAL) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens a path, which has a NUL behind it, beneath a directory and outside procfs. `EXDEV`: it leads out.
pub fn open_beneath(start: i32, path: &[u8], flags: u64, mode: u64) -> Result<Owned> {
    let mut rest = Rest { components: Vec::new(), directory: false, slash: false, links: 0 };
    rest.push(path.strip_suffix(b"\0").unwrap_or(path))?;
    let mut held: Vec<Owned> = Vec::new();
    let mut buffer = [0u8; PATH_MAX];
    while let Some(name) = rest.components.pop() {
        let here = held.last().map_or(i64::from(start), |directory| directory.raw() as i64);
        if name == b"..\0" {
            held.pop().ok_or(errno::EXDEV)?;
            continue;
        }
        let last = rest.components.is_empty() && !rest.directory;
        let created = flags & O_CREAT != 0;
        if created && rest.components.is_empty() && rest.slash {
            return Err(EISDIR);
        }
        let follow = !last || (flags & O_NOFOLLOW == 0 && !(created && flags & O_EXCL != 0));
        if follow {
            match read_link(here, &name, &mut buffer) {
                Ok(Some(length)) => {
                    rest.link(&buffer[..length])?;
                    continue;
                }
                Ok(None) => {}
                Err(ENOENT) if last && created => {}
                Err(error) => return Err(error),
            }
        }
        if last {
            if is_procfs(here as usize) {
                return Err(PERM);
            }
            return refuse_procfs(open_at(here, &name, flags | O_NOFOLLOW, mode)?);
        }
        held.push(open_at(here, &name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0)?);
    }
    let here = held.last().map_or(i64::from(start), |directory| directory.raw() as i64);
    if is_procfs(here as usize) {
        return Err(PERM);
    }
    refuse_procfs(open_at(here, b".\0", flags, mode)?)
}

fn refuse_procfs(opened: Owned) -> Result<Owned> {
    if is_procfs(opened.raw()) { Err(PERM) } else { Ok(opened) }
}
