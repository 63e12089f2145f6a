//! How a tenant's limit is shared: people at a counter, follow-ups of webhooks, an export, and another integration that
//! knows nothing of the three.
//!
//! `cargo run -p servicebay-demos --example pacing` lets 64 workers call a mock server inside this program for 16 s. They share one client and
//! so one budget. The other integration has a plain HTTP client and a token of its own, and calls at its own pace. A
//! table tells how each of them fared, and a picture shows the calls against the limit. The first argument is the file for
//! the picture; without one it is written to the folder for temporary files.

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

/// What the tenant allows in a window, and how long that is.
const LIMIT: u32 = 200;
const WINDOW: Duration = Duration::from_secs(2);
const WINDOWS: u32 = 8;
/// What bulk leaves of it: a fifth, as it comes.
const LEFT_BY_BULK: u32 = LIMIT / 5;
/// When the other integration sets in, and how often it calls.
const FOREIGN_FROM: Duration = Duration::from_secs(6);
const FOREIGN_EVERY: Duration = Duration::from_millis(150);

/// Who calls, in the order in which the picture piles them up.
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

    fn colour(self) -> RGBColor {
        match self {
            Self::Bulk => RGBColor(158, 202, 225),
            Self::Normal => RGBColor(33, 113, 181),
            Self::Interactive => RGBColor(230, 125, 20),
            Self::Foreign => RGBColor(120, 120, 120),
        }
    }

    /// How many work, and how long each of them thinks after a call.
    fn workers(self) -> (u32, Duration) {
        match self {
            // Orders by the page, one after the other, as fast as the limit allows.
            Self::Bulk => (40, Duration::ZERO),
            // A webhook tells that a customer has changed.
            Self::Normal => (12, Duration::from_millis(3000)),
            // Somebody opens an order.
            Self::Interactive => (12, Duration::from_millis(1500)),
            Self::Foreign => (1, Duration::ZERO),
        }
    }

    /// Whose request it was that the tenant saw.
    fn of(request: &RecordedRequest) -> Self {
        match (request.token, request.operation) {
            (TokenSeen::Legacy, _) => Self::Foreign,
            (_, Some("get_order")) => Self::Interactive,
            (_, Some("get_customer")) => Self::Normal,
            _ => Self::Bulk,
        }
    }
}

/// A call that was answered, and how long that took.
struct Answered {
    caller: Caller,
    took: Duration,
}

/// All of them.
#[derive(Default)]
struct Answers(Mutex<Vec<Answered>>);

impl Answers {
    fn add(&self, caller: Caller, took: Duration) {
        self.0.lock().expect("nobody panics with the lock in hand").push(Answered { caller, took });
    }
}

/// A request that the tenant saw.
struct Seen {
    caller: Caller,
    /// Since the first window began.
    seconds: f64,
    refused: bool,
}

