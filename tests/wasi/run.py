#!/usr/bin/env python3
"""WASI, case by case, compared with Wasmtime.

    cargo build --release
    tests/wasi/run.py                      all programs, and what needs a second process: about a minute
    tests/wasi/run.py --only open,paths    some
    tests/wasi/run.py --only sequences --sequences 1000
                                           more random calls: 1000 times 100 instead of 20 times
    tests/wasi/run.py --store              keep what Wasmtime gives as what `cargo test` expects (expected/*.txt)
    tests/wasi/run.py --build              rebuild wasm/*.wasm first (after changing a program)

Each of programs/*.c calls the functions of wasi_snapshot_preview1 directly and writes one line for each case: the call and
the error number it gave, then what it brought about; rust.rs goes through Rust's standard library, assembly.ts is AssemblyScript. Compiled by `vwasm compile` and run, and run by Wasmtime, each in a
directory of its own, the lines must be the same, and so must every file left behind, but for what differences.txt lists.
Then come attempts to leave the granted directory, some while a second process exchanges directories and links, checked by
what they read and change outside. The last line is `N cases, N wrong`; the exit code is 0 only if none is wrong.
"""

import argparse
import os
import pathlib
import shutil
import stat
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "bench"))
import build  # noqa: E402
import measure  # noqa: E402

CACHE = HERE / ".cache"
ASSEMBLYSCRIPT = "assemblyscript@0.28.20"
PROGRAMS = ["system", "descriptors", "io", "open", "paths", "times", "readdir", "poll", "sequences", "rust", "assembly"]
INPUT = b"0123456789"
ENVIRONMENT = ["EMPTY=", "NAME=value", "SPACES=a b  c", "EQUALS=a=b=c", "UMLAUT=ä"]
ARGUMENTS = ["", "one", "two words", "--flag=x", "ünï", "a" * 300]

# Programs whose lines are not compared, but checked for what must not be in them.
ATTACKS = ["escape", "race", "procfs"]
DIFFERENCES = [line.split("\t")[:2] for line in (HERE / "differences.txt").read_text().splitlines() if line[:1] not in ("", "#")]


def wasm(name):
    return HERE / "wasm" / f"{name}.wasm"


def build_rust(source, output):
    """Debian's packages rustc and libstd-rust-dev-wasm32 have the target; so may a toolchain of rustup's."""
    for rustc in ["rustc", "/usr/bin/rustc"]:
        for target in ["wasm32-wasip1", "wasm32-wasi"]:
            found = subprocess.run([rustc, "--print", "target-libdir", "--target", target], capture_output=True, text=True)
            if found.returncode == 0 and pathlib.Path(found.stdout.strip()).is_dir():
                # RUSTC_BOOTSTRAP: making symbolic links is an unstable feature under WASI.
                flags = ["--edition", "2021", "-Copt-level=s", "-Cstrip=symbols", "-Cpanic=abort", "-Clto=fat"]
                command = ["env", "RUSTC_BOOTSTRAP=1", rustc, "--target", target, *flags, "-o", output, source]
                return build.run(command + (["-Clinker=wasm-ld"] if target == "wasm32-wasi" else []))
    sys.exit("no rustc for WASI (Debian: rustc, libstd-rust-dev-wasm32 and lld)")


def build_assemblyscript(source, output):
    place = CACHE / "assemblyscript"
    if not (place / "node_modules/assemblyscript").is_dir():
        place.mkdir(parents=True, exist_ok=True)
        (place / "package.json").write_text("{}")
        build.run(["npm", "install", "--silent", ASSEMBLYSCRIPT], cwd=place)
    shutil.copy(source, place)
    command = ["npx", "asc", source.name, "-Os", "--exportStart", "_start", "--use", "abort=assembly/abort", "-o", output]
    build.run(command, cwd=place)


