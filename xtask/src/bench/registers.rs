//! What the processor can do at the most: multiply-adds whose operands stay in registers.
#![allow(unsafe_code, reason = "instructions that no library function names")]

use anyhow::{Result, bail};
use ner_model::Precision;

use super::Outcome;

/// Multiply-adds of so many numbers each, one after the other, none of which waits for another. Returns their number.
#[cfg(target_arch = "x86_64")]
macro_rules! in_registers {
    ($name:ident, $instruction:literal) => {
        /// # Safety
        /// The processor has the instruction.
        #[target_feature(enable = "avx512f")]
        unsafe fn $name(rounds: u64) {
            macro_rules! line {
                ($sums:literal) => {
                    concat!($instruction, " ", $sums, ", zmm30, zmm31")
                };
            }
            // SAFETY: the caller's promise; no memory is touched, and all registers are named.
            unsafe {
                std::arch::asm!(
                    "vpxord zmm30, zmm30, zmm30",
                    "vpxord zmm31, zmm31, zmm31",
                    "2:",
                    line!("zmm0"), line!("zmm1"), line!("zmm2"), line!("zmm3"),
                    line!("zmm4"), line!("zmm5"), line!("zmm6"), line!("zmm7"),
                    line!("zmm8"), line!("zmm9"), line!("zmm10"), line!("zmm11"),
                    line!("zmm12"), line!("zmm13"), line!("zmm14"), line!("zmm15"),
                    "dec {rounds}",
                    "jnz 2b",
                    rounds = inout(reg) rounds => _,
                    out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _,
                    out("zmm4") _, out("zmm5") _, out("zmm6") _, out("zmm7") _,
                    out("zmm8") _, out("zmm9") _, out("zmm10") _, out("zmm11") _,
                    out("zmm12") _, out("zmm13") _, out("zmm14") _, out("zmm15") _,
                    out("zmm30") _, out("zmm31") _,
                    options(nomem, nostack),
                );
            }
        }
    };
}
#[cfg(target_arch = "x86_64")]
in_registers!(f32_round, "vfmadd231ps");
#[cfg(target_arch = "x86_64")]
in_registers!(bf16_round, "vdpbf16ps");
#[cfg(target_arch = "x86_64")]
in_registers!(int8_round, "vpdpbusd");

/// The rate of multiply-adds of such numbers by all threads; items are operations, two for each.
#[cfg(target_arch = "x86_64")]
pub fn rate(precision: Precision, threads: usize) -> Result<Outcome> {
    use std::{thread, time::Instant};

    /// Of sixteen instructions: about a second.
    const ROUNDS: u64 = 200_000_000;
    /// Sums of a register.
    const LANES: usize = 16;
    let has_512 = is_x86_feature_detected!("avx512f");
    let (round, of_lane, is_there, name): (unsafe fn(u64), usize, bool, &str) = match precision {
        Precision::F32 => (f32_round, 1, has_512, "AVX512F"),
        Precision::Bf16 => (
            bf16_round,
            2,
            has_512 && is_x86_feature_detected!("avx512bf16"),
            "AVX512-BF16",
        ),
        Precision::Int8 => (
            int8_round,
            4,
            has_512 && is_x86_feature_detected!("avx512vnni"),
            "AVX512-VNNI",
        ),
        Precision::Auto => bail!("--precision auto is no number"),
    };
    if !is_there {
        bail!("this processor has no {name}");
    }
    let started = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            // SAFETY: the processor has the instruction.
            scope.spawn(|| unsafe { round(ROUNDS) });
        }
    });
    let operations = threads * ROUNDS as usize * 16 * LANES * of_lane * 2;
    Ok(Outcome::of(started.elapsed(), operations))
}

#[cfg(not(target_arch = "x86_64"))]
pub fn rate(_: Precision, _: usize) -> Result<Outcome> {
    bail!("registers are measured on x86-64 only, with AVX512")
}
