//! `verify`: whether the record of a run is as it was written, and what that proves.

use std::path::Path;

use super::{CliError, Context, args::Verify, error::code, print, say, session};
use crate::{
    journal::{SIGNATURE_NAMESPACE, StoreError, Verdict, VerifyReport},
    text::one_line,
    worlds::real::{Checked, RealWorld, SignatureError, check_signature, signer},
};

pub fn verify(context: &Context, flags: &Verify) -> Result<u8, CliError> {
    let anchor = flags.anchor.as_deref().map(read_anchor).transpose()?;
    if anchor.is_some() && flags.runs.len() > 1 {
        return Err(CliError::usage("an anchor is the hash of one run's record").hint("verify that run alone"));
    }
    if let Some(file) = &flags.allowed_signers
        && let Err(why) = std::fs::read(file)
    {
        return Err(CliError::usage(format!("could not read the allowed signers in {}: {why}", file.display())));
    }
    let store = context.store()?;
    let runs = flags.runs.iter().map(|word| store.resolve(word)).collect::<Result<Vec<_>, StoreError>>()?;
    let mut good = true;
    for run in runs {
        let mut report = match crate::journal::verify(&store, &run, anchor.as_deref()) {
            Ok(report) => report,
            Err(error) => {
                // The others are looked at all the same; what cannot be looked at is not verified.
                good = false;
                say(context, &format!("runsheet: could not {error}\n"));
                print(context, &format!("run {run}: NOT verified\n"))?;
                continue;
            }
        };
        signatures(&mut report, flags.allowed_signers.as_deref())?;
        good &= report.ok();
        let mut text = String::new();
        for line in report.lines() {
            // Names of files are whatever somebody made them.
            text.push_str(&one_line(&line));
            text.push('\n');
        }
        print(context, &text)?;
    }
    Ok(if good { 0 } else { code::NOT_VERIFIED })
}

/// A hash as it was noted: whole, or it could be that of anything.
fn read_anchor(text: &str) -> Result<String, CliError> {
    let hash = text.trim().to_ascii_lowercase();
    if hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(hash);
    }
    Err(CliError::usage(format!("`{}` is no anchor", one_line(text)))
        .hint("an anchor is the last word of a line `anchor RUN RECORD HASH`: 64 digits of a hash, all of them"))
}

/// Looks at the signatures that `ssh-keygen` can tell about.
fn signatures(report: &mut VerifyReport, allowed: Option<&Path>) -> Result<(), CliError> {
    report.signers_known = allowed.is_some();
    if report.signatures.is_empty() {
        return Ok(());
    }
    let world = RealWorld::new(RealWorld::own_program());
    session::block_on(async {
        for signed in &mut report.signatures {
            let (text, signature) = (&signed.text, &signed.signature);
            let checked = match check_signature(&world, SIGNATURE_NAMESPACE, text, signature).await {
                Ok(checked) => checked,
                Err(error) => {
                    signed.verdict = unchecked(error, allowed)?;
                    continue;
                }
            };
            signed.verdict = match checked {
                Checked::Bad(why) => Verdict::Bad(why),
                Checked::Good { key } => {
                    let time = signed.statement.time;
                    let by = match allowed {
                        Some(file) => signer(&world, SIGNATURE_NAMESPACE, text, signature, file, time).await,
                        None => Ok(None),
                    };
                    match by {
                        Ok(by) => Verdict::Good { key, by },
                        Err(error) => unchecked(error, allowed)?,
                    }
                }
            };
        }
        Ok(())
    })?
}

/// A signature that nobody could look at proves nothing; who asked for signers is told what is missing.
fn unchecked(error: SignatureError, allowed: Option<&Path>) -> Result<Verdict, CliError> {
    match allowed {
        Some(_) => Err(CliError::new(code::REQUIREMENT, format!("could not check the signatures: {error}"))),
        None => Ok(Verdict::Unchecked(format!("it was not checked: {error}"))),
    }
}
