//! Tokenizers from bare vocabulary files.

use std::path::Path;

use tokenizers::decoders::byte_level::ByteLevel as ByteLevelDecoder;
use tokenizers::decoders::wordpiece::WordPiece as WordPieceDecoder;
use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::bert::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::PostProcessorWrapper;
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, Tokenizer};

use super::config::{Config, Role};
use super::settings::add_tokens;
use crate::error::{Error, Result};

/// What stands around a sequence.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Template {
    /// `<s> A </s>`, `<s> A </s></s> B </s>`
    Roberta,
    /// `[CLS] A [SEP]`, `[CLS] A [SEP] B [SEP]`
    Bert,
    /// `A`
    Bare,
}

/// Tokenizer classes that share vocabulary format, special tokens and template.
struct Family {
    classes: &'static [&'static str],
    template: Template,
    special: &'static [(Role, &'static str)],
}

const ROBERTA_TOKENS: &[(Role, &str)] = &[
    (Role::Begin, "<s>"),
    (Role::End, "</s>"),
    (Role::Class, "<s>"),
    (Role::Separator, "</s>"),
    (Role::Unknown, "<unk>"),
    (Role::Padding, "<pad>"),
    (Role::Mask, "<mask>"),
];
const BERT_TOKENS: &[(Role, &str)] = &[
    (Role::Class, "[CLS]"),
    (Role::Separator, "[SEP]"),
    (Role::Unknown, "[UNK]"),
    (Role::Padding, "[PAD]"),
    (Role::Mask, "[MASK]"),
];
const END_OF_TEXT: &str = "<|endoftext|>";
const GPT2_TOKENS: &[(Role, &str)] = &[
    (Role::Begin, END_OF_TEXT),
    (Role::End, END_OF_TEXT),
    (Role::Unknown, END_OF_TEXT),
];

/// Byte-level BPE classes of transformers; the first is assumed where none is named.
const BPE_FAMILIES: [Family; 3] = [
    Family {
        classes: &[
            "RobertaTokenizer",
            "BartTokenizer",
            "LongformerTokenizer",
            "LEDTokenizer",
            "MvpTokenizer",
        ],
        template: Template::Roberta,
        special: ROBERTA_TOKENS,
    },
    Family {
        classes: &["GPT2Tokenizer"],
        template: Template::Bare,
        special: GPT2_TOKENS,
    },
    Family {
        classes: &["DebertaTokenizer"],
        template: Template::Bert,
        special: BERT_TOKENS,
    },
];

/// WordPiece classes of transformers; the first is assumed where none is named.
const WORDPIECE_FAMILIES: [Family; 1] = [Family {
    classes: &[
        "BertTokenizer",
        "DistilBertTokenizer",
        "ElectraTokenizer",
        "MobileBertTokenizer",
        "ConvBertTokenizer",
        "SqueezeBertTokenizer",
        "LayoutLMTokenizer",
    ],
    template: Template::Bert,
    special: BERT_TOKENS,
}];

/// Byte-level BPE from `vocab.json` and `merges.txt`; the configuration comes back with what was assumed filled in.
pub(super) fn byte_level_bpe(
    dir: &Path,
    vocab: &[u8],
    merges: &[u8],
    config: Config,
) -> Result<(Tokenizer, Config)> {
    let family = family(&BPE_FAMILIES, &config, dir, "vocab.json and merges.txt")?;
    let vocab_path = dir.join("vocab.json");
    let vocab: Vocab = serde_json::from_slice(vocab).map_err(|source| Error::Json {
        path: vocab_path.clone(),
        source,
    })?;
    let merges = parse_merges(dir, merges, &vocab)?;
    let model = BPE::builder()
        .vocab_and_merges(vocab, merges)
        .build()
        .map_err(|source| Error::Tokenizer {
            path: vocab_path,
            source,
        })?;

    let prefix_space = config.flag("add_prefix_space")?.unwrap_or(false);
    let mut tokenizer = Tokenizer::new(model);
    tokenizer
        .with_pre_tokenizer(Some(ByteLevel::new(prefix_space, true, true)))
        .with_decoder(Some(ByteLevelDecoder::default()));
    let mut config = finish(&mut tokenizer, family, config, dir)?;
    config.default_to("add_prefix_space", prefix_space);
    Ok((tokenizer, config))
}

/// WordPiece from `vocab.txt`; the configuration comes back with what was assumed filled in.
pub(super) fn wordpiece(dir: &Path, vocab: &[u8], config: Config) -> Result<(Tokenizer, Config)> {
    let family = family(&WORDPIECE_FAMILIES, &config, dir, "vocab.txt")?;
    let path = dir.join("vocab.txt");
    let unusable = |source| Error::Tokenizer {
        path: path.clone(),
        source,
    };
    let unknown =
        token(family, &config, Role::Unknown)?.map_or_else(String::new, |token| token.content);
    let model = WordPiece::read_bytes(vocab)
        .and_then(|vocab| WordPiece::builder().vocab(vocab).unk_token(unknown).build())
        .map_err(unusable)?;

    let lowercase = config.flag("do_lower_case")?.unwrap_or(false);
    let chinese = config.flag("tokenize_chinese_chars")?.unwrap_or(true);
    let strip_accents = config.strip_accents()?.flatten();
    let mut tokenizer = Tokenizer::new(model);
    tokenizer
        .with_normalizer(Some(BertNormalizer::new(
            true,
            chinese,
            strip_accents,
            lowercase,
        )))
        .map_err(unusable)?
        .with_pre_tokenizer(Some(BertPreTokenizer))
        .with_decoder(Some(WordPieceDecoder::default()));
    let mut config = finish(&mut tokenizer, family, config, dir)?;
    config.default_to("do_lower_case", lowercase);
    config.default_to("tokenize_chinese_chars", chinese);
    config.default_to("strip_accents", strip_accents);
    Ok((tokenizer, config))
}

