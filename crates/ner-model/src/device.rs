//! The device, chosen at run time.

use std::fmt;
use std::str::FromStr;

use burn::tensor::{DType, Device, Tensor};

use crate::Error;

/// A device as users name it: `auto`, `cuda`, `cuda:N`, `flex` (also `cpu`) or `ndarray`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// CUDA where this build has it and a GPU answers, else `flex`.
    #[default]
    Auto,
    /// NVIDIA GPU number N.
    Cuda(usize),
    /// Burn's CPU backend.
    Flex,
    /// The older CPU backend on the `ndarray` crate.
    NdArray,
}

impl FromStr for DeviceChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let choice = match text.split_once(':') {
            Some(("cuda", index)) => index.parse().ok().map(Self::Cuda),
            None if text == "auto" => Some(Self::Auto),
            None if text == "cuda" => Some(Self::Cuda(0)),
            None if text == "flex" || text == "cpu" => Some(Self::Flex),
            None if text == "ndarray" => Some(Self::NdArray),
            _ => None,
        };
        choice.ok_or_else(|| Error::Device {
            device: text.to_owned(),
            reason: match text {
                "gpu" => "a GPU is `cuda`, or `cuda:N`",
                _ => "expected auto, cuda, cuda:N, flex (also cpu) or ndarray",
            }
            .to_owned(),
        })
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Flex => f.write_str("flex"),
            Self::NdArray => f.write_str("ndarray"),
        }
    }
}

impl DeviceChoice {
    /// What `auto` stands for here; any other choice is itself.
    pub fn resolve(self) -> Self {
        match self {
            Self::Auto if cuda_devices() > 0 => Self::Cuda(0),
            Self::Auto => Self::Flex,
            other => other,
        }
    }

    /// Opens the device.
    ///
    /// # Errors
    /// This build lacks the device, or no such GPU answers; the message says how to get it.
    pub fn open(self) -> Result<Device, Error> {
        let choice = self.resolve();
        let unavailable = |reason: String| {
            Err(Error::Device {
                device: choice.to_string(),
                reason,
            })
        };
        match choice {
            Self::Auto | Self::Flex => Ok(Device::flex()),
            #[cfg(feature = "ndarray")]
            #[expect(
                deprecated,
                reason = "kept as a device that users can choose until Burn removes it"
            )]
            Self::NdArray => Ok(Device::ndarray()),
            #[cfg(not(feature = "ndarray"))]
            Self::NdArray => unavailable(
                "this build has no `ndarray`; rebuild with `--features ndarray`".to_owned(),
            ),
            Self::Cuda(_) if cfg!(not(feature = "cuda")) => unavailable(
                "this build has no CUDA; rebuild with `--features cuda` (see docs/cuda.md)"
                    .to_owned(),
            ),
            Self::Cuda(index) => match cuda_devices() {
                0 => unavailable(
                    "no NVIDIA driver or GPU answers; check `nvidia-smi`, or use `--device flex`"
                        .to_owned(),
                ),
                count if index >= count => {
                    unavailable(format!("the driver lists {count} GPU(s), numbered from 0"))
                }
                _ => open_cuda(index),
            },
        }
    }
}

/// The values of a tensor, copied to the host. On a GPU this waits for all that the tensor depends on, and is where its failures show.
///
/// # Errors
/// The device fails.
pub fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, Error> {
    let values = tensor
        .try_into_data()
        .map_err(|failure| Error::Computation(failure.to_string()))
        .and_then(|data| match data.dtype() {
            DType::F32 => data
                .try_into_vec()
                .map_err(|failure| Error::Computation(failure.to_string())),
            _ => Ok(data.iter::<f32>().collect()),
        });
    #[cfg(feature = "cuda")]
    if let Some(failure) = crate::ops::cuda::take_failure() {
        return Err(Error::Computation(failure));
    }
    values
}

#[cfg(feature = "cuda")]
fn cuda_devices() -> usize {
    keep_compiled_kernels();
    Device::enumerate(burn::tensor::DeviceType::Cuda).len()
}

#[cfg(not(feature = "cuda"))]
fn cuda_devices() -> usize {
    0
}

/// Kernels are compiled at run time, and tuning compiles many: the next process takes them from CubeCL's store, where the results of tuning
/// are. A program that has configured CubeCL before, or a `cubecl.toml`, decides everything else.
#[cfg(feature = "cuda")]
fn keep_compiled_kernels() {
    use cubecl_runtime::config::{CubeClRuntimeConfig, RuntimeConfig};

    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let mut config = CubeClRuntimeConfig::from_current_dir().override_from_env();
        config.compilation.cache = true;
        CubeClRuntimeConfig::try_set(config);
    });
}

