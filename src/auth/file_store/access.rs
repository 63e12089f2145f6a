//! Refuses a folder in which other users could read or replace tokens.

use std::fs;
use std::io;
use std::path::Path;

use crate::auth::file_io::failed;
use crate::error::StoreError;

/// Checks that a folder exists and that only its owner, who must be this program's user or root, can write to it.
pub(super) fn check(folder: &Path) -> Result<(), StoreError> {
    let unusable = |error| failed("the folder cannot be used", folder, error);
    let metadata = fs::metadata(folder).map_err(unusable)?;
    if !metadata.is_dir() {
        return Err(unusable(io::ErrorKind::NotADirectory.into()));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let user = rustix::process::geteuid().as_raw();
        if let Some(problem) = problem(metadata.uid(), metadata.mode(), user) {
            return Err(StoreError::new(problem.describe(folder)));
        }
    }
    Ok(())
}

/// Why a folder is refused.
#[cfg(unix)]
#[derive(Debug, PartialEq)]
enum AccessProblem {
    ForeignOwner { owner: u32, user: u32 },
    SharedFolder { mode: u32 },
    WritableByOthers { mode: u32 },
}

#[cfg(unix)]
fn problem(owner: u32, mode: u32, user: u32) -> Option<AccessProblem> {
    const STICKY: u32 = 0o1000;
    const WRITE_OF_OTHERS: u32 = 0o022;
    let mode = mode & 0o7777;
    if owner != user && owner != 0 {
        return Some(AccessProblem::ForeignOwner { owner, user });
    }
    match (mode & WRITE_OF_OTHERS != 0, mode & STICKY != 0) {
        (false, _) => None,
        (true, true) => Some(AccessProblem::SharedFolder { mode }),
        (true, false) => Some(AccessProblem::WritableByOthers { mode }),
    }
}

#[cfg(unix)]
impl AccessProblem {
    fn describe(&self, folder: &Path) -> String {
        let name = folder.display();
        match self {
            Self::ForeignOwner { owner, user } => format!(
                "the folder belongs to another user, who could replace the tokens: {name} (owner {owner}, this program's \
                 user {user}); run the program as its owner, change the owner with `chown {user} {name}`, or give the \
                 store another folder"
            ),
            Self::SharedFolder { mode } => format!(
                "the folder is shared with other users: {name} (mode {mode:o}); give the store a folder of its own in it, \
                 such as {}, which the store creates",
                folder.join("tokens").display()
            ),
            Self::WritableByOthers { mode } => format!(
                "other users can write to the folder, and could replace the tokens: {name} (mode {mode:o}); take that \
                 right away with `chmod go-w {name}`, or give the store another folder"
            ),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::auth::folder::Folder;

    #[test]
    fn only_the_program_s_user_and_root_may_own_the_folder_and_only_the_owner_may_write() {
        for mode in [0o40700, 0o40750, 0o40755, 0o40500, 0o42755, 0o41700] {
            assert_eq!((problem(1000, mode, 1000), problem(0, mode, 1000), problem(0, mode, 0)), (None, None, None));
            for (owner, user) in [(1001, 1000), (1000, 0)] {
                assert_eq!(problem(owner, mode, user), Some(AccessProblem::ForeignOwner { owner, user }));
            }
        }
        for mode in [0o770, 0o702, 0o777, 0o2775, 0o720] {
            assert_eq!(problem(1000, 0o40000 | mode, 1000), Some(AccessProblem::WritableByOthers { mode }));
        }
        assert_eq!(problem(0, 0o41777, 1000), Some(AccessProblem::SharedFolder { mode: 0o1777 }));
    }

    #[test]
    fn a_refused_folder_is_named_with_what_to_do() {
        let folder = Folder::new();
        let set = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
        set(0o755);
        check(folder.path()).unwrap();
        let name = folder.path().display().to_string();
        for (mode, remedy) in [
            (0o775, format!("`chmod go-w {name}`")),
            (0o757, format!("`chmod go-w {name}`")),
            (0o1777, format!("give the store a folder of its own in it, such as {name}/tokens,")),
        ] {
            set(mode);
            let error = check(folder.path()).unwrap_err();
            assert!(
                error.reason().contains(&remedy) && error.reason().contains(&format!("(mode {mode:o})")),
                "{error}"
            );
        }
        set(0o700);
        // Only root can give a folder away.
        let has_given_away = std::os::unix::fs::chown(folder.path(), Some(12345), None).is_ok();
        match check(folder.path()) {
            Err(error) => {
                assert!(has_given_away && error.reason().contains("the folder belongs to another user"), "{error}");
                assert!(error.reason().contains(&format!("`chown {} {name}`", rustix::process::geteuid().as_raw())));
            }
            Ok(()) => assert!(!has_given_away),
        }
    }
}
