//! Networks as people build them. Images are `[N, H, W, C]` in the file.

mod images;
mod sequences;

use crate::case::Case;

/// A network, and whether it is convolutional: then nothing in it may be moved.
pub(crate) struct Network {
    pub(crate) case: Case,
    pub(crate) is_convolutional: bool,
}

/// All of them.
pub(crate) fn networks() -> Vec<Network> {
    images::networks().into_iter().chain(sequences::networks()).collect()
}
