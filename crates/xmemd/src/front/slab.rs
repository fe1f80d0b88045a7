//! Connections by number; a number that is used again is another key.

/// Names a connection that may be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) index: u32,
    pub(crate) life: u32,
}

/// Lives are counted in so many bits, to leave room beside them in a token.
const LIFE_BITS: u32 = 28;

impl Key {
    /// Packs it beside four bits of something else.
    pub(crate) fn token(self, kind: u8) -> u64 {
        (u64::from(kind) << 60) | (u64::from(self.life) << 32) | u64::from(self.index)
    }

    pub(crate) fn of_token(token: u64) -> (u8, Self) {
        let life = ((token >> 32) & ((1 << LIFE_BITS) - 1)) as u32;
        ((token >> 60) as u8, Self { index: (token & u64::from(u32::MAX)) as u32, life })
    }
}

#[derive(Debug)]
struct Slot<T> {
    life: u32,
    value: Option<Box<T>>,
}

/// Values by key.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    count: usize,
}

impl<T> Slab<T> {
    pub(crate) fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), count: 0 }
    }

    /// Puts a value in; the function gets the key that it will have.
    pub(crate) fn insert(&mut self, make: impl FnOnce(Key) -> T) -> Key {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { life: 0, value: None });
            u32::try_from(self.slots.len() - 1).expect("descriptors are far fewer")
        });
        let slot = &mut self.slots[index as usize];
        let key = Key { index, life: slot.life };
        slot.value = Some(Box::new(make(key)));
        self.count += 1;
        key
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let slot = self.slots.get(key.index as usize)?;
        if slot.life == key.life { slot.value.as_deref() } else { None }
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.life == key.life { slot.value.as_deref_mut() } else { None }
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.life != key.life {
            return None;
        }
        let value = slot.value.take()?;
        slot.life = (slot.life + 1) & ((1 << LIFE_BITS) - 1);
        self.free.push(key.index);
        self.count -= 1;
        Some(*value)
    }

    pub(crate) fn keys(&self) -> Vec<Key> {
        let filled = self.slots.iter().zip(0..).filter(|(slot, _)| slot.value.is_some());
        filled.map(|(slot, index)| Key { index, life: slot.life }).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().filter_map(|slot| slot.value.as_deref())
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_of_what_is_gone_finds_nothing_though_the_place_is_taken_again() {
        let mut slab = Slab::new();
        let first = slab.insert(|_| 'a');
        assert_eq!(slab.remove(first), Some('a'));
        let second = slab.insert(|_| 'b');
        assert_eq!((first.index, slab.get(first)), (second.index, None));
        assert_eq!(slab.get_mut(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(Key::of_token(second.token(9)), (9, second));
        assert_eq!((slab.len(), slab.keys()), (1, vec![second]));
    }
}
