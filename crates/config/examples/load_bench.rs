//! Measures loading a configuration of reference size with 200 components: `load_bench DIRECTORY`.
//!
//! Writes what is loaded into the directory first, with the schemas, so that others can be measured on the same.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "xtask reads what it prints")]

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use tender_config::{ConfigPath, Configuration, Load, environment, schema};

const COMPONENTS: usize = 200;
/// The best of these is reported, since other programs disturb the rest.
const RUNS: usize = 15;

fn main() -> ExitCode {
    let Some(directory) = std::env::args().nth(1).map(PathBuf::from) else {
        eprintln!("usage: load_bench DIRECTORY");
        return ExitCode::from(24);
    };
    match make(&directory).and_then(|()| measure(&directory)) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("load_bench: {error}");
            ExitCode::from(12)
        }
    }
}

/// Writes the runtime directory and two configurations, the second with templates.
fn make(directory: &Path) -> Result<(), Box<dyn Error>> {
    let reference = include_str!("../tests/fixtures/zowe.yaml");
    let (head, _) = reference.split_once("\ncomponents:").ok_or("the fixture has components")?;
    let runtime = directory.join("runtime");
    let head = head
        .replace("@RUNTIME@", &runtime.display().to_string())
        .replace("@EXTENSIONS@", &directory.join("extensions").display().to_string())
        .replace("\"${{ components.gateway.port }}\"", "7554");
    let mut components = String::from("\ncomponents:\n");
    for number in 0..COMPONENTS {
        let name = format!("service-{number:03}");
        let root = runtime.join("components").join(&name);
        fs::create_dir_all(root.join("bin"))?;
        fs::write(root.join("bin/start.sh"), "#!/bin/sh\n")?;
        let manifest = include_str!("../tests/fixtures/runtime/components/gateway/manifest.yaml");
        let manifest =
            manifest.replace("name: gateway", &format!("name: {name}")).replace("[discovery]", "[]");
        fs::write(root.join("manifest.yaml"), manifest)?;
        let schema = include_str!("../tests/fixtures/runtime/components/gateway/schema.json");
        fs::write(root.join("schema.json"), schema)?;
        write!(
            components,
            "  {name}:\n    enabled: true\n    port: {}\n    debug: false\n",
            10_000 + number
        )?;
        components.push_str("    launcher: { restartIntervals: [1, 2, 3], minUptime: 30 }\n");
        components.push_str(
            "    apiml:\n      service: { corsEnabled: true }\n      gateway: { timeoutMillis: 1000 }\n",
        );
    }
    fs::write(directory.join("zowe.yaml"), format!("{head}{components}"))?;
    let with_templates =
        components.replace("    debug: false\n", "    debug: ${{ zowe.externalPort > 8000 }}\n");
    fs::write(directory.join("templates.yaml"), format!("{head}{with_templates}"))?;
    let schemas = directory.join("schemas");
    fs::create_dir_all(&schemas)?;
    for (name, text) in schema::published() {
        fs::write(schemas.join(name), text)?;
    }
    Ok(())
}

fn measure(directory: &Path) -> Result<String, Box<dyn Error>> {
    let load = |name: &str| -> Result<Configuration, Box<dyn Error>> {
        let (configuration, report) =
            Configuration::load(&Load::new(ConfigPath::file(directory.join(name))))?;
        if report.has_errors() || configuration.installed().len() != COMPONENTS {
            return Err(report.to_string().into());
        }
        Ok(configuration)
    };
    let first = Instant::now();
    let configuration = load("zowe.yaml")?;
    let first_ms = first.elapsed().as_secs_f64() * 1000.0;
    let load_ms = best(|| load("zowe.yaml").map(drop))?;
    let templates_ms = best(|| load("templates.yaml").map(drop))?;
    let instance = configuration.for_instance(Some("bench"))?;
    let environments_ms = best(|| {
        for component in &instance.components {
            environment::component(&instance, &component.name)?;
        }
        Ok(())
    })?;
    Ok(format!(
        "{{\"first_load_ms\":{first_ms:.1},\"load_ms\":{load_ms:.1},\"load_with_200_templates_ms\":{templates_ms:.1},\
         \"environments_of_200_components_ms\":{environments_ms:.1}}}"
    ))
}

fn best(mut run: impl FnMut() -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let start = Instant::now();
        run()?;
        best = best.min(start.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(best)
}
