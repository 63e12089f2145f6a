//! Counts the instructions of a call, compared with bare reqwest, progenitor's client and reqwest-retry making the same
//! call.
//!
//! Instructions do not depend on other load, so they show differences that times hide. Callgrind counts those of the
//! client's process; the server is a process of its own and is not counted. Each client makes two runs of different
//! length, and the difference between them is the cost of the calls, without start and connection. The feature `testing`
//! is on, which is off in a user's build.
//!
//! Not counted: the kernel, and with it reading the clock, which valgrind turns into a system call; and what `call.rs`
//! leaves out.
//!
//! * `cargo bench -p servicebay-bench --bench instructions`: measures all clients, if valgrind is installed;
//! * the same with `-- --test`: makes a few calls with each client, without valgrind;
//! * the same with `-- <client> <workload> <calls>`: makes the calls and exits, for a profiler of your choice;
//! * the same with `-- serve <workload>`: runs the server.

#![expect(clippy::print_stdout, reason = "the counts are what this program is for")]

mod callgrind;
mod connection;
mod peers;

use std::error::Error;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitCode, Stdio};
use std::{env, io};

use tokio::runtime::Builder;

use self::peers::{Client, Peer, Server, Workload};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => measure()?,
        ["--test"] => smoke()?,
        ["serve", workload] => serve(workload.parse()?)?,
        [peer, workload, calls] => run(peer.parse()?, workload.parse()?, calls.parse()?)?,
        // A filter or an option for criterion, which `cargo bench` passes to every bench.
        _ => println!("instructions: skipped, because it takes no such arguments: {arguments:?}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Counts the instructions of every client and prints the ratios.
fn measure() -> Result<(), Box<dyn Error>> {
    if !callgrind::is_installed() {
        println!("instructions: skipped, because valgrind is not installed");
        return Ok(());
    }
    println!("instructions of the client's process per call");
    println!("{:<12} {:<13} {:>12} {:>10}", "workload", "client", "per call", "/ reqwest");
    for workload in Workload::ALL {
        let mut base = None;
        for peer in Peer::ALL {
            let cost = median(peer, workload)?;
            let ratio = cost / *base.get_or_insert(cost);
            println!("{workload:<12} {peer:<13} {cost:>12.0} {ratio:>10.4}");
        }
    }
    Ok(())
}

/// The instructions of one call: the median of three counts, because a large response arrives in a varying number of
/// pieces.
fn median(peer: Peer, workload: Workload) -> Result<f64, Box<dyn Error>> {
    let mut counts = [marginal(peer, workload)?, marginal(peer, workload)?, marginal(peer, workload)?];
    counts.sort_by(f64::total_cmp);
    Ok(counts[1])
}

fn marginal(peer: Peer, workload: Workload) -> Result<f64, Box<dyn Error>> {
    let (short, long) = match workload {
        Workload::GetOrder => (500, 2500),
        Workload::ListOrders => (20, 100),
    };
    let calls = long - short;
    let count =
        |calls: u32| callgrind::count("instructions", &[peer.to_string(), workload.to_string(), calls.to_string()]);
    Ok((count(long)? - count(short)?) / f64::from(calls))
}

/// Makes a few calls with every client.
fn smoke() -> Result<(), Box<dyn Error>> {
    for workload in Workload::ALL {
        for peer in Peer::ALL {
            run(peer, workload, 3)?;
        }
    }
    Ok(())
}

/// Makes the calls. This is the run that callgrind counts.
fn run(peer: Peer, workload: Workload, calls: u32) -> Result<(), Box<dyn Error>> {
    let server = ServerProcess::start(workload)?;
    let client = Client::new(peer, &server.base_url);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        for _ in 0..calls {
            client.call(workload).await;
        }
    });
    Ok(())
}

/// The server in a process of its own, which is this program once more. It stops when this value is dropped.
struct ServerProcess {
    process: Child,
    base_url: String,
}

impl ServerProcess {
    fn start(workload: Workload) -> Result<Self, Box<dyn Error>> {
        let mut process = Command::new(env::current_exe()?)
            .args(["serve".to_owned(), workload.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut base_url = String::new();
        let output = process.stdout.take().ok_or("the server has no output")?;
        BufReader::new(output).read_line(&mut base_url)?;
        Ok(Self { process, base_url: base_url.trim().to_owned() })
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // The server exits when its input closes, which happens too if this program is killed.
        drop(self.process.stdin.take());
        self.process.wait().ok();
    }
}

/// Prints the address of the server and serves until the input closes.
fn serve(workload: Workload) -> io::Result<()> {
    println!("{}", Server::start(workload)?.base_url());
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
