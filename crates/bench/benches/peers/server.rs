//! A server that costs next to nothing, so that what is measured is the client.
//!
//! It waits for the end of a request's head and answers with the same bytes every time. What was asked for it does not
//! read, so each workload has a server of its own. One thread serves all connections: with a thread for each, where the
//! system happens to run them would make one client look faster than another.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

use super::{Workload, canned};

/// A server on this machine, in a thread of its own that lives as long as the program.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
}

impl Server {
    pub(crate) fn start(workload: Workload) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let address = listener.local_addr()?;
        thread::spawn(move || runtime.block_on(accept(listener, canned::answer(workload).into())));
        Ok(Self { address })
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/api/v3", self.address)
    }
}

async fn accept(listener: TcpListener, answer: Arc<[u8]>) {
    while let Ok((connection, _)) = listener.accept().await {
        let answer = Arc::clone(&answer);
        #[expect(clippy::disallowed_methods, reason = "connections live side by side, and end with their clients")]
        tokio::spawn(async move { serve(connection, &answer).await.ok() });
    }
}

async fn serve(mut connection: TcpStream, answer: &[u8]) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut request = [0; 4096];
    let mut filled = 0;
    loop {
        let read = connection.read(&mut request[filled..]).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        // A client without pipelining sends nothing after its head until it has its answer.
        if request[..filled].ends_with(b"\r\n\r\n") {
            connection.write_all(answer).await?;
            filled = 0;
        }
    }
}
