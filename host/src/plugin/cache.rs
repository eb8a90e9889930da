//! Compiled code on disk, so that a start does not compile again what it compiled before.
//!
//! Compiled code is run as it is: whoever can change it, runs what he likes in this process. So a
//! file is loaded only when its HMAC is right, under a key that was made for this folder and covers
//! the name too; and the folder is used only when it is ours and nobody else can write to it.
//! Whatever does not fit (another engine, another version, a torn or changed file, a folder that
//! cannot be written) means that the component is compiled, with a warning where something is
//! wrong; it never means that a plugin does not load. A file is written whole under another name,
//! synced and renamed, so several hosts can share a folder.
//!
//! Non-guarantee: who can read and write the folder as our user can sign what he puts there.

mod folder;

use super::engine::{Kind, Machine};
use folder::Folder;
use ring::hmac;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::path::Path;
use wasmtime::component::Component;

/// Code in one folder, in bytes. What was not used for longest is removed.
pub const CACHE_BYTES_MAX: u64 = 1 << 30;
/// Code of one component, in bytes: some ten times the largest component.
pub const CODE_BYTES_MAX: usize = 320 << 20;
/// Bytes of an HMAC with SHA-256.
const MAC_BYTES: usize = 32;
/// Keys are made with this; another format has another one.
const FORMAT: &[u8] = b"livekit-webhook compiled code 2\0";

/// One folder of compiled code.
#[derive(Debug)]
pub struct Cache {
    folder: Folder,
    key: hmac::Key,
}

/// The name of one component's code: the component, the engine, its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

/// Compiled code that this program made itself, just now or under its own signature.
#[derive(Debug)]
pub struct Code(Vec<u8>);

/// Why a folder is not used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It cannot be made, looked at or read.
    #[error("{what} of the folder for compiled plugins")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Somebody else could change what is in it.
    #[error("{path}: {problem}; what is in it would be run as it is")]
    Unsafe {
        /// The folder, or the key in it.
        path: String,
        /// Whose fault.
        problem: &'static str,
    },
}

/// Feeds what is hashed to SHA-256: a hash of 64 bits would be too short for a name.
struct Digesting(Sha256);

// === impl Cache ===

impl Cache {
    /// Opens the folder, or makes it, and reads its key, or makes it.
    ///
    /// # Errors
    /// When it cannot be used safely.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let folder = Folder::open(path)?;
        let key = folder.key()?;
        Ok(Self { folder, key: hmac::Key::new(hmac::HMAC_SHA256, &key) })
    }

    /// The code under this name, when it is there and as we left it.
    pub fn find(&self, name: &Name) -> Option<Code> {
        let mut bytes = match self.folder.read(&name.0, MAC_BYTES + CODE_BYTES_MAX) {
            Ok(bytes) => bytes?,
            Err(error) => {
                warn(name, &error, "compiled plugin cannot be read; it is compiled again");
                return None;
            }
        };
        let signed = bytes
            .split_last_chunk::<MAC_BYTES>()
            .filter(|(code, mac)| hmac::verify(&self.key_of(name), code, &mac[..]).is_ok())
            .map(|(code, _)| code.len());
        let Some(signed) = signed else {
            let problem = "torn or changed, or of another installation";
            warn(name, problem, "compiled plugin is not used; it is compiled again");
            self.folder.remove(&name.0);
            return None;
        };
        // The HMAC is at the end, so that nothing has to be moved: a runtime has 35 MB of code.
        bytes.truncate(signed);
        self.folder.touch(&name.0);
        Some(Code(bytes))
    }

    /// Keeps code under this name, and removes what is too much. Only warns when that cannot be.
    pub fn keep(&self, name: &Name, code: &Code) {
        let mac = hmac::sign(&self.key_of(name), &code.0);
        if let Err(error) = self.folder.write(&name.0, &code.0, mac.as_ref()) {
            warn(name, &error, "compiled plugin cannot be kept; the next start compiles it again");
        }
        self.folder.prune(CACHE_BYTES_MAX);
    }

    /// Removes code that no engine takes.
    pub fn remove(&self, name: &Name) {
        self.folder.remove(&name.0);
    }

    /// Each name has a key of its own, so that code is good under one name only.
    fn key_of(&self, name: &Name) -> hmac::Key {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(FORMAT);
        context.update(name.0.as_bytes());
        hmac::Key::new(hmac::HMAC_SHA256, context.sign().as_ref())
    }
}

fn warn(name: &Name, error: impl std::fmt::Display, text: &'static str) {
    tracing::warn!(name = name.0, error = error.to_string(), "{text}");
}

// === impl Name ===

impl Name {
    /// Of the code of a component with this digest, for one kind of an engine whose lean kind is
    /// `lean`. What tells the kinds apart is the same in every engine of this program, so the other
    /// one need not be made to look for its code.
    pub fn new(component: &[u8; 32], lean: &Machine, kind: Kind) -> Self {
        let mut digest = Digesting(Sha256::new());
        digest.write(component);
        lean.wasmtime().precompile_compatibility_hash().hash(&mut digest);
        digest.write(kind.as_str().as_bytes());
        let digest = digest.0.finalize();
        let mut name = String::with_capacity(2 * digest.len());
        for byte in digest {
            let _ = write!(name, "{byte:02x}");
        }
        Self(name)
    }
}

// === impl Digesting ===

impl Hasher for Digesting {
    fn finish(&self) -> u64 {
        0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

// === impl Code ===

impl Code {
    /// Of a compiler that is part of this program. Nobody else may call this.
    pub(super) fn just_made(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Makes it a component.
    ///
    /// # Errors
    /// When it is for an engine with other settings or of another version.
    #[expect(unsafe_code, reason = "code is loaded only as we made it: see the module")]
    pub fn load(&self, machine: &Machine) -> wasmtime::Result<Component> {
        // SAFETY: the bytes are what `Engine::precompile_component` of this program wrote. A `Code`
        // is made in two places: from the output of the compiler, and from a file after its HMAC
        // was right. The engine itself refuses code of another version or with other settings.
        unsafe { Component::deserialize(machine.wasmtime(), &self.0) }
    }
}

#[cfg(test)]
mod tests;
