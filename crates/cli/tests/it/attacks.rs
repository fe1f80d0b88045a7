//! Attacks on the front door, by bytes that no client would send. What is not here is where the code is that withstands it:
//!
//! | attack | tests |
//! |---|---|
//! | smuggling | `attacks/smuggling.rs`; `discovery/hostile.rs` |
//! | headers, paths | `headers.rs`, `target.rs` and `tests/it/routing.rs` of the gateway; `discovery/hostile.rs` |
//! | slow and endless | `attacks/flooding.rs`; `tests/it/limits.rs` and `http2.rs` of `http` |
//! | tokens | `attacks/tokens.rs`; `auth/jwt.rs` of the gateway, with `fuzz_targets/token.rs` |
//! | redirects | `attacks/redirects.rs`; `tests/it/routing.rs` of the gateway |
//! | registrations | `attacks/registrations.rs`; `registry.rs` and `resolver.rs` of the gateway, `fetch.rs` of the catalog |
//! | static definitions | `discovery/statics/directory/tests.rs` of mediation, with `fuzz_targets/definitions.rs` |
//! | API documents | `document/tests.rs` and `tests/it/browser.rs` of the catalog, with `fuzz_targets/api_document.rs` |

mod flooding;
mod front;
pub(crate) mod recorder;
mod redirects;
mod registrations;
mod smuggling;
mod tokens;
