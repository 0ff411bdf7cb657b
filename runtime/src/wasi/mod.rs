//! `wasi_snapshot_preview1`, and `wasi_unstable` before it.
//!
//! Takes the grants of a program (arguments, environment, directories, sockets, limits), gives host functions by name. Every
//! guest pointer is checked against the caller's memory before use (`abi`); descriptors are the program's own (`descriptors`);
//! every path is resolved by the kernel beneath the directory it starts from (`resolve`). Flags, kinds of descriptors and error
//! numbers are those of Wasmtime; `tests/wasi/differences.txt` lists where the two part.

mod abi;
mod descriptors;
mod files;
mod paths;
mod poll;
mod resolve;
mod sockets;
mod system;
mod trace;
mod walk;

use crate::manifest::{FunctionType, Grants, ValueType};
use crate::store::{Caller, Store};
use crate::sys::{self, errno, syscall};
use crate::trap::Trap;
use abi::{Errno, Failure, Layout, Memory, Result};
use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use descriptors::{Descriptor, Descriptors, Kind};

pub use resolve::without_openat2;

/// What a program gets.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub arguments: Vec<Vec<u8>>,
    pub grants: Grants,
    /// Tell every call on standard error.
    pub trace: bool,
}

/// A program's view of the system.
pub struct Wasi {
    arguments: Vec<Vec<u8>>,
    environment: Vec<Vec<u8>>,
    descriptors: Descriptors,
    /// Bytes the program may still write.
    output_left: u64,
    trace: bool,
}

type Call = fn(&mut Wasi, &mut Memory, &[u64]) -> Result<()>;

/// A function: name, parameters, what it does. All but `proc_exit` give an error number. Parameters are letters: `i` a number
/// (i32), `I` a number (i64), `f` a descriptor, `p` a pointer, `s` a string (pointer and length).
type Function = (&'static str, &'static str, Call);

const FUNCTIONS: &[Function] = &[
    ("args_get", "pp", |w, m, a| system::write_strings(m, a, &w.arguments)),
    ("args_sizes_get", "pp", |w, m, a| system::write_sizes(m, a, &w.arguments)),
    ("environ_get", "pp", |w, m, a| system::write_strings(m, a, &w.environment)),
    ("environ_sizes_get", "pp", |w, m, a| system::write_sizes(m, a, &w.environment)),
    ("clock_res_get", "ip", Wasi::clock_res_get),
    ("clock_time_get", "iIp", Wasi::clock_time_get),
    ("random_get", "pi", Wasi::random_get),
    ("sched_yield", "", Wasi::sched_yield),
    ("proc_raise", "i", Wasi::proc_raise),
    ("poll_oneoff", "ppip", |w, m, a| w.poll_oneoff(m, a, Layout::Preview1)),
    ("fd_advise", "fIIi", Wasi::fd_advise),
    ("fd_allocate", "fII", Wasi::fd_allocate),
    ("fd_close", "f", Wasi::fd_close),
    ("fd_datasync", "f", Wasi::fd_datasync),
    ("fd_fdstat_get", "fp", Wasi::fd_fdstat_get),
    ("fd_fdstat_set_flags", "fi", Wasi::fd_fdstat_set_flags),
    ("fd_fdstat_set_rights", "fII", Wasi::fd_fdstat_set_rights),
    ("fd_filestat_get", "fp", |w, m, a| w.fd_filestat_get(m, a, Layout::Preview1)),
    ("fd_filestat_set_size", "fI", Wasi::fd_filestat_set_size),
    ("fd_filestat_set_times", "fIIi", Wasi::fd_filestat_set_times),
    ("fd_pread", "fpiIp", Wasi::fd_pread),
    ("fd_prestat_get", "fp", Wasi::fd_prestat_get),
    ("fd_prestat_dir_name", "fpi", Wasi::fd_prestat_dir_name),
    ("fd_pwrite", "fpiIp", Wasi::fd_pwrite),
    ("fd_read", "fpip", Wasi::fd_read),
    ("fd_readdir", "fpiIp", Wasi::fd_readdir),
    ("fd_renumber", "ff", Wasi::fd_renumber),
    ("fd_seek", "fIip", |w, m, a| w.fd_seek(m, a, [0, 1, 2])),
    ("fd_sync", "f", Wasi::fd_sync),
    ("fd_tell", "fp", Wasi::fd_tell),
    ("fd_write", "fpip", Wasi::fd_write),
    ("path_create_directory", "fs", Wasi::path_create_directory),
    ("path_filestat_get", "fisp", |w, m, a| w.path_filestat_get(m, a, Layout::Preview1)),
    ("path_filestat_set_times", "fisIIi", Wasi::path_filestat_set_times),
    ("path_link", "fisfs", Wasi::path_link),
    ("path_open", "fisiIIip", Wasi::path_open),
    ("path_readlink", "fspip", Wasi::path_readlink),
    ("path_remove_directory", "fs", Wasi::path_remove_directory),
    ("path_rename", "fsfs", Wasi::path_rename),
    ("path_symlink", "sfs", Wasi::path_symlink),
    ("path_unlink_file", "fs", Wasi::path_unlink_file),
    ("sock_accept", "fip", Wasi::sock_accept),
    ("sock_recv", "fpiipp", Wasi::sock_recv),
    ("sock_send", "fpiip", Wasi::sock_send),
    ("sock_shutdown", "fi", Wasi::sock_shutdown),
    ("proc_exit", "i", |_, _, _| Ok(())), // the guest ends before this is asked
];

