//! Names of nobody: given names are common ones, all else is composed.

use crate::pseudonym::Draw;

const GIVEN: [&str; 48] = [
    "Adela",
    "Alonso",
    "Amparo",
    "Andrés",
    "Asunción",
    "Aurora",
    "Beltrán",
    "Benito",
    "Blanca",
    "Camilo",
    "Celia",
    "César",
    "Clara",
    "Damián",
    "Delfina",
    "Dolores",
    "Efraín",
    "Elvira",
    "Esteban",
    "Eulalia",
    "Fabián",
    "Fermín",
    "Gema",
    "Gonzalo",
    "Héctor",
    "Inés",
    "Irene",
    "Isidro",
    "Jacinta",
    "Julián",
    "Leandro",
    "Lidia",
    "Lorenzo",
    "Marina",
    "Mateo",
    "Nieves",
    "Noelia",
    "Octavio",
    "Paloma",
    "Quintín",
    "Remedios",
    "Rogelio",
    "Sabina",
    "Saúl",
    "Tomasa",
    "Ulises",
    "Valeria",
    "Zacarías",
];

const STARTS: [&str; 24] = [
    "Alda", "Ber", "Cal", "Cori", "Dur", "Elo", "Fon", "Gal", "Gora", "Irun", "Jara", "Lar", "Mal",
    "Mira", "Nor", "Olma", "Pal", "Queri", "Rosa", "Sal", "Tor", "Ugar", "Vela", "Zor",
];

const SURNAME_ENDS: [&str; 16] = [
    "bón", "cedo", "darte", "fuel", "gado", "jón", "landa", "mendo", "nal", "quete", "rrín",
    "seda", "tales", "varro", "yuso", "zano",
];

const PLACE_ENDS: [&str; 16] = [
    "barca", "cabra", "dilla", "fría", "gosa", "lena", "madre", "negra", "ña", "peña", "rreja",
    "sierra", "taja", "valle", "ves", "zuela",
];

const QUALIFIERS: [&str; 12] = [
    "",
    "",
    "",
    "",
    " Alto",
    " Bajo",
    " de Abajo",
    " de Arriba",
    " del Llano",
    " del Páramo",
    " la Nueva",
    " la Vieja",
];

const BUSINESSES: [&str; 12] = [
    "Aceros",
    "Asociación",
    "Bodegas",
    "Consultora",
    "Editorial",
    "Electrónica",
    "Fundación",
    "Grupo",
    "Industrias",
    "Instituto",
    "Talleres",
    "Transportes",
];

/// A given name and two surnames.
pub(crate) fn person(draw: &mut Draw) -> String {
    let given = draw.one_of(&GIVEN);
    format!("{given} {} {}", surname(draw), surname(draw))
}

fn surname(draw: &mut Draw) -> String {
    let start = draw.one_of(&STARTS);
    format!("{start}{}", draw.one_of(&SURNAME_ENDS))
}

/// A village.
pub(crate) fn place(draw: &mut Draw) -> String {
    let start = draw.one_of(&STARTS);
    let end = draw.one_of(&PLACE_ENDS);
    format!("{start}{end}{}", draw.one_of(&QUALIFIERS))
}

/// A firm or an institution.
pub(crate) fn organisation(draw: &mut Draw) -> String {
    let business = draw.one_of(&BUSINESSES);
    format!("{business} {}", surname(draw))
}

/// An address at the domain that is kept free for examples (RFC 2606).
pub(crate) fn email(draw: &mut Draw) -> String {
    let local: String = person(draw)
        .to_lowercase()
        .chars()
        .map(|c| match c {
            'á' => 'a',
            'é' => 'e',
            'í' => 'i',
            'ó' => 'o',
            'ú' => 'u',
            'ñ' => 'n',
            ' ' => '.',
            c => c,
        })
        .collect();
    format!("{local}{:03}@example.com", draw.below(1000))
}

/// A page at the same domain.
pub(crate) fn url(draw: &mut Draw) -> String {
    format!("https://example.com/{:08x}", draw.below(1 << 32))
}

/// An address of the blocks for documentation: RFC 5737, and RFC 3849 where the original is of version 6.
pub(crate) fn ip(draw: &mut Draw, original: &str) -> String {
    if original.contains(':') {
        let (high, low) = (draw.below(1 << 16), draw.below(1 << 16));
        return format!("2001:db8::{high:x}:{low:x}");
    }
    let net = draw.one_of(&["192.0.2", "198.51.100", "203.0.113"]);
    format!("{net}.{}", 1 + draw.below(254))
}

/// A digit for each digit, a letter of the same case for each letter; marks and spaces stay.
pub(crate) fn same_shape(draw: &mut Draw, original: &str) -> String {
    original
        .chars()
        .map(|c| match c {
            c if c.is_numeric() => draw.symbol(b'0', 10),
            c if c.is_uppercase() => draw.symbol(b'A', 26),
            c if c.is_ascii_punctuation() || c.is_whitespace() => c,
            _ => draw.symbol(b'a', 26),
        })
        .collect()
}
