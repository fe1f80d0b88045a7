//! stub
pub fn run(_plan: crate::plan::Plan, _options: crate::Options) -> Result<crate::Exit, crate::SuperviseError> {
    Ok(crate::Exit::default())
}
