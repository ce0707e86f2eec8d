//! `--sign`: which key signs, and when. Knows nothing of steps.

use std::path::PathBuf;

use super::{CliError, Context, error::code, say, session};
use crate::{
    journal::{NewRun, OpenRun, SIGNATURE_NAMESPACE, Statement},
    port::World,
    worlds::real::{RealWorld, SignatureError, SshKey},
};

/// The key of a run, chosen before anything of it is done and the same at its end.
pub struct Signing<'a> {
    world: &'a RealWorld,
    key: SshKey,
}

impl<'a> Signing<'a> {
    /// None where nobody asked for signatures.
    pub async fn choose(world: &'a RealWorld, flag: Option<&Option<PathBuf>>) -> Result<Option<Signing<'a>>, CliError> {
        let Some(file) = flag else { return Ok(None) };
        let key = interruptible(SshKey::choose(world, file.as_deref())).await?.map_err(refused)?;
        Ok(Some(Signing { world, key }))
    }

    /// Signs the first record of a run that nobody has seen yet: a key that cannot sign is found here.
    pub async fn begin(&self, context: &Context, run: &NewRun) -> Result<(), CliError> {
        self.tell(context, true);
        let statement = run.statement(self.world.wall());
        let signature = self.sign(&statement).await?.map_err(refused)?;
        Ok(run.keep_signature(&statement, &signature)?)
    }

    /// Signs the record of a run as it is found, before it goes on.
    pub async fn go_on(&self, context: &Context, run: &OpenRun) -> Result<(), CliError> {
        self.tell(context, true);
        let statement = run.statement(self.world.wall());
        let signature = self.sign(&statement).await?.map_err(refused)?;
        Ok(run.keep_signature(&statement, &signature)?)
    }

    /// Signs what there is at a pause or at the end. Where that fails, what happened has happened, and it is told.
    pub async fn end(&self, context: &Context, run: &OpenRun) {
        self.tell(context, false);
        let statement = run.statement(self.world.wall());
        let failed = match self.sign(&statement).await {
            Ok(Ok(signature)) => run.keep_signature(&statement, &signature).err().map(|why| format!("could not {why}")),
            Ok(Err(why)) => Some(why.to_string()),
            Err(interrupted) => Some(interrupted.message),
        };
        if let Some(why) = failed {
            let text = format!(
                "runsheet: record {} of run {} is not signed: {why}\n  hint: sign it later with: runsheet resume {} --sign\n",
                statement.record, run.id, run.id
            );
            say(context, &text);
        }
    }

    /// Said before, because a key may wait for its owner; the second time only of one that does.
    fn tell(&self, context: &Context, first: bool) {
        let touch = if self.key.wants_touch() { "; touch it if it waits for that" } else { "" };
        if !touch.is_empty() || (first && !context.global.quiet) {
            say(context, &format!("signing with {}{touch}\n", self.key.shown()));
        }
    }

    async fn sign(&self, statement: &Statement) -> Result<Result<Vec<u8>, SignatureError>, CliError> {
        let text = statement.text();
        interruptible(self.key.sign(self.world, SIGNATURE_NAMESPACE, text.as_bytes())).await
    }
}

/// An agent may ask its owner, who may rather want to stop.
async fn interruptible<T>(work: impl Future<Output = T>) -> Result<T, CliError> {
    let mut signals = session::signals();
    tokio::select! {
        biased;
        done = work => Ok(done),
        Some(_) = signals.recv() => Err(CliError::new(code::DECLINED, "stopped while it was being signed")),
    }
}

fn refused(error: SignatureError) -> CliError {
    let error_out = CliError::new(code::REQUIREMENT, format!("could not sign: {error}")).hint("nothing was run");
    match error.no_tool {
        true => error_out,
        false => error_out
            .hint("a key with a passphrase must be in an agent, because nobody is asked for it here: ssh-add KEY")
            .hint("--sign=KEY names a key, or a public key that an agent holds"),
    }
}
