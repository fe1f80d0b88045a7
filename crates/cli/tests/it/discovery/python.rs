//! The client of Python, as it is published: it reads XML and checks the hash of changes.

use std::fs;
use std::process::Command;

use super::client::Client;
use super::server::Server;
use crate::packages::python;
use crate::world::wait_until;

pub(super) const CLIENT: &str = r#"
import asyncio, signal, sys
import py_eureka_client.eureka_client as eureka

def say(text):
    print(text, flush=True)

def failed(kind, error):
    say(f"ERROR {kind}: {error!r}")

async def main():
    client = await eureka.init_async(
        eureka_server=f"http://127.0.0.1:{sys.argv[1]}/eureka/", app_name="pysvc", instance_port=9090,
        instance_host="localhost", instance_ip="127.0.0.1", renewal_interval_in_secs=1, duration_in_secs=3,
        metadata={"with_underscore": "1"}, on_error=failed)
    say("STARTED")
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    known = None
    while not ended.is_set():
        apps = client.applications
        hash_is_ours = client._EurekaClient__is_hash_match() if apps.applications else False
        now = f"KNOWS {sorted(a.name for a in apps.applications if a.instances)} hash={hash_is_ours}"
        if now != known:
            say(now)
        known = now
        try:
            await asyncio.wait_for(ended.wait(), 0.1)
        except asyncio.TimeoutError:
            pass
    await eureka.stop_async()
    say("STOPPED")

asyncio.run(main())
"#;

#[test]
fn python_client_reads_xml_follows_changes_and_says_good_bye() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("client.py");
    fs::write(&script, CLIENT).unwrap();
    let server = Server::plain(&["--access-log"]);
    let client = Client::start(Command::new(python()).arg(&script).arg(server.port.to_string()));
    client.await_line("STARTED");
    let id = server.json("/eureka/apps/pysvc")["application"]["instance"][0]["instanceId"].clone();
    let id = id.as_str().unwrap().to_owned();
    assert_eq!(server.status_of(&id).as_deref(), Some("UP"));
    client.await_line("KNOWS ['DISCOVERY', 'PYSVC'] hash=True");
    server.register("other", "h:other:1", r#","metadata":{"a_b":"1 < 2"}"#).is(204);
    client.await_line("KNOWS ['DISCOVERY', 'OTHER', 'PYSVC'] hash=True");
    server.ask("/eureka/apps/other/h:other:1", &["-X", "DELETE"]).is(200);
    wait_until("the client's forgetting", || {
        client.lines().last().is_some_and(|line| line == "KNOWS ['DISCOVERY', 'PYSVC'] hash=True")
    });
    wait_until("heartbeats", || server.count("heartbeats_total") > 2);
    let lines = client.lines();
    assert!(!lines.iter().any(|line| line.starts_with("ERROR")), "{lines:?}");
    assert_eq!(client.stop(), Some(0));
    server.await_line("DELETE /eureka/apps/PYSVC/");
    assert_eq!(server.status_of(&id), None);
}
