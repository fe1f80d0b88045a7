//! What each command takes: its operands, how short they may be written, and which contradict each other.

use super::CommandError;
use super::lex::Item;

/// What stands in the parentheses of an operand.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Takes {
    /// No parentheses.
    Nothing,
    /// One value.
    Value,
    /// One value or more.
    List,
    /// Operands of its own.
    Operands(&'static [Operand]),
    /// Operands of its own, or no parentheses.
    MaybeOperands(&'static [Operand]),
}

/// An operand of a command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operand {
    /// Its whole word; any beginning that fits no other operand will do.
    pub(crate) name: &'static str,
    /// What it takes.
    pub(crate) takes: Takes,
}

/// Makes an operand; tables read better with it.
pub(crate) const fn operand(name: &'static str, takes: Takes) -> Operand {
    Operand { name, takes }
}

/// What was written for the operands of a command, or of an operand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given {
    /// Of which command or operand; named in errors.
    pub(crate) of: &'static str,
    named: Vec<Named>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    name: &'static str,
    value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Nothing,
    Items(Vec<Item>),
    Given(Given),
}

impl Given {
    /// Sorts items by what a command takes.
    ///
    /// Errors: names the operand that is not known, is ambiguous, stands twice, or has too much or too little behind it.
    pub(crate) fn read(
        of: &'static str,
        table: &'static [Operand],
        items: &[Item],
    ) -> Result<Self, CommandError> {
        let mut given = Self { of, named: Vec::new() };
        for item in items {
            let operand = find(of, table, item)?;
            if given.named.iter().any(|named| named.name == operand.name) {
                return Err(CommandError::Twice { of, operand: operand.name });
            }
            let value = read_value(operand, item)?;
            given.named.push(Named { name: operand.name, value });
        }
        Ok(given)
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.named.iter().find(|named| named.name == name).map(|named| &named.value)
    }

    /// Returns whether an operand was written.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// Returns what a pair of opposites says: `NAME`, `NONAME` or neither.
    pub(crate) fn switch(&self, yes: &'static str, no: &'static str) -> Result<Option<bool>, CommandError> {
        match (self.has(yes), self.has(no)) {
            (true, true) => Err(CommandError::Contradiction { of: self.of, one: yes, other: no }),
            (true, false) => Ok(Some(true)),
            (false, true) => Ok(Some(false)),
            (false, false) => Ok(None),
        }
    }

    /// Returns the items of an operand.
    pub(crate) fn items(&self, name: &str) -> &[Item] {
        match self.value(name) {
            Some(Value::Items(items)) => items,
            _ => &[],
        }
    }

    /// Returns the one item of an operand.
    pub(crate) fn item(&self, name: &str) -> Option<&Item> {
        self.items(name).first()
    }

    /// Returns free text: small letters stay only in quotes.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.item(name).map(Item::folded)
    }

    /// Returns text whose letters stay as they are: paths.
    pub(crate) fn path(&self, name: &str) -> Option<String> {
        self.item(name).map(|item| item.text.clone())
    }

    /// Reads the one value of an operand.
    pub(crate) fn parse<T: std::str::FromStr>(&self, name: &'static str) -> Result<Option<T>, CommandError> {
        self.item(name).map(|item| parse_item(self.of, name, item)).transpose()
    }

    /// Reads every value of an operand.
    pub(crate) fn parse_all<T: std::str::FromStr>(&self, name: &'static str) -> Result<Vec<T>, CommandError> {
        self.items(name).iter().map(|item| parse_item(self.of, name, item)).collect()
    }

    /// Reads the one value of an operand that must be there.
    pub(crate) fn require<T: std::str::FromStr>(&self, name: &'static str) -> Result<T, CommandError> {
        self.parse(name)?.ok_or(CommandError::Missing { of: self.of, operand: name })
    }

    /// Returns the operands of an operand.
    pub(crate) fn given(&self, name: &str) -> Option<&Self> {
        match self.value(name) {
            Some(Value::Given(given)) => Some(given),
            _ => None,
        }
    }

    /// Returns the names of the operands that were written.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.named.iter().map(|named| named.name)
    }
}

