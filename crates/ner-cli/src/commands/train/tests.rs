#![allow(clippy::unwrap_used)]

use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

/// The settings that a command line asks for.
fn settings(flags: &str) -> TrainSettings {
    let files = "train --model m --train t --dev d --output-dir o";
    let line = files.split(' ').chain(flags.split_whitespace());
    let arguments = Line::try_parse_from(line).unwrap().arguments;
    let data = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&data, "Ana B-PER\nvive O\n").unwrap();
    let train = TaggedFile::read(data.path(), &arguments.layout).unwrap();
    arguments.settings(&train)
}

const FLAGS: &str = "
    --epochs 7 --max-steps 11 --batch-size 13 --gradient-accumulation-steps 2 --max-length 77 --document-context 9
    --learning-rate 0.5 --weight-decay 0.25 --adam-epsilon 0.125 --max-grad-norm 3.5 --seed 17
    --no-shuffle --group-by-length --logging-steps 19 --save-steps 23 --eval-steps 29 --best-metric recall
    --save-total-limit 31 --early-stopping-patience 37 --label-all-tokens --freeze-embeddings --freeze-layers 3
    --layer-decay 0.75 --label-smoothing 0.0625 --class-weights O=0.5,B-PER=2 --decode constrained
    --decode-scheme iobes --precision bf16 --eval-batch-size 41
";

/// All fields are named, so that a new setting does not compile before it is asked for here.
fn all() -> TrainSettings {
    TrainSettings {
        epochs: 7,
        max_steps: Some(11),
        batch_size: 13,
        gradient_accumulation_steps: 2,
        max_length: 77,
        document_context: 9,
        learning_rate: 0.5,
        warmup_steps: 0,
        warmup_ratio: None,
        weight_decay: 0.25,
        adam_epsilon: 0.125,
        max_grad_norm: 3.5,
        seed: 17,
        shuffle: false,
        group_by_length: true,
        logging_steps: 19,
        save_steps: 23,
        eval_steps: 29,
        best_metric: BestMetric::Recall,
        save_total_limit: Some(31),
        early_stopping_patience: Some(37),
        label_all_tokens: true,
        freeze_embeddings: true,
        freeze_layers: 3,
        layer_decay: 0.75,
        label_smoothing: 0.0625,
        class_weights: [("O".to_owned(), 0.5), ("B-PER".to_owned(), 2.0)].into(),
        constrained_scheme: Some("iobes".to_owned()),
        precision: Precision::Bf16,
        eval_batch_size: 41,
    }
}

#[test]
fn every_flag_reaches_its_setting() {
    assert_eq!(settings(""), TrainSettings::default());
    // The two flags of warm-up exclude each other.
    let steps = settings(&format!("{FLAGS} --warmup-steps 43"));
    let ratio = settings(&format!("{FLAGS} --warmup-ratio 0.375"));
    let expected_steps = TrainSettings {
        warmup_steps: 43,
        ..all()
    };
    let expected_ratio = TrainSettings {
        warmup_ratio: Some(0.375),
        ..all()
    };
    assert_eq!(steps, expected_steps);
    assert_eq!(ratio, expected_ratio);

    // A flag with its default value would reach its setting without being read.
    let fields = |settings: &TrainSettings| match serde_json::to_value(settings).unwrap() {
        serde_json::Value::Object(fields) => fields,
        other => panic!("{other}"),
    };
    let (steps, ratio) = (fields(&steps), fields(&ratio));
    for (name, default) in fields(&TrainSettings::default()) {
        assert!(
            steps[&name] != default || ratio[&name] != default,
            "{name} is left at {default}"
        );
    }
}

#[test]
fn balanced_weights_are_of_the_training_data() {
    let settings = settings("--class-weights balanced");
    let expected = [("B-PER".to_owned(), 1.0), ("O".to_owned(), 1.0)];
    assert_eq!(settings.class_weights, expected.into());
}
