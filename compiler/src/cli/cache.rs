//! The cache of `vwasm run`: compiled modules by what they were compiled from.
//!
//! An entry is the executable of a module with no grants, and behind it a digest. Its name is the digest of the module's bytes, the
//! options, the hash of `spec/` and what identifies this vwasm. Nothing in an entry is believed: it must be the user's own
//! file, its digest must be right (so that damage is noticed), and its code must pass the checker as in `vwasm verify` (so that
//! whatever somebody put there stays in the sandbox). Anything else is compiled again and replaced. Entries are written beside their
//! place and moved there; when all are larger than [`MOST_BYTES`], those not used for longest go.

use super::rules::VERSION;
use super::{Result, io_error};
use clap::{Args, Subcommand};
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;
use vwasm::compile::{Compiled, Options};
use vwasm::error::{CompileError, ErrorKind};
use vwasm::verify::SPEC_HASH;

/// All entries together are kept below this.
const MOST_BYTES: u64 = 1 << 30;

const DIGEST: usize = 32;

#[derive(Args)]
pub struct CacheArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Say where the cache is and how much is in it.
    Show,
    /// Remove everything in it.
    Clear,
}

pub fn command(args: &CacheArgs) -> Result<ExitCode> {
    let Some(cache) = Cache::of_user() else {
        let error = CompileError::new(ErrorKind::Io, "there is no place for a cache");
        return Err(error.hint("set XDG_CACHE_HOME or HOME to an absolute path"));
    };
    let entries = cache.entries();
    match args.action {
        Action::Show => {
            let bytes: u64 = entries.iter().map(|entry| entry.bytes).sum();
            println!("{}: {} modules, {bytes} bytes, at most {MOST_BYTES}", cache.0.display(), entries.len());
        }
        Action::Clear => {
            for entry in entries {
                std::fs::remove_file(&entry.path).map_err(|error| io_error(&entry.path, error))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A directory with entries.
pub struct Cache(PathBuf);

struct Entry {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

/// The digest that an entry is known by.
pub struct Key([u8; DIGEST]);

impl Key {
    /// Of a module's binary and the options it is compiled with. None if this program cannot be told from others.
    pub fn new(module: &[u8], options: &Options) -> Option<Key> {
        let program = std::env::current_exe().and_then(std::fs::metadata).ok()?;
        let identity = [program.size(), program.mtime() as u64, program.mtime_nsec() as u64];
        let mut digest = Sha256::new();
        for part in [VERSION.as_bytes(), SPEC_HASH.as_bytes()] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        for number in identity.into_iter().chain([u64::from(options.cpu.0), u64::from(options.fuel)]) {
            digest.update(number.to_le_bytes());
        }
        digest.update(module);
        Some(Key(digest.finalize().into()))
    }

    fn name(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What stands behind an entry's executable.
    fn seal(&self, executable: &[u8]) -> [u8; DIGEST] {
        let mut digest = Sha256::new();
        digest.update(self.0);
        digest.update(executable);
        digest.finalize().into()
    }
}

/// The user that this process acts for.
fn user() -> Option<u32> {
    std::fs::metadata("/proc/self").ok().map(|process| process.uid())
}

impl Cache {
    /// `$XDG_CACHE_HOME/vwasm`, or `.cache/vwasm` at home.
    pub fn of_user() -> Option<Cache> {
        let absolute = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
        Some(Cache(base.join("vwasm")))
    }

    /// The compiled module, checked; or none, with a reason if there is an entry all the same.
    pub fn load(&self, key: &Key) -> std::result::Result<Compiled, Option<String>> {
        const O_NOFOLLOW: i32 = 0o40_0000;
        const O_NONBLOCK: i32 = 0o4000;
        let path = self.0.join(key.name());
        let open = std::fs::OpenOptions::new().read(true).custom_flags(O_NOFOLLOW | O_NONBLOCK).open(&path);
        let mut file = open.map_err(|error| (error.kind() != std::io::ErrorKind::NotFound).then(|| error.to_string()))?;
        let metadata = file.metadata().map_err(|error| Some(error.to_string()))?;
        if !metadata.is_file() || Some(metadata.uid()) != user() || metadata.permissions().mode() & 0o022 != 0 {
            return Err(Some("it is not a file that only the user can write".to_string()));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| Some(error.to_string()))?;
        let (executable, seal) = bytes
            .split_last_chunk::<DIGEST>()
            .filter(|(executable, seal)| key.seal(executable) == **seal)
            .ok_or_else(|| Some("it is damaged".to_string()))?;
        debug_assert_eq!(seal.len(), DIGEST);
        let compiled = vwasm::verify::load(executable).map_err(|error| Some(error.message))?;
        // When it was used last decides what goes first.
        let _ = file.set_modified(SystemTime::now());
        Ok(compiled)
    }

    /// Keeps a compiled module.
    pub fn store(&self, key: &Key, compiled: &Compiled) -> std::result::Result<(), String> {
        let executable = vwasm::image::without_symbols(compiled).map_err(|error| error.message)?;
        let seal = key.seal(&executable);
        if (executable.len() + DIGEST) as u64 > MOST_BYTES {
            return Err("the module is larger than the whole cache may be".to_string());
        }
        let failed = |error: std::io::Error| format!("{}: {error}", self.0.display());
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0).map_err(failed)?;
        let temporary = self.0.join(format!(".{}.{}", key.name(), std::process::id()));
        let written = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .and_then(|mut file| file.write_all(&executable).and_then(|()| file.write_all(&seal)))
            .and_then(|()| std::fs::rename(&temporary, self.0.join(key.name())));
        if let Err(error) = written {
            let _ = std::fs::remove_file(&temporary);
            return Err(failed(error));
        }
        self.shrink();
        Ok(())
    }

    /// Everything in the directory that may be an entry, or the beginning of one.
    fn entries(&self) -> Vec<Entry> {
        let is_ours = |name: OsString| {
            let name = name.to_string_lossy();
            let digest = name.trim_start_matches('.').split('.').next().unwrap_or("");
            digest.len() == 2 * DIGEST && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        let entries = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        let entries = entries.filter(|entry| is_ours(entry.file_name())).filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            Some(Entry { path: entry.path(), bytes: metadata.len(), used: metadata.modified().ok()? })
        });
        entries.collect()
    }

    fn shrink(&self) {
        let mut entries = self.entries();
        entries.sort_by_key(|entry| entry.used);
        let mut bytes: u64 = entries.iter().map(|entry| entry.bytes).sum();
        for entry in entries {
            if bytes <= MOST_BYTES {
                return;
            }
            if std::fs::remove_file(&entry.path).is_ok() {
                bytes -= entry.bytes;
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}
