//! gRPC over a Unix socket (tonic).

use std::path::{Path, PathBuf};

use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::{Channel, Endpoint, Server, Uri};
use tonic::{Request, Response, Status};

use super::{Caller, Transport, runtime};
use crate::Failure;

#[expect(clippy::all, unused_qualifications, reason = "made by the build script")]
mod made {
    include!(concat!(env!("OUT_DIR"), "/tender.Echo.rs"));
}

/// Request and answer.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Bytes {
    #[prost(bytes = "vec", tag = "1")]
    pub bytes: Vec<u8>,
}

/// The transport.
pub struct Grpc;

/// The service.
struct Echo;

#[tonic::async_trait]
impl made::echo_server::Echo for Echo {
    async fn echo(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

/// One connection and what drives it.
struct Connection(tokio::runtime::Runtime, made::echo_client::EchoClient<Channel>);

impl Transport for Grpc {
    fn name(&self) -> &'static str {
        "grpc"
    }

    fn serve(&self, place: &Path) -> Result<(), Failure> {
        tokio::runtime::Runtime::new()?.block_on(async {
            let listener = UnixListenerStream::new(UnixListener::bind(place)?);
            let server = Server::builder().add_service(made::echo_server::EchoServer::new(Echo));
            Ok(server.serve_with_incoming(listener).await?)
        })
    }

    fn connect(&self, place: &Path) -> Result<Box<dyn Caller>, Failure> {
        let runtime = runtime()?;
        let place: PathBuf = place.to_owned();
        let channel = runtime.block_on(async move {
            let connect = tower::service_fn(move |_: Uri| {
                let place = place.clone();
                async move { Ok::<_, std::io::Error>(TokioIo::new(UnixStream::connect(place).await?)) }
            });
            Endpoint::from_static("http://local").connect_with_connector(connect).await
        })?;
        Ok(Box::new(Connection(runtime, made::echo_client::EchoClient::new(channel))))
    }
}

impl Caller for Connection {
    fn call(&mut self, payload: &[u8]) -> Result<usize, Failure> {
        let request = Bytes { bytes: payload.to_vec() };
        Ok(self.0.block_on(self.1.echo(request))?.into_inner().bytes.len())
    }
}
