//! A bucket of S3: moto's, which a file system can be mounted from. It knows nothing of what is kept in it.
//!
//! moto checks no signature and takes every key; it keeps an object only from a request that looks signed.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use super::client::Client;
use crate::parts;

/// The region that moto is in unless a request says another.
pub const REGION: &str = "us-east-1";

/// A running moto with one bucket; it ends when this is dropped.
pub struct Bucket {
    child: Child,
    url: String,
    name: &'static str,
}

impl Bucket {
    /// None where moto is missing.
    pub fn start(name: &'static str) -> Option<Bucket> {
        let [server] = parts::programs(["moto_server"])?;
        let mut child = Command::new(server)
            .args(["--host", "127.0.0.1", "--port", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("moto starts");
        let mut lines = BufReader::new(child.stderr.take().expect("it is a pipe")).lines();
        let url = loop {
            let line = lines.next().expect("moto says where it listens").expect("it speaks UTF-8");
            if let Some((_, url)) = line.split_once("Running on ") {
                break url.trim().to_owned();
            }
        };
        // What it says later is of no use, but it must not block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let bucket = Bucket { child, url, name };
        assert_eq!(bucket.client().send("PUT", &format!("/{name}"), "").expect("moto answers").status, 200);
        Some(bucket)
    }

    pub fn url(&self) -> &str {
        &self.url
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
        Client::new(&self.url)
            .header("Authorization", &format!("{scope}, SignedHeaders=host, Signature=none"))
            .header("Content-Type", "text/plain")
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
