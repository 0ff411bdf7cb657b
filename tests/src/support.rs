//! What tests of programs share: compiling to an executable, running it, a directory of one's own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use vwasm::compile::{Compiled, Options, compile};
use vwasm::module::Module;
pub use vwasm_runtime::manifest::Grants;

/// An empty directory that goes when dropped.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("vwasm-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Directory(path.canonicalize().unwrap())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Grants of this directory, or of one in it, as `guest`.
    pub fn grants(&self, inside: &str, guest: &str) -> Grants {
        let path = self.0.join(inside).to_str().unwrap().to_string();
        Grants { directories: vec![(path, guest.to_string())], stack_size: 1 << 20, ..Grants::default() }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// No grants but a stack.
pub fn nothing() -> Grants {
    Grants { stack_size: 1 << 20, ..Grants::default() }
}

/// Compiles a module, binary or text.
pub fn compiled(module: &[u8]) -> Compiled {
    compiled_with(module, &Options::default())
}

pub fn compiled_with(module: &[u8], options: &Options) -> Compiled {
    let bytes = wat::parse_bytes(module).unwrap();
    let module = Module::decode(&bytes).unwrap();
    compile(&module, options, &|| {}).unwrap()
}

/// Writes the module's executable into a directory.
pub fn executable(directory: &Directory, name: &str, module: &[u8], grants: Grants) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let mut compiled = compiled_with(module, &Options { fuel: grants.fuel.is_some(), ..Options::default() });
    compiled.manifest.grants = grants;
    let (image, path) = (directory.path().join(format!("{name}.image")), directory.path().join(name));
    std::fs::write(&image, vwasm::image::executable(&compiled).unwrap()).unwrap();
    std::fs::set_permissions(&image, std::fs::Permissions::from_mode(0o755)).unwrap();
    // A file that is open for writing cannot be run, and a process that another thread starts may have it open for a moment:
    // so this process never opens the one that is run.
    assert!(Command::new("cp").arg(&image).arg(&path).status().unwrap().success());
    path
}

/// Runs a command with some input to its end.
pub fn run(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Whoever does not read it has ended.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
