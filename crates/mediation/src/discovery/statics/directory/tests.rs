use super::*;

const GOOD: &str = "\
services:
  - serviceId: ibmzosmf
    title: z/OSMF
    description: Management
    catalogUiTileId: zosmf
    instanceBaseUrls:
      - https://host.example.com:10443/base/
      - http://127.0.0.1:8080
    homePageRelativeUrl: ''
    statusPageRelativeUrl:
    healthCheckRelativeUrl: /health
    routes:
      - gatewayUrl: api/v1
        serviceRelativeUrl: /
      - gatewayUrl: ui/v1
    authentication: { scheme: zosmf }
    apiInfo:
      - apiId: ibm.zosmf
        gatewayUrl: api/v1
        version: 1.0.0
        defaultApi: true
    customMetadata:
      apiml: { enableUrlEncodedCharacters: true, headersToIgnore: Origin }
      empty:
catalogUiTiles:
  zosmf: { title: z/OSMF services, description: IBM }
additionalServiceMetadata:
  - serviceId: Other
    mode: FORCE_UPDATE
    title: Another title
";

fn read_texts(texts: &[(&str, &str)]) -> Reading {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in texts {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    read(&[dir.path().to_owned()], 5)
}

#[test]
fn definition_becomes_instances_with_the_metadata_that_gateways_route_by() {
    let reading = read_texts(&[("a.yml", GOOD), ("b.yaml", "services: nonsense")]);
    assert!(reading.report.is_empty(), "{}", reading.report);
    let [secure, plain] = &reading.instances[..] else { panic!("{:?}", reading.instances) };
    assert_eq!(secure.id, "STATIC-host.example.com:ibmzosmf:10443");
    assert_eq!((secure.app.as_str(), secure.vip.as_deref()), ("IBMZOSMF", Some("ibmzosmf")));
    assert_eq!((secure.port.number, secure.port.is_enabled), (10443, false));
    assert_eq!((secure.secure_port.number, secure.secure_port.is_enabled), (10443, true));
    assert_eq!(secure.home_page_url.as_deref(), Some("https://host.example.com:10443/base"));
    assert_eq!(secure.status_page_url, None);
    assert_eq!(secure.secure_health_check_url.as_deref(), Some("https://host.example.com:10443/base/health"));
    assert_eq!(plain.health_check_url.as_deref(), Some("http://127.0.0.1:8080/health"));
    for (key, value) in [
        ("apiml.routes.api-v1.gatewayUrl", "api/v1"),
        ("apiml.routes.api-v1.serviceUrl", "/base/"),
        ("apiml.routes.ui-v1.serviceUrl", "/base"),
        ("apiml.catalog.tile.id", "zosmf"),
        ("apiml.catalog.tile.version", "1.0.0"),
        ("apiml.service.title", "z/OSMF"),
        ("apiml.apiInfo.api-v1.apiId", "ibm.zosmf"),
        ("apiml.apiInfo.api-v1.defaultApi", "true"),
        ("apiml.authentication.scheme", "zosmf"),
        ("apiml.enableUrlEncodedCharacters", "true"),
        ("empty", ""),
        ("version", "2.2.0"),
    ] {
        assert_eq!(secure.metadata.get(key).map(String::as_str), Some(value), "{key}");
    }
    let additional = &reading.additional["other"];
    assert_eq!(additional.mode, crate::discovery::statics::Mode::ForceUpdate);
    assert_eq!(additional.metadata["apiml.service.title"], "Another title");
}

#[test]
fn wrong_file_is_named_with_line_and_column_and_takes_no_other_out() {
    let bad = GOOD.replace("ibmzosmf", "bad").replace("    title: z/OSMF\n", "    titel: z/OSMF\n");
    let broken = "services:\n  - serviceId: [unclosed\n";
    let reading =
        read_texts(&[("a.yml", &bad), ("b.yml", GOOD), ("c.yml", broken), ("d.yml", "services: 3")]);
    assert_eq!(reading.instances.len(), 2, "{:?}", reading.instances);
    let text = reading.report.to_string();
    assert!(text.contains("a.yml:3:5: error") && text.contains("`titel` is not known"), "{text}");
    assert!(text.contains("c.yml:"), "{text}");
    assert!(text.contains("d.yml:1:11"), "{text}");
    assert!(text.contains("[ZWEAD702W]"), "{text}");
}

#[test]
fn wrong_service_leaves_the_others_of_its_file() {
    let text = GOOD.replace(
        "services:\n",
        "services:\n  - serviceId: one\n    instanceBaseUrls: [https://nowhere/, 'http://h:1']\n  - title: nameless\n  - serviceId: \
         d\u{131}scovery\n    instanceBaseUrls: ['http://h:1']\n",
    );
    let reading = read_texts(&[("a.yml", &text.replace("catalogUiTileId: zosmf", "catalogUiTileId: none"))]);
    let ids: Vec<_> = reading.instances.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(
        ids,
        ["STATIC-h:one:1", "STATIC-host.example.com:ibmzosmf:10443", "STATIC-127.0.0.1:ibmzosmf:8080"]
    );
    let text = reading.report.to_string();
    assert!(text.contains("a.yml:3:24: error: one: `https://nowhere/` has no port"), "{text}");
    assert!(text.contains("a.yml:4:5: error: services: a service has a `serviceId`"), "{text}");
    assert!(text.contains("a.yml:5:5: error: d\u{131}scovery: a `serviceId` is ASCII"), "{text}");
    assert!(text.contains("tile `none` is not among catalogUiTiles"), "{text}");
    assert!(!reading.instances[1].metadata.contains_key("apiml.catalog.tile.id"));
}

#[test]
fn same_instance_twice_counts_once_and_is_a_problem_when_it_differs() {
    let reading = read_texts(&[("a.yml", GOOD), ("b.yml", GOOD)]);
    assert!(reading.report.is_empty() && reading.instances.len() == 2, "{}", reading.report);
    let reading = read_texts(&[("a.yml", GOOD), ("b.yml", &GOOD.replace("title: z/OSMF", "title: other"))]);
    assert_eq!(reading.instances.len(), 2);
    let text = reading.report.to_string();
    assert!(text.contains("defined twice") && text.contains("a.yml:7:9"), "{text}");
}

#[test]
fn hostile_files_are_problems_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::create_dir(at("directory.yml")).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(at("pipe.yml")).status().unwrap();
    assert!(pipe.success());
    std::os::unix::fs::symlink("/nonexistent", at("dangling.yml")).unwrap();
    std::fs::write(at("binary.yml"), [0xff, 0xfe, 0, 1]).unwrap();
    let level = |number: usize| match number {
        0 => "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(),
        number => {
            let aliases = vec![format!("*a{}", number - 1); 9].join(", ");
            format!("a{number}: &a{number} [{aliases}]\n")
        }
    };
    let bomb: String = (0..12).map(level).collect();
    std::fs::write(at("bomb.yml"), bomb).unwrap();
    std::fs::write(at("huge.yml"), vec![b' '; 9 << 20]).unwrap();
    std::fs::write(at("good.yml"), GOOD).unwrap();
    let reading = read(&[dir.path().to_owned(), "/nonexistent".into()], 1);
    assert_eq!(reading.instances.len(), 2);
    let text = reading.report.to_string();
    for name in ["binary.yml", "bomb.yml", "huge.yml", "`/nonexistent`"] {
        assert!(text.contains(name), "{name}: {text}");
    }
}

