//! The rows of a layer's result on several threads.

/// Bytes of weights that a layer's windows meet, from which on it is worth threads.
pub(super) const WORTH: usize = 1 << 22;

/// Calls `work` for parts of a result, each with the number of its first row, on as many threads at once. Rows have `line`
/// elements.
#[cfg(feature = "std")]
pub(super) fn divide<T: Send>(
    threads: usize,
    line: usize,
    outputs: &mut [T],
    work: impl Fn(usize, &mut [T]) + Sync,
) {
    let rows = (outputs.len() / line.max(1)).div_ceil(threads).max(1);
    if threads <= 1 || rows * line >= outputs.len() {
        return work(0, outputs);
    }
    let parts = std::sync::Mutex::new(outputs.chunks_mut(rows * line).enumerate());
    let next = || parts.lock().ok().and_then(|mut parts| parts.next());
    let take_parts = || {
        while let Some((index, outputs)) = next() {
            work(index * rows, outputs);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            // Where no thread can be started, the others do its part.
            drop(std::thread::Builder::new().spawn_scoped(scope, take_parts));
        }
        take_parts();
    });
}

/// Without threads: all of the result at once.
#[cfg(not(feature = "std"))]
pub(super) fn divide<T>(_threads: usize, _line: usize, outputs: &mut [T], work: impl Fn(usize, &mut [T])) {
    work(0, outputs);
}
