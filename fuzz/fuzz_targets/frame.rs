//! Any packet is a frame or refused with a code; what is a frame encodes to the same bytes. What is in it is understood or
//! refused by the shape of every service.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tender_xmem::frame::{Flags, HEADER_BYTES, Header};
use tender_xmem::plugin::PluginCall;
use tender_xmem::service::{
    AccessList, Actor, Admin, Auth, ConfigKey, Dump, Explain, GroupAdmin, Groups, Inspect, LogText, Members, Network,
    Parcel, Place, Port, Profiles, Request, RouterCall, RunAs, ServiceId, Ticket, Token, Users,
};

/// What was understood must be understood again after having been written.
fn again<R: Request>(payload: &[u8]) {
    match R::decode(payload) {
        Ok(request) => {
            let written = request.encode().expect("it was valid");
            R::decode(&written).expect("what was written is understood");
        }
        Err(invalid) => assert_ne!(invalid.code, 0, "a refusal must not look like success"),
    }
}

fn service(service: ServiceId, payload: &[u8]) {
    match service {
        ServiceId::Log => {
            if let Ok(text) = LogText::decode(payload) {
                assert!(!text.escaped().chars().any(char::is_control), "a control character came through");
            }
        }
        ServiceId::Dump => {
            if let Ok(dump) = Dump::decode(payload) {
                assert!(dump.lines().all(|line| line.len() <= 64));
            }
        }
        ServiceId::Config => drop(ConfigKey::decode(payload)),
        ServiceId::Actor => again::<Actor>(payload),
        ServiceId::Auth => again::<Auth>(payload),
        ServiceId::Inspect => again::<Inspect>(payload),
        ServiceId::Network => again::<Network>(payload),
        ServiceId::Users => again::<Users>(payload),
        ServiceId::Profiles => again::<Profiles>(payload),
        ServiceId::Access => again::<AccessList>(payload),
        ServiceId::Admin => again::<Admin>(payload),
        ServiceId::Groups => again::<Groups>(payload),
        ServiceId::Members => again::<Members>(payload),
        ServiceId::GroupAdmin => again::<GroupAdmin>(payload),
        ServiceId::Ticket => again::<Ticket>(payload),
        ServiceId::Token => again::<Token>(payload),
        ServiceId::RunAs => drop(Parcel::<RunAs>::decode(payload)),
        ServiceId::Place => drop(Parcel::<Place>::decode(payload)),
        ServiceId::Port => again::<Port>(payload),
        ServiceId::Explain => again::<Explain>(payload),
        ServiceId::Router | ServiceId::RouterSwitch => {
            if let Ok(call) = RouterCall::decode(payload) {
                let written = call.encode().expect("it was valid");
                assert_eq!(RouterCall::decode(&written).expect("understood"), call);
            }
            drop(PluginCall::decode(payload));
        }
        _ => {}
    }
}

fuzz_target!(|packet: &[u8]| {
    match Header::decode_packet(packet) {
        Ok((header, payload)) => {
            assert_eq!(header.encode(), packet[..HEADER_BYTES]);
            assert!(header.flags.contains(Flags::MEMFD) || payload.len() == header.length as usize);
            if let Some(id) = ServiceId::from_number(header.service) {
                service(id, payload);
            }
        }
        Err(error) => assert_ne!(error.code().number(), 0),
    }
});
