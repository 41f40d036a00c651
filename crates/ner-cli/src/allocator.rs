//! How the C library's allocator treats freed memory.
#![allow(unsafe_code, reason = "calls of the C library")]

/// Has glibc keep freed buffers, up to those of an operation on a large batch, instead of handing them back to the system each time, which saves page
/// faults. Larger ones, such as the embeddings of a large vocabulary, go back at once. Does nothing elsewhere.
pub fn tune_allocator() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const KEEP: libc::c_int = 1 << 30;
        const LARGE: libc::c_int = 1 << 27;
        // SAFETY: mallopt only sets parameters of the allocator and may be called at any time.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
            libc::mallopt(libc::M_TRIM_THRESHOLD, KEEP);
        }
    }
}

/// Has glibc hand freed memory back to the system, in the middle of its heap too: buffers of many sizes leave holes there, which
/// [`tune_allocator`] lets stay. Does nothing elsewhere.
pub fn trim_allocator() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim touches free memory only and may be called at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}
