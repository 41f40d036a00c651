//! The texts of a column, of whatever string type.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;

/// The texts, row by row; null is none. `use_them` gets them, because they lie in a column that may have been made for this call.
///
/// # Errors
/// Not a column of strings, or what `use_them` says.
pub(crate) fn with_texts<T, E: From<ArrowError>>(
    column: &ArrayRef,
    use_them: impl FnOnce(&[Option<&str>]) -> Result<T, E>,
) -> Result<T, E> {
    match column.data_type() {
        DataType::Utf8 => use_them(&column.as_string::<i32>().iter().collect::<Vec<_>>()),
        DataType::LargeUtf8 => use_them(&column.as_string::<i64>().iter().collect::<Vec<_>>()),
        DataType::Utf8View => use_them(&column.as_string_view().iter().collect::<Vec<_>>()),
        _ => {
            // A dictionary, or a column of nulls only.
            let plain = cast(column, &DataType::Utf8)?;
            use_them(&plain.as_string::<i32>().iter().collect::<Vec<_>>())
        }
    }
}
