//! Third stage: fine-tuning, with every number from the recipe.

use std::path::PathBuf;

use crate::reproduce::{
    command_line::CommandLine,
    folder::{Folder, Split},
    recipe::{Model, Recipe},
};

pub fn commands(recipe: &Recipe, folder: &Folder, device: &str) -> Vec<CommandLine> {
    let train = &recipe.train;
    let mut command = CommandLine::new("train")
        .option("--model", &folder.model)
        .option("--train", folder.data(Split::Train))
        .option("--dev", folder.data(Split::Dev))
        .option("--test", folder.data(Split::Test))
        .option("--labels", folder.labels())
        .option("--output-dir", folder.output())
        .number("--epochs", train.epochs)
        .number("--batch-size", train.batch_size)
        .number("--max-length", train.max_length)
        .number("--learning-rate", train.learning_rate)
        .number("--weight-decay", train.weight_decay)
        .number("--adam-epsilon", train.adam_epsilon)
        .number("--max-grad-norm", train.max_grad_norm)
        .number("--warmup-steps", train.warmup_steps)
        .number("--seed", train.seed)
        .number("--logging-steps", train.logging_steps)
        .number("--eval-batch-size", train.eval_batch_size)
        .number("--save-steps", train.save_steps)
        .number(
            "--gradient-accumulation-steps",
            train.gradient_accumulation_steps,
        )
        .option("--word-boundary", &recipe.preprocess.word_boundary)
        .option("--device", device);
    if let Some(count) = train.save_total_limit {
        command = command.number("--save-total-limit", count);
    }
    if let Some(steps) = train.max_steps {
        command = command.number("--max-steps", steps);
    }
    if let Some(head) = train.head {
        command = command.option("--head", head.name());
    }
    if train.document_context > 0 {
        command = command.number("--document-context", train.document_context);
    }
    if train.label_all_tokens {
        command = command.arg("--label-all-tokens");
    }
    if !train.shuffle {
        command = command.arg("--no-shuffle");
    }
    vec![command]
}

/// The folder that the command writes, below the run's folder.
pub fn outputs(model: &Model) -> Vec<PathBuf> {
    vec![Folder::symbolic(model).output()]
}
