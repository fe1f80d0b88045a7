//! What a plug-in needs: the shapes of its protocol, and the SDK that speaks it.
//!
//! ```no_run
//! use tender_xmem::plugin::Plugin;
//!
//! fn main() -> std::process::ExitCode {
//!     Plugin::new("ECHO", "ECHO", 1).service("ECHO", 1, |call| Ok(call.request().to_vec())).run()
//! }
//! ```

mod invocation;
mod pool;
mod protocol;
mod run;
mod under_way;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use invocation::{Failure, Invocation, Keeper, Startup};
pub use protocol::{
    Anchors, CALLS_MAX, CONTROL_DESCRIPTOR, Caller, CommandStatus, Descriptor, PluginCall, SERVE_DESCRIPTOR,
    ServiceDescriptor, Start,
};

type Serve = Arc<dyn Fn(&Invocation<'_>) -> Result<Vec<u8>, Failure> + Send + Sync>;
type Command = Arc<dyn Fn(&str) -> (CommandStatus, String) + Send + Sync>;
type Init = Box<dyn FnOnce(&Startup) -> Result<(), String>>;
type Term = Box<dyn FnOnce()>;

/// A plug-in in the making.
///
/// Services are called by up to 16 threads at once. What a service panics with is written to standard error, its caller
/// gets 36, and the plug-in goes on.
pub struct Plugin {
    descriptor: Descriptor,
    services: BTreeMap<String, Serve>,
    command: Command,
    init: Option<Init>,
    term: Option<Term>,
}

impl Plugin {
    /// A plug-in with this name (1 to 16 characters), nickname (1 to 4) and version.
    #[must_use]
    pub fn new(name: &str, nickname: &str, version: u32) -> Self {
        let descriptor = Descriptor {
            name: name.to_owned(),
            nickname: nickname.to_owned(),
            version,
            anchor_layout: 0,
            services: Vec::new(),
        };
        Self {
            descriptor,
            services: BTreeMap::new(),
            command: Arc::new(|_| (CommandStatus::Unknown, String::new())),
            init: None,
            term: None,
        }
    }

    /// Adds a service. Codes of a [`Failure`] are 33 and above.
    #[must_use]
    pub fn service(
        mut self,
        name: &str,
        version: u32,
        serve: impl Fn(&Invocation<'_>) -> Result<Vec<u8>, Failure> + Send + Sync + 'static,
    ) -> Self {
        let service = ServiceDescriptor { name: name.to_owned(), version, class: None, entity: None };
        self.descriptor.services.push(service);
        self.services.insert(name.to_owned(), Arc::new(serve));
        self
    }

    /// Callers of the service that was added last need READ on this resource too.
    #[must_use]
    pub fn guarded_by(mut self, class: &str, entity: &str) -> Self {
        if let Some(service) = self.descriptor.services.last_mut() {
            service.class = Some(class.to_owned());
            service.entity = Some(entity.to_owned());
        }
        self
    }

    /// Answers operator commands for the plug-in's nickname.
    #[must_use]
    pub fn command(
        mut self,
        command: impl Fn(&str) -> (CommandStatus, String) + Send + Sync + 'static,
    ) -> Self {
        self.command = Arc::new(command);
        self
    }

    /// Is called with what the server gives, before any call. A text instead of `Ok`: none of the services is installed.
    #[must_use]
    pub fn init(mut self, init: impl FnOnce(&Startup) -> Result<(), String> + 'static) -> Self {
        self.init = Some(Box::new(init));
        self
    }

    /// Is called when all calls are answered and the plug-in is about to exit.
    #[must_use]
    pub fn term(mut self, term: impl FnOnce() + 'static) -> Self {
        self.term = Some(Box::new(term));
        self
    }

    /// Version of the layout of the anchors: those of another layout are not given to [`Plugin::init`].
    #[must_use]
    pub const fn anchor_layout(mut self, version: u32) -> Self {
        self.descriptor.anchor_layout = version;
        self
    }

    /// Serves until the server says TERM or is gone. Call it first thing in `main`.
    ///
    /// Exit code 0 after TERM; 8 when the plug-in was started by hand (0058E), when it could not become ready, or when the
    /// server was gone.
    #[must_use]
    pub fn run(self) -> std::process::ExitCode {
        run::run(self)
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Plugin").field("descriptor", &self.descriptor).finish_non_exhaustive()
    }
}
