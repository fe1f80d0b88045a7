//! Do the stores open, and is what they hold good for the instance?

use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;

use super::{CheckStatus, Report, VerifyRequest, covers};
use crate::{
    Bundle, CertificateInfo, KeyEntry, OneOrMany, Password, RuntimeCertificate, Secret, StoreFile,
    chain::{self, Purpose},
    info, renew,
    tls::Roots,
};

/// Key rings stop everything else; tells whether to go on.
pub(super) fn check_types(certificate: &RuntimeCertificate, report: &mut Report) -> bool {
    let mut is_usable = true;
    for (what, store) in [("key store", &certificate.keystore), ("trust store", &certificate.truststore)] {
        if !store.kind.eq_ignore_ascii_case("PKCS12") {
            is_usable = false;
            let text =
                format!("type {} exists on z/OS only; use PKCS12 here, with PEM files beside it", store.kind);
            report.failed("type", what, text);
        }
    }
    is_usable
}

pub(super) fn check(request: &VerifyRequest<'_>, report: &mut Report) {
    let certificate = request.certificate;
    let trust = open("trust store", &certificate.truststore, report);
    let keys = open("key store", &certificate.keystore, report);
    let entry = keys.as_ref().and_then(|keys| choose(keys, &certificate.keystore, report));
    if let Some(entry) = &entry {
        check_certificate(request, entry, report);
        if let Some(trust) = &trust {
            check_chain(request, entry, &Roots::of_bundle(trust), report);
        }
    }
    if let Some(trust) = &trust {
        check_authorities(request, trust, report);
    }
    check_pem(certificate, entry.as_ref(), trust.as_ref(), report);
}

fn open(what: &'static str, store: &StoreFile, report: &mut Report) -> Option<Bundle> {
    let shown = store.file.display();
    let password = match store.password.as_ref().map(Password::resolve).transpose() {
        Ok(password) => password,
        Err(error) => {
            report.error("password", shown, &error);
            return None;
        }
    };
    match Bundle::read(&store.file, password.as_ref()) {
        Ok(bundle) => {
            report.passed("password", shown, format!("it opens the {what}"));
            check_password(store, password.as_ref(), report);
            Some(bundle)
        }
        Err(error) => {
            report.error("store", shown, &error);
            None
        }
    }
}

fn check_password(store: &StoreFile, password: Option<&Secret>, report: &mut Report) {
    let shown = store.file.display();
    if password.is_some_and(Secret::is_published) {
        let text = "its password stands in public documentation; set up the key store again";
        report.warning("password", shown, text);
    } else if matches!(store.password, Some(Password::Literal(_))) {
        let text =
            "its password stands in the configuration; keep it in a file and refer to that with file:PATH";
        report.warning("password", shown, text);
    }
}

fn choose(keys: &Bundle, store: &StoreFile, report: &mut Report) -> Option<KeyEntry> {
    match keys.key(store.alias.as_deref(), &store.file) {
        Ok(entry) => {
            report.passed(
                "key",
                store.file.display(),
                format!("the key '{}' belongs to its certificate", entry.alias),
            );
            Some(entry.clone())
        }
        Err(error) => {
            report.error("key", store.file.display(), &error);
            None
        }
    }
}

fn check_certificate(request: &VerifyRequest<'_>, entry: &KeyEntry, report: &mut Report) {
    let Some(described) = CertificateInfo::of_der(entry.certificate(), request.now) else {
        return report.failed("certificate", &entry.alias, "it cannot be read");
    };
    check_time(request, &described, report);
    match described.weakness() {
        Some(weakness) => report.failed("strength", &described.subject, weakness),
        None => report.passed(
            "strength",
            &described.subject,
            format!("{} {} bits, {}", described.key.kind, described.key.bits, described.signature),
        ),
    }
    for host in request.host_names {
        if covers(entry.certificate(), host) {
            report.passed("host name", host, "the certificate is for it");
        } else {
            let names = described.alternative_names.join(", ");
            let text =
                format!("the certificate is not for it but for {names}; renew it with this name added");
            report.failed("host name", host, text);
        }
    }
}