def build_all():
    for suffix, compile in {".rs": build_rust, ".ts": build_assemblyscript}.items():
        for source in sorted((HERE / "programs").glob(f"*{suffix}")):
            print(f"building {source.stem}", file=sys.stderr)
            compile(source, wasm(source.stem))
    for source in sorted((HERE / "programs").glob("*.c")):
        flags = ["-Os", "-std=gnu11", "-Wall", "-Wno-unused-function", "-nostdlib", "-fno-builtin", "-mbulk-memory", "-s"]
        command = [*build.zig(), "-target", "wasm32-wasi", *flags, "-Wl,--export=_start,--stack,1048576", "-o", wasm(source.stem), source]
        print(f"building {source.stem}", file=sys.stderr)
        build.run(command)


def arguments(options, name):
    return ["0", str(options.sequences)] if name == "sequences" and options.sequences else ARGUMENTS


def fresh(name, engine):
    place = CACHE / name / engine
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    return place


def run_vwasm(options, name):
    place, program = fresh(name, "vwasm"), CACHE / f"{name}.exe"
    command = [options.vwasm, "compile", wasm(name), "-o", program, "--dir", f"{place}::/granted"]
    for variable in ENVIRONMENT:
        command += ["--env", variable]
    subprocess.run([str(c) for c in command], check=True)
    command = ["bash", "-c", 'exec -a program "$0" "$@"', program, *arguments(options, name)]
    return measure.run(command, stdin=INPUT, timeout=120), place


def run_wasmtime(options, name):
    place = fresh(name, "wasmtime")
    command = [measure.wasmtime(), "run", "--dir", f"{place}::/granted", "--argv0", "program"]
    for variable in ENVIRONMENT:
        command += ["--env", variable]
    return measure.run([*command, wasm(name), *arguments(options, name)], stdin=INPUT, timeout=120), place


def tree(place):
    """Everything below a directory: kinds, contents, targets."""
    found = {}
    for path in sorted(place.rglob("*")):
        name, mode = str(path.relative_to(place)), path.lstat().st_mode
        if stat.S_ISREG(mode):
            found[name] = path.read_bytes()
        elif stat.S_ISLNK(mode):
            found[name] = "-> " + str(path.readlink())
        else:
            found[name] = stat.S_IFMT(mode)
    return found


def meant(name, line):
    return any(program == name and line.startswith(start) for program, start in DIFFERENCES)


def compare(name, ours, theirs):
    """Pairs of lines that differ and are not meant to."""
    ours, theirs = ours.decode().splitlines(), theirs.decode().splitlines()
    problems = [] if len(ours) == len(theirs) else [f"{len(ours)} lines, Wasmtime {len(theirs)}"]
    heading = ""
    for mine, other in zip(ours, theirs):
        indented = mine.startswith(" ")
        full = heading + mine if indented else mine
        if mine != other and not meant(name, full):
            problems.append(f"{full}   Wasmtime: {other}")
        if not indented:
            heading = mine
    return problems


def outside(place):
    """A directory beside the granted one, and links to it in that."""
    (place / "outside").mkdir()
    (place / "outside/secret").write_text("SECRET")
    (place / "outside/victim").write_text("SECRET")
    granted = place / "granted"
    (granted / "sub/deep").mkdir(parents=True)
    (granted / "inside").write_text("inside")
    here = str(place)
    links = {
        "absolute": f"{here}/outside/secret", "relative": "../outside/secret", "absolute_directory": f"{here}/outside",
        "relative_directory": "../outside", "chain": "chain2", "chain2": "sub/chain3", "sub/chain3": "../../outside", "sub/deep/up": "../../..",
        "root": "/", "proc": "/proc/self", "descriptors": "/proc/self/fd", "executable": "/proc/self/exe", "working": "/proc/self/cwd",
        "back": "../granted", "device": "/dev/zero", "terminal": "/dev/tty", "self": ".", "sub/relative": "../../outside/secret",
        "sub/deep/relative": "../../../outside/secret",
    }
    for name, target in links.items():
        (granted / name).symlink_to(target)
    return granted


