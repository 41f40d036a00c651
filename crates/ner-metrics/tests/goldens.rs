//! Every report against the reference programs' own output, byte for byte. The files come from
//! `fixtures/goldens/metrics.py`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use ner_metrics::{
    Affix, ConllevalSummary, Entity, EntityReport, Error, Mode, OverlapReport, OverlapScheme,
    Result, Scheme, SchemeScores, Side, TokenReport,
};
use serde_json::Value;

type Sentences = Vec<Vec<String>>;

fn read(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/goldens/metrics")
        .join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap()
}

fn strings(value: &Value) -> Vec<String> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_str().unwrap().to_owned())
        .collect()
}

fn sentences(value: &Value) -> Sentences {
    value.as_array().unwrap().iter().map(strings).collect()
}

fn mode(case: &Value) -> Mode {
    match case["scheme"].as_str() {
        Some(name) => Mode::Strict(name.parse().unwrap()),
        None => Mode::Default,
    }
}

struct Case {
    name: String,
    gold: Sentences,
    pred: Sentences,
    digits: usize,
    value: Value,
}

impl Case {
    fn all() -> Vec<Self> {
        read("reports.json")
            .into_iter()
            .map(|value| Self {
                name: value["name"].as_str().unwrap().to_owned(),
                gold: sentences(&value["gold"]),
                pred: sentences(&value["pred"]),
                digits: usize::try_from(value["digits"].as_u64().unwrap()).unwrap(),
                value,
            })
            .collect()
    }

    fn named(name: &str) -> Self {
        Self::all()
            .into_iter()
            .find(|case| case.name == name)
            .unwrap()
    }

    fn report(&self) -> Result<EntityReport> {
        let affix = if self.value["suffix"] == true {
            Affix::Suffix
        } else {
            Affix::Prefix
        };
        EntityReport::with_affix(&self.gold, &self.pred, mode(&self.value), affix)
    }
}

#[test]
fn entity_reports_are_seqevals() {
    let mut compared = 0;
    for case in Case::all()
        .iter()
        .filter(|case| case.value["raised"].is_null())
    {
        let report = case.report().unwrap();
        assert_eq!(
            report.to_text(case.digits),
            case.value["entity_report"].as_str().unwrap(),
            "{}",
            case.name
        );
        for (key, value) in [
            ("precision", report.micro.precision),
            ("recall", report.micro.recall),
            ("f1", report.micro.f1),
        ] {
            let expected: f64 = case.value[key].as_str().unwrap().parse().unwrap();
            assert_eq!(value.to_bits(), expected.to_bits(), "{}: {key}", case.name);
        }
        compared += 1;
    }
    assert!(compared >= 60, "only {compared} cases");
}

#[test]
fn where_seqeval_has_no_entity_to_report_all_scores_are_zero() {
    let mut compared = 0;
    for case in Case::all() {
        let raised = case.value["raised"].as_str().unwrap_or_default();
        if raised.contains("max()") || raised.contains("without list of list") {
            assert_eq!(
                case.report().unwrap().to_text(2),
                "              precision    recall  f1-score   support\n\n\n   \
                 micro avg       0.00      0.00      0.00         0\n   \
                 macro avg       0.00      0.00      0.00         0\n\
                 weighted avg       0.00      0.00      0.00         0\n",
                "{}",
                case.name
            );
            compared += 1;
        }
    }
    assert_eq!(compared, 6);
}

#[test]
fn tags_that_seqeval_cannot_read_are_errors() {
    let mut compared = 0;
    for case in Case::all() {
        let raised = case.value["raised"].as_str().unwrap_or_default();
        let foreign = raised.starts_with("KeyError") || raised.contains("Invalid token");
        let empty = raised.starts_with("IndexError");
        if foreign || empty {
            let Error::InSentence { reason, .. } = case.report().unwrap_err() else {
                panic!("{}", case.name)
            };
            let expected = match *reason {
                Error::ForeignTag { .. } => foreign,
                Error::EmptyTag { .. } => empty,
                _ => false,
            };
            assert!(expected, "{}: {reason}", case.name);
            compared += 1;
        }
    }
    assert_eq!(compared, 5);

    let error = Case::named("letters of iobes under iob2")
        .report()
        .unwrap_err();
    let text =
        "predicted sentence 1: token 1: `E-MISC` is no tag of iob2, whose position letters are IOB";
    assert_eq!(error.to_string(), text);
    assert!(matches!(
        error,
        Error::InSentence {
            side: Side::Predicted,
            sentence: 1,
            ..
        }
    ));
}

