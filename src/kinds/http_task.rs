//! A request with its values in place, and what its answer is as a result. Knows nothing of waiting or expecting.

use std::time::Duration;

use base64::Engine as _;
use indexmap::IndexMap;

use super::{
    http::{Auth, Http, JsonTemplate, Payload},
    report::{json_of, not_run, send_failure},
};
use crate::{
    event::{Effect, StepId, StepStatus},
    model::{Action, Declared, Resolution, Setting},
    port::{Body, HttpReply, HttpRequest, Local, StepContext, StepError, StepReport, Task},
    syntax::{Eval, Rendered, Template},
    text::Diagnostic,
    value::{Scope, Slot, Value},
};

/// Gathers values; what is missing is remembered instead of failing at the first.
struct Filler<'a> {
    scope: &'a Scope,
    waiting: Vec<String>,
}

impl Filler<'_> {
    fn text(&mut self, template: &Template) -> Result<String, Diagnostic> {
        let rendered = template.render(self.scope, &[])?;
        Ok(self.settle(rendered))
    }

    fn settle(&mut self, rendered: Rendered) -> String {
        match rendered {
            Rendered::Text(text) => text,
            Rendered::Deferred(names) => {
                self.waiting.extend(names);
                String::new()
            }
        }
    }

    fn pairs(&mut self, pairs: &[(String, Template)]) -> Result<Vec<(String, String)>, Diagnostic> {
        pairs.iter().map(|(name, template)| Ok((name.clone(), self.text(template)?))).collect()
    }

    fn json(&mut self, template: &JsonTemplate) -> Result<serde_json::Value, Diagnostic> {
        Ok(match template {
            JsonTemplate::Value(value) => value.to_json(),
            JsonTemplate::Template(template) => match template.eval(self.scope, &[])? {
                Eval::Value(value) => value.to_json(),
                Eval::Deferred(names) => {
                    self.waiting.extend(names);
                    serde_json::Value::Null
                }
            },
            JsonTemplate::List(items) => {
                serde_json::Value::Array(items.iter().map(|item| self.json(item)).collect::<Result<_, _>>()?)
            }
            JsonTemplate::Map(entries) => {
                let mut map = serde_json::Map::new();
                for (name, item) in entries {
                    map.insert(name.clone(), self.json(item)?);
                }
                map.into()
            }
        })
    }

    fn secret(&mut self, name: &str) -> String {
        match self.scope.get(name) {
            Some(Slot::Known(value)) => value.to_string(),
            Some(Slot::Unknown { origin }) => {
                self.waiting.push(origin.to_string());
                String::new()
            }
            _ => {
                self.waiting.push(name.to_owned());
                String::new()
            }
        }
    }
}

pub(super) fn resolve(http: &Http, setting: &Setting<'_>) -> Result<Resolution, Diagnostic> {
    let mut filler = Filler { scope: setting.scope, waiting: Vec::new() };
    let rendered = http.url.render_url(setting.scope, &[])?;
    let url = filler.settle(rendered);
    let query = filler.pairs(&http.query)?;
    let mut headers = filler.pairs(&http.headers)?;
    let body = match &http.body {
        Payload::Nothing => Body::Nothing,
        Payload::Json(json) => {
            add_header(&mut headers, "content-type", "application/json");
            Body::Bytes(filler.json(json)?.to_string().into_bytes())
        }
        Payload::Form(pairs) => {
            add_header(&mut headers, "content-type", "application/x-www-form-urlencoded");
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.extend_pairs(filler.pairs(pairs)?);
            Body::Bytes(form.finish().into_bytes())
        }
        Payload::Text(template) => Body::Bytes(filler.text(template)?.into_bytes()),
        Payload::Upload(template) => Body::File(setting.cwd.join(filler.text(template)?)),
    };
    match &http.auth {
        Some(Auth::Basic(user, secret)) => {
            let pair = format!("{}:{}", filler.text(user)?, filler.secret(&secret.value));
            headers.push((
                "authorization".into(),
                format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)),
            ));
        }
        Some(Auth::Bearer(secret)) => {
            headers.push(("authorization".into(), format!("Bearer {}", filler.secret(&secret.value))));
        }
        None => {}
    }
    let save = http.save.as_ref().map(|path| filler.text(path)).transpose()?.map(|path| setting.cwd.join(path));
    let ca_file = http.ca_file.as_ref().map(|path| filler.text(path)).transpose()?.map(|path| setting.cwd.join(path));
    if !filler.waiting.is_empty() {
        filler.waiting.dedup();
        return Ok(Resolution::Deferred(filler.waiting));
    }
    let mut url = url::Url::parse(&url)
        .map_err(|why| Diagnostic::error("not-an-url", http.url.span(), format!("`{url}` is not a URL: {why}")))?;
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(&query);
    }
    check_origin(http, setting, &url)?;
    if let Some((name, _)) = headers.iter().find(|(_, value)| value.bytes().any(|b| b == b'\n' || b == b'\r' || b == 0))
    {
        let span = http.headers.iter().find(|(of, _)| of == name).map_or(http.url.span(), |(_, t)| t.span());
        return Err(Diagnostic::error("wrong-value", span, format!("the value of header `{name}` holds a line break")));
    }
    Ok(Resolution::Task(Box::new(HttpTask {
        effect: setting.effect,
        detail: http.show(setting.scope).detail,
        request: HttpRequest {
            step: StepId::new(""),
            effect: setting.effect,
            attempt: 0,
            looks: false,
            method: http.method.to_owned(),
            url,
            headers,
            body,
            timeout: setting.timeout.unwrap_or(Duration::from_secs(600)),
            follow_redirects: http.follow_redirects,
            ca_file,
            max_body: http.max_body,
            save,
        },
    })))
}

