//! Second factors: codes of an authenticator beside the password (`/v3.0/OS-MFA`).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_service::identity::ShownDevice;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::credentials::user;
use super::row::{account, own};
use crate::error::ApiError;
use crate::extract::{JsonBody, OverAccount, OverOwn, PathId, UserInPath};
use crate::operation::{Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;

const DEVICES: &str = "/v3.0/OS-MFA/virtual-mfa-devices";
const PROTECTION: &str = "/v3.0/OS-USER/users/{user_id}/login-protect";
/// The one method there is.
const VMFA: &str = "vmfa";

pub(crate) const CREATE: Operation = own(
    "CreateMfaDevice",
    (Verb::Post, DEVICES),
    "Makes a second factor, without effect until it is bound; its seed is told only here.",
    "iam:mfa:createVirtualMFADevice",
    |filter| on(filter, create),
)
.records("createMfaDevice", "user")
.succeeds_with(201)
.takes(schema_of::<CreateRequest>())
.gives(schema_of::<CreateResponse>());

pub(crate) const DELETE: Operation = own(
    "DeleteMfaDevice",
    (Verb::Delete, DEVICES),
    "Forgets a second factor that is not bound.",
    "iam:mfa:deleteVirtualMFADevice",
    |filter| on(filter, delete),
)
.records("deleteMfaDevice", "user")
.succeeds_with(204)
.reads(&[
    parameter("user_id", Form::Text, "Whose it is."),
    parameter("serial_number", Form::Text, "Which one."),
]);

pub(crate) const BIND: Operation = own(
    "CreateBindingDevice",
    (Verb::Put, "/v3.0/OS-MFA/mfa-devices/bind"),
    "Binds a second factor with two codes; logins with a password need a code from now on.",
    "iam:mfa:bindMFADevice",
    |filter| on(filter, bind),
)
.records("bindMfaDevice", "user")
.succeeds_with(204)
.takes(schema_of::<BindRequest>());

pub(crate) const UNBIND: Operation = own(
    "DeleteBindingDevice",
    (Verb::Put, "/v3.0/OS-MFA/mfa-devices/unbind"),
    "Takes a second factor away: its user with a code, who manages users without.",
    "iam:mfa:unbindMFADevice",
    |filter| on(filter, unbind),
)
.records("unbindMfaDevice", "user")
.succeeds_with(204)
.takes(schema_of::<UnbindRequest>());

pub(crate) const LIST: Operation = account(
    "ListUserMfaDevices",
    (Verb::Get, DEVICES),
    "Lists the second factors of the account's users.",
    "iam:mfa:listVirtualMFADevices",
    |filter| on(filter, list),
)
.gives(schema_of::<ListResponse>());

pub(crate) const SHOW: Operation = own(
    "ShowUserMfaDevice",
    (Verb::Get, "/v3.0/OS-MFA/users/{user_id}/virtual-mfa-device"),
    "Shows a user's second factor.",
    "iam:mfa:getVirtualMFADevice",
    |filter| on(filter, show),
)
.gives(schema_of::<ShowResponse>());

pub(crate) const LIST_PROTECTION: Operation = account(
    "ListUserLoginProtects",
    (Verb::Get, "/v3.0/OS-USER/login-protects"),
    "Lists what logins of the account's users need besides the password.",
    "iam:users:listUserLoginProtects",
    |filter| on(filter, list_protection),
)
.gives(schema_of::<ListProtectionResponse>());

pub(crate) const SHOW_PROTECTION: Operation = own(
    "ShowUserLoginProtect",
    (Verb::Get, PROTECTION),
    "Shows what a user's logins need besides the password.",
    "iam:users:getUserLoginProtect",
    |filter| on(filter, show_protection),
)
.gives(schema_of::<ProtectionResponse>());

pub(crate) const UPDATE_PROTECTION: Operation = own(
    "UpdateLoginProtect",
    (Verb::Put, PROTECTION),
    "Says whether a user's logins need a code of the bound second factor.",
    "iam:users:setUserLoginProtect",
    |filter| on(filter, update_protection),
)
.records("updateLoginProtection", "user")
.takes(schema_of::<ProtectionRequest>())
.gives(schema_of::<ProtectionResponse>());

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreateMfaDeviceRequest)]
struct CreateRequest {
    virtual_mfa_device: Wanted,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = WantedMfaDevice)]
