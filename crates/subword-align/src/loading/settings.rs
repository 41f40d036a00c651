//! The configuration's settings laid over a tokenizer.

use std::path::Path;

use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::processors::PostProcessorWrapper;
use tokenizers::{AddedToken, Tokenizer};

use super::config::{Config, Role};
use crate::boundary::byte_level;
use crate::error::{Error, Result};

/// Lays the configuration over what `tokenizer.json` says.
pub(super) fn override_settings(
    mut tokenizer: Tokenizer,
    config: &Config,
    dir: &Path,
) -> Result<Tokenizer> {
    let unusable = |source| Error::Tokenizer {
        path: dir.to_owned(),
        source,
    };
    if let Some(mut normalizer) = tokenizer.get_normalizer().cloned() {
        override_bert(&mut normalizer, config)?;
        tokenizer
            .with_normalizer(Some(normalizer))
            .map_err(unusable)?;
    }
    let prefix_space = config.flag("add_prefix_space")?;
    if let (Some(value), Some(mut pre_tokenizer)) =
        (prefix_space, tokenizer.get_pre_tokenizer().cloned())
    {
        if let Some((bytes, true)) = byte_level(&mut pre_tokenizer) {
            bytes.add_prefix_space = value;
        }
        tokenizer.with_pre_tokenizer(Some(pre_tokenizer));
    }
    if let Some(PostProcessorWrapper::Roberta(mut roberta)) =
        tokenizer.get_post_processor().cloned()
    {
        roberta.add_prefix_space = prefix_space.unwrap_or(roberta.add_prefix_space);
        roberta.trim_offsets = config.flag("trim_offsets")?.unwrap_or(roberta.trim_offsets);
        tokenizer.with_post_processor(Some(roberta));
    }
    add_tokens(&mut tokenizer, config, dir)?;
    Ok(tokenizer)
}

/// Lays the configuration over BERT's normalizer, wherever it stands.
fn override_bert(normalizer: &mut NormalizerWrapper, config: &Config) -> Result<()> {
    match normalizer {
        NormalizerWrapper::BertNormalizer(bert) => {
            bert.lowercase = config.flag("do_lower_case")?.unwrap_or(bert.lowercase);
            bert.handle_chinese_chars = config
                .flag("tokenize_chinese_chars")?
                .unwrap_or(bert.handle_chinese_chars);
            bert.strip_accents = config.strip_accents()?.unwrap_or(bert.strip_accents);
        }
        NormalizerWrapper::Sequence(steps) => {
            for step in steps.as_mut() {
                override_bert(step, config)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Adds the tokens that the configuration declares, each under its own id, and marks the special ones.
pub(super) fn add_tokens(tokenizer: &mut Tokenizer, config: &Config, dir: &Path) -> Result<()> {
    let unusable = |source| Error::Tokenizer {
        path: dir.to_owned(),
        source,
    };
    for added in config.added_tokens()? {
        let known = tokenizer
            .get_added_vocabulary()
            .get_vocab()
            .contains_key(&added.token.content);
        if !known || added.flags_given {
            tokenizer
                .add_tokens([added.token.clone()])
                .map_err(unusable)?;
        }
        match tokenizer.token_to_id(&added.token.content) {
            Some(actual) if actual != added.id => {
                return Err(Error::AddedTokenId {
                    path: added.path,
                    token: added.token.content,
                    declared: added.id,
                    actual,
                });
            }
            _ => {}
        }
    }
    let mut special: Vec<AddedToken> = Vec::new();
    for role in Role::ALL {
        special.extend(config.special_token(role)?);
    }
    // One that is not in the vocabulary would get an id beyond the model's embeddings.
    special.retain(|token| {
        let known = tokenizer
            .get_added_vocabulary()
            .get_vocab()
            .contains_key(&token.content);
        !known && tokenizer.token_to_id(&token.content).is_some()
    });
    tokenizer.add_special_tokens(special).map_err(unusable)?;
    Ok(())
}