def attack(options, name):
    """Runs an attack; gives the lines and what is wrong with the outcome."""
    place = fresh(name, "vwasm").resolve()
    program, problems = CACHE / f"{name}.exe", []
    granted = outside(place)
    before = tree(place / "outside"), (place / "outside/secret").stat().st_mtime_ns
    command = [options.vwasm, "compile", wasm(name), "-o", program, "--dir", "/" if name == "procfs" else f"{granted}::/"]
    subprocess.run([str(c) for c in command], check=True)
    left_open = os.open(place / "outside", os.O_RDONLY)
    flipper = None
    if name == "race":
        (granted / "flip").mkdir()
        (granted / "flip/secret").write_text("inside, and longer")
        (granted / "other").symlink_to("../outside")
        flipper = subprocess.Popen([sys.executable, "-c", FLIP, granted / "flip", granted / "other"])
    run = subprocess.run([program], capture_output=True, pass_fds=[left_open], timeout=60)
    if flipper:
        flipper.kill()
        flipper.wait()
    os.close(left_open)
    lines = run.stdout.decode()
    if run.returncode != 0:
        problems.append(f"exit {run.returncode}: {run.stderr.decode()}")
    if name != "race" and "successes 0\n" not in lines or name == "race" and "leaked 0\n  met inside 1\n  met refusal 1\n" not in lines:
        problems.append("an attempt succeeded, or none was made")
        problems += [line for line in lines.splitlines() if line.startswith(("ESCAPED", " ", "Wasmtime"))]
    if "SECRET" in lines or (tree(place / "outside"), (place / "outside/secret").stat().st_mtime_ns) != before:
        problems.append("something outside was read or changed")
    return lines, problems


# Exchanges two names, over and over.
FLIP = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
a, b = (os.fsencode(p) for p in sys.argv[1:])
while True:
    libc.renameat2(-100, a, -100, b, 2)
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="A,B", help=f"only these ({', '.join(PROGRAMS + ATTACKS)})")
    parser.add_argument("--build", action="store_true", help="rebuild the modules from programs/")
    parser.add_argument("--sequences", type=int, metavar="N", help="of the program sequences, this many")
    parser.add_argument("--store", action="store_true", help="keep Wasmtime's lines in expected/")
    parser.add_argument("--vwasm", type=pathlib.Path, default=measure.REPOSITORY / "target/release/vwasm", metavar="PATH",
                        help="the compiler (default target/release/vwasm)")
    options = parser.parse_args()
    every = PROGRAMS + ATTACKS
    chosen = options.only.split(",") if options.only else every
    if unknown := set(chosen) - set(every):
        sys.exit(f"no program {', '.join(sorted(unknown))}; there are: {', '.join(every)}")
    options.vwasm = options.vwasm.resolve()
    if options.build:
        build_all()
    cases = differ = 0
    for name in chosen:
        if name in ATTACKS:
            lines, problems = attack(options, name)
            count = sum(line.startswith(("refused", "ESCAPED", "proc/", "dev/")) for line in lines.splitlines()) or 1
            print(f"{name}: {count} attempts, {len(problems)} wrong")
            for problem in problems:
                print(f"    {problem}")
            cases, differ = cases + count, differ + len(problems)
            continue
        theirs, their_place = run_wasmtime(options, name)
        ours, our_place = run_vwasm(options, name)
        problems = compare(name, ours.stdout, theirs.stdout)
        if ours.code != theirs.code:
            problems.append(f"exit {ours.code}, Wasmtime {theirs.code}: {ours.stderr[-300:].decode()} {theirs.stderr[-300:].decode()}")
        mine, other = tree(our_place), tree(their_place)
        for path in sorted(mine.keys() | other.keys()):
            if mine.get(path) != other.get(path) and not meant(name, f"file {path}"):
                problems.append(f"file {path}: {mine.get(path)!r}, Wasmtime {other.get(path)!r}")
        count = theirs.stdout.count(b" = ")
        print(f"{name}: {count} cases, {len(problems)} wrong")
        for problem in problems:
            print(f"    {problem}")
        cases += count
        differ += len(problems)
        if options.store:
            (HERE / "expected").mkdir(exist_ok=True)
            (HERE / "expected" / f"{name}.txt").write_bytes(theirs.stdout)
    print(f"{cases} cases, {differ} wrong")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
