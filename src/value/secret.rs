//! A value that must never be shown. Knows nothing of masking; that is the redactor's.

use secrecy::{ExposeSecret, SecretString};

/// The bytes of a secret. It has neither `Debug` nor `Serialize`, on purpose; memory is wiped when it goes.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    pub fn new(text: String) -> Secret {
        Secret(SecretString::from(text))
    }

    /// The bytes themselves: for the process or the request that needs them, and for the redactor.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}
