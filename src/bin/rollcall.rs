//! The command line. See `rollcall --help`.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use rollcall::cli::{self, Cli};

/// A quarter of the time of a request went into the allocator of the C library.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Into a pipe that closes early, such as that of `head`, a command ends quietly.
    if !cli.outlives_its_reader() {
        sigpipe::reset();
    }
    let level = if cli.logs_errors_alone() { tracing::Level::ERROR } else { tracing::Level::WARN };
    let lines = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr);
    // A log that nobody reads any more does not end a server.
    lines.log_internal_errors(false).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(cli::run(cli)),
        Err(e) => Err(format!("the runtime did not start ({e}); free memory or threads, then try again")),
    };
    match outcome {
        Ok(status) => status,
        Err(message) => {
            // Somebody who no longer reads is no reason to panic.
            let _ = writeln!(std::io::stderr(), "rollcall: {message}");
            ExitCode::FAILURE
        }
    }
}
