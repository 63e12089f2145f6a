//! The example `club_classes` as a process: what it tells a person in each of the cases that they can do something about.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

#[path = "../examples/club_classes.rs"]
#[allow(clippy::duplicate_mod, reason = "cargo builds the example by itself too")]
mod club_classes;
#[path = "../../../tests/it/folder.rs"]
#[allow(dead_code, reason = "the folder can read stores in files too")]
mod folder;
#[path = "../../../tests/it/unknown_host.rs"]
mod unknown_host;

use std::path::Path;
use std::process::{Command, ExitCode, Termination as _};
use std::time::Duration;
use std::{env, fs, process};

use servicebay::fisikal::{Client, Credentials};
use servicebay::testing::Fault;
use servicebay::testing::fisikal::{MockServer, Role};

use self::folder::Folder;
use self::unknown_host::UnknownHost;

/// Set for the processes that [`run`] starts.
const MARKER: &str = "SERVICEBAY_TEST_CLUB_CLASSES";

/// What each process runs. In a normal test run it does nothing.
#[test]
fn a_process_that_runs_the_example() {
    if env::var_os(MARKER).is_some() {
        let code = club_classes::main();
        process::exit(i32::from(code.report() != ExitCode::SUCCESS));
    }
}

/// Runs the example with these variables of its environment and this home folder. Returns what it prints to the person, or the
/// standard error of a failure.
fn run(home: &Path, variables: &[(&str, &str)]) -> Result<String, String> {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["a_process_that_runs_the_example", "--exact", "--nocapture"]);
    for name in ["TENANT", "SESSION", "BASE_URL", "CLIENT_ID", "CLIENT_SECRET", "USERNAME", "PASSWORD"] {
        command.env_remove(format!("FISIKAL_{name}"));
    }
    // The platform's folders, wherever the test runs.
    for folder in ["HOME", "XDG_STATE_HOME", "LOCALAPPDATA"] {
        command.env(folder, home);
    }
    let output = command.env(MARKER, "1").envs(variables.iter().copied()).output().unwrap();
    match output.status.code() {
        Some(0) => Ok(String::from_utf8(output.stdout).unwrap()),
        Some(1) => Err(String::from_utf8(output.stderr).unwrap()),
        other => panic!("{other:?} {output:?}"),
    }
}

/// The variables of a login at a mock server.
fn login<'a>(server: &'a MockServer, user: &'a str, password: &'a str) -> [(&'a str, &'a str); 6] {
    [
        ("FISIKAL_TENANT", "acme"),
        ("FISIKAL_BASE_URL", server.base_url()),
        ("FISIKAL_CLIENT_ID", MockServer::CLIENT_ID),
        ("FISIKAL_CLIENT_SECRET", MockServer::CLIENT_SECRET),
        ("FISIKAL_USERNAME", user),
        ("FISIKAL_PASSWORD", password),
    ]
}

/// The first line of what the failed example says; the others are the whole error in parentheses.
#[track_caller]
fn advice(outcome: Result<String, String>) -> String {
    let message = outcome.unwrap_err();
    let (advice, details) = message.split_once('\n').unwrap();
    assert!(details.starts_with("(fisikal ") && details.trim_end().ends_with(')'), "{message}");
    advice.to_owned()
}

#[tokio::test]
async fn the_tokens_stay_in_the_folder_of_the_platform_and_the_next_run_needs_no_login() {
    let (server, home) = (MockServer::start().await, Folder::new());
    let (user, password) = server.login(Role::Manager);
    for _ in 0..2 {
        let printed = run(home.path(), &login(&server, &user, &password)).unwrap();
        assert!(printed.contains("Z  "), "{printed}");
    }
    assert_eq!(server.token_requests().len(), 1);
    let folders = || fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(folders().any(|name| name == "club-classes" || name == "Library"), "{:?}", folders().collect::<Vec<_>>());
}

#[tokio::test]
async fn without_a_tenant_it_runs_at_a_mock_server() {
    assert!(run(Folder::new().path(), &[]).unwrap().contains("Z  "));
}

