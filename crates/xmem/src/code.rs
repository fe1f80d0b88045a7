//! Return codes: of the call itself (CMS), of the router for plug-ins, of auxiliary hosts, of the services.
//!
//! The numbers are ZWESIS01's where the meaning is equal; 96 to 99 are ours. A number that this release does not know
//! stays a number: [`CmsCode::from_number`] answers `None` and nothing fails.

mod auxiliary;
mod cms;
mod router;
mod service;

pub use auxiliary::AuxCode;
pub use cms::CmsCode;
pub use router::RouterCode;
pub use service::{
    AccessCode, AdminCode, AuthCode, GroupAdminCode, GroupCode, InspectCode, MemberCode, NetworkCode,
    PlaceCode, PortCode, ProfileCode, RunAsCode, TicketCode, TokenCode, UserCode, service_text,
};

/// Makes an enum of return codes: variant, number and text in one line, so that none goes without a text.
macro_rules! codes {
    ($(#[$meta:meta])* $name:ident { $($variant:ident = $number:literal, $text:literal;)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        #[repr(u32)]
        pub enum $name {
            $(#[doc = $text] $variant = $number,)*
        }

        impl $name {
            /// Every code, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The number on the wire.
            #[must_use]
            pub const fn number(self) -> u32 {
                self as u32
            }

            /// The code with this number, `None` for a number that means nothing here.
            #[must_use]
            pub const fn from_number(number: u32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// What the code says, without its number.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "{} ({})", self.text(), self.number())
            }
        }

        impl From<$name> for u32 {
            fn from(code: $name) -> Self {
                code.number()
            }
        }
    };
}
use codes;

#[cfg(test)]
mod tests {
    use super::{AuxCode, CmsCode, RouterCode};

    #[test]
    fn cms_codes_all_numbers_of_the_reference_have_a_distinct_text() {
        let wanted: Vec<u32> = std::iter::once(0).chain(8..=99).collect();
        let present: Vec<u32> = CmsCode::ALL.iter().map(|code| code.number()).collect();
        assert_eq!(present, wanted);
        let mut texts: Vec<&str> = CmsCode::ALL.iter().map(|code| code.text()).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), wanted.len(), "two codes share a text");
    }

    #[test]
    fn codes_number_there_and_back_is_the_same_code() {
        for code in CmsCode::ALL {
            assert_eq!(CmsCode::from_number(code.number()), Some(*code));
        }
        for code in AuxCode::ALL {
            assert_eq!(AuxCode::from_number(code.number()), Some(*code));
        }
        for code in RouterCode::ALL {
            assert_eq!(RouterCode::from_number(code.number()), Some(*code));
        }
        assert_eq!(CmsCode::from_number(7), None);
        assert_eq!(CmsCode::from_number(100), None);
        assert_eq!(CmsCode::PermissionDenied.to_string(), "permission denied (33)");
    }
}
