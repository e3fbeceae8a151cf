//! Arithmetic that gives the same bits on every platform.
//!
//! Addition, multiplication, division and square roots are exact by IEEE 754; logarithms are not, and the standard
//! library takes the platform's. Here they are those of `libm`, which is the same code everywhere.

/// The natural logarithm.
pub fn ln(value: f64) -> f64 {
    libm::log(value)
}

/// A count as a number to reckon with.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub const fn float(count: usize) -> f64 {
    count as f64
}

/// A share: 0 of nothing.
pub fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { float(part) / float(whole) }
}

/// The value with four decimals, as scores leave the engines.
pub fn rounded(value: f64) -> f64 {
    if value.is_finite() { (value * 10_000.0).round() / 10_000.0 } else { 0.0 }
}

/// A generator of numbers that depend on nothing but the seed: `SplitMix64` (Steele, Lea and Flood, Fast splittable
/// pseudorandom number generators, 2014).
#[derive(Debug, Clone)]
pub struct Seeded(u64);

impl Seeded {
    /// The generator of a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 when there is none.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        let number = self.number();
        usize::try_from(number.checked_rem(bound).unwrap_or(0)).unwrap_or(0)
    }
}

/// Whole numbers in proportion to weights that add up to `total`: the largest remainders round up (Hamilton's method),
/// the first of equals before the others.
pub fn apportion(weights: &[f64], total: usize) -> Vec<usize> {
    let sum: f64 = weights.iter().filter(|weight| weight.is_finite() && **weight > 0.0).sum();
    if sum <= 0.0 {
        return vec![0; weights.len()];
    }
    let ideal =
        |weight: f64| if weight.is_finite() && weight > 0.0 { weight / sum * float(total) } else { 0.0 };
    let mut parts: Vec<usize> = weights.iter().map(|weight| floor(ideal(*weight)).min(total)).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    let rest = |at: &usize| weights.get(*at).map_or(0.0, |weight| ideal(*weight) - ideal(*weight).floor());
    order.sort_by(|a, b| rest(b).total_cmp(&rest(a)).then(a.cmp(b)));
    let mut left = total.saturating_sub(parts.iter().sum());
    for at in order.into_iter().cycle().take(weights.len() * 2) {
        if left == 0 {
            break;
        }
        if weights.get(at).is_some_and(|weight| *weight > 0.0)
            && let Some(part) = parts.get_mut(at)
        {
            *part += 1;
            left -= 1;
        }
    }
    parts
}

/// The whole part of a number that is not negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, which is what is wanted"
)]
pub fn floor(value: f64) -> usize {
    value.max(0.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_apportioned_to_the_last_one() {
        assert_eq!(apportion(&[0.4, 0.3, 0.2, 0.1], 10), [4, 3, 2, 1]);
        assert_eq!(apportion(&[1.0, 1.0, 1.0], 10), [4, 3, 3]);
        assert_eq!(apportion(&[0.0, 2.0], 3), [0, 3]);
        assert_eq!(apportion(&[], 3), Vec::<usize>::new());
        assert_eq!(apportion(&[f64::NAN, -1.0], 3), [0, 0]);
        let uneven = [0.17, 0.29, 0.05, 0.33, 0.16];
        for total in 0..200 {
            assert_eq!(apportion(&uneven, total).iter().sum::<usize>(), total);
        }
    }

    #[test]
    fn the_generator_gives_the_published_numbers() {
        // The first outputs for the seed 1234567, as in the reference implementation's test.
        let mut seeded = Seeded::new(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([seeded.number(), seeded.number(), seeded.number()], expected);
    }

    #[test]
    fn scores_have_four_decimals() {
        let same = |one: f64, other: f64| one.to_bits() == other.to_bits();
        assert!(same(rounded(1.0 / 3.0), 0.3333));
        assert!(same(rounded(f64::NAN), 0.0));
        assert!(same(share(1, 0), 0.0));
    }
}
