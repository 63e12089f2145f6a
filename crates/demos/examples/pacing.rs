//! Shows how callers of three priorities and an unrelated integration share the rate limit of one server.
//!
//! ```sh
//! cargo run -p servicebay-demos --example pacing
//! ```
//!
//! 64 workers call a mock server inside this program for 16 s: people at a counter, reactions to webhooks, and an export.
//! They share one client and so one rate limiter. The other integration has a plain HTTP client and a token of its own. A
//! table lists the calls and waits of each, and a chart shows the calls against the limit. The first argument is the file
//! of the chart; by default it goes to the folder for temporary files. From the root of the repository, this updates the
//! chart of the README, and the copy of it in the docs:
//!
//! ```sh
//! cargo run -p servicebay-demos --example pacing -- docs/pacing.svg
//! SERVICEBAY_BLESS=1 cargo test --test it front_page
//! ```

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example prints, and shows how long its calls took"
)]

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures_util::future::{try_join, try_join_all};
use http::StatusCode;
use http::header::AUTHORIZATION;
use jiff::Timestamp;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use servicebay::testing::fixably::{MockServer, TokenKind};
use servicebay::testing::{RecordedRequest, TokenSeen};
use servicebay::{CallOptions, Priority, fixably};
use tokio::time::{interval, sleep, timeout};

/// The calls that the tenant allows in a window, and the length of a window.
const LIMIT: u32 = 200;
const WINDOW: Duration = Duration::from_secs(2);
const WINDOWS: u32 = 8;
/// The reserve that bulk calls leave: a fifth of the limit, by default.
const LEFT_BY_BULK: u32 = LIMIT / 5;
/// When the other integration starts, and how often it calls.
const FOREIGN_FROM: Duration = Duration::from_secs(6);
const FOREIGN_EVERY: Duration = Duration::from_millis(150);

/// The callers, in the order in which the chart stacks them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    Bulk,
    Normal,
    Interactive,
    Foreign,
}

impl Caller {
    const ALL: [Self; 4] = [Self::Bulk, Self::Normal, Self::Interactive, Self::Foreign];

    fn name(self) -> &'static str {
        match self {
            Self::Bulk => "bulk",
            Self::Normal => "normal",
            Self::Interactive => "interactive",
            Self::Foreign => "another integration",
        }
    }

    fn color(self) -> RGBColor {
        match self {
            Self::Bulk => RGBColor(158, 202, 225),
            Self::Normal => RGBColor(33, 113, 181),
            Self::Interactive => RGBColor(230, 125, 20),
            Self::Foreign => RGBColor(120, 120, 120),
        }
    }

    /// The number of workers, and how long each pauses after a call.
    fn workers(self) -> (u32, Duration) {
        match self {
            // Lists orders page by page, as fast as the limit allows.
            Self::Bulk => (40, Duration::ZERO),
            // A webhook reports that a customer changed.
            Self::Normal => (12, Duration::from_millis(3000)),
            // A person opens an order.
            Self::Interactive => (12, Duration::from_millis(1500)),
            Self::Foreign => (1, Duration::ZERO),
        }
    }

    /// The caller of a request that the mock server recorded.
    fn of(request: &RecordedRequest) -> Self {
        match (request.token, request.operation) {
            (TokenSeen::Legacy, _) => Self::Foreign,
            (_, Some("get_order")) => Self::Interactive,
            (_, Some("get_customer")) => Self::Normal,
            _ => Self::Bulk,
        }
    }
}

/// A call that succeeded, and how long it took.
struct FinishedCall {
    caller: Caller,
    took: Duration,
}

/// The finished calls of all callers.
#[derive(Default)]
struct FinishedCalls(Mutex<Vec<FinishedCall>>);

impl FinishedCalls {
    fn add(&self, caller: Caller, took: Duration) {
        self.0.lock().expect("no caller panics while it holds the lock").push(FinishedCall { caller, took });
    }
}

/// A request that the mock server received.
struct SeenRequest {
    caller: Caller,
    /// Seconds since the first window began.
    seconds: f64,
    refused: bool,
}

