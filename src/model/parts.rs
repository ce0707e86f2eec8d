//! What an action is made of, as far as somebody who looks for slips wants to see it. Judges nothing.

use std::ops::Range;

use super::Body;
use crate::syntax::{Template, Text};

/// The parts of an action; most have few.
#[derive(Debug, Default)]
pub struct Parts<'a> {
    pub scripts: Vec<Script<'a>>,
    /// Programs with their arguments, started without a shell.
    pub programs: Vec<&'a [Template]>,
    pub urls: Vec<&'a Template>,
    /// What it looks with.
    pub looks: Vec<&'a Body>,
    /// Of what looks again and again until something holds: whether it says when that can no longer come.
    pub gives_up: Option<bool>,
}

/// A script as it stands in the file.
#[derive(Debug)]
pub struct Script<'a> {
    pub text: &'a Text,
    /// The name of the shell that reads it, such as `bash`; none where something else does.
    pub shell: Option<&'a str>,
    /// Tells its simple commands apart.
    pub read: fn(&str) -> Vec<Vec<ScriptWord>>,
}

impl Script<'_> {
    /// Its simple commands, as far as they can be told; none where no shell reads it. Looks at the whole script.
    pub fn commands(&self) -> Vec<Vec<ScriptWord>> {
        if self.shell.is_some() { (self.read)(&self.text.text) } else { Vec::new() }
    }
}

/// A word of a command with its place in the script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptWord {
    /// As written, quotes included.
    pub text: String,
    pub at: Range<usize>,
    /// The variables in it whose values become part of it, each with its place in the script.
    pub values: Vec<(String, Range<usize>)>,
}
