//! For tests: files in the form of MNIST's with other content, and a server for them on the loopback address.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::{fs, thread};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use super::manifest::{File, Manifest};

/// The raw bytes of a file: labels count up, images are black.
pub(super) fn raw(file: File) -> Vec<u8> {
    let mut bytes = file.header();
    let content = file.bytes() as usize - bytes.len();
    match file {
        File::TrainImages | File::TestImages => bytes.resize(bytes.len() + content, 0),
        File::TrainLabels | File::TestLabels => bytes.extend((0..content).map(|index| (index % 10) as u8)),
    }
    bytes
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The checksums of these files, and the mirrors of the caller.
pub(super) fn manifest(mirrors: &[String]) -> Manifest {
    static FILES: OnceLock<Manifest> = OnceLock::new();
    let files = FILES.get_or_init(|| {
        let mut text = "mirrors = []\n".to_owned();
        for file in File::ALL {
            let sum: String = Sha256::digest(raw(file)).iter().map(|byte| format!("{byte:02x}")).collect();
            text += &format!("[files.{}]\nbytes = {}\nsha256 = \"{sum}\"\n", file.name(), file.bytes());
        }
        Manifest::parse(&text).unwrap()
    });
    let mut manifest = files.clone();
    manifest.mirrors = mirrors.to_vec();
    manifest
}

/// Puts the four files into a folder, images compressed, labels raw.
pub(super) fn fill(folder: &Path) {
    for file in [File::TrainLabels, File::TestLabels] {
        fs::write(folder.join(file.name()), raw(file)).unwrap();
    }
    for file in [File::TrainImages, File::TestImages] {
        fs::write(folder.join(format!("{}.gz", file.name())), gzip(&raw(file))).unwrap();
    }
}

/// How a server answers one request for a body.
pub(super) enum Answer {
    /// The whole body, whatever was asked.
    Whole,
    /// The range that was asked, or all.
    Range,
    /// The range that was asked, announced in full and broken off after so many bytes.
    Break(usize),
    /// The range that was asked, announced in full; after so many bytes nothing more comes, for ever.
    Stall(usize),
    /// Only a status.
    Status(&'static str),
}

/// An HTTP server: its address, and what it was asked so far.
pub(super) struct Server {
    pub(super) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

/// The path, and the start of the range, if one was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) path: String,
    pub(super) start: Option<usize>,
}

impl Server {
    /// Serves what `answer` says for the n-th request, from 0.
    pub(super) fn start(answer: impl Fn(usize, &Request) -> (Answer, Vec<u8>) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        thread::spawn(move || {
            for (index, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                let request = read_request(&stream);
                log.lock().unwrap().push(request.clone());
                let (answer, body) = answer(index, &request);
                let stalls = matches!(answer, Answer::Stall(_));
                reply(&mut stream, &request, answer, &body);
                if stalls {
                    std::mem::forget(stream);
                }
            }
        });
        Self { url, requests }
    }

    /// The start of the range of every request so far.
    pub(super) fn starts(&self) -> Vec<Option<usize>> {
        self.requests.lock().unwrap().iter().map(|request| request.start).collect()
    }

    /// The path of every request so far.
    pub(super) fn paths(&self) -> Vec<String> {
        self.requests.lock().unwrap().iter().map(|request| request.path.clone()).collect()
    }
}

/// An address on which nothing listens.
pub(super) fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/", listener.local_addr().unwrap())
}

fn read_request(stream: &TcpStream) -> Request {
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let path = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
    let mut start = None;
    for line in lines.take_while(|line| !line.is_empty()) {
        if let Some(range) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            start = Some(range.strip_suffix('-').unwrap().parse().unwrap());
        }
    }
    Request { path, start }
}

/// Sends one response and closes the connection. The client may have hung up: that is its right.
fn reply(stream: &mut TcpStream, request: &Request, answer: Answer, body: &[u8]) {
    let start = request.start.unwrap_or(0);
    let (status, rest, sent) = match answer {
        Answer::Whole => ("200 OK", body, body.len()),
        Answer::Status(status) => (status, &[][..], 0),
        Answer::Range | Answer::Break(_) | Answer::Stall(_) if start >= body.len() => {
            ("416 Range Not Satisfiable", &[][..], 0)
        }
        Answer::Range if start == 0 => ("200 OK", body, body.len()),
        Answer::Break(sent) | Answer::Stall(sent) if start == 0 => ("200 OK", body, sent),
        Answer::Range => ("206 Partial Content", &body[start..], body.len() - start),
        Answer::Break(sent) | Answer::Stall(sent) => ("206 Partial Content", &body[start..], sent),
    };
    let mut head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n", rest.len());
    if status.starts_with("206") {
        head += &format!("Content-Range: bytes {start}-{}/{}\r\n", body.len() - 1, body.len());
    }
    let _ = stream.write_all((head + "\r\n").as_bytes());
    let _ = stream.write_all(&rest[..sent]);
}
