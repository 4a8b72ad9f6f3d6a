//! Logging in (contract F.1): `POST /v3/auth/tokens`, with a password, a password and a code, a
//! token, or through an agency.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::response::{AppendHeaders, IntoResponse};
use axum::routing::on;
use cbr_model::audit::Event;
use cbr_service::Error;
use cbr_service::identity::{AgencyRef, DomainRef, Login, Scope, UserRef};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::wire::Token;
use crate::error::{ApiError, ErrorCode};
use crate::extract::{Asked, Authenticated, JsonBody};
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "CreateToken",
    verb: Verb::Post,
    path: "/v3/auth/tokens",
    group: "Identity",
    summary: "Checks a proof and issues a token, in the header X-Subject-Token.",
    admission: Admission::Optional,
    action: None,
    event: Some(Event::new("login", "user")),
    success: 201,
    query: &[parameter("nocatalog", Form::Text, "When present, the answer has no catalogue.")],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request. Not `Debug`: it holds a password.
#[derive(Deserialize, ToSchema)]
#[schema(as = CreateTokenRequest)]
struct Request {
    auth: Auth,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = CreateTokenAuth)]
struct Auth {
    identity: IdentityPart,
    scope: Option<ScopePart>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = CreateTokenIdentity)]
struct IdentityPart {
    /// `password`; `password` and `totp`; `token`; or `assume_role`.
    methods: Vec<String>,
    password: Option<PasswordPart>,
    totp: Option<TotpPart>,
    token: Option<TokenPart>,
    assume_role: Option<AgencyPart>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = CreateTokenTotp)]
struct TotpPart {
    user: TotpUserPart,
}

/// Whose code it is the password says.
#[derive(Deserialize, ToSchema)]
#[schema(as = CreateTokenTotpUser)]
struct TotpUserPart {
    passcode: String,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = CreateTokenToken)]
struct TokenPart {
    id: String,
}

/// An agency, as those name it who act through it.
#[derive(Deserialize, ToSchema)]
pub(super) struct AgencyPart {
    /// The account that trusts.
    domain_id: Option<String>,
    domain_name: Option<String>,
    #[serde(alias = "xrole_name")]
    agency_name: String,
    pub(super) duration_seconds: Option<i64>,
}

impl AgencyPart {
    pub(super) fn read(self) -> Result<AgencyRef, ApiError> {
        let domain = DomainPart { id: self.domain_id, name: self.domain_name }.read();
        let needed =
            || ApiError::invalid("assume_role", "name the account by domain_name or domain_id");
        Ok(AgencyRef { domain: domain.ok_or_else(needed)?, name: self.agency_name })
    }
}

/// What is shown for a token.
enum Proof {
    Password(Login),
    Token(Zeroizing<String>, Scope),
    Agency(AgencyRef, Scope),
}

#[derive(Deserialize, ToSchema)]
#[schema(as = CreateTokenPassword)]
struct PasswordPart {
    user: UserPart,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = CreateTokenUser)]
struct UserPart {
    id: Option<String>,
    name: Option<String>,
    domain: Option<DomainPart>,
    password: String,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = CreateTokenDomain)]
struct DomainPart {
    id: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = CreateTokenScope)]
struct ScopePart {
    project: Option<ProjectPart>,
    domain: Option<DomainPart>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = CreateTokenProject)]
struct ProjectPart {
    id: Option<String>,
    name: Option<String>,
    domain: Option<DomainPart>,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TokenResponse)]
pub(super) struct Response {
    pub(super) token: Token,
}

/// `POST /v3/auth/tokens`
#[tracing::instrument(name = "api.identity.login", skip_all)]
async fn handle(
    State(api): State<Api>,
    caller: Option<Authenticated>,
    Asked(asked): Asked,
    query: Query,
    JsonBody(request): JsonBody<Request>,
) -> Result<impl IntoResponse, ApiError> {
    let identity = &api.services.identity;
    let issued = match request.auth.read()? {
        Proof::Password(login) => identity.login(login, asked).await,
        Proof::Token(secret, scope) => identity.rescope(&secret, &scope, asked).await,
        Proof::Agency(agency, scope) => {
            let Authenticated(caller) = caller.ok_or_else(unproven)?;
            identity.assume_role(caller, &agency, &scope, asked).await
        }
    };
    let issued = issued.map_err(refusal)?;
    let of = (&issued.caller, issued.methods.as_str());
    let token = Token::of(of, issued.issued_at, &api.settings, !query.has("nocatalog"));
    let mut secret = HeaderValue::from_str(&issued.secret).map_err(|_| ApiError::unknown())?;
    secret.set_sensitive(true);
    Ok((AppendHeaders([("x-subject-token", secret)]), Json(Response { token })))
}

fn unproven() -> ApiError {
    ApiError::new(ErrorCode::Unauthenticated, "Acting through an agency needs a good credential.")
}

/// Wrong user, wrong password and no such project are told apart by nobody.
fn refusal(error: Error) -> ApiError {
    match error {
        Error::CredentialRefused | Error::ProjectNotFound(_) | Error::Forbidden => {
            ApiError::new(ErrorCode::Unauthenticated, "The username or password is wrong.")
        }
        other => other.into(),
    }
}

