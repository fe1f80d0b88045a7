//! Return codes of the built-in services, by service. The numbers of 11 to 20 are the original's.

use super::codes;
use crate::service::ServiceId;

codes! {
    /// AUTH (11).
    AuthCode {
        Ok = 0, "ok";
        Missing = 8, "the request is missing or not understood";
        BadEyecatcher = 9, "the request is damaged";
        DeleteFailed = 10, "the security environment could not be deleted";
        CreateFailed = 11, "the user could not be verified";
        Function = 12, "the function is not known";
        TooLong = 13, "a value is too long";
        NoRecovery = 14, "the request could not be protected against an abnormal end";
        CheckEnded = 15, "the check ended abnormally";
        Refused = 16, "the check refuses";
        NoDecision = 17, "no profile decides";
        ClassNotRead = 18, "the class is not configured";
        ClassTooLong = 19, "the class is too long";
        ClassNotAllowed = 20, "the class is not the one that ZWES.AUTH.CLASS names";
        Empty = 21, "a value is empty";
        TokenVersion = 22, "the version of the token request is not known";
        TokenMissing = 23, "the token is missing";
    }
}

codes! {
    /// INSPECT (12).
    InspectCode {
        Ok = 0, "ok";
        Missing = 8, "the request is missing or not understood";
        BadEyecatcher = 9, "the request is damaged";
        Destination = 10, "there is no place for the bytes";
        NoProcess = 11, "there is no such process";
        Size = 12, "the size is 0 or above 65536";
        Storage = 13, "there is no room for the bytes";
        NoRecovery = 14, "the request could not be protected against an abnormal end";
        CopyEnded = 15, "the copy ended abnormally";
        NotScheduled = 16, "the copy could not be scheduled";
        NotMapped = 17, "the process has nothing at this address";
        ShareNotMade = 18, "the shared object was not made";
        ShareNotMapped = 19, "the shared object was not mapped";
        Changed = 20, "the process ended while it was read";
    }
}

codes! {
    /// NETWORK (13).
    NetworkCode {
        Ok = 0, "ok";
        Missing = 8, "the request is missing or not understood";
        BadEyecatcher = 9, "the request is damaged";
        NoBuffer = 10, "the capacity is 0 or above 8192";
        NotAllocated = 11, "there is no room for the answer";
        NoRecovery = 12, "the request could not be protected against an abnormal end";
        QueryEnded = 13, "the query ended abnormally";
        QueryFailed = 14, "the kernel refused the query";
    }
}

codes! {
    /// USERS (14).
    UserCode {
        Ok = 0, "ok";
        Missing = 8, "the request is missing or not understood";
        BadEyecatcher = 9, "the request is damaged";
        UserTooLong = 10, "the user is longer than 8 characters";
        NoBuffer = 11, "there is no place for the answer";
        Count = 12, "the count is 0 or above 1000";
        NoActor = 13, "the call has no actor";
        InternalFailed = 14, "the security database could not be used";
        AllocationFailed = 15, "memory is exhausted";
        UnsupportedManager = 16, "the security manager is not supported";
    }
}

codes! {
    /// PROFILES (15).
    ProfileCode {
        Ok = 0, "ok";
        Missing = 8, "the request is missing or not understood";
        BadEyecatcher = 9, "the request is damaged";
        ClassTooLong = 10, "the class is longer than 8 characters";
        ProfileTooLong = 11, "the profile is longer than 255 characters";
        NoBuffer = 12, "there is no place for the answer";
        Count = 14, "the count is 0 or above 1000";
        NoActor = 15, "the call has no actor";
        InternalFailed = 16, "the security database could not be used";
        AllocationFailed = 17, "memory is exhausted";
        Class = 18, "the class is not configured, or not the configured one";
        UnsupportedManager = 19, "the security manager is not supported";
    }
}

