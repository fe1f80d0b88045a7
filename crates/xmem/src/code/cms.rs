//! Return codes of the call itself.

super::codes! {
    /// What became of a call before and around the service: 0 says that the service answered.
    ///
    /// 8 to 95 are `RC_CMS_*` of the original, also those that can not happen on Linux, so that a number from an old
    /// listing can be looked up. 96 to 99 are ours.
    CmsCode {
        Ok = 0, "ok";
        Error = 8, "error without a code of its own";
        ProtocolViolated = 9, "the protocol was violated: no call was recognised";
        BadEyecatcher = 10, "the call does not begin with its eyecatcher";
        ServiceOutOfRange = 11, "no service has this number";
        ServerUnknown = 12, "no server of this name was ever started here";
        BadDirectory = 13, "the server's directory entry is damaged";
        ServerBlockMissing = 14, "the server has no control block";
        BadServerBlock = 15, "the server's control block is damaged";
        FunctionMissing = 16, "the service has no function for this call or version";
        AuthorityIndexNotSet = 17, "the authority index was not set";
        LinkageIndexNotReserved = 18, "no linkage index was reserved";
        EntryTableNotCreated = 19, "the entry table was not created";
        EntryTableNotConnected = 20, "the entry table was not connected";
        DuplicateServer = 21, "a server of this name is running already";
        LockFailed = 22, "the lock of the server name could not be taken";
        CommonStorage = 23, "common storage is exhausted";
        NameTokenNotCreated = 24, "the name/token pair was not created";
        ServerUnavailable = 25, "the server is stopping";
        NameTokenNotFound = 26, "the name/token pair was not found";
        BadNameToken = 27, "the name/token pair is damaged";
        ModuleNotAdded = 28, "the module was not added to common code";
        ModuleNotDeleted = 29, "the module was not deleted from common code";
        ServerNotReady = 30, "the server is not ready";
        NameTokenNotDeleted = 31, "the name/token pair was not deleted";
        ClassNotLoaded = 32, "the security class was not loaded";
        PermissionDenied = 33, "permission denied";
        EnvironmentNotSet = 34, "the environment of the call could not be set up";
        EnvironmentNotTornDown = 35, "the environment of the call could not be torn down";
        ServiceEnded = 36, "the service ended abnormally while it worked on the call";
        NoRecovery = 37, "the call could not be protected against an abnormal end";
        NotImplemented = 38, "the service needs a privilege that this server does not have";
        ServerEnded = 39, "the server ended abnormally";
        FormatFailed = 40, "the message could not be formatted";
        MessageTooLong = 41, "the message is too long";
        NoLoggingContext = 42, "there is no logging context";
        NoRecoveryContext = 43, "there is no recovery context";
        ServerNameTooShort = 44, "the server name is too short";
        ServerNameTooLong = 45, "the server name is longer than 16 characters or has a character that is not allowed";
        ServiceNotInitialised = 46, "the service is not installed";
        NoVectorTable = 47, "there is no directory of servers";
        NoVectorEntry = 48, "there is no entry in the directory of servers";
        VectorEntryNotAllocated = 49, "no entry could be made in the directory of servers";
        NotRelocatable = 50, "the service is outside of its module";
        MainLoopFailed = 51, "the server's main loop failed";
        NoRoom = 52, "no room for another call: of the connection, of the user or of the server";
        StackNotReturned = 53, "the stack of the call was not returned";
        WrongFlavour = 54, "the service was called through the wrong program call";
        WrongKey = 55, "the server has the wrong storage key";
        ResourceManagerNotAdded = 56, "the resource manager was not added";
        ResourceManagerNotRemoved = 57, "the resource manager was not removed";
        ResourceManagerLock = 58, "the lock of the resource manager could not be taken";
        ResourceManagerName = 59, "the name of the resource manager is not usable";
        WrongServerVersion = 60, "the server speaks another version than this client";
        LatentParameterMissing = 61, "the latent parameter is missing";
        BadParameter = 62, "the parameters of the call are missing or longer than allowed";
        BadHandlerBlock = 63, "the handler block is damaged";
        ServerDown = 64, "the server is down";
        WrongClientVersion = 65, "the server does not take this client's version";
        DirectoryLoop = 66, "the directory of servers has a loop";
        DirectoryNotLocked = 67, "the directory of servers could not be locked";
        DirectoryNotReleased = 68, "the lock of the directory of servers was not released";
        ConversionFailed = 69, "a value could not be formatted";
        HeapNotCreated = 70, "the heap was not created";
        QueueNotCreated = 71, "the message queue was not created";
        ConfigurationNotCreated = 72, "the table of parameters was not created";
        HeapExhausted = 73, "the heap of the parameters is exhausted";
        UnknownParameterType = 74, "the parameter has an unknown type";
        ParameterNameTooLong = 75, "the name of the parameter is too long";
        ParameterValueTooLong = 76, "the value of the parameter is too long";
        ParameterNotFound = 77, "the parameter was not found, or is not this caller's";
        ServiceParameterMissing = 78, "the request of the service is missing";
        BadServiceParameter = 79, "the request of the service is not understood";
        NotAuthorised = 80, "the server's program is not authorised";
        NoStepLibrary = 81, "there is no module library";
        ModuleNotInLibrary = 82, "the module is not in the module library";
        VectorTableNotAllocated = 83, "the directory of servers could not be made";
        ServerNameMissing = 84, "the server name is missing";
        SlotOccupied = 85, "the service number is occupied";
        NoMessageStorage = 86, "there is no room for the message";
        AllocationFailed = 87, "memory is exhausted";
        ModuleNotPrivate = 88, "the module is not private to the server";
        ProcessStatus = 89, "the status of the process can not be used";
        ModuleQueryFailed = 90, "the module could not be queried";
        LookupNoRoom = 91, "no room for the look-up anchor";
        LookupNotLocked = 92, "the look-up anchor could not be locked";
        LookupNotReleased = 93, "the lock of the look-up anchor was not released";
        ConfigurationVersion = 94, "the request for a parameter has an unknown version";
        BufferTooSmall = 95, "the buffer is too small for the value";
        DeadlinePassed = 96, "the deadline passed before the answer";
        Cancelled = 97, "the call was cancelled";
        OutcomeUnknown = 98, "the server ended while the call was under way: it may have been executed";
        NotPossibleHere = 99, "this build or host can not do it";
    }
}
