//! Connections that become ones of another protocol, such as `WebSocket`: bytes both ways until one side ends.

use std::sync::atomic::Ordering;

use hyper::upgrade::OnUpgrade;
use hyper::{Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use tender_http::ResponseBody;

use super::Gateway;

/// Makes an answer of what a service answered; on 101 the two connections are joined.
pub(super) fn answer(
    gateway: &Gateway,
    mut response: Response<ResponseBody>,
    client: Option<OnUpgrade>,
) -> Response<ResponseBody> {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        // Which version the service speaks is between it and us.
        *response.version_mut() = Version::HTTP_11;
        return response;
    }
    let service = hyper::upgrade::on(&mut response);
    if let Some(client) = client {
        gateway.0.counters.tunnels.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(join(client, service));
    }
    response
}

async fn join(client: OnUpgrade, service: OnUpgrade) {
    let (Ok(client), Ok(service)) = tokio::join!(client, service) else { return };
    // However it ends, both ends see it: the other side is closed too.
    let mut ends = (TokioIo::new(client), TokioIo::new(service));
    tokio::io::copy_bidirectional(&mut ends.0, &mut ends.1).await.ok();
}
