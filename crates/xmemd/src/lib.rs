//! The cross-memory server: root process, monitor, front, services, operator commands.
