//! The virtual machine's side of the ABI: which plugin and which request a callback is for.
//!
//! One [`Filter`] is one worker's VM. Several plugins may live in it, each with a configuration of
//! its own; a request keeps the configuration that was in force when it began.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::headers::Names;
use crate::metrics::Metrics;
use crate::proxy::{Level, Proxy};
use crate::request::{Flow, Request, Shared};
use crate::self_test;
use crate::settings::{Problem, Settings};

/// How often metrics are handed over and the watch looks, in milliseconds.
const TICK_MS: u32 = 500;

/// All plugins and requests of one VM, by the ids that the proxy gave them.
#[derive(Debug, Default)]
pub struct Filter {
    /// Without a configuration that held there is nothing to share, and nothing passes.
    plugins: BTreeMap<u32, Option<Rc<Shared>>>,
    requests: BTreeMap<u32, Request>,
}

// === impl Filter ===

impl Filter {
    /// A plugin (`parent` 0) or a stream of a plugin begins.
    pub fn create(&mut self, context_id: u32, parent: u32) {
        if parent == 0 {
            self.plugins.insert(context_id, None);
        } else {
            let shared = self.plugins.get(&parent).cloned().flatten();
            self.requests.insert(context_id, Request::new(context_id, shared));
        }
    }

    /// A plugin gets its configuration. False: it is refused, and an earlier one stays.
    pub fn configure(&mut self, proxy: &impl Proxy, plugin_id: u32) -> bool {
        match configured(proxy) {
            Ok(shared) => {
                let old = self.plugins.insert(plugin_id, Some(Rc::new(shared)));
                retire(proxy, old);
                true
            }
            Err(problems) => {
                for problem in problems {
                    proxy.log(Level::Error, &format!("livekit-webhook: {problem}"));
                }
                false
            }
        }
    }

    /// Hands over metrics, and looks for held requests that do not move on.
    pub fn tick(&mut self, proxy: &impl Proxy, plugin_id: u32) {
        let shared = self.plugins.get(&plugin_id).cloned().flatten();
        let (Some(shared), Some(now_ms)) = (shared, proxy.now_ms()) else {
            return;
        };
        shared.metrics.flush(proxy);
        let overdue = match shared.watch.try_borrow_mut() {
            Ok(mut watch) => watch.overdue(now_ms),
            Err(_) => return,
        };
        for context_id in overdue {
            proxy.log(
                Level::Error,
                "livekit-webhook: the body of a held request did not come. If no request gets \
                 through, the plugin's configuration lacks this line: \
                 `allow_on_headers_stop_iteration: true`. Else a client sent headers and then \
                 nothing",
            );
            if let Some(request) = self.requests.get_mut(&context_id)
                && proxy.speak_for(context_id)
            {
                request.overdue(proxy);
            }
        }
    }

    /// See [`Request::request_headers`].
    pub fn request_headers(&mut self, proxy: &impl Proxy, id: u32, end: bool) -> Flow {
        self.on(id, Flow::Pause, |request| request.request_headers(proxy, end))
    }

    /// See [`Request::request_body`].
    pub fn request_body(&mut self, proxy: &impl Proxy, id: u32, bytes: usize, end: bool) -> Flow {
        self.on(id, Flow::Pause, |request| request.request_body(proxy, bytes, end))
    }

    /// See [`Request::request_trailers`].
    pub fn request_trailers(&mut self, proxy: &impl Proxy, id: u32) -> Flow {
        self.on(id, Flow::Pause, |request| request.request_trailers(proxy))
    }

    /// See [`Request::response_headers`].
    pub fn response_headers(&mut self, proxy: &impl Proxy, id: u32) -> Flow {
        self.on(id, Flow::Continue, |request| request.response_headers(proxy))
    }

    /// A plugin or a stream is over.
    pub fn delete(&mut self, proxy: &impl Proxy, context_id: u32) {
        if let Some(mut request) = self.requests.remove(&context_id) {
            request.ended(proxy);
        } else {
            retire(proxy, self.plugins.remove(&context_id));
        }
    }

    /// A stream that was never announced stays where it is.
    fn on(&mut self, id: u32, otherwise: Flow, call: impl FnOnce(&mut Request) -> Flow) -> Flow {
        self.requests.get_mut(&id).map_or(otherwise, call)
    }
}

/// A configuration is no longer in force. Its last requests flush what they add.
fn retire(proxy: &impl Proxy, plugin: Option<Option<Rc<Shared>>>) {
    if let Some(shared) = plugin.flatten() {
        shared.retired.set(true);
        shared.metrics.flush(proxy);
    }
}

fn configured(proxy: &impl Proxy) -> Result<Shared, Vec<Problem>> {
    let problem = |key: &str, text: &str| vec![Problem { key: key.into(), text: text.into() }];
    if !self_test::passes() {
        return Err(problem("self-test", "this build of the filter misjudges a known request"));
    }
    let settings = Settings::parse(&proxy.configuration())?;
    let variables = proxy.variables();
    let ring = settings.keys(|name| {
        let value = |text: &String| Some(text.strip_prefix(name)?.strip_prefix('=')?.to_owned());
        variables.iter().find_map(value)
    })?;
    warn(proxy, &settings, ring.ring.is_empty());
    let metrics = Metrics::define(proxy, &ring.secrets, settings.hold_headers);
    let metrics = metrics.ok_or_else(|| problem("metrics", "cannot be defined"))?;
    if !proxy.tick_every(TICK_MS) {
        return Err(problem(
            "tick",
            "cannot be had: metrics would be lost, held requests forgotten",
        ));
    }
    let keys = ring.secrets.len();
    proxy.log(Level::Info, &format!("livekit-webhook: configured with {keys} keys"));
    Ok(Shared {
        names: Names::new(&settings.header_prefix, &settings.header_facts),
        strip_authorization: settings.strip_authorization,
        route_by_event: settings.route_by_event,
        metrics,
        watch: RefCell::default(),
        retired: Cell::new(false),
        crippled: Cell::new(false),
        policy: settings.policy(ring.ring),
    })
}

/// Says what works, but not as somebody may believe.
fn warn(proxy: &impl Proxy, settings: &Settings, no_keys: bool) {
    if no_keys {
        let text = format!(
            "livekit-webhook: no keys in {}: every request is answered 503. Set the variable for \
             Envoy and name it in vm_config.environment_variables.host_env_keys",
            settings.keys_env.join(", ")
        );
        proxy.log(Level::Warn, &text);
    }
    if !settings.hold_headers {
        proxy.log(
            Level::Warn,
            "livekit-webhook: hold_headers is false: the host sees each token before its body is \
             verified",
        );
    }
    if settings.shadows() {
        proxy.log(
            Level::Warn,
            "livekit-webhook: mode shadow: requests that would be refused are let on",
        );
    }
}
