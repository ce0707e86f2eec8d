//! The stand-in for Argo CD, held to what is known of the real one.

use serde_json::{Value, json};

use super::{APPS, App, ArgoCd, Fault, TOKEN};
use crate::standins::{client::Client, server::On};

const AT: &str = "/api/v1/applications/web";

fn argo(app: App, faults: Vec<Fault>) -> ArgoCd {
    ArgoCd::start(vec![app], faults)
}

fn plain() -> App {
    let mut app = App::new("web", "prod", "registry.example/web", "v1");
    app.track("v2");
    app
}

fn query() -> String {
    format!("{AT}?project=prod&appNamespace={APPS}")
}

fn look(argo: &ArgoCd) -> Value {
    argo.client().get(&query()).unwrap().json()
}

fn states(argo: &ArgoCd, looks: usize) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let seen = (0..looks).map(|_| look(argo)).map(|app| {
        let status = &app["status"];
        (text(&status["operationState"]["phase"]), text(&status["sync"]["status"]), text(&status["health"]["status"]))
    });
    seen.collect()
}

fn sync(argo: &ArgoCd) -> (u16, Value) {
    let body = json!({"project": "prod", "appNamespace": APPS, "infos": [{"name": "by", "value": "test"}]});
    let answer = argo.client().post(&format!("{AT}/sync"), &body.to_string()).unwrap();
    (answer.status, answer.json())
}

fn rollout(action: &str) -> Value {
    json!({"project": "prod", "appNamespace": APPS, "namespace": "balrog", "resourceName": "balrog", "version": "v1alpha1",
        "group": "argoproj.io", "kind": "Rollout", "action": action})
}

fn act(argo: &ArgoCd, action: &str) -> u16 {
    argo.client().post(&format!("{AT}/resource/actions/v2"), &rollout(action).to_string()).unwrap().status
}

fn disabled(argo: &ArgoCd, name: &str) -> bool {
    let at = format!(
        "{AT}/resource/actions?project=prod&appNamespace={APPS}&namespace=balrog&resourceName=balrog&group=argoproj.io&kind=Rollout"
    );
    let answer = argo.client().get(&at).unwrap().json();
    let found = answer["actions"].as_array().unwrap().iter().find(|action| action["name"] == name).unwrap().clone();
    found["disabled"] == json!(true)
}

#[test]
fn a_token_a_namespace_and_the_right_project_are_wanted() {
    let argo = argo(plain(), vec![]);
    let nobody = Client::new(&argo.url());
    assert_eq!(nobody.get(&query()).unwrap().json()["message"], "no session information");
    let other = Client::new(&argo.url()).header("Authorization", &format!("Bearer {TOKEN}x"));
    assert_eq!(other.get(&query()).unwrap().status, 401);
    let status = |at: &str| argo.client().get(at).unwrap().status;
    assert_eq!(status(AT), 403);
    assert_eq!(status(&format!("{AT}?project=stage&appNamespace={APPS}")), 404);
    assert_eq!(status(&format!("/api/v1/applications/none?appNamespace={APPS}")), 403);
    assert_eq!(status(&format!("{AT}?appNamespace={APPS}")), 200);
}

#[test]
fn a_sync_is_asked_for_then_runs_then_is_over_and_the_rest_follows() {
    let argo = argo(plain(), vec![]);
    assert_eq!(states(&argo, 1)[0], ("".into(), "OutOfSync".into(), "Healthy".into()));
    let (status, app) = sync(&argo);
    assert_eq!((status, &app["operation"]["info"]), (200, &json!([{"name": "by", "value": "test"}])));
    assert_eq!(sync(&argo).0, 400, "another one is in progress");
    let seen = states(&argo, 6);
    let text: Vec<String> = seen.iter().map(|(phase, sync, health)| format!("{phase} {sync} {health}")).collect();
    assert_eq!(
        text,
        [
            " OutOfSync Healthy",
            "Running OutOfSync Healthy",
            "Succeeded OutOfSync Healthy",
            "Succeeded Synced Progressing",
            "Succeeded Synced Healthy",
            "Succeeded Synced Healthy"
        ]
    );
    let app = look(&argo);
    assert_eq!(app["operation"], Value::Null);
    let state = &app["status"]["operationState"];
    assert_eq!(state["syncResult"]["revision"], app["status"]["sync"]["revision"]);
    assert_eq!(state["operation"]["info"][0]["value"], "test");
    assert_eq!(argo.state().app("web").live(), "v2");
}