struct Wanted {
    name: String,
    user_id: String,
}

/// Not `Debug`: it holds a secret.
#[derive(Serialize, ToSchema)]
#[schema(as = CreateMfaDeviceResponse)]
struct CreateResponse {
    virtual_mfa_device: NewDevice,
}

#[derive(Serialize, ToSchema)]
#[schema(as = NewMfaDevice)]
struct NewDevice {
    serial_number: String,
    base32_string_seed: String,
    /// For the picture that authenticators read.
    otpauth_url: String,
}

/// Not `Debug`: it holds codes.
#[derive(Deserialize, ToSchema)]
#[schema(as = BindMfaDeviceRequest)]
struct BindRequest {
    user_id: String,
    serial_number: String,
    authentication_code_first: String,
    authentication_code_second: String,
    /// One's own, when one binds one's own device; an extension. Not needed with a token for which it was shown
    /// within the last ten minutes.
    password: Option<String>,
}

/// Not `Debug`: it holds a code.
#[derive(Deserialize, ToSchema)]
#[schema(as = UnbindMfaDeviceRequest)]
struct UnbindRequest {
    user_id: String,
    serial_number: String,
    authentication_code: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListMfaDevicesResponse)]
struct ListResponse {
    virtual_mfa_devices: Vec<WireDevice>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowMfaDeviceResponse)]
struct ShowResponse {
    virtual_mfa_device: WireDevice,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MfaDevice)]
struct WireDevice {
    serial_number: String,
    user_id: String,
    /// Its user has shown two codes of it.
    is_bound: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListLoginProtectsResponse)]
struct ListProtectionResponse {
    login_protects: Vec<Protection>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LoginProtectResponse)]
struct ProtectionResponse {
    login_protect: Protection,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LoginProtect)]
struct Protection {
    user_id: String,
    enabled: bool,
    /// `vmfa`.
    verification_method: &'static str,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = LoginProtectRequest)]
struct ProtectionRequest {
    login_protect: WantedProtection,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = WantedLoginProtect)]
struct WantedProtection {
    enabled: bool,
    /// `vmfa`.
    verification_method: String,
}

/// `POST /v3.0/OS-MFA/virtual-mfa-devices`
#[tracing::instrument(name = "api.identity.create_mfa_device", skip_all)]
async fn create(
    State(api): State<Api>,
    OverOwn(access): OverOwn,
    JsonBody(request): JsonBody<CreateRequest>,
) -> Result<Json<CreateResponse>, ApiError> {
    let Wanted { name, user_id } = request.virtual_mfa_device;
    let made = api.services.identity.create_device(&access, user(&user_id)?, name).await?;
    Ok(Json(CreateResponse {
        virtual_mfa_device: NewDevice {
            serial_number: made.device.serial,
            base32_string_seed: made.seed.as_str().to_owned(),
            otpauth_url: made.url.as_str().to_owned(),
        },
    }))
}

/// `DELETE /v3.0/OS-MFA/virtual-mfa-devices`
#[tracing::instrument(name = "api.identity.delete_mfa_device", skip_all)]
async fn delete(
    State(api): State<Api>,
    OverOwn(access): OverOwn,
    query: Query,
) -> Result<(), ApiError> {
    let needed = |name: &'static str| {
        query.text(name).ok_or_else(move || ApiError::invalid(name, "it is needed"))
    };
    let (user, serial) = (user(needed("user_id")?)?, needed("serial_number")?);
    Ok(api.services.identity.delete_device(&access, user, serial).await?)
}

