//! `wasi_snapshot_preview1`.
//!
//! Takes the grants of a program (arguments, environment, directories), gives host functions by name. Every guest pointer is
//! checked against the caller's memory before use; every path is resolved by the kernel beneath the directory it starts from
//! (`openat2`, RESOLVE_BENEATH, no magic links). Functions of the interface that are not here answer `nosys`: see [`MISSING`].

mod abi;
mod files;
mod paths;
mod system;

use crate::manifest::{FunctionType, ValueType};
use crate::store::Store;
use crate::sys::{self, number, syscall};
use crate::trap::Trap;
use abi::{Errno, Memory};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;

/// What a program gets.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub arguments: Vec<Vec<u8>>,
    pub environment: Vec<(String, String)>,
    /// Host directory and its name for the guest.
    pub directories: Vec<(String, String)>,
}

pub(crate) struct Descriptor {
    pub fd: i32,
    /// The guest's name of a granted directory.
    pub preopen: Option<Vec<u8>>,
    pub is_directory: bool,
    /// Flags as the guest set them (append, nonblock …).
    pub flags: u16,
    /// Standard streams are the host's: not closed.
    pub borrowed: bool,
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        if !self.borrowed {
            // SAFETY: the descriptor is ours alone.
            unsafe { syscall(number::CLOSE, [self.fd as usize, 0, 0, 0, 0, 0]) };
        }
    }
}

/// A program's view of the system.
pub struct Wasi {
    arguments: Vec<Vec<u8>>,
    environment: Vec<Vec<u8>>,
    descriptors: Vec<Option<Descriptor>>,
}

type Call = fn(&mut Wasi, &mut Memory, &[u64]) -> Result<(), Errno>;

/// Name, parameter types (`i` i32, `I` i64), and what it does. All give an errno.
const FUNCTIONS: &[(&str, &str, Call)] = &[
    ("args_get", "ii", |w, m, a| abi::write_strings(m, a, &w.arguments)),
    ("args_sizes_get", "ii", |w, m, a| abi::write_sizes(m, a, &w.arguments)),
    ("environ_get", "ii", |w, m, a| abi::write_strings(m, a, &w.environment)),
    ("environ_sizes_get", "ii", |w, m, a| abi::write_sizes(m, a, &w.environment)),
    ("clock_res_get", "ii", Wasi::clock_res_get),
    ("clock_time_get", "iIi", Wasi::clock_time_get),
    ("random_get", "ii", Wasi::random_get),
    ("sched_yield", "", Wasi::sched_yield),
    ("poll_oneoff", "iiii", Wasi::poll_oneoff),
    ("fd_advise", "iIIi", Wasi::fd_advise),
    ("fd_allocate", "iII", Wasi::fd_allocate),
    ("fd_close", "i", Wasi::fd_close),
    ("fd_datasync", "i", Wasi::fd_datasync),
    ("fd_fdstat_get", "ii", Wasi::fd_fdstat_get),
    ("fd_fdstat_set_flags", "ii", Wasi::fd_fdstat_set_flags),
    ("fd_fdstat_set_rights", "iII", Wasi::fd_fdstat_set_rights),
    ("fd_filestat_get", "ii", Wasi::fd_filestat_get),
    ("fd_filestat_set_size", "iI", Wasi::fd_filestat_set_size),
    ("fd_filestat_set_times", "iIIi", Wasi::fd_filestat_set_times),
    ("fd_pread", "iiiIi", Wasi::fd_pread),
    ("fd_prestat_get", "ii", Wasi::fd_prestat_get),
    ("fd_prestat_dir_name", "iii", Wasi::fd_prestat_dir_name),
    ("fd_pwrite", "iiiIi", Wasi::fd_pwrite),
    ("fd_read", "iiii", Wasi::fd_read),
    ("fd_readdir", "iiiIi", Wasi::fd_readdir),
    ("fd_renumber", "ii", Wasi::fd_renumber),
    ("fd_seek", "iIii", Wasi::fd_seek),
    ("fd_sync", "i", Wasi::fd_sync),
    ("fd_tell", "ii", Wasi::fd_tell),
    ("fd_write", "iiii", Wasi::fd_write),
    ("path_create_directory", "iii", Wasi::path_create_directory),
    ("path_filestat_get", "iiiii", Wasi::path_filestat_get),
    ("path_filestat_set_times", "iiiiIIi", Wasi::path_filestat_set_times),
    ("path_link", "iiiiiii", Wasi::path_link),
    ("path_open", "iiiiiIIii", Wasi::path_open),
    ("path_readlink", "iiiiii", Wasi::path_readlink),
    ("path_remove_directory", "iii", Wasi::path_remove_directory),
    ("path_rename", "iiiiii", Wasi::path_rename),
    ("path_symlink", "iiiii", Wasi::path_symlink),
    ("path_unlink_file", "iii", Wasi::path_unlink_file),
];

