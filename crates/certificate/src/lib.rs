//! Certificates of an instance: own authority, PKCS12 and PEM, import, renewal, checks.
