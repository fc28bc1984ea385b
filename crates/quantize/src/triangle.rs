//! Symmetric matrices, of which the lower triangle is kept.

/// The lower triangle of a square matrix in float64, row after row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Triangle {
    order: usize,
    values: Vec<f64>,
}

impl Triangle {
    /// The matrix of zeros with so many rows.
    pub(crate) fn zeros(order: usize) -> Self {
        Self { order, values: vec![0.0; order * (order + 1) / 2] }
    }

    /// Number of rows.
    pub(crate) const fn order(&self) -> usize {
        self.order
    }

    /// A row up to the diagonal.
    pub(crate) fn row(&self, index: usize) -> &[f64] {
        &self.values[index * (index + 1) / 2..][..=index]
    }

    fn row_mut(&mut self, index: usize) -> &mut [f64] {
        &mut self.values[index * (index + 1) / 2..][..=index]
    }

    /// The value of the symmetric matrix.
    fn at(&self, row: usize, column: usize) -> f64 {
        self.row(row.max(column))[row.min(column)]
    }

    /// Adds `v * v^T` of each of the vectors `v`, in their order.
    pub(crate) fn add_squares(&mut self, vectors: &[&[f64]]) {
        for index in 0..self.order {
            let row = self.row_mut(index);
            for vector in vectors.iter().filter(|vector| vector[index] != 0.0) {
                let factor = vector[index];
                row.iter_mut().zip(*vector).for_each(|(sum, value)| *sum += factor * value);
            }
        }
    }

    /// Multiplies with a number.
    pub(crate) fn scale(&mut self, factor: f64) {
        self.values.iter_mut().for_each(|value| *value *= factor);
    }

    /// The diagonal.
    pub(crate) fn diagonal(&self) -> Vec<f64> {
        (0..self.order).map(|index| self.at(index, index)).collect()
    }

    /// The symmetric matrix with rows and columns in another order, each value changed by a function of its old place.
    pub(crate) fn rearranged(&self, places: &[usize], change: impl Fn(f64, usize, usize) -> f64) -> Self {
        let mut rearranged = Self::zeros(self.order);
        for (index, &row) in places.iter().enumerate() {
            let values = places.iter().map(|&column| change(self.at(row, column), row, column));
            rearranged.row_mut(index).iter_mut().zip(values).for_each(|(old, new)| *old = new);
        }
        rearranged
    }

    /// The triangle `L` with `L * L^T` equal to the symmetric matrix; `None` where that is not positive definite.
    ///
    /// Cholesky's decomposition, row after row.
    pub(crate) fn cholesky(mut self) -> Option<Self> {
        for index in 0..self.order {
            let (above, rest) = self.values.split_at_mut(index * (index + 1) / 2);
            let row = &mut rest[..=index];
            for column in 0..index {
                let other = &above[column * (column + 1) / 2..][..=column];
                row[column] = (row[column] - product(&row[..column], &other[..column])) / other[column];
            }
            let square = row[index] - product(&row[..index], &row[..index]);
            row[index] = square.sqrt();
            if !row[index].is_normal() {
                return None;
            }
        }
        Some(self)
    }
}

/// The scalar product, summed in [`LANES`] parts.
fn product(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f64 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    let mut sums = [0.0; LANES];
    for (a, b) in a.zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// What the compiler makes vectors of; sums have the same order on every machine.
const LANES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    /// The sum of `v * v^T` over vectors that span the space.
    fn matrix(order: usize) -> Triangle {
        let mut matrix = Triangle::zeros(order);
        for number in 0..2 * order {
            let value = |index| ((number * 31 + index * 17) % 23) as f64 / 8.0 - 1.0;
            let vector: Vec<f64> = (0..order).map(value).collect();
            matrix.add_squares(&[&vector]);
        }
        matrix
    }

    #[test]
    fn squares_add_up() {
        let mut matrix = Triangle::zeros(2);
        matrix.add_squares(&[&[1.0, 2.0], &[3.0, -1.0]]);
        assert_eq!((matrix.row(0), matrix.row(1)), (&[10.0][..], &[-1.0, 5.0][..]));
        assert_eq!(matrix.diagonal(), [10.0, 5.0]);
    }

    #[test]
    fn rearranging_moves_rows_and_columns() {
        let matrix = matrix(3);
        let moved =
            matrix.rearranged(&[2, 0, 1], |value, row, column| value + if row == column { 1.0 } else { 0.0 });
        assert_eq!(moved.row(0), [matrix.at(2, 2) + 1.0]);
        assert_eq!(moved.row(2), [matrix.at(1, 2), matrix.at(1, 0), matrix.at(1, 1) + 1.0]);
    }

    #[test]
    fn a_decomposition_multiplies_to_its_matrix() {
        for order in [1, 2, 7, 8, 9, 19] {
            let (matrix, factor) = (matrix(order), matrix(order).cholesky().unwrap());
            for row in 0..order {
                for column in 0..=row {
                    let found: f64 = factor.row(row).iter().zip(factor.row(column)).map(|(a, b)| a * b).sum();
                    assert!((found - matrix.at(row, column)).abs() < 1e-9, "{row}, {column} of {order}");
                }
            }
        }
    }

    #[test]
    fn what_is_not_positive_definite_has_no_decomposition() {
        assert_eq!(Triangle::zeros(2).cholesky(), None);
        let mut singular = Triangle::zeros(2);
        singular.add_squares(&[&[1.0, 1.0]]);
        assert_eq!(singular.cholesky(), None);
    }
}
