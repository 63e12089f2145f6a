//! Regenerates the code of each vendor from its spec, with feature `codegen` only: users build what is committed.

use std::process::ExitCode;

/// The vendors: each has its spec in `openapi/<vendor>.json` and its module in `src/<vendor>.rs`.
#[cfg(feature = "codegen")]
const VENDORS: [&str; 4] = ["fentu", "fisikal", "fixably", "repairy"];

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");

    #[cfg(feature = "codegen")]
    for vendor in VENDORS {
        if let Err(error) = regenerate(vendor) {
            println!("cargo::error=openapi/{vendor}.json: {error}");
            return ExitCode::FAILURE;
        }
    }

    ExitCode::SUCCESS
}

/// Writes `<vendor>.rs` into the build's output directory, where `tests/it/generated.rs` compares it.
#[cfg(feature = "codegen")]
fn regenerate(vendor: &str) -> Result<(), Box<dyn std::error::Error>> {
    use std::path::Path;
    use std::{env, fs};

    let spec = format!("openapi/{vendor}.json");
    println!("cargo::rerun-if-changed={spec}");
    let code = servicebay_codegen::generate(&fs::read_to_string(&spec)?, vendor)?;
    // Where docs are built with all features, there may be no rustfmt; the code is compared nowhere there.
    let code = servicebay_codegen::rustfmt(&code, Path::new(".")).unwrap_or_else(|error| {
        println!(
            "cargo::warning=the generated code is not formatted, and will differ from the committed code: {error}"
        );
        code
    });
    let output = env::var_os("OUT_DIR").ok_or("OUT_DIR is not set; cargo sets it")?;
    Ok(fs::write(Path::new(&output).join(format!("{vendor}.rs")), code)?)
}
