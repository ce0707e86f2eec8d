//! `man`: the manual pages, made from what can be typed. Knows no verb by name.

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use super::{
    CliError, Context,
    args::{Args, Man as Flags},
    error::code,
    place, print, say,
};
use crate::text::did_you_mean;

pub fn man(context: &Context, flags: &Flags) -> Result<u8, CliError> {
    let pages = pages();
    if let Some(folder) = &flags.out {
        for (name, text) in &pages {
            let path = folder.join(name);
            place::replace(&path, text.as_bytes())
                .map_err(|why| CliError::new(code::FAILED, format!("could not write {}: {why}", path.display())))?;
        }
        if !context.global.quiet {
            say(
                context,
                &format!("{} pages are written; read one: man {}\n", pages.len(), folder.join("runsheet.1").display()),
            );
        }
        return Ok(0);
    }
    let wanted = match &flags.verb {
        None => "runsheet.1".to_owned(),
        Some(verb) => format!("runsheet-{verb}.1"),
    };
    let Some((_, text)) = pages.iter().find(|(name, _)| *name == wanted) else {
        let verb = flags.verb.as_deref().unwrap_or("");
        let command = Args::command();
        let near = did_you_mean(verb, visible(&command).map(Command::get_name));
        return Err(CliError::usage(format!("there is no verb `{verb}`"))
            .hint(near.unwrap_or_else(|| "`runsheet --help` lists them".into())));
    };
    print(context, text)?;
    Ok(0)
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|verb| !verb.is_hide_set())
}

/// Every page, by the name of its file.
fn pages() -> Vec<(String, String)> {
    let mut command = Args::command().disable_help_subcommand(true);
    command.build();
    let mut pages = vec![("runsheet.1".to_owned(), page(command.clone()))];
    for verb in visible(&command) {
        // Its names are made by `build`: a page is that of `runsheet-run`, and shows `runsheet run`.
        pages.push((format!("runsheet-{}.1", verb.get_name()), page(verb.clone())));
    }
    pages
}

fn page(command: Command) -> String {
    let mut text = Vec::new();
    // Without a date: the same program writes the same page.
    let man = Man::new(command).source(concat!("runsheet ", env!("CARGO_PKG_VERSION"))).manual("Runsheet");
    match man.render(&mut text) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned(),
        Err(_) => String::new(),
    }
}
