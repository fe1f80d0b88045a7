//! From paths to steps, and which methods they take.

use hyper::Method;
use percent_encoding::percent_decode_str;

/// Why nothing is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unroutable {
    NoEndpoint,
    NoMethod { allowed: &'static str },
}

/// Returns what of a path follows the first of `bases` that it begins with.
pub(crate) fn below<'p>(bases: &[&str], path: &'p str) -> Result<&'p str, Unroutable> {
    let mut rests = bases.iter().filter_map(|base| path.strip_prefix(base));
    rests.find(|rest| rest.is_empty() || rest.starts_with('/')).ok_or(Unroutable::NoEndpoint)
}

/// Returns the steps of a path, decoded, without the slash at its beginning.
pub(crate) fn steps(path: &str) -> Result<Vec<String>, Unroutable> {
    let decoded = |step| percent_decode_str(step).decode_utf8().map(std::borrow::Cow::into_owned);
    let steps = path.strip_prefix('/').unwrap_or(path).split('/').map(decoded);
    steps.collect::<Result<_, _>>().map_err(|_| Unroutable::NoEndpoint)
}

/// Returns the call if it may be made with this method; `allowed` has commas between methods.
pub(crate) fn with_method<C>(method: &Method, allowed: &'static str, call: C) -> Result<C, Unroutable> {
    let is_allowed = allowed.split(", ").any(|one| one == method.as_str());
    if is_allowed { Ok(call) } else { Err(Unroutable::NoMethod { allowed }) }
}
