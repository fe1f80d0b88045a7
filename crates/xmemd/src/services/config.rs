//! CONFIG (3): a parameter of the caller's own, or one for everybody.

use tender_xmem::code::CmsCode;
use tender_xmem::service::ConfigKey;

use crate::front::{Connection, Said};

pub(crate) fn answer(connection: &Connection, payload: &[u8]) -> Said {
    let key = match ConfigKey::decode(payload) {
        Ok(key) => key,
        Err(invalid) => return Said::Codes(invalid.code, 0),
    };
    let parameters = &connection.rights.table.parameters;
    // Somebody else's and one that does not exist look the same.
    match parameters.iter().find(|(name, _)| name == key.as_str()) {
        Some((_, value)) => Said::Payload(value.clone().into_bytes()),
        None => Said::Codes(CmsCode::ParameterNotFound.number(), 0),
    }
}
