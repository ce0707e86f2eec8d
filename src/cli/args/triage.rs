//! What can be typed behind `triage`. Knows no mail.

use std::path::PathBuf;

use clap::ValueEnum;

#[derive(clap::Args)]
pub struct Triage {
    /// A mail as it came (`.eml`), an mbox, or `-` for standard input
    #[arg(value_name = "FILE|-", conflicts_with_all = ["subject", "to", "from", "export"])]
    pub mail: Option<PathBuf>,
    /// A mail with this subject
    #[arg(long, value_name = "TEXT")]
    pub subject: Option<String>,
    /// A mail to this address; may be given more than once
    #[arg(long, value_name = "ADDRESS")]
    pub to: Vec<String>,
    /// A mail from this address
    #[arg(long, value_name = "ADDRESS")]
    pub from: Option<String>,
    /// Where the mails before it are, for rules that look at them: an mbox, or a folder of mails such as a Maildir
    #[arg(long, value_name = "PATH")]
    pub mailbox: Option<PathBuf>,
    /// Neither look at the mails that were triaged before nor keep this one for later
    #[arg(long)]
    pub no_history: bool,
    /// Only runbooks below this name, such as `releng`
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    /// As JSON, one object for each mail
    #[arg(long)]
    pub json: bool,
    /// Write filters that put each kind of mail into a folder of its own
    #[arg(long, value_name = "FORMAT", conflicts_with_all = ["subject", "to", "from", "mailbox", "json", "no_history"])]
    pub export: Option<FilterFormat>,
    /// The folder that these folders are made in
    #[arg(long, value_name = "NAME", default_value = "runsheet", requires = "export")]
    pub folder: String,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FilterFormat {
    Sieve,
}
