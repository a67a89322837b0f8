//! Which ids are taken, for files of any length: about 25 bytes a row, and none for ids that just count up.

use std::hash::{BuildHasher, RandomState};

/// An id as it is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// The decimal way of writing this number.
    Number(u64),
    /// 128 bits of any other text. Among a hundred million ids two different ones share them with a probability of
    /// n²/2^129, about 10^-23: the memory that holds them fails more often. The keys of the hash are drawn for each
    /// read, so that no file can be written to collide.
    Hash(u128),
}

/// Makes keys, from any thread.
#[derive(Clone, Default)]
pub(super) struct KeyMaker([RandomState; 2]);

impl KeyMaker {
    pub(super) fn key(&self, id: &str) -> Key {
        let decimal = (1..=18).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit());
        match id.parse() {
            Ok(number) if decimal && (id.len() == 1 || !id.starts_with('0')) => Key::Number(number),
            _ => Key::Hash(self.hash(id)),
        }
    }

    fn hash(&self, id: impl std::hash::Hash) -> u128 {
        let [a, b] = &self.0;
        u128::from(a.hash_one(&id)) << 64 | u128::from(b.hash_one(&id))
    }
}

/// The ids that were claimed, each with the row that did.
pub(super) struct Claims {
    maker: KeyMaker,
    /// Numbers that count up with their rows, ascending.
    runs: Vec<Run>,
    /// The highest number claimed so far.
    highest: Option<u64>,
    shards: Vec<Shard>,
}

/// `count` numbers from `first` on, claimed by as many rows from `row` on.
struct Run {
    first: u64,
    row: u64,
    count: u64,
}

const MAX_RUNS: usize = 4_096;
/// Small tables grow one after the other: never is there a second copy of the whole.
const SHARDS: usize = 256;

impl Claims {
    pub(super) fn new(maker: KeyMaker) -> Self {
        Self { maker, runs: Vec::new(), highest: None, shards: Vec::new() }
    }

    /// Remembers an id; `Err` with the row that has it already.
    pub(super) fn claim(&mut self, key: Key, row: u64) -> Result<(), u64> {
        match key {
            Key::Number(number) => self.claim_number(number, row),
            Key::Hash(hash) => self.claim_hash(hash, row),
        }
    }

    fn claim_number(&mut self, number: u64, row: u64) -> Result<(), u64> {
        if self.highest.is_none_or(|highest| number > highest) {
            self.highest = Some(number);
            let room = self.runs.len() < MAX_RUNS;
            match self.runs.last_mut() {
                Some(run) if number - run.first == run.count && row.checked_sub(run.row) == Some(run.count) => {
                    run.count += 1;
                    return Ok(());
                }
                _ if room => {
                    self.runs.push(Run { first: number, row, count: 1 });
                    return Ok(());
                }
                _ => {}
            }
        } else if let Some(run) = self.runs[..self.runs.partition_point(|run| run.first <= number)].last()
            && number - run.first < run.count
        {
            return Err(run.row + (number - run.first));
        }
        self.claim_hash(self.maker.hash(number), row)
    }

    fn claim_hash(&mut self, hash: u128, row: u64) -> Result<(), u64> {
        if self.shards.is_empty() {
            self.shards.resize_with(SHARDS, Shard::default);
        }
        let [rest @ .., shard] = hash.to_le_bytes();
        self.shards[usize::from(shard)].claim(rest, row)
    }
}

/// 120 bits of the hash (the shard is the rest), then the row with 1 added in 40 bits; all zero is free.
type Slot = [u8; 20];
const FREE: Slot = [0; 20];
const MAX_ROW: u64 = (1 << 40) - 2;

/// A table with linear probing, between 70 % and 85 % full (20 bytes a slot make 24 to 29 a row).
#[derive(Default)]
struct Shard {
    slots: Vec<Slot>,
    len: usize,
}

