//! placeholder
pub struct Redactor;
pub struct RedactStream;
