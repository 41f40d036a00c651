//! Entities as columns.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Float32Builder, Int64Builder, ListArray, StringBuilder, StructArray,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::arrow::error::ArrowError;
use ner_tagger::EntitySpan;

/// What the function gives for a text: `list<struct<type, text, start, end, score>>`, in the order of the text.
///
/// `start` and `end` count Unicode code points, `score` is a probability. Every field is declared nullable, as the engine's own are, though only the list of
/// a null text is null.
#[must_use]
pub fn entities_type() -> DataType {
    DataType::List(item())
}

fn item() -> FieldRef {
    Arc::new(Field::new_list_field(DataType::Struct(fields()), true))
}

fn fields() -> Fields {
    let fields = [
        ("type", DataType::Utf8),
        ("text", DataType::Utf8),
        ("start", DataType::Int64),
        ("end", DataType::Int64),
        ("score", DataType::Float32),
    ];
    fields
        .into_iter()
        .map(|(name, kind)| Field::new(name, kind, true))
        .collect()
}

/// A list for each text; nothing is a null.
///
/// # Errors
/// More entities than a list array can count (2³¹).
pub(crate) fn entities_array(rows: &[Option<Vec<EntitySpan>>]) -> Result<ListArray, ArrowError> {
    let lengths = rows.iter().map(|row| row.as_ref().map_or(0, Vec::len));
    if i32::try_from(lengths.clone().sum::<usize>()).is_err() {
        return Err(ArrowError::OffsetOverflowError(lengths.sum()));
    }
    let offsets = OffsetBuffer::from_lengths(lengths);
    let nulls = NullBuffer::from_iter(rows.iter().map(Option::is_some));
    let (mut types, mut texts) = (StringBuilder::new(), StringBuilder::new());
    let (mut starts, mut ends) = (Int64Builder::new(), Int64Builder::new());
    let mut scores = Float32Builder::new();
    for entity in rows.iter().flatten().flatten() {
        types.append_value(&entity.entity);
        texts.append_value(&entity.word);
        starts.append_value(characters(entity.start)?);
        ends.append_value(characters(entity.end)?);
        scores.append_value(entity.score);
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(types.finish()),
        Arc::new(texts.finish()),
        Arc::new(starts.finish()),
        Arc::new(ends.finish()),
        Arc::new(scores.finish()),
    ];
    let entities = StructArray::try_new(fields(), columns, None)?;
    ListArray::try_new(item(), offsets, Arc::new(entities), Some(nulls))
}

fn characters(count: usize) -> Result<i64, ArrowError> {
    i64::try_from(count).map_err(|_| ArrowError::OffsetOverflowError(count))
}
