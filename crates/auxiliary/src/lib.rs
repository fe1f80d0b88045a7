//! Auxiliary hosts: one sandboxed process for each plug-in of the cross-memory server.
//!
//! [`Life`] decides what happens to a host: a state machine from events to actions, without processes or clocks of its own.
//! [`Registry`] knows which plug-in serves what, and answers as the router of the reference does. [`Calls`] is the end of the
//! socket over which calls reach a plug-in, with its slots and deadlines; [`control`] has the frames of the other socket. [`AnchorStore`] keeps 64 bytes a service from one start
//! to the next. [`enter()`] is what the new process does before it becomes the plug-in.
//!
//! Nothing here knows who calls or who may: whoever forwards a call has decided that.
//!
//! Source: cross-memory server, sections 6 and 7; `docs/cross-memory.md`, "A plug-in".

mod anchor;
mod calls;
pub mod control;
mod descriptor;
mod enter;
mod life;
mod registry;
mod restart;
mod start;
mod sys;

pub use anchor::{ANCHOR_BYTES, AnchorError, AnchorStore};
pub use calls::{Answer, AnswerError, Calls, CallsError, Ended};
pub use descriptor::{DescriptorError, read_descriptor};
pub use enter::{CgroupPlace, EnterError, Entrance, enter};
pub use life::{Action, Event, HostState, Life, Timing};
pub use registry::{Found, Nickname, Registered, Registry, RegistryError};
pub use restart::RestartPolicy;
pub use start::{PARAMETER_BYTES_MAX, StartError, StartString};
