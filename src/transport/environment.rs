//! The world around a simulated server: its clock, and where tasks run.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use jiff::Timestamp;

use crate::clock::WallClock;

/// The world of a simulation, which clients live in whose [`Transport`](crate::Transport) has one: the clock, and where
/// background tasks run. The mock servers in memory and [`Script`](crate::testing::Script) are such worlds.
///
/// Clients in a simulation run on tokio's clock alone, so a test on a paused clock passes hours of waits in milliseconds.
pub trait Environment: fmt::Debug + Send + Sync {
    /// A number that identifies the server of this world. Clients of one tenant share its rate limit only if their worlds
    /// return the same number.
    fn identity(&self) -> usize;

    /// The wall time at which a client starts; from then on it advances with tokio's clock. Default: the system's time.
    fn wall(&self) -> Timestamp {
        crate::clock::wall_now()
    }

    /// The wall clock of clients, for a simulation that sets it. Takes precedence over [`wall`](Self::wall). Default: none.
    fn wall_clock(&self) -> Option<WallClock> {
        None
    }

    /// Spawns a background task of a client: a refresh, or the storing of its tokens. Default: `tokio::spawn`.
    ///
    /// A simulated process keeps the tasks that it spawns, and aborts them when it ends:
    ///
    /// ```
    /// use std::future::Future;
    /// use std::pin::Pin;
    /// use std::sync::{Arc, Mutex};
    ///
    /// use servicebay::testing::{Environment, fisikal};
    /// use servicebay::{Body, Transport, TransportError};
    /// use tokio::task::AbortHandle;
    ///
    /// type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
    ///
    /// #[derive(Clone, Debug)]
    /// struct Process {
    ///     server: fisikal::MockServer,
    ///     tasks: Arc<Mutex<Vec<AbortHandle>>>,
    /// }
    ///
    /// impl Transport for Process {
    ///     fn send(
    ///         &self,
    ///         request: http::Request<Body>,
    ///     ) -> BoxFuture<'_, Result<http::Response<Body>, TransportError>> {
    ///         self.server.send(request)
    ///     }
    ///
    ///     fn environment(&self) -> Option<&dyn Environment> {
    ///         Some(self)
    ///     }
    /// }
    ///
    /// impl Environment for Process {
    ///     fn identity(&self) -> usize {
    ///         self.server.identity()
    ///     }
    ///
    ///     fn spawn(&self, task: BoxFuture<'static, ()>) {
    ///         self.tasks.lock().unwrap().push(tokio::spawn(task).abort_handle());
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
    /// use servicebay::fisikal::{Client, Credentials};
    ///
    /// let server = fisikal::MockServer::builder().in_memory();
    /// let (user, password) = server.login(fisikal::Role::Manager);
    /// let (id, secret) = (fisikal::MockServer::CLIENT_ID, fisikal::MockServer::CLIENT_SECRET);
    /// let process = Process { server: server.clone(), tasks: Arc::default() };
    /// let client = Client::builder(Credentials::password(id, secret, user, password))
    ///     .with_base_url(server.base_url())
    ///     .with_transport(process.clone())
    ///     .build()?;
    /// client.get_location().id(1).send().await?;
    /// assert_eq!(process.tasks.lock().unwrap().len(), 1); // the login
    /// # Ok(()) }
    /// ```
    #[expect(clippy::disallowed_methods, reason = "such a task goes on when the callers that waited for it are gone")]
    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        tokio::spawn(task);
    }
}
