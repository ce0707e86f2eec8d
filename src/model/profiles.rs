//! Profiles, from nodes to what is declared: values of parameters that go together. Knows nothing of who chooses one.

use indexmap::IndexMap;

use super::{Lowering, Names, Param, Profile, declare::separated, fields::PROFILE_KEYS, shapes::read_as};
use crate::{
    syntax::{Given, Text},
    text::{Diagnostic, did_you_mean},
    value::Value,
};

impl Lowering {
    pub(super) fn profiles(&self, given: &Given<'_>, params: &IndexMap<String, Param>) -> IndexMap<String, Profile> {
        let form = "{production: {params: {host: web-1}}}";
        let mut profiles = IndexMap::new();
        for (name, given) in given.clone().like(form).entries().unwrap_or_default() {
            let profile = self.profile(name, &given, params);
            if Names::is_id(&name.text) {
                profiles.insert(name.text.clone(), profile);
                continue;
            }
            let hint = Some(separated(&name.text, '-')).filter(|name| Names::is_id(name));
            given.problems().push(
                Diagnostic::error("bad-name", name.span, format!("`{}` cannot be the name of a profile", name.text))
                    .label("lower-case letters, digits and `-`, beginning with a letter")
                    .hint_opt(hint.map(|name| format!("write `{name}`"))),
            );
        }
        profiles
    }

    fn profile(&self, name: &Text, given: &Given<'_>, params: &IndexMap<String, Param>) -> Profile {
        let mut profile = Profile {
            name: name.text.clone(),
            protected: false,
            params: IndexMap::new(),
            places: IndexMap::new(),
            span: name.span,
        };
        let what = format!("profile `{}`", name.text);
        let given = given.clone().like("{protected: true, params: {host: web-1}}");
        let Some(fields) = given.fields(&what) else { return profile };
        let mut fields = fields.closed(PROFILE_KEYS);
        profile.protected = fields.get("protected").and_then(|given| given.boolean()).unwrap_or(false);
        let values = fields.get("params").and_then(|given| given.like("{host: web-1}").entries()).unwrap_or_default();
        for (name, given) in values {
            match params.get(&name.text) {
                Some(param) => {
                    let place = format!("parameter `{}`", param.name);
                    let value: Option<Value> = read_as(self, param, &given, &format!("{what}: the value"), &place);
                    profile.params.extend(value.map(|value| (name.text.clone(), value)));
                    profile.places.insert(name.text.clone(), given.span());
                }
                None => {
                    let message = format!("{what} sets `{}`, which is no parameter", name.text);
                    let near = did_you_mean(&name.text, params.keys().map(String::as_str));
                    let hint = near.unwrap_or_else(|| "declare it under `params`, or remove it".to_owned());
                    given.problems().push(
                        Diagnostic::error("unknown-name", name.span, message).label("no such parameter").hint(hint),
                    );
                }
            }
        }
        fields.finish();
        profile
    }
}
