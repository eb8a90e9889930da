//! The files of a new plugin. They are kept in `plugin-sdk/templates`, and compiled in.

use crate::plugin::manifest::{GATEWAY, Language};
use crate::plugin::{CONTRACT_VERSION, Interface};
use std::path::{Path, PathBuf};

/// What is to be made.
pub struct Plan<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its language.
    pub language: Language,
    /// What it does.
    pub kind: Interface,
    /// What a Rust plugin links.
    pub sdk: &'a Sdk,
}

/// Where the Rust SDK is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sdk {
    /// A folder of a checkout.
    Folder(PathBuf),
    /// The crate of this program's version, from the registry.
    Published,
}

macro_rules! text {
    ($($path:tt)*) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../plugin-sdk/templates/", $($path)*))
    };
}

macro_rules! bytes {
    ($($path:tt)*) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../plugin-sdk/templates/", $($path)*))
    };
}

/// One source in the five kinds.
macro_rules! kinds {
    ($kind:expr, $folder:literal, $extension:literal) => {
        match $kind {
            Interface::Filter => text!(concat!($folder, "/filter.", $extension)),
            Interface::Transform => text!(concat!($folder, "/transform.", $extension)),
            Interface::Route => text!(concat!($folder, "/route.", $extension)),
            Interface::Enrich => text!(concat!($folder, "/enrich.", $extension)),
            Interface::Action => text!(concat!($folder, "/action.", $extension)),
        }
    };
}

// === impl Sdk ===

impl Sdk {
    /// The folder that is asked for, else that of the checkout this program was built from, while
    /// it is there, else the published one.
    ///
    /// # Errors
    /// When the folder that is asked for has no SDK.
    pub fn find(asked: Option<&Path>) -> Result<Self, String> {
        if let Some(folder) = asked {
            return has_sdk(folder).ok_or_else(|| {
                format!("--sdk: {} is no folder of livekit-webhook-plugin", folder.display())
            });
        }
        let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugin-sdk");
        Ok(has_sdk(&built_from).unwrap_or(Self::Published))
    }

    /// The right side of a dependency in Cargo.toml.
    fn dependency(&self) -> String {
        match self {
            Self::Folder(folder) => {
                // What JSON writes of a text is a text of TOML.
                let path = serde_json::Value::from(folder.to_string_lossy().into_owned());
                format!("{{ path = {path} }}")
            }
            Self::Published => format!("{:?}", env!("CARGO_PKG_VERSION")),
        }
    }

    /// The versions the SDK is tested with. Without them cargo takes the newest of today.
    fn lock(&self) -> Option<Vec<u8>> {
        match self {
            Self::Folder(folder) => std::fs::read(folder.join("../Cargo.lock")).ok(),
            Self::Published => None,
        }
    }
}

fn has_sdk(folder: &Path) -> Option<Sdk> {
    let folder = folder.canonicalize().ok()?;
    let text = std::fs::read_to_string(folder.join("Cargo.toml")).ok()?;
    text.contains("name = \"livekit-webhook-plugin\"").then_some(Sdk::Folder(folder))
}

/// All files, by their paths within the plugin's folder.
pub fn files(plan: &Plan<'_>) -> Vec<(&'static str, Vec<u8>)> {
    let manifest = format!("{}{}", text!("common/plugin.toml"), plan.examples());
    let mut ignored = "/target/\n/.tools/\n".to_owned();
    if plan.language == Language::Python {
        ignored.push_str("__pycache__/\n");
    }
    let mut files = vec![
        ("plugin.toml", plan.filled(&manifest)),
        ("README.md", plan.filled(text!("common/README.md"))),
        (".gitignore", ignored.into_bytes()),
        ("fixtures/room_started.json", text!("common/room_started.json").into()),
        (plan.source(), plan.filled(plan.code())),
    ];
    match plan.language {
        Language::Rust => {
            files.push(("Cargo.toml", plan.filled(text!("rust/Cargo.template.toml"))));
            files.extend(plan.sdk.lock().map(|lock| ("Cargo.lock", lock)));
        }
        Language::JavaScript => {
            files.push(("package.json", plan.filled(text!("javascript/package.json"))));
            let helpers = text!("javascript/livekit-webhook.js");
            files.push(("src/livekit-webhook.js", plan.filled(helpers)));
        }
        Language::Python => {}
        Language::C => {
            let (header, code, types) = plan.bindings();
            files.push(("src/text.h", text!("c/text.h").into()));
            files.push(("bindings/plugin.h", header.into()));
            files.push(("bindings/plugin.c", code.into()));
            files.push(("bindings/plugin_component_type.o", types.to_vec()));
        }
    }
    files
}