#[tokio::test]
async fn a_wrong_password_is_called_one() {
    let (server, home) = (MockServer::start().await, Folder::new());
    let (user, _) = server.login(Role::Manager);
    let message = run(home.path(), &login(&server, &user, "not-the-password"));
    let details = "no token: the vendor refuses these credentials: \"The user is unknown, or the password is wrong.\"";
    assert!(message.as_ref().unwrap_err().contains(details), "{message:?}");
    assert_eq!(advice(message), "Fisikal refuses the login: check the user name, the password and the application.");
}

#[tokio::test]
async fn a_missing_network_is_called_one() {
    let (server, home) = (MockServer::start().await, Folder::new());
    let mut variables = login(&server, "user", "password");
    // No program listens there.
    variables[1].1 = "http://127.0.0.1:9";
    assert_eq!(advice(run(home.path(), &variables)), "There is no connection to Fisikal: check the network.");
}

#[tokio::test]
async fn a_missing_right_is_called_one() {
    let (server, home) = (MockServer::start().await, Folder::new());
    let (user, password) = server.login(Role::Manager);
    server.fault(Fault::status(403).on("GET", "/api/unified/schedule/occurrences"));
    let advice = advice(run(home.path(), &login(&server, &user, &password)));
    assert_eq!(advice, "The login is right, but this user may not see the classes: ask for the role Manager.");
}

#[tokio::test]
async fn a_name_that_no_club_can_have_is_refused_with_the_domain_of_the_vendor() {
    let (server, home) = (MockServer::start().await, Folder::new());
    let mut variables = login(&server, "user", "password");
    variables[0].1 = "https://acme.fisikal.com/";
    let message = run(home.path(), &variables).unwrap_err();
    let expected =
        "tenant: \"https://acme.fisikal.com/\" is refused: give the name before `.fisikal.com` alone, such as `acme`";
    assert!(message.starts_with(expected), "{message}");
}

/// Not as a process, because that would ask the network of the machine.
#[tokio::test]
async fn a_name_that_no_club_has_is_told_from_a_missing_network() {
    let builder = Client::builder(Credentials::session_token("token")).with_tenant("acmee");
    let client = builder.with_transport(UnknownHost).build().unwrap();
    let error = client.list_occurrences().send().await.unwrap_err();
    let message = club_classes::explain(&error);
    assert!(message.starts_with("There is no club under this name: check FISIKAL_TENANT.\n"), "{message}");
    assert!(message.contains("check the tenant, which is the name before `.fisikal.com`"), "{message}");
}

#[tokio::test]
async fn an_expired_session_is_called_one() {
    let (server, home) = (MockServer::start().await, Folder::new());
    let session = server.session_token(Role::Manager);
    let variables =
        [("FISIKAL_TENANT", "acme"), ("FISIKAL_BASE_URL", server.base_url()), ("FISIKAL_SESSION", &session)];
    assert!(run(home.path(), &variables).is_ok());
    server.revoke_all();
    let advice = advice(run(home.path(), &variables));
    assert_eq!(advice, "The session has expired: get a new token for FISIKAL_SESSION.");
}

#[tokio::test]
async fn a_spent_limit_is_called_one_and_the_message_says_when_to_try_again() {
    let (server, home) = (MockServer::start().await, Folder::new());
    let (user, password) = server.login(Role::Manager);
    server.fault(Fault::status(429).with_header("retry-after", "600").on("GET", "/api/unified/schedule/occurrences"));
    let expected = server.now() + Duration::from_secs(600);
    let advice = advice(run(home.path(), &login(&server, &user, &password)));
    let at = advice.strip_prefix("The limit of calls is spent: try again at ").unwrap().strip_suffix('.').unwrap();
    let late = at.parse::<jiff::Timestamp>().unwrap().duration_since(expected);
    assert!((-1..60).contains(&late.as_secs()), "{at} is {late:?} after {expected}");
}
