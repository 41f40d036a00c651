//! The initial model of a recipe that fine-tunes one of the hub: from a folder, the cache, or the hub.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use model_dir::{Wanted, missing};
use ner_cli::hub::Hub;

use crate::{reproduce::recipe::Model, usage::UsageError};

/// The folder of the pretrained model that the recipe asks for; `None` for a recipe that makes its own.
///
/// # Errors
/// `--model` given where there is no place for it; a model that is neither in a folder, nor in the cache, nor to be had from the hub.
pub fn locate(
    recipe: &str,
    model: &Model,
    given: Option<&str>,
    hub: &Hub,
    offline: bool,
) -> Result<Option<PathBuf>> {
    let (name, aliases) = match (model, given) {
        (Model::New { .. }, None) => return Ok(None),
        (Model::New { .. }, Some(_)) => {
            return Err(UsageError::error(format!(
                "recipe {recipe} makes its own model; --model is for recipes that fine-tune one"
            )));
        }
        (Model::Hub { name, aliases }, _) => (name, aliases),
    };
    let hub = Hub {
        offline: offline || hub.offline,
        ..hub.clone()
    };
    // An alias is the same model under the name that the recipe's source gives it.
    let wanted = match given {
        Some(given) if aliases.iter().any(|alias| alias == given) => name,
        Some(given) => given,
        None => name,
    };
    let folder = hub
        .directory(wanted, Wanted::Model, false)
        .with_context(|| instructions(recipe, name))?;
    let missing = missing(&folder, Wanted::Model);
    ensure!(
        missing.is_empty(),
        "{} lacks {}",
        folder.display(),
        missing.join("; ")
    );
    Ok(Some(folder))
}

fn instructions(recipe: &str, name: &str) -> String {
    format!(
        "recipe {recipe} fine-tunes {name}; without the network, pass the folder of its files with --model DIR (those on \
         https://huggingface.co/{name}/tree/main: config.json, weights, tokenizer)"
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{fs, path::Path, time::Duration};

    use ner_cli::hub::Hub;

    use super::locate;
    use crate::{reproduce::recipe::Recipe, usage::UsageError};

    /// A hub that must not be asked.
    fn hub(cache: &Path) -> Hub {
        Hub {
            cache: cache.to_owned(),
            endpoint: "http://127.0.0.1:1".to_owned(),
            token: None,
            offline: true,
            back_off: Duration::ZERO,
        }
    }

    #[test]
    fn a_model_that_cannot_be_had_says_which_it_is_and_what_to_do() {
        let (name, recipe) = Recipe::load("spanberta-conll2002").unwrap();
        let cache = tempfile::tempdir().unwrap();
        let error = locate(&name, &recipe.model, None, &hub(cache.path()), false).unwrap_err();
        let text = format!("{error:#}");
        for part in [
            "skimai/spanberta-base-cased",
            "--model DIR",
            "cache",
            "huggingface.co",
        ] {
            assert!(text.contains(part), "{part} in: {text}");
        }
    }

    #[test]
    fn a_folder_or_a_cached_model_serves() {
        let (name, recipe) = Recipe::load("spanberta-conll2002").unwrap();
        let cache = tempfile::tempdir().unwrap();
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let repository = cache.path().join("models--skimai--spanberta-base-cased");
        let snapshot = repository.join("snapshots").join(commit);
        fs::create_dir_all(&snapshot).unwrap();
        fs::create_dir(repository.join("refs")).unwrap();
        fs::write(repository.join("refs/main"), commit).unwrap();
        for file in [
            "config.json",
            "pytorch_model.bin",
            "vocab.json",
            "merges.txt",
        ] {
            fs::write(snapshot.join(file), "").unwrap();
        }
        let located = |given| locate(&name, &recipe.model, given, &hub(cache.path()), true);
        assert_eq!(located(None).unwrap().unwrap(), snapshot);
        assert_eq!(
            located(Some("chriskhanhtran/spanberta")).unwrap().unwrap(),
            snapshot
        );
        let folder = snapshot.to_str().unwrap();
        assert_eq!(located(Some(folder)).unwrap().unwrap(), snapshot);
        assert!(located(Some("other/model")).is_err());

        fs::remove_file(snapshot.join("merges.txt")).unwrap();
        let error = located(Some(folder)).unwrap_err();
        assert!(error.to_string().contains("lacks a tokenizer"), "{error}");
    }

    #[test]
    fn a_recipe_that_makes_its_model_takes_none() {
        let (name, recipe) = Recipe::load("quickstart").unwrap();
        let cache = tempfile::tempdir().unwrap();
        let located = |given| locate(&name, &recipe.model, given, &hub(cache.path()), false);
        assert_eq!(located(None).unwrap(), None);
        assert!(located(Some(".")).unwrap_err().is::<UsageError>());
    }
}
