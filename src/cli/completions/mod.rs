//! `completions`: what a shell needs to complete our commands. What there is to choose from is told by `__complete`, which
//! these scripts ask at each Tab; so they need no change when a runbook does.

mod candidates;
mod words;

use super::{
    CliError, Context,
    args::{Completions, Shell},
    print,
};

pub use words::complete;

pub fn completions(context: &Context, flags: &Completions) -> Result<u8, CliError> {
    print(
        context,
        match flags.shell {
            Shell::Bash => include_str!("runsheet.bash"),
            Shell::Zsh => include_str!("runsheet.zsh"),
            Shell::Fish => include_str!("runsheet.fish"),
        },
    )?;
    Ok(0)
}