/// Functions that `wasi_unstable` has with another layout or numbering.
const UNSTABLE: &[Function] = &[
    ("poll_oneoff", "ppip", |w, m, a| w.poll_oneoff(m, a, Layout::Unstable)),
    ("fd_filestat_get", "fp", |w, m, a| w.fd_filestat_get(m, a, Layout::Unstable)),
    ("path_filestat_get", "fisp", |w, m, a| w.path_filestat_get(m, a, Layout::Unstable)),
    ("fd_seek", "fIip", |w, m, a| w.fd_seek(m, a, [2, 0, 1])),
];

fn find(module: &str, name: &str) -> Option<&'static Function> {
    let unstable: &[Function] = match module {
        "wasi_snapshot_preview1" => &[],
        "wasi_unstable" if name != "sock_accept" => UNSTABLE,
        _ => return None,
    };
    unstable.iter().chain(FUNCTIONS).find(|(known, ..)| *known == name)
}

/// The type of a function of WASI, if there is one of this name.
pub fn type_of(module: &str, name: &str) -> Option<FunctionType> {
    find(module, name).map(|(name, params, _)| function_type(name, params))
}

/// Names and types of all functions.
pub fn functions() -> impl Iterator<Item = (&'static str, FunctionType)> {
    FUNCTIONS.iter().map(|(name, params, _)| (*name, function_type(name, params)))
}

fn function_type(name: &str, params: &str) -> FunctionType {
    let mut types = Vec::new();
    for letter in params.bytes() {
        match letter {
            b'I' => types.push(ValueType::I64),
            b's' => types.extend([ValueType::I32, ValueType::I32]),
            _ => types.push(ValueType::I32),
        }
    }
    let results = if name == "proc_exit" { Vec::new() } else { Vec::from([ValueType::I32]) };
    FunctionType { params: types, results }
}

/// Descriptors a program may have open when nothing else is said.
const OPEN_FILES: u32 = 1 << 16;

