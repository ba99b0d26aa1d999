//! What many samples of one number come to.

/// Percentiles of samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The smallest.
    pub minimum: f64,
    /// Below which 5 % lie.
    pub p5: f64,
    /// The median.
    pub p50: f64,
    /// Below which 95 % lie.
    pub p95: f64,
}

impl Summary {
    /// Of at least one sample.
    ///
    /// # Panics
    /// When there is none.
    pub fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let percentile = |percent| percentile(&samples, percent);
        Self { minimum: percentile(0), p5: percentile(5), p50: percentile(50), p95: percentile(95) }
    }
}

/// Between the two samples that are nearest, in proportion.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let position = (sorted.len() - 1) * percent;
    let (below, rest) = (position / 100, position % 100);
    let above = (below + 1).min(sorted.len() - 1);
    #[allow(clippy::cast_precision_loss, reason = "below 100")]
    let share = rest as f64 / 100.0;
    sorted[below] + (sorted[above] - sorted[below]) * share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_between_the_nearest_samples() {
        let summary = Summary::of(vec![4.0, 1.0, 3.0, 2.0, 5.0]);
        assert_eq!(summary, Summary { minimum: 1.0, p5: 1.2, p50: 3.0, p95: 4.8 });
    }

    #[test]
    fn one_sample_is_all_of_them() {
        assert_eq!(Summary::of(vec![7.0]), Summary { minimum: 7.0, p5: 7.0, p50: 7.0, p95: 7.0 });
    }
}
