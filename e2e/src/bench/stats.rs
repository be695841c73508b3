//! Minimum, median, maximum.

/// Of a series of numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stats {
    /// The least.
    pub min: f64,
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The greatest.
    pub max: f64,
}

impl Stats {
    /// None of no numbers.
    pub fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied();
        let (below, above) = (at(sorted.len().checked_sub(1)? / 2)?, at(sorted.len() / 2)?);
        Some(Self { min: at(0)?, median: f64::midpoint(below, above), max: at(sorted.len() - 1)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_lies_in_the_middle() {
        assert_eq!(Stats::of([]), None);
        assert_eq!(Stats::of([3.0]), Some(Stats { min: 3.0, median: 3.0, max: 3.0 }));
        assert_eq!(Stats::of([9.0, 1.0, 2.0]), Some(Stats { min: 1.0, median: 2.0, max: 9.0 }));
        assert_eq!(Stats::of([4.0, 1.0, 2.0, 30.0]), Some(Stats { min: 1.0, median: 3.0, max: 30.0 }));
    }
}
