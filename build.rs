//! Regenerates the code of each vendor from its spec, with feature `codegen` only: users build what is committed.

use std::process::ExitCode;

/// The vendors: each has its spec in `openapi/<vendor>.json` and its module in `src/<vendor>.rs`.
#[cfg(feature = "codegen")]
const VENDORS: [&str; 4] = ["fentu", "fisikal", "fixably", "repairy"];

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");

    #[cfg(feature = "codegen")]
    for vendor in VENDORS {
        println!("cargo::rerun-if-changed={}", servicebay_codegen::spec_path(vendor));
        if let Err(problem) = servicebay_codegen::run(vendor) {
            println!("cargo::error={problem}");
            return ExitCode::FAILURE;
        }
    }

    ExitCode::SUCCESS
}