fn check_time(request: &VerifyRequest<'_>, described: &CertificateInfo, report: &mut Report) {
    let (subject, days) = (&described.subject, described.days_left);
    let due = renew::due(described.not_before, described.not_after, request.now);
    if request.now < described.not_before {
        let text = format!(
            "it is not valid before {}; is the clock of this machine right ({})?",
            described.not_before, request.now
        );
        report.failed("validity", subject, text);
    } else if request.now > described.not_after {
        report.failed("validity", subject, format!("it expired on {}; renew it", described.not_after));
    } else if due.is_due || days < i64::from(request.warn_days) {
        report.warning("validity", subject, format!("it ends in {days} days; renew it"));
    } else {
        let text = format!("it is valid for another {days} days; renew it from {} on", due.renew_from);
        report.passed("validity", subject, text);
    }
}

fn check_chain(request: &VerifyRequest<'_>, entry: &KeyEntry, roots: &Roots, report: &mut Report) {
    let now = chain::unix_time(request.now);
    let (own, intermediates) = (entry.certificate(), &entry.chain[1..]);
    for (purpose, what) in [(Purpose::Server, "server"), (Purpose::Client, "client")] {
        let subject = format!("{} as {what}", entry.alias);
        match chain::check(own, intermediates, roots, now, purpose) {
            Ok(()) => report.passed("chain", subject, "it leads to an authority of the trust store"),
            Err(error) => report.failed("chain", subject, chain::reason(&error)),
        }
    }
}

fn check_authorities(request: &VerifyRequest<'_>, trust: &Bundle, report: &mut Report) {
    for entry in trust.trusted() {
        let Some(described) = CertificateInfo::of_der(&entry.certificate, request.now) else { continue };
        if described.not_after < request.now {
            let text = format!("this trusted certificate expired on {}", described.not_after);
            report.warning("authority", &entry.alias, text);
        } else if described.days_left < i64::from(request.warn_days) {
            let text = format!("this trusted certificate ends in {} days", described.days_left);
            report.warning("authority", &entry.alias, text);
        } else if let Some(weakness) = described.weakness() {
            report.warning(
                "authority",
                &entry.alias,
                format!("this trusted certificate is weak: {weakness}"),
            );
        }
    }
}

fn check_pem(
    certificate: &RuntimeCertificate,
    entry: Option<&KeyEntry>,
    trust: Option<&Bundle>,
    report: &mut Report,
) {
    let Some(pem) = &certificate.pem else {
        let text = "there are no PEM files; programs that read no PKCS12 store cannot start";
        return report.add("PEM", "pem", CheckStatus::Warning, text);
    };
    match (&pem.key, &pem.certificate) {
        (Some(key), Some(path)) => check_pem_key(key, path, entry, report),
        _ => report.warning("PEM", "pem", "pem.key or pem.certificate is not set"),
    }
    let paths = pem.certificate_authorities.as_ref().map(OneOrMany::paths).unwrap_or_default();
    if let Some(trust) = trust {
        check_pem_authorities(&paths, trust, report);
    }
}

fn check_pem_key(key: &Path, path: &Path, entry: Option<&KeyEntry>, report: &mut Report) {
    let read = Bundle::read_pem_files(&[path, key]).and_then(|bundle| bundle.key(None, path).cloned());
    match read {
        Err(error) => report.error("PEM", path.display(), &error),
        Ok(read) if entry.is_some_and(|entry| entry.certificate() != read.certificate()) => {
            let text = "it is not the certificate of the key store; set up or renew both together";
            report.failed("PEM", path.display(), text);
        }
        Ok(_) => report.passed("PEM", path.display(), "key and certificate are those of the key store"),
    }
}

fn check_pem_authorities(paths: &[PathBuf], trust: &Bundle, report: &mut Report) {
    let mut read: Vec<CertificateDer<'static>> = Vec::new();
    for path in paths {
        match Bundle::read(path, None) {
            Ok(bundle) => read.extend(bundle.certificates()),
            Err(error) => report.error("PEM", path.display(), &error),
        }
    }
    let missing = trust.trusted().filter(|entry| !read.contains(&entry.certificate));
    let missing: Vec<_> = missing.map(|entry| entry.alias.clone()).collect();
    let surplus = read.iter().filter(|der| !trust.trusted().any(|entry| entry.certificate == **der));
    let surplus: Vec<_> = surplus.map(|der| info::fingerprint(der)).collect();
    let subject = "pem.certificateAuthorities";
    if !missing.is_empty() {
        report.warning(
            "PEM",
            subject,
            format!("these of the trust store are missing: {}", missing.join(", ")),
        );
    }
    if !surplus.is_empty() {
        report.warning("PEM", subject, format!("these are not in the trust store: {}", surplus.join(", ")));
    }
    if missing.is_empty() && surplus.is_empty() {
        report.passed("PEM", subject, "they are those of the trust store");
    }
}
