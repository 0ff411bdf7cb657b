// WASI from AssemblyScript: its strings, arrays, maps and collected garbage over calls declared here. Each case is a line.

@external("wasi_snapshot_preview1", "fd_write") declare function fd_write(fd: i32, vectors: usize, count: i32, done: usize): i32;
@external("wasi_snapshot_preview1", "fd_read") declare function fd_read(fd: i32, vectors: usize, count: i32, done: usize): i32;
@external("wasi_snapshot_preview1", "fd_close") declare function fd_close(fd: i32): i32;
@external("wasi_snapshot_preview1", "fd_seek") declare function fd_seek(fd: i32, by: i64, whence: i32, place: usize): i32;
@external("wasi_snapshot_preview1", "fd_tell") declare function fd_tell(fd: i32, place: usize): i32;
@external("wasi_snapshot_preview1", "fd_filestat_get") declare function fd_filestat_get(fd: i32, stat: usize): i32;
@external("wasi_snapshot_preview1", "fd_filestat_set_size") declare function fd_filestat_set_size(fd: i32, size: u64): i32;
@external("wasi_snapshot_preview1", "fd_prestat_get") declare function fd_prestat_get(fd: i32, prestat: usize): i32;
@external("wasi_snapshot_preview1", "fd_prestat_dir_name") declare function fd_prestat_dir_name(fd: i32, name: usize, size: usize): i32;
@external("wasi_snapshot_preview1", "path_open") declare function path_open(fd: i32, lookup: i32, path: usize, size: usize, open: i32, rights: u64, inheriting: u64, flags: i32, opened: usize): i32;
@external("wasi_snapshot_preview1", "path_create_directory") declare function path_create_directory(fd: i32, path: usize, size: usize): i32;
@external("wasi_snapshot_preview1", "path_remove_directory") declare function path_remove_directory(fd: i32, path: usize, size: usize): i32;
@external("wasi_snapshot_preview1", "path_unlink_file") declare function path_unlink_file(fd: i32, path: usize, size: usize): i32;
@external("wasi_snapshot_preview1", "args_sizes_get") declare function args_sizes_get(count: usize, size: usize): i32;
@external("wasi_snapshot_preview1", "args_get") declare function args_get(pointers: usize, bytes: usize): i32;
@external("wasi_snapshot_preview1", "environ_sizes_get") declare function environ_sizes_get(count: usize, size: usize): i32;
@external("wasi_snapshot_preview1", "environ_get") declare function environ_get(pointers: usize, bytes: usize): i32;
@external("wasi_snapshot_preview1", "clock_time_get") declare function clock_time_get(clock: i32, precision: u64, time: usize): i32;
@external("wasi_snapshot_preview1", "random_get") declare function random_get(bytes: usize, size: usize): i32;
@external("wasi_snapshot_preview1", "sched_yield") declare function sched_yield(): i32;
@external("wasi_snapshot_preview1", "proc_exit") declare function proc_exit(status: i32): void;

const scratch: usize = memory.data(16, 8);
// Where calls leave results: at least the 64 bytes of a filestat.
const result: usize = memory.data(64, 8);

// The error, or -1 if only a part was written.
function write(fd: i32, text: string): i32 {
  const bytes = String.UTF8.encode(text);
  store<usize>(scratch, changetype<usize>(bytes));
  store<usize>(scratch, bytes.byteLength, 4);
  return fd_write(fd, scratch, 1, scratch + 8) || (load<u32>(scratch, 8) == <u32>bytes.byteLength ? 0 : -1);
}

function line(text: string): void {
  write(1, text + "\n");
}

function outcome(what: string, error: i32): void {
  line(what + " = " + error.toString());
}

export function abort(message: string | null, file: string | null, row: u32, column: u32): void {
  write(2, (message ? message : "aborted") + "\n");
  proc_exit(255);
}

// What two calls of WASI say about strings: how many, how long; then they.
function strings(count: u32, size: u32, get: (pointers: usize, bytes: usize) => i32): string[] {
  const pointers = heap.alloc(4 * count);
  const bytes = heap.alloc(size);
  outcome("get", get(pointers, bytes));
  const found = new Array<string>();
  for (let n: u32 = 0; n < count; n++) found.push(String.UTF8.decodeUnsafe(load<usize>(pointers + 4 * n), size, true));
  heap.free(pointers);
  heap.free(bytes);
  return found;
}

function open(path: string, flags: i32, fdflags: i32 = 0): i32 {
  const name = String.UTF8.encode(path);
  const rights: u64 = (1 << 1) | (1 << 2) | (1 << 5) | (1 << 6) | (1 << 21) | (1 << 22);
  const error = path_open(3, 1, changetype<usize>(name), name.byteLength, flags, rights, 0, fdflags, result);
  outcome("open " + path + " " + flags.toString() + " " + fdflags.toString(), error);
  return error ? -1 : load<i32>(result);
}

function read(fd: i32, count: i32): string {
  const bytes = new ArrayBuffer(count);
  store<usize>(scratch, changetype<usize>(bytes));
  store<usize>(scratch, count, 4);
  outcome("  read", fd_read(fd, scratch, 1, result));
  return String.UTF8.decodeUnsafe(changetype<usize>(bytes), load<u32>(result));
}

