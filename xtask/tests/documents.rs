//! What documents say, held against what it is about: links, command lines, and the figures of the README.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Markdown files of the repository's folders with documents, relative to its root.
fn documents() -> Vec<PathBuf> {
    let mut folders = vec![
        PathBuf::new(),
        "docs".into(),
        "xtask".into(),
        ".github/ISSUE_TEMPLATE".into(),
    ];
    for folder in ["crates", "fixtures"] {
        let entries = fs::read_dir(root().join(folder)).unwrap();
        folders.extend(entries.map(|entry| Path::new(folder).join(entry.unwrap().file_name())));
    }
    let mut found = Vec::new();
    for folder in folders
        .into_iter()
        .filter(|folder| root().join(folder).is_dir())
    {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let name = PathBuf::from(entry.unwrap().file_name());
            if name.extension().is_some_and(|extension| extension == "md") {
                found.push(folder.join(name));
            }
        }
    }
    found
}

/// The lines of a text's fenced blocks, joined where a back-slash goes on, each with the number of its first line.
fn fenced(text: &str) -> Vec<(usize, String)> {
    let mut inside = false;
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut goes_on = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if inside {
            let (part, more) = match line.strip_suffix('\\') {
                Some(part) => (part, true),
                None => (line, false),
            };
            match lines.last_mut() {
                Some((_, whole)) if goes_on => whole.push_str(part),
                _ => lines.push((number, part.to_owned())),
            }
            goes_on = more;
        }
    }
    lines
}

/// The words of a command line, up to a comment, a pipe or a redirection; quotes hold some together.
fn words(line: &str) -> Vec<String> {
    let ends = [" #", " | ", " > "]
        .into_iter()
        .filter_map(|mark| line.find(mark));
    let line = &line[..ends.min().unwrap_or(line.len())];
    let parts = line.split(['"', '\'']).enumerate();
    parts
        .flat_map(|(place, part)| match place % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

#[test]
fn every_command_line_is_one_that_the_program_takes() {
    let mut checked = 0;
    for document in documents() {
        for (number, line) in fenced(&read(&document)) {
            let line = line.trim_start().trim_start_matches("$ ");
            // What is left out between is no argument.
            if !line.starts_with("ner-cli ") || line.contains('…') {
                continue;
            }
            let given = ner_cli::Cli::command().try_get_matches_from(words(line));
            let shown = given.err().filter(clap::Error::use_stderr);
            assert!(
                shown.is_none(),
                "{}:{number}: {line}\n{}",
                document.display(),
                shown.unwrap()
            );
            checked += 1;
        }
    }
    assert!(checked > 50, "{checked}");
}

/// The anchors that a page of the forge gives to the headings of a text.
fn anchors(text: &str) -> Vec<String> {
    let mut inside = false;
    let mut found: Vec<String> = Vec::new();
    for line in text.lines() {
        inside ^= line.trim_start().starts_with("```");
        let Some(heading) = line.strip_prefix('#').filter(|_| !inside) else {
            continue;
        };
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        found.push(anchor);
    }
    found
}

/// The targets of a text's links, outside of fenced blocks.
fn links(text: &str) -> Vec<String> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        inside ^= line.trim_start().starts_with("```");
        if inside {
            continue;
        }
        let inline = line
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        found.extend(inline.map(str::to_owned));
        if let Some((_, target)) = line.split_once("]: ").filter(|_| line.starts_with('[')) {
            found.push(target.to_owned());
        }
    }
    found
}

#[test]
fn links_lead_somewhere() {
    let mut checked = 0;
    for document in documents() {
        for link in links(&read(&document)) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match path {
                "" => document.clone(),
                _ => document.parent().unwrap().join(path),
            };
            let exists = root().join(&target).exists();
            assert!(exists, "{}: nothing at {link}", document.display());
            if !anchor.is_empty() {
                let known = anchors(&read(&target));
                assert!(
                    known.iter().any(|one| one == anchor),
                    "{}: no heading for {link}",
                    document.display()
                );
            }
            checked += 1;
        }
    }
    assert!(checked > 100, "{checked}");
}

