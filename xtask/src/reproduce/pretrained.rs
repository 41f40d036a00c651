//! The initial model of a recipe that fine-tunes a model of the hub: a folder that the user names.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::{
    files,
    reproduce::{folder::is_model_file, recipe::Model},
    usage::UsageError,
};

/// What a model's folder must hold: each line is met by any one of its sets of files.
const NEEDED: [(&str, &[&[&str]]); 3] = [
    ("config.json", &[&["config.json"]]),
    (
        "the weights: model.safetensors or pytorch_model.bin",
        &[&["model.safetensors"], &["pytorch_model.bin"]],
    ),
    (
        "the tokenizer: tokenizer.json, or vocab.json and merges.txt (RoBERTa), or vocab.txt (BERT)",
        &[
            &["tokenizer.json"],
            &["vocab.json", "merges.txt"],
            &["vocab.txt"],
        ],
    ),
];

/// The folder of the pretrained model that the recipe asks for; `None` for a recipe that makes its own.
///
/// # Errors
/// `--model` missing where it is needed or given where it is not; a folder without the files of a model.
pub fn locate(recipe: &str, model: &Model, given: Option<&Path>) -> Result<Option<PathBuf>> {
    match (model, given) {
        (Model::New { .. }, None) => Ok(None),
        (Model::New { .. }, Some(_)) => Err(UsageError::error(format!(
            "recipe {recipe} makes its own model; --model is for recipes that fine-tune one"
        ))),
        (Model::Hub { .. }, None) => Err(UsageError::error(format!(
            "recipe {recipe} fine-tunes {}: give its folder with --model DIR.\n{}",
            names(model),
            instructions(model)
        ))),
        (Model::Hub { .. }, Some(folder)) => {
            let missing: Vec<&str> = NEEDED
                .iter()
                .filter(|(_, sets)| {
                    !sets
                        .iter()
                        .any(|set| set.iter().all(|name| folder.join(name).is_file()))
                })
                .map(|(line, _)| *line)
                .collect();
            if missing.is_empty() {
                return Ok(Some(folder.to_owned()));
            }
            bail!(
                "{} lacks {}.\n{}",
                folder.display(),
                missing.join("; "),
                instructions(model)
            )
        }
    }
}

fn names(model: &Model) -> String {
    match model {
        Model::Hub { name, aliases } if aliases.is_empty() => name.clone(),
        Model::Hub { name, aliases } => format!("{name} (also {})", aliases.join(", ")),
        Model::New { .. } => String::new(),
    }
}

fn instructions(model: &Model) -> String {
    let mut text = "The folder must hold".to_owned();
    for (line, _) in NEEDED {
        text.push_str(&format!("\n  {line}"));
    }
    if let Model::Hub { name, .. } = model {
        text.push_str(&format!(
            "\nas the files on https://huggingface.co/{name}/tree/main."
        ));
    }
    text
}

/// Names of the files in a model's folder that make its tokenizer.
pub fn tokenizer_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut names = model_files(folder)?;
    names.retain(|name| {
        !name
            .extension()
            .is_some_and(|extension| extension == "bin" || extension == "safetensors")
    });
    Ok(names)
}

/// Names of the files in a model's folder that make the model.
pub fn model_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut names = files::files_in(folder)?;
    names.retain(|name| is_model_file(name));
    Ok(names)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{fs, path::PathBuf};

    use super::{locate, model_files, tokenizer_files};
    use crate::{reproduce::recipe::Recipe, usage::UsageError};

    #[test]
    fn a_recipe_that_needs_a_model_says_which_and_what_it_is_made_of() {
        let (name, recipe) = Recipe::load("spanberta-conll2002").unwrap();
        let error = locate(&name, &recipe.model, None).unwrap_err();
        assert!(error.is::<UsageError>());
        let text = error.to_string();
        for part in [
            "skimai/spanberta-base-cased",
            "chriskhanhtran/spanberta",
            "--model DIR",
            "config.json",
            "pytorch_model.bin",
            "merges.txt",
            "huggingface.co",
        ] {
            assert!(text.contains(part), "{part} in: {text}");
        }
    }

    #[test]
    fn a_folder_is_taken_only_with_all_parts_of_a_model() {
        let (name, recipe) = Recipe::load("spanberta-conll2002").unwrap();
        let folder = tempfile::tempdir().unwrap();
        for file in ["config.json", "pytorch_model.bin", "vocab.json"] {
            fs::write(folder.path().join(file), "").unwrap();
        }
        let error = locate(&name, &recipe.model, Some(folder.path())).unwrap_err();
        assert!(!error.is::<UsageError>());
        assert!(error.to_string().contains("lacks the tokenizer"), "{error}");
        fs::write(folder.path().join("merges.txt"), "").unwrap();
        assert_eq!(
            locate(&name, &recipe.model, Some(folder.path()))
                .unwrap()
                .unwrap(),
            folder.path()
        );
    }

    #[test]
    fn a_recipe_that_makes_its_model_takes_none() {
        let (name, recipe) = Recipe::load("quickstart").unwrap();
        assert_eq!(locate(&name, &recipe.model, None).unwrap(), None);
        assert!(
            locate(&name, &recipe.model, Some(".".as_ref()))
                .unwrap_err()
                .is::<UsageError>()
        );
    }
    #[test]
    fn parts_of_a_model_are_told_from_what_lies_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("checkpoint-1.bin")).unwrap();
        for file in [
            "README.md",
            "config.json",
            "merges.txt",
            "model.safetensors",
            "test_results.txt",
            "train_log.csv",
        ] {
            fs::write(folder.path().join(file), "").unwrap();
        }
        let names = |paths: Vec<PathBuf>| {
            paths
                .into_iter()
                .map(|path| path.into_os_string().into_string().unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            names(model_files(folder.path()).unwrap()),
            ["config.json", "merges.txt", "model.safetensors"]
        );
        assert_eq!(
            names(tokenizer_files(folder.path()).unwrap()),
            ["config.json", "merges.txt"]
        );
    }
}