function path(what: string, name: string, call: (fd: i32, path: usize, size: usize) => i32): void {
  const bytes = String.UTF8.encode(name);
  outcome(what + " " + name, call(3, changetype<usize>(bytes), bytes.byteLength));
}

function environment(): void {
  outcome("args_sizes_get", args_sizes_get(result, result + 4));
  const given = strings(load<u32>(result), load<u32>(result, 4), args_get);
  for (let n = 0; n < given.length; n++) line("  " + given[n]);
  outcome("environ_sizes_get", environ_sizes_get(result, result + 4));
  const map = new Map<string, string>();
  const pairs = strings(load<u32>(result), load<u32>(result, 4), environ_get);
  for (let n = 0; n < pairs.length; n++) {
    const at = pairs[n].indexOf("=");
    map.set(pairs[n].substring(0, at), pairs[n].substring(at + 1));
  }
  const names = map.keys().sort();
  for (let n = 0; n < names.length; n++) line("  " + names[n] + " is " + map.get(names[n]));
  outcome("fd_prestat_get 3", fd_prestat_get(3, result));
  const size = load<u32>(result, 4);
  const name = new ArrayBuffer(size);
  outcome("fd_prestat_dir_name 3", fd_prestat_dir_name(3, changetype<usize>(name), size));
  line("  " + String.UTF8.decode(name));
  outcome("fd_prestat_get 4", fd_prestat_get(4, result));
  line("stdin");
  line("  " + read(0, 4));
  line("  " + read(0, 100));
  line("  " + read(0, 100));
}

function files(): void {
  const texts = ["", "a", "Grüße", "€ 🙂 𝄞", "line\nline\n"];
  for (let n = 0; n < texts.length; n++) {
    const name = "t" + n.toString();
    const fd = open(name, 1 | 8);
    outcome("  write", write(fd, texts[n]));
    outcome("  tell", fd_tell(fd, result));
    line("  at " + load<u64>(result).toString());
    for (let whence = 0; whence < 3; whence++) outcome("  seek " + whence.toString(), fd_seek(fd, whence == 2 ? -1 : 1, whence, result));
    outcome("  rewind", fd_seek(fd, 0, 0, result));
    line("  text " + read(fd, 64));
    outcome("  size", fd_filestat_set_size(fd, 3));
    outcome("  stat", fd_filestat_get(fd, result));
    outcome("  close", fd_close(fd));
    outcome("  close again", fd_close(fd));
  }
  for (let flags = 0; flags < 16; flags++) {
    for (let kind = 0; kind < 2; kind++) {
      const fd = open(kind ? "none" : "t1", flags, flags & 1);
      if (fd >= 0) outcome("  close", fd_close(fd));
      if (kind) path("  unlink", "none", path_unlink_file);
    }
  }
  const odd = ["d", "d", "d/e", "x/y", "../d", "/d", "t1", "", ".", "d/../f", "ä\u{301}", "a".repeat(255), "a".repeat(256)];
  for (let n = 0; n < odd.length; n++) path("create", odd[n], path_create_directory);
  for (let n = 0; n < odd.length; n++) path("unlink", odd[n], path_unlink_file);
  for (let n = odd.length - 1; n >= 0; n--) path("remove", odd[n], path_remove_directory);
}

class Node {
  left: Node | null = null;
  right: Node | null = null;
  constructor(public value: i32) {}
}

function tree(depth: i32): Node {
  const node = new Node(depth);
  if (depth > 0) {
    node.left = tree(depth - 1);
    node.right = tree(depth - 1);
  }
  return node;
}

function sum(node: Node | null): i32 {
  return node ? node.value + sum(node.left) + sum(node.right) : 0;
}

// Memory grows, garbage goes.
function garbage(): void {
  let total = 0;
  for (let n = 0; n < 40; n++) total += sum(tree(12));
  outcome("trees", total);
  let words = new Array<string>();
  for (let n = 0; n < 20000; n++) words.push((n * 7919 % 20011).toString());
  words.sort();
  line("sorted = " + words[0] + " " + words[10000] + " " + words[19999]);
  words = [];
  __collect();
  line("pi = " + Math.PI.toString() + " " + (0.1 + 0.2).toString() + " " + (1e21).toString() + " " + f32(1 / 3.0).toString());
  line("math = " + Math.sin(1).toString() + " " + Math.pow(2, 0.5).toString() + " " + Math.exp(1).toString() + " " + NativeMath.log(10).toString());
  line("integers = " + i64.MIN_VALUE.toString() + " " + u64.MAX_VALUE.toString() + " " + (i32.MIN_VALUE / 3).toString() + " " + (-7 % 3).toString());
}

function system(): void {
  for (let clock = 0; clock < 2; clock++) outcome("clock " + clock.toString(), clock_time_get(clock, 0, result));
  const noise = new Uint8Array(64);
  outcome("random_get", random_get(noise.dataStart, 64));
  line("noise = " + (noise.every((byte) => byte == 0) ? "none" : "some"));
  outcome("sched_yield", sched_yield());
  write(2, "on the error stream\n");
}

environment();
files();
garbage();
system();
