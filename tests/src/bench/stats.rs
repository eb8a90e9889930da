//! Medians, quartiles, percentiles.

/// Middle half of a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quartiles {
    /// A quarter is below.
    pub low: f64,
    /// The median.
    pub mid: f64,
    /// A quarter is above.
    pub high: f64,
}

// === impl Quartiles ===

impl Quartiles {
    /// Of a sample in any order; zeros of an empty one.
    pub fn of(sample: &[f64]) -> Self {
        let at = |share| percentile(sample, share);
        Self { low: at(0.25), mid: at(0.5), high: at(0.75) }
    }

    /// Of the ratios of two samples, round by round.
    pub fn of_ratios(dividends: &[f64], divisors: &[f64]) -> Self {
        let ratios = dividends.iter().zip(divisors).filter(|(_, divisor)| **divisor > 0.0);
        Self::of(&ratios.map(|(dividend, divisor)| dividend / divisor).collect::<Vec<_>>())
    }
}

/// The value that `share` (0 to 1) of the sample is not above; 0 of an empty one.
pub fn percentile(sample: &[f64], share: f64) -> f64 {
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    let at = (share.clamp(0.0, 1.0) * last as f64).round() as usize;
    sorted.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_a_sample() {
        let sample = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!(Quartiles::of(&sample), Quartiles { low: 2.0, mid: 3.0, high: 4.0 });
        assert_eq!(Quartiles::of(&[]), Quartiles::default());
        assert_eq!(percentile(&sample, 0.99), 5.0);
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let ratios = Quartiles::of_ratios(&[2.0, 30.0, 8.0], &[1.0, 10.0, 2.0]);
        assert_eq!(ratios.mid, 3.0);
    }
}
