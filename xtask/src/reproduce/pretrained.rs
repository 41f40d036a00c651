//! The initial model of a recipe that fine-tunes one: in this repository, from a folder, the cache, or the hub.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use model_dir::{FileSet, missing};
use ner_cli::hub::Hub;

use crate::{reproduce::recipe::Model, usage::UsageError};

/// Where pretrained models may be.
pub struct Sources<'a> {
    /// Root of this repository.
    pub workspace: &'a Path,
    pub hub: &'a Hub,
    /// Whether the network is not to be touched.
    pub offline: bool,
}

/// The folder of the pretrained model that the recipe asks for, or of the one `given` in its place; `None` for a recipe that makes its own.
///
/// # Errors
/// A model given where there is no place for it; one that is neither in a folder, nor in the cache, nor to be had from the hub.
pub fn locate(
    recipe: &str,
    model: &Model,
    given: Option<&str>,
    sources: &Sources<'_>,
) -> Result<Option<PathBuf>> {
    // An alias is the same model under the name that the recipe's source gives it.
    let given = match model {
        Model::Hub { name, aliases } => given.map(|given| {
            if aliases.iter().any(|alias| alias == given) {
                name
            } else {
                given
            }
        }),
        _ => given,
    };
    let wanted = match (model, given) {
        (Model::New { .. }, None) => return Ok(None),
        (Model::New { .. }, Some(_)) => {
            return Err(UsageError::error(format!(
                "recipe {recipe} makes its own model; --model is for recipes that fine-tune one"
            )));
        }
        (_, Some(given)) => given,
        (Model::Hub { name, .. }, None) => name,
        (Model::Embedded { path, .. }, None) => {
            return complete(sources.workspace.join(path)).map(Some);
        }
    };
    let hub = Hub {
        offline: sources.offline || sources.hub.offline,
        ..sources.hub.clone()
    };
    let folder = hub.directory(wanted, FileSet::Model, false);
    let folder = match model {
        Model::Hub { name, .. } => folder.with_context(|| instructions(recipe, name))?,
        _ => folder?,
    };
    complete(folder).map(Some)
}

/// A folder that lacks nothing of a model.
fn complete(folder: PathBuf) -> Result<PathBuf> {
    let missing = missing(&folder, FileSet::Model);
    ensure!(
        missing.is_empty(),
        "{} lacks {}",
        folder.display(),
        missing.join("; ")
    );
    Ok(folder)
}

/// What a run starts from, in one line. `folder` is what [`locate`] found.
pub fn start(model: &Model, given: Option<&str>, folder: &Path) -> String {
    let folder = folder.display();
    match (model, given) {
        (
            Model::New {
                kind,
                layers,
                hidden,
                ..
            },
            _,
        ) => format!(
            "starts from nothing: random weights ({kind}, {layers} layers x {hidden}) and a tokenizer made of the training text"
        ),
        (_, Some(given)) => format!("starts from the pretrained model {given}, in {folder}"),
        (Model::Embedded { name, .. } | Model::Hub { name, .. }, None) => {
            format!("starts from the pretrained model {name}, in {folder}")
        }
    }
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

    use super::{Sources, locate, start};
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

    fn sources<'a>(hub: &'a Hub, workspace: &'a Path) -> Sources<'a> {
        Sources {
            workspace,
            hub,
            offline: true,
        }
    }

    #[test]
    fn a_model_that_cannot_be_had_says_which_it_is_and_what_to_do() {
        let (name, recipe) = Recipe::load("spanberta-conll2002").unwrap();
        let cache = tempfile::tempdir().unwrap();
        let hub = hub(cache.path());
        let sources = sources(&hub, cache.path());
        let error = locate(&name, &recipe.model, None, &sources).unwrap_err();
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
        let hub = hub(cache.path());
        let sources = sources(&hub, cache.path());
        let located = |given| locate(&name, &recipe.model, given, &sources);
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
        let (name, recipe) = Recipe::load("conll2002-small").unwrap();
        let cache = tempfile::tempdir().unwrap();
        let hub = hub(cache.path());
        let sources = sources(&hub, cache.path());
        let located = |given| locate(&name, &recipe.model, given, &sources);
        assert_eq!(located(None).unwrap(), None);
        assert!(located(Some(".")).unwrap_err().is::<UsageError>());
        let said = start(&recipe.model, None, Path::new("runs/x/model"));
        assert!(
            said.contains("from nothing: random weights (roberta, 4 layers x 256)"),
            "{said}"
        );
    }

    #[test]
    fn the_embedded_encoder_is_there_and_another_can_take_its_place() {
        let (name, recipe) = Recipe::load("quickstart").unwrap();
        let cache = tempfile::tempdir().unwrap();
        let hub = hub(cache.path());
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let sources = sources(&hub, workspace);
        let folder = locate(&name, &recipe.model, None, &sources)
            .unwrap()
            .unwrap();
        assert_eq!(folder, workspace.join("fixtures/encoder"));
        let said = start(&recipe.model, None, &folder);
        assert!(
            said.starts_with("starts from the pretrained model multilingual-e5-small"),
            "{said}"
        );

        let other = folder.to_str().unwrap();
        assert_eq!(
            locate(&name, &recipe.model, Some(other), &sources).unwrap(),
            Some(folder.clone())
        );
        let said = start(&recipe.model, Some(other), &folder);
        assert!(
            said.starts_with("starts from the pretrained model /"),
            "{said}"
        );
        let error = locate(&name, &recipe.model, Some("some/model"), &sources).unwrap_err();
        assert!(!error.to_string().contains("recipe"), "{error}");
    }
}