impl Seen {
    fn new(request: &RecordedRequest, begun: Timestamp) -> Self {
        Self {
            caller: Caller::of(request),
            seconds: request.at.duration_since(begun).as_secs_f64(),
            refused: request.status == StatusCode::TOO_MANY_REQUESTS,
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let picture = env::args_os().nth(1).map_or_else(|| env::temp_dir().join("servicebay-pacing.svg"), PathBuf::from);
    let tenant = MockServer::builder().with_rate_limit(LIMIT, WINDOW).start().await;
    let client = tenant.client()?;
    println!("64 workers and another integration at a tenant that allows {LIMIT} calls in {} s ...", WINDOW.as_secs());

    // Windows end on a whole second, so the first is as long as the others only if it begins on one.
    let begun = next_second(tenant.now());
    sleep(begun.duration_since(tenant.now()).unsigned_abs()).await;
    let answers = Answers::default();
    let ours = [Caller::Interactive, Caller::Normal, Caller::Bulk].into_iter().flat_map(|caller| {
        let (workers, pause) = caller.workers();
        let (client, answers) = (&client, &answers);
        (0..workers).map(move |number| work(caller, client.clone(), pause * number / workers, answers))
    });
    // All of them go on until the time is over, unless a call fails.
    let all = try_join(try_join_all(ours), foreign(&tenant, &answers));
    if let Ok(Err(error)) = timeout(WINDOW * WINDOWS, all).await {
        return Err(error);
    }

    let end = (WINDOW * WINDOWS).as_secs_f64();
    let mut seen: Vec<Seen> = tenant.requests().iter().map(|request| Seen::new(request, begun)).collect();
    seen.retain(|call| call.seconds < end);
    tell(&seen, &answers.0.into_inner()?);
    draw(&picture, &seen)?;
    println!("\nthe picture is in {}", picture.display());
    Ok(())
}

/// Calls, thinks, and calls again.
async fn work(
    caller: Caller,
    client: fixably::Client,
    first: Duration,
    answers: &Answers,
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
        let asked = Instant::now();
        match caller {
            Caller::Interactive => drop(client.get_order().id(20000010).send().await?),
            Caller::Bulk => drop(client.list_orders().limit(10).send().await?),
            Caller::Normal | Caller::Foreign => drop(client.get_customer().id(1).send().await?),
        }
        answers.add(caller, asked.elapsed());
        sleep(pause).await;
    }
}

/// Somebody else's program: it shares the tenant's limit, and nothing with us.
async fn foreign(tenant: &MockServer, answers: &Answers) -> Result<(), Box<dyn Error>> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    sleep(FOREIGN_FROM).await;
    let mut ticks = interval(FOREIGN_EVERY);
    loop {
        ticks.tick().await;
        let asked = Instant::now();
        let request = client.get(format!("{}/queues", tenant.base_url()));
        let answer = request.header(AUTHORIZATION, tenant.token(TokenKind::Legacy)).send().await?;
        if answer.status().is_success() {
            answers.add(Caller::Foreign, asked.elapsed());
        }
    }
}

/// The table: how each of them fared.
fn tell(seen: &[Seen], answered: &[Answered]) {
    println!("\n{:<20} {:>7} {:>7} {:>5} {:>15} {:>9}", "", "workers", "calls", "429s", "answered after", "at most");
    for caller in Caller::ALL.into_iter().rev() {
        let sent = seen.iter().filter(|call| call.caller == caller).count();
        let refused = seen.iter().filter(|call| call.caller == caller && call.refused).count();
        let mut took: Vec<Duration> =
            answered.iter().filter(|call| call.caller == caller).map(|call| call.took).collect();
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

/// The picture: calls since the window began, piled up by caller, against the limit.
fn draw(file: &Path, seen: &[Seen]) -> Result<(), Box<dyn Error>> {
    const INK: RGBColor = RGBColor(51, 51, 51);
    const RED: RGBColor = RGBColor(200, 30, 30);
    let root = SVGBackend::new(file, (900, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let text = |size: u32| ("sans-serif", size).into_font().color(&INK);
    let (head, body) = root.split_vertically(64);

    let title = format!("64 workers and another integration share {LIMIT} calls in {} s", WINDOW.as_secs());
    head.draw_text(&title, &text(18), (62, 12))?;
    for (place, caller) in (0..).zip(Caller::ALL) {
        let left = 62 + place * 130;
        head.draw(&Rectangle::new([(left, 42), (left + 12, 54)], caller.colour().filled()))?;
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
    // The highest pile first, so that the lower ones cover its foot.
    for caller in Caller::ALL.into_iter().rev() {
        chart.draw_series(AreaSeries::new(pile(seen, caller), 0.0, caller.colour().filled()))?;
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

/// Calls since the window began by this caller and those below it, in points 40 ms apart.
fn pile(seen: &[Seen], top: Caller) -> Vec<(f64, f64)> {
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
    Timestamp::from_second(now.as_second() + 1).expect("the years of a clock are far from the last")
}
