//! One plugin on one worker: reads the configuration, makes a [`Request`] for each stream, and
//! watches with the tick that held requests move on.

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, LogLevel};

use crate::answer::Refusal;
use crate::decision::Policy;
use crate::hostcalls::{self, Level};
use crate::metrics::Metrics;
use crate::request::Request;
use crate::settings::{Problem, Settings};
use crate::watch::Watch;
use crate::{environ, self_test};

/// How often the watch looks, in milliseconds.
const TICK_MS: u32 = 500;

proxy_wasm::main! {{
    // Only so that a panic, if there should ever be one, is written to Envoy's log.
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}

/// What the requests of one plugin on one worker have in common.
#[derive(Debug)]
pub struct Shared {
    /// What every request is judged by.
    pub policy: Policy,
    /// Stripped from requests, and set on those that pass.
    pub header_prefix: String,
    /// Whether the host sees the token.
    pub strip_authorization: bool,
    /// The counters.
    pub metrics: Metrics,
    /// The held requests, until the flag is proven. Borrowed with `try_borrow_mut` only.
    pub watch: RefCell<Watch>,
}

/// The plugin. Without a configuration that held, there is nothing to share and nothing passes.
#[derive(Default)]
struct Root {
    shared: Option<Rc<Shared>>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _bytes: usize) -> bool {
        match configure() {
            Ok(shared) => {
                self.shared = Some(Rc::new(shared));
                true
            }
            Err(problems) => {
                for problem in problems {
                    hostcalls::log(Level::Error, &format!("livekit-webhook: {problem}"));
                }
                false
            }
        }
    }

    fn on_tick(&mut self) {
        let (Some(shared), Some(now_ms)) = (&self.shared, hostcalls::now_ms()) else {
            return;
        };
        let overdue = match shared.watch.try_borrow_mut() {
            Ok(mut watch) => watch.overdue(now_ms),
            Err(_) => return,
        };
        for context_id in overdue {
            hostcalls::log(
                Level::Error,
                "livekit-webhook: the body of a held request did not come. If no request gets \
                 through, the plugin's configuration lacks this line: \
                 `allow_on_headers_stop_iteration: true`. Else a client sent headers and then \
                 nothing. Answered 503",
            );
            // `Request` sees nothing of this: no callback of its follows but its end.
            if hostcalls::speak_for(context_id) && hostcalls::send(&Refusal::NotHeld.answer()) {
                shared.metrics.rejected(&Refusal::NotHeld);
            }
        }
    }

    fn create_http_context(&self, context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Request::new(context_id, self.shared.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

fn configure() -> Result<Shared, Vec<Problem>> {
    let problem = |key: &str, text: &str| vec![Problem { key: key.into(), text: text.into() }];
    if !self_test::passes() {
        return Err(problem("self-test", "this build of the filter misjudges a known request"));
    }
    let settings = Settings::parse(&hostcalls::configuration())?;
    let variables = environ::variables();
    let keys = settings.keys(|name| {
        let value = |text: &String| Some(text.strip_prefix(name)?.strip_prefix('=')?.to_owned());
        variables.iter().find_map(value)
    })?;
    if keys.is_empty() {
        let text = format!(
            "livekit-webhook: no keys in {}: every request is answered 503. Set the variable for \
             Envoy and name it in vm_config.environment_variables.host_env_keys",
            settings.keys_env.join(", ")
        );
        hostcalls::log(Level::Warn, &text);
    }
    if !settings.hold_headers {
        hostcalls::log(
            Level::Warn,
            "livekit-webhook: hold_headers is false: the host sees each token before its body is \
             verified",
        );
    }
    let metrics = Metrics::define().ok_or_else(|| problem("metrics", "cannot be defined"))?;
    if settings.hold_headers && !hostcalls::tick_every(TICK_MS) {
        hostcalls::log(Level::Warn, "livekit-webhook: no tick: held requests are not watched");
    }
    let api_keys = keys.api_keys().count();
    hostcalls::log(Level::Info, &format!("livekit-webhook: configured with {api_keys} keys"));
    Ok(Shared {
        policy: settings.policy(keys),
        header_prefix: settings.header_prefix,
        strip_authorization: settings.strip_authorization,
        metrics,
        watch: RefCell::default(),
    })
}
