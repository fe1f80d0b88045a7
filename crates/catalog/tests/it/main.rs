//! The catalog and the desktop as their users meet them: with a real discovery, a real gateway, services that answer as a
//! test wants, curl, and a browser.

mod browser;
mod desktop;
mod documents;
mod rest;
mod world;