/// Kernels are compiled when they are first needed. Without a compiler none computes, and what is read back is what the memory held before:
/// that is found out here.
#[cfg(feature = "cuda")]
fn open_cuda(index: usize) -> Result<Device, Error> {
    let unavailable = |reason: String| Error::Device {
        device: format!("cuda:{index}"),
        reason: format!("{reason} (docs/cuda.md, \"At run time\")"),
    };
    if !has_nvrtc() {
        let reason = "NVRTC, which compiles its kernels, cannot be loaded; put the folder of libnvrtc.so on LD_LIBRARY_PATH";
        return Err(unavailable(reason.to_owned()));
    }
    let include = cubecl_cuda::install::cuda_path().map(|toolkit| toolkit.join("include"));
    if let Some(reason) = missing_headers(include.as_deref()) {
        return Err(unavailable(reason));
    }
    let device = Device::cuda(index);
    let sum = read(Tensor::<1>::from_data([1.0_f32, 2.0, 3.0], &device) + 1.0)
        .map_err(|failure| unavailable(failure.to_string()))?;
    if sum != [2.0, 3.0, 4.0] {
        return Err(unavailable(format!(
            "[1, 2, 3] + 1 came out as {sum:?}: its kernels do not run"
        )));
    }
    Ok(device)
}

#[cfg(feature = "cuda")]
#[expect(unsafe_code, reason = "loading a library runs its initializers")]
fn has_nvrtc() -> bool {
    // SAFETY: it is the library that the first kernel would load.
    unsafe { cudarc::nvrtc::sys::is_culib_present() }
}

/// What is wrong with the folder of CUDA's headers.
#[cfg(any(test, feature = "cuda"))]
fn missing_headers(include: Option<&std::path::Path>) -> Option<String> {
    /// Of those that kernels include, one of each of NVIDIA's packages.
    const HEADERS: [&str; 3] = ["cuda_fp16.h", "crt/mma.h", "cooperative_groups.h"];
    const REMEDY: &str = "set CUDA_PATH to a toolkit";
    let Some(include) = include else {
        return Some(format!("CUDA's headers are not found; {REMEDY}"));
    };
    let missing = HEADERS
        .iter()
        .find(|header| !include.join(header).is_file())?;
    let folder = include.display();
    Some(format!("{folder} has no {missing}; {REMEDY}"))
}

#[cfg(not(feature = "cuda"))]
fn open_cuda(index: usize) -> Result<Device, Error> {
    Err(Error::Device {
        device: format!("cuda:{index}"),
        reason: "this build has no CUDA".to_owned(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_unknown_ones_are_refused() {
        for name in ["auto", "cuda:0", "cuda:3", "flex", "ndarray"] {
            assert_eq!(
                name.parse::<DeviceChoice>()
                    .map(|d| d.to_string())
                    .ok()
                    .as_deref(),
                Some(name)
            );
        }
        // As PyTorch calls it.
        assert_eq!("cpu".parse::<DeviceChoice>().ok(), Some(DeviceChoice::Flex));
        for (name, said) in [
            ("", "expected auto"),
            ("gpu", "a GPU is `cuda`"),
            ("cuda:", "expected auto"),
            ("cuda:x", "expected auto"),
            ("flex:1", "expected auto"),
            ("cpu:0", "expected auto"),
        ] {
            let message = name
                .parse::<DeviceChoice>()
                .expect_err("must be refused")
                .to_string();
            assert!(message.contains(said), "{message}");
        }
    }

    #[test]
    fn a_missing_header_is_named_with_its_folder() {
        let message = missing_headers(None).unwrap();
        assert!(message.contains("CUDA_PATH"), "{message}");
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("crt")).unwrap();
        for header in ["cuda_fp16.h", "crt/mma.h", "cooperative_groups.h"] {
            let message = missing_headers(Some(dir.path())).unwrap();
            assert!(message.contains(&format!("has no {header}")), "{message}");
            std::fs::write(dir.path().join(header), "").unwrap();
        }
        assert_eq!(missing_headers(Some(dir.path())), None);
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_device_that_was_not_built_says_how_to_get_it() {
        let message = DeviceChoice::Cuda(0)
            .open()
            .expect_err("not built")
            .to_string();
        assert!(message.contains("--features cuda"), "{message}");
        assert_eq!(DeviceChoice::Auto.resolve(), DeviceChoice::Flex);
    }
}
