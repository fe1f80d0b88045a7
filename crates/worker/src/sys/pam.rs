//! Linux-PAM, loaded when it is needed.
//!
//! The declarations are those of its documented interface, which has not changed since 1999. Loading it at run time
//! lets the product be built without its headers and run where it is not installed.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

/// Linked as every program that uses PAM links it.
const LIBRARY: &CStr = c"libpam.so.0";

pub(crate) const SUCCESS: c_int = 0;
pub(crate) const AUTH_ERR: c_int = 7;
pub(crate) const PERM_DENIED: c_int = 6;
pub(crate) const CRED_INSUFFICIENT: c_int = 8;
pub(crate) const USER_UNKNOWN: c_int = 10;
pub(crate) const MAXTRIES: c_int = 11;
pub(crate) const NEW_AUTHTOK_REQD: c_int = 12;
pub(crate) const ACCT_EXPIRED: c_int = 13;
const BUF_ERR: c_int = 5;
const CONV_ERR: c_int = 19;

const FAIL_DELAY: c_int = 10;
const SILENT: c_int = 0x8000;
const DISALLOW_NULL_AUTHTOK: c_int = 0x0001;

const PROMPT_ECHO_OFF: c_int = 1;
const ERROR_MSG: c_int = 3;
const TEXT_INFO: c_int = 4;
const MESSAGES_MAX: c_int = 32;

#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
struct Response {
    text: *mut c_char,
    code: c_int,
}

type Converse = unsafe extern "C" fn(c_int, *const *const Message, *mut *mut Response, *mut c_void) -> c_int;

#[repr(C)]
struct Conversation {
    converse: Converse,
    data: *mut c_void,
}

#[repr(C)]
struct Handle {
    opaque: [u8; 0],
}

type Start =
    unsafe extern "C" fn(*const c_char, *const c_char, *const Conversation, *mut *mut Handle) -> c_int;
type Step = unsafe extern "C" fn(*mut Handle, c_int) -> c_int;
type SetItem = unsafe extern "C" fn(*mut Handle, c_int, *const c_void) -> c_int;
type Explain = unsafe extern "C" fn(*mut Handle, c_int) -> *const c_char;

/// The functions of the library. It is never unloaded.
#[derive(Clone, Copy)]
pub(crate) struct Pam {
    start: Start,
    end: Step,
    authenticate: Step,
    account: Step,
    set_item: SetItem,
    explain: Explain,
}

/// Where a check ended, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checked {
    /// Whether the password was found right; if not, `code` is that of authentication.
    pub(crate) authenticated: bool,
    /// The code of the last step.
    pub(crate) code: c_int,
    /// PAM's text for it.
    pub(crate) text: String,
}

impl std::fmt::Debug for Pam {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("Pam")
    }
}

