//! Solvers as processes of their own.
//!
//! Takes scripts, gives verdicts. The solver of the project's own (`blast`) has a name here, but no process. z3 is its command; cvc5 and bitwuzla come as Python modules and are driven by `solver.py`.
//! All three are looked for in one virtual environment. A process answers many queries; one that dies or says something else
//! than a verdict has not answered, and is started anew.

use super::smt::Script;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Solver {
    Z3,
    Bitwuzla,
    Cvc5,
    /// cvc5, bit-vectors as integers: for products and quotients.
    Cvc5Integers,
    /// `blast`; asked only if named.
    Builtin,
}

impl Solver {
    pub const ALL: [Solver; 4] = [Solver::Z3, Solver::Bitwuzla, Solver::Cvc5, Solver::Cvc5Integers];

    /// The program; two that share one are not independent.
    pub fn program(self) -> &'static str {
        match self {
            Solver::Z3 => "z3",
            Solver::Bitwuzla => "bitwuzla",
            Solver::Cvc5 | Solver::Cvc5Integers => "cvc5",
            Solver::Builtin => "builtin",
        }
    }

    /// All ways to ask the program of this name.
    pub fn from_name(name: &str) -> Vec<Solver> {
        Solver::ALL.into_iter().chain([Solver::Builtin]).filter(|solver| solver.program() == name).collect()
    }
}

/// The packages that [`install`] installs.
pub const PACKAGES: [&str; 3] = ["z3-solver==5.4.1", "cvc5==1.4.2", "bitwuzla==0.9.1"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// With the values of the script's variables, in its order.
    Sat(Vec<u128>),
    Unsat,
    /// Out of time, or undecided.
    Unknown,
    /// The solver is missing, died, or complained.
    Failed(String),
}

/// Said of a solver that cannot be started.
pub const MISSING: &str = "not installed in";

const DRIVER: &str = include_str!("solver.py");

/// Solvers of one worker, started when first asked.
pub struct Solvers {
    directory: PathBuf,
    running: Vec<(Solver, Result<Process, String>)>,
}

struct Process {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    version: String,
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have ended already; there is nothing to do about a failure here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where solvers are looked for: `VWASM_SOLVERS`, else `target/solvers` beside the specification.
pub fn directory(spec: &Path) -> PathBuf {
    match std::env::var_os("VWASM_SOLVERS") {
        Some(path) => PathBuf::from(path),
        None => spec.parent().unwrap_or(Path::new("")).join("target/solvers"),
    }
}

/// Makes the virtual environment and installs the solvers into it.
pub fn install(directory: &Path) -> Result<(), String> {
    let run = |program: &Path, args: &[&str]| {
        let status = Command::new(program).args(args).status();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("{} {}: {status}", program.display(), args.join(" "))),
            Err(error) => Err(format!("{}: {error}", program.display())),
        }
    };
    run(Path::new("python3"), &["-m", "venv", &directory.to_string_lossy()])?;
    let mut args = vec!["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    args.extend(PACKAGES);
    run(&directory.join("bin/python"), &args)
}

/// Reads lines until the process ends.
fn reader(output: ChildStdout) -> Receiver<String> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            let Ok(line) = line else { break };
            if send.send(line).is_err() {
                break;
            }
        }
    });
    receive
}

