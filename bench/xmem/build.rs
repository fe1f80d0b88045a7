//! Makes client and server of the gRPC service, without a compiler for its description.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let echo = Method::builder()
        .name("echo")
        .route_name("Echo")
        .input_type("crate::transport::grpc::Bytes")
        .output_type("crate::transport::grpc::Bytes")
        .codec_path("tonic_prost::ProstCodec")
        .build();
    let service = Service::builder().name("Echo").package("tender").method(echo).build();
    Builder::new().compile(&[service]);
}
