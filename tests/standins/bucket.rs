//! A bucket of S3: moto's, which a file system can be mounted from. It knows nothing of what is kept in it.
//!
//! moto checks no signature and takes every key; it keeps an object only from a request that looks signed.

use super::{aws::Moto, client::Client};

/// The region that moto is in unless a request says another.
pub const REGION: &str = "us-east-1";

/// A running moto with one bucket; it ends when this is dropped.
pub struct Bucket {
    moto: Moto,
    name: &'static str,
}

impl Bucket {
    /// None where moto is missing.
    pub fn start(name: &'static str) -> Option<Bucket> {
        let bucket = Bucket { moto: Moto::start()?, name };
        assert_eq!(bucket.client().send("PUT", &format!("/{name}"), "").expect("moto answers").status, 200);
        Some(bucket)
    }

    pub fn url(&self) -> &str {
        self.moto.url()
    }

    pub fn put(&self, key: &str, text: &str) {
        let answer = self.client().send("PUT", &format!("/{}/{key}", self.name), text).expect("moto answers");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// What is kept under that key.
    pub fn get(&self, key: &str) -> Option<String> {
        let answer = self.client().get(&format!("/{}/{key}", self.name)).expect("moto answers");
        (answer.status == 200).then(|| answer.text())
    }

    fn client(&self) -> Client {
        let scope = format!("AWS4-HMAC-SHA256 Credential=AKIASTANDIN/20160917/{REGION}/s3/aws4_request");
        Client::new(self.moto.url())
            .header("Authorization", &format!("{scope}, SignedHeaders=host, Signature=none"))
            .header("Content-Type", "text/plain")
    }
}