#[test]
fn list_of_directories_is_split_at_semicolons() {
    assert_eq!(directories(" /a ;;/b:c;/a"), [PathBuf::from("/a"), PathBuf::from("/b:c")]);
}

#[test]
fn file_that_has_become_unusable_leaves_what_it_said_and_one_that_has_gone_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let directories = [dir.path().join("a"), dir.path().join("b")];
    let at = |name: &str| dir.path().join(name);
    directories.iter().for_each(|directory| std::fs::create_dir(directory).unwrap());
    std::fs::write(at("a/one.yml"), GOOD).unwrap();
    std::fs::write(at("b/two.yml"), GOOD.replace("ibmzosmf", "two")).unwrap();
    let first = read(&directories, 1);
    assert_eq!((first.instances.len(), first.is_incomplete), (4, false), "{}", first.report);

    // Half of it is written, and then nothing can be read: a link to itself stands for a disk that fails.
    std::fs::write(at("a/one.yml"), &GOOD[..40]).unwrap();
    std::fs::remove_file(at("b/two.yml")).unwrap();
    std::os::unix::fs::symlink(at("b/two.yml"), at("b/two.yml")).unwrap();
    let second = read_again(&directories, 1, &first.known);
    assert_eq!(second.instances, first.instances);
    assert_eq!(second.additional, first.additional);
    assert!(second.is_incomplete);
    let text = second.report.to_string();
    for part in ["a/one.yml` said before stays in use: 2 instances", "b/two.yml` said before", "ZWEAD701E"] {
        assert!(text.contains(part), "{part}: {text}");
    }

    // A directory that is none stands for one that cannot be read.
    std::fs::remove_dir_all(&directories[1]).unwrap();
    std::fs::write(&directories[1], "").unwrap();
    let third = read_again(&directories, 1, &second.known);
    assert_eq!(third.instances, first.instances);
    assert!(third.is_incomplete && third.report.to_string().contains("ZWEAD703E"), "{}", third.report);

    // What is no longer there is no longer there.
    std::fs::remove_file(&directories[1]).unwrap();
    std::fs::remove_file(at("a/one.yml")).unwrap();
    let last = read_again(&directories, 1, &third.known);
    assert_eq!((last.instances.len(), last.is_incomplete), (0, false), "{}", last.report);
}
