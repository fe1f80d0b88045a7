//! The receiver: words, packages and enrolment, in process and over FTPS.
