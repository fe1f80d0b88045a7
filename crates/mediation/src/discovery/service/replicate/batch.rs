//! A batch item by item: only one of them is in memory, and of it only what an instance can say.

use std::cell::Cell;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Items of one batch; a Java server sends 250.
pub(super) const ITEMS_MAX: usize = 1000;
/// Fields of one item, with those of its instance.
const FIELDS_MAX: usize = 10_000;
/// An item has an instance, which has metadata: no document of the protocol is deeper.
const DEPTH_MAX: usize = 3;
const LIST: &str = "replicationList";

/// One item.
#[derive(Debug, PartialEq)]
pub(super) enum Item {
    /// What it says; lists are left out, no item has any.
    Read(Value),
    /// It has more fields than any instance.
    TooLarge,
}

/// Says whether a body is a batch, and of not too many items; nothing of it is kept.
pub(super) fn check(body: &[u8]) -> Result<(), serde_json::Error> {
    #[derive(Deserialize)]
    struct Batch {
        #[serde(rename = "replicationList")]
        _items: Bounded,
    }
    serde_json::from_slice::<Batch>(body).map(drop)
}

/// Hands the items of a batch on, one after the other.
///
/// Errors: those of [`check`], after which some items have been handed on.
pub(super) fn each(body: &[u8], mut take: impl FnMut(Item)) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    Batch(&mut take).deserialize(&mut reader)?;
    reader.end()
}

struct Bounded;

impl<'de> Deserialize<'de> for Bounded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Self)
    }
}

impl<'de> Visitor<'de> for Bounded {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {ITEMS_MAX} items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self, A::Error> {
        let mut count = 0;
        while list.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
            if count > ITEMS_MAX {
                return Err(serde::de::Error::invalid_length(count, &self));
            }
        }
        Ok(self)
    }
}

struct Batch<'f, F>(&'f mut F);

impl<'de, F: FnMut(Item)> DeserializeSeed<'de> for Batch<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: FnMut(Item)> Visitor<'de> for Batch<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with a list `{LIST}`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(name) = fields.next_key::<String>()? {
            if name == LIST {
                fields.next_value_seed(Items(&mut *self.0))?;
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

struct Items<'f, F>(&'f mut F);

impl<'de, F: FnMut(Item)> DeserializeSeed<'de> for Items<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(Item)> Visitor<'de> for Items<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        loop {
            let left = Cell::new(FIELDS_MAX);
            let Some(value) = list.next_element_seed(Shallow { depth: DEPTH_MAX, left: &left })? else {
                return Ok(());
            };
            (self.0)(if left.get() == 0 { Item::TooLarge } else { Item::Read(value) });
        }
    }
}

/// Reads a value, of which lists and what is too deep are left out.
#[derive(Clone, Copy)]
struct Shallow<'l> {
    depth: usize,
    /// How many fields there may be still; nothing is kept when there are none left.
    left: &'l Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Shallow<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Shallow<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(flag.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Null)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let left = self.left.get();
            if self.depth == 0 || left == 0 {
                fields.next_value::<IgnoredAny>()?;
                continue;
            }
            self.left.set(left - 1);
            let below = Shallow { depth: self.depth - 1, ..self };
            map.insert(name, fields.next_value_seed(below)?);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(items: &[String]) -> Vec<u8> {
        format!("{{\"other\":[1],\"replicationList\":[{}],\"more\":{{}}}}", items.join(",")).into_bytes()
    }

    #[test]
    fn batch_is_bounded_in_items() {
        assert!(check(&of(&vec!["3".to_owned(); ITEMS_MAX])).is_ok());
        let fault = check(&of(&vec!["3".to_owned(); ITEMS_MAX + 1])).unwrap_err().to_string();
        assert!(fault.contains("at most 1000 items"), "{fault}");
        for body in
            ["[]", "{}", "{\"replicationList\":{}}", "{\"replicationList\":[1}", "{\"replicationList\":[]}x"]
        {
            assert!(check(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn item_is_read_as_far_as_an_instance_goes_and_one_after_the_other() {
        let deep = r#"{"a":{"b":{"c":{"d":1},"list":[[[1]]]}},"n":null,"x":-1,"y":1.5,"z":"t"}"#;
        let fields: Vec<String> = (0..FIELDS_MAX).map(|number| format!("\"{number}\":0")).collect();
        let large = format!("{{\"instanceInfo\":{{{}}}}}", fields.join(","));
        let body = of(&[deep.to_owned(), "3".to_owned(), large, "\"last\"".to_owned()]);
        check(&body).unwrap();
        let mut items = Vec::new();
        each(&body, |item| items.push(item)).unwrap();
        let read = json!({ "a": { "b": { "c": {}, "list": null } }, "n": null, "x": -1, "y": 1.5, "z": "t" });
        assert_eq!(
            items,
            [Item::Read(read), Item::Read(json!(3)), Item::TooLarge, Item::Read(json!("last"))]
        );
    }
}
