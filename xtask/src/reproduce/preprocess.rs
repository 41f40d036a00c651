//! Second stage: the initial model where the recipe makes one, then sentences that fit it, and their labels.

use std::path::PathBuf;

use crate::reproduce::{
    command_line::CommandLine,
    folder::{Folder, Split},
    recipe::{Model, Recipe},
};

pub fn commands(recipe: &Recipe, folder: &Folder) -> Vec<CommandLine> {
    let mut commands = Vec::new();
    if let Model::New {
        kind,
        layers,
        hidden,
        heads,
        intermediate,
        vocab_size,
        dropout,
        initializer_range,
        sinusoidal_positions,
        seed,
    } = &recipe.model
    {
        let positions = sinusoidal_positions.iter();
        let line = CommandLine::new("new-model")
            .option("--kind", kind)
            .number("--layers", *layers)
            .number("--hidden", *hidden)
            .number("--heads", *heads)
            .number("--intermediate", *intermediate)
            .option("--train", folder.raw(Split::Train))
            .number("--vocab-size", *vocab_size)
            .number("--dropout", *dropout)
            .number("--initializer-range", *initializer_range)
            .option("--output", &folder.model)
            .number("--seed", *seed);
        commands.push(positions.fold(line, |line, amplitude| {
            line.number("--sinusoidal-positions", *amplitude)
        }));
    }
    for split in Split::ALL {
        let line = CommandLine::new("preprocess").arg(folder.raw(split));
        let line = if recipe.preprocess.split {
            line.option("--tokenizer", &folder.model)
                .number("--max-length", recipe.preprocess.max_length)
                .option("--columns", &recipe.data.columns)
                .option("--word-boundary", &recipe.preprocess.word_boundary)
        } else {
            line.arg("--no-split")
                .option("--columns", &recipe.data.columns)
        };
        commands.push(line.option("--output", folder.data(split)));
    }
    let labels = Split::ALL
        .into_iter()
        .fold(CommandLine::new("labels"), |line, split| {
            line.arg(folder.data(split))
        });
    commands.push(labels.option("--output", folder.labels()));
    commands
}

/// Files and folders that the commands write, below the run's folder.
pub fn outputs(recipe: &Recipe) -> Vec<PathBuf> {
    let folder = Folder::symbolic(&recipe.model);
    let mut outputs: Vec<PathBuf> = Split::ALL
        .into_iter()
        .map(|split| folder.data(split))
        .collect();
    outputs.push(folder.labels());
    if matches!(recipe.model, Model::New { .. }) {
        outputs.push(folder.model);
    }
    outputs
}
