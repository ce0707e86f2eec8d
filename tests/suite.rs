mod fields;
mod yaml;
