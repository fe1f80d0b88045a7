//! Component manifests, `zowe.yaml`, merge rules, schema validation, templates and environment names.
