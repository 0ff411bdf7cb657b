//! What Rust's standard library makes of WASI: files, directories, links, times, the environment, streams. Each case is a line:
//! what was asked, and what came of it (a value, or an error's kind and number).
#![feature(wasi_ext)]

use std::collections::HashMap;
use std::fmt::{Debug, Display};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

fn case<T: Debug>(what: impl Display, outcome: io::Result<T>) {
    match outcome {
        Ok(value) => println!("{what} = {value:?}"),
        Err(error) => println!("{what} = {:?} {:?}", error.kind(), error.raw_os_error()),
    }
}

/// The names in a directory, in order.
fn names(path: &str) -> io::Result<Vec<(String, bool, bool)>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        names.push((entry.file_name().into_string().unwrap_or_default(), kind.is_dir(), kind.is_symlink()));
    }
    names.sort();
    Ok(names)
}

fn about(path: &str, follow: bool) -> io::Result<(bool, bool, bool, u64)> {
    let found = if follow { fs::metadata(path)? } else { fs::symlink_metadata(path)? };
    let size = if found.is_file() { found.len() } else { 0 };
    Ok((found.is_file(), found.is_dir(), found.file_type().is_symlink(), size))
}

fn environment() {
    println!("arguments {:?}", std::env::args().collect::<Vec<_>>());
    let mut variables: Vec<_> = std::env::vars().collect();
    variables.sort();
    println!("variables {variables:?}");
    for name in ["NAME", "EMPTY", "NONE", "UMLAUT"] {
        println!("var {name} = {:?}", std::env::var(name));
    }
    case("current_dir", std::env::current_dir());
    let mut line = String::new();
    case("stdin line", io::stdin().read_line(&mut line).map(|count| (count, line.clone())));
    case("stdin again", io::stdin().read_line(&mut line));
}

fn files() {
    let modes: [(&str, fn(&mut OpenOptions) -> &mut OpenOptions); 10] = [
        ("read", |o| o.read(true)),
        ("write", |o| o.write(true)),
        ("append", |o| o.append(true)),
        ("create", |o| o.write(true).create(true)),
        ("create_new", |o| o.write(true).create_new(true)),
        ("truncate", |o| o.write(true).truncate(true)),
        ("read append", |o| o.read(true).append(true)),
        ("create truncate", |o| o.write(true).create(true).truncate(true)),
        ("read create", |o| o.read(true).create(true)),
        ("nothing", |o| o),
    ];
    for path in ["/granted/file", "/granted/none", "/granted/directory", "/granted/directory/", "/granted/file/", "/granted/", "/other/file", "file", "", "/granted/../file", "/granted/link", "/granted/dangling", "/granted/loop", "/granted/out"] {
        for (name, mode) in modes {
            let _ = fs::remove_file("/granted/none");
            let _ = fs::write("/granted/file", "0123456789");
            let outcome = mode(&mut OpenOptions::new()).open(path).and_then(|mut file| {
                let mut text = String::new();
                let read = file.read_to_string(&mut text).map_err(|error| error.raw_os_error());
                let written = file.write(b"abc").map_err(|error| error.raw_os_error());
                let place = file.stream_position().map_err(|error| error.raw_os_error());
                Ok((read, written, place))
            });
            case(format_args!("open {path} {name}"), outcome);
            case("  then", fs::read_to_string("/granted/file"));
        }
    }
    let _ = fs::remove_file("/granted/none");
}

fn positions() -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).open("/granted/positions")?;
    case("write_all", file.write_all(b"The quick brown fox"));
    for to in [SeekFrom::Start(4), SeekFrom::Current(2), SeekFrom::End(-3), SeekFrom::End(5), SeekFrom::Current(-100), SeekFrom::Start(u64::MAX)] {
        case(format_args!("seek {to:?}"), file.seek(to));
        let mut four = [0; 4];
        case("  read", file.read(&mut four).map(|count| (count, four)));
    }
    case("rewind", file.rewind());
    let (mut one, mut two) = ([0; 3], [0; 7]);
    case("read_vectored", file.read_vectored(&mut [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)]));
    case("  pieces", Ok((one, two)));
    case("write_vectored", file.write_vectored(&[IoSlice::new(b"12"), IoSlice::new(b""), IoSlice::new(b"345")]));
    for length in [30, 5, 0, 1 << 20, u64::MAX] {
        case(format_args!("set_len {length}"), file.set_len(length));
        case("  length", file.metadata().map(|found| found.len()));
    }
    case("sync_all", file.sync_all());
    case("sync_data", file.sync_data());
    case("try_clone", file.try_clone().map(|_| ()));
    let mut writer = BufWriter::new(File::create("/granted/lines")?);
    for n in 0..5000 {
        writeln!(writer, "line {n}")?;
    }
    case("flush", writer.flush());
    drop(writer);
    let lines = BufReader::new(File::open("/granted/lines")?).lines().collect::<io::Result<Vec<_>>>();
    case("lines", lines.map(|lines| (lines.len(), lines[4999].clone())));
    Ok(())
}

