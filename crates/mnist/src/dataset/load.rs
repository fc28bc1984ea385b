//! Where the digits are looked for.

use core::str::FromStr;
use std::path::{Path, PathBuf};

use super::{Digits, Manifest, Origin, Progress, TEST_LEN, TRAIN_LEN, download, mnist};
use crate::Error;

/// Where to look for MNIST, and what to do without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOptions {
    /// The folder that holds the four files, raw or as `.gz`; it is only read. Without one, the cache is
    /// searched.
    pub data_dir: Option<PathBuf>,
    /// The folder for downloaded files, created when needed.
    pub cache_dir: PathBuf,
    /// Which digits are wanted.
    pub require: Require,
    /// What generated digits are drawn from.
    pub seed: u64,
    /// Mirrors to download from and checksums to verify with.
    pub manifest: Manifest,
}

impl LoadOptions {
    /// The cache is `datasets/mnist` below `root`; `data_dir` is the environment variable `MNIST_DIR`, if it
    /// is set and not empty; MNIST is preferred; the seed is 0.
    pub fn new(root: &Path) -> Self {
        let named = std::env::var_os("MNIST_DIR").filter(|folder| !folder.is_empty());
        Self {
            data_dir: named.map(PathBuf::from),
            cache_dir: root.join("datasets/mnist"),
            require: Require::Auto,
            seed: 0,
            manifest: Manifest::default(),
        }
    }
}

/// Which digits are wanted. Parses from "auto", "mnist" and "digits".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Require {
    /// MNIST if it can be had, else generated digits.
    #[default]
    Auto,
    /// MNIST or an error.
    Mnist,
    /// Generated digits.
    Digits,
}

impl FromStr for Require {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "auto" => Ok(Self::Auto),
            "mnist" => Ok(Self::Mnist),
            "digits" => Ok(Self::Digits),
            _ => Err(Error::UnknownDataset { name: name.to_owned() }),
        }
    }
}

