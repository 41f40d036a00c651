//! How the C library's allocator treats freed memory.
#![allow(unsafe_code, reason = "calls of the C library")]

/// Has glibc keep large freed buffers instead of handing them back to the system after each operation, which saves page faults. Does nothing elsewhere.
pub fn tune_allocator() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const KEEP: libc::c_int = 1 << 30;
        // SAFETY: mallopt only sets parameters of the allocator and may be called at any time.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, KEEP);
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
