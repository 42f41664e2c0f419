//! Names the targets where libc's symbols are interposed: `cfg(supported)`.

use std::env::var;

fn main() {
    let target = |key: &str| var(format!("CARGO_CFG_TARGET_{key}")).unwrap_or_default();
    println!("cargo::rustc-check-cfg=cfg(supported)");
    println!("cargo::rerun-if-changed=build.rs");
    if target("OS") == "linux" && target("ENV") == "gnu" && ["x86_64", "aarch64"].contains(&target("ARCH").as_str()) {
        println!("cargo::rustc-cfg=supported");
    }
}
