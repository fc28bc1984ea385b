//! MNIST from its mirrors: resumed where a transfer broke, verified, written beside and renamed.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use burnlite_files::FolderLock;
use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body};

use super::manifest::{File, Manifest};
use super::mnist;
use crate::error::{Attempt, Error};

/// How often one mirror may break a transfer that was getting on.
const RESUMES: usize = 8;
/// Longest silence of a server.
const SILENCE: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(10);

/// News of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// Another process is downloading into the same cache: waiting until it is done.
    Waiting {
        /// The cache.
        folder: &'a Path,
    },
    /// Bytes have arrived, or a transfer begins.
    Received {
        /// The published name of the file.
        name: &'a str,
        /// The address it comes from.
        url: &'a str,
        /// Bytes of the compressed file that are here, those of an earlier transfer included.
        received: u64,
        /// Bytes of the compressed file, if the server says so.
        total: Option<u64>,
    },
}

/// Downloads the files that `folder` lacks or holds broken.
///
/// # Errors
///
/// [`Error::Unavailable`] when no mirror serves a file, [`Error::Io`] or [`Error::Write`] when the folder cannot be written.
pub(super) fn complete(
    folder: &Path,
    manifest: &Manifest,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
    let _lock = lock(folder, progress)?;
    let agent = agent();
    for file in File::ALL {
        if mnist::read_file(folder, file, manifest).is_err() {
            fetch(&agent, folder, file, manifest, progress)?;
        }
    }
    Ok(())
}

