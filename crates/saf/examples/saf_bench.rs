//! Measures decisions against 10 000 profiles, and Cedar on the same questions.
//!
//! ```text
//! cargo run --release -p tender-saf --example saf_bench
//! ```
//!
//! Prints one line of JSON. Times are the best of five, on one core; both engines are given their questions ready made,
//! and their answers are compared.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::str::FromStr as _;
use std::time::Instant;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicySet, Request, RestrictedExpression,
};
use tender_saf::{
    AccessLevel, AuditEntry, AuditOptions, AuditTally, AuditWriter, Compiled, Conditions, Connect, Database,
    Group, Id, Profile, Question, Record, Subject, User, UserFlags, Verdict, Who,
};

const APPLICATIONS: usize = 500;
/// Discrete profiles of each application; two generic ones come on top.
const DISCRETE: usize = 18;
const USERS: usize = 1000;
const GROUPS: usize = 100;
const GROUPS_OF_USER: usize = 5;
const QUESTIONS: usize = 20_000;
/// Cedar walks all policies for each question, so it is asked fewer.
const QUESTIONS_FOR_CEDAR: usize = 60;

/// Numbers that are the same in every run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("less than the limit")
    }
}

fn id(text: &str) -> Id {
    text.parse().expect("the bench makes names")
}

fn user_groups(user: usize) -> impl Iterator<Item = usize> {
    (0..GROUPS_OF_USER).map(move |place| (user * 7 + place * 13) % GROUPS)
}

fn database(numbers: &mut Numbers) -> Database {
    let mut database = Database::initial();
    for group in 0..GROUPS {
        let name = id(&format!("G{group}"));
        database.insert(Record::Group(Group {
            id: name,
            superior: Some(id("SYS1")),
            owner: id("ROOT"),
            data: None,
            unix: None,
        }));
    }
    for user in 0..USERS {
        let groups = user_groups(user).map(|group| (id(&format!("G{group}")), Connect::default()));
        database.insert(Record::User(User {
            id: id(&format!("U{user}")),
            name: None,
            owner: id("ROOT"),
            default_group: id(&format!("G{}", (user * 7) % GROUPS)),
            groups: groups.collect(),
            flags: UserFlags::default(),
            data: None,
            unix: None,
        }));
    }
    for application in 0..APPLICATIONS {
        let discrete = (0..DISCRETE).map(|number| format!("APP{application}.FUNCTION{number}.RUN"));
        for name in discrete.chain([format!("APP{application}.*.READ"), format!("APP{application}.**")]) {
            let mut profile = Profile::new("FACILITY".parse().expect("a class"), name, id("ROOT"));
            for _ in 0..3 {
                let who = Who::Id(id(&format!("G{}", numbers.below(GROUPS))));
                profile.access.insert(who, AccessLevel::ALL[numbers.below(6)]);
            }
            let who = Who::Id(id(&format!("U{}", numbers.below(USERS))));
            profile.access.insert(who, AccessLevel::ALL[numbers.below(6)]);
            database.insert(Record::Profile(profile));
        }
    }
    database
}

/// A question that owns its words.
struct Asked {
    user: usize,
    resource: String,
    level: AccessLevel,
}

fn questions(numbers: &mut Numbers) -> Vec<Asked> {
    let mut ask = || {
        let application = numbers.below(APPLICATIONS + 20);
        let resource = match numbers.below(10) {
            0..=4 => format!("APP{application}.FUNCTION{}.RUN", numbers.below(DISCRETE)),
            5..=6 => format!("APP{application}.DATA{}.READ", numbers.below(100)),
            7..=8 => format!("APP{application}.DEEP.QUALIFIED.NAME{}", numbers.below(100)),
            _ => format!("OTHER{application}.THING"),
        };
        Asked { user: numbers.below(USERS), resource, level: AccessLevel::ALL[1 + numbers.below(5)] }
    };
    (0..QUESTIONS).map(|_| ask()).collect()
}