impl Wasi {
    /// Opens the granted directories; the error names what cannot be had.
    pub fn new(config: &Config) -> core::result::Result<Rc<RefCell<Wasi>>, (String, i32)> {
        let grants = &config.grants;
        let pair = |(key, value): &(String, String)| [key.as_bytes(), b"=", value.as_bytes()].concat();
        let mut descriptors = Descriptors::new(grants.max_open_files.unwrap_or(OPEN_FILES) as usize);
        let mut put = |name: &str, descriptor| match descriptors.free() {
            Ok(at) => Ok(descriptors.put(at, descriptor)),
            Err(_) => Err((String::from(name), 24)),
        };
        for fd in 0..3 {
            let mut stream = Descriptor::new(fd, if fd == 0 { Kind::Input } else { Kind::Output });
            (stream.readable, stream.writable) = (fd == 0, fd != 0);
            stream.terminal = resolve::is_terminal(fd);
            put("standard streams", stream)?;
        }
        for (host, guest) in &grants.directories {
            let fd = resolve::open_host_directory(host.as_bytes()).map_err(|error| (host.clone(), error))?;
            let mut directory = Descriptor::new(fd.release(), Kind::Directory);
            directory.preopen = Some(guest.clone().into_bytes());
            put(host, directory)?;
        }
        for &fd in &grants.sockets {
            let name = format!("descriptor {fd}");
            let socket = sockets::inherited(fd).map_err(|error| (name.clone(), error))?;
            put(&name, socket)?;
        }
        Ok(Rc::new(RefCell::new(Wasi {
            arguments: config.arguments.clone(),
            environment: grants.environment.iter().map(pair).collect(),
            descriptors,
            output_left: grants.max_output.unwrap_or(u64::MAX),
            trace: config.trace,
        })))
    }

    /// The kernel's descriptors of the granted directories.
    pub fn granted(&self) -> Vec<i32> {
        self.descriptors.iter().filter(|open| open.preopen.is_some()).map(|open| open.fd).collect()
    }

    /// The host function of an import, as a function reference of the store.
    pub fn function(this: &Rc<RefCell<Wasi>>, store: &mut Store, module: &str, name: &str) -> Option<u32> {
        let (name, params, call) = *find(module, name)?;
        let wasi = this.clone();
        let ty = function_type(name, params);
        if name == "proc_exit" {
            let end = move |_: &mut Caller, args: &[u64], _: &mut [u64]| {
                if wasi.borrow().trace {
                    trace::exit(args[0]);
                }
                Err(Trap::exit(args[0] as i32))
            };
            return store.host_function(&ty, Box::new(end));
        }
        store.host_function(
            &ty,
            Box::new(move |caller, args, results| {
                let mut memory = Memory(caller.memory());
                let Ok(mut wasi) = wasi.try_borrow_mut() else {
                    results[0] = u64::from(Errno::BUSY.0);
                    return Ok(());
                };
                let line = wasi.trace.then(|| trace::begin(name, params, args, &memory));
                let outcome = call(&mut wasi, &mut memory, args);
                if let Some(line) = line {
                    trace::end(line, &outcome);
                }
                match outcome {
                    Ok(()) => results[0] = 0,
                    Err(Failure::Errno(errno)) => results[0] = u64::from(errno.0),
                    Err(Failure::Trap(reason)) => return Err(Trap::host(&format!("{name}: {reason}"))),
                    Err(Failure::Timeout) => return Err(Trap::timeout()),
                }
                Ok(())
            }),
        )
    }
}

/// A system call whose arguments are numbers and live pointers.
fn raw_call(number: usize, args: [usize; 6]) -> core::result::Result<usize, i32> {
    // SAFETY: callers pass descriptors, flags, and pointers to live buffers of the lengths they state.
    sys::check(unsafe { syscall(number, args) })
}

/// The same, with the guest's error number.
fn call(number: usize, args: [usize; 6]) -> Result<usize> {
    raw_call(number, args).map_err(|error| Errno::from_linux(error).into())
}

/// The same, again after a signal, unless the signal said that the guest's time is over.
fn call_again(number: usize, args: [usize; 6]) -> Result<usize> {
    loop {
        match raw_call(number, args) {
            Err(errno::EINTR) => {}
            outcome => return outcome.map_err(|error| Errno::from_linux(error).into()),
        }
        if crate::interrupt::pending() {
            return Err(Failure::Timeout);
        }
    }
}
