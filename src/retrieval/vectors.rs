//! Vectors of texts, near one another where the texts mean the same: kept in a byte a dimension, compared one by one, and
//! ranked together with what words have found.

use std::collections::HashMap;

/// A vector's direction in bytes.
///
/// Of a vector *v* of *n* numbers, *u* = *v* / ‖*v*‖ is kept as *q* and *s*, with *s* = max |*u*| / 127 and each
/// *q* = round(*u* / *s*), from −127 to 127. No number is off by more than half a step, |*u* − *s·q*| ≤ *s* / 2, and so the
/// similarity of two vectors, the cosine of the angle between them, is off by no more than
/// (*s₁* ‖*u₂*‖₁ + *s₂* ‖*s₁q₁*‖₁) / 2: [`Quantised::error`]. The product of the bytes itself is exact, whatever computes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantised {
    scale: f32,
    bytes: Vec<i8>,
}

impl Quantised {
    /// Of a vector; none when it has no direction, or holds what is no finite number.
    pub fn of(vector: &[f32]) -> Option<Self> {
        let length = vector.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
        let most = vector.iter().map(|number| f64::from(number.abs())).fold(0.0, f64::max);
        if !length.is_finite() || most == 0.0 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "no number is larger than the largest")]
        let byte = |number: &f32| (f64::from(*number) / most * 127.0).round() as i8;
        #[expect(clippy::cast_possible_truncation, reason = "seven digits are more than the bytes have")]
        let scale = (most / length / 127.0) as f32;
        Some(Self { scale, bytes: vector.iter().map(byte).collect() })
    }

    /// What [`Quantised::bytes`] and [`Quantised::scale`] have kept.
    pub fn kept(scale: f32, bytes: &[u8]) -> Self {
        Self { scale, bytes: bytes.iter().map(|byte| byte.cast_signed()).collect() }
    }

    /// The step between two bytes.
    pub const fn scale(&self) -> f32 {
        self.scale
    }

    /// The direction, a signed byte for each dimension.
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes.iter().map(|byte| byte.cast_unsigned()).collect()
    }

    /// How much the two mean the same, from −1 to 1; none for vectors of different lengths, which cannot be compared.
    pub fn similarity(&self, other: &Self) -> Option<f64> {
        if self.bytes.len() != other.bytes.len() {
            return None;
        }
        let pairs = self.bytes.iter().zip(&other.bytes);
        // Of up to 2^17 dimensions it fits.
        let product: i32 = pairs.map(|(one, other)| i32::from(*one) * i32::from(*other)).sum();
        Some(f64::from(product) * f64::from(self.scale) * f64::from(other.scale))
    }

    /// How far [`Quantised::similarity`] is at the most from the one of the vectors themselves.
    pub fn error(&self, other: &Self) -> f64 {
        let steps = |one: &Self| one.bytes.iter().map(|byte| f64::from(byte.unsigned_abs())).sum::<f64>();
        let count = self.bytes.len().min(other.bytes.len());
        #[expect(clippy::cast_precision_loss, reason = "a vector has few dimensions")]
        let count = count as f64;
        let (own, others) = (f64::from(self.scale), f64::from(other.scale));
        // A number of the other vector is at most half a step larger than what is kept of it.
        let theirs = others * (steps(other) + count / 2.0);
        // A little for the digits of the scales.
        f64::midpoint(own * theirs, others * own * steps(self)) + 1e-6
    }
}

/// The nearest of many vectors, which are looked at in any order and kept only as long as they are among them.
#[derive(Debug)]
pub struct Nearest {
    to: Quantised,
    most: usize,
    found: Vec<(u128, f64)>,
}

impl Nearest {
    /// The nearest to one, so many at the most.
    pub const fn new(to: Quantised, most: usize) -> Self {
        Self { to, most, found: Vec::new() }
    }

    /// Looks at a vector and whose it is. One of another length is passed over.
    pub fn look(&mut self, id: u128, vector: &Quantised) {
        if let Some(similarity) = self.to.similarity(vector) {
            self.found.push((id, similarity));
        }
        if self.found.len() >= (2 * self.most).max(64) {
            self.settle();
        }
    }

    fn settle(&mut self) {
        self.found.sort_unstable_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
        self.found.truncate(self.most);
    }

    /// Whose they are, the nearest first, each with its similarity. Ties are broken by id.
    pub fn found(mut self) -> Vec<(u128, f64)> {
        self.settle();
        self.found
    }
}

/// How much the first places of a list stand out: the usual 60 (Cormack, Clarke and Büttcher, 2009).
const RANKS: f64 = 60.0;

