//! Keyset pages and their cursors.
//!
//! A cursor is opaque: the key of its row and a MAC over that key, the list, its filter and its tenant. A forged cursor,
//! or one of another list, filter or organization, is refused as an input error and never reaches a statement.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use crate::error::{Error, Fault, FaultCode, Result};

/// Rows on a page when nobody says otherwise.
pub const DEFAULT_PAGE: i32 = 20;
/// Rows on a page at the most.
pub const MAX_PAGE: i32 = 100;
const MAC_LENGTH: usize = 12;

/// What a list is ordered by: a uuid of version 7, or a sequence number.
pub trait Key: Copy + Send + Sync + 'static {
    /// Before every row.
    const FIRST: Self;
    /// After every row.
    const LAST: Self;
    /// Sixteen bytes.
    fn bytes(self) -> [u8; 16];
    /// Back from sixteen bytes.
    fn from_bytes(bytes: [u8; 16]) -> Option<Self>;
}

impl Key for Uuid {
    const FIRST: Self = Self::nil();
    const LAST: Self = Self::max();

    fn bytes(self) -> [u8; 16] {
        self.into_bytes()
    }

    fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        Some(Self::from_bytes(bytes))
    }
}

impl Key for i64 {
    const FIRST: Self = Self::MIN;
    const LAST: Self = Self::MAX;

    fn bytes(self) -> [u8; 16] {
        i128::from(self).to_be_bytes()
    }

    fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        i128::from_be_bytes(bytes).try_into().ok()
    }
}

/// Makes and reads the cursors of one list, filter and tenant.
#[derive(Debug, Clone)]
pub struct Seal {
    key: Arc<[u8; 32]>,
    binding: Arc<[u8]>,
}

impl Seal {
    /// The seal of the list that these parts name, in order: the list, the organization or person, the filter.
    pub fn new(key: Arc<[u8; 32]>, parts: &[&str]) -> Self {
        Self { key, binding: parts.join("\u{0}").into_bytes().into() }
    }

    fn mac(&self, row: [u8; 16]) -> Option<[u8; MAC_LENGTH]> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.as_slice()).ok()?;
        mac.update(&self.binding);
        mac.update(&row);
        mac.finalize().into_bytes().first_chunk::<MAC_LENGTH>().copied()
    }

    /// The cursor of a row.
    pub fn encode<K: Key>(&self, key: K) -> String {
        let row = key.bytes();
        let mac = self.mac(row).unwrap_or_default();
        URL_SAFE_NO_PAD.encode([row.as_slice(), mac.as_slice()].concat())
    }

    /// The row that a cursor names, when this seal made it.
    pub fn decode<K: Key>(&self, cursor: &str) -> Option<K> {
        // Every genuine cursor has this length; anything longer is not worth decoding.
        if cursor.len() != (16 + MAC_LENGTH).div_ceil(3) * 4 - 2 {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let row: [u8; 16] = *bytes.first_chunk()?;
        let mac = self.mac(row)?;
        if !bool::from(mac.as_slice().ct_eq(bytes.get(16..)?)) {
            return None;
        }
        K::from_bytes(row)
    }
}

/// What a caller asks of a list.
#[derive(Debug, Clone, Default)]
pub struct PageArgs {
    /// The first so many rows.
    pub first: Option<i32>,
    /// The last so many rows.
    pub last: Option<i32>,
    /// Rows after this cursor.
    pub after: Option<String>,
    /// Rows before this cursor.
    pub before: Option<String>,
}

/// A page to fetch: a window of keys, a direction and a size.
#[derive(Debug, Clone, Copy)]
pub struct Page<K> {
    /// Rows strictly after this key in the list's order.
    pub after: K,
    /// Rows strictly before this key in the list's order.
    pub before: K,
    /// Whether the page is taken from the end.
    pub from_end: bool,
    /// Rows that the caller gets at the most.
    pub size: i64,
    /// Whether the caller gave a start.
    has_after: bool,
    /// Whether the caller gave an end.
    has_before: bool,
    /// Rows beyond the page that are fetched: one, where somebody wants to know whether there are any.
    beyond: i64,
}

/// The rows of a page, in the list's order.
#[derive(Debug, Clone)]
pub struct Slice<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Whether there are rows after them.
    pub has_next: bool,
    /// Whether there are rows before them.
    pub has_previous: bool,
}

fn size(field: &str, value: i32) -> Result<i64> {
    if (1..=MAX_PAGE).contains(&value) {
        return Ok(i64::from(value));
    }
    Err(Error::fault(Fault::of(
        FaultCode::OutOfRange,
        field,
        format!("`{field}` is a number from 1 to {MAX_PAGE}."),
    )))
}

