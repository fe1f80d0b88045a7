//! Logging in through a real cross-memory server: passwords of Linux users by PAM, tickets, what users may do. The gateway runs
//! as a user without any privilege.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::discovery::server::Keys;
use crate::world::{World, answer, free_ports};

/// Of the password `correct horse`.
const HASH: &str =
    "$6$tendersalt$4wqs/nt9HojcDHqw8uCHwrXMLXi6koqT4CuoouCDb6GCTyd1CnARlO8YHZZm3Wb.g3ocLeZ3aZ8ffgt/2kikO.";

/// What the gateway's user needs, and what Alice may.
const RULES: &str = "\
ADDUSER ALICE OMVS(UID(61070))
ADDUSER ZWEGTWY OMVS(UID(61060))
PERMIT ZWES.IS CLASS(FACILITY) ID(ZWEGTWY) ACCESS(READ)
RDEFINE FACILITY ZWES.IS.SRV.AUTH UACC(NONE)
PERMIT ZWES.IS.SRV.AUTH CLASS(FACILITY) ID(ZWEGTWY) ACCESS(UPDATE)
RDEFINE FACILITY ZWES.IS.SRV.TICKET UACC(NONE)
PERMIT ZWES.IS.SRV.TICKET CLASS(FACILITY) ID(ZWEGTWY) ACCESS(UPDATE)
PERMIT ZWES.IS.SRV.TICKET CLASS(FACILITY) ID(ROOT) ACCESS(UPDATE)
SETROPTS CLASSACT(PTKTDATA)
RDEFINE PTKTDATA IRRPTAUTH.TSTAPPL.* UACC(NONE)
PERMIT IRRPTAUTH.TSTAPPL.* CLASS(PTKTDATA) ID(ZWEGTWY) ACCESS(UPDATE)
PERMIT IRRPTAUTH.TSTAPPL.* CLASS(PTKTDATA) ID(ROOT) ACCESS(READ)
RDEFINE ZOWE SAMPLE.RESOURCE UACC(NONE)
PERMIT SAMPLE.RESOURCE CLASS(ZOWE) ID(ALICE) ACCESS(READ)
";

/// Asks as clients do, and evaluates the ticket as an application does: once it is good.
const QUESTIONS: &str = r#"
curl --cacert keys/local_ca.cer -s --retry 100 --retry-connrefused --retry-max-time 100 -o /dev/null $BASE/application/version
ask() { curl --cacert keys/local_ca.cer -s --max-time 60 "$@"; }
code() { ask -o /dev/null -w '%{http_code}' "$@"; }
AUTH=$BASE/gateway/api/v1/auth
echo "right: $(code -X POST -u 'alice:correct horse' $AUTH/login)"
echo "wrong: $(code -X POST -u 'alice:wrong horse' $AUTH/login)"
echo "unknown: $(code -X POST -u 'nobodys:correct horse' $AUTH/login)"
COOKIE=$(ask -i -X POST -u 'alice:correct horse' $AUTH/login | tr -d '\r' | sed -n 's/^set-cookie: \([^;]*\).*/\1/p')
may() { code -H "Cookie: $COOKIE" -d "{\"resourceClass\":\"$1\",\"resourceName\":\"$2\",\"accessLevel\":\"$3\"}" $AUTH/check; }
echo "may read: $(may ZOWE SAMPLE.RESOURCE READ)"
echo "may update: $(may ZOWE SAMPLE.RESOURCE UPDATE)"
echo "may other: $(may ZOWE OTHER.RESOURCE READ)"
echo "class that is not asked about: $(may FACILITY ZWES.IS READ)"
services() { code -H "Cookie: $COOKIE" $BASE/gateway/api/v1/services; }
echo "services: $(services)"
"$TENDER" saf rdefine zowe apiml.services 'uacc(none)'
"$TENDER" saf permit apiml.services 'class(zowe) id(alice) access(read)'
for _ in $(seq 100); do [ "$(services)" = 403 ] || break; done
echo "services when permitted: $(services)"
OWN="--cert keys/localhost.cer --key keys/localhost.key"
ticket() { ask $OWN -H "Cookie: $COOKIE" -d "{\"applicationName\":\"$1\"}" $AUTH/ticket; }
TICKET=$(ticket TSTAPPL | sed -n 's/.*"ticket": *"\([A-Z0-9]*\)".*/\1/p')
EVALUATE="{\"evaluate\":{\"user\":\"ALICE\",\"application\":\"TSTAPPL\",\"ticket\":\"$TICKET\"}}"
"$TENDER" xmem call TICKET "$EVALUATE" -s ZWESIS_TEST && echo "ticket: good"
"$TENDER" xmem call TICKET "$EVALUATE" -s ZWESIS_TEST || echo "ticket again: refused"
echo "ticket for another: $(ticket OTHER)"
"$TENDER" xmem stop ZWESIS_TEST --wait 10
echo "without server: $(ask -X POST -u 'alice:correct horse' $AUTH/login)"
"$TENDER" xmem start
echo "with another server: $(code -X POST -u 'alice:correct horse' $AUTH/login)"
"#;