fn question(asked: &Asked) -> Question<'_> {
    let conditions = Conditions::default();
    Question { class: "FACILITY", resource: &asked.resource, level: asked.level, conditions }
}

/// Returns the least time of five, in nanoseconds for each of `count`.
fn best_ns(count: usize, mut work: impl FnMut()) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..5 {
        let began = Instant::now();
        work();
        best = best.min(began.elapsed().as_secs_f64());
    }
    best * 1e9 / count as f64
}

fn uid(kind: &str, name: &str) -> EntityUid {
    EntityUid::from_str(&format!("{kind}::{name:?}")).expect("the bench makes names")
}

/// Writes the profiles as Cedar policies, as favourably as it can be: what the scope can say, the scope says.
fn cedar_policies(database: &Database) -> String {
    let mut text = String::new();
    let class = "FACILITY".parse().expect("a class");
    for profile in database.profiles_of(&class) {
        let application = profile.name.split('.').next().unwrap_or_default();
        let discrete: Vec<String> =
            (0..DISCRETE).map(|number| format!("\"{application}.FUNCTION{number}.RUN\"")).collect();
        let no_discrete = format!("![{}].contains(resource.name)", discrete.join(", "));
        let (scope, matched) = if profile.name.ends_with(".**") {
            let read = "!(resource.count == 3 && resource.last == \"READ\")";
            ("resource".to_owned(), format!("resource.first == \"{application}\" && {read} && {no_discrete}"))
        } else if profile.name.contains('*') {
            let here = format!("resource.first == \"{application}\"");
            ("resource".to_owned(), format!("{here} && resource.count == 3 && resource.last == \"READ\""))
        } else {
            (format!("resource == Resource::\"{}\"", profile.name), "true".to_owned())
        };
        let users = profile.access.keys().filter(|who| who.as_str().starts_with('U'));
        let users: Vec<String> = users.map(|who| format!("User::\"{who}\"")).collect();
        for (who, access) in &profile.access {
            let levels = AccessLevel::ALL.iter().filter(|level| *level <= access);
            let actions: Vec<String> = levels.map(|level| format!("Action::\"{level}\"")).collect();
            let actions = actions.join(", ");
            let (principal, also) = if who.as_str().starts_with('U') {
                (format!("principal == User::\"{who}\""), "true".to_owned())
            } else {
                (
                    format!("principal in Group::\"{who}\""),
                    format!("![{}].contains(principal)", users.join(", ")),
                )
            };
            writeln!(
                text,
                "permit({principal}, action in [{actions}], {scope}) when {{ {matched} && {also} }};"
            )
            .expect("writing to a string cannot fail");
        }
    }
    text
}

fn cedar_question(asked: &Asked) -> (Request, Entities) {
    let groups: HashSet<EntityUid> =
        user_groups(asked.user).map(|group| uid("Group", &format!("G{group}"))).collect();
    let user = uid("User", &format!("U{}", asked.user));
    let resource = uid("Resource", &asked.resource);
    let parts: Vec<&str> = asked.resource.split('.').collect();
    let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
    let attributes = HashMap::from([
        ("name".to_owned(), text(&asked.resource)),
        ("first".to_owned(), text(parts[0])),
        ("last".to_owned(), text(parts[parts.len() - 1])),
        ("count".to_owned(), RestrictedExpression::new_long(i64::try_from(parts.len()).unwrap_or(i64::MAX))),
    ]);
    let action = uid("Action", asked.level.as_str());
    let request = Request::new(user.clone(), action, resource.clone(), Context::empty(), None);
    let entities = [
        Entity::new(user, HashMap::new(), groups).expect("no attributes"),
        Entity::new(resource, attributes, HashSet::new()).expect("plain attributes"),
    ];
    (request.expect("no schema to contradict"), Entities::from_entities(entities, None).expect("no schema"))
}

