//! What a manifest has registered for it when the component is configured: API definitions, shared libraries and
//! desktop plugins.

pub mod api_definition;
pub mod plugin;
pub mod shared_library;
