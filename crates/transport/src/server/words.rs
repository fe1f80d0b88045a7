//! What a client may say beyond moving files.

use std::{fmt, net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use libunftp::options::{Reply, ReplyCode, SiteCommandContext, SiteCommandHandler};
use unftp_core::auth::DefaultUser;

use super::{activity::Activity, storage::Storage};

/// Longer answers belong into a file.
const REPLY_BYTES_MAX: usize = 64 * 1024;

/// How an answer is meant, with the FTP reply code that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteCode {
    /// 200: done, or here is what was asked for.
    Done,
    /// 450: not now; the same word may work later.
    Busy,
    /// 451: something here failed.
    Failed,
    /// 501: the arguments cannot be understood.
    Syntax,
    /// 550: refused; asking again changes nothing.
    Refused,
}

/// An answer to a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteReply {
    /// How it is meant.
    pub code: SiteCode,
    /// One line of text; line breaks are sent as blanks, and what is beyond 64 KiB is cut off.
    pub text: String,
}

/// Something that happened and is worth a line in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// CSMWORK logged in.
    LoggedIn {
        /// From where.
        peer: SocketAddr,
        /// Whether the connection is protected by TLS.
        is_protected: bool,
    },
    /// A login was refused.
    LoginRefused {
        /// From where.
        peer: SocketAddr,
        /// As whom, cut to a printable length.
        user: String,
        /// Why.
        why: &'static str,
    },
    /// A client left, or failed at TLS, without having logged in.
    LeftBeforeLogin {
        /// Who.
        peer: SocketAddr,
    },
    /// A connection was refused before a word was said.
    TurnedAway {
        /// From where.
        peer: SocketAddr,
        /// Why.
        why: &'static str,
    },
    /// A connection was ended by us.
    Cut {
        /// With whom.
        peer: SocketAddr,
        /// Why.
        why: &'static str,
    },
    /// This system's key or certificate could not be used for a connection.
    Unprepared {
        /// With whom.
        peer: SocketAddr,
        /// Why.
        why: String,
    },
}

/// The words a server understands after `SITE`, and the one who answers them.
///
/// Only a client that has logged in is heard.
pub trait SiteWords: Send + Sync {
    /// The words, of letters, digits, `-` and `_`; clients may write them in either case.
    fn words(&self) -> Vec<&'static str>;

    /// Answers one of them; `word` is in upper case. May block; other conversations go on.
    fn answer(&self, word: &str, arguments: &str) -> SiteReply;

    /// Hears what happens. Must not block.
    fn notice(&self, _notice: &Notice) {}
}

/// Brings one registered word to the one who answers.
pub(super) struct WordHandler {
    pub(super) words: Arc<dyn SiteWords>,
    pub(super) activity: Arc<Activity>,
}

impl fmt::Debug for WordHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WordHandler")
    }
}

#[async_trait]
impl SiteCommandHandler<Storage, DefaultUser> for WordHandler {
    async fn handle(&self, context: &SiteCommandContext<Storage, DefaultUser>) -> Reply {
        let busy = self.activity.begin();
        let words = Arc::clone(&self.words);
        let (word, arguments) = (context.command.to_ascii_uppercase(), context.arguments.trim().to_owned());
        let answered = tokio::task::spawn_blocking(move || words.answer(&word, &arguments)).await;
        drop(busy);
        match answered {
            Ok(reply) => Reply::new_with_string(reply_code(reply.code), one_line(&reply.text)),
            Err(_) => Reply::new(ReplyCode::LocalError, "the system failed to answer"),
        }
    }
}

fn reply_code(code: SiteCode) -> ReplyCode {
    match code {
        SiteCode::Done => ReplyCode::CommandOkay,
        SiteCode::Busy => ReplyCode::TransientFileError,
        SiteCode::Failed => ReplyCode::LocalError,
        SiteCode::Syntax => ReplyCode::ParameterSyntaxError,
        SiteCode::Refused => ReplyCode::FileError,
    }
}

fn one_line(text: &str) -> String {
    let fits = |(at, letter): &(usize, char)| at + letter.len_utf8() <= REPLY_BYTES_MAX;
    let end = text.char_indices().take_while(fits).last().map_or(0, |(at, letter)| at + letter.len_utf8());
    text[..end].trim_end().replace(['\r', '\n'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_with_line_breaks_becomes_one_line() {
        assert_eq!(one_line("first\r\n200 second\n"), "first  200 second");
    }

    #[test]
    fn answer_beyond_the_limit_is_cut_between_characters() {
        let cut = one_line(&"é".repeat(REPLY_BYTES_MAX));
        assert_eq!(cut.len(), REPLY_BYTES_MAX);
        assert_eq!(one_line(&format!("x{}", "é".repeat(REPLY_BYTES_MAX))).len(), REPLY_BYTES_MAX - 1);
    }
}
