#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;
use ner_tagger::PretokenizedSentence;

/// A value for every key, each other than the default.
fn changed() -> Map<String, Value> {
    let text = include_str!("../../../../fixtures/settings/changed.json");
    serde_json::from_str(text).unwrap()
}

/// The defaults but for one key.
fn with(key: &str, value: &Value) -> TrainSettings {
    serde_json::from_value(json!({ key: value })).unwrap()
}

fn refused(given: Value) -> String {
    let error = serde_json::from_value::<TrainSettings>(given).unwrap_err();
    error.to_string()
}

#[test]
fn every_key_is_written_and_read() {
    let defaults = TrainSettings::default().fields();
    let keys: Vec<&String> = defaults.keys().collect();
    assert_eq!(changed().keys().collect::<Vec<_>>(), keys);
    for (key, value) in &changed() {
        assert_ne!(*value, defaults[key], "{key}");
        let settings = with(key, value);
        let mut expected = defaults.clone();
        expected[key] = value.clone();
        assert_eq!(settings.fields(), expected);
        assert_eq!(TrainSettings::from_fields(&expected).unwrap(), settings);
    }
    let all: TrainSettings = serde_json::from_value(Value::Object(changed())).unwrap();
    assert_eq!(all.fields(), changed());
    let none: TrainSettings = serde_json::from_str("{}").unwrap();
    assert_eq!(none, TrainSettings::default());
}

#[test]
fn what_differs_is_named() {
    let defaults = TrainSettings::default();
    for (key, value) in &changed() {
        let expected = format!("{key} was {}, is {value}", defaults.fields()[key]);
        let expected = match key.as_str() {
            "logging_steps" | "save_steps" | "save_total_limit" | "eval_batch_size" => vec![],
            _ => vec![expected],
        };
        assert_eq!(defaults.differences(&with(key, value)), expected);
    }
    // Where the best model is that of the least loss, the loss's batches decide.
    let by_loss = |size| {
        defaults.clone().with(|settings| {
            settings.evaluation.best_metric = BestMetric::Loss;
            settings.evaluation.eval_batch_size = size;
        })
    };
    assert_eq!(
        by_loss(8).differences(&by_loss(9)),
        ["eval_batch_size was 8, is 9"]
    );
}

#[test]
fn a_wrong_key_or_value_is_named() {
    assert_eq!(
        refused(json!({"epochs": 3, "learnin_rate": 1.0})),
        "unknown setting `learnin_rate`; did you mean `learning_rate`?"
    );
    let far = refused(json!({"zzz": 1}));
    assert!(
        far.starts_with("unknown setting `zzz`; there are seed, precision, batch_size, ")
            && far.ends_with(", save_total_limit"),
        "{far}"
    );
    for (given, said) in [
        (json!({"epochs": "many"}), "`epochs`: invalid type: string"),
        (json!({"epochs": -1}), "`epochs`: invalid value"),
        (json!({"seed": 0.5}), "`seed`: invalid type"),
        (json!({"shuffle": 1}), "`shuffle`: invalid type"),
        (json!({"decode": "viterbi"}), "`decode`: unknown variant"),
        (json!({"decode_scheme": "iob3"}), "`decode_scheme`: "),
        (
            json!({"class_weights": "equl"}),
            "`class_weights`: `equl` is not LABEL=WEIGHT, nor `equal` or `balanced`",
        ),
        (
            json!({"class_weights": 3}),
            "`class_weights`: expected `equal`",
        ),
    ] {
        let error = refused(given);
        assert!(error.starts_with(said), "{error}");
    }
}

#[test]
fn values_that_cannot_work_are_refused() {
    assert!(TrainSettings::default().check().is_ok());
    for (key, values) in [
        ("epochs", vec![json!(0)]),
        ("max_steps", vec![json!(0)]),
        ("batch_size", vec![json!(0)]),
        ("gradient_accumulation_steps", vec![json!(0)]),
        ("logging_steps", vec![json!(0)]),
        ("eval_batch_size", vec![json!(0)]),
        ("save_total_limit", vec![json!(0)]),
        ("early_stopping_patience", vec![json!(0)]),
        ("learning_rate", vec![json!(-1e-9)]),
        ("weight_decay", vec![json!(-1)]),
        ("adam_epsilon", vec![json!(-1)]),
        ("max_grad_norm", vec![json!(-1)]),
        ("layer_decay", vec![json!(-1)]),
        ("warmup_ratio", vec![json!(-0.1), json!(1.1)]),
        ("label_smoothing", vec![json!(-0.1), json!(1)]),
        (
            "class_weights",
            vec![json!("O=-1"), json!("O=inf"), json!("O=NaN")],
        ),
    ] {
        for value in values {
            let error = with(key, &value).check().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{key}: ")), "{value}: {error}");
        }
    }
    let infinite = TrainSettings::default().with(|settings| {
        settings.optimizer.learning_rate = f64::INFINITY;
    });
    assert!(infinite.check().is_err());
}

