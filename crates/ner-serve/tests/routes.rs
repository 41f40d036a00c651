//! What each route answers, and what it refuses.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::{Answer, Capitals, Service, serve, serve_all};
use ner_serve::{Event, Limits, Model, Server, Settings};
use serde_json::{Value, json};

fn plain() -> Service {
    serve(Capitals, Limits::default())
}

fn entity(entity_group: &str, score: f64, word: &str, start: usize, end: usize) -> Value {
    json!({"entity_group": entity_group, "score": score, "word": word, "start": start, "end": end})
}

#[test]
fn predict_gives_the_entities_of_a_text_or_of_several() {
    let service = plain();
    let (ana, x) = (
        entity("PER", 0.75, "Ana", 0, 3),
        entity("MISC", 0.25, "X", 6, 7),
    );
    let one = service.post("/predict", &json!({"text": "Ana y X"}));
    assert_eq!(one.status, 200);
    assert_eq!(one.header("content-type"), Some("application/json"));
    assert_eq!(one.json(), json!({"model": "m", "entities": [ana, x]}));
    let several = service.post("/predict", &json!({"texts": ["Ana y X", "", "Ana"]}));
    assert_eq!(several.json()["entities"], json!([[ana, x], [], [ana]]));
    let none = service.post("/predict", &json!({"texts": []}));
    assert_eq!(none.json(), json!({"model": "m", "entities": []}));
    let of_one = service.post("/predict", &json!({"texts": ["Ana"], "text": null}));
    assert_eq!(of_one.json()["entities"], json!([[ana]]));
}

