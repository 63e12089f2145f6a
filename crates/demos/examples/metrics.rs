//! Exports what a client does as OpenTelemetry metrics: how long requests take, what calls wait for, retries, rejections by the
//! rate limit and what is left of it, and token refreshes.
//!
//! ```sh
//! cargo run -p servicebay-demos --example metrics
//! ```
//!
//! runs against a mock server inside this program, and prints the metrics. `otel.rs` maps them; copy it into your program. A
//! program that sends them to a collector uses the exporter of `opentelemetry-otlp` instead.

#![expect(clippy::print_stdout, reason = "an example prints")]

#[path = "metrics/otel.rs"]
mod otel;

use std::time::Duration;

use futures_util::future::try_join_all;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use servicebay::Error;
use servicebay::testing::Fault;
use servicebay::testing::fixably::{MockServer, TokenKind};

use self::otel::{OtelObserver, report_remaining};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let provider = SdkMeterProvider::builder()
        .with_resource(Resource::builder().with_service_name("acme-sync").build())
        .with_periodic_exporter(opentelemetry_stdout::MetricExporter::default())
        .build();
    let meter = provider.meter("acme-sync");

    let server = MockServer::builder().with_rate_limit(20, Duration::from_secs(1)).start().await;
    println!("Using a Fixably mock server at {}.", server.base_url());
    let builder = server.client_builder(TokenKind::AdminAll).with_observer(OtelObserver::new(&meter));
    let client = builder.build()?;
    report_remaining(&meter, "fixably", {
        let client = client.clone();
        move || client.rate_limit()
    });

    server.fault(Fault::status(503));
    try_join_all((20000010..20000040).map(|id| client.get_order().id(id).send())).await?;
    // Prints everything once more, and ends.
    provider.shutdown().expect("the standard output can be written");
    Ok(())
}
