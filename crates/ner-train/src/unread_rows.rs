//! Word embeddings that no sequence of a run reads.
//!
//! Of 250,000 sub-words, a corpus may have 20,000. The rows of the others have no gradient in any step and their moments stay zero: all that AdamW
//! does to them is to multiply them by its decay. So a run trains a model of the sub-words that it reads, which has small gradients and moments, and
//! the decays of all other rows are made up for when somebody asks for the whole model: one after the other, so that no bit differs from an optimizer
//! that had all rows. Those rows lie in a file, where they take no memory: an evaluation reads those that its texts need, and a model is written
//! piece by piece.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ner_model::{Error as ModelError, TokenClassifier, WORD_EMBEDDINGS, WordRows};
use rayon::prelude::*;

use crate::checkpoint::OptimizerValues;
use crate::error::{Error, Result};
use crate::features::Feature;
use crate::floats;

/// Floats of a table that take their steps at a time: 16 MB, in tests so few that a small table has several blocks.
const BLOCK: usize = if cfg!(test) { 1 << 12 } else { 1 << 22 };
/// Floats that a thread takes at a time; of them so many stay in registers.
const TASK: usize = 1 << 16;
const REGISTERS: usize = 64;

/// The rows of a word table that a run does not read. They lie in a file without a name.
#[derive(Debug, Default)]
pub(crate) struct UnreadRows(Option<Rows>);

#[derive(Debug)]
struct Rows {
    /// Sub-words that the run reads, rising; sub-word `n` of its model is `read[n]`.
    read: Vec<u32>,
    /// Sub-words of the whole table, and floats of each.
    vocabulary: usize,
    width: usize,
    /// Whether the decay of the run is above zero. Rows that do not decay do not change, and their mean is what they are.
    decays: bool,
    /// The whole table; the rows that are read are stale.
    last: Arc<Table>,
    /// Its mean over the steps that count, from the first of them.
    mean: Option<Arc<Table>>,
    /// Steps that both tables have yet to take.
    pending: Vec<Decay>,
}

/// What one optimizer step does to a row without a gradient.
#[derive(Clone, Copy, Debug)]
struct Decay {
    factor: f32,
    /// How far the mean then moves towards the row; none outside the steps that are averaged.
    share: Option<f32>,
}

/// Which weights of a run are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Those after the last step.
    Last,
    /// Their mean over the steps that count.
    Mean,
}

impl UnreadRows {
    /// Takes the rows that the features do not read out of a model, and numbers the features' sub-words anew. The file of the rows is made in a
    /// folder, or where that would be made, and gone when this is.
    pub(crate) fn take_out(
        model: TokenClassifier,
        features: &mut [Feature],
        decays: bool,
        dir: &Path,
    ) -> Result<(TokenClassifier, Self)> {
        let ids = features.iter().flat_map(|feature| &feature.ids);
        let read: Vec<u32> = ids.copied().collect::<BTreeSet<_>>().into_iter().collect();
        let (vocabulary, width) = (model.config().vocab_size, model.config().embedding_size());
        let last = Table::new(dir, width, model.word_embedding_parts())?;
        let model = model.restricted_to(&read)?;
        for id in features.iter_mut().flat_map(|feature| &mut feature.ids) {
            *id = read.partition_point(|other| other < id) as u32;
        }
        let rows = Rows {
            read,
            vocabulary,
            width,
            decays,
            last: Arc::new(last),
            mean: None,
            pending: Vec::new(),
        };
        Ok((model, Self(Some(rows))))
    }

    /// Takes an optimizer step: the factor of its decay, and how far the mean of the weights moves towards them after it.
    pub(crate) fn step(&mut self, factor: f64, share: Option<f32>) {
        if let Some(rows) = self.0.as_mut().filter(|rows| rows.decays) {
            let factor = factor as f32;
            rows.pending.push(Decay { factor, share });
        }
    }

    /// The whole model of the run's. On a CPU it reads the other rows in their file, where the next step changes them: it is to be used before that,
    /// or to be brought [into memory](TokenClassifier::in_memory).
    pub(crate) fn whole(
        &mut self,
        model: TokenClassifier,
        which: Which,
    ) -> Result<TokenClassifier> {
        let Some(rows) = &mut self.0 else {
            return Ok(model);
        };
        rows.take_steps()?;
        let table = Arc::clone(match (which, &rows.mean) {
            (Which::Mean, Some(mean)) => mean,
            _ => &rows.last,
        });
        Ok(model.with_other_rows(&rows.read, rows.vocabulary, table)?)
    }

