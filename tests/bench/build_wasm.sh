#!/bin/sh
# Rebuilds wasm/*.wasm from programs/*.c:
#
#     tests/bench/build_wasm.sh [PROGRAM...]
#
# The compiler is Zig's clang with its own wasi-libc, from the Python package `ziglang`, installed into .cache/ on
# first use. The .wasm files are committed, so that a benchmark needs no toolchain; run this after changing a program
# and commit both.
set -eu
cd "$(dirname "$0")"

ZIG_VERSION=0.17.1
if [ ! -x .cache/zig/bin/python ]; then
    python3 -m venv .cache/zig
fi
.cache/zig/bin/python -c 'import ziglang' 2>/dev/null || .cache/zig/bin/pip install -q "ziglang==$ZIG_VERSION"
export ZIG_GLOBAL_CACHE_DIR="$PWD/.cache/zig-cache" ZIG_LOCAL_CACHE_DIR="$PWD/.cache/zig-cache"

[ $# -gt 0 ] || set -- $(cd programs && ls *.c | sed 's/\.c$//')
mkdir -p wasm
for name in "$@"; do
    # WebAssembly 2.0 without SIMD, WASI preview 1; nothing later (no tail calls, exceptions, threads).
    .cache/zig/bin/python -m ziglang cc -target wasm32-wasi -O3 -s -std=c11 -Wall \
        -mcpu=generic+bulk_memory+sign_ext+nontrapping_fptoint+mutable_globals+multivalue+reference_types \
        -Wl,-z,stack-size=1048576 -o "wasm/$name.wasm" "programs/$name.c"
    echo "wasm/$name.wasm $(wc -c < "wasm/$name.wasm") bytes"
done
