//! Counts the instructions of a run of this very bench with callgrind.

use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

pub(crate) fn is_installed() -> bool {
    Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_ok()
}

/// The instructions of a whole run of this bench with these arguments, without those of its child processes.
pub(crate) fn count(bench: &str, arguments: &[String]) -> Result<f64, Box<dyn Error>> {
    let profile = format!("callgrind.{bench}.{}", arguments.join("."));
    let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join(profile);
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--trace-children=no"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(env::current_exe()?)
        .args(arguments)
        .output()?;
    if !run.status.success() {
        return Err(format!("valgrind failed: {}", String::from_utf8_lossy(&run.stderr)).into());
    }
    let text = fs::read_to_string(&profile)?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    Ok(total.ok_or("callgrind wrote no total")?.trim().parse()?)
}
