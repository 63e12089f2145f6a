//! Generates the code of each vendor from `openapi/<vendor>.json`, with feature `codegen` only: users build the committed
//! code.

use std::process::ExitCode;

#[cfg(not(feature = "codegen"))]
fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    ExitCode::SUCCESS
}

#[cfg(feature = "codegen")]
fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=openapi");
    for vendor in vendors() {
        if let Err(problem) = servicebay_codegen::run(&vendor) {
            println!("cargo::error={problem}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// The vendors that have a spec, by name.
#[cfg(feature = "codegen")]
fn vendors() -> Vec<String> {
    let files = std::fs::read_dir("openapi").expect("the package contains openapi/");
    let paths = files.map(|file| file.expect("openapi/ can be listed").path());
    let specs = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let mut vendors: Vec<_> =
        specs.filter_map(|path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned())).collect();
    vendors.sort();
    vendors
}