    /// Takes up the mean of all rows where a checkpoint has it, and leaves there what the run's model has: of mean and moments the rows that it reads.
    pub(crate) fn restore(&mut self, values: &mut OptimizerValues) -> Result<()> {
        let Some(rows) = &mut self.0 else {
            return Ok(());
        };
        if let Some(table) = values.average.get_mut(WORD_EMBEDDINGS) {
            let parts = table.chunks(BLOCK).map(|part| Ok(part.to_vec()));
            rows.mean = Some(Arc::new(Table::new(&rows.last.dir, rows.width, parts)?));
            *table = rows.of(table);
        }
        let moments = values.moments.get_mut(WORD_EMBEDDINGS);
        let whole = moments.into_iter().flatten();
        for moment in whole.filter(|moment| moment.len() == rows.len()) {
            *moment = rows.of(moment);
        }
        Ok(())
    }
}

impl Rows {
    /// Floats of a whole table.
    fn len(&self) -> usize {
        self.vocabulary * self.width
    }

    /// Those that are read, of a whole table.
    fn of(&self, table: &[f32]) -> Vec<f32> {
        let rows = self.read.iter();
        let rows = rows.flat_map(|&id| &table[id as usize * self.width..][..self.width]);
        rows.copied().collect()
    }

    fn take_steps(&mut self) -> Result<()> {
        let steps = std::mem::take(&mut self.pending);
        if steps.is_empty() {
            return Ok(());
        }
        let is_averaged = steps.iter().any(|step| step.share.is_some());
        let begins = is_averaged && self.mean.is_none();
        if begins {
            let table = Table::new(&self.last.dir, self.width, [])?;
            self.mean = Some(Arc::new(table));
        }
        for start in (0..self.len()).step_by(BLOCK) {
            let count = BLOCK.min(self.len() - start);
            let mut last = self.last.read(start, count)?;
            let mut mean = match &self.mean {
                None => Vec::new(),
                Some(_) if begins => vec![0.0; count],
                Some(mean) => mean.read(start, count)?,
            };
            take_all(&steps, &mut last, &mut mean);
            self.last.write(start, &last)?;
            if let Some(table) = &self.mean {
                table.write(start, &mean)?;
            }
        }
        Ok(())
    }
}

/// Takes steps with a part of the table, and of its mean where there is one, on all cores.
fn take_all(steps: &[Decay], last: &mut [f32], mean: &mut [f32]) {
    if mean.is_empty() {
        last.par_chunks_mut(TASK).for_each(|last| {
            let parts = last.chunks_mut(REGISTERS);
            parts.for_each(|last| take(steps, last, &mut []));
        });
        return;
    }
    let tasks = last.par_chunks_mut(TASK).zip(mean.par_chunks_mut(TASK));
    tasks.for_each(|(last, mean)| {
        let parts = last.chunks_mut(REGISTERS).zip(mean.chunks_mut(REGISTERS));
        parts.for_each(|(last, mean)| take(steps, last, mean));
    });
}

/// Takes steps with elements of the table, and of its mean where there is one.
fn take(steps: &[Decay], last: &mut [f32], mean: &mut [f32]) {
    for step in steps {
        for x in last.iter_mut() {
            *x *= step.factor;
        }
        match step.share {
            None => {}
            // The first step that counts.
            Some(1.0) => mean.copy_from_slice(last),
            Some(share) => {
                for (mean, x) in mean.iter_mut().zip(last.iter()) {
                    *mean += (x - *mean) * share;
                }
            }
        }
    }
}

/// A table of floats in a file that has no name and ends with its last handle.
#[derive(Debug)]
struct Table {
    file: Mutex<File>,
    dir: PathBuf,
    width: usize,
}

impl Table {
    fn new(
        dir: &Path,
        width: usize,
        parts: impl IntoIterator<Item = Result<Vec<f32>, ModelError>>,
    ) -> Result<Self> {
        // A run that is refused leaves no folder behind.
        let mut folders = dir.ancestors().filter(|dir| dir.is_dir());
        let dir = folders.next().unwrap_or(Path::new("."));
        let table = Self {
            file: Mutex::new(tempfile::tempfile_in(dir).map_err(Error::io(dir))?),
            dir: dir.to_owned(),
            width,
        };
        let mut end = 0;
        for part in parts {
            let part = part?;
            table.write(end, &part)?;
            end += part.len();
        }
        Ok(table)
    }

    /// Writes floats from a place on, counted in floats.
    fn write(&self, start: usize, floats: &[f32]) -> Result<(), ModelError> {
        let bytes = floats::to_bytes(floats);
        self.at(start, |file| file.write_all(&bytes))
    }

    /// Floats from a place on.
    fn read(&self, start: usize, count: usize) -> Result<Vec<f32>, ModelError> {
        let mut bytes = vec![0; 4 * count];
        self.at(start, |file| file.read_exact(&mut bytes))?;
        Ok(floats::of_bytes(&bytes))
    }

    fn at(
        &self,
        start: usize,
        act: impl FnOnce(&mut File) -> std::io::Result<()>,
    ) -> Result<(), ModelError> {
        let file: &mut File = &mut self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let found = file.seek(SeekFrom::Start(4 * start as u64));
        let done = found.and_then(|_| act(file));
        Ok(done.map_err(model_dir::Error::io(&self.dir))?)
    }
}

