//! `socorro/deploy` against the cloud of our own: its ways, and everything that may go wrong in them.

use super::world::{NEW_IMAGE, World, YES};

#[test]
fn a_commit_is_built_and_deployed() {
    let world = World::new();
    let ran = world.run(&[]);
    ran.succeeded();
    let image = ran.events.iter().find(|event| event["event"] == "run_finished").unwrap();
    eprintln!("{image}");
    let _ = YES;
    let _ = NEW_IMAGE;
}

#[test]
fn what_is_there_is_deployed() {
    let world = World::with_image();
    world.run(&[]).succeeded();
    world.all_run(NEW_IMAGE);
}
