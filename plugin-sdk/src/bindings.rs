//! What `wit-bindgen` makes of the contract. One module for what is imported, and one for each
//! interface a plugin may export, so that a plugin exports what its attributes say and nothing
//! else.

#![cfg(target_arch = "wasm32")]
#![expect(missing_docs, reason = "generated; the contract is documented in wit/")]

/// What every plugin may import.
pub mod base {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "
            package livekit-webhook:sdk;
            world base {
                import livekit-webhook:plugin/types@0.1.1;
                include livekit-webhook:plugin/io@0.1.1;
            }
        ",
        world: "livekit-webhook:sdk/base",
        runtime_path: "wit_bindgen::rt",
        generate_all,
    });
}

macro_rules! interface {
    ($module:ident, $world:literal, $export:literal $(, $import:literal as $name:ident)*) => {
        pub mod $module {
            wit_bindgen::generate!({
                path: "../wit",
                world: $world,
                with: {
                    "livekit-webhook:plugin/types@0.1.1":
                        crate::bindings::base::livekit_webhook::plugin::types,
                    "livekit-webhook:plugin/log@0.1.1":
                        crate::bindings::base::livekit_webhook::plugin::log,
                    "livekit-webhook:plugin/config@0.1.1":
                        crate::bindings::base::livekit_webhook::plugin::config,
                    "livekit-webhook:plugin/metrics@0.1.1":
                        crate::bindings::base::livekit_webhook::plugin::metrics,
                    $($import: crate::bindings::base::livekit_webhook::plugin::$name,)*
                },
                pub_export_macro: true,
                export_macro_name: $export,
            });
        }
    };
}

interface!(filter, "livekit-webhook:plugin/filter-plugin", "export_filter");
interface!(transform, "livekit-webhook:plugin/transform-plugin", "export_transform");
interface!(route, "livekit-webhook:plugin/route-plugin", "export_route");
interface!(
    enrich,
    "livekit-webhook:plugin/enrich-plugin",
    "export_enrich",
    "livekit-webhook:plugin/http@0.1.1" as http,
    "livekit-webhook:plugin/secrets@0.1.1" as secrets,
    "livekit-webhook:plugin/state@0.1.1" as state,
    "livekit-webhook:plugin/livekit@0.1.1" as livekit
);
interface!(
    action,
    "livekit-webhook:plugin/action-plugin",
    "export_action",
    "livekit-webhook:plugin/http@0.1.1" as http,
    "livekit-webhook:plugin/secrets@0.1.1" as secrets,
    "livekit-webhook:plugin/state@0.1.1" as state,
    "livekit-webhook:plugin/livekit@0.1.1" as livekit
);

pub mod lifecycle {
    wit_bindgen::generate!({
        path: "../wit",
        world: "livekit-webhook:plugin/configured",
        pub_export_macro: true,
        export_macro_name: "export_lifecycle",
    });
}