fn directories() {
    for path in ["/granted/d", "/granted/d", "/granted/d/e/f", "/granted/file", "/granted/link", "/granted/none/x", "/granted/", "/", "", "/other"] {
        case(format_args!("create_dir {path}"), fs::create_dir(path));
    }
    for path in ["/granted/d/e/f/g", "/granted/file/x", "/granted/d", "/granted/link/y"] {
        case(format_args!("create_dir_all {path}"), fs::create_dir_all(path));
    }
    for path in ["/granted", "/granted/", "/granted/d", "/granted/file", "/granted/none", "/granted/link", "/granted/out", "/"] {
        case(format_args!("read_dir {path}"), names(path));
    }
    for path in ["/granted/d", "/granted/file", "/granted/none", "/granted/link", "/granted/dangling", "/granted/loop", "/granted/out", "/granted/d/", "/granted/file/", "/granted/d/..", "/granted/d/../.."] {
        case(format_args!("metadata {path}"), about(path, true));
        case(format_args!("symlink_metadata {path}"), about(path, false));
        case(format_args!("exists {path}"), Ok(Path::new(path).exists()));
        case(format_args!("read_link {path}"), fs::read_link(path));
        case(format_args!("canonicalize {path}"), fs::canonicalize(path));
    }
    for path in ["/granted/d", "/granted/file", "/granted/none", "/granted/link", "/granted/d/e/f/g", "/granted/d/e/f/g"] {
        case(format_args!("remove_dir {path}"), fs::remove_dir(path));
    }
    case("remove_dir_all", fs::remove_dir_all("/granted/d"));
    case("remove_dir_all again", fs::remove_dir_all("/granted/d"));
}

/// A directory with entries of every kind, new for each case.
fn start(place: &str) -> io::Result<()> {
    fs::create_dir_all(format!("{place}/d/deep"))?;
    fs::create_dir(format!("{place}/empty"))?;
    fs::write(format!("{place}/f"), "f")?;
    fs::write(format!("{place}/g"), "g")?;
    std::os::wasi::fs::symlink_path("f", format!("{place}/l"))
}

fn names_change() {
    let places = ["f", "g", "d", "empty", "l", "none", "d/deep", "d/x", "none/x", "", "../file2"];
    let actions: [(&str, fn(&str, &str) -> io::Result<u64>); 4] = [
        ("rename", |a, b| fs::rename(a, b).map(|()| 0)),
        ("hard_link", |a, b| fs::hard_link(a, b).map(|()| 0)),
        ("copy", |a, b| fs::copy(a, b)),
        ("symlink", |a, b| std::os::wasi::fs::symlink_path(a.rsplit('/').next().unwrap_or(a), b).map(|()| 0)),
    ];
    let mut number = 0;
    let mut fresh = || {
        number += 1;
        let place = format!("/granted/n{number}");
        start(&place).map(|()| place)
    };
    for from in places {
        for to in places {
            for (name, action) in actions {
                let place = fresh().expect("a directory of the case's own");
                case(format_args!("{name} {from} {to}"), action(&format!("{place}/{from}"), &format!("{place}/{to}")));
                case("  names", names(&place));
                let _ = fs::remove_file("/granted/file2");
            }
        }
        let place = fresh().expect("a directory of the case's own");
        case(format_args!("remove_file {from}"), fs::remove_file(format!("{place}/{from}")));
        case("  names", names(&place));
    }
    case("remove_dir_all n1", fs::remove_dir_all("/granted/n1"));
}

fn times() {
    let (start, now) = (Instant::now(), SystemTime::now());
    std::thread::sleep(Duration::from_millis(3));
    println!("elapsed = {}", start.elapsed() >= Duration::from_millis(3));
    println!("after 2020 = {}", now.duration_since(SystemTime::UNIX_EPOCH).map_or(false, |since| since.as_secs() > 1_577_836_800));
    let recent = |time: io::Result<SystemTime>| time.map(|time| now.duration_since(time).map_or(true, |age| age.as_secs() < 60));
    case("modified", fs::metadata("/granted/file").and_then(|found| recent(found.modified())));
    case("accessed", fs::metadata("/granted/file").and_then(|found| recent(found.accessed())));
    case("spawn", std::thread::Builder::new().spawn(|| ()).map(|_| ()));
    // Seeded by random_get.
    let map: HashMap<u32, u32> = (0..1000).map(|n| (n, n * n)).collect();
    println!("sum = {}", map.values().sum::<u32>());
}

fn main() {
    let links = [("file", "link"), ("nowhere", "dangling"), ("loop", "loop"), ("../outside", "out")];
    for (target, name) in links {
        case(format_args!("symlink {name}"), std::os::wasi::fs::symlink_path(target, format!("/granted/{name}")));
    }
    case("create_dir", fs::create_dir("/granted/directory"));
    environment();
    files();
    case("positions", positions());
    directories();
    names_change();
    times();
    eprintln!("on the error stream");
    case("stdout flush", io::stdout().flush());
    std::process::exit(0);
}
