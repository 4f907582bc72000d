//! Tables as Parquet files.

use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::Result;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;

use super::{Cells, Column};

/// The bytes of a Parquet file with these columns in one row group, each value of which may be absent: whole numbers
/// as INT64, reals as DOUBLE, truths as BOOLEAN, text as UTF-8. `about` goes into the file's own key-value metadata.
pub fn parquet(columns: &[Column], about: &[(&str, String)]) -> Result<Vec<u8>> {
    let fields = columns.iter().map(|column| {
        let (physical, logical) = match &column.cells {
            Cells::Integers(_) => (Physical::INT64, None),
            Cells::Reals(_) => (Physical::DOUBLE, None),
            Cells::Truths(_) => (Physical::BOOLEAN, None),
            Cells::Texts(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        };
        let field =
            Type::primitive_type_builder(&column.name, physical).with_repetition(Repetition::OPTIONAL);
        Ok(Arc::new(field.with_logical_type(logical).build()?))
    });
    let schema = Type::group_type_builder("runs").with_fields(fields.collect::<Result<_>>()?).build()?;
    let about = about.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone()));
    let properties = WriterProperties::builder().set_key_value_metadata(Some(about.collect())).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    for column in columns {
        match &column.cells {
            Cells::Integers(cells) => put::<Int64Type>(&mut group, cells.iter().copied())?,
            Cells::Reals(cells) => put::<DoubleType>(&mut group, cells.iter().copied())?,
            Cells::Truths(cells) => put::<BoolType>(&mut group, cells.iter().copied())?,
            Cells::Texts(cells) => {
                let bytes = |text: &String| ByteArray::from(text.as_str());
                put::<ByteArrayType>(&mut group, cells.iter().map(|cell| cell.as_ref().map(bytes)))?;
            }
        }
    }
    group.close()?;
    writer.into_inner()
}

/// Writes the next column of a group.
fn put<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    cells: impl Iterator<Item = Option<T::T>> + Clone,
) -> Result<()> {
    let Some(mut column) = group.next_column()? else { return Ok(()) };
    let there: Vec<i16> = cells.clone().map(|cell| i16::from(cell.is_some())).collect();
    let values: Vec<T::T> = cells.flatten().collect();
    column.typed::<T>().write_batch(&values, Some(&there), None)?;
    column.close()
}
