//! What carries messages out of the house.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use cbr_model::topic::{Message, Protocol};
use cbr_model::{DeliveryId, SubscriptionId, Timestamp};
use zeroize::Zeroizing;

/// How the one at the end agrees to get messages.
#[derive(Clone)]
pub struct Confirmation {
    /// What it must send back.
    pub token: Zeroizing<String>,
}

/// A message on its way.
#[derive(Clone)]
pub struct Letter {
    /// The same for all attempts, so that the receiver can tell repetitions.
    pub id: DeliveryId,
    /// Whom it is for.
    pub subscription: SubscriptionId,
    /// How it is reached.
    pub protocol: Protocol,
    /// Where.
    pub endpoint: String,
    /// The topic it was sent to.
    pub topic_name: String,
    /// What the topic calls itself; may be empty.
    pub sender: String,
    /// What is said.
    pub message: Message,
    /// When it was said.
    pub at: Timestamp,
    /// What webhooks are signed with.
    pub secret: Zeroizing<String>,
    /// Asks for agreement.
    pub confirmation: Option<Confirmation>,
}

impl fmt::Debug for Confirmation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Confirmation(…)")
    }
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Letter").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why a message was not taken. The texts are shown to the project; they hold no secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Undelivered {
    /// It may be taken later.
    Later(String),
    /// It never will be.
    Never(String),
}

/// Carries messages.
#[async_trait]
pub trait Courier: Send + Sync + fmt::Debug {
    /// Refuses, in words for the caller, what it would never carry anything to.
    fn check(&self, protocol: Protocol, endpoint: &str) -> Result<(), String>;

    /// Carries a message, or says why it was not taken. May be called again for the same message:
    /// the process may have died before it could note that it was taken.
    async fn carry(&self, letter: &Letter) -> Result<(), Undelivered>;
}

/// Keeps what it is given, for tests; fails as often as it is told to before.
#[derive(Debug, Default)]
pub struct RecordingCourier {
    state: Mutex<Recorded>,
}

#[derive(Debug, Default)]
struct Recorded {
    taken: Vec<Letter>,
    failures: Vec<Undelivered>,
}

impl RecordingCourier {
    /// The next attempts fail like this, the last one first.
    pub fn fail(&self, failures: Vec<Undelivered>) {
        self.lock().failures = failures;
    }

    /// What was taken so far, in order; forgets it.
    pub fn taken(&self) -> Vec<Letter> {
        std::mem::take(&mut self.lock().taken)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Recorded> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Courier for RecordingCourier {
    fn check(&self, protocol: Protocol, endpoint: &str) -> Result<(), String> {
        match protocol {
            Protocol::Sms => Err("there is no gateway for text messages".to_owned()),
            Protocol::Email if !endpoint.contains('@') => Err("that is no address".to_owned()),
            _ => Ok(()),
        }
    }

    async fn carry(&self, letter: &Letter) -> Result<(), Undelivered> {
        let mut state = self.lock();
        if let Some(failure) = state.failures.pop() {
            return Err(failure);
        }
        state.taken.push(letter.clone());
        Ok(())
    }
}
