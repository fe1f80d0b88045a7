//! Varlink (zlink): JSON over a Unix socket.

use std::path::Path;

use serde::{Deserialize, Serialize};
use zlink::tokio::unix;
use zlink::{ReplyError, Server, introspect, proxy, service};

use super::{Caller, Transport, runtime};
use crate::Failure;

/// The transport.
pub struct Varlink;

#[derive(Debug, Serialize, Deserialize, introspect::Type)]
struct Answer {
    bytes: String,
}

#[derive(Debug, PartialEq, ReplyError, introspect::ReplyError)]
#[zlink(interface = "org.tender.Echo")]
enum EchoError {
    Refused,
}

#[proxy("org.tender.Echo")]
trait EchoProxy {
    async fn echo(&mut self, bytes: &str) -> zlink::Result<Result<Answer, EchoError>>;
}

/// The service.
struct Echo;

#[service(interface = "org.tender.Echo")]
impl Echo {
    async fn echo(&mut self, bytes: String) -> Answer {
        Answer { bytes }
    }
}

/// One connection and what drives it.
struct Connection(tokio::runtime::Runtime, unix::Connection);

impl Transport for Varlink {
    fn name(&self) -> &'static str {
        "varlink"
    }

    fn serve(&self, place: &Path) -> Result<(), Failure> {
        runtime()?.block_on(async {
            let server = Server::new(unix::bind(place)?, Echo);
            Ok(server.run().await?)
        })
    }

    fn connect(&self, place: &Path) -> Result<Box<dyn Caller>, Failure> {
        let runtime = runtime()?;
        let connection = runtime.block_on(unix::connect(place))?;
        Ok(Box::new(Connection(runtime, connection)))
    }
}

impl Caller for Connection {
    fn call(&mut self, payload: &[u8]) -> Result<usize, Failure> {
        let text = str::from_utf8(payload)?;
        let answer = self.0.block_on(self.1.echo(text))?.map_err(|error| format!("{error:?}"))?;
        Ok(answer.bytes.len())
    }
}