/// Ranks together what several lists have ranked, so many at the most: by the sum of 1 / (60 + rank) over the lists that
/// name it (reciprocal rank fusion). Ties go to what an earlier list names, and there to the earlier place.
pub fn fuse(lists: &[Vec<u128>], most: usize) -> Vec<u128> {
    let mut scores: HashMap<u128, (f64, usize)> = HashMap::new();
    for list in lists {
        for (place, id) in list.iter().enumerate() {
            let known = scores.len();
            #[expect(clippy::cast_precision_loss, reason = "lists are short")]
            let share = 1.0 / (RANKS + 1.0 + place as f64);
            scores.entry(*id).or_insert((0.0, known)).0 += share;
        }
    }
    let mut fused: Vec<(u128, (f64, usize))> = scores.into_iter().collect();
    fused.sort_unstable_by(|(_, one), (_, other)| other.0.total_cmp(&one.0).then(one.1.cmp(&other.1)));
    fused.into_iter().take(most).map(|(id, _)| id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers between −1 and 1 that look random and are the same every time (Marsaglia's xorshift).
    struct Numbers(u64);

    impl Numbers {
        fn next(&mut self) -> f32 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            f32::from(u16::try_from(self.0 >> 48).unwrap()) / 32_768.0 - 1.0
        }

        fn vector(&mut self, count: usize) -> Vec<f32> {
            // Some numbers stand out, as in real vectors.
            (0..count).map(|at| self.next() * if at % 37 == 0 { 9.0 } else { 1.0 }).collect()
        }
    }

    fn exact(one: &[f32], other: &[f32]) -> f64 {
        let dot = |one: &[f32], other: &[f32]| -> f64 {
            one.iter().zip(other).map(|(one, other)| f64::from(*one) * f64::from(*other)).sum()
        };
        dot(one, other) / (dot(one, one).sqrt() * dot(other, other).sqrt())
    }

    #[test]
    fn a_similarity_is_off_by_no_more_than_is_proven() {
        let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
        let mut worst = 0.0_f64;
        for count in [1, 2, 7, 64, 512, 1_536, 4_096] {
            for _ in 0..40 {
                let (one, mut other) = (numbers.vector(count), numbers.vector(count));
                // From unrelated to nearly the same, and the opposite.
                let part = numbers.next();
                other.iter_mut().zip(&one).for_each(|(other, one)| *other = part * one + 0.3 * *other);
                let (kept, others) = (Quantised::of(&one).unwrap(), Quantised::of(&other).unwrap());
                let off = (kept.similarity(&others).unwrap() - exact(&one, &other)).abs();
                assert!(off <= kept.error(&others), "{count}: {off} > {}", kept.error(&others));
                assert!(kept.error(&others) < 0.2, "{count}: a bound that says nothing");
                worst = worst.max(off);
            }
        }
        assert!(worst > 0.0 && worst < 0.01, "{worst}");
    }

    #[test]
    fn the_ranking_is_the_exact_one_wherever_similarities_differ_by_more_than_the_error() {
        let mut numbers = Numbers(7);
        let query = numbers.vector(256);
        let to = Quantised::of(&query).unwrap();
        let vectors: Vec<Vec<f32>> = (0..500).map(|_| numbers.vector(256)).collect();
        let kept: Vec<Quantised> = vectors.iter().map(|vector| Quantised::of(vector).unwrap()).collect();
        let mut nearest = Nearest::new(to.clone(), 500);
        kept.iter().enumerate().for_each(|(id, vector)| nearest.look(id as u128, vector));
        let found: Vec<usize> =
            nearest.found().into_iter().map(|(id, _)| usize::try_from(id).unwrap()).collect();
        assert_eq!(found.len(), 500);
        let mut apart = 0;
        for (place, before) in found.iter().enumerate() {
            for after in &found[place + 1..] {
                let (ahead, behind) = (exact(&query, &vectors[*before]), exact(&query, &vectors[*after]));
                let error = to.error(&kept[*before]) + to.error(&kept[*after]);
                assert!(behind - ahead <= error, "{before} stands before {after}: {ahead} {behind}");
                apart += usize::from(ahead - behind > error);
            }
        }
        assert!(apart > 60_000, "the bound decides only {apart} of 124,750 pairs");
        // Fewer are the first of them, in whatever order they are looked at.
        let mut few = Nearest::new(to, 10);
        kept.iter().enumerate().rev().for_each(|(id, vector)| few.look(id as u128, vector));
        let few: Vec<usize> = few.found().into_iter().map(|(id, _)| usize::try_from(id).unwrap()).collect();
        assert_eq!(few, found[..10]);
    }

    #[test]
    fn what_is_kept_is_what_was_made() {
        let made = Quantised::of(&[3.0, -4.0, 0.0]).unwrap();
        assert_eq!(made.bytes(), [95, 129, 0]);
        assert!((made.scale() - 0.8 / 127.0).abs() < 1e-7);
        assert_eq!(Quantised::kept(made.scale(), &made.bytes()), made);
        let same = Quantised::of(&[30.0, -40.0, 0.0]).unwrap();
        assert_eq!(same, made, "only the direction counts");
        assert!((made.similarity(&made).unwrap() - 1.0).abs() < 0.01);
        for none in [&[][..], &[0.0, 0.0], &[1.0, f32::NAN], &[f32::INFINITY]] {
            assert_eq!(Quantised::of(none), None, "{none:?}");
        }
        assert!(Quantised::of(&[f32::MAX, f32::MIN_POSITIVE]).is_some());
    }

    #[test]
    fn vectors_of_another_length_are_not_compared() {
        let [short, long] = [&[1.0][..], &[1.0, 0.0]].map(|vector| Quantised::of(vector).unwrap());
        assert_eq!(short.similarity(&long), None);
        let mut nearest = Nearest::new(short.clone(), 3);
        nearest.look(1, &long);
        nearest.look(3, &short);
        nearest.look(2, &short);
        let found: Vec<u128> = nearest.found().into_iter().map(|(id, _)| id).collect();
        assert_eq!(found, [2, 3]);
    }

    #[test]
    fn what_two_lists_name_stands_before_what_one_does() {
        assert_eq!(fuse(&[vec![1, 2, 3], vec![4, 3]], 9), [3, 1, 4, 2]);
        assert_eq!(fuse(&[vec![1, 2], vec![]], 9), [1, 2]);
        assert_eq!(fuse(&[vec![], vec![5, 6]], 1), [5]);
        assert_eq!(fuse(&[vec![1, 2], vec![2, 1]], 9), [1, 2], "a tie goes to the first list");
        assert!(fuse(&[], 9).is_empty());
    }
}