/// How the use of a decision gets into the audit log.
#[derive(Clone, Copy)]
enum Written {
    /// An entry for each.
    Singly,
    /// Counted, an entry for each thousand: a caller that asks the same a thousand times a second.
    Counted,
}

/// Measures a decision together with handing it to the audit writer.
fn audited_ns(
    compiled: &Compiled,
    questions: &[Asked],
    subjects: &[Subject],
    how: Written,
) -> Result<f64, Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let options = AuditOptions { queue_entries_max: 4 * QUESTIONS, ..AuditOptions::default() };
    let writer = AuditWriter::start(&directory.path().join("audit.log"), options)?;
    let at = jiff::Timestamp::now();
    let template = AuditEntry {
        verdict: Verdict::Granted,
        remedy: None,
        ..AuditEntry::of(
            at,
            &subjects[0],
            &question(&questions[0]),
            &compiled.decide(&subjects[0], &question(&questions[0])),
        )
    };
    let mut tally = AuditTally::new(template).ok_or("a grant can be counted")?;
    let mut best = f64::MAX;
    for _ in 0..5 {
        let began = Instant::now();
        for (number, (asked, subject)) in questions.iter().zip(subjects).enumerate() {
            let question = question(asked);
            let decision = compiled.decide(subject, &question);
            match how {
                Written::Singly => {
                    writer.record_decision(at, subject, &question, &decision, (None, None))?;
                }
                Written::Counted => {
                    std::hint::black_box(decision.granted);
                    tally.hit(at);
                    if number % 1000 == 0
                        && let Some(entry) = tally.take()
                    {
                        writer.record(&entry)?;
                    }
                }
            }
        }
        best = best.min(began.elapsed().as_secs_f64());
        writer.flush(std::time::Duration::from_secs(60))?;
    }
    Ok(best * 1e9 / questions.len() as f64)
}

#[expect(clippy::print_stdout, reason = "printing is what it is for")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    let database = database(&mut numbers);
    let questions = questions(&mut numbers);
    let began = Instant::now();
    let compiled = Compiled::new(&database);
    let compile_ms = began.elapsed().as_secs_f64() * 1e3;
    let subjects: Vec<Subject> =
        questions.iter().map(|asked| Subject::user(id(&format!("U{}", asked.user)))).collect();

    let mut granted = Vec::new();
    let decide_ns = best_ns(QUESTIONS, || {
        granted.clear();
        for (asked, subject) in questions.iter().zip(&subjects) {
            granted.push(compiled.decide(subject, &question(asked)).granted);
        }
    });

    let policies = PolicySet::from_str(&cedar_policies(&database))?;
    let authorizer = Authorizer::new();
    let asked: Vec<(Request, Entities)> =
        questions.iter().take(QUESTIONS_FOR_CEDAR).map(cedar_question).collect();
    let mut answers = Vec::new();
    let cedar_ns = best_ns(QUESTIONS_FOR_CEDAR, || {
        answers.clear();
        for (request, entities) in &asked {
            let answer = authorizer.is_authorized(request, &policies, entities);
            answers.push(answer.decision() == Decision::Allow);
        }
    });
    if answers != granted[..QUESTIONS_FOR_CEDAR] || !answers.contains(&true) || !answers.contains(&false) {
        return Err("the two engines do not answer the same".into());
    }
    let figures = serde_json::json!({
        "saf_profiles": database.profiles_of(&"FACILITY".parse()?).count(),
        "saf_decisions_per_s": 1e9 / decide_ns,
        "saf_decide_ns": decide_ns,
        "saf_decide_and_audit_ns": audited_ns(&compiled, &questions, &subjects, Written::Singly)?,
        "saf_decide_and_count_ns": audited_ns(&compiled, &questions, &subjects, Written::Counted)?,
        "saf_compile_ms": compile_ms,
        "cedar_decisions_per_s": 1e9 / cedar_ns,
        "cedar_decide_ns": cedar_ns,
        "cedar_policies": policies.policies().count(),
    });
    println!("{figures}");
    Ok(())
}