impl Pam {
    /// Loads the library; an error says what is missing.
    pub(crate) fn load() -> Result<Self, String> {
        // SAFETY: a text that ends with a zero byte. The library's own start-up code runs, as in every program that is
        // linked with it.
        let library = unsafe { libc::dlopen(LIBRARY.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
        if library.is_null() {
            return Err(loader_error());
        }
        let find = |name: &CStr| {
            // SAFETY: an open library, and a text that ends with a zero byte.
            let found = unsafe { libc::dlsym(library, name.as_ptr()) };
            if found.is_null() { Err(loader_error()) } else { Ok(found) }
        };
        let start = find(c"pam_start")?;
        let end = find(c"pam_end")?;
        let authenticate = find(c"pam_authenticate")?;
        let account = find(c"pam_acct_mgmt")?;
        let set_item = find(c"pam_set_item")?;
        let explain = find(c"pam_strerror")?;
        // SAFETY: each is the function that the interface documents under this name, with the type declared above; the
        // library stays loaded as long as the process lives.
        Ok(unsafe {
            Self {
                start: std::mem::transmute::<*mut c_void, Start>(start),
                end: std::mem::transmute::<*mut c_void, Step>(end),
                authenticate: std::mem::transmute::<*mut c_void, Step>(authenticate),
                account: std::mem::transmute::<*mut c_void, Step>(account),
                set_item: std::mem::transmute::<*mut c_void, SetItem>(set_item),
                explain: std::mem::transmute::<*mut c_void, Explain>(explain),
            }
        })
    }

    /// Authenticates, then checks the account. The password goes to whatever asks without echo, nothing else does.
    pub(crate) fn check(&self, service: &CStr, user: &CStr, password: &CStr) -> Checked {
        let conversation = Conversation { converse, data: password.as_ptr().cast_mut().cast() };
        let mut handle: *mut Handle = ptr::null_mut();
        // SAFETY: texts that end with a zero byte; the conversation and the password live until `pam_end` below.
        let code = unsafe {
            (self.start)(service.as_ptr(), user.as_ptr(), &raw const conversation, &raw mut handle)
        };
        if code != SUCCESS || handle.is_null() {
            return Checked { authenticated: false, code, text: "pam_start failed".to_owned() };
        }
        // SAFETY: `handle` came from `pam_start` and was not ended. The item is a function of the type that PAM expects.
        unsafe { (self.set_item)(handle, FAIL_DELAY, no_delay as *const c_void) };
        // SAFETY: the same handle.
        let mut code = unsafe { (self.authenticate)(handle, SILENT | DISALLOW_NULL_AUTHTOK) };
        let authenticated = code == SUCCESS;
        if authenticated {
            // SAFETY: the same handle.
            code = unsafe { (self.account)(handle, SILENT | DISALLOW_NULL_AUTHTOK) };
        }
        // SAFETY: the same handle; the answer is a constant text or null.
        let text = unsafe {
            let text = (self.explain)(handle, code);
            if text.is_null() { String::new() } else { CStr::from_ptr(text).to_string_lossy().into_owned() }
        };
        // SAFETY: the same handle, not used any more.
        unsafe { (self.end)(handle, code) };
        Checked { authenticated, code, text }
    }
}

fn loader_error() -> String {
    // SAFETY: the text belongs to the loader and is copied before the next call to it; the process has one thread.
    unsafe {
        let text = libc::dlerror();
        if text.is_null() {
            "unknown".to_owned()
        } else {
            CStr::from_ptr(text).to_string_lossy().into_owned()
        }
    }
}

/// Stands for PAM's own delay after a failure, which depends on the module that failed and so on whether the user exists.
extern "C" fn no_delay(_code: c_int, _delay_us: libc::c_uint, _data: *mut c_void) {}

/// Answers PAM: the password where something asks without echo, nothing where something is said; anything else fails.
///
/// # Safety
/// As PAM calls it: `messages` has `count` pointers to messages, `responses` takes a list that PAM frees, `data` is
/// the password.
unsafe extern "C" fn converse(
    count: c_int,
    messages: *const *const Message,
    responses: *mut *mut Response,
    data: *mut c_void,
) -> c_int {
    let Ok(length) = usize::try_from(count) else { return CONV_ERR };
    if count == 0 || count > MESSAGES_MAX || messages.is_null() || responses.is_null() || data.is_null() {
        return CONV_ERR;
    }
    // SAFETY: numbers only.
    let list = unsafe { libc::calloc(length, size_of::<Response>()) }.cast::<Response>();
    if list.is_null() {
        return BUF_ERR;
    }
    for index in 0..length {
        // SAFETY: `index` is below `count`; PAM's list has that many pointers, ours was made for as many.
        let (message, response) = unsafe { (*messages.add(index), list.add(index)) };
        // SAFETY: a message of PAM, if it is not null.
        let style = if message.is_null() { 0 } else { unsafe { (*message).style } };
        match style {
            // SAFETY: `data` is the password, a text that ends with a zero byte.
            PROMPT_ECHO_OFF => unsafe { (*response).text = libc::strdup(data.cast::<c_char>()) },
            ERROR_MSG | TEXT_INFO => {}
            _ => {
                // SAFETY: the list and its first `index` entries are ours, PAM has not seen them.
                unsafe { discard(list, index) };
                return CONV_ERR;
            }
        }
    }
    // SAFETY: checked not to be null; PAM takes the list over.
    unsafe { *responses = list };
    SUCCESS
}

/// Wipes and frees answers that PAM does not get.
///
/// # Safety
/// `list` came from `calloc` and its first `count` entries hold texts from `strdup` or null.
unsafe fn discard(list: *mut Response, count: usize) {
    for index in 0..count {
        // SAFETY: by the contract above.
        unsafe {
            let text = (*list.add(index)).text;
            if !text.is_null() {
                let length = libc::strlen(text);
                for at in 0..length {
                    text.add(at).write_volatile(0);
                }
                libc::free(text.cast());
            }
        }
    }
    // SAFETY: by the contract above.
    unsafe { libc::free(list.cast()) };
}
