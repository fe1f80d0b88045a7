//! The messages of discovery, gateway, caching service, catalog and desktop, in order of their ids.

use super::entry::{Entry, entry};

const NOTHING: &str = "nothing to do";
const LOGIN: &str = "log in again, `POST /gateway/api/v1/auth/login`";
const CLIENT: &str = "the answer says what was wrong: mend the request";
const STORE: &str =
    "look at the store that `--store` names, and whether it can be reached; it is asked again by itself";
const CERTIFICATE: &str =
    "`tender certificate verify` says what is wrong with it, `tender certificate renew` makes a new one";

/// Every message that is explained.
pub(super) const MEDIATION: &[Entry] = &[
    entry(
        "ZWEAC103E",
        "the catalog has no API document of a service",
        "the service says where its document is in `apiml.apiInfo.*.swaggerUrl`",
    ),
    entry(
        "ZWEAC105W",
        "the host of an API document does not answer",
        "see whether the service runs and whether the catalog's machine reaches it",
    ),
    entry(
        "ZWEAC704E",
        "an API document cannot be used",
        "`tender catalog check FILE` says what is wrong with it, and where",
    ),
    entry("ZWEAC706E", "no service with this id is registered", "`/gateway/services` lists them"),
    entry(
        "ZWEAC707E",
        "discovery did not read its static definitions again",
        "see whether discovery runs, and whether the catalog has a certificate that it trusts",
    ),
    entry(
        "ZWEAC710W",
        "nobody logs in at the catalog: whoever reaches it may read it",
        "let it run over TLS with a gateway whose users may log in",
    ),
    entry("ZWEAC711I", "how many operations a document has, and where they would be", NOTHING),
    entry(
        "ZWEAC712W",
        "no route of the gateway leads to a path of a document",
        "add a route to the service, or correct the document's base path",
    ),
    entry("ZWEAD100I", "static definitions were read", NOTHING),
    entry(
        "ZWEAD101W",
        "so many instances fell silent that their registrations are kept",
        "look at the network between them and discovery; registrations end again when enough are heard of",
    ),
    entry("ZWEAD102I", "silent instances are forgotten again after their time", NOTHING),
    entry("ZWEAD103I", "an instance has registered", NOTHING),
    entry("ZWEAD104I", "an instance has taken its registration back", NOTHING),
    entry("ZWEAD105W", "an instance was silent for too long and is forgotten", "see whether it runs"),
    entry(
        "ZWEAD106E",
        "rules for registrations are wrong; those before stay in force",
        "mend the file: the message says where",
    ),
    entry("ZWEAD107I", "what another discovery service knows was read", NOTHING),
    entry(
        "ZWEAD108W",
        "another discovery service does not answer",
        "see whether it runs; it is told everything again when it is back",
    ),
    entry("ZWEAD109I", "another discovery service answers again", NOTHING),
    entry(
        "ZWEAD110W",
        "another discovery service refuses what it is told",
        "its rules for registrations must allow the certificate of this one",
    ),
    entry("ZWEAD111I", "the registry that hosts share was read", NOTHING),
    entry(
        "ZWEAD112W",
        "etcd, over which hosts share the registry, does not answer; the last known registry stays in use",
        "see whether etcd runs and has a majority of its members; it is asked again by itself",
    ),
    entry("ZWEAD113I", "etcd answers again", NOTHING),
    entry(
        "ZWEAD114I",
        "an instance is gone: its lease in etcd ended, or another service took it back",
        NOTHING,
    ),
    entry(
        "ZWEAD115W",
        "something in etcd is no registration, and is not used",
        "see who writes below the registry's prefix",
    ),
    entry(
        "ZWEAD116W",
        "etcd refuses a registration",
        "the message says why: often its size, or what the user may write",
    ),
    entry(
        "ZWEAD117E",
        "the registry cannot be shared as asked for",
        "the message says what is wrong with the options",
    ),
    entry(
        "ZWEAD118W",
        "a gateway is not told of changes: it learns of them when it looks the next time",
        "see whether it runs and whether it trusts the certificate of discovery; gateways of version 3 take no such calls",
    ),
    entry(
        "ZWEAD701E",
        "a file with static definitions cannot be read",
        "see whether it is there and who may read it, and that it is text",
    ),
    entry(
        "ZWEAD702W",
        "a static definition is wrong; what the file said before stays in use",
        "mend the file: the message says where and what was expected",
    ),
    entry(
        "ZWEAD703E",
        "a directory with static definitions cannot be read",
        "see whether it is there and who may read it",
    ),
    entry("ZWEAG101E", "a call about logging in was made with a method that it does not have", CLIENT),
    entry("ZWEAG102E", "a token is not one of this gateway's, or it was changed", LOGIN),
    entry("ZWEAG104E", "whoever checks passwords, or keeps what was logged out, does not answer", STORE),
    entry(
        "ZWEAG105E",
        "this needs a client certificate that is trusted",
        "give one, and see that its authority is among the trusted ones",
    ),
    entry(
        "ZWEAG105W",
        "two users that everybody knows may log in",
        "for anything but a trial use `--provider xmem` or `--provider file:FILE`",
    ),
    entry(
        "ZWEAG106W",
        "tokens that were logged out are kept in memory: they are good again after a restart",
        "give `--store`, the same for all gateways",
    ),
    entry("ZWEAG112I", "discovery has the entry of this gateway", NOTHING),
    entry(
        "ZWEAG113W",
        "discovery does not take the entry of this gateway; requests are led all the same",
        "the message says why: whether discovery runs, and whether its rules let this certificate register `gateway`; it is \
         tried again by itself",
    ),
    entry(
        "ZWEAG120E",
        "name or password is wrong, or there were too many tries",
        "log in with the right ones; after too many tries, later",
    ),
    entry("ZWEAG121E", "a log-in came without name or password", CLIENT),
    entry("ZWEAG130E", "a token is not valid", LOGIN),
    entry("ZWEAG131E", "no log-in was shown", LOGIN),
    entry("ZWEAG140E", "the name of an application for a ticket is wrong", "give 1 to 8 letters and digits"),
    entry(
        "ZWEAG141E",
        "no ticket could be made",
        "see that the cross-memory server runs, that the service names its application (`apiml.authentication.applid`), and that the gateway's user has UPDATE to FACILITY ZWES.IS.SRV.TICKET and to PTKTDATA IRRPTAUTH.<application>.<user>",
    ),
    entry(
        "ZWEAG167E",
        "a service wants the client's certificate, and there was none",
        "ask with a certificate",
    ),
    entry(
        "ZWEAG169E",
        "a service wants to know its users in a way that this gateway does not have",
        "use bypass, zoweJwt, httpBasicPassTicket or x509 as `apiml.authentication.scheme`",
    ),
    entry(
        "ZWEAG701E",
        "a service takes no encoded characters in paths",
        "ask without, or change `apiml.enableUrlEncodedCharacters` of the service",
    ),
    entry(
        "ZWEAG702E",
        "the gateway takes no encoded slashes in paths",
        "ask without, or run it without `--no-encoded-slashes`",
    ),
    entry(
        "ZWEAG707E",
        "the connection to a service broke: the request may have been done",
        "find out whether it was done before it is made again; `tender logs` of the service says why it broke",
    ),
    entry(
        "ZWEAG708E",
        "no instance of a service answered",
        "the message says why; see whether the service runs",
    ),
    entry("ZWEAG710E", "no instance of a service is up", "see whether the service runs and has registered"),
    entry(
        "ZWEAG711E",
        "the instance that the header X-InstanceId names is not up",
        "ask without the header, or for another instance",
    ),
    entry(
        "ZWEAG712E",
        "a request came through so many proxies that it must have gone round",
        "find the service that registers the address of a gateway, and correct its registration",
    ),
    entry("ZWEAM000I", "a service has started", NOTHING),
    entry("ZWEAM002I", "where a service listens", NOTHING),
    entry("ZWEAM003W", "requests that took too long were cut off when a service ended", NOTHING),
    entry("ZWEAM004I", "a service has ended", NOTHING),
    entry("ZWEAM005I", "certificates were read again, or a connection ended early", NOTHING),
    entry("ZWEAM006W", "a certificate ends soon", CERTIFICATE),
    entry("ZWEAM007I", "what would be done without `--check`", NOTHING),
    entry("ZWEAM008I", "a certificate that is trusted was left out because it has expired", NOTHING),
    entry("ZWEAM009I", "discovery answers again", NOTHING),
    entry("ZWEAM104E", "no service is registered for a path", "`/gateway/services` lists what is"),
    entry("ZWEAM400E", "a certificate, a key or what is trusted cannot be used", CERTIFICATE),
    entry(
        "ZWEAM401E",
        "a service cannot listen at its address",
        "the message says who has it: end that, or choose another",
    ),
    entry(
        "ZWEAM402E",
        "the system refuses what a service needs to run",
        "the message says what: often too few open files",
    ),
    entry("ZWEAM501W", "a service without TLS would be open to others", "listen at 127.0.0.1, or use TLS"),
    entry(
        "ZWEAM504W",
        "discovery does not answer; what it said last stays in use",
        "see whether discovery runs",
    ),
    entry(
        "ZWEAM507E",
        "there is no authority to trust others by",
        "give `--trust`, or `--verify DISABLED` to trust everybody; for etcd and Redis `--store-trust` or `--registry-trust`",
    ),
    entry(
        "ZWEAM508E",
        "a service has no key and certificate",
        "`tender certificate init` makes them; name them with `--certificate` and `--key`, or `--keystore`",
    ),
    entry(
        "ZWEAM509E",
        "the password of a store of keys, or of a user, is wrong or cannot be had",
        "the message says which",
    ),
    entry(
        "ZWEAM510E",
        "it is not clear which key of a store is meant",
        "`tender certificate show FILE` lists the names",
    ),
    entry("ZWEAM511E", "no trusted connection could be made", CERTIFICATE),
    entry(
        "ZWEAM700E",
        "a service gave no answer in time",
        "see how the service does; `--timeout` gives it longer",
    ),
    entry("ZWEAO106W", "there are too many connections; more are closed at once", "find out who makes them"),
    entry("ZWEAO400E", "a request, or an option, cannot be understood", CLIENT),
    entry("ZWEAO404E", "there is nothing at this path", CLIENT),
    entry("ZWEAO405E", "a path does not have this method", CLIENT),
    entry("ZWEAO500E", "a service has failed", "`tender logs` of the service"),
    entry(
        "ZWEAO503E",
        "a service cannot be reached; nothing was sent",
        "ask again later; see whether the service runs",
    ),
    entry("ZWEAS103E", "the gateway, which checks log-ins, does not answer", "see whether the gateway runs"),
    entry("ZWEAS104E", "log-ins cannot be checked now", "ask again later; the gateway's messages say why"),
    entry("ZWEAS105E", "this needs a log-in or a certificate", LOGIN),
    entry("ZWEAS130E", "a log-in is not valid, or has ended", LOGIN),
    entry("ZWEAT100E", "a token has expired", LOGIN),
    entry(
        "ZWEAT403E",
        "this certificate, or this user, may not do this",
        "the rules of the service say who may",
    ),
    entry("ZWEAT412E", "a password has expired", "change it, and log in with the new one"),
    entry(
        "ZWEAT413E",
        "a user may not log in, or there were too many tries",
        "wait, or ask whoever keeps the users",
    ),
    entry("ZWEAT605E", "what a call for a personal token sends is no JSON of this call", CLIENT),
    entry(
        "ZWEAT606E",
        "a personal token was asked for without services that it is for",
        "name them: 1 to 100",
    ),
    entry("ZWEAT607E", "a call to take back personal tokens does not say whose", CLIENT),
    entry("ZWECS130E", "an entry for the cache is no key with a value, or is too large", CLIENT),
    entry("ZWECS131E", "the cache has no entry with this key", NOTHING),
    entry("ZWECS133E", "the cache has an entry with this key already", "change it with PUT"),
    entry(
        "ZWECS134E",
        "the cache is full, and takes no new entries",
        "delete some, or run it with `removeOldest`",
    ),
    entry("ZWECS136E", "lists were asked of a cache that has none", "keep single entries"),
    entry("ZWECS151E", "the store of the caching service cannot be opened", STORE),
    entry("ZWECS152E", "the store of the caching service does not answer", STORE),
    entry(
        "ZWECS701W",
        "entries are kept in memory: they end with the service and are not shared",
        "give `--store`",
    ),
    entry(
        "ZWECS702W",
        "whoever asks the cache is not known by a certificate",
        "run it over TLS with certificates that are asked for",
    ),
    entry("ZWECS703I", "the store of the caching service answers again", NOTHING),
];
