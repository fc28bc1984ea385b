//! The simplest allocator: each block lies behind the one before, and only the last one is ever taken back.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes that there are to allocate.
const BYTES: usize = 256 << 10;

/// Memory for an allocator.
#[repr(C, align(16))]
pub struct Heap {
    bytes: UnsafeCell<[u8; BYTES]>,
    used: AtomicUsize,
}

// SAFETY: no byte belongs to two blocks, and nobody touches one that belongs to none.
unsafe impl Sync for Heap {}

impl Heap {
    /// All of it free.
    pub const fn new() -> Self {
        Self { bytes: UnsafeCell::new([0; BYTES]), used: AtomicUsize::new(0) }
    }

    /// Bytes up to the end of the last block.
    pub fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    fn start(&self) -> *mut u8 {
        self.bytes.get().cast()
    }
}

impl Default for Heap {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: a block lies within the bytes, from a multiple of its alignment on, which is at most that of the bytes, and behind
// every block that has not been taken back.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let place = |used: usize| {
            let start = used.checked_next_multiple_of(layout.align())?;
            let end = start.checked_add(layout.size())?;
            (layout.align() <= align_of::<Self>() && end <= BYTES).then_some((start, end))
        };
        match self.used.fetch_update(Relaxed, Relaxed, |used| place(used).map(|(_, end)| end)) {
            Ok(used) => place(used).map_or(ptr::null_mut(), |(start, _)| self.start().wrapping_add(start)),
            Err(_) => ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let start = block.addr() - self.start().addr();
        // Unless it is the last block, nothing happens.
        self.used.compare_exchange(start + layout.size(), start, Relaxed, Relaxed).unwrap_or_default();
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let start = block.addr() - self.start().addr();
        let grown = start.checked_add(size).filter(|&end| end <= BYTES);
        let is_last = grown.is_some_and(|end| {
            self.used.compare_exchange(start + layout.size(), end, Relaxed, Relaxed).is_ok()
        });
        if is_last {
            return block;
        }
        // SAFETY: the caller's size is right for the alignment; the new block is apart from the old one.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                ptr::copy_nonoverlapping(block, new, size.min(layout.size()));
                self.dealloc(block, layout);
            }
            new
        }
    }
}
