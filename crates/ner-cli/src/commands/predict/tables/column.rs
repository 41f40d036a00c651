//! Entities as a column of a table.

use std::sync::Arc;

use anyhow::{Result, ensure};
use arrow_array::builder::{Float32Builder, Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, ListArray, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, FieldRef, Fields};
use ner_tagger::{Aggregation, EntitySpan, Offsets};

use super::Found;
use crate::commands::predict::{Arguments, Grouping};

/// A column of lists of entities, each with `type`, `text`, `score`, `start` and `end`; for single sub-words with `index` too.
pub struct EntityColumn {
    name: String,
    fields: Fields,
    offsets: Offsets,
}

impl EntityColumn {
    pub fn new(arguments: &Arguments) -> Self {
        let mut fields = vec![
            Field::new("type", DataType::Utf8, false),
            Field::new("text", DataType::Utf8, false),
            Field::new("score", DataType::Float32, false),
            Field::new("start", DataType::Int64, false),
            Field::new("end", DataType::Int64, false),
        ];
        if arguments.aggregation == Grouping::Pipeline(Aggregation::None) {
            fields.push(Field::new("index", DataType::Int64, true));
        }
        Self {
            name: arguments.entities_field.clone(),
            fields: fields.into(),
            offsets: arguments.offsets,
        }
    }

    pub fn field(&self) -> Field {
        Field::new(&self.name, DataType::List(self.item()), true)
    }

    fn item(&self) -> FieldRef {
        Arc::new(Field::new_list_field(
            DataType::Struct(self.fields.clone()),
            true,
        ))
    }

    /// The entities of texts, whose places count code points.
    pub fn array(&self, texts: &[Option<&str>], found: &Found) -> Result<ArrayRef> {
        let lengths = found.iter().map(|found| found.as_ref().map_or(0, Vec::len));
        let all = found.iter().flatten().flatten();
        let size = all.map(|entity| entity.word.len().max(1)).sum::<usize>();
        ensure!(
            i32::try_from(size).is_ok(),
            "the entities of one batch have more than 2 GiB of text; write the input in smaller batches"
        );
        let offsets = OffsetBuffer::from_lengths(lengths);
        let present: NullBuffer = found.iter().map(Option::is_some).collect();
        let nulls = Some(present).filter(|present| present.null_count() > 0);
        let pairs = texts.iter().flatten().zip(found.iter().flatten());
        let entities: Vec<EntitySpan> = pairs
            .flat_map(|(text, found)| self.offsets.of(text, found))
            .collect();
        let values = Arc::new(self.values(&entities)?);
        Ok(Arc::new(ListArray::try_new(
            self.item(),
            offsets,
            values,
            nulls,
        )?))
    }

    fn values(&self, entities: &[EntitySpan]) -> Result<StructArray> {
        let (mut types, mut texts) = (StringBuilder::new(), StringBuilder::new());
        let mut scores = Float32Builder::with_capacity(entities.len());
        let [mut starts, mut ends, mut indices] =
            [(); 3].map(|()| Int64Builder::with_capacity(entities.len()));
        for entity in entities {
            types.append_value(&entity.entity);
            texts.append_value(&entity.word);
            scores.append_value(entity.score);
            starts.append_value(i64::try_from(entity.start)?);
            ends.append_value(i64::try_from(entity.end)?);
            indices.append_option(entity.index.map(i64::try_from).transpose()?);
        }
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(types.finish()),
            Arc::new(texts.finish()),
            Arc::new(scores.finish()),
            Arc::new(starts.finish()),
            Arc::new(ends.finish()),
            Arc::new(indices.finish()),
        ];
        columns.truncate(self.fields.len());
        Ok(StructArray::try_new(self.fields.clone(), columns, None)?)
    }
}
