//! Last stage: predictions of the trained model, scored by both rules, and the example sentence.

use std::path::PathBuf;

use crate::reproduce::{
    command_line::CommandLine,
    folder::{Folder, Split},
    recipe::Recipe,
};

/// The parts of the corpus that are scored.
pub const SCORED: [Split; 2] = [Split::Dev, Split::Test];

/// The tutorial's example, from La Opinión, 19 April 2020.
pub const EXAMPLE: &str = "La recuperación económica de los Estados Unidos después de la pandemia del coronavirus será \
                           cuestión de meses, afirmó el Secretario del Tesoro, Steven Mnuchin.";

/// Scores by seqeval's default rule and the token report, as JSON.
pub const DEFAULT_JSON: &str = "default.json";
/// Scores by seqeval's strict rule, as JSON.
pub const STRICT_JSON: &str = "strict.json";
/// The entity report by the default rule.
pub const DEFAULT_TEXT: &str = "default.txt";
/// The entity report by the strict rule.
pub const STRICT_TEXT: &str = "strict.txt";
/// Scores on the sentences as the corpus has them, by the default rule, as JSON.
pub const REJOINED_JSON: &str = "rejoined.json";
/// The entity report on the sentences as the corpus has them.
pub const REJOINED_TEXT: &str = "rejoined.txt";
/// Scores of the corpus's sentences as running text, as JSON.
pub const AS_TEXT_JSON: &str = "as_text.json";
/// The token report.
pub const TOKEN_TEXT: &str = "token.txt";

pub fn commands(recipe: &Recipe, folder: &Folder, device: &str) -> Vec<CommandLine> {
    let decoding = &recipe.train.settings.decoding;
    let mut commands = Vec::new();
    for split in SCORED {
        commands.push(
            CommandLine::new("evaluate")
                .option("--model", folder.output())
                .option("--data", folder.data(split))
                .option("--predictions", folder.predictions(split))
                .option("--report", "all")
                .option("--format", "json")
                .option("--output", folder.evaluation(split, DEFAULT_JSON))
                .option("--device", device)
                .settings(decoding),
        );
        commands.push(
            CommandLine::new("evaluate")
                .option("--model", folder.output())
                .option("--data", folder.raw(split))
                .arg("--as-text")
                .option("--format", "json")
                .option("--output", folder.evaluation(split, AS_TEXT_JSON))
                .option("--device", device)
                .settings(decoding),
        );
        let again = |report: &str, output: &str| {
            CommandLine::new("evaluate")
                .option("--gold", folder.data(split))
                .option("--pred", folder.predictions(split))
                .option("--report", report)
                .option("--output", folder.evaluation(split, output))
                .arg("--quiet")
        };
        let strict = |line: CommandLine| {
            line.option("--mode", "strict")
                .option("--scheme", &recipe.evaluate.scheme)
        };
        commands.push(again("entity", DEFAULT_TEXT));
        commands.push(again("token", TOKEN_TEXT));
        commands.push(strict(again("entity", STRICT_TEXT)));
        commands.push(strict(again("entity", STRICT_JSON)).option("--format", "json"));
        let rejoined = |output: &str| {
            CommandLine::new("evaluate")
                .option("--gold", folder.raw(split))
                .option("--pred", folder.predictions(split))
                .arg("--rejoin")
                .option("--report", "entity")
                .option("--output", folder.evaluation(split, output))
                .arg("--quiet")
        };
        commands.push(rejoined(REJOINED_TEXT));
        commands.push(rejoined(REJOINED_JSON).option("--format", "json"));
    }
    commands.push(
        CommandLine::new("predict")
            .option("--model", folder.output())
            .arg(EXAMPLE)
            .option("--format", "jsonl")
            .option("--output", folder.example())
            .option("--device", device)
            .settings(decoding),
    );
    commands
}

/// Files that the commands write, below the run's folder.
pub fn outputs(recipe: &Recipe) -> Vec<PathBuf> {
    let folder = Folder::symbolic(&recipe.model);
    let mut outputs = vec![folder.example()];
    for split in SCORED {
        outputs.push(folder.predictions(split));
        outputs.extend(
            [
                DEFAULT_JSON,
                STRICT_JSON,
                DEFAULT_TEXT,
                STRICT_TEXT,
                REJOINED_JSON,
                REJOINED_TEXT,
                TOKEN_TEXT,
                AS_TEXT_JSON,
            ]
            .map(|what| folder.evaluation(split, what)),
        );
    }
    outputs
}