codes! {
    /// ACCESS (16).
    AccessCode {
        Ok = 0, "ok";
        Missing = 8, "the request is missing or not understood";
        BadEyecatcher = 9, "the request is damaged";
        ClassTooLong = 10, "the class is longer than 8 characters";
        ProfileTooLong = 11, "the profile is empty or longer than 255 characters";
        Capacity = 12, "the capacity is above 8192";
        NoActor = 13, "the call has no actor";
        InternalFailed = 14, "the profile does not exist, or the security database could not be used";
        AllocationFailed = 15, "memory is exhausted";
        Insufficient = 16, "the capacity is too small: the answer says how many entries there are";
        Class = 17, "the class is not configured, or not the configured one";
        UnsupportedManager = 18, "the security manager is not supported";
    }
}

codes! {
    /// ADMIN (17).
    AdminCode {
        Ok = 0, "ok";
        Missing = 8, "the request is missing or not understood";
        BadEyecatcher = 9, "the request is damaged";
        ProfileTooLong = 10, "the profile is empty or longer than 255 characters";
        ForeignPrefix = 11, "the profile does not begin with ZOWE.";
        OwnerTooLong = 12, "the owner is longer than 8 characters";
        UserTooLong = 13, "the user is longer than 8 characters";
        NoActor = 14, "the call has no actor";
        Function = 15, "the function is not known";
        Access = 16, "the function needs another access than was given";
        InternalFailed = 17, "the security database refuses";
        Parameter = 18, "the function needs a value that is missing";
        ClassNotRead = 19, "the class is not configured";
        ClassTooLong = 20, "the configured class is longer than 8 characters";
        AutoRefresh = 21, "ZWES.SECMGMT.AUTOREFRESH is not usable";
        Owner = 22, "the owner could not be determined";
        UnsupportedManager = 23, "the security manager is not supported";
    }
}

codes! {
    /// GROUPS (18).
    GroupCode {
        Ok = 0, "ok";
        Missing = 8, "the request is missing or not understood";
        BadEyecatcher = 9, "the request is damaged";
        GroupTooLong = 10, "the group is longer than 8 characters";
        NoBuffer = 11, "there is no place for the answer";
        Count = 12, "the count is 0 or above 1000";
        NoActor = 13, "the call has no actor";
        InternalFailed = 14, "the security database could not be used";
        AllocationFailed = 15, "memory is exhausted";
        UnsupportedManager = 16, "the security manager is not supported";
    }
}

codes! {
    /// MEMBERS (19).
    MemberCode {
        Ok = 0, "ok";
        Missing = 8, "the request is missing or not understood";
        BadEyecatcher = 9, "the request is damaged";
        GroupTooLong = 10, "the group is empty or longer than 8 characters";
        Capacity = 11, "the capacity is above 8192";
        NoActor = 12, "the call has no actor";
        InternalFailed = 13, "the group does not exist, or the security database could not be used";
        AllocationFailed = 14, "memory is exhausted";
        Insufficient = 15, "the capacity is too small: the answer says how many entries there are";
        UnsupportedManager = 16, "the security manager is not supported";
    }
}

codes! {
    /// GROUPADM (20).
    GroupAdminCode {
        Ok = 0, "ok";
        Missing = 8, "the request is missing or not understood";
        BadEyecatcher = 9, "the request is damaged";
        GroupTooLong = 10, "the group is empty or longer than 8 characters";
        SuperiorTooLong = 11, "the superior group is longer than 8 characters";
        ForeignPrefix = 12, "the group does not begin with ZWE, ZOWE, MVD or ZIS";
        UserTooLong = 13, "the user is longer than 8 characters";
        NoActor = 14, "the call has no actor";
        Function = 15, "the function is not known";
        Access = 16, "the function needs another access than was given";
        InternalFailed = 17, "the security database refuses";
        Parameter = 18, "the function needs a value that is missing";
        UnsupportedManager = 22, "the security manager is not supported";
    }
}

codes! {
    /// TICKET (21).
    TicketCode {
        Ok = 0, "ok";
        Missing = 8, "the request is missing or not understood";
        Function = 12, "the function is not known";
        TooLong = 13, "a value is too long";
        Wrong = 16, "the ticket is not good for this user and application";
        Expired = 17, "the ticket has expired";
        Used = 18, "the ticket was used before";
        Application = 20, "no tickets are issued for this application";
        Empty = 21, "a value is empty";
        TooMany = 22, "too many tickets are outstanding for this user";
    }
}

