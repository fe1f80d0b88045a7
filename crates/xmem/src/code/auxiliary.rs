//! Return codes of auxiliary hosts.

super::codes! {
    /// What became of a request to an auxiliary host.
    AuxCode {
        Ok = 0, "ok";
        CommandRejected = 4, "the plug-in rejected the command";
        Error = 8, "error without a code of its own";
        CellPool = 9, "no pool could be made";
        CommNotAllocated = 10, "the communication area could not be made";
        PrintFailed = 11, "a value could not be formatted";
        NotStarted = 12, "the host could not be started";
        NotFound = 13, "no host has this nickname";
        NotStopped = 14, "the host could not be stopped";
        ReleaseFailed = 15, "a waiting caller could not be released";
        BadEyecatcher = 16, "the communication area is damaged";
        EnvironmentNotSet = 17, "the environment of the request could not be set up";
        RequestEnded = 18, "the request ended abnormally";
        NoRecovery = 19, "the request could not be protected against an abnormal end";
        EnvironmentNotTornDown = 20, "the environment of the request could not be torn down";
        BadParameter = 21, "the parameters of the request are not usable";
        BadCommArea = 22, "the communication area is not usable";
        AllocationFailed = 23, "memory is exhausted";
        CommParameter = 24, "the start parameter names no communication area";
        Version = 25, "the host speaks an unknown version";
        RequestLimit = 26, "16 requests are under way";
        Terminating = 27, "the host is terminating";
        TaskEnded = 28, "the task of the request ended abnormally";
        BadToken = 29, "the token of the request is not known";
        PauseFailed = 30, "the caller could not be made to wait";
        NotReady = 31, "the host is not ready";
        CommandTooLong = 32, "the command is longer than 126 bytes";
        HandlerFailed = 33, "the host's handler failed";
        UserHandlerFailed = 34, "the plug-in's handler failed";
        BadFunction = 35, "the request has an unknown function";
        NotScheduled = 36, "the request could not be scheduled";
        Stopped = 37, "the host was stopped";
        HostEnded = 38, "the host ended abnormally";
        WrongKey = 39, "the caller has the wrong storage key";
        SharedMemory = 40, "the shared memory of the request could not be used";
        BufferTooSmall = 41, "the buffer is too small for the answer";
        NotManager = 42, "only the manager may do this";
        CallsDisabled = 43, "the host takes no calls";
        PostFailed = 44, "the host could not be notified";
        CallerUnknown = 45, "the caller is not the host's parent";
    }
}
