//! What numbers of settings may be.

use crate::error::{Error, Result};

fn refused<T>(name: &'static str, reason: String) -> Result<T> {
    Err(Error::Setting { name, reason })
}

pub(super) fn at_least_one(name: &'static str, value: usize) -> Result<()> {
    match value {
        0 => refused(name, "must be at least 1".to_owned()),
        _ => Ok(()),
    }
}

pub(super) fn not_negative(name: &'static str, value: f64) -> Result<()> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    refused(name, format!("{value} is not a number of 0 or more"))
}

pub(super) fn above_zero(name: &'static str, value: f64) -> Result<()> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    refused(name, format!("{value} is not a number above 0"))
}

/// A share of a whole that may be all of it.
pub(super) fn share(name: &'static str, value: f64) -> Result<()> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    refused(name, format!("{value} is no share between 0 and 1"))
}

/// A share that leaves something of the whole.
pub(super) fn share_below_one(name: &'static str, value: f64) -> Result<()> {
    if (0.0..1.0).contains(&value) {
        return Ok(());
    }
    refused(name, format!("{value} is no share below 1"))
}
