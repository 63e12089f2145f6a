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
        if let Err(error) = generate(&vendor) {
            println!("cargo::error=openapi/{vendor}.json: {error}");
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

/// Writes `<vendor>.rs` into the build's output directory, where `tests/it/generated.rs` compares it.
#[cfg(feature = "codegen")]
fn generate(vendor: &str) -> Result<(), Box<dyn std::error::Error>> {
    use std::path::Path;
    use std::{env, fs};

    let spec = fs::read_to_string(format!("openapi/{vendor}.json"))?;
    let code = servicebay_codegen::generate(&spec, vendor)?;
    // docs.rs builds with all features and may have no rustfmt. It compares the code with nothing.
    let code = servicebay_codegen::rustfmt(&code, Path::new(".")).unwrap_or_else(|error| {
        println!("cargo::warning=the generated code is not formatted and so differs from the committed code: {error}");
        code
    });
    let output = env::var_os("OUT_DIR").ok_or("OUT_DIR is not set; cargo sets it")?;
    Ok(fs::write(Path::new(&output).join(vendor).with_extension("rs"), code)?)
}
