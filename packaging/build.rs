//! Tells the linker to keep one copy of functions that came out alike, and to leave out the tables
//! that unwind the stack: 2 % and 13 % of the binary, and so of what is read at boot.
//!
//! Only lld can do this. It is rustc's own linker on x86-64 Linux, unless another one is named;
//! packaging/zig-cc does the same for what ships.

fn main() {
    println!("cargo:rerun-if-changed=packaging/build.rs");
    let target = |part: &str| std::env::var(format!("CARGO_CFG_TARGET_{part}")).unwrap_or_default();
    let release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let rustcs_own = std::env::var_os("RUSTC_LINKER").is_none();
    if release && rustcs_own && target("ARCH") == "x86_64" && target("ENV") == "gnu" {
        let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        println!("cargo:rerun-if-changed=packaging/discard.ld");
        println!("cargo:rustc-link-arg-bins=-Wl,--icf=all");
        println!("cargo:rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
        println!("cargo:rustc-link-arg-bins=-Wl,-T,{folder}/packaging/discard.ld");
    }
}
