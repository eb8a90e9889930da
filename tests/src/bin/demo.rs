//! `make demo` and `make run`: arguments to options, the verdict to an exit code.

use livekit_webhook_tests::demo::{self, Options};
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

const USAGE: &str = "usage: demo [--stay]
  --stay   leave the system up until Ctrl-C, on the ports of envoy/edge.yaml
";

fn main() -> ExitCode {
    let mut options = Options { colour: has_colour(), ..Options::default() };
    for argument in std::env::args().skip(1) {
        if argument != "--stay" {
            let _ = std::io::stderr().write_all(USAGE.as_bytes());
            return ExitCode::from(64);
        }
        options.stay = true;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let verdict = runtime
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(demo::run(&options, &mut std::io::stdout())));
    match verdict {
        Ok(checks) if checks.failures().is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "\ndemo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Only for a terminal, and only when nobody has said no (no-color.org).
#[expect(clippy::disallowed_methods, reason = "the convention is a variable")]
fn has_colour() -> bool {
    let refused = std::env::var("NO_COLOR").is_ok_and(|value| !value.is_empty());
    std::io::stdout().is_terminal() && !refused
}
