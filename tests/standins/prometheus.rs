//! Stands in for the query interface of Prometheus. It knows one number, which a test sets, and the forms of an answer;
//! it does not know what a query means.

use std::sync::{Arc, Mutex};

use serde_json::json;

use super::server::{Recorded, Reply, Server, locked};

/// What the query comes to, look by look; the last one stays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sample {
    Rate(f64),
    /// An empty result is a success, and no data.
    Nothing,
    /// A division of nothing by nothing.
    NotANumber,
    /// 503, as after a timeout of a query.
    Overloaded,
}

/// What lets in whoever asks by way of Grafana.
pub const TOKEN: &str = "glsa_not_a_real_token_of_the_standin";
const PROXY: &str = "/api/datasources/proxy/uid/abc";

pub struct Prometheus {
    server: Server,
    samples: Arc<Mutex<Vec<Sample>>>,
}

impl Prometheus {
    pub fn start(samples: &[Sample]) -> Prometheus {
        let samples = Arc::new(Mutex::new(samples.to_vec()));
        let shared = samples.clone();
        let server = Server::start(move |request| enter(request, &mut locked(&shared)));
        Prometheus { server, samples }
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The same by way of a Grafana, which wants a token.
    pub fn by_grafana(&self) -> String {
        self.server.url() + PROXY
    }

    /// From now on.
    pub fn set(&self, samples: &[Sample]) {
        *locked(&self.samples) = samples.to_vec();
    }
}

fn enter(request: &Recorded, samples: &mut Vec<Sample>) -> Reply {
    let Some(behind) = request.path.strip_prefix(PROXY) else { return answer(&request.path, request, samples) };
    if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
        return Reply::json(401, &json!({"message": "Unauthorized"}));
    }
    answer(behind, request, samples)
}

fn answer(path: &str, request: &Recorded, samples: &mut Vec<Sample>) -> Reply {
    if path != "/api/v1/query" || request.query("query").is_none_or(str::is_empty) {
        return Reply::json(400, &json!({"status": "error", "errorType": "bad_data", "error": "no query"}));
    }
    let sample = if samples.len() > 1 { samples.remove(0) } else { samples[0] };
    let vector = |value: String| json!([{"metric": {}, "value": [1_700_000_000.5, value]}]);
    let result = match sample {
        Sample::Rate(rate) => vector(rate.to_string()),
        Sample::NotANumber => vector("NaN".into()),
        Sample::Nothing => json!([]),
        Sample::Overloaded => {
            return Reply::json(503, &json!({"status": "error", "errorType": "timeout", "error": "query timed out"}));
        }
    };
    Reply::json(200, &json!({"status": "success", "data": {"resultType": "vector", "result": result}}))
}
