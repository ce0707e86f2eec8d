//! A person at a terminal. Knows nothing of what a question is about; how it looks is `draw`'s.
//!
//! Fails closed: Esc, Ctrl-C, Ctrl-D, the end of input and a lost terminal are no answers, Enter alone chooses nothing, and keys
//! typed before a question was shown are thrown away.

use std::{
    cell::RefCell,
    fs::{File, OpenOptions},
    io::{self, IsTerminal, Write},
    os::unix::fs::OpenOptionsExt,
    sync::Once,
};

use unicode_width::UnicodeWidthStr;

use super::{
    draw::{draw_menu, draw_question},
    keys::{Key, Keys},
    read_evidence, restore_terminal,
};
use crate::{
    port::{Answer, Choice, Closing, Evidence, Local, Operator, Question, QuestionKind, Reply},
    text::{one_line, printable},
    value::{Secret, Value, Written},
};

/// Asks at the keyboard and shows on standard error.
pub struct Terminal {
    name: String,
    tty: File,
    out: RefCell<Box<dyn Write>>,
    color: bool,
}

impl Terminal {
    /// The terminal that controls this process. `name` is who sits there, for the record.
    pub fn open(name: impl Into<String>, color: bool) -> io::Result<Terminal> {
        static HOOK: Once = Once::new();
        // Opened anew, so that not blocking is a matter of this file alone and not of everybody's standard input.
        let tty = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open("/dev/tty")?;
        let out: Box<dyn Write> = if io::stderr().is_terminal() {
            Box::new(io::stderr())
        } else {
            Box::new(OpenOptions::new().write(true).custom_flags(libc::O_NOCTTY).open("/dev/tty")?)
        };
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore_terminal();
                before(panic);
            }));
        });
        Ok(Terminal::on(name, tty, out, color))
    }

    /// Any terminal; the file must not block.
    pub fn on(name: impl Into<String>, tty: File, out: Box<dyn Write>, color: bool) -> Terminal {
        Terminal { name: name.into(), tty, out: RefCell::new(out), color }
    }

    fn screen(&self) -> Result<Screen<'_>, GaveUp> {
        let keys = Keys::take(&self.tty).map_err(|why| format!("the terminal is gone: {why}"))?;
        let width = rustix::termios::tcgetwinsize(&self.tty).map_or(0, |size| usize::from(size.ws_col));
        Ok(Screen { keys, out: &self.out, width: if width == 0 { 80 } else { width }, color: self.color })
    }

    /// One line, for a question that is put before there is anything to choose from; Esc is no answer.
    ///
    /// `head` stands above it, and is shown when the keys of before have been thrown away.
    pub(super) async fn typed(&self, head: &str, prompt: &str, echo: bool) -> Result<String, String> {
        let mut screen = self.screen().map_err(|gave_up| gave_up.why)?;
        screen.say(head).map_err(|gave_up| gave_up.why)?;
        match screen.line(prompt, echo).await {
            Ok(Typed::Line(line)) => Ok(line),
            Ok(Typed::Escape) => Err("nothing was typed".into()),
            Err(gave_up) => Err(gave_up.why),
        }
    }

    async fn put(&self, question: &Question) -> Result<Answer, GaveUp> {
        let mut screen = self.screen()?;
        screen.say(&draw_question(question, screen.width, screen.color))?;
        let left = Left(&self.out);
        let answer = self.answer(question, &mut screen).await;
        std::mem::forget(left);
        answer
    }

    async fn answer(&self, question: &Question, screen: &mut Screen<'_>) -> Result<Answer, GaveUp> {
        match &question.kind {
            QuestionKind::Confirm { type_back, not_now, .. } => {
                screen.confirm(type_back.as_deref(), not_now.as_deref(), &question.choices).await
            }
            QuestionKind::Manual { evidence, .. } => screen.manual(evidence, &question.choices).await,
            QuestionKind::Ask { fields } => screen.values(fields, &question.choices).await,
            QuestionKind::Withheld { name } => {
                let secret = screen.secret(name).await?;
                Ok(Answer { secret: Some(secret), ..Answer::word("given") })
            }
            QuestionKind::BeforeStep { .. }
            | QuestionKind::Failure
            | QuestionKind::Unknown
            | QuestionKind::Choose
            | QuestionKind::Interrupt
            | QuestionKind::Undo
            | QuestionKind::Run => {
                if question.choices.is_empty() {
                    screen.confirm(None, None, &[]).await
                } else {
                    screen.menu(&question.choices).await
                }
            }
        }
    }
}