impl Item {
    /// Returns the text in capitals unless it was quoted.
    pub(crate) fn folded(&self) -> String {
        if self.is_quoted { self.text.clone() } else { self.text.to_uppercase() }
    }
}

/// Reads one value, or says which operand has a wrong one.
pub(crate) fn parse_item<T: std::str::FromStr>(
    of: &'static str,
    operand: &'static str,
    item: &Item,
) -> Result<T, CommandError> {
    let wrong = || CommandError::Value { of, operand, value: item.text.clone() };
    if item.items.is_some() {
        return Err(wrong());
    }
    item.text.parse().map_err(|_| wrong())
}

/// Returns one value or those of a list in parentheses: `A` or `(A B)`.
pub(crate) fn one_or_list(item: &Item) -> Result<Vec<Item>, CommandError> {
    match &item.items {
        None => Ok(vec![item.clone()]),
        Some(items) if item.text.is_empty() && !items.is_empty() => Ok(items.clone()),
        Some(_) => Err(CommandError::Unreadable {
            what: "a name has parentheses behind it",
            near: item.text.clone(),
        }),
    }
}

fn find(of: &'static str, table: &'static [Operand], item: &Item) -> Result<&'static Operand, CommandError> {
    let word = item.text.to_ascii_uppercase();
    if let Some(exact) = table.iter().find(|operand| operand.name == word && !item.is_quoted) {
        return Ok(exact);
    }
    let is_meant =
        |operand: &&Operand| !word.is_empty() && !item.is_quoted && operand.name.starts_with(&word);
    let meant: Vec<&Operand> = table.iter().filter(is_meant).collect();
    match meant[..] {
        [one] => Ok(one),
        [] => Err(CommandError::UnknownOperand {
            of,
            operand: item.text.clone(),
            nearest: nearest(&word, table.iter().map(|operand| operand.name)),
        }),
        _ => Err(CommandError::Ambiguous {
            of,
            operand: item.text.clone(),
            meant: meant.iter().map(|operand| operand.name).collect(),
        }),
    }
}

fn read_value(operand: &'static Operand, item: &Item) -> Result<Value, CommandError> {
    let of = operand.name;
    match (operand.takes, &item.items) {
        (Takes::Nothing | Takes::MaybeOperands(_), None) => Ok(Value::Nothing),
        (Takes::Nothing, Some(_)) => Err(CommandError::NoValue { operand: of }),
        (_, None) => Err(CommandError::NeedsValue { operand: of }),
        (Takes::Value, Some(items)) if items.len() == 1 => Ok(Value::Items(items.clone())),
        (Takes::Value, Some(items)) => Err(CommandError::OneValue { operand: of, found: items.len() }),
        (Takes::List, Some(items)) if items.is_empty() => Err(CommandError::NeedsValue { operand: of }),
        (Takes::List, Some(items)) => Ok(Value::Items(items.clone())),
        (Takes::Operands(table) | Takes::MaybeOperands(table), Some(items)) => {
            Given::read(of, table, items).map(Value::Given)
        }
    }
}

/// Returns the known word that is nearest to a mistyped one, if one is near.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, found) = known.map(|name| (distance(word, name), name)).min()?;
    (distance <= word.len().div_ceil(3)).then_some(found)
}

/// Counts the insertions, deletions and replacements that turn one word into another.
fn distance(one: &str, two: &str) -> usize {
    let two: Vec<char> = two.chars().collect();
    let mut row: Vec<usize> = (0..=two.len()).collect();
    for (line, found) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, wanted) in two.iter().enumerate() {
            let replaced = diagonal + usize::from(found != *wanted);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[two.len()]
}
