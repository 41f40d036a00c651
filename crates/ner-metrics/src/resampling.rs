//! Intervals and tests that draw sentences, or documents, anew.

use std::collections::BTreeSet;

use rand::RngExt;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::scores::Counts;
use crate::tally::check_sentences;
use crate::{Entity, Error, Result};

/// How often, how sure, and with which random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Resampling {
    /// How often the units are drawn.
    pub samples: usize,
    /// The share of samples between the ends of an interval, such as 0.95.
    pub level: f64,
    /// Seed of the draws: the same seed gives the same figures.
    pub seed: u64,
}

impl Default for Resampling {
    fn default() -> Self {
        Self {
            samples: 1000,
            level: 0.95,
            seed: 0,
        }
    }
}

impl Resampling {
    /// Fails where there is nothing to draw, or no level.
    pub(crate) fn check(&self, units: usize) -> Result<()> {
        let reason = if self.samples == 0 {
            "0 samples; draw 1,000 or more".to_owned()
        } else if !(self.level > 0.0 && self.level < 1.0) {
            format!(
                "a level of {}; it lies between 0 and 1, such as 0.95",
                self.level
            )
        } else if units == 0 {
            "no sentence to draw from".to_owned()
        } else {
            return Ok(());
        };
        Err(Error::Resampling { reason })
    }

    pub(crate) fn generator(&self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.seed)
    }

    /// The ends between which the level's share of the values lies, interpolated as NumPy's `quantile`.
    pub(crate) fn interval(&self, estimate: f64, mut values: Vec<f64>) -> Interval {
        values.sort_by(f64::total_cmp);
        let tail = (1.0 - self.level) / 2.0;
        Interval {
            estimate,
            low: quantile(&values, tail),
            high: quantile(&values, 1.0 - tail),
        }
    }
}

/// The quantile of sorted values, linear between two of them.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

/// A figure and how far it would move with other sentences of the same kind.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Interval {
    /// The figure.
    pub estimate: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// Intervals of the three scores.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct ScoreIntervals {
    /// Of the precision.
    pub precision: Interval,
    /// Of the recall.
    pub recall: Interval,
    /// Of F1.
    pub f1: Interval,
}

/// Intervals of one type.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TypeIntervals {
    /// The type.
    #[serde(rename = "type")]
    pub entity_type: String,
    /// Its intervals.
    #[serde(flatten)]
    pub scores: ScoreIntervals,
}

/// Percentile intervals by the bootstrap (Efron 1979, <https://doi.org/10.1214/aos/1176344552>): units are drawn with replacement, as many as there
/// are, and scored anew each time.
///
/// ```
/// use ner_metrics::{Entity, IntervalReport, Resampling};
///
/// let found = vec![Entity { entity_type: "LOC", start: 0, end: 1 }];
/// let gold = vec![found.clone(); 100];
/// let predicted: Vec<_> = (0..100).map(|i| if i % 4 == 0 { vec![] } else { found.clone() }).collect();
/// let sentences: Vec<usize> = (0..100).collect();
/// let report = IntervalReport::new(&gold, &predicted, &sentences, &Resampling::default())?;
/// let recall = report.micro.recall;
/// assert_eq!(recall.estimate, 0.75);
/// assert!(0.6 < recall.low && recall.low < 0.72 && 0.78 < recall.high && recall.high < 0.9);
/// # Ok::<(), ner_metrics::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IntervalReport {
    /// Units that were drawn from.
    pub units: usize,
    /// How they were drawn.
    #[serde(flatten)]
    pub resampling: Resampling,
    /// Of all entities together.
    pub micro: ScoreIntervals,
    /// Of each type, sorted by name.
    pub per_type: Vec<TypeIntervals>,
}

