//! Logs: readable on a terminal, JSON elsewhere; a message that stands alone, and fields with dotted names.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Starts logging to standard error. `RUST_LOG` chooses what, for example `aicos=debug`.
pub fn start() {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("warn,aicos=info,aicos::postgres=warn"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if std::io::stderr().is_terminal() {
        builder.with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    // A panic is logged like every other fault; the answer tells nothing of it.
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a task panicked: {}", info.payload_as_str().unwrap_or("without a message"));
    }));
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}