#[test]
fn a_crf_takes_no_setting_of_single_words() {
    for key in ["label_smoothing", "class_weights", "label_all_tokens"] {
        let settings = with(key, &changed()[key]);
        assert!(settings.check_head(Head::Linear).is_ok());
        let error = settings.check_head(Head::Crf).unwrap_err().to_string();
        assert!(error.starts_with(key), "{error}");
    }
    assert!(TrainSettings::default().check_head(Head::Crf).is_ok());
}

#[test]
fn class_weights_have_one_text() {
    let given = ClassWeights::Given([("B-PER".to_owned(), 2.5), ("a=b".to_owned(), 1e-3)].into());
    for (text, weights, written) in [
        ("equal", ClassWeights::Equal, json!("equal")),
        ("balanced", ClassWeights::Balanced, json!("balanced")),
        (
            "B-PER=2.5,a=b=0.001",
            given,
            json!({"B-PER": 2.5, "a=b": 0.001}),
        ),
    ] {
        assert_eq!(text.parse::<ClassWeights>().unwrap(), weights);
        assert_eq!(weights.to_string(), text);
        assert_eq!(serde_json::to_value(&weights).unwrap(), written);
        for form in [json!(text), written] {
            assert_eq!(
                serde_json::from_value::<ClassWeights>(form).unwrap(),
                weights
            );
        }
    }
    let none: ClassWeights = serde_json::from_str("{}").unwrap();
    assert_eq!(none, ClassWeights::Equal);
    for (text, said) in [
        ("", "`` is not LABEL=WEIGHT"),
        ("O", "`O` is not LABEL=WEIGHT"),
        ("O=1,", "`` is not LABEL=WEIGHT"),
        ("O=heavy", "`heavy` is no number"),
        ("O=1,O=2", "`O` is there twice"),
    ] {
        let error = text.parse::<ClassWeights>().unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn weights_of_labels_are_those_of_the_data() {
    let sentence = |tags: &[&str]| PretokenizedSentence {
        words: tags.iter().map(|_| "x".to_owned()).collect(),
        tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
        document: 0,
    };
    let train = [
        sentence(&["O", "O", "B-PER", "O"]),
        sentence(&["O", "B-LOC"]),
    ];
    // 6 words of 3 labels: 6 / (3 * 1), 6 / (3 * 4); sklearn.utils.class_weight.compute_class_weight("balanced", …) has these.
    let balanced = ClassWeights::Balanced.by_label(&train);
    let expected = [("B-LOC", 2.0), ("B-PER", 2.0), ("O", 0.5)];
    assert_eq!(
        balanced,
        expected.map(|(tag, x)| (tag.to_owned(), x)).into()
    );
    assert!(ClassWeights::Balanced.by_label(&[]).is_empty());

    let labels = ["O", "B-PER", "B-LOC", "B-ORG"].map(str::to_owned);
    let weights = |loss: &LossSettings| loss.weights(&labels, &train);
    let of = |class_weights: &str| LossSettings {
        class_weights: class_weights.parse().unwrap(),
        ..LossSettings::default()
    };
    for (text, expected) in [
        ("equal", [1.0; 4]),
        ("balanced", [0.5, 2.0, 2.0, 1.0]), // no B-ORG in the data
        ("B-ORG=3,O=0", [0.0, 1.0, 1.0, 3.0]),
    ] {
        assert_eq!(weights(&of(text)).unwrap().classes, expected, "{text}");
    }
    let error = weights(&of("B-XYZ=2")).unwrap_err().to_string();
    assert!(
        error.contains("`B-XYZ` is not among the labels O, B-PER"),
        "{error}"
    );
}