// === impl Plan ===

impl Plan<'_> {
    fn filled(&self, text: &str) -> Vec<u8> {
        let sdk = self.sdk.dependency();
        let operator = match self.language {
            // A whole interpreter is in the file, and it is started for every event.
            Language::Python => {
                "limits = { component_bytes = 25165824, cpu_init_ms = 1000 }\ninstances = \"warm\"\n"
            }
            _ => "",
        };
        let mut terms = String::new();
        if self.kind == Interface::Filter {
            terms.push_str(
                "# What becomes of an event that it could not judge; or pass, or drop.\n",
            );
            terms.push_str("on_error = \"fail\"\n");
        }
        if self.language == Language::Python {
            terms.push_str("# It keeps nothing of one event for the next, so that an operator may let it live.\n");
            terms.push_str("instances = \"warm\"\n");
        }
        let filled = [
            ("{{name}}", self.name),
            ("{{language}}", self.language.as_str()),
            ("{{kind}}", self.kind.as_str()),
            ("{{description}}", self.description()),
            ("{{source}}", self.source()),
            ("{{sdk}}", sdk.as_str()),
            ("{{operator}}", operator),
            ("{{terms}}", terms.as_str()),
            ("{{gateway}}", GATEWAY),
            ("{{version}}", CONTRACT_VERSION),
        ];
        let text =
            filled.into_iter().fold(text.to_owned(), |text, (key, value)| text.replace(key, value));
        text.into_bytes()
    }

    fn source(&self) -> &'static str {
        match self.language {
            Language::Rust => "src/lib.rs",
            Language::JavaScript => "src/plugin.js",
            Language::Python => "app.py",
            Language::C => "src/main.c",
        }
    }

    fn description(&self) -> &'static str {
        match self.kind {
            Interface::Filter => "Leaves out rooms whose name begins in a certain way",
            Interface::Transform => "Adds a note to every event of a room",
            Interface::Route => "Tells one endpoint of rooms that are over",
            Interface::Enrich => "Finds the tenant in the name of a room",
            Interface::Action => "Greets every room",
        }
    }

    fn examples(&self) -> &'static str {
        kinds!(self.kind, "common", "toml")
    }

    fn code(&self) -> &'static str {
        match self.language {
            Language::Rust => kinds!(self.kind, "rust", "rs"),
            Language::JavaScript => kinds!(self.kind, "javascript", "js"),
            Language::Python => kinds!(self.kind, "python", "py"),
            Language::C => kinds!(self.kind, "c", "c"),
        }
    }

    fn bindings(&self) -> (&'static str, &'static str, &'static [u8]) {
        macro_rules! of {
            ($kind:literal) => {
                (
                    text!(concat!("c/bindings/", $kind, "/plugin.h")),
                    text!(concat!("c/bindings/", $kind, "/plugin.c")),
                    bytes!(concat!("c/bindings/", $kind, "/plugin_component_type.o")),
                )
            };
        }
        match self.kind {
            Interface::Filter => of!("filter"),
            Interface::Transform => of!("transform"),
            Interface::Route => of!("route"),
            Interface::Enrich => of!("enrich"),
            Interface::Action => of!("action"),
        }
    }
}
