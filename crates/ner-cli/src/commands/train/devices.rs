//! The devices that share a training.

use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail};
use ner_model::{Device, DeviceChoice};

/// One device or several, none twice.
#[derive(Clone, Debug)]
pub struct DeviceList(Vec<DeviceChoice>);

impl FromStr for DeviceList {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut devices = Vec::new();
        for name in text.split(',') {
            let device = name.trim().parse::<DeviceChoice>()?.resolve();
            if devices.contains(&device) {
                bail!("{device} is there twice; name each device once");
            }
            devices.push(device);
        }
        Ok(Self(devices))
    }
}

impl From<DeviceChoice> for DeviceList {
    fn from(device: DeviceChoice) -> Self {
        Self(vec![device.resolve()])
    }
}

impl fmt::Display for DeviceList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.iter().map(DeviceChoice::to_string).collect();
        f.write_str(&names.join(", "))
    }
}

impl DeviceList {
    /// The device that the optimizer runs on.
    pub fn first(&self) -> DeviceChoice {
        self.0[0]
    }

    /// Opens the first device and the others.
    pub fn open(&self) -> Result<(Device, Vec<Device>)> {
        let (first, others) = (self.0[0], &self.0[1..]);
        let others: Result<_, _> = others.iter().map(|device| device.open()).collect();
        Ok((first.open()?, others?))
    }
}
