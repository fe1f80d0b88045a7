//! The built-in services with types.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use super::{Call, Client, Reply, ServiceError};
use crate::code::{AccessCode, MemberCode};
use crate::frame::ANY_VERSION;
use crate::service::{
    AccessList, AccessListAnswer, Actor, ActorAnswer, Admin, AdminResult, Auth, AuthAnswer, Dump, Explain,
    ExplainAnswer, GroupAdmin, GroupEntry, Groups, Inspect, Inspected, Invalid, Members, MembersAnswer,
    Network, NetworkAnswer, Parcel, ParcelError, Place, Placed, Port, PortOpened, ProfileEntry, Profiles,
    Proof, Request, RouterCall, RunAs, RunAsResult, ServiceId, Ticket, TicketAnswer, Token, TokenAnswer,
    UserEntry, Users, WhoAmI,
};

/// Elements that lists are asked for at first; when there are more, for exactly as many as there are.
const CAPACITY_FIRST: u32 = 128;

/// An actor: in whose name calls are made. Good on the connection that it was issued on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActorHandle {
    pub(super) handle: u64,
    pub(super) link: u64,
    /// Who it is.
    pub user: String,
    /// How long it was good when it was issued, in seconds.
    pub expires_in_s: u32,
}

/// The built-in services of a client's server.
#[derive(Clone, Copy, Debug)]
pub struct Services<'a> {
    client: &'a Client,
    actor: Option<&'a ActorHandle>,
    deadline_ms: u32,
}

impl<'a> Services<'a> {
    pub(super) const fn new(client: &'a Client) -> Self {
        Self { client, actor: None, deadline_ms: 0 }
    }

    /// The same in the name of an actor.
    #[must_use]
    pub const fn as_actor(self, actor: &'a ActorHandle) -> Self {
        Self { actor: Some(actor), ..self }
    }

    /// The same with another deadline.
    #[must_use]
    pub const fn with_deadline_ms(self, deadline_ms: u32) -> Self {
        Self { deadline_ms, ..self }
    }

    /// Any request whose payload is JSON.
    ///
    /// # Errors
    ///
    /// [`ServiceError`].
    pub fn request<R: Request>(self, request: &R) -> Result<R::Answer, ServiceError> {
        let payload =
            request.encode().map_err(|source| ServiceError::Request { service: R::SERVICE, source })?;
        let reply = self.bytes(R::SERVICE, &payload, request.is_repeatable(), 0)?;
        answer(R::SERVICE, &reply.payload)
    }

    /// STATUS: whether the server answers. The bytes come back.
    ///
    /// # Errors
    ///
    /// [`ServiceError`].
    pub fn status(self, bytes: &[u8]) -> Result<Vec<u8>, ServiceError> {
        Ok(self.bytes(ServiceId::Status, bytes, true, 0)?.payload)
    }

    /// LOG: a line for the server's log.
    ///
    /// # Errors
    ///
    /// [`ServiceError`].
    pub fn log(self, text: &str) -> Result<(), ServiceError> {
        self.bytes(ServiceId::Log, text.as_bytes(), false, 0).map(drop)
    }

    /// DUMP: bytes for the server's log.
    ///
    /// # Errors
    ///
    /// [`ServiceError`].
    pub fn dump(self, description: &str, bytes: &[u8]) -> Result<(), ServiceError> {
        let payload = Dump::encode(description, bytes).map_err(invalid(ServiceId::Dump))?;
        self.bytes(ServiceId::Dump, &payload, false, 0).map(drop)
    }

    /// CONFIG: a parameter of the server's that is for this caller.
    ///
    /// # Errors
    ///
    /// [`ServiceError`]; CMS code 77 when there is none for this caller.
    pub fn config(self, key: &str) -> Result<String, ServiceError> {
        let reply = self.bytes(ServiceId::Config, key.as_bytes(), true, 0)?;
        Ok(String::from_utf8_lossy(&reply.payload).into_owned())
    }