/// A secret is sent only to an origin that the file or a parameter names: one that came from outside could be anyone's.
fn check_origin(http: &Http, setting: &Setting<'_>, url: &url::Url) -> Result<(), Diagnostic> {
    let references = http.references(setting.names);
    let origin = url.origin().ascii_serialization();
    // Of several secrets each must be allowed to go there.
    let secret = references.iter().find(|reference| {
        setting.names.is_secret(&reference.name) && !setting.names.origins_of(&reference.name).contains(&origin)
    });
    let Some(secret) = secret else { return Ok(()) };
    if setting.origins.contains(&origin) || http.says_origin(&|name| is_capture(setting, name)) {
        return Ok(());
    }
    let hint = "begin the URL with a parameter and take only the path from a captured value";
    let hint = match setting.names.get(&secret.name) {
        Some(Declared::Secret(_)) => {
            format!("{hint}; or, if that host may have it, write `origins: [\"{origin}\"]` at the secret")
        }
        _ => hint.to_owned(),
    };
    Err(Diagnostic::error(
        "secret-to-captured-origin",
        http.url.span(),
        format!("secret `{}` would be sent to {origin}, which neither the file nor a parameter names", secret.name),
    )
    .related(secret.span, "the secret")
    .hint(hint))
}

fn is_capture(setting: &Setting<'_>, name: &str) -> bool {
    matches!(setting.names.get(name), Some(Declared::Capture { .. }))
}

fn add_header(headers: &mut Vec<(String, String)>, name: &str, value: &str) {
    if !headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
        headers.push((name.to_owned(), value.to_owned()));
    }
}

struct HttpTask {
    effect: Effect,
    detail: String,
    request: HttpRequest,
}

impl Task for HttpTask {
    fn run<'a>(&'a self, cx: &'a dyn StepContext) -> Local<'a, Result<StepReport, StepError>> {
        Box::pin(async move {
            let mut request = self.request.clone();
            request.timeout = cx.limit().map_or(request.timeout, |limit| request.timeout.min(limit));
            let answered = cx.perform_http(self.effect, request, self.detail.clone()).await?;
            let reply = match answered {
                None => return Ok(not_run()),
                Some(Ok(reply)) => reply,
                Some(Err(error)) => return Ok(send_failure(self.effect, &error)),
            };
            let mut report = StepReport::of(StepStatus::Succeeded);
            report.http_status = Some(reply.status);
            report.result = Some(result_of(&reply));
            if reply.truncated {
                report
                    .notes
                    .push(format!("the answer was longer than {} bytes; the rest is not kept", self.request.max_body));
            }
            Ok(report)
        })
    }
}

/// What `result` stands for. A body that was cut is not there: using it is an error, not a lie.
fn result_of(reply: &HttpReply) -> Value {
    let mut result = IndexMap::new();
    result.insert("status".to_owned(), Value::Int(i64::from(reply.status)));
    let mut headers: IndexMap<String, Value> = IndexMap::new();
    for (name, value) in &reply.headers {
        // A name that comes more than once is one list, as RFC 9110 reads it.
        match headers.get_mut(name) {
            Some(Value::Text(known)) => *known = format!("{known}, {value}").into(),
            _ => {
                headers.insert(name.clone(), Value::text(value));
            }
        }
    }
    result.insert("headers".to_owned(), Value::map(headers));
    result.insert("url".to_owned(), Value::text(&reply.url));
    result.insert("elapsed".to_owned(), Value::Float(reply.elapsed.as_secs_f64()));
    result.insert("truncated".to_owned(), Value::Bool(reply.truncated));
    if !reply.truncated {
        result.insert("body".to_owned(), Value::text(String::from_utf8_lossy(&reply.body)));
        if let Some(json) = json_of(&reply.body) {
            result.insert("json".to_owned(), json);
        }
    }
    Value::map(result)
}