/// Where the figures of a line of the README come from.
struct Claim {
    /// What the line of the README holds.
    readme: &'static str,
    source: &'static str,
    /// Excerpts of the source, which have the figures.
    excerpts: &'static [&'static str],
}

const fn claim(
    readme: &'static str,
    source: &'static str,
    excerpts: &'static [&'static str],
) -> Claim {
    Claim {
        readme,
        source,
        excerpts,
    }
}

const RESULTS: &str = "docs/results.md";
const BENCHMARKS: &str = "docs/benchmarks.md";

const CLAIMS: [Claim; 21] = [
    claim("Needed: Rust", "Cargo.toml", &["rust-version = \"1.95\""]),
    claim(
        "this run, words given",
        RESULTS,
        &["| words given | 0.9412 | 0.9436 | 0.9424 | 0.9306 | 0.9341 | 0.9323 |"],
    ),
    claim(
        "this run, as running text",
        RESULTS,
        &["| as running text | 0.9412 | 0.9436 | 0.9424 | 0.9306 | 0.9341 | 0.9323 |"],
    ),
    claim(
        "this run, strict mode",
        RESULTS,
        &["| strict | 0.9412 | 0.9436 | 0.9424 | 0.9306 | 0.9341 | 0.9323 |"],
    ),
    claim(
        "this run  0",
        RESULTS,
        &["LOC 0.9180, MISC 0.9189, ORG 0.9427, PER 0.9365"],
    ),
    claim(
        "  Estados Unidos",
        RESULTS,
        &["`LOC Estados Unidos` with a score of 0.753"],
    ),
    claim("  Tesoro", RESULTS, &["`ORG Tesoro` with 0.986"]),
    claim(
        "  Steven Mnuchin",
        RESULTS,
        &["`PER Steven Mnuchin` with 0.993"],
    ),
    claim(
        "| `conll2002`: the embedded encoder",
        RESULTS,
        &["**0.8621** (0.0026)", "0.8514 to 0.8773"],
    ),
    claim(
        "without the test sentences that stand in train |",
        RESULTS,
        &["0.8556 | 0.8547 |", "309 of 1,517"],
    ),
    claim("each sentence a string", RESULTS, &["| 0.8514 |"]),
    claim(
        "| a student of it",
        RESULTS,
        &["**0.8326**", "6.6 times as many"],
    ),
    claim("the tutorial's SpanBERTa", RESULTS, &["has 0.8560 on test"]),
    claim(
        "multilingual BERT, 179 M",
        RESULTS,
        &["mBERT 0.8764 (mean of five seeds"],
    ),
    claim(
        "| tagging, f32",
        BENCHMARKS,
        &["| tagging, base, sentences/s | OpenVINO | 24.2 | 15.9 | 1.53 |"],
    ),
    claim(
        "| tagging, bf16",
        BENCHMARKS,
        &["| tagging, base, bf16, sentences/s | OpenVINO, bf16 | 46.3 | 32.0 | 1.45 |"],
    ),
    claim(
        "| tagging, int8",
        BENCHMARKS,
        &["| tagging, base, int8, sentences/s | OpenVINO, int8 | 80.4 | 54.5 | 1.47 |"],
    ),
    claim(
        "| training, f32",
        BENCHMARKS,
        &["| training, base, sentences/s | PyTorch at its best | 7.49 | 3.71 | 2.02 |"],
    ),
    claim(
        "| training, bf16",
        BENCHMARKS,
        &["PyTorch at its best, bf16 and torch.compile | 13.1 | 6.76 | 1.95 |"],
    ),
    claim(
        "with compiled PyTorch (",
        "docs/benchmarks-gpu.md",
        &["134204 | 45481 | 2.95 |"],
    ),
    claim(
        "sentences that stand in two files (309",
        RESULTS,
        &["309 of 1,517"],
    ),
];