#[test]
fn the_manifests_name_what_a_sync_would_apply() {
    let argo = argo(plain(), vec![]);
    let answer = argo.client().get(&format!("{AT}/manifests?project=prod&appNamespace={APPS}")).unwrap().json();
    let manifests = answer["manifests"].as_array().unwrap();
    assert!(manifests.iter().any(|text| text.as_str().unwrap().contains(r#""image":"registry.example/web:v2""#)));
}

#[test]
fn a_canary_pauses_and_is_promoted_or_aborted() {
    let argo_cd = argo(plain().with_rollout(), vec![]);
    assert!(disabled(&argo_cd, "promote-full") && disabled(&argo_cd, "abort"));
    sync(&argo_cd);
    assert_eq!(states(&argo_cd, 6).last().unwrap().2, "Suspended");
    let images = look(&argo_cd)["status"]["summary"]["images"].clone();
    assert_eq!(images.as_array().unwrap()[..2], ["registry.example/web:v1", "registry.example/web:v2"]);
    assert_eq!(argo_cd.state().app("web").live(), "v1");
    assert!(!disabled(&argo_cd, "promote-full"));
    assert_eq!((act(&argo_cd, "promote-full"), act(&argo_cd, "promote")), (200, 500));
    let last: Vec<String> = states(&argo_cd, 6).into_iter().map(|(_, _, health)| health).collect();
    assert_eq!((last[0].as_str(), last[5].as_str()), ("Progressing", "Healthy"));
    assert!(disabled(&argo_cd, "promote-full"));
    assert_eq!(argo_cd.state().app("web").live(), "v2");
    let aborted = argo(plain().with_rollout(), vec![]);
    sync(&aborted);
    states(&aborted, 6);
    act(&aborted, "abort");
    assert_eq!(states(&aborted, 1)[0].2, "Degraded");
    assert_eq!(aborted.state().app("web").live(), "v1");
}

#[test]
fn what_is_automated_follows_what_was_pushed_by_itself() {
    let apps = vec![App::new("web", "prod", "registry.example/web", "v1").automated()];
    let argo = ArgoCd::following(apps, vec![], Box::new(|| vec!["v2".into()]));
    assert_eq!(states(&argo, 8).last().unwrap(), &("Succeeded".into(), "Synced".into(), "Healthy".into()));
    assert_eq!(argo.state().app("web").live(), "v2");
    assert_eq!(look(&argo)["status"]["operationState"]["operation"]["initiatedBy"], json!({"automated": true}));
}

mod faults {
    use super::*;

    fn ends(app: App, fault: Fault) -> (ArgoCd, (String, String, String)) {
        let argo = argo(app, vec![fault]);
        sync(&argo);
        let last = states(&argo, 12).pop().unwrap();
        (argo, last)
    }

    fn words(words: [&str; 3]) -> (String, String, String) {
        let [phase, sync, health] = words.map(str::to_owned);
        (phase, sync, health)
    }

    #[test]
    fn a_sync_that_is_late_fails_or_is_half_done() {
        assert_eq!(ends(plain(), Fault::Late { looks: 3 }).1, words(["Succeeded", "Synced", "Healthy"]));
        let (argo, last) = ends(plain(), Fault::Ends("Failed"));
        assert_eq!((last, argo.state().app("web").live()), (words(["Failed", "OutOfSync", "Healthy"]), "v1"));
        assert_eq!(ends(plain(), Fault::HalfDone).1, words(["Succeeded", "OutOfSync", "Healthy"]));
        assert_eq!(ends(plain(), Fault::NeverReady).1, words(["Succeeded", "Synced", "Progressing"]));
        assert_eq!(ends(plain(), Fault::FlipsBack { to: "Degraded" }).1, words(["Succeeded", "Synced", "Degraded"]));
        assert_eq!(ends(plain(), Fault::FlipsBack { to: "OutOfSync" }).1, words(["Succeeded", "OutOfSync", "Healthy"]));
        assert_eq!(ends(plain().with_rollout(), Fault::CanaryAborted).1, words(["Succeeded", "Synced", "Degraded"]));
    }

    #[test]
    fn something_else_is_synced_than_what_was_seen() {
        let (argo, last) = ends(plain(), Fault::TrackedMoves { image: "v3" });
        assert_eq!((last, argo.state().app("web").live()), (words(["Succeeded", "Synced", "Healthy"]), "v3"));
        let (argo, _) = ends(plain(), Fault::SomebodyElse { image: Some("v3") });
        assert_eq!(argo.state().app("web").live(), "v3");
        assert_eq!(look(&argo)["status"]["operationState"]["operation"]["initiatedBy"]["username"], "somebody-else");
        let other = super::argo(plain(), vec![Fault::OtherProject]);
        let answer = other.client().get(&format!("{AT}?project=stage&appNamespace={APPS}")).unwrap();
        assert_eq!((answer.status, answer.json()["spec"]["project"].as_str()), (200, Some("prod")));
    }

    #[test]
    fn a_sync_is_refused() {
        let busy = super::argo(plain(), vec![Fault::Busy { looks: 2 }]);
        assert_eq!(sync(&busy).0, 400);
        assert_eq!(look(&busy)["operation"]["initiatedBy"]["username"], "somebody-else");
        look(&busy);
        assert_eq!(sync(&busy).0, 200);
        let window = super::argo(plain(), vec![Fault::Window]);
        assert_eq!(sync(&window).0, 403);
        let expired = super::argo(plain(), vec![Fault::Unauthorized { on: On::of("POST", "sync") }]);
        assert_eq!(sync(&expired).0, 401);
    }

    #[test]
    fn a_lost_reply_has_had_its_effect() {
        let argo = super::argo(plain(), vec![Fault::ReplyLost { on: On::of("POST", "sync"), times: 1 }]);
        assert!(
            argo.client()
                .post(&format!("{AT}/sync"), &json!({"project": "prod", "appNamespace": APPS}).to_string())
                .is_err()
        );
        assert_eq!(argo.state().app("web").operations.len(), 1);
    }

    #[test]
    fn an_action_does_nothing_or_something_else() {
        let canary = |fault| {
            let argo = super::argo(plain().with_rollout(), vec![fault]);
            sync(&argo);
            states(&argo, 6);
            act(&argo, "promote-full");
            let last = states(&argo, 6).pop().unwrap().2;
            let live = argo.state().app("web").live().to_owned();
            (last, live)
        };
        assert_eq!(canary(Fault::ActionIgnored), ("Suspended".into(), "v1".into()));
        assert_eq!(canary(Fault::OtherCanary { image: "v3" }), ("Healthy".into(), "v3".into()));
        assert_eq!(canary(Fault::PromotionFails), ("Degraded".into(), "v1".into()));
    }
}
