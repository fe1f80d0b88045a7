//! VENDOR SET and VENDOR QUERY: whose envelopes are accepted, and by which key.

use tender_package::{Message, Outcome, Severity, Table};

use super::{Context, Subject, Verb};
use crate::envelope::VendorPublicKey;
use crate::error::{Refusal, ServiceError};
use crate::principal::Principal;
use crate::tables::fixes::{self, VendorRow};

/// VENDOR SET name: gives a vendor's key, or says that it does not sign.
#[derive(Debug, Clone)]
pub struct VendorSet {
    /// The vendor, as its envelopes name it.
    pub name: String,
    /// Its key.
    pub key: Option<VendorPublicKey>,
    /// Whether it does not sign.
    pub is_unsigned: bool,
}

impl Verb for VendorSet {
    fn word(&self) -> &'static str {
        "VENDOR SET"
    }

    fn subject(&self) -> Subject {
        let key =
            self.key.as_ref().map_or_else(|| "UNSIGNED".to_owned(), |key| format!("KEY {}", key.to_hex()));
        Subject::general(format!("{} {key}", self.name))
    }

    fn check(&self, _principal: &Principal) -> Result<Outcome, ServiceError> {
        if self.key.is_some() == self.is_unsigned {
            return Err(Refusal::new(202, "a vendor either has a key or does not sign")
                .hint("give --key FILE, or --unsigned")
                .into());
        }
        let mut outcome = Outcome::default();
        let message = if self.is_unsigned {
            let text =
                format!("unsigned envelopes of vendor {} are accepted; nobody vouches for them", self.name);
            Message::csm(203, Severity::W, text)
        } else {
            Message::csm(
                204,
                Severity::I,
                format!("envelopes of vendor {} must be signed by its key", self.name),
            )
        };
        outcome.say(message);
        Ok(outcome)
    }

    fn run(&self, principal: &Principal, context: &Context<'_>) -> Result<Outcome, ServiceError> {
        let outcome = self.check(principal)?;
        let row = VendorRow {
            name: self.name.clone(),
            key: self.key.as_ref().map(|key| key.as_bytes().to_vec()),
            is_unsigned: self.is_unsigned,
        };
        fixes::set_vendor(&principal.tables(), &row, (context.now)())?;
        Ok(outcome)
    }
}

/// VENDOR QUERY.
#[derive(Debug, Clone, Copy, Default)]
pub struct VendorQuery;

impl Verb for VendorQuery {
    fn word(&self) -> &'static str {
        "VENDOR QUERY"
    }

    fn subject(&self) -> Subject {
        Subject::general("")
    }

    fn check(&self, principal: &Principal) -> Result<Outcome, ServiceError> {
        let mut table = Table::new("Vendors", &["vendor", "key"]);
        let mut data = Vec::new();
        for row in fixes::vendors(&principal.tables())? {
            let key = row.key.as_deref().and_then(VendorPublicKey::from_bytes);
            let key = key.map_or_else(|| "does not sign".to_owned(), |key| key.to_hex());
            data.push(serde_json::json!({ "vendor": row.name, "key": key, "is_unsigned": row.is_unsigned }));
            table.row([row.name, key]);
        }
        Ok(Outcome { tables: vec![table], data: data.into(), ..Outcome::default() })
    }

    fn run(&self, principal: &Principal, _context: &Context<'_>) -> Result<Outcome, ServiceError> {
        self.check(principal)
    }
}