/// Numbers with a decimal point or a comma for thousands, and how many decimals they have; not those of names and versions.
fn figures(line: &str) -> Vec<(f64, i32)> {
    let is_part = |c: char| c.is_ascii_digit() || c == '.' || c == ',';
    let mut found = Vec::new();
    let mut before = ' ';
    for part in line.split_inclusive(|c: char| !is_part(c)) {
        let part_of_name = before.is_alphabetic() || before == '-';
        before = part.chars().next_back().unwrap_or(' ');
        let number = part.trim_end_matches(|c: char| !is_part(c));
        let number = number.trim_matches(['.', ',']);
        let dots = number.matches('.').count();
        if part_of_name || dots > 1 || dots + number.matches(',').count() == 0 {
            continue;
        }
        let text = number.replace(',', "");
        let decimals = text.split_once('.').map_or(0, |(_, digits)| digits.len());
        found.push((text.parse().unwrap(), i32::try_from(decimals).unwrap()));
    }
    found
}

#[test]
fn every_figure_of_the_readme_is_its_source_s() {
    let readme = read("README.md");
    let commands: Vec<usize> = fenced(&readme)
        .into_iter()
        .map(|(number, _)| number)
        .collect();
    let mut used = vec![false; CLAIMS.len()];
    for (number, line) in (1..).zip(readme.lines()) {
        // Figures in command lines and code are arguments.
        let is_code = commands.contains(&number) && !line.contains("0.");
        if is_code || line.contains("println!") {
            continue;
        }
        for (figure, decimals) in figures(line) {
            let place = CLAIMS.iter().position(|claim| line.contains(claim.readme));
            let place = place.unwrap_or_else(|| {
                panic!("README.md:{number}: nothing says where {figure} comes from: {line}")
            });
            let Claim {
                source, excerpts, ..
            } = &CLAIMS[place];
            let text = read(source);
            for excerpt in *excerpts {
                assert!(text.contains(excerpt), "{source} does not say: {excerpt}");
            }
            let known: Vec<(f64, i32)> = excerpts
                .iter()
                .flat_map(|excerpt| figures(excerpt))
                .collect();
            let half = 0.5 * 0.1_f64.powi(decimals);
            let same = |(value, _): &(f64, i32)| (value - figure).abs() <= half + 1e-9;
            assert!(
                known.iter().any(same),
                "README.md:{number}: {figure} is not in {source}: {line}"
            );
            used[place] = true;
        }
    }
    let unused: Vec<&str> = (0..CLAIMS.len())
        .filter(|place| !used[*place])
        .map(|place| CLAIMS[place].readme)
        .collect();
    assert!(
        unused.is_empty(),
        "no line of the README has figures for {unused:?}"
    );
}

/// The README's program is one that a documentation test compiles.
#[test]
fn the_program_of_the_readme_is_the_crate_s() {
    let block = |text: &str| {
        let rust = text.split("```rust").nth(1).unwrap();
        let (_, code) = rust.split_once('\n').unwrap();
        let code = code.split("```").next().unwrap();
        let shown = code.lines().filter(|line| !line.starts_with("# "));
        shown.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(
        block(&read("README.md")),
        block(&read("crates/ner-tagger/README.md"))
    );
}

#[test]
fn figures_and_anchors_are_found() {
    assert_eq!(
        figures("0.8579, 1,517 of 12 x 768; v1.2.3, v1.2, Apache-2.0."),
        [(0.8579, 4), (1517.0, 0)]
    );
    assert_eq!(
        anchors("# A `b`, c\n```\n# no\n```\n## D & e\n"),
        ["a-b-c", "d--e"]
    );
    assert_eq!(words("a 'b c' \"d\" # e"), ["a", "b c", "d"]);
}
