//! The vectors, and two judges of them: `host/wire` as it is linked here, and the same crate as a
//! wasm module.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use livekit_webhook_wire::envelope::Envelope;
use livekit_webhook_wire::keys::KeyRing;
use livekit_webhook_wire::verify::{Rules, Verifier};
use serde_json::Value;
use wasmtime::{Engine as Wasmtime, Instance, Memory, Module, Store, TypedFunc};

/// Lines of the vectors' file. A story that judged fewer has judged nothing.
pub const VECTORS: usize = 137;

/// One signed request with what is known of it.
#[derive(Clone, Debug)]
pub struct Vector {
    /// Names the line.
    pub name: String,
    /// What the receiver is configured with.
    pub api_key: String,
    /// What the receiver is configured with. May be empty.
    pub secret: String,
    /// When to judge it, in unix seconds.
    pub now_s: i64,
    /// The values of all `Authorization` headers.
    pub authorization: Vec<String>,
    /// As it arrived.
    pub body: Vec<u8>,
    /// Whether our verdict must be to accept.
    pub accept: bool,
    /// Whether LiveKit's Rust receiver was seen to accept it.
    pub rust_accepts: bool,
    /// Whether it must be judged at its own time. All others have the same verdict until the year
    /// 2100.
    pub time_sensitive: bool,
}

/// What a judge says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Authentic and usable: its event.
    Accept(String),
    /// The code of what is wrong.
    Reject(String),
}

/// The wire crate inside wasmtime, one instance for all vectors.
pub struct WasmJudge {
    store: Store<()>,
    memory: Memory,
    request: TypedFunc<u32, u32>,
    judge: TypedFunc<(), i32>,
    reason: TypedFunc<(), u32>,
    reason_len: TypedFunc<(), u32>,
}

/// All lines of the file.
///
/// # Errors
/// When the file is absent or a line is not as its README says.
pub fn vectors() -> Result<Vec<Vector>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/livekit-webhooks.jsonl");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let lines = text.lines().map(|line| Vector::parse(&serde_json::from_str(line)?));
    lines.collect()
}

/// The verdict of the crate as it is linked here.
pub fn native(vector: &Vector) -> Verdict {
    let mut keys = KeyRing::new();
    // What cannot be inserted leaves the ring empty, and an empty ring refuses everything.
    let _ = keys.insert(&vector.api_key, vector.secret.as_bytes());
    let verifier = Verifier::new(keys, Rules::default());
    let authorization = vector.authorization.iter().map(String::as_bytes);
    if let Err(rejection) = verifier.verify(authorization, &vector.body, vector.now_s) {
        return Verdict::Reject(rejection.code().to_owned());
    }
    match Envelope::parse(&vector.body) {
        Ok(envelope) => Verdict::Accept(envelope.event),
        Err(error) => Verdict::Reject(error.code().to_owned()),
    }
}

/// Where `make guests` puts a guest.
pub fn guest(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/wasm").join(name)
}

/// wasmtime has an error type of its own, which the standard trait cannot carry.
fn ours(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:?}")
}

// === impl Vector ===

impl Vector {
    fn parse(line: &Value) -> Result<Self> {
        let text = |member: &str| {
            let text = line[member].as_str().map(str::to_owned);
            text.with_context(|| format!("a vector without `{member}`"))
        };
        let headers = line["headers"].as_array().context("a vector without `headers`")?;
        let named = |header: &&Value| {
            header[0].as_str().is_some_and(|name| name.eq_ignore_ascii_case("authorization"))
        };
        let values = headers.iter().filter(named).map(|header| header[1].as_str());
        let values: Option<Vec<_>> = values.map(|value| value.map(str::to_owned)).collect();
        Ok(Self {
            name: text("name")?,
            api_key: text("api_key")?,
            secret: text("secret")?,
            now_s: line["now"].as_i64().context("a vector without `now`")?,
            authorization: values.context("a header value that is no string")?,
            body: STANDARD.decode(text("body_base64")?).ok().context("a body that is no base64")?,
            accept: text("expected")? == "accept",
            rust_accepts: line["verdicts"]["rust"] == "accept",
            time_sensitive: line["time_sensitive"] == true,
        })
    }

    /// The form of the judge's ABI.
    fn request(&self) -> Result<Vec<u8>> {
        let now_s = self.now_s.to_le_bytes();
        let fixed = [self.api_key.as_bytes(), self.secret.as_bytes(), &now_s, &self.body];
        let fields = fixed.into_iter().chain(self.authorization.iter().map(String::as_bytes));
        let mut request = Vec::new();
        for field in fields {
            request.extend_from_slice(&u32::try_from(field.len())?.to_le_bytes());
            request.extend_from_slice(field);
        }
        Ok(request)
    }
}

// === impl WasmJudge ===

impl WasmJudge {
    /// Loads the guest.
    ///
    /// # Errors
    /// When it has not been built, with the command that builds it.
    pub fn load() -> Result<Self> {
        let path = guest("judge.wasm");
        if !path.is_file() {
            bail!("{} is missing: run `make guests`", path.display());
        }
        let engine = Wasmtime::default();
        let module = Module::from_file(&engine, &path).map_err(ours)?;
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).map_err(ours)?;
        let memory = instance.get_memory(&mut store, "memory").context("no memory")?;
        Ok(Self {
            memory,
            request: instance.get_typed_func(&mut store, "request").map_err(ours)?,
            judge: instance.get_typed_func(&mut store, "judge").map_err(ours)?,
            reason: instance.get_typed_func(&mut store, "reason").map_err(ours)?,
            reason_len: instance.get_typed_func(&mut store, "reason_len").map_err(ours)?,
            store,
        })
    }

    /// The verdict of the crate inside wasmtime.
    ///
    /// # Errors
    /// When the module traps, or cannot read the request.
    pub fn judge(&mut self, vector: &Vector) -> Result<Verdict> {
        let request = vector.request()?;
        let at = self.request.call(&mut self.store, u32::try_from(request.len())?).map_err(ours)?;
        self.memory.write(&mut self.store, usize::try_from(at)?, &request)?;
        let verdict = self.judge.call(&mut self.store, ()).map_err(ours)?;
        let at = usize::try_from(self.reason.call(&mut self.store, ()).map_err(ours)?)?;
        let length = usize::try_from(self.reason_len.call(&mut self.store, ()).map_err(ours)?)?;
        let mut reason = vec![0; length];
        self.memory.read(&self.store, at, &mut reason)?;
        let reason = String::from_utf8(reason)?;
        match verdict {
            0 => Ok(Verdict::Accept(reason)),
            1 => Ok(Verdict::Reject(reason)),
            other => bail!("{}: the judge answered {other}", vector.name),
        }
    }
}