#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn skip(why: &str) -> bool {
    println!("skipped: {why}");
    false
}

fn can_run(program: &Path) -> bool {
    let at = ["/lib", "/usr/lib"]
        .map(|top| Command::new("sh").args(["-c", &format!("ls {top}/*/security/pam_unix.so")]).output());
    let has_pam = at.into_iter().flatten().any(|found| found.status.success());
    if !rustix::process::geteuid().is_root() {
        return skip("mounting and users need root");
    }
    if !has_pam {
        return skip("there is no pam_unix");
    }
    program.exists() || skip("tender-xmemd is not built")
}

#[test]
fn users_of_linux_log_in_through_the_cross_memory_server_at_a_gateway_without_privilege() {
    let program = Path::new(env!("CARGO_BIN_EXE_tender")).with_file_name("tender-xmemd");
    if !can_run(&program) {
        return;
    }
    let world = World::new();
    let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    open(&world.path("."));
    for directory in ["prefix/bin", "keys", "etc", "run"] {
        fs::create_dir_all(world.path(directory)).unwrap();
    }
    fs::copy(program, world.path("prefix/bin/tender-xmemd")).unwrap();
    for name in ["localhost.key", "localhost.cer", "local_ca.cer"] {
        fs::copy(Keys::get().path(name), world.path("keys").join(name)).unwrap();
    }
    fs::write(world.path("rules"), RULES).unwrap();
    let port = free_ports();
    let script = format!(
        r#"
cp -a /etc/. etc/; mount --bind etc /etc
printf 'alice:x:61070:61070::/:/bin/sh\nzwegtwy:x:61060:61060::/:/bin/sh\n' >> /etc/passwd
printf 'alice:%s:19000:0:99999:7:::\n' '{HASH}' >> /etc/shadow
mkdir -p /etc/pam.d; printf 'auth required pam_unix.so\naccount required pam_unix.so\n' > /etc/pam.d/tender
export TENDER_XMEM_RUN=$PWD/run BASE=https://localhost:{port}
"$TENDER" xmem install -d prefix -b lib -a parm -r proc -l log --procedure script --sysusers users --create-users --name ZWESIS_TEST
"$TENDER" xmem apf add lib
"$TENDER" saf create; "$TENDER" security init; "$TENDER" saf apply rules
trap '"$TENDER" xmem stop ZWESIS_TEST --wait 10 --kill; kill $GATEWAY' EXIT
"$TENDER" xmem start
chown -R 61060 keys
setpriv --reuid 61060 --regid 61060 --clear-groups --bounding-set -all "$TENDER" gateway run --listen 127.0.0.1:{port} \
  --key keys/localhost.key --certificate keys/localhost.cer --trust keys/local_ca.cer \
  --discovery https://localhost:1/eureka --provider xmem:ZWESIS_TEST >gateway.log 2>&1 &
GATEWAY=$!
{QUESTIONS}"#
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-euc", &script]).current_dir(world.path(".")).stdin(Stdio::null());
    command.env("TENDER", env!("CARGO_BIN_EXE_tender")).env("TENDER_HOME", world.path("host"));
    let said = answer("the questions", &command.env("COLUMNS", "140").output().unwrap());
    said.says("right: 204")
        .says("wrong: 401")
        .says("unknown: 401")
        .says("may read: 204")
        .says("may update: 401")
        .says("may other: 401")
        .says("class that is not asked about: 501")
        .says("services: 403")
        // None is registered, which has an answer of its own.
        .says("services when permitted: 404")
        .says("ticket: good")
        .says("ticket again: refused")
        .says("ticket for another: {")
        .says("ZWEAG141E")
        .says("without server: {")
        .says("ZWEAG104E")
        .says("with another server: 204")
        .ends(0);
    let log = fs::read_to_string(world.path("gateway.log")).unwrap();
    assert!(
        log.contains("ZWEAG141E no ticket for application `OTHER`") && log.contains("permission denied"),
        "{log}"
    );
    assert!(!log.contains("horse"), "{log}");
}
