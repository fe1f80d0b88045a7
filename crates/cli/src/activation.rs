//! What happens to the instances of a managed system when its slots change.

pub(crate) mod settings;
