//! Finds the folder that the platform has for the files of a program.

use std::path::{Component, Path, PathBuf};

use etcetera::base_strategy::{BaseStrategy, choose_native_strategy};

use crate::error::StoreError;

/// The folder for the files of a program, which stay on this machine.
pub(super) fn find(program: &str) -> Result<PathBuf, StoreError> {
    find_in(program, choose_native_strategy())
}

fn find_in<E>(program: &str, strategy: Result<impl BaseStrategy, E>) -> Result<PathBuf, StoreError>
where
    E: std::error::Error + Send + Sync + 'static,
{
    check_name(program)?;
    let strategy = strategy.map_err(|error| {
        StoreError::new(
            "this program's user has no home folder; set HOME, or choose a folder with `FileStore::new(..)`",
        )
        .with_source(error)
    })?;
    local_folder(&strategy).map(|folder| folder.join(program))
}

/// The base folder for files that are not copied to the person's other machines.
fn local_folder(strategy: &impl BaseStrategy) -> Result<PathBuf, StoreError> {
    let folder = match strategy.state_dir() {
        Some(folder) => folder,
        // Its cache folder is `%LOCALAPPDATA%`; its data folder is copied to other machines.
        None if cfg!(windows) => strategy.cache_dir(),
        None => strategy.data_dir(),
    };
    match folder.is_absolute() {
        true => Ok(folder),
        // Below the current folder, which is another one each time.
        false => Err(StoreError::new(format!(
            "the home folder is not an absolute path: {}; correct HOME, or choose a folder with `FileStore::new(..)`",
            folder.display()
        ))),
    }
}

fn check_name(program: &str) -> Result<(), StoreError> {
    let mut components = Path::new(program).components();
    let is_one = matches!(components.next(), Some(Component::Normal(_))) && components.next().is_none();
    let is_allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    // Windows drops dots and spaces at the end of a name.
    if is_one && program.chars().all(is_allowed) && !program.ends_with(['.', ' ']) {
        return Ok(());
    }
    Err(StoreError::new(format!(
        "{program:?} is not the name of a folder; use letters, digits, `-` and `_`, such as `acme-sync`"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A strategy with these folders.
    struct Folders(&'static str, Option<&'static str>);

    impl BaseStrategy for Folders {
        fn home_dir(&self) -> &Path {
            Path::new("/home/acme")
        }

        fn config_dir(&self) -> PathBuf {
            "/wrong".into()
        }

        fn data_dir(&self) -> PathBuf {
            self.0.into()
        }

        fn cache_dir(&self) -> PathBuf {
            "/cache".into()
        }

        fn state_dir(&self) -> Option<PathBuf> {
            self.1.map(Into::into)
        }

        fn runtime_dir(&self) -> Option<PathBuf> {
            Some("/wrong".into())
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_folder_is_the_one_for_state_if_the_platform_has_one() {
        let found = |data, state| local_folder(&Folders(data, state)).map_err(|error| error.to_string());
        assert_eq!(found("/data", Some("/state")), Ok("/state".into()));
        assert_eq!(found("/data", None), Ok("/data".into()));
        let error = found("data", None).unwrap_err();
        assert!(error.contains("not an absolute path: data; correct HOME"), "{error}");
    }

    #[test]
    fn a_user_without_a_home_folder_is_told_what_to_do() {
        let error = find_in("acme-sync", Err::<Folders, _>(std::io::Error::other("no home"))).unwrap_err();
        assert!(
            error.reason().contains("has no home folder; set HOME, or choose a folder with `FileStore::new"),
            "{error}"
        );
        assert!(std::error::Error::source(&error).is_some());
    }

    #[test]
    fn a_program_has_one_folder_of_its_own() {
        for name in ["acme-sync", "Acme Sync", "com.acme.sync", "acme_2", "\u{e4}cme"] {
            assert!(find(name).unwrap().ends_with(name), "{name}");
        }
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused() {
        for name in ["", ".", "..", "a/b", "/a", "a/", "../a", "a\\b", "C:", "a:b", "a\0b", "a.", "a ", "~/a\n"] {
            let error = find(name).unwrap_err();
            assert!(error.reason().contains("is not the name of a folder; use letters"), "{error}");
        }
    }
}