/// Keeps other processes from downloading into `folder` until it is dropped.
fn lock(folder: &Path, progress: &mut dyn FnMut(Progress<'_>)) -> Result<FolderLock, Error> {
    if let Some(lock) = FolderLock::try_new(folder)? {
        return Ok(lock);
    }
    progress(Progress::Waiting { folder });
    Ok(FolderLock::wait(folder)?)
}

fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        .user_agent(concat!("burnlite-mnist/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent()
}

/// Downloads one file from the first mirror that serves it.
fn fetch(
    agent: &Agent,
    folder: &Path,
    file: File,
    manifest: &Manifest,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), Error> {
    let [raw, gzip] = mnist::paths(folder, file);
    let mut attempts = Vec::new();
    for mirror in &manifest.mirrors {
        let url = format!("{}/{}.gz", mirror.trim_end_matches('/'), file.name());
        let transfer =
            Transfer { agent, url: &url, file, part: folder.join(format!("{}.gz.part", file.name())) };
        match transfer.run(manifest, progress) {
            Ok(()) => {
                fs::rename(&transfer.part, &gzip).map_err(Error::write(gzip))?;
                // A broken raw file would be preferred to the good one.
                return remove(&raw);
            }
            Err(Failure::Mirror(reason)) => attempts.push(Attempt { url, reason }),
            Err(Failure::Local(error)) => return Err(error),
        }
    }
    Err(Error::Unavailable { name: file.name(), folder: folder.to_owned(), attempts })
}

/// Removes a file if it is there.
fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Why a transfer failed: another mirror may do better, or none can.
enum Failure {
    Mirror(String),
    Local(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Local(error)
    }
}

impl From<ureq::Error> for Failure {
    fn from(error: ureq::Error) -> Self {
        Self::Mirror(error.to_string())
    }
}

/// One file on one mirror, and the partial file that its bytes are collected in.
struct Transfer<'a> {
    agent: &'a Agent,
    url: &'a str,
    file: File,
    part: PathBuf,
}

impl Transfer<'_> {
    /// Completes and verifies the partial file.
    ///
    /// A transfer that breaks is resumed as long as it gets on. A resumed file that turns out wrong, as when
    /// its beginning came from elsewhere, is started again from nothing.
    fn run(&self, manifest: &Manifest, progress: &mut dyn FnMut(Progress<'_>)) -> Result<(), Failure> {
        let mut resumes = 0;
        loop {
            let start = self.len()?;
            match self.request(start, progress) {
                Ok(fresh) => match mnist::read_verified(&self.part, self.file, manifest) {
                    Ok(_) => return Ok(()),
                    Err(Error::BadFile { flaw, .. }) => {
                        remove(&self.part)?;
                        if fresh {
                            return Err(Failure::Mirror(format!("its file {flaw}")));
                        }
                    }
                    Err(error) => return Err(Failure::Local(error)),
                },
                Err(Failure::Mirror(_)) if resumes < RESUMES && self.len()? > start => resumes += 1,
                Err(failure) => return Err(failure),
            }
        }
    }

    /// The length of the partial file, 0 without one.
    fn len(&self) -> Result<u64, Error> {
        match fs::metadata(&self.part) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(Error::io("read", &self.part)(error)),
        }
    }

    /// Asks for the bytes from `start` on and appends them; whether the file was begun anew.
    fn request(&self, start: u64, progress: &mut dyn FnMut(Progress<'_>)) -> Result<bool, Failure> {
        let mut request = self.agent.get(self.url);
        if start > 0 {
            request = request.header(header::RANGE, format!("bytes={start}-"));
        }
        let response = request.call()?;
        let start = match response.status() {
            StatusCode::OK => 0,
            StatusCode::PARTIAL_CONTENT if begins_at(&response, start) => start,
            // Nothing is left to send: the partial file is complete, or too long.
            StatusCode::RANGE_NOT_SATISFIABLE if start > 0 => return Ok(false),
            status => return Err(Failure::Mirror(format!("answered {status}"))),
        };
        self.receive(response, start, progress)?;
        Ok(start == 0)
    }

    /// Writes the body of a response into the partial file, from `start` on.
    fn receive(
        &self,
        response: Response<Body>,
        start: u64,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), Failure> {
        let write = || Error::write(&self.part);
        let mut options = OpenOptions::new();
        let options =
            if start == 0 { options.write(true).create(true).truncate(true) } else { options.append(true) };
        let mut part = options.open(&self.part).map_err(write())?;
        let total = response.body().content_length().map(|rest| start.saturating_add(rest));
        let mut body = response.into_body().into_reader();
        let (mut received, mut buffer) = (start, vec![0; 1 << 16]);
        loop {
            progress(Progress::Received { name: self.file.name(), url: self.url, received, total });
            let count = body.read(&mut buffer).map_err(|error| Failure::Mirror(error.to_string()))?;
            if count == 0 {
                break;
            }
            part.write_all(&buffer[..count]).map_err(write())?;
            received += count as u64;
            if received > longest(self.file) {
                drop(part);
                remove(&self.part)?;
                return Err(Failure::Mirror(format!("sent more than {} bytes", longest(self.file))));
            }
        }
        match total.filter(|&total| total != received) {
            Some(total) => Err(Failure::Mirror(format!("broke off after {received} of {total} bytes"))),
            None => Ok(part.sync_all().map_err(write())?),
        }
    }
}

/// Whether the response holds the bytes from `start` on: `Content-Range: bytes start-end/length`.
fn begins_at(response: &Response<Body>, start: u64) -> bool {
    let range = response.headers().get(header::CONTENT_RANGE).and_then(|range| range.to_str().ok());
    range.and_then(|range| range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()) == Some(start)
}

/// A bound of the compressed file: deflate stores what it cannot compress, for less than a thousandth.
fn longest(file: File) -> u64 {
    file.bytes() + file.bytes() / 1000 + 1024
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::super::fixture::{self, Answer, Server};
    use super::*;

    const FILE: File = File::TestLabels;
    const GZIP: &str = "t10k-labels-idx1-ubyte.gz";
    const PART: &str = "t10k-labels-idx1-ubyte.gz.part";

    fn body() -> Vec<u8> {
        fixture::gzip(&fixture::raw(FILE))
    }

    /// A server that gives these answers in turn, and 404 after them.
    fn server(answers: Vec<Answer>) -> Server {
        let answers = std::sync::Mutex::new(answers.into_iter());
        Server::start(move |_, _| {
            let answer = answers.lock().unwrap().next();
            (answer.unwrap_or(Answer::Status("404 Not Found")), body())
        })
    }

    fn fetch_from(folder: &Path, mirrors: &[&str]) -> Result<(), Error> {
        let mirrors: Vec<String> = mirrors.iter().map(|&mirror| mirror.to_owned()).collect();
        fetch(&agent(), folder, FILE, &fixture::manifest(&mirrors), &mut |_| {})
    }

    fn assert_complete(folder: &Path) {
        assert_eq!(fs::read(folder.join(GZIP)).unwrap(), body());
        assert!(!folder.join(PART).exists());
    }

    fn reasons_of(result: Result<(), Error>) -> Vec<String> {
        match result {
            Err(Error::Unavailable { attempts, .. }) => {
                attempts.into_iter().map(|attempt| attempt.reason).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_arrives_and_progress_counts_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let server = server(vec![Answer::Whole]);
        let mut news = Vec::new();
        let manifest = fixture::manifest(std::slice::from_ref(&server.url));
        fetch(&agent(), folder.path(), FILE, &manifest, &mut |progress| {
            let Progress::Received { name, received, total, .. } = progress else { panic!("{progress:?}") };
            assert_eq!(name, FILE.name());
            news.push((received, total));
        })
        .unwrap();
        assert_complete(folder.path());
        let length = body().len() as u64;
        assert_eq!(news.first(), Some(&(0, Some(length))));
        assert_eq!(news.last(), Some(&(length, Some(length))));
        assert!(news.is_sorted());
        assert_eq!(server.paths(), [format!("/{GZIP}")]);
    }

    #[test]
    fn a_broken_transfer_is_resumed_where_it_broke() {
        let folder = tempfile::tempdir().unwrap();
        let server = server(vec![Answer::Break(50), Answer::Break(7), Answer::Range]);
        fetch_from(folder.path(), &[&server.url]).unwrap();
        assert_complete(folder.path());
        assert_eq!(server.starts(), [None, Some(50), Some(57)]);
    }

    #[test]
    fn a_transfer_that_gets_nowhere_is_left_for_later_and_resumed_then() {
        let folder = tempfile::tempdir().unwrap();
        let broken = server(vec![Answer::Break(50), Answer::Break(0)]);
        let reasons = reasons_of(fetch_from(folder.path(), &[&broken.url]));
        assert_eq!(reasons.len(), 1);
        assert_eq!(fs::read(folder.path().join(PART)).unwrap(), body()[..50]);
        assert!(!folder.path().join(GZIP).exists());

        let server = server(vec![Answer::Range]);
        fetch_from(folder.path(), &[&server.url]).unwrap();
        assert_complete(folder.path());
        assert_eq!(server.starts(), [Some(50)]);
    }

    /// What is killed below: this program, as a process that runs this test alone.
    #[test]
    fn a_download_in_a_process_of_its_own() {
        let named = |name| std::env::var(name).ok();
        if let (Some(folder), Some(mirror)) = (named("BURNLITE_TEST_FOLDER"), named("BURNLITE_TEST_MIRROR")) {
            fetch_from(folder.as_ref(), &[&mirror]).unwrap();
        }
    }

    #[test]
    fn a_killed_download_is_resumed_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join(PART);
        for sent in [1, 30, 50] {
            let stalled = Server::start(move |_, _| (Answer::Stall(sent), body()));
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "dataset::download::tests::a_download_in_a_process_of_its_own"])
                .env("BURNLITE_TEST_FOLDER", folder.path())
                .env("BURNLITE_TEST_MIRROR", &stalled.url)
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            while !fs::read(&part).is_ok_and(|part| part == body()[..sent]) {
                assert_eq!(child.try_wait().unwrap(), None, "the server never sends the rest");
                std::thread::yield_now();
            }
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(!folder.path().join(GZIP).exists());

            let server = server(vec![Answer::Range]);
            fetch_from(folder.path(), &[&server.url]).unwrap();
            assert_complete(folder.path());
            assert_eq!(server.starts(), [Some(sent)]);
            fs::remove_file(folder.path().join(GZIP)).unwrap();
        }
    }

    #[test]
    fn a_server_that_breaks_again_and_again_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let broken = Server::start(|_, _| (Answer::Break(1), body()));
        reasons_of(fetch_from(folder.path(), &[&broken.url]));
        assert_eq!(broken.starts().len(), RESUMES + 1);
    }

    #[test]
    fn a_server_that_ignores_ranges_starts_the_file_again() {
        let folder = tempfile::tempdir().unwrap();
        let server = server(vec![Answer::Break(50), Answer::Whole]);
        fetch_from(folder.path(), &[&server.url]).unwrap();
        assert_complete(folder.path());
        assert_eq!(server.starts(), [None, Some(50)]);
    }

    #[test]
    fn a_resumed_file_that_is_wrong_is_started_again() {
        let folder = tempfile::tempdir().unwrap();
        for beginning in [&[1; 60][..], &vec![1; body().len()], &vec![1; 60_000]] {
            fs::write(folder.path().join(PART), beginning).unwrap();
            let server = server(vec![Answer::Range, Answer::Range]);
            fetch_from(folder.path(), &[&server.url]).unwrap();
            assert_complete(folder.path());
            assert_eq!(server.starts(), [Some(beginning.len()), None]);
        }
    }

    #[test]
    fn a_complete_partial_file_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(PART), body()).unwrap();
        let server = server(vec![Answer::Range]);
        fetch_from(folder.path(), &[&server.url]).unwrap();
        assert_complete(folder.path());
        assert_eq!(server.starts(), [Some(body().len())]);
    }

    #[test]
    fn a_corrupted_file_is_thrown_away_and_the_next_mirror_asked() {
        let folder = tempfile::tempdir().unwrap();
        let swapped = Server::start(|_, _| (Answer::Range, fixture::gzip(&fixture::raw(File::TrainLabels))));
        let good = server(vec![Answer::Range]);
        fetch_from(folder.path(), &[&swapped.url, &good.url]).unwrap();
        assert_complete(folder.path());
        assert_eq!((swapped.starts(), good.starts()), (vec![None], vec![None]));

        let reasons = reasons_of(fetch_from(folder.path(), &[&swapped.url]));
        assert_eq!(reasons, ["its file holds train-labels-idx1-ubyte in place of t10k-labels-idx1-ubyte"]);
        assert!(!folder.path().join(PART).exists());
    }

    #[test]
    fn a_file_without_end_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(|_, _| (Answer::Whole, vec![0; 300_000]));
        let reasons = reasons_of(fetch_from(folder.path(), &[&server.url]));
        assert_eq!(reasons, ["sent more than 11042 bytes"]);
        assert!(!folder.path().join(PART).exists());
    }

    #[test]
    fn every_mirror_says_why_it_failed() {
        let folder = tempfile::tempdir().unwrap();
        let (missing, nowhere) = (server(vec![]), fixture::nowhere());
        let error = fetch_from(folder.path(), &[&missing.url, &nowhere]).unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains(&format!("{}{GZIP}: answered 404 Not Found; {nowhere}{GZIP}: ", missing.url))
        );
        assert!(message.contains("connect to the network, or put the four MNIST files into"), "{message}");
        assert!(!message.contains('\n'));
        let message = fetch_from(folder.path(), &[]).unwrap_err().to_string();
        assert!(message.contains("(no mirror is listed)"), "{message}");
    }

    #[test]
    fn a_cache_that_cannot_be_written_is_an_error_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = complete(&file, &fixture::manifest(&[]), &mut |_| {}).unwrap_err();
        assert!(matches!(error, Error::Io { action: "create the folder", .. }), "{error}");
    }

    #[test]
    fn a_second_process_waits_for_the_first() {
        let folder = tempfile::tempdir().unwrap();
        fixture::fill(folder.path());
        let mut first = Some(lock(folder.path(), &mut |_| {}).unwrap());
        let mut waited = 0;
        complete(folder.path(), &fixture::manifest(&[]), &mut |progress| {
            assert_eq!(progress, Progress::Waiting { folder: folder.path() });
            waited += 1;
            first = None;
        })
        .unwrap();
        assert_eq!(waited, 1);
    }
}