/// `PUT /v3.0/OS-MFA/mfa-devices/bind`
#[tracing::instrument(name = "api.identity.bind_mfa_device", skip_all)]
async fn bind(
    State(api): State<Api>,
    OverOwn(access): OverOwn,
    JsonBody(request): JsonBody<BindRequest>,
) -> Result<(), ApiError> {
    let codes = [request.authentication_code_first, request.authentication_code_second];
    let codes = codes.map(Zeroizing::new);
    let (user, serial) = (user(&request.user_id)?, &request.serial_number);
    let who = (user, request.password.map(Zeroizing::new));
    Ok(api.services.identity.bind_device(&access, who, serial, codes).await?)
}

/// `PUT /v3.0/OS-MFA/mfa-devices/unbind`
#[tracing::instrument(name = "api.identity.unbind_mfa_device", skip_all)]
async fn unbind(
    State(api): State<Api>,
    OverOwn(access): OverOwn,
    JsonBody(request): JsonBody<UnbindRequest>,
) -> Result<(), ApiError> {
    let code = Zeroizing::new(request.authentication_code);
    let (user, serial) = (user(&request.user_id)?, &request.serial_number);
    Ok(api.services.identity.unbind_device(&access, user, serial, code).await?)
}

/// `GET /v3.0/OS-MFA/virtual-mfa-devices`
#[tracing::instrument(name = "api.identity.list_mfa_devices", skip_all)]
async fn list(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
) -> Result<Json<ListResponse>, ApiError> {
    let devices = api.services.identity.devices(&access).await?;
    Ok(Json(ListResponse {
        virtual_mfa_devices: devices.into_iter().map(WireDevice::of).collect(),
    }))
}

/// `GET /v3.0/OS-MFA/users/{user_id}/virtual-mfa-device`
#[tracing::instrument(name = "api.identity.show_mfa_device", skip_all)]
async fn show(
    State(api): State<Api>,
    OverOwn(access): OverOwn,
    PathId(user): PathId<UserInPath>,
) -> Result<Json<ShowResponse>, ApiError> {
    let device = api.services.identity.device(&access, user).await?;
    Ok(Json(ShowResponse { virtual_mfa_device: WireDevice::of(device) }))
}

/// `GET /v3.0/OS-USER/login-protects`
#[tracing::instrument(name = "api.identity.list_login_protection", skip_all)]
async fn list_protection(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
) -> Result<Json<ListProtectionResponse>, ApiError> {
    let devices = api.services.identity.devices(&access).await?;
    Ok(Json(ListProtectionResponse {
        login_protects: devices.iter().map(Protection::of).collect(),
    }))
}

/// `GET /v3.0/OS-USER/users/{user_id}/login-protect`
#[tracing::instrument(name = "api.identity.show_login_protection", skip_all)]
async fn show_protection(
    State(api): State<Api>,
    OverOwn(access): OverOwn,
    PathId(user): PathId<UserInPath>,
) -> Result<Json<ProtectionResponse>, ApiError> {
    let device = api.services.identity.device(&access, user).await?;
    Ok(Json(ProtectionResponse { login_protect: Protection::of(&device) }))
}

/// `PUT /v3.0/OS-USER/users/{user_id}/login-protect`
#[tracing::instrument(name = "api.identity.update_login_protection", skip_all)]
async fn update_protection(
    State(api): State<Api>,
    OverOwn(access): OverOwn,
    PathId(user): PathId<UserInPath>,
    JsonBody(request): JsonBody<ProtectionRequest>,
) -> Result<Json<ProtectionResponse>, ApiError> {
    let WantedProtection { enabled, verification_method } = request.login_protect;
    if verification_method != VMFA {
        return Err(ApiError::invalid("verification_method", "only vmfa is offered"));
    }
    let device = api.services.identity.protect_login(&access, user, enabled).await?;
    Ok(Json(ProtectionResponse { login_protect: Protection::of(&device) }))
}

impl WireDevice {
    fn of(device: ShownDevice) -> Self {
        Self {
            serial_number: device.serial,
            user_id: device.user.to_string(),
            is_bound: device.is_bound,
        }
    }
}

impl Protection {
    fn of(device: &ShownDevice) -> Self {
        Self {
            user_id: device.user.to_string(),
            enabled: device.is_bound && device.is_required,
            verification_method: VMFA,
        }
    }
}
