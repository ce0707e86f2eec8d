//! `facebook-connector/token-expired` against a real PostgreSQL with the connector's tables. What people do is answered in
//! its scenarios.

use super::retry::World;

const OLD: &str = "6f1c0000-0000-4000-8000-000000000001";
const NEW: &str = "6f1c0000-0000-4000-8000-000000000002";
const OTHERS: &str = "6f1c0000-0000-4000-8000-000000000003";
const NOBODYS: &str = "6f1c0000-0000-4000-8000-00000000000f";

#[test]
fn it_says_whose_it_is_and_believes_only_a_new_profile_of_theirs() {
    let Some(world) = World::new() else { return };
    let bench = |revision: &str, profile: &str, edits: &[(&str, &str)]| {
        let bench = world.set("facebook-connector/token-expired", edits);
        bench.param("revision", revision).param("profile", profile).param("partner_success", "#partner-success")
    };
    // It stays open at what only a person can do.
    let ran = bench("92", OLD, &[]).run(&[("sure-to-tell", "yes")]);
    assert_eq!(ran.code, 11, "{}", ran.told);
    let told = "Company 17, business Shoes \"&\" Inc., ad account Shoes, profile 6f1c0000-0000-4000-8000-000000000001";
    assert!(ran.told.contains(told) && !ran.told.contains("Some User"), "{}", ran.told);
    // It is not the token where nothing has failed, and nothing is said of what does not exist.
    bench("93", OLD, &[]).run(&[]).stopped_at("delivery", "failed > 0");
    bench("9000", OLD, &[]).run(&[]).stopped_at("delivery", "result.json.delivery is not none");
    bench("92", NOBODYS, &[]).run(&[]).stopped_at("delivery", "result.json.profile is not none");
    let ended = |profile: &str, edits: &[(&str, &str)]| {
        bench("92", OLD, edits).param("new_profile", profile).run(&[("ended", "yes")])
    };
    ended(NEW, &[]).succeeded();
    // Each check of the new profile is needed.
    let rows = [
        (NOBODYS, "result.json is not none", None),
        (OTHERS, "result.json.company == company", Some(("      - result.json.company == company\n", ""))),
        (OLD, "chosen != profile", Some(("      - chosen != profile and result.json.issued > issued\n", ""))),
    ];
    for (profile, says, without) in rows {
        ended(profile, &[]).stopped_at("there", says);
        if let Some(without) = without {
            ended(profile, &[without]).succeeded();
        }
    }
}
