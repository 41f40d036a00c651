//! Recognizers over ten megabytes of running text: `cargo bench -p ner-redact`.
#![allow(missing_docs)]

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use ner_redact::{Anonymizer, Operators, Recognizers, Redactor};

const BYTES: usize = 10_000_000;

/// Sentences as in news and letters; one in five has an identifier.
const SENTENCES: [&str; 10] = [
    "El presidente de la comunidad anunció ayer en Zaragoza que las obras empezarán en otoño. ",
    "La empresa cerró 2019 con un beneficio de 1.250.000 euros, un 12,5 % más que el año anterior. ",
    "«No hay prisa», dijo la portavoz; la votación será el 12/06/2021 a las 18:30. ",
    "Escriba a la oficina de atención, atencion.vecinos@example.org, o llame al 912 345 678. ",
    "El equipo local ganó 3-1 ante 25.000 espectadores en una noche fría de noviembre. ",
    "Según el informe, que ocupa 340 páginas, ningún municipio ha pedido todavía la ayuda. ",
    "Los vecinos esperaban desde las nueve de la mañana a que abrieran las puertas del museo. ",
    "La transferencia se hará a ES91 2100 0418 4502 0005 1332 a nombre de la asociación. ",
    "A su juicio, la reforma llega tarde: «Tendría que haberse hecho hace veinte años». ",
    "En la segunda jornada intervinieron otros cuatro ponentes, entre ellos dos catedráticas. ",
];

fn text() -> String {
    SENTENCES
        .iter()
        .cycle()
        .copied()
        .scan(0, |bytes, sentence| {
            *bytes += sentence.len();
            (*bytes <= BYTES).then_some(sentence)
        })
        .collect()
}

fn main() {
    divan::main();
}

/// One type at a time, then all.
#[divan::bench(sample_count = 5, args = ["CREDIT_CARD", "EMAIL_ADDRESS", "ES_NIE", "ES_NIF", "IBAN_CODE", "IP_ADDRESS", "PHONE_NUMBER", "URL", "all"])]
fn find(bencher: Bencher, entity_type: &str) {
    let text = text();
    let standard = Recognizers::standard();
    let recognizers = standard
        .entity_types()
        .into_iter()
        .filter(|&other| entity_type != "all" && other != entity_type)
        .fold(standard.clone(), |left, other| {
            left.without(other).unwrap_or_default()
        });
    bencher
        .counter(BytesCount::of_str(&text))
        .bench(|| recognizers.find(black_box(&text)));
}

/// All, and every identifier replaced, in documents of a paragraph.
#[divan::bench(sample_count = 5)]
fn redact(bencher: Bencher) {
    let text = text();
    let documents: Vec<&str> = text.split_inclusive("catedráticas. ").collect();
    let redactor = Anonymizer::new(Operators::default(), None).map(|anonymizer| Redactor {
        recognizers: Recognizers::standard(),
        anonymizer,
    });
    bencher.counter(BytesCount::of_str(&text)).bench(|| {
        redactor.as_ref().map(|redactor| {
            documents
                .iter()
                .map(|document| redactor.redact(black_box(document), &[]))
                .collect::<Vec<_>>()
        })
    });
}
