//! `report.html`: the page that the training left, with the figures of the whole recipe and the published ones beside them.

use anyhow::Result;
use ner_pages::{ComparisonRow, Fact, Figures, RunPage, TypeFigure};

use crate::reproduce::{
    folder::Folder,
    recipe::{self, Published, TypeFigures},
    report::{Report, json},
};

/// Writes the page. False where the training left none to begin with.
pub fn write(report: &Report, folder: &Folder) -> Result<bool> {
    let path = folder.training_report();
    if !path.is_file() {
        return Ok(false);
    }
    let mut page: RunPage = json(&path)?;
    page.title.clone_from(&report.recipe);
    page.facts.extend(facts(report));
    page.comparison = comparison(report);
    model_dir::write(&folder.report_html(), page.to_html())?;
    Ok(true)
}

fn facts(report: &Report) -> Vec<Fact> {
    let mut facts = vec![
        Fact::new("device", &report.device),
        Fact::new("seed", report.seed.to_string()),
        Fact::new(
            "seconds, all stages",
            format!("{:.0}", report.total_seconds()),
        ),
    ];
    let memory = report.peak_memory_bytes;
    facts.extend(memory.map(|bytes| Fact::new("peak memory", format!("{} MiB", bytes >> 20))));
    facts
}

/// This run's figures, then the published ones.
fn comparison(report: &Report) -> Vec<ComparisonRow> {
    let own = report.own().into_iter().enumerate();
    let own = own.map(|(number, (name, dev, test))| ComparisonRow {
        name: name.to_owned(),
        own: true,
        source: None,
        dev: Some(figures(dev)),
        test: Some(figures(test)),
        // The types are those of the first way of scoring.
        per_type: match number {
            0 => per_type(&report.test.per_type),
            _ => Vec::new(),
        },
    });
    own.chain(report.published.iter().map(row)).collect()
}

fn row(published: &Published) -> ComparisonRow {
    ComparisonRow {
        name: published.system.clone(),
        own: false,
        source: Some(published.source.clone()),
        dev: published.dev.map(figures),
        test: published.test.map(figures),
        per_type: per_type(&published.per_type),
    }
}

fn figures(of: recipe::Figures) -> Figures {
    Figures {
        precision: of.precision,
        recall: of.recall,
        f1: of.f1,
    }
}

fn per_type(rows: &[TypeFigures]) -> Vec<TypeFigure> {
    let figure = |row: &TypeFigures| TypeFigure {
        entity_type: row.entity_type.clone(),
        f1: row.f1,
    };
    rows.iter().map(figure).collect()
}
