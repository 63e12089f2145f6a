//! A transport that finds no host, in the words of one system.

use std::future::Future;
use std::pin::Pin;

use servicebay::{Body, Transport, TransportError};

#[derive(Debug)]
pub(crate) struct UnknownHost;

impl Transport for UnknownHost {
    fn send(
        &self,
        _: http::Request<Body>,
    ) -> Pin<Box<dyn Future<Output = Result<http::Response<Body>, TransportError>> + Send + '_>> {
        let error = "failed to lookup address information: Name or service not known";
        Box::pin(async move { Err(TransportError::not_sent(error)) })
    }
}