codes! {
    /// TOKEN (22).
    TokenCode {
        Ok = 0, "ok";
        Missing = 8, "the request is missing or not understood";
        Function = 12, "the function is not known";
        TooLong = 13, "a value is too long";
        Malformed = 15, "the token is not one of this server's";
        Wrong = 16, "the token is not good here: signature, audience or user";
        Expired = 17, "the token has expired";
        Revoked = 18, "the token was revoked";
        NoActor = 20, "the call has no actor to make a token for";
        Empty = 21, "a value is empty";
    }
}

codes! {
    /// RUNAS (23).
    RunAsCode {
        Ok = 0, "ok";
        Missing = 8, "the request is missing or not understood";
        TooLong = 13, "a value is too long, or there are too many";
        NotAbsolute = 14, "the program or the directory is not an absolute path";
        NoActor = 15, "the call has no actor";
        NotAllowed = 16, "this user's uid is not in a range that is allowed";
        NoLinuxUser = 17, "the user has no uid on this host";
        SwitchFailed = 18, "the identity could not be switched, or was not what was asked for afterwards";
        NotExecuted = 19, "the program could not be executed";
        TimeLimit = 20, "the program was ended at its time limit";
        Empty = 21, "a value is empty";
        Control = 22, "a value has a NUL byte or a control character";
    }
}

codes! {
    /// PLACE (24).
    PlaceCode {
        Ok = 0, "ok";
        Missing = 8, "the request is missing or not understood";
        TooLong = 13, "a value is too long";
        Name = 14, "the name is not a plain relative path";
        NoSlot = 16, "no slot has this name";
        Digest = 17, "the bytes do not have the digest that was stated";
        Mode = 18, "the mode has a bit that is not allowed";
        NotWritten = 19, "the file could not be written";
        Changed = 20, "the file there is not the one that was expected";
        Empty = 21, "a value is empty";
        Way = 22, "the way to the file leads over a symbolic link, or others can change it";
    }
}

codes! {
    /// PORT (25).
    PortCode {
        Ok = 0, "ok";
        Missing = 8, "the request is missing or not understood";
        Port = 14, "the port is 0 or above 1023: it needs no help";
        Address = 15, "the address is not one of this host";
        NotAllowed = 16, "the port is not in a range that is allowed";
        InUse = 17, "the port is in use";
        NotOpened = 19, "the socket could not be opened";
        Backlog = 20, "the backlog is above 4096";
    }
}

/// What a service's code says, `None` when the service has no table or the code is not in it.
///
/// For the two routers this is [`super::RouterCode`]; codes from 33 on are a plug-in's own.
#[must_use]
pub fn service_text(service: ServiceId, code: u32) -> Option<&'static str> {
    match service {
        ServiceId::Auth => AuthCode::from_number(code).map(AuthCode::text),
        ServiceId::Inspect => InspectCode::from_number(code).map(InspectCode::text),
        ServiceId::Network => NetworkCode::from_number(code).map(NetworkCode::text),
        ServiceId::Users => UserCode::from_number(code).map(UserCode::text),
        ServiceId::Profiles => ProfileCode::from_number(code).map(ProfileCode::text),
        ServiceId::Access => AccessCode::from_number(code).map(AccessCode::text),
        ServiceId::Admin => AdminCode::from_number(code).map(AdminCode::text),
        ServiceId::Groups => GroupCode::from_number(code).map(GroupCode::text),
        ServiceId::Members => MemberCode::from_number(code).map(MemberCode::text),
        ServiceId::GroupAdmin => GroupAdminCode::from_number(code).map(GroupAdminCode::text),
        ServiceId::Ticket => TicketCode::from_number(code).map(TicketCode::text),
        ServiceId::Token => TokenCode::from_number(code).map(TokenCode::text),
        ServiceId::RunAs => RunAsCode::from_number(code).map(RunAsCode::text),
        ServiceId::Place => PlaceCode::from_number(code).map(PlaceCode::text),
        ServiceId::Port => PortCode::from_number(code).map(PortCode::text),
        ServiceId::RouterSwitch | ServiceId::Router => {
            super::RouterCode::from_number(code).map(super::RouterCode::text)
        }
        _ => None,
    }
}
