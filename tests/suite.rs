
mod yaml;
