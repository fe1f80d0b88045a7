//! What a plug-in needs: the shapes of its protocol, and the SDK that speaks it.

mod protocol;

pub use protocol::{
    Anchors, CALLS_MAX, CONTROL_DESCRIPTOR, Caller, CommandStatus, Descriptor, PluginCall, SERVE_DESCRIPTOR,
    ServiceDescriptor, Start,
};