    /// IDENTIFY: who the server takes this client for.
    ///
    /// # Errors
    ///
    /// [`ServiceError`].
    pub fn identify(self) -> Result<WhoAmI, ServiceError> {
        let reply = self.bytes(ServiceId::Identify, &[], true, 0)?;
        answer(ServiceId::Identify, &reply.payload)
    }

    /// ACTOR: an actor against a proof.
    ///
    /// # Errors
    ///
    /// [`ServiceError`].
    pub fn issue_actor(self, proof: Proof) -> Result<ActorHandle, ServiceError> {
        let payload = Actor::Issue { proof }.encode().map_err(invalid(ServiceId::Actor))?;
        let call = self.call(ServiceId::Actor, &payload, false, 0);
        let flight = self.client.start(call).map_err(failed(ServiceId::Actor))?;
        let (reply, link) = flight.wait_on().map_err(failed(ServiceId::Actor))?;
        let reply = judge(ServiceId::Actor, reply)?;
        match answer(ServiceId::Actor, &reply.payload)? {
            ActorAnswer::Issued { handle, user, expires_in_s } => {
                Ok(ActorHandle { handle, link, user, expires_in_s })
            }
            ActorAnswer::Released {} => Err(unexpected(ServiceId::Actor)),
        }
    }

    /// ACTOR: an actor is not needed any more.
    ///
    /// # Errors
    ///
    /// [`ServiceError`].
    pub fn release_actor(self, actor: &'a ActorHandle) -> Result<(), ServiceError> {
        let payload = Actor::Release(actor.handle).encode().map_err(invalid(ServiceId::Actor))?;
        // Named as the actor of the call too, so that it goes to no other connection.
        self.as_actor(actor).bytes(ServiceId::Actor, &payload, false, 0).map(drop)
    }

    /// AUTH, functions 0 to 4.
    ///
    /// # Errors
    ///
    /// [`ServiceError`].
    pub fn auth(self, request: &Auth) -> Result<AuthAnswer, ServiceError> {
        self.request(request)
    }

    /// INSPECT: memory of another process.
    ///
    /// # Errors
    ///
    /// [`ServiceError`].
    pub fn inspect(self, request: &Inspect) -> Result<(Inspected, Vec<u8>), ServiceError> {
        let payload = request.encode().map_err(invalid(ServiceId::Inspect))?;
        let reply = self.bytes(ServiceId::Inspect, &payload, true, 0)?;
        parcel(ServiceId::Inspect, &reply.payload)
    }

    /// NETWORK: sockets with their owners.
    ///
    /// # Errors
    ///
    /// [`ServiceError`].
    pub fn network(self, request: &Network) -> Result<NetworkAnswer, ServiceError> {
        self.request(request)
    }

