//! Stands in for S3 behind presigned addresses: PUT, GET, HEAD and DELETE of one object each. It shares its folder with
//! the `aws` of the stand-in and knows no listing and no other way to authenticate.
//!
//! The signature is made like that of S3 (method, path, date and expiry under a secret), but by one plain hash.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::standins::server::{Recorded, Reply, Server};

pub const KEY_ID: &str = "ASIASTANDIN000000000";
pub const SECRET: &str = "standin/secret";

/// Starts the store over the folder of a [`super::RemoteShell`].
pub fn start(world: PathBuf) -> Server {
    Server::start(move |request| answer(&world, request))
}

/// A presigned address, as the calls of an SDK make it; the clock is that of the stand-in.
pub fn presign(world: &Path, base: &str, method: &str, bucket: &str, key: &str, expires: u64) -> String {
    let date = date_at(clock(world));
    let path = format!("/{bucket}/{key}");
    let signature = sign(method, &path, &date, &expires.to_string());
    let day = &date[..8];
    format!(
        "{base}{path}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={KEY_ID}%2F{day}%2Fus-east-1%2Fs3%2Faws4_request\
         &X-Amz-Date={date}&X-Amz-Expires={expires}&X-Amz-SignedHeaders=host&X-Amz-Signature={signature}"
    )
}

fn answer(world: &Path, request: &Recorded) -> Reply {
    let Some((bucket, key)) = request.path.trim_start_matches('/').split_once('/') else {
        return error(403, "AccessDenied", "Access Denied");
    };
    if let Some(refusal) = refusal(world, request) {
        return refusal;
    }
    let folder = world.join("s3").join(bucket);
    if bucket.is_empty() || !folder.is_dir() {
        return error(404, "NoSuchBucket", "The specified bucket does not exist");
    }
    if key.is_empty() || key.split('/').any(|part| part == "..") {
        return error(400, "InvalidURI", "Couldn't parse the specified URI.");
    }
    let file = folder.join(key);
    match request.method.as_str() {
        "PUT" if world.join("faults/upload_denied").exists() => error(403, "AccessDenied", "Access Denied"),
        "PUT" => {
            fs::create_dir_all(file.parent().expect("the key lies in the bucket")).expect("a folder can be made");
            fs::write(&file, &request.body).expect("a file can be written");
            Reply::empty(200).with("etag", etag(&request.body))
        }
        "DELETE" => {
            // There is no error for a key that does not exist.
            let _ = fs::remove_file(&file);
            Reply::empty(204)
        }
        "GET" | "HEAD" => match fs::read(&file) {
            Ok(bytes) => {
                let tag = etag(&bytes);
                Reply::of(200, "binary/octet-stream", bytes).with("etag", tag)
            }
            Err(_) => error(404, "NoSuchKey", "The specified key does not exist."),
        },
        _ => error(405, "MethodNotAllowed", "The specified method is not allowed against this resource."),
    }
}

/// What is wrong with the signature, if anything is.
fn refusal(world: &Path, request: &Recorded) -> Option<Reply> {
    if request.query("AWSAccessKeyId").is_some() {
        let text = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.";
        return Some(error(400, "InvalidRequest", text));
    }
    let field = |name: &str| request.query(name).unwrap_or_default();
    let (date, expires) = (field("X-Amz-Date"), field("X-Amz-Expires"));
    if request.query("X-Amz-Signature").is_none() {
        return Some(error(403, "AccessDenied", "Access Denied"));
    }
    if world.join("faults/session_over").exists() {
        return Some(error(400, "ExpiredToken", "The provided token has expired."));
    }
    let known = field("X-Amz-Credential").starts_with(KEY_ID) && field("X-Amz-Algorithm") == "AWS4-HMAC-SHA256";
    if !known || field("X-Amz-Signature") != sign(&request.method, &request.path, date, expires) {
        let text = "The request signature we calculated does not match the signature you provided.";
        return Some(error(403, "SignatureDoesNotMatch", text));
    }
    let begin = moment(date).unwrap_or(0);
    let over = begin + expires.parse::<u64>().unwrap_or(0) < clock(world);
    over.then(|| error(403, "AccessDenied", "Request has expired"))
}

fn sign(method: &str, path: &str, date: &str, expires: &str) -> String {
    hash(format!("{SECRET}\n{method}\n{path}\n{date}\n{expires}\n").as_bytes())
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Opaque to everybody, as the real one is to whoever does not know how it was uploaded.
fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", &hash(bytes)[..32])
}

fn error(status: u16, code: &str, message: &str) -> Reply {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    Reply::of(status, "application/xml", body)
}

/// The clock of the stand-in, in seconds: a file, so that nothing expires by waiting.
pub fn clock(world: &Path) -> u64 {
    let text = fs::read_to_string(world.join("clock")).expect("the stand-in has a clock");
    text.trim().parse().expect("the clock is a number")
}

fn date_at(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).expect("the clock is near our time");
    jiff::Timestamp::from_second(seconds).expect("the clock is near our time").strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn moment(date: &str) -> Option<u64> {
    let parsed = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok()?;
    u64::try_from(parsed.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second()).ok()
}
