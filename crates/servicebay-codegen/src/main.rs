//! The command: writes or checks the code that is generated from a spec.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fmt, fs};

use servicebay_codegen::{SpecError, generate, rustfmt};

const HELP: &str = "\
Generates a vendor's client code from its OpenAPI spec.

Usage: servicebay-codegen generate SPEC [--output FILE] [--check]

  SPEC             the spec, as JSON; its name is that of the vendor's module
  --output FILE    write the code to FILE instead of to the terminal
  --check          write nothing; fail if FILE differs from the code
  --help           print this text

rustfmt lays the code out; set RUSTFMT to use another program.

Exit codes: 0 done, 1 FILE differs (--check), 2 wrong usage, 3 the spec is refused,
4 a file cannot be read or written, or rustfmt failed
";

fn main() -> ExitCode {
    let outcome = Command::parse(env::args_os().skip(1)).and_then(|command| command.run());
    match outcome {
        Ok(text) => {
            if let Err(error) = io::stdout().write_all(text.as_bytes()) {
                return CommandError::File(PathBuf::from("standard output"), error).report();
            }
            ExitCode::SUCCESS
        }
        Err(failure) => failure.report(),
    }
}

#[derive(Debug, PartialEq)]
enum Command {
    Help,
    Generate { spec: PathBuf, output: Option<PathBuf>, check: bool },
}

impl Command {
    fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, CommandError> {
        let mut arguments = arguments.into_iter();
        match arguments.next() {
            Some(word) if word == "generate" => {}
            Some(word) if word == "--help" || word == "-h" || word == "help" => return Ok(Self::Help),
            Some(word) => return Err(CommandError::Usage(format!("unknown command {word:?}"))),
            None => return Err(CommandError::Usage("no command".to_owned())),
        }
        let (mut spec, mut output, mut check) = (None, None, false);
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("--help" | "-h") => return Ok(Self::Help),
                Some("--check") => check = true,
                Some("--output" | "-o") => match arguments.next() {
                    Some(file) => output = Some(PathBuf::from(file)),
                    None => return Err(CommandError::Usage("--output needs a file".to_owned())),
                },
                Some(option) if option.starts_with('-') => {
                    return Err(CommandError::Usage(format!("unknown option {option}")));
                }
                _ if spec.is_none() => spec = Some(PathBuf::from(argument)),
                _ => return Err(CommandError::Usage(format!("one spec at a time; {argument:?} is a second"))),
            }
        }
        let Some(spec) = spec else { return Err(CommandError::Usage("no spec".to_owned())) };
        if check && output.is_none() {
            return Err(CommandError::Usage("--check needs the --output to compare with".to_owned()));
        }
        Ok(Self::Generate { spec, output, check })
    }

    /// Does it and returns what to print.
    fn run(self) -> Result<String, CommandError> {
        let Self::Generate { spec, output, check } = self else { return Ok(HELP.to_owned()) };
        let text = fs::read_to_string(&spec).map_err(|error| CommandError::File(spec.clone(), error))?;
        let vendor = spec.file_stem().unwrap_or_default().to_string_lossy();
        let code = generate(&text, &vendor).map_err(|error| CommandError::Spec(spec.clone(), error))?;
        let parent = output.as_deref().and_then(Path::parent).filter(|parent| !parent.as_os_str().is_empty());
        let code = rustfmt(&code, parent.unwrap_or_else(|| Path::new("."))).map_err(CommandError::Rustfmt)?;
        match output {
            None => Ok(code),
            Some(file) if check => {
                let committed = fs::read_to_string(&file).map_err(|error| CommandError::File(file.clone(), error))?;
                if committed == code { Ok(String::new()) } else { Err(CommandError::differs(file, &committed, &code)) }
            }
            Some(file) => match fs::write(&file, code) {
                Ok(()) => Ok(String::new()),
                Err(error) => Err(CommandError::File(file, error)),
            },
        }
    }
}

/// Why the command stopped.
#[derive(Debug)]
enum CommandError {
    /// The file and the first line that differs.
    Differs(PathBuf, usize),
    Usage(String),
    Spec(PathBuf, SpecError),
    File(PathBuf, io::Error),
    Rustfmt(io::Error),
}

impl CommandError {
    fn differs(file: PathBuf, committed: &str, code: &str) -> Self {
        let same = committed.lines().zip(code.lines()).take_while(|(old, new)| old == new).count();
        Self::Differs(file, same + 1)
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Differs(..) => 1,
            Self::Usage(_) => 2,
            Self::Spec(..) => 3,
            Self::File(..) | Self::Rustfmt(_) => 4,
        }
    }

    fn report(&self) -> ExitCode {
        // If standard error is closed, the exit code still tells.
        writeln!(io::stderr(), "servicebay-codegen: {self}").ok();
        ExitCode::from(self.exit_code())
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Differs(file, line) => {
                write!(f, "{} differs from line {line} on; run it again without --check", file.display())
            }
            Self::Usage(problem) => write!(f, "{problem}; try servicebay-codegen --help"),
            Self::Spec(file, error) => write!(f, "{}: {error}", file.display()),
            Self::File(file, error) => write!(f, "{}: {error}", file.display()),
            Self::Rustfmt(error) if error.kind() == io::ErrorKind::NotFound => {
                f.write_str("rustfmt is not installed; get it with `rustup component add rustfmt`")
            }
            Self::Rustfmt(error) => error.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Command, String> {
        Command::parse(arguments.iter().map(OsString::from)).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_command_has_a_spec_and_options_in_any_order() {
        let generate = |output: Option<&str>, check| Command::Generate {
            spec: "openapi/acme.json".into(),
            output: output.map(PathBuf::from),
            check,
        };
        assert_eq!(parsed(&["generate", "openapi/acme.json"]), Ok(generate(None, false)));
        assert_eq!(parsed(&["generate", "-o", "a.rs", "openapi/acme.json"]), Ok(generate(Some("a.rs"), false)));
        assert_eq!(
            parsed(&["generate", "openapi/acme.json", "--check", "--output", "a.rs"]),
            Ok(generate(Some("a.rs"), true))
        );
        for help in [&["--help"][..], &["help"], &["generate", "x.json", "--help"]] {
            assert_eq!(parsed(help), Ok(Command::Help));
        }
    }

    #[test]
    fn wrong_usage_is_explained() {
        for (arguments, problem) in [
            (&[][..], "no command"),
            (&["write"], "unknown command \"write\""),
            (&["generate"], "no spec"),
            (&["generate", "a.json", "b.json"], "one spec at a time; \"b.json\" is a second"),
            (&["generate", "a.json", "--output"], "--output needs a file"),
            (&["generate", "a.json", "--check"], "--check needs the --output to compare with"),
            (&["generate", "a.json", "--force"], "unknown option --force"),
        ] {
            assert_eq!(parsed(arguments), Err(format!("{problem}; try servicebay-codegen --help")));
        }
    }
}