    /// USERS: all users, page by page.
    pub fn users(self, page: u32) -> impl Iterator<Item = Result<UserEntry, ServiceError>> + use<'a> {
        pages(page, move |start| {
            let users = self.request(&Users { start, count: page })?.users;
            let last = users.last().map(|user| user.user.clone());
            Ok((users, last))
        })
    }

    /// PROFILES: all profiles of the class of `ZWES.SECMGMT.CLASS`, page by page.
    pub fn profiles(self, page: u32) -> impl Iterator<Item = Result<ProfileEntry, ServiceError>> + use<'a> {
        pages(page, move |start| {
            let request = Profiles { class: String::new(), start, count: page };
            let profiles = self.request(&request)?.profiles;
            let last = profiles.last().map(|profile| profile.profile.clone());
            Ok((profiles, last))
        })
    }

    /// GROUPS: all groups, page by page.
    pub fn groups(self, page: u32) -> impl Iterator<Item = Result<GroupEntry, ServiceError>> + use<'a> {
        pages(page, move |start| {
            let groups = self.request(&Groups { start, count: page })?.groups;
            let last = groups.last().map(|group| group.group.clone());
            Ok((groups, last))
        })
    }

    /// ACCESS: the whole access list of a profile.
    ///
    /// # Errors
    ///
    /// [`ServiceError`]; service code 12 when it has more than 8192 entries.
    pub fn access_list(self, profile: &str) -> Result<AccessListAnswer, ServiceError> {
        let with = |capacity| {
            self.request(&AccessList { class: String::new(), profile: profile.to_owned(), capacity })
        };
        match with(CAPACITY_FIRST) {
            Err(ServiceError::Service { code, payload, .. }) if code == AccessCode::Insufficient.number() => {
                with(answer::<AccessListAnswer>(ServiceId::Access, &payload)?.found)
            }
            first => first,
        }
    }

    /// ADMIN: a change of profiles.
    ///
    /// # Errors
    ///
    /// [`ServiceError`].
    pub fn admin(self, request: &Admin) -> Result<AdminResult, ServiceError> {
        self.request(request)
    }

    /// MEMBERS: all members of a group.
    ///
    /// # Errors
    ///
    /// [`ServiceError`]; service code 11 when it has more than 8192.
    pub fn members(self, group: &str) -> Result<MembersAnswer, ServiceError> {
        let with = |capacity| self.request(&Members { group: group.to_owned(), capacity });
        match with(CAPACITY_FIRST) {
            Err(ServiceError::Service { code, payload, .. }) if code == MemberCode::Insufficient.number() => {
                with(answer::<MembersAnswer>(ServiceId::Members, &payload)?.found)
            }
            first => first,
        }
    }

    /// GROUPADM: a change of groups.
    ///
    /// # Errors
    ///
    /// [`ServiceError`].
    pub fn group_admin(self, request: &GroupAdmin) -> Result<AdminResult, ServiceError> {
        self.request(request)
    }

    /// TICKET: generate or evaluate.
    ///
    /// # Errors
    ///
    /// [`ServiceError`].
    pub fn ticket(self, request: &Ticket) -> Result<TicketAnswer, ServiceError> {
        self.request(request)
    }

    /// TOKEN: generate, validate or revoke.
    ///
    /// # Errors
    ///
    /// [`ServiceError`].
    pub fn token(self, request: &Token) -> Result<TokenAnswer, ServiceError> {
        self.request(request)
    }

    /// RUNAS: runs a program as the actor; how it ended, standard output, standard error.
    ///
    /// # Errors
    ///
    /// [`ServiceError`].
    pub fn run_as(
        self,
        request: &RunAs,
        input: &[u8],
    ) -> Result<(RunAsResult, Vec<u8>, Vec<u8>), ServiceError> {
        let service = ServiceId::RunAs;
        let payload = self.parcel(request, input)?;
        let reply = self.bytes(service, &payload, false, 0)?;
        let (result, mut output): (RunAsResult, Vec<u8>) = parcel(service, &reply.payload)?;
        if output.len() < result.stdout_bytes as usize {
            return Err(unexpected(service));
        }
        let errors = output.split_off(result.stdout_bytes as usize);
        Ok((result, output, errors))
    }

    /// PLACE: puts a file into a slot.
    ///
    /// # Errors
    ///
    /// [`ServiceError`].
    pub fn place(self, request: &Place, bytes: &[u8]) -> Result<Placed, ServiceError> {
        let payload = self.parcel(request, bytes)?;
        let reply = self.bytes(ServiceId::Place, &payload, false, 0)?;
        answer(ServiceId::Place, &reply.payload)
    }

    /// PORT: a listening socket on a low port.
    ///
    /// # Errors
    ///
    /// [`ServiceError`].
    pub fn port(self, request: &Port) -> Result<(PortOpened, OwnedFd), ServiceError> {
        let payload = request.encode().map_err(invalid(ServiceId::Port))?;
        let mut reply = self.bytes(ServiceId::Port, &payload, false, 1)?;
        let opened = answer(ServiceId::Port, &reply.payload)?;
        let socket = reply.descriptors.pop().ok_or_else(|| unexpected(ServiceId::Port))?;
        Ok((opened, socket))
    }

    /// EXPLAIN: who can call what, the last refusals.
    ///
    /// # Errors
    ///
    /// [`ServiceError`].
    pub fn explain(self, request: &Explain) -> Result<ExplainAnswer, ServiceError> {
        self.request(request)
    }

    /// ROUTER: a service of a plug-in, with the version that it must at least have. Codes from 33 on are the plug-in's own
    /// and come as [`ServiceError::Service`] like the router's.
    ///
    /// # Errors
    ///
    /// [`ServiceError`].
    pub fn plugin(
        self,
        plugin: &str,
        service: &str,
        version: Option<u32>,
        payload: &[u8],
    ) -> Result<Vec<u8>, ServiceError> {
        let routed = RouterCall { plugin: plugin.to_owned(), service: service.to_owned(), payload };
        let payload = routed.encode().map_err(invalid(ServiceId::Router))?;
        let version = version.unwrap_or(ANY_VERSION);
        let call = Call { version, ..self.call(ServiceId::Router, &payload, false, 0) };
        let reply = self.client.call_with(call).map_err(failed(ServiceId::Router))?;
        Ok(judge(ServiceId::Router, reply)?.payload)
    }

    const fn call<'b>(
        self,
        service: ServiceId,
        payload: &'b [u8],
        repeatable: bool,
        descriptors_max: usize,
    ) -> Call<'b>
    where
        'a: 'b,
    {
        Call {
            service: service.number(),
            version: ANY_VERSION,
            payload,
            actor: self.actor,
            repeatable,
            deadline_ms: self.deadline_ms,
            descriptors_max,
        }
    }

    fn bytes(
        self,
        service: ServiceId,
        payload: &[u8],
        repeatable: bool,
        descriptors_max: usize,
    ) -> Result<Reply, ServiceError> {
        let call = self.call(service, payload, repeatable, descriptors_max);
        judge(service, self.client.call_with(call).map_err(failed(service))?)
    }

    fn parcel<R: Request>(self, head: &R, bytes: &[u8]) -> Result<Vec<u8>, ServiceError> {
        head.validate().map_err(invalid(R::SERVICE))?;
        Parcel { head, bytes }.encode().map_err(|source| ServiceError::Answer { service: R::SERVICE, source })
    }
}