impl Auth {
    fn read(self) -> Result<Proof, ApiError> {
        let scope = self.scope.map_or(Ok(Scope::Unscoped), ScopePart::read)?;
        let IdentityPart { methods, password, totp, token, assume_role } = self.identity;
        let methods: Vec<&str> = methods.iter().map(String::as_str).collect();
        match (methods.as_slice(), password, totp, token, assume_role) {
            (["password"], Some(password), None, _, _) => password.user.read(None, scope),
            (["password", "totp"] | ["totp", "password"], Some(password), Some(totp), _, _) => {
                let code = Zeroizing::new(totp.user.passcode);
                password.user.read(Some(code), scope)
            }
            (["token"], _, _, Some(token), _) => Ok(Proof::Token(Zeroizing::new(token.id), scope)),
            (["assume_role"], _, _, _, Some(agency)) => Ok(Proof::Agency(agency.read()?, scope)),
            _ => {
                let offered = "password, password and totp, token, or assume_role, with its part";
                Err(ApiError::invalid("auth.identity.methods", offered))
            }
        }
    }
}

impl UserPart {
    fn read(self, passcode: Option<Zeroizing<String>>, scope: Scope) -> Result<Proof, ApiError> {
        let Self { id, name, domain, password } = self;
        let password = Zeroizing::new(password);
        let user = match (id, name, domain.map(DomainPart::read)) {
            (Some(id), _, _) => UserRef::Id(id.parse().map_err(|_| wrong())?),
            (None, Some(name), Some(Some(domain))) => UserRef::Name { domain, name },
            _ => {
                return Err(ApiError::invalid(
                    "auth.identity.password.user",
                    "name its id, or its name and domain",
                ));
            }
        };
        Ok(Proof::Password(Login { user, password, passcode, scope }))
    }
}

impl ScopePart {
    fn read(self) -> Result<Scope, ApiError> {
        match (self.project, self.domain) {
            (Some(ProjectPart { id: Some(id), .. }), None) => {
                id.parse().map(Scope::Project).map_err(|_| wrong())
            }
            (Some(ProjectPart { id: None, name: Some(name), domain }), None) => {
                // The OpenStack client writes `default` when nobody said which (contract A.3).
                let domain = domain.and_then(DomainPart::read);
                let is_default = |d: &DomainRef| *d == DomainRef::Name("default".to_owned());
                Ok(Scope::ProjectName { domain: domain.filter(|d| !is_default(d)), name })
            }
            (None, Some(domain)) => domain
                .read()
                .map(Scope::Domain)
                .ok_or_else(|| ApiError::invalid("auth.scope.domain", "name its id or its name")),
            (None, None) => Ok(Scope::Unscoped),
            _ => Err(ApiError::invalid("auth.scope", "name one project or one domain")),
        }
    }
}

impl DomainPart {
    fn read(self) -> Option<DomainRef> {
        match (self.id, self.name) {
            // Text that is no id can only be a name.
            (Some(id), _) => Some(id.parse().map_or(DomainRef::Name(id), DomainRef::Id)),
            (None, Some(name)) => Some(DomainRef::Name(name)),
            (None, None) => None,
        }
    }
}

fn wrong() -> ApiError {
    refusal(Error::CredentialRefused)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ID: &str = "0605767b5780d5762fc5c0118072a564";

    fn read(user: &Value, scope: &Value) -> Result<Login, ErrorCode> {
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}});
        let request: Request = serde_json::from_value(body).expect("the body is well-formed");
        match request.auth.read().map_err(|error| error.code)? {
            Proof::Password(login) => Ok(login),
            _ => panic!("a password is a password"),
        }
    }

    /// Contract A.3 and F.1: the forms clients use.
    #[test]
    fn users_and_scopes_are_named_by_id_or_by_name() {
        let user = json!({"name": "u", "password": "p", "domain": {"name": "d"}});
        let login = read(&user, &json!(null)).unwrap();
        let domain = DomainRef::Name("d".into());
        assert_eq!(login.user, UserRef::Name { domain, name: "u".into() });
        assert_eq!(login.scope, Scope::Unscoped);

        let login = read(&json!({"id": ID, "password": "p"}), &json!({"project": {"id": ID}}));
        assert!(matches!(login.unwrap().scope, Scope::Project(_)));

        let scope = json!({"project": {"name": "r", "domain": {"id": "default"}}});
        let login = read(&user, &scope).unwrap();
        assert_eq!(login.scope, Scope::ProjectName { domain: None, name: "r".into() });

        let login = read(&user, &json!({"domain": {"id": ID}})).unwrap();
        assert!(matches!(login.scope, Scope::Domain(DomainRef::Id(_))));
    }

    #[test]
    fn incomplete_logins_are_refused() {
        let user = json!({"name": "u", "password": "p"});
        assert_eq!(read(&user, &json!(null)).err(), Some(ErrorCode::InvalidParameter));
        let user = json!({"id": "x", "password": "p"});
        assert_eq!(read(&user, &json!(null)).err(), Some(ErrorCode::Unauthenticated));
        let user = json!({"id": ID, "password": "p"});
        let both = json!({"project": {"id": ID}, "domain": {"id": ID}});
        assert_eq!(read(&user, &both).err(), Some(ErrorCode::InvalidParameter));
        for half in [
            json!({"methods": ["token"]}),
            json!({"methods": ["totp"], "totp": {"user": {"passcode": "123456"}}}),
            json!({"methods": ["password", "totp"], "password": {"user": {"id": ID, "password": "p"}}}),
            json!({"methods": ["assume_role"], "assume_role": {"agency_name": "a"}}),
            json!({"methods": [], "token": {"id": "t"}}),
        ] {
            let request: Request =
                serde_json::from_value(json!({"auth": {"identity": half}})).unwrap();
            assert_eq!(request.auth.read().err().unwrap().code, ErrorCode::InvalidParameter);
        }
    }
}
