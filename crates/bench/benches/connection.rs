//! The server's side of a connection: reads the heads of requests, which have no bodies, and writes responses.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Connection {
    stream: TcpStream,
    request: [u8; 4096],
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, request: [0; 4096] })
    }

    /// Reads the head of the next request. Returns whether there was one before the client closed the connection.
    pub(crate) async fn next_request(&mut self) -> io::Result<bool> {
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.request[filled..]).await?;
            if read == 0 {
                return Ok(false);
            }
            filled += read;
            // A client without pipelining sends nothing after the head until it has the response.
            if self.request[..filled].ends_with(b"\r\n\r\n") {
                return Ok(true);
            }
        }
    }

    pub(crate) async fn respond(&mut self, response: &[u8]) -> io::Result<()> {
        self.stream.write_all(response).await
    }
}