#[test]
fn token_reports_are_scikit_learns() {
    let mut compared = 0;
    for case in Case::all()
        .iter()
        .filter(|case| case.value["token_raised"].is_null())
    {
        let report = TokenReport::new(&case.gold, &case.pred).unwrap();
        assert_eq!(
            report.to_text(case.digits),
            case.value["token_report"].as_str().unwrap(),
            "{}",
            case.name
        );
        compared += 1;
    }
    assert!(compared >= 60, "only {compared} cases");
}

#[test]
fn summaries_are_conllevals() {
    let cases = Case::all();
    let expected = read("conlleval.json");
    assert!(expected.len() >= 40);
    for expected in expected {
        let case = cases
            .iter()
            .find(|case| case.name == expected["name"])
            .unwrap();
        let summary = ConllevalSummary::new(&case.gold, &case.pred).unwrap();
        assert_eq!(
            summary.to_text(),
            expected["text"].as_str().unwrap(),
            "{}",
            case.name
        );
    }
}

#[test]
fn entities_are_seqevals() {
    let cases = read("entities.json");
    assert!(cases.len() >= 400);
    for case in cases {
        let tags = strings(&case["tags"]);
        let entities = mode(&case).entities(&tags).unwrap();
        let found: Vec<Value> = entities
            .iter()
            .map(|e| serde_json::json!([e.entity_type, e.start, e.end]))
            .collect();
        assert_eq!(
            Value::from(found),
            case["entities"],
            "{} {tags:?}",
            case["scheme"]
        );
    }
}

#[test]
fn entity_json_and_csv() {
    let gold = [["B-PER", "O", "B-a,\"b\""]];
    let pred = [["B-PER", "B-PER", "O"]];
    let report = EntityReport::new(&gold, &pred, Mode::Strict(Scheme::Iob2)).unwrap();
    assert_eq!(
        serde_json::to_string(&report).unwrap(),
        concat!(
            r#"{"mode":"strict","scheme":"iob2","per_type":["#,
            r#"{"type":"PER","precision":0.5,"recall":1.0,"f1":0.6666666666666666,"support":1,"predicted":2,"correct":1},"#,
            r#"{"type":"a,\"b\"","precision":0.0,"recall":0.0,"f1":0.0,"support":1,"predicted":0,"correct":0}],"#,
            r#""micro":{"precision":0.5,"recall":0.5,"f1":0.5,"support":2},"#,
            r#""macro":{"precision":0.25,"recall":0.5,"f1":0.3333333333333333,"support":2},"#,
            r#""weighted":{"precision":0.25,"recall":0.5,"f1":0.3333333333333333,"support":2}}"#,
        )
    );
    assert_eq!(
        report.to_csv(),
        "type,precision,recall,f1,support\n\
         PER,0.5,1.0,0.6666666666666666,1\n\
         \"a,\"\"b\"\"\",0.0,0.0,0.0,1\n\
         micro avg,0.5,0.5,0.5,2\n\
         macro avg,0.25,0.5,0.3333333333333333,2\n\
         weighted avg,0.25,0.5,0.3333333333333333,2\n"
    );
    let report = EntityReport::new(&gold, &pred, Mode::Default).unwrap();
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(
        (&json["mode"], &json["scheme"]),
        (&Value::from("default"), &Value::Null)
    );
}

#[test]
fn token_json_and_csv() {
    let report = TokenReport::new(&[["O", "B-X"]], &[["O", "O"]]).unwrap();
    assert_eq!(
        serde_json::to_string(&report).unwrap(),
        concat!(
            r#"{"per_tag":["#,
            r#"{"tag":"B-X","precision":0.0,"recall":0.0,"f1":0.0,"support":1,"predicted":0,"correct":0},"#,
            r#"{"tag":"O","precision":0.5,"recall":1.0,"f1":0.6666666666666666,"support":1,"predicted":2,"correct":1}],"#,
            r#""accuracy":0.5,"#,
            r#""macro":{"precision":0.25,"recall":0.5,"f1":0.3333333333333333,"support":2},"#,
            r#""weighted":{"precision":0.25,"recall":0.5,"f1":0.3333333333333333,"support":2}}"#,
        )
    );
    assert_eq!(
        report.to_csv(),
        "tag,precision,recall,f1,support\n\
         B-X,0.0,0.0,0.0,1\n\
         O,0.5,1.0,0.6666666666666666,1\n\
         accuracy,0.5,0.5,0.5,2\n\
         macro avg,0.25,0.5,0.3333333333333333,2\n\
         weighted avg,0.25,0.5,0.3333333333333333,2\n"
    );
}

