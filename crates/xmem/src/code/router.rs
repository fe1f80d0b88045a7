//! Outcomes of the router for plug-ins.

super::codes! {
    /// Service code of a call through the router (services 64 and 65). From 33 on it is the plug-in's own.
    RouterCode {
        Ok = 0, "ok";
        StatusMissing = 2, "there is no place for the status";
        ServiceFailed = 4, "the service of the plug-in failed";
        CallFailed = 8, "the call failed before it came to the plug-in";
        DirectoryMissing = 9, "there is no server directory";
        AnchorMissing = 10, "the server has no anchor for plug-ins";
        TableMissing = 11, "the server has no table of plug-in services";
        BadRequest = 12, "the request for the plug-in is not understood";
        RequestVersion = 13, "the request for the plug-in has an unknown version";
        NotFound = 14, "no plug-in has this service";
        Version = 15, "the plug-in has an older version of the service than was asked for";
        Inactive = 16, "the service of the plug-in is not active";
        NotPermitted = 17, "the service's own profile refuses";
    }
}