impl IntervalReport {
    /// Compares the entities of sentences, which both sides must have in the same order. `units` has the number of each sentence's unit: its own
    /// number, or that of its document where sentences of one document are alike.
    ///
    /// # Errors
    /// [`Error::SentenceCount`], [`Error::Resampling`].
    pub fn new<'g, 'p, G, P>(
        gold: &[G],
        predicted: &[P],
        units: &[usize],
        resampling: &Resampling,
    ) -> Result<Self>
    where
        G: AsRef<[Entity<'g>]>,
        P: AsRef<[Entity<'p>]>,
    {
        check_sentences(gold, predicted)?;
        let types = types(gold, predicted);
        let per_type: Vec<Vec<Counts>> = types
            .iter()
            .map(|name| counts_of_units(gold, predicted, units, Some(name)))
            .collect::<Result<_>>()?;
        let all = counts_of_units(gold, predicted, units, None)?;
        resampling.check(all.len())?;
        let columns: Vec<&[Counts]> = [&all]
            .into_iter()
            .chain(&per_type)
            .map(Vec::as_slice)
            .collect();
        let mut intervals = bootstrap(&columns, resampling).into_iter();
        Ok(Self {
            units: all.len(),
            resampling: *resampling,
            micro: intervals.next().unwrap_or_default(),
            per_type: types
                .into_iter()
                .zip(intervals)
                .map(|(entity_type, scores)| TypeIntervals {
                    entity_type,
                    scores,
                })
                .collect(),
        })
    }

    /// A table with a line for each type and one for all: each score and its interval.
    #[must_use]
    pub fn to_text(&self, digits: usize) -> String {
        let Resampling { samples, level, .. } = self.resampling;
        let percent = level * 100.0;
        let mut text = format!(
            "{percent}% intervals, {samples} bootstrap samples of {} units\n",
            self.units
        );
        let rows = self
            .per_type
            .iter()
            .map(|row| (row.entity_type.as_str(), &row.scores));
        let rows: Vec<_> = rows.chain([("micro avg", &self.micro)]).collect();
        let width = rows.iter().map(|(name, _)| name.chars().count()).max();
        let width = width.unwrap_or(0);
        let span = 3 * (digits + 2) + 5;
        text.push_str(&format!(
            "{:>width$}  {:<span$}  {:<span$}  f1-score\n",
            "", "precision", "recall"
        ));
        for (name, scores) in rows {
            let cell = |interval: &Interval| {
                let Interval {
                    estimate,
                    low,
                    high,
                } = interval;
                format!("{estimate:.digits$} [{low:.digits$}, {high:.digits$}]")
            };
            let [precision, recall, f1] = [&scores.precision, &scores.recall, &scores.f1].map(cell);
            text.push_str(&format!(
                "{name:>width$}  {precision:<span$}  {recall:<span$}  {f1}\n"
            ));
        }
        text
    }
}

/// The types of both sides, sorted.
fn types<'g, 'p, G, P>(gold: &[G], predicted: &[P]) -> Vec<String>
where
    G: AsRef<[Entity<'g>]>,
    P: AsRef<[Entity<'p>]>,
{
    let of_gold = gold.iter().flat_map(AsRef::as_ref);
    let mut types: BTreeSet<&str> = of_gold.map(|entity| entity.entity_type).collect();
    let of_predicted = predicted.iter().flat_map(AsRef::as_ref);
    types.extend(of_predicted.map(|entity| entity.entity_type));
    types.into_iter().map(str::to_owned).collect()
}

/// What each unit holds, in the order in which units are first met, of one type or of all: the input of [`Comparison`](crate::Comparison).
///
/// # Errors
/// [`Error::SentenceCount`].
pub fn counts_of_units<'g, 'p, G, P>(
    gold: &[G],
    predicted: &[P],
    units: &[usize],
    entity_type: Option<&str>,
) -> Result<Vec<Counts>>
where
    G: AsRef<[Entity<'g>]>,
    P: AsRef<[Entity<'p>]>,
{
    check_sentences(gold, predicted)?;
    check_sentences(gold, units)?;
    fn of<'a>(entities: &[Entity<'a>], wanted: Option<&str>) -> Vec<Entity<'a>> {
        let is_wanted = |entity: &&Entity<'_>| wanted.is_none_or(|name| entity.entity_type == name);
        entities.iter().filter(is_wanted).copied().collect()
    }
    let mut places = std::collections::HashMap::new();
    let mut counts: Vec<Counts> = Vec::new();
    for ((gold, predicted), unit) in gold.iter().zip(predicted).zip(units) {
        let place = *places.entry(unit).or_insert(counts.len());
        if place == counts.len() {
            counts.push(Counts::default());
        }
        let (gold, predicted) = (
            of(gold.as_ref(), entity_type),
            of(predicted.as_ref(), entity_type),
        );
        counts[place] = Counts::sum([counts[place], Counts::of_entities(&gold, &predicted)]);
    }
    Ok(counts)
}

/// Numbers of units drawn with replacement, as many as there are.
pub(crate) fn draw(units: usize, generator: &mut ChaCha8Rng) -> Vec<usize> {
    (0..units)
        .map(|_| generator.random_range(0..units))
        .collect()
}

/// Intervals of several columns of counts, over the same draws.
fn bootstrap(columns: &[&[Counts]], resampling: &Resampling) -> Vec<ScoreIntervals> {
    let units = columns.first().map_or(0, |column| column.len());
    let mut generator = resampling.generator();
    let mut values = vec![[const { Vec::<f64>::new() }; 3]; columns.len()];
    for _ in 0..resampling.samples {
        let drawn = draw(units, &mut generator);
        for (column, values) in columns.iter().zip(&mut values) {
            let scores = Counts::sum(drawn.iter().map(|&unit| column[unit])).scores();
            let scores = [scores.precision, scores.recall, scores.f1];
            for (values, score) in values.iter_mut().zip(scores) {
                values.push(score);
            }
        }
    }
    let columns = columns.iter().zip(values);
    let intervals = columns.map(|(column, [precision, recall, f1])| {
        let whole = Counts::sum(column.iter().copied()).scores();
        ScoreIntervals {
            precision: resampling.interval(whole.precision, precision),
            recall: resampling.interval(whole.recall, recall),
            f1: resampling.interval(whole.f1, f1),
        }
    });
    intervals.collect()
}
