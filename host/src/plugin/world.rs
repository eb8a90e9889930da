//! The contract in `wit/`, as the host sees it. Only [`super::convert`] and [`super::instance`] use
//! what is generated.
//!
//! A component may export any subset of the interfaces, so none of the generated worlds fits as a
//! whole. One world that exports them all is generated for its types, and the indices of each
//! interface are looked up on their own.

wasmtime::component::bindgen!({
    path: "../wit",
    inline: "
        package livekit-webhook:host;
        world everything {
            include livekit-webhook:plugin/filter-plugin@0.1.1;
            include livekit-webhook:plugin/transform-plugin@0.1.1;
            include livekit-webhook:plugin/route-plugin@0.1.1;
            include livekit-webhook:plugin/enrich-plugin@0.1.1;
            include livekit-webhook:plugin/action-plugin@0.1.1;
            include livekit-webhook:plugin/configured@0.1.1;
        }
    ",
    world: "livekit-webhook:host/everything",
    imports: {
        default: trappable,
        "livekit-webhook:plugin/http": async | trappable,
        "livekit-webhook:plugin/state": async | trappable,
        "livekit-webhook:plugin/livekit": async | trappable,
    },
    exports: { default: async },
    with: { "livekit-webhook:plugin/types.event": crate::plugin::instance::EventHandle },
});