fn family<'a>(
    families: &'a [Family],
    config: &Config,
    dir: &Path,
    files: &'static str,
) -> Result<&'a Family> {
    // The generic class says nothing about the kind.
    let class = config
        .class()
        .filter(|class| !matches!(*class, "PreTrainedTokenizer" | "TokenizersBackend"));
    let found = match class {
        None => families.first(),
        Some(class) => families
            .iter()
            .find(|family| family.classes.contains(&class)),
    };
    found.ok_or_else(|| Error::UnsupportedClass {
        dir: dir.to_owned(),
        class: class.unwrap_or_default().to_owned(),
        files,
    })
}

/// The special token of a role: the configuration's, else the family's.
fn token(family: &Family, config: &Config, role: Role) -> Result<Option<AddedToken>> {
    let usual = || family.special.iter().find(|(usual, _)| *usual == role);
    // RoBERTa's mask stands for the space before it too.
    let lstrip = role == Role::Mask && family.template == Template::Roberta;
    Ok(config
        .special_token(role)?
        .or_else(|| usual().map(|(_, content)| AddedToken::from(*content, true).lstrip(lstrip))))
}

/// Added and special tokens, and the post-processor.
fn finish(
    tokenizer: &mut Tokenizer,
    family: &Family,
    mut config: Config,
    dir: &Path,
) -> Result<Config> {
    let class = family.classes.first().copied().unwrap_or_default();
    config.default_to("tokenizer_class", class);
    let unusable = |source| Error::Tokenizer {
        path: dir.to_owned(),
        source,
    };
    let mut special = Vec::new();
    for role in Role::ALL {
        special.extend(token(family, &config, role)?.map(|token| (role, token)));
    }
    let mut known = special.clone();
    known.retain(|(_, token)| tokenizer.token_to_id(&token.content).is_some());
    tokenizer
        .add_special_tokens(known.iter().map(|(_, token)| token.clone()))
        .map_err(unusable)?;
    add_tokens(tokenizer, &config, dir)?;

    let required = |role: Role| {
        let named = special.iter().find(|(named, _)| *named == role);
        let content = named.map_or_else(String::new, |(_, token)| token.content.clone());
        match tokenizer.token_to_id(&content) {
            Some(id) => Ok((content, id)),
            None => Err(Error::MissingSpecialToken {
                dir: dir.to_owned(),
                role: role.key(),
                token: content,
            }),
        }
    };
    let post_processor: Option<PostProcessorWrapper> = match family.template {
        Template::Bare => None,
        Template::Roberta => {
            let roberta =
                RobertaProcessing::new(required(Role::Separator)?, required(Role::Class)?)
                    .trim_offsets(config.flag("trim_offsets")?.unwrap_or(true))
                    .add_prefix_space(config.flag("add_prefix_space")?.unwrap_or(false));
            Some(roberta.into())
        }
        Template::Bert => {
            required(Role::Unknown)?;
            let tokens = [required(Role::Class)?, required(Role::Separator)?];
            let template = bert_template(&tokens).map_err(|problem| unusable(problem.into()))?;
            Some(template.into())
        }
    };
    tokenizer.with_post_processor(post_processor);
    for (role, token) in &known {
        config.default_special_token(*role, token);
    }
    Ok(config)
}

/// `[CLS] A [SEP]`, and `[CLS] A [SEP] B [SEP]` for pairs.
fn bert_template(tokens: &[(String, u32); 2]) -> std::result::Result<TemplateProcessing, String> {
    let [(cls, _), (sep, _)] = tokens;
    let [single, pair] = [
        format!("{cls}:0 $A:0 {sep}:0"),
        format!("{cls}:0 $A:0 {sep}:0 $B:1 {sep}:1"),
    ];
    TemplateProcessing::builder()
        .try_single(single)?
        .try_pair(pair)?
        .special_tokens(tokens.to_vec())
        .build()
        .map_err(|problem| problem.to_string())
}

/// The merges, in order. The file's first line may be `#version: ...`.
fn parse_merges(dir: &Path, bytes: &[u8], vocab: &Vocab) -> Result<Merges> {
    let wrong = |line, problem| Error::Merges {
        path: dir.join("merges.txt"),
        line,
        problem,
    };
    let mut merges = Merges::new();
    for (at, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let line_number = at + 1;
        let line =
            std::str::from_utf8(line).map_err(|error| wrong(line_number, error.to_string()))?;
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() || line.starts_with("#version") {
            continue;
        }
        let pair = line
            .split_once(' ')
            .filter(|(_, right)| !right.contains(' '));
        let Some((left, right)) = pair else {
            return Err(wrong(
                line_number,
                format!("`{line}` is not two symbols with one space between them"),
            ));
        };
        let merged = format!("{left}{right}");
        for symbol in [left, right, &merged] {
            if !vocab.contains_key(symbol) {
                return Err(wrong(
                    line_number,
                    format!("`{symbol}` is not in vocab.json"),
                ));
            }
        }
        merges.push((left.to_owned(), right.to_owned()));
    }
    Ok(merges)
}
