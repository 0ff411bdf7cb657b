// Builds the freestanding stub with direct calls of rustc: the runtime as a library, then the stub on top of it. Included by
// the compiler's build script.

/// Builds the stub into `out` and gives its path. `layout` is the generated `layout.rs`.
fn build_stub(runtime: &std::path::Path, layout: &std::path::Path, out: &std::path::Path) -> Result<std::path::PathBuf, String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let library = out.join("libvwasm_runtime.rlib");
    let stub = out.join("stub");
    let common = ["--edition", "2024", "-C", "opt-level=2", "-C", "panic=abort", "-C", "relocation-model=static", "-C", "code-model=small", "-C", "codegen-units=1", "--cfg", "freestanding", "--target", "x86_64-unknown-linux-gnu", "-C", "embed-bitcode=yes"];
    let run = |args: Vec<std::ffi::OsString>| {
        let output = std::process::Command::new(&rustc)
            .args(common)
            .args(args)
            .env("VWASM_LAYOUT", layout)
            .output()
            .map_err(|error| format!("running rustc: {error}"))?;
        if output.status.success() {
            Ok(())
        } else {
            Err(format!("building the stub failed:\n{}", String::from_utf8_lossy(&output.stderr)))
        }
    };
    let mut args: Vec<std::ffi::OsString> = ["--crate-type", "rlib", "--crate-name", "vwasm_runtime", "-o"].map(Into::into).to_vec();
    args.push(library.clone().into());
    args.push(runtime.join("src/lib.rs").into());
    run(args)?;
    let mut args: Vec<std::ffi::OsString> = ["--crate-type", "bin", "--crate-name", "stub", "-C", "lto=fat", "-C", "strip=symbols", "-o"].map(Into::into).to_vec();
    args.push(stub.clone().into());
    let mut external = std::ffi::OsString::from("vwasm_runtime=");
    external.push(&library);
    args.extend(["--extern".into(), external]);
    for link in ["-nostartfiles", "-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none", "-Wl,-z,noexecstack", "-Wl,-z,norelro", "-Wl,-T"] {
        args.push(format!("-Clink-arg={link}").into());
    }
    let mut script = std::ffi::OsString::from("-Clink-arg=");
    script.push(std::path::absolute(runtime.join("src/stub/stub.ld")).map_err(|error| format!("stub.ld: {error}"))?);
    args.push(script);
    args.push(runtime.join("src/stub/main.rs").into());
    run(args)?;
    Ok(stub)
}
