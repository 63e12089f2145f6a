//! A server that costs almost nothing, so that a bench measures the client.
//!
//! It waits for the end of a request's head and responds with the same bytes every time. It does not read the path, so
//! each workload has a server of its own. One thread serves all connections: with a thread for each, the cores that the
//! threads happen to run on would make one client look faster than another.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

use super::{Workload, canned};
use crate::connection::Connection;

/// A server on this machine, in a thread of its own that runs until the program exits.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
}

impl Server {
    pub(crate) fn start(workload: Workload) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let address = listener.local_addr()?;
        thread::spawn(move || runtime.block_on(accept(listener, canned::response(workload).into())));
        Ok(Self { address })
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/api/v3", self.address)
    }
}

async fn accept(listener: TcpListener, response: Arc<[u8]>) {
    while let Ok((connection, _)) = listener.accept().await {
        let response = Arc::clone(&response);
        #[expect(clippy::disallowed_methods, reason = "connections run side by side, and end with their clients")]
        tokio::spawn(async move { serve(connection, &response).await.ok() });
    }
}

async fn serve(stream: TcpStream, response: &[u8]) -> io::Result<()> {
    let mut connection = Connection::new(stream)?;
    while connection.next_request().await? {
        connection.respond(response).await?;
    }
    Ok(())
}
