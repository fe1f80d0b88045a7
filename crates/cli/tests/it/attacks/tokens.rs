//! Tokens that somebody made up, of all that everybody can know.

use std::net::TcpListener;
use std::process::Command;

use serde_json::json;

use super::front::Front;
use super::recorder::Recorder;

const QUERY: &str = "/gateway/api/v1/auth/query";

/// Makes tokens of a good one and of the public key: prints a list of what each is and the token.
const FORGE: &str = r#"
import base64, hashlib, hmac, json, subprocess, sys
good, pem, keys, elsewhere = json.load(sys.stdin)
encode = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode()
decode = lambda text: base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
head, claims, signature = good.split(".")
own, header = json.loads(decode(claims)), json.loads(decode(head))
admin = encode(json.dumps(own | {"sub": "admin"}).encode())
part = lambda value: encode(json.dumps(value).encode())
forged = [("other claims", f"{head}.{admin}.{signature}"), ("no signature", f"{head}.{admin}."),
          ("no signature at all", f"{head}.{admin}"), ("four parts", f"{good}.{signature}"),
          ("five parts", f"{head}..{claims}.{signature}.{signature}"), ("half a signature", good[:-40]),
          ("a longer signature", good + "AAAA"), ("zeros", f"{head}.{admin}.{encode(bytes(64))}"),
          ("ones", f"{head}.{admin}.{encode(bytes(31) + b'%c' % 1 + bytes(31) + b'%c' % 1)}")]
for name in ("none", "None", "NONE", "nOnE", "", "null"):
    for end in ("", signature):
        forged.append((f"algorithm {name}", f"{part(header | {'alg': name})}.{admin}.{end}"))
for value in (None, [header["alg"]], {"alg": header["alg"]}, 0, True):
    forged.append((f"algorithm {value}", f"{part(header | {'alg': value})}.{admin}.{signature}"))
der = base64.b64decode("".join(pem.split("-----")[2].split()))
secrets = {"pem": pem.encode(), "pem in one line": pem.strip().encode(), "der": der, "nothing": b"",
           "number": decode(keys["keys"][0].get("x") or keys["keys"][0]["n"]), "name": header["kid"].encode()}
for number, digest in (("256", hashlib.sha256), ("384", hashlib.sha384), ("512", hashlib.sha512)):
    for name, secret in secrets.items():
        for kid in (header["kid"], "../../../../dev/null", "' OR 1=1 --"):
            text = part({"alg": f"HS{number}", "typ": "JWT", "kid": kid}) + "." + admin
            forged.append((f"HS{number} of {name}", f"{text}.{encode(hmac.new(secret, text.encode(), digest).digest())}"))
def openssl(*words, data=b""):
    return subprocess.run(["openssl", *words], input=data, capture_output=True, check=True).stdout
def raw(signed):
    at = 2 if signed[1] < 128 else 3
    numbers = []
    for _ in range(2):
        length = signed[at + 1]
        numbers.append(int.from_bytes(signed[at + 2:at + 2 + length], "big").to_bytes(32, "big"))
        at += 2 + length
    return b"".join(numbers)
openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ec.key")
openssl("genrsa", "-out", "rsa.key", "2048")
point = openssl("ec", "-in", "ec.key", "-pubout", "-outform", "DER")[-64:]
jwk = {"kty": "EC", "crv": "P-256", "x": encode(point[:32]), "y": encode(point[32:]), "kid": header["kid"]}
for name, more in {"a key of its own": {"jwk": jwk}, "a key elsewhere": {"jku": elsewhere},
                   "a chain elsewhere": {"x5u": elsewhere}, "a chain of its own": {"x5c": [encode(der)]},
                   "a critical word": {"crit": ["b64"], "b64": False}, "nothing more": {}}.items():
    for alg, key in (("ES256", "ec.key"), ("RS256", "rsa.key")):
        text = part({"typ": "JWT", "kid": header["kid"]} | more | {"alg": alg}) + "." + admin
        signed = openssl("dgst", "-sha256", "-sign", key, data=text.encode())
        forged.append((f"{alg} with {name}", f"{text}.{encode(raw(signed) if alg == 'ES256' else signed)}"))
print(json.dumps(forged))
"#;

#[test]
fn token_that_is_made_of_what_everybody_knows_is_no_token() {
    let (front, service) = (Front::start(&["--provider", "dummy"]), Recorder::start());
    front.register_at(
        "files",
        "127.0.0.1",
        service.port,
        &json!({ "apiml.authentication.scheme": "zoweJwt" }),
    );
    crate::world::wait_until("the gateway knowing the service", || {
        front.curl("/files/api/v1/x", &[]).0 == 200
    });
    let body = |answer: &str| answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    let (status, answer) = front.curl("/gateway/api/v1/auth/login", &["-X", "POST", "-u", "user:user"]);
    assert_eq!(status, 204, "{answer}");
    let good =
        answer.split("apimlAuthenticationToken=").nth(1).unwrap().split(';').next().unwrap().to_owned();
    let pem = body(&front.curl("/gateway/api/v1/auth/keys/public", &[]).1);
    let keys = body(&front.curl("/gateway/api/v1/auth/keys/public/current", &[]).1);
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let address = format!("http://{}/keys", elsewhere.local_addr().unwrap());
    let known = json!([good, pem, serde_json::from_str::<serde_json::Value>(&keys).unwrap(), address]);

    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("known"), known.to_string()).unwrap();
    let mut python = Command::new("python3");
    python.args(["-c", FORGE]).current_dir(directory.path());
    let forged = python.stdin(std::fs::File::open(directory.path().join("known")).unwrap()).output().unwrap();
    assert!(forged.status.success(), "{}", String::from_utf8_lossy(&forged.stderr));
    let forged: Vec<(String, String)> = serde_json::from_slice(&forged.stdout).unwrap();
    assert!(forged.len() > 80, "{}", forged.len());

    let shown = |token: &str| format!("Cookie: apimlAuthenticationToken={token}");
    assert_eq!(front.curl(QUERY, &["-H", &shown(&good)]).0, 200, "the good one is one");
    for (number, (what, token)) in forged.iter().enumerate() {
        let form = match number % 3 {
            0 => shown(token),
            1 => format!("Authorization: Bearer {token}"),
            _ => format!("PRIVATE-TOKEN: {token}"),
        };
        let (status, answer) = front.curl(QUERY, &["-H", &form]);
        assert_eq!(status, 401, "{what}, {form}: {answer}");
        let (_, answer) = front.curl("/files/api/v1/x", &["-H", &form]);
        assert!(answer.contains("x-zowe-auth-failure: "), "{what}: {answer}");
    }
    for asked in service.asked() {
        assert!(!forged.iter().any(|(_, token)| format!("{asked:?}").contains(token.as_str())), "{asked:?}");
    }
    assert!(elsewhere.accept().is_err(), "nobody asks for keys where a token says");
}
