#!/usr/bin/env python3
"""Instance creation beside Wasmtime's pooling allocator, in one run.

    tests/bench/instances.py                builds what it needs, then about ten seconds
    tests/bench/instances.py --rounds 20    more of it

One C program (instances.c), which knows nothing but the WebAssembly C API, is linked with vwasm's library and with Wasmtime's.
It makes a store and an instance, calls an exported function twice, and deletes all, 3,000 times in a process; processes of
the engines alternate. Reported are medians in microseconds, warm:

    made        store and instance, with nothing of its memory touched
    + call      the first call in addition: what it touches of stack, memory and fields faults for the first time
    + again     a second call in addition: what a call costs by itself
    all         from the beginning until everything is deleted, resetting for the next tenant included

Wasmtime is measured twice: as it is by default (dropped pages go back to the kernel), and told to clear up to 1 MiB of each
memory by hand and keep it. First use needs the network: Python's package registry.
"""

import argparse
import pathlib
import statistics
import subprocess
import sys

import measure

WASMTIME = "wasmtime==50.0.1"
COUNT = 3000
WARM = 500

SMALL = """(module (func (export "work") (param i32) (result i32)
    (i32.store (i32.const 100) (i32.add (i32.load (i32.const 100)) (local.get 0)))
    (global.set $g (i32.add (global.get $g) (i32.const 1)))
    (i32.add (i32.load (i32.const 100)) (global.get $g)))
  (memory 2) (data (i32.const 5) "data") (table 10 funcref) (global $g (mut i32) (i32.const 0)))"""
FUNCTIONS = "".join(f'(func (export "f{n}") (result i32) (i32.const {n}))' for n in range(200))
LARGE = f"""(module (func (export "work") (param i32) (result i32) (i32.load8_u offset=1024 (local.get 0)))
  (memory 17) (table 100 funcref) (elem (i32.const 1) func 0 1 2 3 4 5 6 7 8 9) {FUNCTIONS}
  (data (i32.const 1024) "{'x' * 60000}"))"""
MODULES = {"small": SMALL, "200 functions, 60 kB of data, 1.1 MB": LARGE}


def wasmtime():
    """Where Wasmtime's library is, installed into a private environment on first use; and a Python that has it."""
    environment = measure.CACHE / "wasmtime-library"
    pattern = "lib/python*/site-packages/wasmtime/linux-x86_64/_libwasmtime.so"
    found = next(environment.glob(pattern), None)
    if not found:
        print(f"installing {WASMTIME} into tests/bench/.cache", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        subprocess.run([environment / "bin/python", "-m", "pip", "install", "-q", WASMTIME], check=True)
        found = next(environment.glob(pattern))
    return found, environment / "bin/python"


def build(directory):
    """The program of each engine, and the modules."""
    library, python = wasmtime()
    for number, text in enumerate(MODULES.values()):
        script = "import sys, wasmtime; sys.stdout.buffer.write(wasmtime.wat2wasm(sys.stdin.read()))"
        binary = subprocess.run([python, "-c", script], input=text.encode(), check=True, capture_output=True).stdout
        (directory / f"{number}.wasm").write_bytes(binary)
    subprocess.run(["cargo", "build", "-q", "--release", "-p", "vwasm-c-api"], cwd=measure.REPOSITORY, check=True)
    common = ["gcc", "-O2", "-I", measure.REPOSITORY / "compiler/c-api/include", measure.HERE / "instances.c"]
    engines = {
        "vwasm": [measure.REPOSITORY / "target/release/libvwasm_c_api.a", "-lm", "-lpthread"],
        "wasmtime": ["-DWASMTIME", "-DKEEP=0", library, f"-Wl,-rpath,{library.parent}"],
        "wasmtime, keeping": ["-DWASMTIME", "-DKEEP=1048576", library, f"-Wl,-rpath,{library.parent}"],
    }
    for number, (name, arguments) in enumerate(engines.items()):
        program = directory / f"engine{number}"
        subprocess.run([*common, *arguments, "-o", program], check=True)
        engines[name] = program
    return engines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="processes of each engine for each module")
    options = parser.parse_args()
    directory = measure.CACHE / "instances"
    directory.mkdir(parents=True, exist_ok=True)
    engines = build(directory)
    for number, module in enumerate(MODULES):
        samples = {name: [] for name in engines}
        for _ in range(options.rounds):
            for name, program in engines.items():
                output = subprocess.run([program, directory / f"{number}.wasm", str(COUNT)], check=True, capture_output=True)
                lines = [[int(field) for field in line.split()] for line in output.stdout.decode().splitlines()]
                samples[name] += lines[WARM:]
        print(f"{module}\n{'':24}{'made':>8}{'+ call':>8}{'+ again':>9}{'all':>8}   microseconds, medians")
        for name, lines in samples.items():
            made = statistics.median(line[0] for line in lines)
            call = statistics.median(line[1] - line[0] for line in lines)
            again = statistics.median(line[2] - line[1] for line in lines)
            whole = statistics.median(line[3] for line in lines)
            print(f"  {name:22}{made / 1000:8.2f}{call / 1000:8.2f}{again / 1000:9.2f}{whole / 1000:8.2f}")


if __name__ == "__main__":
    main()