fn cursor<K: Key>(field: &str, text: Option<&str>, seal: &Seal) -> Result<Option<K>> {
    let Some(text) = text else { return Ok(None) };
    seal.decode(text).map(Some).ok_or_else(|| {
        Error::fault(Fault::of(FaultCode::Invalid, field, format!("`{field}` is not a cursor of this list. Use one from its `pageInfo` or `edges`, with the same filter.")))
    })
}

impl PageArgs {
    /// Reads what the caller asks.
    ///
    /// # Errors
    /// A fault that names the argument.
    pub fn read<K: Key>(&self, seal: &Seal) -> Result<Page<K>> {
        let (from_end, size) = match (self.first, self.last) {
            (Some(_), Some(_)) => {
                return Err(Error::fault(Fault::of(
                    FaultCode::Invalid,
                    "last",
                    "Give `first` or `last`, not both.",
                )));
            }
            (Some(first), None) => (false, size("first", first)?),
            (None, Some(last)) => (true, size("last", last)?),
            (None, None) => (false, i64::from(DEFAULT_PAGE)),
        };
        let after = cursor(stringify!(after), self.after.as_deref(), seal)?;
        let before = cursor(stringify!(before), self.before.as_deref(), seal)?;
        Ok(Page {
            has_after: after.is_some(),
            has_before: before.is_some(),
            after: after.unwrap_or(K::FIRST),
            before: before.unwrap_or(K::LAST),
            from_end,
            size,
            beyond: 1,
        })
    }
}

impl<K: Key> Page<K> {
    /// The first so many rows.
    pub const fn first(size: i64) -> Self {
        Self {
            after: K::FIRST,
            before: K::LAST,
            from_end: false,
            size,
            has_after: false,
            has_before: false,
            beyond: 1,
        }
    }

    /// The same page. Unless somebody wants to know, it is not found out whether there are more rows beyond it.
    #[must_use]
    pub fn looking_further(self, wanted: bool) -> Self {
        Self { beyond: i64::from(wanted), ..self }
    }

    /// How many rows a statement fetches.
    pub const fn fetch(&self) -> i64 {
        self.size + self.beyond
    }

    /// The window `(low, high)` of keys for a list in ascending order.
    pub const fn ascending(&self) -> (K, K) {
        (self.after, self.before)
    }

    /// The window `(low, high)` of keys for a list in descending order.
    pub fn descending(&self) -> (K, K) {
        let low = if self.has_before { self.before } else { K::FIRST };
        let high = if self.has_after { self.after } else { K::LAST };
        (low, high)
    }

    /// Makes the page of the rows that a statement fetched in the direction of the page.
    pub fn slice<T>(&self, mut items: Vec<T>) -> Slice<T> {
        let size = usize::try_from(self.size).unwrap_or(0);
        let more = items.len() > size;
        items.truncate(size);
        if self.from_end {
            items.reverse();
            return Slice { items, has_previous: more, has_next: self.has_before };
        }
        Slice { items, has_next: more, has_previous: self.has_after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(parts: &[&str]) -> Seal {
        Seal::new(Arc::new([7; 32]), parts)
    }

    #[test]
    fn a_cursor_is_good_for_its_own_list_only() {
        let own = seal(&["projects", "org_1", "{}"]);
        let key = Uuid::now_v7();
        let cursor = own.encode(key);
        assert_eq!(own.decode::<Uuid>(&cursor), Some(key));
        for other in [["projects", "org_2", "{}"], ["projects", "org_1", "x"], ["members", "org_1", "{}"]] {
            assert_eq!(seal(&other).decode::<Uuid>(&cursor), None);
        }
        for forged in ["", "garbage", &"A".repeat(38), &"A".repeat(10_000)] {
            assert_eq!(own.decode::<Uuid>(forged), None);
        }
        assert_eq!(own.decode::<i64>(&own.encode(-5i64)), Some(-5));
    }

    #[test]
    fn pages_say_what_is_around_them() {
        let own = seal(&["x"]);
        let args = PageArgs { last: Some(2), ..PageArgs::default() };
        let page: Page<i64> = args.read(&own).unwrap();
        let slice = page.slice(vec![9, 8, 7]);
        assert_eq!((slice.items, slice.has_previous, slice.has_next), (vec![8, 9], true, false));
        let asked = Page::<i64>::first(2);
        assert_eq!((asked.fetch(), asked.slice(vec![7, 8, 9]).has_next), (3, true));
        let unasked = Page::<i64>::first(2).looking_further(false);
        assert_eq!((unasked.fetch(), unasked.slice(vec![7, 8]).items), (2, vec![7, 8]));
        for bad in [
            PageArgs { first: Some(-1), ..PageArgs::default() },
            PageArgs { first: Some(101), ..PageArgs::default() },
            PageArgs { first: Some(1), last: Some(1), ..PageArgs::default() },
            PageArgs { after: Some("x".into()), ..PageArgs::default() },
        ] {
            assert!(bad.read::<i64>(&own).is_err());
        }
    }
}