#[test]
fn tables_are_as_wide_as_they_must_be() {
    // Rust's own padding and decimals end at 65,535 and panic beyond; Python's do not.
    let wide = 70_000;
    let tags = [[format!("B-{}", "é".repeat(wide))]];
    let text = EntityReport::new(&tags, &tags, Mode::Default)
        .unwrap()
        .to_text(2);
    assert_eq!(text.lines().next().unwrap().chars().count(), wide + 41);
    assert!(text.lines().nth(2).unwrap().starts_with('é'));

    let third = TokenReport::new(&[["O", "O", "X"]], &[["O", "X", "O"]]).unwrap();
    let text = third.to_text(wide);
    let accuracy = text.lines().find(|line| line.contains("accuracy")).unwrap();
    let number = accuracy.split_whitespace().nth(1).unwrap();
    assert_eq!(number.len(), wide + 2);
    assert!(number.starts_with("0.33333333333333331482961625624739099293947219848632812500000"));
}

#[test]
fn sides_that_do_not_match_are_refused_with_the_sentence() {
    let gold = [vec!["O"], vec!["O", "O"], vec!["O"]];
    let longer = [vec!["O"], vec!["O", "O", "O"], vec!["O"]];
    let fewer = &gold[..2];
    let results = |pred: &[Vec<&str>]| {
        [
            EntityReport::new(&gold, pred, Mode::Default).unwrap_err(),
            TokenReport::new(&gold, pred).unwrap_err(),
            ConllevalSummary::new(&gold, pred).unwrap_err(),
        ]
    };
    for error in results(&longer) {
        let text =
            "sentence 2 has 2 gold tags and 3 predicted tags; both sides must tag the same tokens";
        assert_eq!(error.to_string(), text);
    }
    for error in results(fewer) {
        let text = "gold has 3 sentences and the prediction 2: sentence 3 stands on one side only";
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn scheme_names_go_both_ways() {
    for scheme in Scheme::ALL {
        assert_eq!(scheme.to_string().parse(), Ok(scheme));
        assert_eq!(scheme.name().to_uppercase().parse(), Ok(scheme));
    }
    assert_eq!("bio".parse(), Ok(Scheme::Iob2));
    assert_eq!("BIOES".parse(), Ok(Scheme::Iobes));
    let error = "iob3".parse::<Scheme>().unwrap_err();
    assert_eq!(
        error,
        Error::UnknownScheme {
            name: "iob3".to_owned()
        }
    );
}

/// Sentences of `[type, start, end]`.
fn spans(side: &Value) -> Vec<Vec<Entity<'_>>> {
    let mut sentences = Vec::new();
    for sentence in side.as_array().unwrap() {
        let mut entities = Vec::new();
        for entity in sentence.as_array().unwrap() {
            entities.push(Entity {
                entity_type: entity[0].as_str().unwrap(),
                start: entity[1].as_u64().unwrap() as usize,
                end: entity[2].as_u64().unwrap() as usize,
            });
        }
        sentences.push(entities);
    }
    sentences
}

#[test]
fn near_misses_are_counted_as_nervaluate_counts_them() {
    let check = |found: &SchemeScores, wanted: &Value, case: &str| {
        for scheme in OverlapScheme::ALL {
            let scores = found.get(scheme);
            let counts = [
                scores.correct,
                scores.incorrect,
                scores.partial,
                scores.missed,
                scores.spurious,
            ];
            let wanted = &wanted[scheme.name()];
            for (at, count) in counts.into_iter().enumerate() {
                let wanted = wanted[at].as_u64().unwrap() as usize;
                assert_eq!(count, wanted, "{case}, {}, count {at}", scheme.name());
            }
            for (at, score) in (5..).zip([scores.precision, scores.recall, scores.f1]) {
                let wanted: f64 = wanted[at].as_str().unwrap().parse().unwrap();
                assert_eq!(score, wanted, "{case}, {}, score {at}", scheme.name());
            }
        }
    };
    let cases = read("overlap.json");
    assert_eq!(cases.len(), 60);
    for (number, case) in cases.iter().enumerate() {
        let report = OverlapReport::new(&spans(&case["gold"]), &spans(&case["pred"])).unwrap();
        check(&report.overall, &case["overall"], &format!("case {number}"));
        let types = case["per_type"].as_object().unwrap();
        assert_eq!(report.per_type.len(), types.len(), "case {number}");
        for row in &report.per_type {
            let name = format!("case {number}, {}", row.entity_type);
            check(&row.scores, &types[&row.entity_type], &name);
        }
    }
}
