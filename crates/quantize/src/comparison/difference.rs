//! How far two tensors are apart.

use serde::Serialize;

/// Sums over all values of two tensors, from which their [`Measures`] follow.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Difference {
    values: usize,
    differing: usize,
    max_error: f64,
    /// Squares of the first tensor's values, of the second's, of the differences, and products of the first two.
    squares_a: f64,
    squares_b: f64,
    squares_of_error: f64,
    products: f64,
    rows: usize,
    agreeing_rows: usize,
}

/// How far two tensors are apart; `None` where they are not defined.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Measures {
    /// Whether all values are the same.
    pub identical: bool,
    /// The greatest difference.
    pub max_error: Option<f64>,
    /// The mean of the squares of the differences.
    pub mse: Option<f64>,
    /// Power of the first tensor over that of the difference, in dB; not defined where either is 0.
    pub snr_db: Option<f64>,
    /// Cosine of the angle between the tensors as vectors; not defined where one is 0.
    pub cosine: Option<f64>,
    /// Share of rows whose greatest values are at the same place; not defined where rows have one element.
    pub agreement: Option<f64>,
}

impl Difference {
    /// Adds values of both tensors, in rows of the given length.
    pub fn add(&mut self, a: &[f64], b: &[f64], row: usize) {
        self.values += a.len();
        for (&a, &b) in a.iter().zip(b) {
            self.squares_a += a * a;
            self.squares_b += b * b;
            self.products += a * b;
            // Infinities of the same sign, and two that are not numbers, do not differ.
            if a != b && !(a.is_nan() && b.is_nan()) {
                let error = (a - b).abs();
                self.differing += 1;
                // What is not a number is the greatest, and stays it.
                if error > self.max_error || error.is_nan() {
                    self.max_error = error;
                }
                self.squares_of_error += error * error;
            }
        }
        if row > 1 {
            self.rows += a.len() / row;
            let rows = a.chunks_exact(row).zip(b.chunks_exact(row));
            self.agreeing_rows += rows.filter(|(a, b)| greatest(a) == greatest(b)).count();
        }
    }

    /// The measures over all values that were added.
    pub fn measures(&self) -> Measures {
        let snr_db = 10.0 * (self.squares_a / self.squares_of_error).log10();
        let cosine = self.products / (self.squares_a * self.squares_b).sqrt();
        let defined = |measure: f64| measure.is_finite().then_some(measure);
        Measures {
            identical: self.differing == 0,
            max_error: defined(self.max_error).filter(|_| self.values > 0),
            mse: defined(self.squares_of_error / self.values as f64),
            snr_db: defined(snr_db),
            cosine: defined(cosine),
            agreement: defined(self.agreeing_rows as f64 / self.rows as f64),
        }
    }
}

/// The index of the first of the greatest values.
fn greatest(row: &[f64]) -> usize {
    (1..row.len()).fold(0, |best, index| if row[index] > row[best] { index } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measures(a: &[f64], b: &[f64], row: usize) -> Measures {
        let mut difference = Difference::default();
        difference.add(a, b, row);
        difference.measures()
    }

    #[test]
    fn the_measures_are_those_of_their_names() {
        let found = measures(&[3.0, 4.0, 0.0, 1.0], &[3.0, 4.5, 2.0, 1.0], 2);
        assert!(!found.identical);
        assert_eq!((found.max_error, found.agreement), (Some(2.0), Some(0.5)));
        assert_eq!(found.mse, Some(4.25 / 4.0));
        assert!((found.snr_db.unwrap() - 10.0 * (26.0f64 / 4.25).log10()).abs() < 1e-12);
        assert!((found.cosine.unwrap() - 28.0 / (26.0f64 * 34.25).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn what_is_not_defined_is_left_out() {
        let same = measures(&[0.0, f64::INFINITY, f64::NAN], &[0.0, f64::INFINITY, f64::NAN], 1);
        assert_eq!((same.identical, same.max_error), (true, Some(0.0)));
        assert_eq!((same.snr_db, same.cosine, same.agreement), (None, None, None));
        let lost = measures(&[1.0, 2.0], &[f64::NAN, 5.0], 2);
        assert_eq!((lost.identical, lost.max_error), (false, None));
        assert_eq!(measures(&[], &[], 4).max_error, None);
    }
}
