//! How long a process takes from its creation until its end is known, and nothing besides:
//!
//!     cargo bench -p vwasm-tests --bench startup [-- [--rounds N] PROGRAM...]
//!
//! `hello` as vwasm compiles it, beside /bin/true, the same source as a static executable of gcc's (if gcc is there), Wasmtime
//! with a precompiled module (if `run.py` installed it into `.cache`), and the programs named. Every program is started once
//! before any is started again, each round in another order, because each finds what the one before left in the caches; no shell and no library is between `posix_spawn` and `wait4`, standard output is /dev/null, the
//! environment empty. Medians and quartiles by the clock; page faults and processor time are the kernel's figures.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use vwasm_tests::random::Random;
use vwasm_tests::support::{Directory, executable, nothing};

struct Subject {
    name: String,
    arguments: Vec<CString>,
    microseconds: Vec<f64>,
    /// Processor time, as far as the kernel's accounting tells it.
    processor: Vec<f64>,
    faults: Vec<f64>,
}

impl Subject {
    fn new(name: &str, command: &[&Path]) -> Subject {
        let arguments = command.iter().map(|part| CString::new(part.as_os_str().as_bytes()).expect("no NUL")).collect();
        Subject { name: name.to_string(), arguments, microseconds: Vec::new(), processor: Vec::new(), faults: Vec::new() }
    }

    /// Starts it and waits until it has ended.
    fn start(&mut self) {
        let mut pointers: Vec<*mut libc::c_char> = self.arguments.iter().map(|text| text.as_ptr().cast_mut()).collect();
        pointers.push(std::ptr::null_mut());
        let environment = [std::ptr::null_mut::<libc::c_char>()];
        // SAFETY: the strings and lists live until the process is started; both structures are initialised before their use and
        // destroyed after it; wait4 fills what it is given.
        let (elapsed, status, usage) = unsafe {
            let mut actions = std::mem::zeroed();
            assert_eq!(libc::posix_spawn_file_actions_init(&mut actions), 0);
            let null = c"/dev/null".as_ptr();
            assert_eq!(libc::posix_spawn_file_actions_addopen(&mut actions, 1, null, libc::O_WRONLY, 0), 0);
            let (mut pid, mut status) = (0, 0);
            let mut usage = std::mem::zeroed::<libc::rusage>();
            let begin = Instant::now();
            let (path, null) = (pointers[0], std::ptr::null());
            let outcome = libc::posix_spawn(&mut pid, path, &actions, null, pointers.as_ptr(), environment.as_ptr());
            assert_eq!(outcome, 0, "{}: cannot be started", self.name);
            while libc::wait4(pid, &mut status, 0, &mut usage) != pid {}
            let elapsed = begin.elapsed();
            libc::posix_spawn_file_actions_destroy(&mut actions);
            (elapsed, status, usage)
        };
        assert_eq!(status, 0, "{}: ended with another status than 0", self.name);
        let seconds = |time: libc::timeval| time.tv_sec as f64 * 1e6 + time.tv_usec as f64;
        self.microseconds.push(elapsed.as_secs_f64() * 1e6);
        self.processor.push(seconds(usage.ru_utime) + seconds(usage.ru_stime));
        self.faults.push(usage.ru_minflt as f64);
    }

    fn report(&mut self) {
        let quantile = |samples: &mut Vec<f64>, part: f64| {
            samples.sort_by(f64::total_cmp);
            samples[((samples.len() - 1) as f64 * part) as usize]
        };
        let [first, median, third] = [0.25, 0.5, 0.75].map(|part| quantile(&mut self.microseconds, part));
        let (processor, faults) = (quantile(&mut self.processor, 0.5), quantile(&mut self.faults, 0.5));
        println!("{:28} {median:8.0} {first:8.0} {third:8.0} {processor:12.0} {faults:8.0}", self.name);
    }
}

/// The same program by gcc, if it is there.
fn native(bench: &Path, directory: &Directory) -> Option<PathBuf> {
    let output = directory.path().join("native");
    let mut gcc = Command::new("gcc");
    gcc.args(["-O2", "-static", "-o"]).arg(&output).arg(bench.join("programs/hello.c"));
    gcc.output().is_ok_and(|made| made.status.success()).then_some(output)
}

/// Wasmtime and the module that it has compiled, if it is there.
fn wasmtime(bench: &Path, directory: &Directory) -> Option<(PathBuf, PathBuf)> {
    let library = bench.join(".cache/wasmtime/lib");
    let python = std::fs::read_dir(library).ok()?.filter_map(Result::ok).next()?.path();
    let program = python.join("site-packages/wasmtime_cli/wasmtime");
    let output = directory.path().join("hello.cwasm");
    let mut compile = Command::new(&program);
    compile.args(["compile", "-C", "cache=n", "-o"]).arg(&output).arg(bench.join("wasm/hello.wasm"));
    compile.output().is_ok_and(|made| made.status.success()).then_some((program, output))
}

fn main() {
    let mut rounds = 1000;
    let mut programs = Vec::new();
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--rounds" => rounds = arguments.next().and_then(|text| text.parse().ok()).expect("a number of rounds"),
            program => programs.push(PathBuf::from(program)),
        }
    }
    let bench = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench");
    let directory = Directory::new("startup");
    let module = std::fs::read(bench.join("wasm/hello.wasm")).expect("hello.wasm");
    let hello = executable(&directory, "hello", &module, nothing());
    let mut subjects = vec![Subject::new("/bin/true", &[Path::new("/bin/true")]), Subject::new("hello, vwasm", &[&hello])];
    if let Some(native) = native(&bench, &directory) {
        subjects.push(Subject::new("hello, gcc -static", &[&native]));
    }
    if let Some((program, module)) = wasmtime(&bench, &directory) {
        let command = [&program, Path::new("run"), Path::new("--allow-precompiled"), &module];
        subjects.push(Subject::new("hello, wasmtime .cwasm", &command));
    }
    subjects.extend(programs.iter().map(|program| Subject::new(&program.to_string_lossy(), &[program])));
    let mut order: Vec<usize> = (0..subjects.len()).collect();
    let mut random = Random(1);
    for _ in 0..rounds {
        random.shuffle(&mut order);
        order.iter().for_each(|&number| subjects[number].start());
    }
    println!("{rounds} rounds, microseconds{:14}median    1/4      3/4    processor   faults", "");
    subjects.iter_mut().for_each(Subject::report);
}
