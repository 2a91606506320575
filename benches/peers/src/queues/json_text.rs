//! JSON that is text already, on its way into a `json` or `jsonb` parameter: what is put in by hand
//! costs the client nothing but the copy.

use bytes::BytesMut;
use postgres::types::{IsNull, ToSql, Type, to_sql_checked};

type BoxError = Box<dyn std::error::Error + Sync + Send>;

#[derive(Debug)]
pub(super) struct JsonText<'a>(pub(super) &'a str);

impl ToSql for JsonText<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        if *ty == Type::JSONB {
            out.extend_from_slice(&[1]); // the version of its binary format
        }
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::JSON | Type::JSONB)
    }

    to_sql_checked!();
}

pub(super) fn all(texts: &[String]) -> Vec<JsonText<'_>> {
    texts.iter().map(|text| JsonText(text)).collect()
}
