//! Running an executable that is in memory, in place of this process.
//!
//! The bytes go to an anonymous file that is sealed, so that nothing can change them between the check that accepted them and
//! their execution.

use crate::sys::{self, number};
use std::convert::Infallible;
use std::ffi::CString;
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

const MFD_CLOEXEC: usize = 1;
const MFD_ALLOW_SEALING: usize = 2;
/// Linux 6.3; earlier, files are executable without it.
const MFD_EXEC: usize = 16;
const F_ADD_SEALS: usize = 1033;
/// No more seals; neither shrunk, grown nor written.
const SEALS: usize = 1 | 2 | 4 | 8;
const AT_EMPTY_PATH: usize = 0x1000;
const EINVAL: i32 = 22;

/// An empty anonymous file that can be executed.
fn anonymous() -> Result<OwnedFd, i32> {
    let create = |flags: usize| {
        // SAFETY: the kernel reads the name; the descriptor is new, and this object's own.
        unsafe {
            sys::check(sys::syscall(number::MEMFD_CREATE, [c"vwasm".as_ptr() as usize, flags, 0, 0, 0, 0]))
                .map(|fd| OwnedFd::from_raw_fd(fd as i32))
        }
    };
    match create(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC) {
        Err(EINVAL) => create(MFD_CLOEXEC | MFD_ALLOW_SEALING),
        outcome => outcome,
    }
}

/// Replaces this process by the executable; comes back only with the error number of what failed.
pub fn launch(executable: &[u8], arguments: &[Vec<u8>]) -> Result<Infallible, i32> {
    let terminated = |text: Vec<u8>| CString::new(text).map_err(|_| EINVAL);
    let arguments = arguments.iter().cloned().map(terminated).collect::<Result<Vec<CString>, i32>>()?;
    let environment =
        std::env::vars_os().map(|(name, value)| terminated([name.as_bytes(), b"=", value.as_bytes()].concat()));
    let environment = environment.collect::<Result<Vec<CString>, i32>>()?;
    let mut file = std::fs::File::from(anonymous()?);
    file.write_all(executable).map_err(|error| error.raw_os_error().unwrap_or(EINVAL))?;
    let pointers = |strings: &[CString]| {
        let pointers = strings.iter().map(|string| string.as_ptr() as usize);
        pointers.chain([0]).collect::<Vec<usize>>()
    };
    let (arguments, environment) = (pointers(&arguments), pointers(&environment));
    let fd = file.as_raw_fd() as usize;
    let (argv, envp) = (arguments.as_ptr() as usize, environment.as_ptr() as usize);
    // SAFETY: the kernel reads the strings and their lists, which end with zeros and live until it has.
    unsafe {
        sys::check(sys::syscall(number::FCNTL, [fd, F_ADD_SEALS, SEALS, 0, 0, 0]))?;
        let outcome = sys::syscall(number::EXECVEAT, [fd, c"".as_ptr() as usize, argv, envp, AT_EMPTY_PATH, 0]);
        Err(sys::check(outcome).err().unwrap_or(EINVAL))
    }
}
