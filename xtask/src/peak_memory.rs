//! Peak resident memory of this process, where the system tells it (Linux).

use std::fs;

/// Starts a new measurement: the peak falls to what is resident now. Without the permission to, peaks keep growing over
/// the whole process and a later stage may show the peak of an earlier one.
pub fn reset() {
    // proc(5), /proc/pid/clear_refs: 5 resets the peak resident set size.
    _ = fs::write("/proc/self/clear_refs", "5");
}

/// Peak resident set size in bytes since the last [`reset`].
pub fn bytes() -> Option<u64> {
    parse(&fs::read_to_string("/proc/self/status").ok()?)
}

fn parse(status: &str) -> Option<u64> {
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn reads_the_high_water_mark() {
        assert_eq!(
            parse("VmPeak:\t  9999 kB\nVmHWM:\t    2048 kB\nVmRSS:\t  1024 kB\n"),
            Some(2048 * 1024)
        );
        assert_eq!(parse("VmPeak:\t  9999 kB\n"), None);
    }
}