impl Process {
    fn start(solver: Solver, directory: &Path) -> Result<Process, String> {
        let mut command = match solver {
            Solver::Z3 => {
                let mut command = Command::new(directory.join("bin/z3"));
                command.arg("-in");
                command
            }
            _ => {
                let mut command = Command::new(directory.join("bin/python"));
                command.args(["-c", DRIVER, solver.program()]);
                if solver == Solver::Cvc5Integers {
                    command.arg("integers");
                }
                command
            }
        };
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child =
            started.map_err(|error| format!("{} is {MISSING} {}: {error}", solver.program(), directory.display()))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(format!("{} has no input or output", solver.program()));
        };
        let mut process = Process { child, input, lines: reader(output), version: String::new() };
        if solver == Solver::Z3 {
            process.send("(get-info :version)\n")?;
        }
        let Ok(line) = process.lines.recv_timeout(Duration::from_secs(60)) else {
            let mut complaint = String::new();
            // What it said on standard error is a help only.
            let _ = process.child.kill();
            if let Some(mut errors) = process.child.stderr.take() {
                let _ = errors.read_to_string(&mut complaint);
            }
            let last = complaint.lines().last().unwrap_or("it did not start").to_string();
            return Err(format!("{} does not run: {last}", solver.program()));
        };
        process.version = line.trim_start_matches("(:version").trim_matches([' ', ')', '"']).to_string();
        Ok(process)
    }

    fn send(&mut self, text: &str) -> Result<(), String> {
        self.input.write_all(text.as_bytes()).and_then(|()| self.input.flush()).map_err(|error| error.to_string())
    }

    /// A line, waited for a little longer than the solver itself was told to take.
    fn line(&mut self, limit: Duration) -> Result<Option<String>, String> {
        match self.lines.recv_timeout(limit + Duration::from_secs(5)) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err("the solver ended".into()),
        }
    }

    /// None: out of time, and the process is of no more use.
    fn ask(&mut self, solver: Solver, script: &Script, limit: Duration) -> Result<Option<Verdict>, String> {
        let names: Vec<String> = script.variables.iter().map(|(_, number)| format!("t{number}")).collect();
        let milliseconds = limit.as_millis();
        if solver != Solver::Z3 {
            let header = format!("{} {milliseconds} {}\n", script.text.len(), names.join(" "));
            self.send(&header)?;
            self.send(&script.text)?;
            let Some(line) = self.line(limit)? else { return Ok(None) };
            return Ok(Some(verdict(&line)));
        }
        self.send(&format!("(reset)\n(set-option :timeout {milliseconds})\n{}(check-sat)\n", script.text))?;
        let Some(line) = self.line(limit)? else { return Ok(None) };
        if line != "sat" || names.is_empty() {
            return Ok(Some(verdict(&line)));
        }
        self.send(&format!("(get-value ({}))\n(echo \"end\")\n", names.join(" ")))?;
        let mut values = String::new();
        loop {
            let Some(line) = self.line(limit)? else { return Ok(None) };
            if line == "end" {
                break;
            }
            values.push_str(&line);
            values.push(' ');
        }
        // ((t0 #x00000000) (t1 true)): every second word is a value.
        let words = values.split(|c: char| c.is_whitespace() || c == '(' || c == ')').filter(|word| !word.is_empty());
        let values: Vec<&str> = words.skip(1).step_by(2).collect();
        Ok(Some(verdict(&format!("sat {}", values.join(" ")))))
    }
}

fn value(word: &str) -> Option<u128> {
    match word {
        "true" => Some(1),
        "false" => Some(0),
        _ => match (word.strip_prefix("#b"), word.strip_prefix("#x")) {
            (Some(digits), _) => u128::from_str_radix(digits, 2).ok(),
            (_, Some(digits)) => u128::from_str_radix(digits, 16).ok(),
            // Of a script over integers, whose variables are not negative.
            _ => word.parse().ok(),
        },
    }
}

fn verdict(line: &str) -> Verdict {
    let mut words = line.split_whitespace();
    match words.next() {
        Some("unsat") => Verdict::Unsat,
        Some("unknown" | "timeout") => Verdict::Unknown,
        Some("sat") => match words.map(value).collect::<Option<Vec<u128>>>() {
            Some(values) => Verdict::Sat(values),
            None => Verdict::Failed(format!("values not understood: {line}")),
        },
        _ => Verdict::Failed(line.to_string()),
    }
}

impl Solvers {
    pub fn new(directory: &Path) -> Solvers {
        Solvers { directory: directory.to_path_buf(), running: Vec::new() }
    }

    fn process(&mut self, solver: Solver) -> &mut Result<Process, String> {
        let place = match self.running.iter().position(|(known, _)| *known == solver) {
            Some(place) => place,
            None => {
                self.running.push((solver, Process::start(solver, &self.directory)));
                self.running.len() - 1
            }
        };
        &mut self.running[place].1
    }

    /// `z3-5.4.1`
    pub fn version(&mut self, solver: Solver) -> Result<String, String> {
        if solver == Solver::Builtin {
            return Ok(super::blast::VERSION.into());
        }
        let process = self.process(solver).as_ref().map_err(Clone::clone)?;
        Ok(format!("{}-{}", solver.program(), process.version))
    }

    /// Whether the script's assertions can hold together, and how long it took to say.
    pub fn ask(&mut self, solver: Solver, script: &Script, limit: Duration) -> (Verdict, Duration) {
        let start = Instant::now();
        let answer = match self.process(solver) {
            Ok(process) => process.ask(solver, script, limit),
            Err(why) => return (Verdict::Failed(why.clone()), start.elapsed()),
        };
        let verdict = match answer {
            Ok(Some(verdict)) => return (verdict, start.elapsed()),
            Ok(None) => Verdict::Unknown,
            Err(why) => Verdict::Failed(why),
        };
        self.running.retain(|(known, _)| *known != solver);
        (verdict, start.elapsed())
    }
}
