//! The two clients of Node, as they are published.

use std::fs;
use std::process::Command;

use super::client::Client;
use super::server::{Keys, Server};
use crate::packages::eureka_clients;
use crate::world::{free_ports, wait_until};

const JS_CLIENT: &str = r"
const { Eureka } = require('eureka-js-client');
const [port, servicePath, delta] = process.argv.slice(2);
const eureka = {
  host: '127.0.0.1', port: Number(port), maxRetries: 1, requestRetryDelay: 100, heartbeatInterval: 300,
  registryFetchInterval: 300, useDelta: delta === 'delta', shouldUseDelta: delta === 'delta',
};
if (servicePath !== 'default') eureka.servicePath = servicePath;
const client = new Eureka({
  instance: {
    app: 'jqservice', hostName: 'localhost', ipAddr: '127.0.0.1', port: { $: 8080, '@enabled': 'true' },
    vipAddress: 'jq.test.something.com',
    dataCenterInfo: { '@class': 'com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo', name: 'MyOwn' },
  },
  eureka,
});
let known = '';
client.on('registryUpdated', () => {
  const now = ['JQSERVICE', 'OTHER'].map((app) => `${app}=${client.getInstancesByAppId(app).length}`).join(' ');
  if (now !== known) console.log('KNOWS ' + now);
  known = now;
});
client.start((error) => console.log(error ? 'FAILED ' + error : 'STARTED'));
process.on('SIGTERM', () => client.stop(() => process.exit(0)));
";

#[test]
fn js_client_registers_reads_and_comes_back_after_the_server_lost_everything() {
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(eureka_clients(), directory.path().join("node_modules")).unwrap();
    fs::write(directory.path().join("client.js"), JS_CLIENT).unwrap();
    // The client's own default is the path of version 2.
    for (service_path, mode) in [("default", "full"), ("/eureka/apps/", "delta")] {
        let port = free_ports();
        let server = Server::plain_at(port);
        let mut node = Command::new("node");
        node.current_dir(directory.path()).args(["client.js", &port.to_string(), service_path, mode]);
        let client = Client::start(&mut node);
        client.await_line("STARTED");
        assert_eq!(server.status_of("localhost").as_deref(), Some("UP"), "its host name is its id");
        client.await_line("KNOWS JQSERVICE=1 OTHER=0");
        server.register("other", "h:other:1", "").is(204);
        client.await_line("KNOWS JQSERVICE=1 OTHER=1");
        server.ask("/eureka/apps/other/h:other:1", &["-X", "DELETE"]).is(200);
        wait_until("the client's forgetting", || {
            client.lines().last().is_some_and(|line| line == "KNOWS JQSERVICE=1 OTHER=0")
        });
        drop(server);
        let server = Server::plain_at(port);
        wait_until("the second registration", || server.status_of("localhost").is_some());
        wait_until("a heartbeat after it", || server.count("heartbeats_total") > 0);
        assert_eq!(client.stop(), Some(0));
        assert_eq!(server.status_of("localhost"), None, "it said good-bye");
    }
}

const ENABLER: &str = r"
import * as enabler from '@zowe/apiml-onboarding-enabler-nodejs';
enabler.connectToEureka();
process.on('SIGTERM', () => {
  enabler.unregisterFromEureka();
  setTimeout(() => process.exit(0), 1000);
});
";

/// The sample of the package, also its fetch interval of 5, which it takes for milliseconds.
fn enabler_configuration(port: u16) -> String {
    let keys = Keys::get();
    format!(
        "serviceId: hwexpress
title: Hello World express REST API
eureka:
  ssl: true
  host: localhost
  ipAddress: 127.0.0.1
  port: {port}
  servicePath: '/eureka/apps/'
  maxRetries: 30
  requestRetryDelay: 1000
  registryFetchInterval: 5
instance:
  app: hwexpress
  vipAddress: hwexpress
  instanceId: localhost:hwexpress:10039
  homePageUrl: https://localhost:10039/
  hostName: 'localhost'
  ipAddr: '127.0.0.1'
  secureVipAddress: hwexpress
  port:
    $: 10039
    '@enabled': false
  securePort:
    $: 10039
    '@enabled': \"true\"
  dataCenterInfo:
    '@class': com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo
    name: MyOwn
  metadata:
    apiml.catalog.tile.id: 'samplenodeservice'
    apiml.routes.api_v1.gatewayUrl: \"api/v1\"
    apiml.routes.api_v1.serviceUrl: \"/api/v1\"
ssl:
  certificate: {}
  keystore: {}
  caFile: {}
",
        keys.at("localhost.cer"),
        keys.at("localhost.key"),
        keys.at("local_ca.cer")
    )
}

#[test]
fn node_enabler_with_its_own_sample_registers_and_polls_without_harm() {
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(eureka_clients(), directory.path().join("node_modules")).unwrap();
    fs::create_dir(directory.path().join("config")).unwrap();
    let server = Server::tls(&[]);
    fs::write(directory.path().join("config/service-configuration.yml"), enabler_configuration(server.port))
        .unwrap();
    fs::write(directory.path().join("client.mjs"), ENABLER).unwrap();
    let client = Client::start(Command::new("node").current_dir(directory.path()).arg("client.mjs"));
    let id = "localhost:hwexpress:10039";
    wait_until("the registration", || server.status_of(id).as_deref() == Some("UP"));
    wait_until("a few hundred fetches", || server.count("fetches_total") > 300);
    assert!(server.count("documents_written_total") < 20, "what has not changed is not written again");
    let metadata = &server.json(&format!("/eureka/instances/{id}"))["instance"]["metadata"];
    assert_eq!(metadata["apiml.routes.api_v1.gatewayUrl"], "api/v1");
    assert_eq!(client.stop(), Some(0));
    assert_eq!(server.status_of(id), None, "it said good-bye");
}
