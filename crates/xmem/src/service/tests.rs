use super::*;
use crate::code::{AccessCode, AdminCode, AuthCode, CmsCode, GroupAdminCode, PlaceCode, RunAsCode};

fn code<T: Request>(json: &str) -> u32 {
    T::decode(json.as_bytes()).err().map_or(0, |invalid| invalid.code)
}

#[test]
fn requests_with_an_unknown_field_are_refused() {
    assert_eq!(code::<Auth>(r#"{"user":{"user":"A","extra":1}}"#), 8);
    assert_eq!(code::<Users>(r#"{"start":"","count":10,"extra":1}"#), 8);
    assert_eq!(code::<Actor>(r#"{"issue":{"proof":{"token":{"token":"x"}},"extra":1}}"#), 8);
    assert_eq!(code::<Users>("not json"), 8);
}

#[test]
fn auth_values_at_and_beyond_their_limits_get_the_codes_of_the_reference() {
    let password =
        |length: usize| format!(r#"{{"password":{{"user":"A","password":"{}"}}}}"#, "x".repeat(length));
    assert_eq!(code::<Auth>(&password(100)), 0);
    assert_eq!(code::<Auth>(&password(101)), AuthCode::TooLong.number());
    assert_eq!(code::<Auth>(&password(0)), AuthCode::Empty.number());
    let user = |length: usize| format!(r#"{{"user":{{"user":"{}"}}}}"#, "a".repeat(length));
    assert_eq!(code::<Auth>(&user(32)), 0);
    assert_eq!(code::<Auth>(&user(33)), AuthCode::TooLong.number());
    let entity = |class: &str, length: usize| {
        format!(
            r#"{{"entity":{{"user":"A","class":"{class}","entity":"{}","level":"READ"}}}}"#,
            "x".repeat(length)
        )
    };
    assert_eq!(code::<Auth>(&entity("", 255)), 0);
    assert_eq!(code::<Auth>(&entity("", 256)), AuthCode::TooLong.number());
    assert_eq!(code::<Auth>(&entity("CLASSTOOLONG", 1)), AuthCode::ClassTooLong.number());
    let both = r#"{"token":{"user":"A","password":"x","token":"y"}}"#;
    assert_eq!(code::<Auth>(both), AuthCode::TokenMissing.number());
}

#[test]
fn security_management_limits_hold_at_their_edges() {
    assert_eq!(code::<Users>(r#"{"count":1000}"#), 0);
    assert_eq!(code::<Users>(r#"{"count":1001}"#), 12);
    assert_eq!(code::<Users>(r#"{"count":0}"#), 12);
    assert_eq!(code::<AccessList>(r#"{"profile":"ZOWE.A","capacity":8192}"#), 0);
    assert_eq!(code::<AccessList>(r#"{"profile":"ZOWE.A","capacity":8193}"#), AccessCode::Capacity.number());
    assert_eq!(code::<Members>(r#"{"group":"ZWEADMIN","capacity":8193}"#), 11);
    assert_eq!(
        code::<Admin>(r#"{"function":"define","profile":"SYS1.A"}"#),
        AdminCode::ForeignPrefix.number()
    );
    assert_eq!(
        code::<Admin>(r#"{"function":"give","profile":"ZOWE.A","user":"U"}"#),
        AdminCode::Access.number()
    );
    assert_eq!(
        code::<GroupAdmin>(r#"{"function":"add","group":"SYS1"}"#),
        GroupAdminCode::ForeignPrefix.number()
    );
}

#[test]
fn admin_without_dry_run_is_a_dry_run() {
    let admin = Admin::decode(br#"{"function":"define","profile":"ZOWE.A"}"#).expect("valid");
    assert!(admin.dry_run);
    let group = GroupAdmin::decode(br#"{"function":"add","group":"ZWEA","dry_run":false}"#).expect("valid");
    assert!(!group.dry_run);
}

#[test]
fn secrets_are_not_printed() {
    let auth = Auth::Password { user: "A".into(), password: "hunter2".into() };
    assert!(!format!("{auth:?}").contains("hunter2"));
    let again = Auth::decode(&auth.encode().expect("valid")).expect("valid");
    let Auth::Password { password, .. } = again else { panic!("another function came back") };
    assert_eq!(password.expose(), "hunter2");
}

#[test]
fn dump_with_a_length_beyond_its_payload_is_refused() {
    assert_eq!(
        Dump::decode(&[255, 255, 1]).map_err(|invalid| invalid.code),
        Err(CmsCode::ServiceParameterMissing.number())
    );
    let bytes = Dump::encode("block", &[0x41; 600]).expect("fits");
    let dump = Dump::decode(&bytes).expect("whole");
    assert_eq!(dump.bytes.len(), 600);
    assert_eq!(dump.lines().count(), 32, "512 bytes are printed");
    assert_eq!(
        dump.lines().next().expect("a line"),
        "00000000  41414141 41414141 41414141 41414141  AAAAAAAAAAAAAAAA"
    );
}

#[test]
fn log_text_with_control_characters_stays_one_line() {
    let text = LogText::decode("a\nb\u{202e}\\n".as_bytes()).expect("short");
    assert_eq!(text.escaped(), "a\\nb\\u{202e}\\\\n");
    assert_eq!(LogText::decode(&[b'x'; 4097]).map_err(|invalid| invalid.code), Err(41));
}

#[test]
fn router_call_there_and_back_is_the_same() {
    let call = RouterCall { plugin: "ECHO".into(), service: "ECHO".into(), payload: b"hello" };
    let bytes = call.encode().expect("short names");
    assert_eq!(bytes.len(), 37);
    assert_eq!(RouterCall::decode(&bytes), Ok(call));
    assert!(RouterCall::decode(&bytes[..31]).is_err());
    assert!(RouterCall::decode(&[0; 32]).is_err());
    let long = RouterCall { plugin: "SEVENTEEN_LETTERS".into(), service: "E".into(), payload: b"" };
    assert!(long.encode().is_err());
}

#[test]
fn place_outside_of_its_slot_is_refused() {
    let place = |slot: &str, name: &str, mode: u32| {
        let digest = "0".repeat(64);
        let json = format!(r#"{{"slot":"{slot}","name":"{name}","mode":{mode},"digest":"{digest}"}}"#);
        code::<Place>(&json)
    };
    assert_eq!(place("slot", "a/b", 0o644), 0);
    for name in ["../b", "/etc/passwd", "a//b", "a/./b", "a/.."] {
        assert_eq!(place("slot", name, 0o644), PlaceCode::Name.number(), "{name}");
    }
    assert_eq!(place("..", "a", 0o644), PlaceCode::Name.number());
    assert_eq!(place("slot", "a", 0o4755), PlaceCode::Mode.number());
    assert_eq!(place("slot", "a", 0o666), PlaceCode::Mode.number());
}

#[test]
fn runas_of_a_relative_program_is_refused() {
    assert_eq!(code::<RunAs>(r#"{"program":"id"}"#), RunAsCode::NotAbsolute.number());
    assert_eq!(
        code::<RunAs>(r#"{"program":"/bin/id","arguments":["a\u0000b"]}"#),
        RunAsCode::Control.number()
    );
    assert_eq!(
        code::<RunAs>(r#"{"program":"/bin/id","environment":{"A=B":""}}"#),
        RunAsCode::Control.number()
    );
}

#[test]
fn parcel_with_any_length_is_taken_apart_or_refused() {
    let parcel = Parcel { head: Inspect { pid: 1, address: 2, length: 3 }, bytes: b"rest" };
    let payload = parcel.encode().expect("small");
    assert_eq!(Parcel::<Inspect>::decode(&payload).expect("whole"), parcel);
    for end in 0..payload.len() - 4 {
        assert!(Parcel::<Inspect>::decode(&payload[..end]).is_err());
    }
    assert!(Parcel::<Inspect>::decode(&[255; 8]).is_err());
}

#[test]
fn service_numbers_and_names_are_unique() {
    for service in ServiceId::ALL {
        assert_eq!(ServiceId::from_number(service.number()), Some(*service));
        assert_eq!(ServiceId::from_name(service.name()), Some(*service));
    }
}

#[test]
fn examples_are_requests_that_are_taken() {
    fn all<R: Request>() {
        assert!(!R::EXAMPLES.is_empty());
        for example in R::EXAMPLES {
            if let Err(invalid) = R::decode(example.as_bytes()) {
                panic!("{} {example}: {invalid}", R::SERVICE);
            }
        }
        let invalid = R::decode(b"{}").err().unwrap_or_else(|| Invalid::new(8u32, "request", ""));
        assert_eq!(NotTaken::new::<R>(&invalid).examples.len(), R::EXAMPLES.len());
    }
    all::<AccessList>();
    all::<Actor>();
    all::<Admin>();
    all::<Auth>();
    all::<Explain>();
    all::<GroupAdmin>();
    all::<Groups>();
    all::<Inspect>();
    all::<Members>();
    all::<Network>();
    all::<Place>();
    all::<Port>();
    all::<Profiles>();
    all::<RunAs>();
    all::<Ticket>();
    all::<Token>();
    all::<Users>();
}