impl Operator for Terminal {
    fn ask<'a>(&'a self, question: &'a Question) -> Local<'a, Reply> {
        Box::pin(async move {
            match self.put(question).await {
                Ok(answer) => Reply::Answer(answer),
                Err(GaveUp { why, how }) => Reply::Closed { why, how },
            }
        })
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn attended(&self) -> bool {
        true
    }
}

/// A question that goes away without an answer leaves its prompt in the middle of a line.
struct Left<'t>(&'t RefCell<Box<dyn Write>>);

impl Drop for Left<'_> {
    fn drop(&mut self) {
        if let Ok(mut out) = self.0.try_borrow_mut() {
            // What it says is of no use to a terminal that is gone.
            let _ = out.write_all(b"\n").and_then(|()| out.flush());
        }
    }
}

/// A line as it was typed, or nothing: Esc.
enum Typed {
    Line(String),
    Escape,
}

/// Why there is no answer.
struct GaveUp {
    why: String,
    how: Closing,
}

impl GaveUp {
    fn interrupted() -> GaveUp {
        GaveUp { why: "interrupted".into(), how: Closing::Interrupted }
    }

    fn escaped(why: impl Into<String>) -> GaveUp {
        GaveUp { why: why.into(), how: Closing::Escaped }
    }
}

const ESCAPED: &str = "nothing was chosen";

impl From<String> for GaveUp {
    fn from(why: String) -> GaveUp {
        GaveUp { why, how: Closing::Ended }
    }
}

/// The terminal while one question is open.
struct Screen<'t> {
    keys: Keys<'t>,
    out: &'t RefCell<Box<dyn Write>>,
    width: usize,
    color: bool,
}

