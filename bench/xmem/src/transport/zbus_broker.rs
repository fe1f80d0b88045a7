//! D-Bus through a broker (zbus); the place is the address of the bus.

use std::path::Path;

use zbus::{Connection as Bus, connection, interface, proxy};

use super::{Caller, Transport, runtime};
use crate::Failure;

/// The transport.
pub struct Zbus;

/// The service.
struct Echo;

#[interface(name = "org.tender.Echo1")]
impl Echo {
    fn echo(&self, bytes: Vec<u8>) -> Vec<u8> {
        bytes
    }
}

#[proxy(interface = "org.tender.Echo1", default_service = "org.tender.Echo", default_path = "/org/tender/Echo")]
trait Echo1 {
    async fn echo(&self, bytes: &[u8]) -> zbus::Result<Vec<u8>>;
}

/// One connection and what drives it.
struct Connection(tokio::runtime::Runtime, Echo1Proxy<'static>);

fn address(place: &Path) -> Result<&str, Failure> {
    place.to_str().ok_or_else(|| "the address of a bus is text".into())
}

impl Transport for Zbus {
    fn name(&self) -> &'static str {
        "zbus"
    }

    fn serve(&self, place: &Path) -> Result<(), Failure> {
        runtime()?.block_on(async {
            let builder = connection::Builder::address(address(place)?);
            let _bus = builder.name("org.tender.Echo").serve_at("/org/tender/Echo", Echo).build().await?;
            std::future::pending::<()>().await;
            Ok(())
        })
    }

    fn connect(&self, place: &Path) -> Result<Box<dyn Caller>, Failure> {
        let runtime = runtime()?;
        let proxy = runtime.block_on(async {
            let bus: Bus = connection::Builder::address(address(place)?).build().await?;
            Ok::<_, Failure>(Echo1Proxy::new(&bus).await?)
        })?;
        Ok(Box::new(Connection(runtime, proxy)))
    }
}

impl Caller for Connection {
    fn call(&mut self, payload: &[u8]) -> Result<usize, Failure> {
        Ok(self.0.block_on(self.1.echo(payload))?.len())
    }
}
