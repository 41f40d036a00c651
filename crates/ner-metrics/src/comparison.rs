//! Is one system better than another?

use rand::RngExt;
use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::resampling::draw;
use crate::scores::Counts;
use crate::{Error, Interval, Resampling, Result};

/// F1 of the runs of one side, such as the same training with several seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunScores {
    /// F1 of each run, 0 to 1.
    pub f1: Vec<f64>,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation, with one degree of freedom less than runs; none for a single run.
    pub deviation: Option<f64>,
}

/// Two systems on the same units.
///
/// ```
/// use ner_metrics::{Comparison, Counts, Resampling};
///
/// // 200 sentences with two entities each: `a` finds one of them, `b` in every second sentence both.
/// let counts = |correct| Counts { support: 2, predicted: 2, correct };
/// let a = vec![counts(1); 200];
/// let b: Vec<Counts> = (0..200).map(|i| counts(1 + i % 2)).collect();
/// let comparison = Comparison::new(&[a], &[b], &Resampling::default())?;
/// assert_eq!(comparison.difference.estimate, 0.25);
/// assert!(comparison.bootstrap_p < 0.01 && comparison.randomization_p.unwrap() < 0.01);
/// # Ok::<(), ner_metrics::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The first side.
    pub a: RunScores,
    /// The second side.
    pub b: RunScores,
    /// Mean F1 of `b` less that of `a`, and its interval: units are drawn anew, the same for both sides, and where a side has several runs, runs too.
    pub difference: Interval,
    /// Share of samples in which the difference strays from its estimate by as much as that is from 0: the two-sided paired bootstrap test
    /// (Efron & Tibshirani 1993, chapter 16).
    pub bootstrap_p: f64,
    /// Share of samples with at least this difference when the two predictions of each unit are swapped at random: approximate randomization
    /// (Noreen 1989; Yeh 2000, <https://aclanthology.org/C00-2137/>), two-sided. Runs are paired in their order; none where the sides have
    /// different numbers of them.
    pub randomization_p: Option<f64>,
    /// Welch's t-test over the runs, two-sided: whether the difference outlives the seeds, all with these same units. None for a side of one run, or
    /// where no run differs from another.
    pub seeds_p: Option<f64>,
}

impl Comparison {
    /// Of runs of two sides, each the counts of all units, in one order.
    ///
    /// # Shapes
    /// - a: `[runs][units]`
    /// - b: `[runs][units]`, perhaps of another number of runs
    ///
    /// # Errors
    /// [`Error::Resampling`] where a side has no run, or a run other units than the first.
    pub fn new(a: &[Vec<Counts>], b: &[Vec<Counts>], resampling: &Resampling) -> Result<Self> {
        let units = a.first().map_or(0, Vec::len);
        resampling.check(units)?;
        if b.is_empty() || a.iter().chain(b).any(|run| run.len() != units) {
            let lengths: Vec<String> = a.iter().chain(b).map(|run| run.len().to_string()).collect();
            let reason = format!(
                "runs of {} units; each side needs a run, and all runs the same units",
                lengths.join(", ")
            );
            return Err(Error::Resampling { reason });
        }
        let (scores_a, scores_b) = (RunScores::new(a), RunScores::new(b));
        let estimate = scores_b.mean - scores_a.mean;
        let samples = hierarchical_bootstrap(a, b, resampling);
        let strayed = samples.iter().map(|value| value - estimate);
        Ok(Self {
            bootstrap_p: share(strayed, estimate, resampling.samples),
            randomization_p: (a.len() == b.len()).then(|| randomization(a, b, resampling)),
            seeds_p: welch(&scores_a, &scores_b),
            difference: resampling.interval(estimate, samples),
            a: scores_a,
            b: scores_b,
        })
    }
}

impl RunScores {
    fn new(runs: &[Vec<Counts>]) -> Self {
        let f1: Vec<f64> = runs.iter().map(|run| f1(run.iter().copied())).collect();
        let mean = mean(&f1);
        let deviation = (f1.len() > 1).then(|| variance(&f1, mean).sqrt());
        Self {
            f1,
            mean,
            deviation,
        }
    }
}

fn f1(counts: impl Iterator<Item = Counts>) -> f64 {
    Counts::sum(counts).scores().f1
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// With one degree of freedom less than values.
fn variance(values: &[f64], mean: f64) -> f64 {
    let squares = values.iter().map(|value| (value - mean).powi(2));
    squares.sum::<f64>() / (values.len() - 1) as f64
}

/// The share of values at least as far from 0 as the estimate, the observed one counted in.
fn share(values: impl Iterator<Item = f64>, estimate: f64, samples: usize) -> f64 {
    // Sums of the same counts in another order may differ in their last digits.
    let far = values.filter(|value| value.abs() >= estimate.abs() - 1e-12);
    (1 + far.count()) as f64 / (1 + samples) as f64
}

/// Differences of the mean F1 over drawn units and drawn runs.
fn hierarchical_bootstrap(
    a: &[Vec<Counts>],
    b: &[Vec<Counts>],
    resampling: &Resampling,
) -> Vec<f64> {
    let mut generator = resampling.generator();
    let mut sample = || {
        let units = draw(a[0].len(), &mut generator);
        let mut side = |runs: &[Vec<Counts>]| {
            let drawn = draw(runs.len(), &mut generator).into_iter();
            let scores: Vec<f64> = drawn
                .map(|run| f1(units.iter().map(|&unit| runs[run][unit])))
                .collect();
            mean(&scores)
        };
        let (of_a, of_b) = (side(a), side(b));
        of_b - of_a
    };
    (0..resampling.samples).map(|_| sample()).collect()
}

fn randomization(a: &[Vec<Counts>], b: &[Vec<Counts>], resampling: &Resampling) -> f64 {
    let mut generator = resampling.generator();
    let mut difference = |swaps: bool| {
        let swapped: Vec<bool> = a[0]
            .iter()
            .map(|_| swaps && generator.random_bool(0.5))
            .collect();
        let side = |own: &[Vec<Counts>], other: &[Vec<Counts>]| {
            let scores: Vec<f64> = own
                .iter()
                .zip(other)
                .map(|(own, other)| {
                    let units = own.iter().zip(other).zip(&swapped);
                    f1(units.map(|((own, other), &swap)| if swap { *other } else { *own }))
                })
                .collect();
            mean(&scores)
        };
        side(b, a) - side(a, b)
    };
    let estimate = difference(false);
    let samples: Vec<f64> = (0..resampling.samples).map(|_| difference(true)).collect();
    share(samples.into_iter(), estimate, resampling.samples)
}

/// Welch's t-test, two-sided (Welch 1947, <https://doi.org/10.1093/biomet/34.1-2.28>).
fn welch(a: &RunScores, b: &RunScores) -> Option<f64> {
    let parts = |side: &RunScores| {
        Some((
            side.deviation?.powi(2) / side.f1.len() as f64,
            side.f1.len() as f64 - 1.0,
        ))
    };
    let ((of_a, free_a), (of_b, free_b)) = (parts(a)?, parts(b)?);
    let squared = of_a + of_b;
    if squared == 0.0 {
        return None;
    }
    let t = (b.mean - a.mean) / squared.sqrt();
    let free = squared.powi(2) / (of_a.powi(2) / free_a + of_b.powi(2) / free_b);
    let distribution = StudentsT::new(0.0, 1.0, free).ok()?;
    Some(2.0 * distribution.cdf(-t.abs()))
}