impl WordRows for Table {
    fn rows(&self, ids: &[u32]) -> Result<Vec<f32>, ModelError> {
        let mut rows = Vec::with_capacity(ids.len() * self.width);
        // Neighbors are read together.
        for ids in ids.chunk_by(|a, b| a.checked_add(1) == Some(*b)) {
            let start = ids[0] as usize * self.width;
            rows.extend(self.read(start, ids.len() * self.width)?);
        }
        Ok(rows)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use burn::module::Module;
    use burn::optim::GradientsParams;
    use ner_model::ops::{Factors, Ops};
    use ner_model::{DeviceChoice, ForwardMode, ModelConfig};

    use super::*;
    use crate::average::{Values, WeightAverage, values};
    use crate::features::pack;
    use crate::optimizer::AdamW;

    const RATES: [f64; 6] = [1e-2, 0.0, 3e-3, 2e-2, 1e-2, 5e-3];

    fn features() -> Vec<Feature> {
        let sequences: [&[u32]; 3] = [&[2, 40, 9, 9, 3], &[2, 100, 7, 3], &[2, 9, 40, 3]];
        let feature = |(sentence, ids): (usize, &&[u32])| Feature {
            sentence,
            ids: ids.to_vec(),
            words: 0..0,
            first_subwords: Vec::new(),
            labels: (0..ids.len() as u32).map(|at| Some(at % 3)).collect(),
        };
        sequences.iter().enumerate().map(feature).collect()
    }

    fn step(
        model: TokenClassifier,
        feature: &Feature,
        optimizer: &mut AdamW,
        rate: f64,
        ops: &Ops,
    ) -> TokenClassifier {
        let (batch, labels) = pack([feature]);
        let mode = ForwardMode::Training { seed: 1 };
        let loss = model.loss(model.forward(&batch, mode).unwrap(), &labels);
        let gradients = GradientsParams::from_grads(loss.unwrap().backward(), &model);
        optimizer.step(model, gradients, rate, ops).unwrap().0
    }

    /// The last weights and their mean after steps with all rows in the optimizer, and with only those that the features read.
    fn trained(decay: f64, ops: &Ops) -> [[Values; 2]; 2] {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/goldens/models/bert");
        let config = ModelConfig::from_dir(&dir).unwrap();
        let device = DeviceChoice::Flex.open().unwrap().autodiff();
        let (model, _) = TokenClassifier::load(&dir, &config, &device, 0).unwrap();
        let mut whole = model.with_ops(ops.clone());
        let optimizer = || AdamW::new(decay, 1e-8, 0.0);
        let average = || WeightAverage::new(4, RATES.len());

        let out = tempfile::tempdir().unwrap();
        let mut restricted = features();
        let (mut part, mut unread) =
            UnreadRows::take_out(whole.clone(), &mut restricted, decay > 0.0, out.path()).unwrap();
        assert_eq!(unread.0.as_ref().unwrap().read, [2, 3, 7, 9, 40, 100]);
        let (mut optimizers, mut averages) = ([optimizer(), optimizer()], [average(), average()]);
        for (number, &rate) in (1..).zip(&RATES) {
            let at = number % 3;
            whole = step(whole, &features()[at], &mut optimizers[0], rate, ops);
            part = step(part, &restricted[at], &mut optimizers[1], rate, ops);
            averages[0].add(number, || whole.valid());
            averages[1].add(number, || part.valid());
            let factor = optimizers[1].decay_factor(WORD_EMBEDDINGS, rate);
            unread.step(factor, averages[1].share(number));
            if number == 4 {
                unread.whole(part.valid(), Which::Last).unwrap(); // when it is asked for makes no difference
            }
        }
        let mean = averages[1].model().unwrap().clone();
        let moments = optimizers[1].moments().unwrap();
        assert_eq!(moments[WORD_EMBEDDINGS][0].len(), 6 * 48);
        [
            [whole.valid(), averages[0].model().unwrap().clone()],
            [
                unread.whole(part.valid(), Which::Last).unwrap(),
                unread.whole(mean, Which::Mean).unwrap(),
            ],
        ]
        .map(|models| models.map(|model| values(&model.in_memory().unwrap()).unwrap()))
    }

    #[test]
    fn no_bit_differs_from_an_optimizer_with_all_rows() {
        let bits = |values: &[f32]| -> Vec<u32> { values.iter().map(|x| x.to_bits()).collect() };
        for decay in [0.0, 0.1] {
            let [whole, part] = trained(decay, &Ops::Fused(Factors::F32));
            for (whole, part) in whole.iter().zip(&part) {
                assert_eq!(whole.len(), part.len());
                for (path, values) in whole {
                    assert_eq!(bits(values), bits(&part[path]), "{path}, decay {decay}");
                }
            }
            // The rows that are not read have moved, where there is a decay.
            let row = |values: &Values| values[WORD_EMBEDDINGS][50 * 48..51 * 48].to_vec();
            assert_eq!(row(&whole[0]) == row(&whole[1]), decay == 0.0);
        }
    }
}
