//! The helpers of the cross-memory server that hold privilege, one kind of work each, and the sandboxes around them.