impl SeenRequest {
    fn new(request: &RecordedRequest, started: Timestamp) -> Self {
        Self {
            caller: Caller::of(request),
            seconds: request.at.duration_since(started).as_secs_f64(),
            refused: request.status == StatusCode::TOO_MANY_REQUESTS,
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let chart_path = env::args_os().nth(1).map_or_else(|| env::temp_dir().join("servicebay-pacing.svg"), PathBuf::from);
    let server = MockServer::builder().with_rate_limit(LIMIT, WINDOW).start().await;
    let client = server.client()?;
    println!(
        "64 workers and another integration call a tenant that allows {LIMIT} calls in {} s ...",
        WINDOW.as_secs()
    );

    // Windows end on a whole second, so the first one is as long as the others only if it begins on one.
    let started = next_second(server.now());
    sleep(started.duration_since(server.now()).unsigned_abs()).await;
    let finished = FinishedCalls::default();
    let ours = [Caller::Interactive, Caller::Normal, Caller::Bulk].into_iter().flat_map(|caller| {
        let (workers, pause) = caller.workers();
        let (client, finished) = (&client, &finished);
        (0..workers).map(move |number| work(caller, client.clone(), pause * number / workers, finished))
    });
    // All of them call until the time is up, unless a call fails.
    let all = try_join(try_join_all(ours), foreign(&server, &finished));
    if let Ok(Err(error)) = timeout(WINDOW * WINDOWS, all).await {
        return Err(error);
    }

    let end = (WINDOW * WINDOWS).as_secs_f64();
    let mut seen: Vec<SeenRequest> =
        server.requests().iter().map(|request| SeenRequest::new(request, started)).collect();
    seen.retain(|call| call.seconds < end);
    print_table(&seen, &finished.0.into_inner()?);
    draw(&chart_path, &seen)?;
    println!("\nthe chart is in {}", chart_path.display());
    Ok(())
}

/// Calls again and again, with a pause after each call.
async fn work(
    caller: Caller,
    client: fixably::Client,
    first: Duration,
    finished: &FinishedCalls,
) -> Result<(), Box<dyn Error>> {
    let (_, pause) = caller.workers();
    let priority = match caller {
        Caller::Interactive => Priority::Interactive,
        Caller::Bulk => Priority::Bulk,
        Caller::Normal | Caller::Foreign => Priority::Normal,
    };
    let client = client.with_options(CallOptions::new().with_priority(priority));
    sleep(first).await;
    loop {
        let called = Instant::now();
        match caller {
            Caller::Interactive => drop(client.get_order().id(20000010).send().await?),
            Caller::Bulk => drop(client.list_orders().limit(10).send().await?),
            Caller::Normal | Caller::Foreign => drop(client.get_customer().id(1).send().await?),
        }
        finished.add(caller, called.elapsed());
        sleep(pause).await;
    }
}

/// Another program, which shares nothing with our client but the limit of the server.
async fn foreign(server: &MockServer, finished: &FinishedCalls) -> Result<(), Box<dyn Error>> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    sleep(FOREIGN_FROM).await;
    let mut ticks = interval(FOREIGN_EVERY);
    loop {
        ticks.tick().await;
        let called = Instant::now();
        let request = client.get(format!("{}/queues", server.base_url()));
        let response = request.header(AUTHORIZATION, server.token(TokenKind::Legacy)).send().await?;
        if response.status().is_success() {
            finished.add(Caller::Foreign, called.elapsed());
        }
    }
}

/// Prints the table of calls and waits.
fn print_table(seen: &[SeenRequest], finished: &[FinishedCall]) {
    println!("\n{:<20} {:>7} {:>7} {:>5} {:>15} {:>9}", "", "workers", "calls", "429s", "median wait", "longest");
    for caller in Caller::ALL.into_iter().rev() {
        let sent = seen.iter().filter(|call| call.caller == caller).count();
        let refused = seen.iter().filter(|call| call.caller == caller && call.refused).count();
        let mut took: Vec<Duration> =
            finished.iter().filter(|call| call.caller == caller).map(|call| call.took).collect();
        took.sort();
        let median = took.get(took.len() / 2).copied().unwrap_or_default();
        let longest = took.last().copied().unwrap_or_default();
        println!(
            "{:<20} {:>7} {sent:>7} {refused:>5} {:>12.3} s {:>7.3} s",
            caller.name(),
            caller.workers().0,
            median.as_secs_f64(),
            longest.as_secs_f64(),
        );
    }
    let (taken, allowed) = (seen.iter().filter(|call| !call.refused).count(), LIMIT * WINDOWS);
    println!(
        "{taken} of {allowed} calls that {WINDOWS} windows allow: {:.1} %",
        taken as f64 / f64::from(allowed) * 100.0
    );
}

/// Draws the chart: calls since the window began, stacked by caller, against the limit.
fn draw(path: &Path, seen: &[SeenRequest]) -> Result<(), Box<dyn Error>> {
    const INK: RGBColor = RGBColor(51, 51, 51);
    const RED: RGBColor = RGBColor(200, 30, 30);
    let root = SVGBackend::new(path, (900, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let text = |size: u32| ("sans-serif", size).into_font().color(&INK);
    let (head, body) = root.split_vertically(64);

    let title = format!("64 workers and another integration share {LIMIT} calls in {} s", WINDOW.as_secs());
    head.draw_text(&title, &text(18), (62, 12))?;
    for (place, caller) in (0..).zip(Caller::ALL) {
        let left = 62 + place * 130;
        head.draw(&Rectangle::new([(left, 42), (left + 12, 54)], caller.color().filled()))?;
        head.draw_text(caller.name(), &text(13), (left + 18, 42))?;
    }
    head.draw(&Cross::new((62 + 4 * 130 + 40, 48), 4, RED.stroke_width(2)))?;
    head.draw_text("refused (429)", &text(13), (62 + 4 * 130 + 52, 42))?;

    let seconds = (WINDOW * WINDOWS).as_secs_f64();
    let mut chart = ChartBuilder::on(&body)
        .margin_top(4)
        .margin_left(8)
        .margin_right(96)
        .x_label_area_size(42)
        .y_label_area_size(54)
        .build_cartesian_2d(0.0..seconds, 0.0..f64::from(LIMIT) * 1.1)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(INK.mix(0.15))
        .axis_style(INK)
        .x_labels(WINDOWS as usize + 1)
        .y_labels(6)
        .label_style(text(13))
        .axis_desc_style(text(13))
        .x_label_formatter(&|second| format!("{second:.0}"))
        .y_label_formatter(&|calls| format!("{calls:.0}"))
        .x_desc("seconds")
        .y_desc("calls since the window began")
        .draw()?;
    // The highest stack first, so that the lower ones cover its lower part.
    for caller in Caller::ALL.into_iter().rev() {
        chart.draw_series(AreaSeries::new(stack(seen, caller), 0.0, caller.color().filled()))?;
    }
    let refused = seen.iter().filter(|call| call.refused);
    chart
        .draw_series(refused.map(|call| Cross::new((call.seconds, f64::from(LIMIT) * 1.04), 4, RED.stroke_width(2))))?;
    for (calls, name, width) in [(LIMIT, "the limit", 2), (LIMIT - LEFT_BY_BULK, "bulk stops here", 1)] {
        let calls = f64::from(calls);
        chart.draw_series(LineSeries::new([(0.0, calls), (seconds, calls)], INK.stroke_width(width)))?;
        let (x, y) = chart.backend_coord(&(seconds, calls));
        root.draw_text(name, &text(12).pos(Pos::new(HPos::Left, VPos::Center)), (x + 6, y))?;
    }
    root.present()?;
    Ok(())
}

/// The calls since the window began by this caller and those below it, at points 40 ms apart.
fn stack(seen: &[SeenRequest], top: Caller) -> Vec<(f64, f64)> {
    const POINTS: u32 = 50;
    let below = Caller::ALL.iter().position(|caller| *caller == top).unwrap_or_default();
    let counted: Vec<f64> = seen
        .iter()
        .filter(|call| !call.refused && Caller::ALL[..=below].contains(&call.caller))
        .map(|call| call.seconds)
        .collect();
    let window = WINDOW.as_secs_f64();
    (0..WINDOWS)
        .flat_map(|number| {
            let begins = f64::from(number) * window;
            let counted = &counted;
            (0..=POINTS).map(move |point| {
                let moment = begins + window * f64::from(point) / f64::from(POINTS);
                let calls = counted.iter().filter(|at| (begins..moment).contains(at)).count();
                (moment, calls as f64)
            })
        })
        .collect()
}

fn next_second(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second() + 1).expect("the year is far from the last one")
}