impl Screen<'_> {
    /// Shows a text that is sanitised already.
    fn say(&self, text: &str) -> Result<(), GaveUp> {
        let mut out = self.out.borrow_mut();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        written.map_err(|why| format!("the terminal is gone: {why}").into())
    }

    fn complain(&self, why: &str) -> Result<(), GaveUp> {
        self.say(&format!("  {}\n", printable(why)))
    }

    async fn confirm(
        &mut self,
        type_back: Option<&str>,
        not_now: Option<&str>,
        choices: &[Choice],
    ) -> Result<Answer, GaveUp> {
        let prompt = match (not_now, type_back) {
            (Some(_), _) => {
                let words: Vec<&str> = choices.iter().map(|choice| choice.name.as_ref()).collect();
                format!("  {} or no: ", words.join(", "))
            }
            (None, Some(_)) => "  text, or no: ".to_owned(),
            (None, None) => "  yes or no: ".to_owned(),
        };
        let prompt = prompt.as_str();
        loop {
            let Typed::Line(line) = self.line(prompt, true).await? else { return Err(GaveUp::escaped(ESCAPED)) };
            let word = line.trim().to_lowercase();
            let yes = match type_back {
                Some(expected) => line == expected && !line.is_empty(),
                None => word == "y" || word == "yes",
            };
            if let (true, Some(why)) = (yes, not_now) {
                self.complain(&format!("not now: {why}"))?;
                continue;
            }
            match type_back {
                _ if yes => return Ok(Answer::word("yes")),
                _ if word == "no" || (type_back.is_none() && word == "n") => return Ok(Answer::word("no")),
                _ => {}
            }
            // A confirm may offer more than its two answers, such as a pause; by name or by letter.
            let chosen = choices.iter().find(|choice| {
                let by_key = line.chars().eq([choice.key]);
                !matches!(&*choice.name, "yes" | "no") && !word.is_empty() && (by_key || choice.name == word)
            });
            if let Some(choice) = chosen {
                if let Some(answer) = self.chosen(choice).await? {
                    return Ok(answer);
                }
                continue;
            }
            match type_back {
                Some(expected) => {
                    self.complain(&format!("that is not `{}`; type it exactly, or no to decline", one_line(expected)))?
                }
                None => self.complain("please type yes or no")?,
            }
        }
    }

    async fn manual(&mut self, evidence: &[Evidence], choices: &[Choice]) -> Result<Answer, GaveUp> {
        let mut choices = choices.to_vec();
        if !choices.iter().any(|choice| choice.name == "done") {
            let free = |key: &char| choices.iter().all(|choice| choice.key != *key);
            // There are far fewer choices than letters.
            let key = ['d', 'k', 'y'].into_iter().chain('a'..='z').find(free).unwrap_or('!');
            let consequence = match evidence.len() {
                0 => "it is done".into(),
                _ => "it is done; you are asked for what shows it".to_owned(),
            };
            choices.insert(0, Choice { key, name: "done".into(), consequence, needs_reason: false });
            self.say(&draw_menu(&choices[..1], self.width, self.color))?;
        }
        'menu: loop {
            let mut answer = self.menu(&choices).await?;
            if answer.word != "done" {
                return Ok(answer);
            }
            for wanted in evidence {
                match self.value(wanted).await? {
                    Some(value) => answer.values.insert(wanted.name.clone(), value),
                    None => {
                        self.say(&draw_menu(&choices, self.width, self.color))?;
                        continue 'menu;
                    }
                };
            }
            return Ok(answer);
        }
    }

    /// All values, or one of the choices. The first choice is to begin anew.
    async fn values(&mut self, fields: &[Evidence], choices: &[Choice]) -> Result<Answer, GaveUp> {
        let Some(give) = choices.first() else {
            return self.all_of(fields, "give").await?.ok_or(GaveUp::escaped(ESCAPED));
        };
        loop {
            if let Some(answer) = self.all_of(fields, &give.name).await? {
                return Ok(answer);
            }
            self.say(&draw_menu(choices, self.width, self.color))?;
            let answer = self.menu(choices).await?;
            if answer.word != give.name {
                return Ok(answer);
            }
        }
    }

    async fn all_of(&mut self, fields: &[Evidence], word: &str) -> Result<Option<Answer>, GaveUp> {
        let mut answer = Answer::word(word);
        for wanted in fields {
            let Some(value) = self.value(wanted).await? else { return Ok(None) };
            answer.values.insert(wanted.name.clone(), value);
        }
        Ok(Some(answer))
    }

    /// One value, asked for until it will do; none if the person backs out.
    async fn value(&mut self, wanted: &Evidence) -> Result<Option<Value>, GaveUp> {
        for line in wanted.help.iter().flat_map(|help| help.lines()) {
            self.complain(line)?;
        }
        for (at, choice) in wanted.shape.choices.iter().enumerate() {
            self.complain(&format!("{}) {}", at + 1, one_line(choice)))?;
        }
        let label = if wanted.prompt.is_empty() { &wanted.name } else { &wanted.prompt };
        let mut prompt = format!("  {}", one_line(label));
        if wanted.is_secret() {
            prompt.push_str(" (not shown)");
        }
        if let Some(default) = &wanted.default {
            prompt.push_str(&format!(" [{}]", one_line(&wanted.shape.written(default))));
        }
        prompt.push_str(": ");
        loop {
            let Typed::Line(typed) = self.line(&prompt, !wanted.is_secret()).await? else { return Ok(None) };
            // A number chooses, unless it is itself the text of a choice.
            let choices = &wanted.shape.choices;
            let number = typed.trim().parse::<usize>().ok().and_then(|number| choices.get(number.checked_sub(1)?));
            let typed = match number {
                Some(choice) if !choices.contains(&typed) => choice.clone(),
                _ => typed,
            };
            match read_evidence(wanted, &Written::Text(typed)) {
                Ok(value) => return Ok(Some(value)),
                Err(why) => self.complain(&why)?,
            }
        }
    }

    /// One key chooses; nothing else does.
    async fn menu(&mut self, choices: &[Choice]) -> Result<Answer, GaveUp> {
        let keys: Vec<String> = choices.iter().map(|choice| choice.key.to_string()).collect();
        let prompt = format!("  press {}: ", one_line(&keys.join(", ")));
        self.say(&prompt)?;
        loop {
            let chosen = match self.keys.alone().await? {
                Key::Char(c) => choices.iter().find(|choice| choice.key == c),
                Key::Enter => continue,
                Key::Redraw => {
                    self.say(&format!("\n{}{prompt}", draw_menu(choices, self.width, self.color)))?;
                    continue;
                }
                Key::Escape => return self.give_up(GaveUp::escaped(ESCAPED)),
                Key::End => return self.give_up("input ended".to_owned().into()),
                Key::Interrupt => return self.give_up(GaveUp::interrupted()),
                Key::Erase | Key::EraseWord | Key::EraseLine | Key::Other => None,
            };
            match chosen {
                None => self.say(&format!("\n  that is none of the choices\n{prompt}"))?,
                Some(choice) => {
                    self.say("\n")?;
                    if let Some(answer) = self.chosen(choice).await? {
                        return Ok(answer);
                    }
                    self.say(&format!("{}{prompt}", draw_menu(choices, self.width, self.color)))?;
                }
            }
        }
    }

    fn give_up<T>(&self, why: GaveUp) -> Result<T, GaveUp> {
        // What it says there is of no use to a terminal that is gone.
        let _ = self.say("\n");
        Err(why)
    }

    /// A choice with its reason, if it needs one; none if the person thought better of it.
    async fn chosen(&mut self, choice: &Choice) -> Result<Option<Answer>, GaveUp> {
        self.say(&format!("  › {}\n", choice.name.replace('_', " ")))?;
        let mut answer = Answer::word(choice.name.as_ref());
        while choice.needs_reason && answer.reason.is_none() {
            match self.line("  reason: ", true).await? {
                Typed::Escape => return Ok(None),
                Typed::Line(line) if line.trim().is_empty() => self.complain("this needs a reason; Esc goes back")?,
                Typed::Line(line) => answer.reason = Some(line.trim().to_owned()),
            }
        }
        Ok(Some(answer))
    }

    async fn secret(&mut self, label: &str) -> Result<Secret, GaveUp> {
        let prompt = format!("  {} (not shown): ", one_line(label));
        loop {
            match self.line(&prompt, false).await? {
                Typed::Escape => return Err(GaveUp::escaped(format!("no value was given for {label}"))),
                Typed::Line(line) if line.is_empty() => self.complain("a value is needed; Esc gives up")?,
                Typed::Line(line) => return Ok(Secret::new(line)),
            }
        }
    }

    /// A line up to Enter.
    async fn line(&mut self, prompt: &str, echo: bool) -> Result<Typed, GaveUp> {
        let mut text = String::new();
        self.say(prompt)?;
        loop {
            let before = text.len();
            let columns = prompt.width() + one_line(&text).width();
            match self.keys.key().await? {
                Key::Char(c) => {
                    text.push(c);
                    if echo {
                        self.say(&one_line(&text[before..]))?;
                    }
                    continue;
                }
                Key::Enter => {
                    self.say("\n")?;
                    return Ok(Typed::Line(text));
                }
                Key::Escape => {
                    self.say("\n")?;
                    return Ok(Typed::Escape);
                }
                Key::End if text.is_empty() => return self.give_up("input ended".to_owned().into()),
                Key::Interrupt => return self.give_up(GaveUp::interrupted()),
                Key::Erase => drop(text.pop()),
                Key::EraseLine => text.clear(),
                Key::EraseWord => text.truncate(text.trim_end().rfind(' ').map_or(0, |space| space + 1)),
                Key::Redraw => {
                    self.say(&format!("\n{prompt}{}", if echo { one_line(&text) } else { "".into() }))?;
                    continue;
                }
                Key::End | Key::Other => continue,
            }
            if echo && text.len() != before {
                self.redraw(prompt, &text, columns)?;
            }
        }
    }

    /// Shows a line again that became shorter; what it was may have gone over several rows.
    fn redraw(&self, prompt: &str, text: &str, columns: usize) -> Result<(), GaveUp> {
        let rows = columns.saturating_sub(1) / self.width;
        let shown = one_line(text);
        let up = if rows > 0 { format!("\x1b[{rows}A") } else { String::new() };
        self.say(&format!("\r{up}\x1b[J{prompt}{shown}"))
    }
}

#[cfg(test)]
mod tests;
