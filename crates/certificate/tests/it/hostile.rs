//! Bytes of someone who means harm.

use std::path::Path;

use jiff::Timestamp;
use proptest::prelude::*;
use tender_certificate::{Bundle, CertificateInfo, KeyType, Secret, tls::Roots};

use crate::world::{World, set_up};

/// A store, a certificate in DER form and a PEM text of three kinds of keys, made once.
fn samples() -> &'static [Vec<u8>] {
    static SAMPLES: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
    SAMPLES.get_or_init(|| {
        let mut samples = Vec::new();
        for key_type in [KeyType::EcP256, KeyType::Ed25519, KeyType::Rsa2048] {
            let world = World::new();
            let mut request = world.request();
            request.key_type = key_type;
            request.password = Some(Secret::new("s3cret-of-the-test"));
            set_up(&request).unwrap();
            for file in
                ["localhost.keystore.p12", "localhost.truststore.p12", "localhost.cer", "localhost.key"]
            {
                samples.push(std::fs::read(world.leaf(file)).unwrap());
            }
            let certificates =
                Bundle::read(Path::new(&world.leaf("localhost.cer")), None).unwrap().certificates();
            samples.push(certificates[0].to_vec());
        }
        samples
    })
}

fn take(bytes: &[u8]) {
    let secret = Secret::new("s3cret-of-the-test");
    if let Ok(bundle) = Bundle::parse(bytes, Path::new("/x"), Some(&secret)) {
        // What was read can also be looked at and written.
        drop(bundle.describe(Timestamp::now()));
        drop(bundle.to_pkcs12(&secret));
        drop(Roots::of(bundle.certificates()));
    }
    drop(CertificateInfo::of_der(bytes, Timestamp::now()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes_never_panic(
        sample in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = sample.get(samples()).clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        take(&bytes);
    }

    #[test]
    fn cut_and_joined_bytes_never_panic(
        first in any::<prop::sample::Index>(),
        second in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let (first, second) = (first.get(samples()), second.get(samples()));
        let cut = cut.index(first.len());
        take(&[&first[..cut], second].concat());
        take(&[&first[..cut], &second[cut.min(second.len())..]].concat());
    }

    #[test]
    fn any_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..400), is_der: bool) {
        if is_der && bytes.len() > 4 {
            let length = u16::try_from(bytes.len() - 4).unwrap().to_be_bytes();
            bytes[..4].copy_from_slice(&[0x30, 0x82, length[0], length[1]]);
        }
        take(&bytes);
    }
}