/// The digits: from the folder that was named, else from the cache, else downloaded into the cache, else
/// generated.
///
/// A named folder is taken at its word: what is missing or broken there is an error. In the cache it is
/// downloaded again. `progress` hears about the download. When digits were generated for want of MNIST, their
/// [origin](Digits::origin) holds the reason.
///
/// # Errors
///
/// What is wrong with the named folder: [`Error::MissingFolder`], [`Error::MissingFile`], [`Error::BadFile`].
/// With [`Require::Mnist`], why it cannot be downloaded: [`Error::Unavailable`]. [`Error::Io`], [`Error::Write`] and
/// [`Error::TemporaryFolder`] for the file system.
///
/// # Example
///
/// ```
/// use burnlite_mnist::{LoadOptions, Require, Source, load};
/// use std::path::Path;
///
/// let options = LoadOptions { require: Require::Digits, seed: 7, ..LoadOptions::new(Path::new(".")) };
/// let digits = load(&options, &mut |_| {})?;
/// assert_eq!(digits.source(), Source::Generated);
/// assert_eq!((digits.train.len(), digits.test.len()), (60_000, 10_000));
/// # Ok::<(), burnlite_mnist::Error>(())
/// ```
pub fn load(options: &LoadOptions, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Digits, Error> {
    if options.require == Require::Digits {
        return Ok(Digits::generate(options.seed, TRAIN_LEN, TEST_LEN));
    }
    if let Some(folder) = &options.data_dir {
        let (train, test) = mnist::read(folder, &options.manifest)?;
        return Ok(Digits { train, test, origin: Origin::Folder(folder.clone()) });
    }
    match cached_or_downloaded(&options.cache_dir, &options.manifest, progress) {
        Err(reason) if options.require == Require::Auto => {
            let mut digits = Digits::generate(options.seed, TRAIN_LEN, TEST_LEN);
            digits.origin = Origin::Generated { seed: options.seed, reason: Some(Box::new(reason)) };
            Ok(digits)
        }
        result => result,
    }
}

fn cached_or_downloaded(
    cache: &Path,
    manifest: &Manifest,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Digits, Error> {
    if let Ok((train, test)) = mnist::read(cache, manifest) {
        return Ok(Digits { train, test, origin: Origin::Cache(cache.to_owned()) });
    }
    download::complete(cache, manifest, progress)?;
    let (train, test) = mnist::read(cache, manifest)?;
    Ok(Digits { train, test, origin: Origin::Download(cache.to_owned()) })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::fixture::{self, Answer, Server};
    use super::super::manifest::File;
    use super::super::{Source, mnist};
    use super::*;

    fn options(cache: &Path, mirror: String) -> LoadOptions {
        LoadOptions {
            data_dir: None,
            cache_dir: cache.join("mnist"),
            require: Require::Auto,
            seed: 3,
            manifest: fixture::manifest(&[mirror]),
        }
    }

    /// A mirror of the fixture's files.
    fn mirror() -> Server {
        Server::start(|_, request| {
            let file = File::ALL.into_iter().find(|file| request.path == format!("/{}.gz", file.name()));
            (Answer::Range, fixture::gzip(&fixture::raw(file.unwrap())))
        })
    }

    #[test]
    fn a_named_folder_is_taken_at_its_word() {
        let folder = tempfile::tempdir().unwrap();
        let server = mirror();
        let options = LoadOptions {
            data_dir: Some(folder.path().to_owned()),
            ..options(folder.path(), server.url.clone())
        };
        let error = load(&options, &mut |_| {}).unwrap_err();
        assert!(matches!(error, Error::MissingFile { .. }), "{error}");
        fixture::fill(folder.path());
        let digits = load(&options, &mut |_| {}).unwrap();
        assert!(matches!(digits.origin, Origin::Folder(_)));
        assert_eq!(digits.source(), Source::Mnist);
        fs::write(folder.path().join(File::TestLabels.name()), fixture::raw(File::TrainLabels)).unwrap();
        let error = load(&options, &mut |_| {}).unwrap_err();
        assert!(matches!(error, Error::BadFile { .. }), "{error}");
        assert!(server.paths().is_empty(), "a named folder asks no mirror");
    }

    #[test]
    fn the_cache_is_filled_once_and_repaired() {
        let folder = tempfile::tempdir().unwrap();
        let server = mirror();
        let options = options(folder.path(), server.url.clone());
        let digits = load(&options, &mut |_| {}).unwrap();
        assert!(matches!(digits.origin, Origin::Download(_)));
        assert_eq!(server.paths(), File::ALL.map(|file| format!("/{}.gz", file.name())));

        let digits = load(&options, &mut |_| {}).unwrap();
        assert!(matches!(digits.origin, Origin::Cache(_)));
        assert_eq!(server.paths().len(), 4);

        // A broken raw file stands in front of the good compressed one.
        fs::write(options.cache_dir.join(File::TestLabels.name()), b"broken").unwrap();
        let digits = load(&options, &mut |_| {}).unwrap();
        assert!(matches!(digits.origin, Origin::Download(_)));
        assert_eq!(server.paths()[4..], ["/t10k-labels-idx1-ubyte.gz"]);
        assert!(mnist::read(&options.cache_dir, &options.manifest).is_ok());
    }

    #[test]
    fn without_cache_and_network_digits_are_generated_and_the_reason_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let mut options = options(folder.path(), fixture::nowhere());
        let digits = load(&options, &mut |_| {}).unwrap();
        assert_eq!(digits.source(), Source::Generated);
        assert_eq!((digits.train.len(), digits.test.len()), (60_000, 10_000));
        let Origin::Generated { seed: 3, reason: Some(reason) } = &digits.origin else {
            panic!("{:?}", digits.origin);
        };
        assert!(matches!(**reason, Error::Unavailable { .. }), "{reason}");

        options.require = Require::Mnist;
        let error = load(&options, &mut |_| {}).unwrap_err();
        assert_eq!(error.to_string(), reason.to_string());

        options.require = Require::Digits;
        let asked = load(&options, &mut |_| {}).unwrap();
        assert!(matches!(asked.origin, Origin::Generated { seed: 3, reason: None }));
        assert_eq!(asked.test, digits.test);
    }

    #[test]
    fn an_unknown_dataset_is_refused_with_the_known_ones() {
        assert_eq!("mnist".parse::<Require>().unwrap(), Require::Mnist);
        let message = "cifar".parse::<Require>().unwrap_err().to_string();
        assert_eq!(message, "unknown dataset \"cifar\": choose auto, mnist or digits");
    }
}
