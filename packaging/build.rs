//! Tells the linker to keep one copy of functions that came out alike: 2 % of the binary, and so of
//! what is read at boot.
//!
//! Only lld knows how. It is rustc's own linker on x86-64 Linux, unless somebody names another one.

fn main() {
    println!("cargo:rerun-if-changed=packaging/build.rs");
    let target = |part: &str| std::env::var(format!("CARGO_CFG_TARGET_{part}")).unwrap_or_default();
    let release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let rustcs_own = std::env::var_os("RUSTC_LINKER").is_none();
    if release && rustcs_own && target("ARCH") == "x86_64" && target("ENV") == "gnu" {
        println!("cargo:rustc-link-arg-bins=-Wl,--icf=all");
    }
}
