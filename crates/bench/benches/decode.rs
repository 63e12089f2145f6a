//! What reading a page of 100 orders costs, beside strict structs of the same fields.
//!
//! The strict structs are what a program that trusts the vendor would define: derived by serde, each field of one type, dates read
//! by jiff, and the first odd value fails the page. Relations are what the page holds: links, or in the second workload
//! a customer and a status in full. Both readers take the same bytes, servicebay's as a client reads a response, and both costs
//! hold what it takes to drop the page again.
//!
//! * without arguments: the ratio of times, then of instructions if valgrind is there;
//! * `--test`: reads a few pages by each reader;
//! * `<reader> <workload> <pages>`: reads the pages and ends, for a profiler of your choice.
//!
//! Times are paired: short blocks by each reader in turn, a ratio for each round, and the median over many rounds. The
//! reader `strict again` shows how far from 1 two equal readers end up. Instructions are those that one more page takes.

#![expect(clippy::print_stdout, reason = "the ratios are what this program is for")]

mod callgrind;
#[path = "peers/orders.rs"]
mod orders;
mod quantile;
#[path = "decode/strict.rs"]
mod strict;

use std::env;
use std::error::Error;
use std::hint::black_box;
use std::process::ExitCode;

use serde::de::DeserializeOwned;
use servicebay::fixably::Page;
use servicebay::fixably::types::Order;
use servicebay::testing::probe;

use self::orders::Relations;
use self::quantile::{quantile, sorted};

/// Rounds of the paired measurement, and the pages in each block of it.
const ROUNDS: usize = 2000;
const BLOCK: usize = 8;

const READERS: [(&str, Reader); 2] = [("servicebay", Reader::Servicebay), ("strict", Reader::Strict)];
const WORKLOADS: [(&str, Relations); 2] = [("links", Relations::Linked), ("expanded", Relations::Expanded)];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    Servicebay,
    Strict,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            times();
            instructions()?;
        }
        ["--test"] => WORKLOADS.iter().for_each(|(_, relations)| {
            let page = orders::page(*relations);
            READERS.iter().for_each(|(_, reader)| read(*reader, *relations, &page, 3));
        }),
        [reader, workload, pages] => {
            let (reader, relations) = (named(&READERS, reader)?, named(&WORKLOADS, workload)?);
            read(reader, relations, &orders::page(relations), pages.parse()?);
        }
        // A filter or an option for criterion's benches, which `cargo bench` hands to all of them.
        _ => println!("decode: skipped, for it takes no such arguments: {arguments:?}"),
    }
    Ok(ExitCode::SUCCESS)
}

fn named<T: Copy>(all: &[(&str, T)], name: &str) -> Result<T, String> {
    let found = all.iter().find(|(known, _)| *known == name);
    found
        .map(|(_, value)| *value)
        .ok_or_else(|| format!("{name:?} is none of {:?}", all.iter().map(|it| it.0).collect::<Vec<_>>()))
}

/// What is measured.
fn read(reader: Reader, relations: Relations, page: &str, pages: usize) {
    match (reader, relations) {
        (Reader::Servicebay, _) => read_with(probe::read_body::<Page<Order>>, page, pages),
        (Reader::Strict, Relations::Linked) => {
            read_with(read_strictly::<strict::Page<strict::Link, strict::Link>>, page, pages);
        }
        (Reader::Strict, Relations::Expanded) => {
            read_with(read_strictly::<strict::Page<strict::Customer, strict::Status>>, page, pages);
        }
    }
}

fn read_strictly<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

fn read_with<T>(read: impl Fn(&[u8]) -> Option<T>, page: &str, pages: usize) {
    for _ in 0..pages {
        let page: T = read(black_box(page.as_bytes())).expect("the page has the shape that it has");
        black_box(&page);
    }
}

/// The readers in turn, and the medians of their ratios.
fn times() {
    println!("paired: medians of {ROUNDS} rounds, each reader in blocks of {BLOCK} pages");
    println!("{:<12} {:<13} {:>12} {:>10} {:>17}", "workload", "reader", "per page", "/ strict", "middle half");
    for (workload, relations) in WORKLOADS {
        let page = orders::page(relations);
        let lanes = [("strict", Reader::Strict), ("servicebay", Reader::Servicebay), ("strict again", Reader::Strict)];
        let rounds: Vec<[f64; 3]> = (0..ROUNDS).map(|_| round(lanes.map(|lane| lane.1), relations, &page)).collect();
        for (lane, (name, _)) in lanes.iter().enumerate() {
            let seconds = sorted(rounds.iter().map(|round| round[lane]));
            let ratios = sorted(rounds.iter().map(|round| round[lane] / round[0]));
            println!(
                "{workload:<12} {name:<13} {:>9.1} µs {:>10.3} {:>8.3}-{:.3}",
                quantile(&seconds, 0.5) / BLOCK as f64 * 1e6,
                quantile(&ratios, 0.5),
                quantile(&ratios, 0.25),
                quantile(&ratios, 0.75),
            );
        }
    }
}

/// A block by each reader, and the seconds it took; in an order of its own, so that nothing that comes and goes with a
/// period meets the same reader every time.
fn round(readers: [Reader; 3], relations: Relations, page: &str) -> [f64; 3] {
    let mut order = [0, 1, 2];
    fastrand::shuffle(&mut order);
    let mut seconds = [0.0; 3];
    for lane in order {
        seconds[lane] = block(readers[lane], relations, page);
    }
    seconds
}

#[expect(clippy::disallowed_methods, reason = "real time is what is measured")]
fn block(reader: Reader, relations: Relations, page: &str) -> f64 {
    let started = std::time::Instant::now();
    read(reader, relations, page, BLOCK);
    started.elapsed().as_secs_f64()
}

/// The instructions that one more page takes, by callgrind.
fn instructions() -> Result<(), Box<dyn Error>> {
    if !callgrind::is_installed() {
        println!("decode: instructions are not counted, for valgrind is not installed");
        return Ok(());
    }
    println!("instructions for one more page");
    println!("{:<12} {:<13} {:>12} {:>10}", "workload", "reader", "per page", "/ strict");
    for (workload, _) in WORKLOADS {
        let strict = marginal("strict", workload)?;
        for (reader, count) in [("strict", strict), ("servicebay", marginal("servicebay", workload)?)] {
            println!("{workload:<12} {reader:<13} {count:>12.0} {:>10.4}", count / strict);
        }
    }
    Ok(())
}

fn marginal(reader: &str, workload: &str) -> Result<f64, Box<dyn Error>> {
    let (short, long) = (5, 25);
    let count = |pages: u32| callgrind::count("decode", &[reader.to_owned(), workload.to_owned(), pages.to_string()]);
    Ok((count(long)? - count(short)?) / f64::from(long - short))
}
