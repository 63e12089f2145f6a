//! Regenerates the code of each vendor from its spec, with feature `codegen` only: users build what is committed.

use std::process::ExitCode;

#[cfg(feature = "codegen")]
#[path = "build/generator.rs"]
mod generator;

/// The vendors: each has its spec in `openapi/<vendor>.json` and its module in `src/<vendor>.rs`.
#[cfg(feature = "codegen")]
const VENDORS: [&str; 4] = ["fentu", "fisikal", "fixably", "repairy"];

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");

    #[cfg(feature = "codegen")]
    for vendor in VENDORS {
        println!("cargo::rerun-if-changed=build");
        println!("cargo::rerun-if-changed={}", generator::spec_path(vendor));
        if let Err(problem) = generator::run(vendor) {
            println!("cargo::error={problem}");
            return ExitCode::FAILURE;
        }
    }

    ExitCode::SUCCESS
}
