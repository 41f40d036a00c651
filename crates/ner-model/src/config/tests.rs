#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

const BERT: &str = r#"{"model_type":"bert","vocab_size":30,"hidden_size":8,"num_hidden_layers":1,"num_attention_heads":2,
    "intermediate_size":16,"id2label":{"1":"B-PER","0":"O"},"torch_dtype":"float32"}"#;

#[test]
fn keeps_unknown_fields_and_orders_labels() {
    let config: ModelConfig = serde_json::from_str(BERT).expect("valid");
    assert_eq!(config.id2label, ["O", "B-PER"]);
    let dir = tempfile::tempdir().expect("temporary directory");
    config.save(dir.path()).expect("writable");
    let written: Value = serde_json::from_str(
        &std::fs::read_to_string(dir.path().join("config.json")).expect("written"),
    )
    .expect("JSON");
    assert_eq!(written["torch_dtype"], "float32");
    assert_eq!(written["label2id"]["B-PER"], 1);
    assert_eq!(written["architectures"][0], "BertForTokenClassification");
    let again = ModelConfig::from_dir(dir.path()).expect("readable");
    assert_eq!(
        (again.layer_norm_eps, again.usable_positions()),
        (1e-12, 512)
    );
}

#[test]
fn refuses_what_it_does_not_implement() {
    for (from, to, expected) in [
        ("\"hidden_size\":8", "\"hidden_size\":9", "not a multiple"),
        (
            "\"torch_dtype\":\"float32\"",
            "\"hidden_act\":\"relu\"",
            "hidden_act `relu`",
        ),
        (
            "\"torch_dtype\":\"float32\"",
            "\"position_embedding_type\":\"relative_key\"",
            "relative_key",
        ),
        ("\"0\":\"O\"", "\"7\":\"O\"", "without a gap"),
        ("\"model_type\":\"bert\"", "\"model_type\":\"gpt2\"", "gpt2"),
        ("\"vocab_size\":30,", "", "vocab_size"),
    ] {
        let dir = tempfile::tempdir().expect("temporary directory");
        std::fs::write(dir.path().join("config.json"), BERT.replace(from, to)).expect("writable");
        let message = ModelConfig::from_dir(dir.path())
            .expect_err("must be refused")
            .to_string();
        assert!(
            message.contains(expected) && message.contains("config.json"),
            "{message}"
        );
    }
}

#[test]
fn what_is_carried_for_others_is_kept_and_not_made_up() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("config.json");
    let fields = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    for scheme in [Some("BILOU"), None] {
        let mut config: ModelConfig = serde_json::from_str(BERT).expect("valid");
        assert_eq!(config.tagging_scheme, None);
        config.tagging_scheme = scheme.map(str::to_owned);
        config.save(dir.path()).expect("writable");
        let written = fields(&std::fs::read_to_string(&path).expect("written"));
        assert_eq!(
            written.get("tagging_scheme").and_then(Value::as_str),
            scheme
        );
        let again = ModelConfig::from_dir(dir.path()).expect("readable");
        assert_eq!(again.tagging_scheme, config.tagging_scheme);
    }
}
