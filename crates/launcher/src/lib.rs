//! Validate, configure, start: instance directories, components and what a launcher does with them.
