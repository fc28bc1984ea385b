//! The real MNIST, where the environment variable `MNIST_DIR` names its folder.

use burnlite_mnist::{LoadOptions, Require, Source, load};
use std::path::Path;

#[test]
#[expect(clippy::print_stderr, reason = "a test that was skipped must say so")]
fn mnist_loads_as_published() {
    let options = LoadOptions { require: Require::Mnist, ..LoadOptions::new(Path::new(".")) };
    if options.data_dir.is_none() {
        assert!(std::env::var_os("CI").is_none(), "MNIST_DIR must be set where CI is");
        eprintln!("skipped: MNIST_DIR is not set");
        return;
    }
    let digits = load(&options, &mut |_| {}).unwrap();
    assert_eq!(digits.source(), Source::Mnist);
    assert_eq!((digits.train.len(), digits.test.len()), (60_000, 10_000));
    assert_eq!(digits.train.labels()[..10], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
    assert_eq!(digits.test.labels()[..10], [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]);
    // The mean grey of the training images is known as 0.1307 from everybody's normalization constants.
    let sum: u64 = digits.train.images().as_flattened().iter().copied().map(u64::from).sum();
    assert_eq!(sum, 1567298545_u64);
    let count = |digit| digits.train.labels().iter().filter(|&&label| label == digit).count();
    let counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949];
    assert_eq!([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(count), counts);
}
