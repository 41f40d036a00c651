//! Third stage: fine-tuning, with every setting from the recipe.

use std::path::PathBuf;

use ner_train::ScheduleSettings;

use crate::reproduce::{
    command_line::CommandLine,
    folder::{Folder, Split},
    recipe::{Model, Recipe},
};

pub fn commands(recipe: &Recipe, folder: &Folder, device: &str) -> Vec<CommandLine> {
    let mut train = recipe.train.clone();
    let schedule = &mut train.settings.schedule;
    if schedule.warmup_ratio.is_some() {
        // It is in place of the steps, and the program takes one of the two.
        schedule.warmup_steps = ScheduleSettings::default().warmup_steps;
    }
    let command = CommandLine::new("train")
        .option("--model", &folder.model)
        .option("--train", folder.data(Split::Train))
        .option("--dev", folder.data(Split::Dev))
        .option("--test", folder.data(Split::Test))
        .option("--labels", folder.labels())
        .option("--output-dir", folder.output())
        .settings(&train)
        .option("--word-boundary", &recipe.preprocess.word_boundary)
        .option("--device", device);
    vec![command]
}

/// The folder that the command writes, below the run's folder.
pub fn outputs(model: &Model) -> Vec<PathBuf> {
    vec![Folder::symbolic(model).output()]
}
