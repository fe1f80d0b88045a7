//! Opens a port.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt};

use super::{BACKLOG_MAX, PortOrder, PortOutcome, PortSettings, Transport};
use crate::order::Refusal;
use crate::range::Range;

/// As many as the system allows.
const BACKLOG_OF_SYSTEM: u32 = BACKLOG_MAX;

/// Carries an order out.
pub(crate) fn open(
    order: &PortOrder,
    settings: &PortSettings,
) -> Result<(PortOutcome, Vec<OwnedFd>), Refusal> {
    check(order, settings)?;
    let opened = bind(order).and_then(|socket| {
        if order.transport == Transport::Tcp {
            let backlog = if order.backlog == 0 { BACKLOG_OF_SYSTEM } else { order.backlog };
            rustix::net::listen(&socket, backlog.cast_signed())?;
        }
        Ok(socket)
    });
    match opened {
        Ok(socket) => Ok((PortOutcome::Opened, vec![socket])),
        Err(Errno::ADDRINUSE) => Ok((PortOutcome::InUse, Vec::new())),
        Err(Errno::ADDRNOTAVAIL) => Ok((PortOutcome::NoAddress, Vec::new())),
        Err(error) => Err(Refusal::system(format!("open port {}", order.port), error)),
    }
}

fn check(order: &PortOrder, settings: &PortSettings) -> Result<(), Refusal> {
    if order.port == 0 || !Range::any_has(&settings.ports, u32::from(order.port)) {
        return Err(Refusal::not_allowed(format!("port {} is not in a range of the settings", order.port)));
    }
    if !settings.addresses.is_empty() && !settings.addresses.contains(&order.address) {
        return Err(Refusal::not_allowed(format!("address {} is not in the settings", order.address)));
    }
    if order.backlog > BACKLOG_MAX {
        return Err(Refusal::invalid("backlog", format!("at most {BACKLOG_MAX}")));
    }
    if order.backlog != 0 && order.transport == Transport::Udp {
        return Err(Refusal::invalid("backlog", "is for tcp"));
    }
    if order.dual_stack {
        // An address list that names IPv6 alone does not allow IPv4 through the back door.
        if !order.address.is_ipv6() || !order.address.is_unspecified() {
            return Err(Refusal::invalid("dual_stack", "is for the address ::"));
        }
        let all_v4 = IpAddr::from([0, 0, 0, 0]);
        if !settings.addresses.is_empty() && !settings.addresses.contains(&all_v4) {
            return Err(Refusal::not_allowed("address 0.0.0.0 is not in the settings"));
        }
    }
    Ok(())
}

fn bind(order: &PortOrder) -> Result<OwnedFd, Errno> {
    let family = if order.address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let (kind, protocol) = match order.transport {
        Transport::Tcp => (SocketType::STREAM, ipproto::TCP),
        Transport::Udp => (SocketType::DGRAM, ipproto::UDP),
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, kind, flags, Some(protocol))?;
    if order.reuse_address {
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    if order.address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, !order.dual_stack)?;
    }
    rustix::net::bind(&socket, &SocketAddr::new(order.address, order.port))?;
    Ok(socket)
}
