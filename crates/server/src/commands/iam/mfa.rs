//! `cbr iam mfa …`

use clap::Subcommand;
use serde_json::json;

use super::super::login::{CODE_VARIABLE, secret};
use super::super::session::Session;
use super::directory::{self, Noun};
use super::mfa_reset::ResetArgs;
use super::users::said;
use crate::client::wire;
use crate::failure::Failure;
use crate::output::Show;

const DEVICES: &str = "/v3.0/OS-MFA/virtual-mfa-devices";
const PASSWORD_VARIABLE: &str = "CBR_PASSWORD";
const NEXT_CODE_VARIABLE: &str = "CBR_MFA_NEXT_CODE";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the second factors of the account's users
    List,
    /// Make a second factor for a user; its seed is told only now
    Create {
        /// Name or id of the user
        user: String,
        /// Name of the device
        #[arg(long, default_value = "authenticator", value_name = "NAME")]
        name: String,
    },
    /// Bind a second factor with two codes that follow one another, asked for or read from
    /// CBR_MFA_CODE and CBR_MFA_NEXT_CODE; for one's own the password as well, asked for or read
    /// from CBR_PASSWORD
    Bind {
        /// Name or id of the user
        user: String,
        /// Another user's: its password is not asked for
        #[arg(long)]
        other: bool,
    },
    /// Take a second factor away: one's own with a code, asked for or read from CBR_MFA_CODE;
    /// another user's, with permission, with any
    Unbind {
        /// Name or id of the user
        user: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// On the machine of the service, without a credential: take the second factor of a user away whom nobody
    /// else can let in again. The audit log says so
    Reset(ResetArgs),
}

impl Command {
    /// Runs what asks the service.
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::List => list(session).await,
            Self::Reset(_) => Ok(()), // Asks no service: `command.rs` has run it.
            Self::Create { user, name } => create(session, &user, &name).await,
            Self::Bind { user, other } => bind(session, &user, other).await,
            Self::Unbind { user, yes } => unbind(session, &user, yes).await,
        }
    }
}

async fn list(session: &Session) -> Result<(), Failure> {
    let lang = session.output.lang;
    let body = session
        .client
        .get(DEVICES, Vec::new())
        .await
        .map_err(session.failed(lang.what_list(lang.noun_second_factor())))?;
    session.output.list(
        wire::items(&body, "/virtual_mfa_devices"),
        &[
            (lang.col_user_id(), Show::At("/user_id")),
            (lang.col_serial(), Show::At("/serial_number")),
            (lang.col_bound(), Show::At("/is_bound")),
        ],
    )
}

async fn create(session: &Session, user: &str, name: &str) -> Result<(), Failure> {
    let output = session.output;
    let lang = output.lang;
    let id = directory::id(session, Noun::User, user).await?;
    let body = json!({"virtual_mfa_device": {"name": name, "user_id": id}});
    let made = session
        .client
        .post(DEVICES, &body)
        .await
        .map_err(session.failed(lang.what_create(lang.noun_second_factor(), user)))?;
    if !output.is_json() {
        output.note(lang.note_seed_once());
    }
    output.show(
        &made["virtual_mfa_device"],
        &[
            (lang.col_serial(), Show::At("/serial_number")),
            (lang.col_seed(), Show::At("/base32_string_seed")),
            (lang.col_uri(), Show::At("/otpauth_url")),
        ],
    )
}

async fn bind(session: &Session, user: &str, is_other: bool) -> Result<(), Failure> {
    let lang = session.output.lang;
    let (id, serial) = device(session, user).await?;
    let password =
        if is_other { None } else { Some(secret(lang.ask_password(), PASSWORD_VARIABLE, lang)?) };
    let first = secret(lang.ask_code(), CODE_VARIABLE, lang)?;
    let second = secret(lang.ask_next_code(), NEXT_CODE_VARIABLE, lang)?;
    let mut body = json!({
        "user_id": id,
        "serial_number": serial,
        "authentication_code_first": first.reveal(),
        "authentication_code_second": second.reveal(),
    });
    if let Some(password) = password {
        body["password"] = password.reveal().into();
    }
    session
        .client
        .put("/v3.0/OS-MFA/mfa-devices/bind", &body)
        .await
        .map_err(session.failed(lang.what_change(lang.noun_second_factor(), user)))?;
    said(session.output, &json!({"user_id": id, "serial_number": serial}), lang.done_bound())
}

async fn unbind(session: &Session, user: &str, yes: bool) -> Result<(), Failure> {
    let lang = session.output.lang;
    let (id, serial) = device(session, user).await?;
    session.confirm(&lang.ask_delete_identity(lang.noun_second_factor(), user), yes)?;
    let code = secret(lang.ask_code(), CODE_VARIABLE, lang)?;
    let body = json!({
        "user_id": id, "serial_number": serial, "authentication_code": code.reveal(),
    });
    session
        .client
        .put("/v3.0/OS-MFA/mfa-devices/unbind", &body)
        .await
        .map_err(session.failed(lang.what_change(lang.noun_second_factor(), user)))?;
    said(session.output, &json!({"user_id": id, "serial_number": serial}), lang.done_unbound())
}

/// A user's id and the serial number of its device.
async fn device(session: &Session, user: &str) -> Result<(String, String), Failure> {
    let lang = session.output.lang;
    let id = directory::id(session, Noun::User, user).await?;
    let body = session
        .client
        .get(&format!("/v3.0/OS-MFA/users/{id}/virtual-mfa-device"), Vec::new())
        .await
        .map_err(session.failed(lang.what_find(lang.noun_second_factor(), user)))?;
    Ok((id, wire::text(&body, "/virtual_mfa_device/serial_number")))
}