impl Shard {
    fn claim(&mut self, rest: [u8; 15], row: u64) -> Result<(), u64> {
        if (self.len + 1) * 100 > self.slots.len() * 85 {
            self.grow();
        }
        let mut slot = FREE;
        slot[..15].copy_from_slice(&rest);
        slot[15..].copy_from_slice(&(row.min(MAX_ROW) + 1).to_le_bytes()[..5]);
        let at = find(&self.slots, &slot);
        if self.slots[at] != FREE {
            let mut first = [0; 8];
            first[..5].copy_from_slice(&self.slots[at][15..]);
            return Err(u64::from_le_bytes(first) - 1);
        }
        self.slots[at] = slot;
        self.len += 1;
        Ok(())
    }

    fn grow(&mut self) {
        let mut wider = vec![FREE; self.slots.len() * 6 / 5 + 8];
        for slot in self.slots.iter().filter(|slot| **slot != FREE) {
            let at = find(&wider, slot);
            wider[at] = *slot;
        }
        self.slots = wider;
    }
}

/// Where the slot with this hash is, or the free one where it belongs. At least one slot must be free.
fn find(slots: &[Slot], wanted: &Slot) -> usize {
    let high = wanted.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    // The high half of the product spreads the hash evenly over any number of slots.
    let home = (u128::from(high) * slots.len() as u128) >> 64;
    let mut at = usize::try_from(home).unwrap_or(0);
    while slots[at] != FREE && slots[at][..15] != wanted[..15] {
        at = if at + 1 == slots.len() { 0 } else { at + 1 };
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn claims_agree_with_a_map_of_texts(ids in prop::collection::vec(
            prop_oneof![Just("0".to_owned()), (0..40_u64).prop_map(|n| n.to_string()), "0?[0-9]{1,2}", "[ab]{1,3}", "1{17,20}"], 0..200)
        ) {
            let maker = KeyMaker::default();
            let mut claims = Claims::new(maker.clone());
            let mut known: HashMap<String, u64> = HashMap::new();
            for (row, id) in (1..).zip(ids) {
                let expected = known.get(&id).map_or(Ok(()), |first| Err(*first));
                prop_assert_eq!(claims.claim(maker.key(&id), row), expected, "{}", id);
                known.entry(id).or_insert(row);
            }
        }
    }

    #[test]
    fn a_row_costs_no_more_than_32_bytes() {
        let maker = KeyMaker::default();
        let mut claims = Claims::new(maker.clone());
        for row in 1..=100_000 {
            assert_eq!(claims.claim(maker.key(&format!("parcel-{row}")), row), Ok(()));
            let slots: usize =
                if row % 5_000 == 0 { claims.shards.iter().map(|s| s.slots.capacity()).sum() } else { 0 };
            assert!(slots * size_of::<Slot>() <= 32 * row as usize, "{row}: {slots}");
        }
        for row in (1..=100_000).step_by(97) {
            assert_eq!(claims.claim(maker.key(&format!("parcel-{row}")), 200_000), Err(row));
        }
    }

    #[test]
    fn numbers_that_count_up_take_no_table_and_are_still_known() {
        let maker = KeyMaker::default();
        let mut claims = Claims::new(maker.clone());
        for row in 1..=50_000 {
            assert_eq!(claims.claim(Key::Number(row * 2 + row / 1_000), row), Ok(()));
        }
        let mut plain = Claims::new(maker);
        for row in 1..=50_000 {
            assert_eq!(plain.claim(Key::Number(row + 7), row), Ok(()));
        }
        assert!(plain.shards.is_empty() && plain.runs.len() == 1 && claims.runs.len() == MAX_RUNS);
        for row in [1, 2, 4_096, 4_097, 30_000, 50_000] {
            assert_eq!(claims.claim(Key::Number(row * 2 + row / 1_000), 60_000), Err(row));
            assert_eq!(plain.claim(Key::Number(row + 7), 60_000), Err(row));
        }
        assert_eq!((plain.claim(Key::Number(0), 60_000), plain.claim(Key::Number(0), 60_001)), (Ok(()), Err(60_000)));
    }
}
