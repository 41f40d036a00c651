//! One source for a kernel, compiled for several instruction sets and chosen at run time.

/// An instruction set that this processor has.
///
/// Kernels contain no fused multiply-add and sum in a fixed order, so all sets give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(pub(super) Level);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// What the build targets: SSE2 on x86-64, NEON on AArch64.
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    /// The widest set of this processor.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2");
            if avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512bw")
            {
                return Self(Level::Avx512);
            }
            if avx2 {
                return Self(Level::Avx2);
            }
        }
        Self(Level::Portable)
    }

    /// All sets of this processor, the narrowest first.
    #[cfg(test)]
    pub fn all() -> Vec<Self> {
        match Self::detect().0 {
            Level::Portable => vec![Self(Level::Portable)],
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => vec![Self(Level::Portable), Self(Level::Avx2)],
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => vec![
                Self(Level::Portable),
                Self(Level::Avx2),
                Self(Level::Avx512),
            ],
        }
    }
}

/// Compiles functions once per instruction set; each takes the [`Isa`] to run with as its first argument.
macro_rules! vectorized {
    ($($(#[$attribute:meta])* fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $output:ty)? $body:block)*) => { $(
        $(#[$attribute])*
        #[allow(clippy::too_many_arguments, reason = "the instruction set is one more")]
        pub fn $name(isa: $crate::ops::fused::kernels::Isa, $($argument: $type),*) $(-> $output)? {
            use $crate::ops::fused::kernels::isa::Level;
            #[inline(always)]
            fn portable($($argument: $type),*) $(-> $output)? $body
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn avx2($($argument: $type),*) $(-> $output)? { portable($($argument),*) }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,avx512f,avx512vl,avx512dq,avx512bw")]
            fn avx512($($argument: $type),*) $(-> $output)? { portable($($argument),*) }
            match isa.0 {
                Level::Portable => portable($($argument),*),
                // SAFETY: only `Isa::detect` makes this value, where the processor reports these features.
                #[cfg(target_arch = "x86_64")]
                Level::Avx2 => unsafe { avx2($($argument),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                Level::Avx512 => unsafe { avx512($($argument),*) },
            }
        }
    )* };
}
pub(super) use vectorized;