#[test]
fn predict_counts_and_chooses_as_it_is_asked_to() {
    let service = plain();
    let places = |offsets: &str| {
        let answer = service.post("/predict", &json!({"text": "😀é Ana", "offsets": offsets}));
        let found = &answer.json()["entities"][0];
        (
            found["start"].as_u64().unwrap(),
            found["end"].as_u64().unwrap(),
        )
    };
    assert_eq!(places("code-points"), (3, 6));
    assert_eq!(places("bytes"), (7, 10));
    assert_eq!(places("utf-16"), (4, 7));
    let words = |min_score: Value| {
        let body = json!({"text": "Ana y X", "min_score": min_score});
        let found = service.post("/predict", &body).json()["entities"].clone();
        let words = found.as_array().unwrap().iter();
        words
            .map(|found| found["word"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(words(json!(0.25)), ["Ana", "X"]);
    assert_eq!(words(json!(0.5)), ["Ana"]);
    assert_eq!(words(json!({"PER": 1})), ["X"]);
    assert_eq!(
        words(json!({"PER": 0.9, "MISC": 0.3})),
        Vec::<String>::new()
    );
}

#[test]
fn models_are_chosen_by_name() {
    let models = ["a", "b/c"].map(|name| Model::new(name, Capitals)).into();
    let service = serve_all(models, Settings::default());
    let model = |body: Value| service.post("/predict", &body).json()["model"].clone();
    assert_eq!(model(json!({"text": ""})), "a");
    assert_eq!(model(json!({"text": "", "model": "b/c"})), "b/c");
    let health = service.get("/health").json();
    assert_eq!(health["status"], "ok");
    assert_eq!(
        health["models"][1],
        json!({"name": "b/c", "entity_types": ["PER", "MISC"]})
    );
    let names = service.get("/recognizers").json();
    assert_eq!((&names[0], &names[1]), (&json!("a"), &json!("b/c")));
    let names = names.as_array().unwrap();
    assert!(names.contains(&json!("IbanRecognizer")), "{names:?}");
    for names in [vec![], vec!["a", "a"]] {
        let models = names
            .into_iter()
            .map(|name| Model::new(name, Capitals))
            .collect();
        let settings = Settings {
            port: 0,
            ..Settings::default()
        };
        assert!(Server::bind(models, settings, Box::new(|_| {})).is_err());
    }
}

/// Route, body, and the status and place that are told. What must not be told is `Secreto`.
const BAD_REQUESTS: &[(&str, &str, u16, &str)] = &[
    (
        "/predict",
        r#"{"text": "Secreto","#,
        400,
        "line 1, column 19",
    ),
    (
        "/predict",
        r#"{"text": "Secreto" Secreto}"#,
        400,
        "line 1, column 20",
    ),
    ("/predict", "{\n\"text\": Secreto}", 400, "line 2, column 9"),
    ("/predict", r#"{"texts": "Secreto"}"#, 400, "texts"),
    (
        "/predict",
        r#"{"texts": ["Secreto", {"a": "Secreto"}]}"#,
        400,
        "texts[1]",
    ),
    ("/predict", r#"{"text": 3.5}"#, 400, "text"),
    ("/predict", "{}", 400, "text"),
    (
        "/predict",
        r#"{"text": "Secreto", "texts": []}"#,
        400,
        "texts",
    ),
    (
        "/predict",
        r#"{"text": "Secreto", "model": "Secreto"}"#,
        400,
        "model",
    ),
    (
        "/predict",
        r#"{"text": "", "min_score": "Secreto"}"#,
        400,
        "min_score",
    ),
    (
        "/predict",
        r#"{"text": "", "min_score": 1.5}"#,
        400,
        "min_score",
    ),
    (
        "/predict",
        r#"{"text": "", "min_score": {"Secreto": 1}}"#,
        400,
        "min_score",
    ),
    (
        "/predict",
        r#"{"text": "", "min_score": {"PER": "Secreto"}}"#,
        400,
        "min_score",
    ),
    (
        "/predict",
        r#"{"text": "", "offsets": "Secreto"}"#,
        400,
        "offsets",
    ),
    (
        "/predict",
        r#"{"text": "", "min_scor": 1}"#,
        400,
        "min_scor",
    ),
    ("/analyze", r#"{"language": "es"}"#, 400, "text"),
    ("/analyze", r#"{"text": ["Secreto", 1]}"#, 400, "text[1]"),
    (
        "/analyze",
        r#"{"text": "", "score_threshold": 2}"#,
        400,
        "score_threshold",
    ),
    (
        "/analyze",
        r#"{"text": "", "entities": ["Secreto"]}"#,
        400,
        "entities",
    ),
    (
        "/analyze",
        r#"{"text": "", "ad_hoc_recognizers": [{"name": "Secreto"}]}"#,
        400,
        "ad_hoc_recognizers",
    ),
    (
        "/analyze",
        r#"{"text": "", "allow_list": ["Secreto"], "allow_list_match": "regex"}"#,
        400,
        "allow_list_match",
    ),
    (
        "/anonymize",
        r#"{"text": "Secreto"}"#,
        422,
        "analyzer_results",
    ),
    (
        "/anonymize",
        r#"{"text": "Secreto", "analyzer_results": [{"start": -1}]}"#,
        400,
        "analyzer_results[0].start",
    ),
    (
        "/anonymize",
        r#"{"text": "Secreto", "analyzer_results": [{"start": 1}]}"#,
        422,
        "analyzer_results[0].end",
    ),
    (
        "/anonymize",
        r#"{"text": "Secreto", "analyzer_results": [], "anonymizers": {"Secreto": {"type": "encrypt"}}}"#,
        422,
        "anonymizers.TYPE.type",
    ),
    (
        "/anonymize",
        r#"{"text": "", "analyzer_results": [], "anonymizers": {"A": {"type": "mask", "masking_char": "Secreto", "chars_to_mask": 1, "from_end": true}}}"#,
        422,
        "anonymizers.TYPE.masking_char",
    ),
    (
        "/anonymize",
        r#"{"text": "", "analyzer_results": [], "anonymizers": {"A": {"type": "hash", "salt": "Secreto"}}}"#,
        422,
        "anonymizers.TYPE.salt",
    ),
];

#[test]
fn a_bad_request_is_told_what_and_where_but_not_its_text() {
    let service = plain();
    for &(route, body, status, place) in BAD_REQUESTS {
        let answer = service.post_bytes(route, body.as_bytes());
        let problem = answer.json();
        assert_eq!(
            (answer.status, &problem["where"]),
            (status, &json!(place)),
            "{body}"
        );
        assert!(!answer.text.contains("Secreto"), "{}", answer.text);
        assert!(problem["error"].as_str().unwrap().len() > 10, "{problem}");
    }
    let strange = service.post_bytes(
        "/predict",
        r#"{"text": "", "Ana vive en Secreto": 1}"#.as_bytes(),
    );
    assert!(strange.status == 400 && !strange.text.contains("Secreto"));
    for body in [&b"[]"[..], b"\xff", b"", b"{\"text\": \"\xff\"}"] {
        assert_eq!(service.post_bytes("/predict", body).status, 400, "{body:?}");
    }
    let reaches_over = json!({"text": "Secreto", "analyzer_results": [{"start": 1, "end": 8, "score": 1, "entity_type": "A"}]});
    let answer = service.post("/anonymize", &reaches_over);
    assert!(
        answer.status == 422 && !answer.text.contains("Secreto"),
        "{answer:?}"
    );
}

#[test]
fn other_routes_and_methods_are_refused_with_json() {
    let service = plain();
    let missing = service.get("/nothing");
    assert_eq!(
        (missing.status, missing.json()["error"].is_string()),
        (404, true)
    );
    let method = service.get("/predict");
    assert_eq!(
        (method.status, method.json()["error"].is_string()),
        (405, true)
    );
}

#[test]
fn what_is_too_large_is_refused() {
    let limits = Limits {
        body_bytes: 100,
        texts: 2,
        text_chars: 5,
        ..Limits::default()
    };
    let service = serve(Capitals, limits);
    let status = |body: Value| {
        let answer = service.post("/predict", &body);
        (
            answer.status,
            answer.json()["where"].as_str().map(str::to_owned),
        )
    };
    assert_eq!(status(json!({"texts": ["ñandú", "ab"]})), (200, None));
    assert_eq!(
        status(json!({"texts": ["a", "b", "c"]})),
        (413, Some("texts".to_owned()))
    );
    assert_eq!(
        status(json!({"texts": ["a", "ñandúe"]})),
        (413, Some("texts[1]".to_owned()))
    );
    assert_eq!(
        status(json!({"text": "abcdef"})),
        (413, Some("text".to_owned()))
    );
    assert_eq!(status(json!({"text": "a".repeat(200)})), (413, None));
    // Announced and not sent; announced, and more than is read to its end.
    let line = "POST /predict HTTP/1.1\r\n";
    let head = format!(
        "{line}Host: test\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n"
    );
    let mut asks = service.connect();
    std::io::Write::write_all(&mut asks, head.as_bytes()).unwrap();
    assert_eq!(common::read_answer(asks).status, 413);
    // Not announced.
    let chunk = format!("64\r\n{}\r\n", "a".repeat(100));
    let chunked = format!(
        "{line}Host: test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n"
    );
    let mut stream = service.connect();
    std::io::Write::write_all(&mut stream, chunked.as_bytes()).unwrap();
    assert_eq!(common::read_answer(stream).status, 413);
    assert_eq!(
        service.figure(r#"ner_http_requests_total{route="/predict",status="413"}"#),
        6.0
    );
}

#[test]
fn a_token_is_needed_where_one_is_set() {
    let settings = Settings {
        token: Some("s3cret-token".to_owned()),
        ..Settings::default()
    };
    let service = serve_all(vec![Model::new("m", Capitals)], settings);
    let ask = |line: &str, head: &str| {
        service.send(&format!("{line} HTTP/1.1\r\n"), head, br#"{"text": "Ana"}"#)
    };
    for head in [
        "",
        "Authorization: Bearer s3cret-tokem\r\n",
        "Authorization: Bearer s3cret-token2\r\n",
        "Authorization: Bearer \r\n",
        "Authorization: Basic s3cret-token\r\n",
        "Authorization: s3cret-token\r\n",
        "Authorization: Be\r\n",
    ] {
        for line in [
            "POST /predict",
            "POST /analyze",
            "POST /anonymize",
            "GET /metrics",
            "GET /recognizers",
        ] {
            let answer = ask(line, head);
            assert_eq!(
                (answer.status, answer.header("www-authenticate")),
                (401, Some("Bearer")),
                "{line} {head}"
            );
        }
    }
    for scheme in ["Bearer", "bearer"] {
        let answer = ask(
            "POST /predict",
            &format!("Authorization: {scheme} s3cret-token\r\n"),
        );
        assert_eq!(answer.status, 200);
    }
    for open in ["/", "/health", "/openapi.json"] {
        assert_eq!(service.get(open).status, 200, "{open}");
    }
    assert!(service.get("/").text.contains("id=\"token\""));
    for token in ["", "ñ", "two words"] {
        let settings = Settings {
            port: 0,
            token: Some(token.to_owned()),
            ..Settings::default()
        };
        let models = vec![Model::new("m", Capitals)];
        assert!(
            Server::bind(models, settings, Box::new(|_| {})).is_err(),
            "{token}"
        );
    }
}

#[test]
fn a_failing_model_fails_its_request_alone() {
    let service = plain();
    for text in ["fail", "panic"] {
        let answer = service.post("/predict", &json!({"text": text}));
        assert_eq!(
            (answer.status, answer.text.contains("asked")),
            (500, false),
            "{answer:?}"
        );
    }
    assert_eq!(
        service.post("/predict", &json!({"text": "Ana"})).status,
        200
    );
    let events = service.events.lock().unwrap().clone();
    let reasons: Vec<&str> = events
        .iter()
        .map(|event| match event {
            Event::ModelFailed { reason, .. } => reason.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(reasons, ["it was asked to", "it panicked"]);
}

#[test]
fn analyze_answers_as_presidio_does() {
    let service = plain();
    let analyze = |body: Value| -> Answer { service.post("/analyze", &body) };
    let ana = json!({
        "analysis_explanation": null, "start": 0, "end": 3, "score": 0.75, "entity_type": "PERSON",
        "recognition_metadata": {"recognizer_name": "m", "recognizer_identifier": "m"},
    });
    let body = json!({
        "text": "Ana y X", "language": "es", "entities": ["PERSON", "US_SSN"], "score_threshold": 0.5, "correlation_id": "1", "trace": false,
        "context": ["a"], "ad_hoc_recognizers": [], "return_decision_process": false,
    });
    assert_eq!(analyze(body).json(), json!([ana]));
    assert_eq!(
        analyze(json!({"text": ["Ana", "-"], "language": "es"})).json(),
        json!([[ana], []])
    );
    let types = |body: Value| {
        let found = analyze(body).json();
        let types = found.as_array().unwrap().iter();
        types
            .map(|found| found["entity_type"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        types(json!({"text": "Ana y X", "language": "es"})),
        ["PERSON", "MISC"]
    );
    assert_eq!(
        types(json!({"text": "Ana y X", "entities": ["PER"]})),
        ["PERSON"]
    );
    assert_eq!(
        types(json!({"text": "Ana y X", "score_threshold": 0.3})),
        ["PERSON"]
    );
    assert_eq!(
        types(json!({"text": "Ana y X", "allow_list": ["Ana"]})),
        ["MISC"]
    );
    let explained = analyze(json!({"text": "Ana", "return_decision_process": true})).json();
    assert_eq!(explained[0]["analysis_explanation"]["recognizer"], "m");
    assert_eq!(
        service.get("/supportedentities?language=es").json(),
        json!([
            "CREDIT_CARD",
            "EMAIL_ADDRESS",
            "ES_NIE",
            "ES_NIF",
            "IBAN_CODE",
            "IP_ADDRESS",
            "MISC",
            "PERSON",
            "PHONE_NUMBER",
            "URL"
        ])
    );
}

#[test]
fn analyze_finds_identifiers_by_rule_too() {
    let service = plain();
    let analyze = |body: Value| service.post("/analyze", &body).json();
    let found = |body: Value| {
        let found = analyze(body);
        let found = found.as_array().unwrap().iter();
        let place = |one: &Value| {
            let name = one["entity_type"].as_str().unwrap().to_owned();
            (
                name,
                one["start"].as_u64().unwrap(),
                one["end"].as_u64().unwrap(),
            )
        };
        found.map(place).collect::<Vec<_>>()
    };
    let text = "😀 Ana : ana@gil.es, 4111 1111 1111 1111, 612 345 678, 12345678z";
    let wanted = |places: &[(&str, u64, u64)]| {
        let places = places.iter();
        places
            .map(|(name, start, end)| ((*name).to_owned(), *start, *end))
            .collect::<Vec<_>>()
    };
    let all = [
        ("PERSON", 2, 5),
        ("EMAIL_ADDRESS", 8, 18),
        ("CREDIT_CARD", 20, 39),
        ("PHONE_NUMBER", 41, 52),
        ("ES_NIF", 54, 63),
    ];
    assert_eq!(found(json!({"text": text})), wanted(&all));
    let some = json!({"text": text, "entities": ["PERSON", "ES_NIF", "US_SSN"]});
    assert_eq!(found(some), wanted(&[all[0], all[4]]));
    let sure = json!({"text": text, "score_threshold": 0.7, "allow_list": ["ana@gil.es"]});
    assert_eq!(found(sure), wanted(&[all[0], all[2], all[4]]));
    // Who asks for identifiers only needs no model, and this one fails.
    assert_eq!(
        analyze(json!({"text": "fail", "entities": ["URL"]})),
        json!([])
    );
    let body =
        json!({"text": "12345678Z", "entities": ["ES_NIF"], "return_decision_process": true});
    let one = &analyze(body)[0];
    assert_eq!(
        one["recognition_metadata"]["recognizer_name"],
        "EsNifRecognizer"
    );
    assert_eq!(one["analysis_explanation"]["validation_result"], true);
    assert_eq!(one["score"], 1.0);
}

#[test]
fn anonymize_answers_as_presidio_does() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/goldens/serve/anonymize.json");
    let golden: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() >= 200);
    let service = plain();
    for case in cases {
        let answer = service.post("/anonymize", &case["request"]);
        assert_eq!(answer.json(), case["answer"], "{}", case["request"]);
    }
    let names = service.get("/anonymizers").json();
    assert_eq!(names, json!(["hash", "keep", "mask", "redact", "replace"]));
}

#[test]
fn a_hash_without_a_salt_is_another_each_time() {
    let service = plain();
    let body = json!({
        "text": "Ana y Ana", "anonymizers": {"A": {"type": "hash"}},
        "analyzer_results": [{"start": 0, "end": 3, "score": 1, "entity_type": "A"}, {"start": 6, "end": 9, "score": 1, "entity_type": "A"}],
    });
    let items = service.post("/anonymize", &body).json()["items"].clone();
    let [one, other] = [0, 1].map(|item| items[item]["text"].as_str().unwrap().to_owned());
    assert!(one != other && one.len() == 64, "{one} {other}");
}

#[test]
fn the_description_names_every_route() {
    let service = plain();
    let description = service.get("/openapi.json").json();
    assert_eq!(description["info"]["version"], env!("CARGO_PKG_VERSION"));
    let paths = description["paths"].as_object().unwrap();
    for (path, methods) in paths {
        for method in methods.as_object().unwrap().keys() {
            let line = format!("{} {path} HTTP/1.1\r\n", method.to_uppercase());
            let status = service.send(&line, "", b"{}").status;
            assert!([200, 400].contains(&status), "{line}: {status}");
        }
    }
    // Each is counted under its own name.
    for path in paths.keys() {
        let count = format!("ner_http_request_seconds_count{{route=\"{path}\"}}");
        assert!(service.figure(&count) >= 1.0, "{path}");
    }
    assert_eq!(paths.len(), 10);
}

#[test]
fn the_page_runs_its_own_script_only_and_escapes_names() {
    use html5gum::{Token, Tokenizer};
    let models = ["<b>x</b>", "y"]
        .map(|name| Model::new(name, Capitals))
        .into();
    let service = serve_all(models, Settings::default());
    let answer = service.get("/");
    assert_eq!(
        answer.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'") && policy.contains("script-src 'sha256-"));
    let mut names = Vec::new();
    for Ok(token) in Tokenizer::new(answer.text.as_str()) {
        if let Token::StartTag(tag) = token {
            let name = String::from_utf8_lossy(&tag.name).into_owned();
            for (attribute, value) in &tag.attributes {
                let attribute = String::from_utf8_lossy(attribute).into_owned();
                let value = String::from_utf8_lossy(value).into_owned();
                let fetches = ["src", "href", "action"].contains(&attribute.as_str());
                assert!(!attribute.starts_with("on"), "{name} {attribute}");
                assert!(!fetches || value == "data:,", "{name} {attribute}={value}");
            }
            names.push(name);
        }
    }
    let count = |wanted: &str| names.iter().filter(|name| *name == wanted).count();
    assert_eq!(
        (
            count("textarea"),
            count("script"),
            count("option"),
            count("b")
        ),
        (1, 1, 2, 0)
    );
    assert!(answer.text.contains("&lt;b&gt;x"));
}