/// Functions of the interface that answer `nosys`, with their parameter types.
pub const MISSING: &[(&str, &str)] =
    &[("proc_raise", "i"), ("sock_accept", "iii"), ("sock_recv", "iiiiii"), ("sock_send", "iiiii"), ("sock_shutdown", "ii")];

fn function_type(params: &str, results: &[ValueType]) -> FunctionType {
    let params = params.chars().map(|c| if c == 'I' { ValueType::I64 } else { ValueType::I32 }).collect();
    FunctionType { params, results: results.to_vec() }
}

/// The type of a function of the interface, if it is known.
pub fn type_of(name: &str) -> Option<FunctionType> {
    if name == "proc_exit" {
        return Some(function_type("i", &[]));
    }
    let known = FUNCTIONS
        .iter()
        .map(|(known, params, _)| (known, params))
        .chain(MISSING.iter().map(|(known, params)| (known, params)));
    let (_, params) = known.into_iter().find(|(known, _)| **known == name)?;
    Some(function_type(params, &[ValueType::I32]))
}

/// Names of all functions of the interface.
pub fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|(name, ..)| *name).chain(MISSING.iter().map(|(name, _)| *name)).chain(["proc_exit"])
}

impl Wasi {
    /// Opens the granted directories; the error names the one that cannot be opened.
    pub fn new(config: &Config) -> Result<Rc<RefCell<Wasi>>, (String, i32)> {
        let mut wasi = Wasi {
            arguments: config.arguments.clone(),
            environment: config
                .environment
                .iter()
                .map(|(key, value)| [key.as_bytes(), b"=", value.as_bytes()].concat())
                .collect(),
            descriptors: Vec::new(),
        };
        for fd in 0..3 {
            let stream = Descriptor { fd, preopen: None, is_directory: false, flags: 0, borrowed: true };
            wasi.descriptors.push(Some(stream));
        }
        for (host, guest) in &config.directories {
            let fd = paths::open_host_directory(host.as_bytes()).map_err(|error| (host.clone(), error))?;
            let preopen = Some(guest.clone().into_bytes());
            wasi.descriptors.push(Some(Descriptor { fd, preopen, is_directory: true, flags: 0, borrowed: false }));
        }
        Ok(Rc::new(RefCell::new(wasi)))
    }

    /// The host function of a name, as a function reference of the store.
    pub fn function(this: &Rc<RefCell<Wasi>>, store: &mut Store, name: &str) -> Option<u32> {
        if name == "proc_exit" {
            let ty = function_type("i", &[]);
            return store.host_function(&ty, Box::new(|_, args, _| Err(Trap::exit(args[0] as i32))));
        }
        if let Some((_, params, call)) = FUNCTIONS.iter().find(|(known, ..)| *known == name) {
            let (wasi, call) = (this.clone(), *call);
            let ty = function_type(params, &[ValueType::I32]);
            return store.host_function(
                &ty,
                Box::new(move |caller, args, results| {
                    let mut memory = Memory(caller.memory());
                    let errno = match wasi.try_borrow_mut() {
                        Ok(mut wasi) => call(&mut wasi, &mut memory, args).err().unwrap_or(Errno::SUCCESS),
                        Err(_) => Errno::BUSY,
                    };
                    results[0] = u64::from(errno.0);
                    Ok(())
                }),
            );
        }
        let (_, params) = MISSING.iter().find(|(known, _)| *known == name)?;
        let ty = function_type(params, &[ValueType::I32]);
        store.host_function(
            &ty,
            Box::new(|_, _, results| {
                results[0] = u64::from(Errno::NOSYS.0);
                Ok(())
            }),
        )
    }

    pub(crate) fn descriptor(&self, fd: u64) -> Result<&Descriptor, Errno> {
        self.descriptors.get(fd as u32 as usize).and_then(Option::as_ref).ok_or(Errno::BADF)
    }

    pub(crate) fn directory(&self, fd: u64) -> Result<i32, Errno> {
        let descriptor = self.descriptor(fd)?;
        if descriptor.is_directory { Ok(descriptor.fd) } else { Err(Errno::NOTDIR) }
    }

    /// Puts a descriptor at the lowest free number.
    pub(crate) fn insert(&mut self, descriptor: Descriptor) -> u32 {
        match self.descriptors.iter().position(Option::is_none) {
            Some(at) => {
                self.descriptors[at] = Some(descriptor);
                at as u32
            }
            None => {
                self.descriptors.push(Some(descriptor));
                self.descriptors.len() as u32 - 1
            }
        }
    }
}

/// A system call whose arguments are numbers and live pointers.
pub(crate) fn call(number: usize, args: [usize; 6]) -> Result<usize, Errno> {
    // SAFETY: callers pass descriptors, flags, and pointers to live buffers of the lengths they state.
    sys::check(unsafe { syscall(number, args) }).map_err(Errno::from_linux)
}
