//! The catalog and the desktop as their users meet them: with a real discovery, a real gateway, services that answer as a
//! test wants, curl, and a browser.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

mod browser;
mod desktop;
mod documents;
mod rest;
mod world;
