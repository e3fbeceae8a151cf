//! The program: its memory allocator, and the [command line](aicos::cli), which lives in the library, so that what it starts
//! is compiled there and not once more here.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    aicos::cli::run()
}