fn invalid(service: ServiceId) -> impl Fn(Invalid) -> ServiceError {
    move |source| ServiceError::Request { service, source }
}

fn failed(service: ServiceId) -> impl Fn(super::CallError) -> ServiceError {
    move |source| ServiceError::Call { service, source }
}

fn unexpected(service: ServiceId) -> ServiceError {
    ServiceError::Answer { service, source: ParcelError::Short { bytes: 0 } }
}

fn judge(service: ServiceId, reply: Reply) -> Result<Reply, ServiceError> {
    match reply.service_code {
        0 => Ok(reply),
        code => Err(ServiceError::Service { service, code, payload: reply.payload }),
    }
}

fn answer<T: serde::de::DeserializeOwned>(service: ServiceId, payload: &[u8]) -> Result<T, ServiceError> {
    serde_json::from_slice(payload)
        .map_err(|error| ServiceError::Answer { service, source: ParcelError::Json(error) })
}

fn parcel<T: serde::de::DeserializeOwned>(
    service: ServiceId,
    payload: &[u8],
) -> Result<(T, Vec<u8>), ServiceError> {
    let parcel = Parcel::decode(payload).map_err(|source| ServiceError::Answer { service, source })?;
    Ok((parcel.head, parcel.bytes.to_vec()))
}

/// The elements of all pages. A page that is shorter than `count`, or does not go on behind the one before, is the last.
fn pages<T>(
    count: u32,
    mut page: impl FnMut(String) -> Result<(Vec<T>, Option<String>), ServiceError>,
) -> impl Iterator<Item = Result<T, ServiceError>> {
    let (mut start, mut ready, mut done) = (String::new(), VecDeque::new(), false);
    std::iter::from_fn(move || {
        if ready.is_empty() && !done {
            match page(start.clone()) {
                Ok((elements, last)) => {
                    done = elements.len() < count as usize || last.is_none() || last.as_ref() == Some(&start);
                    start = last.unwrap_or_default();
                    ready.extend(elements);
                }
                Err(error) => {
                    done = true;
                    return Some(Err(error));
                }
            }
        }
        ready.pop_front().map(Ok)
    })
}
