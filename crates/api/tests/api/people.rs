//! Users, groups and what they are granted, made through the API by the administrator.

use serde_json::{Value, json};

use crate::app::{App, DOMAIN_NAME};
use crate::client::{Answer, Call, send};

/// A password that is good enough for anybody.
pub(crate) const PASSWORD: &str = "Cloud-7-Storm";

/// The administrator with a token for the account as a whole.
pub(crate) struct Office<'a> {
    pub(crate) app: &'a App,
    pub(crate) token: String,
    pub(crate) domain: String,
}

/// A user, logged in to the first project.
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) token: String,
}

impl<'a> Office<'a> {
    pub(crate) async fn open(app: &'a App) -> Self {
        let scope = json!({"domain": {"name": DOMAIN_NAME}});
        let answer = log_in(app, crate::app::USER_NAME, app.password(), &scope).await.expect(201);
        let domain = answer.body["token"]["domain"]["id"].as_str().unwrap().to_owned();
        Self { app, token: token_of(&answer), domain }
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        call(self.app, &self.token, method, path, body).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, Some(body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None).await
    }

    /// A user with [`PASSWORD`], not logged in.
    pub(crate) async fn user(&self, name: &str) -> String {
        let user = json!({"user": {"name": name, "password": PASSWORD}});
        id_of(&self.post("/v3/users", user).await.expect(201).body["user"])
    }

    pub(crate) async fn group(&self, name: &str) -> String {
        let group = json!({"group": {"name": name}});
        id_of(&self.post("/v3/groups", group).await.expect(201).body["group"])
    }

    pub(crate) async fn join(&self, group: &str, user: &str) {
        self.call("PUT", &format!("/v3/groups/{group}/users/{user}"), None).await.expect(204);
    }

    /// A policy of the account that has an effect in projects.
    pub(crate) async fn policy(&self, name: &str, statements: Value) -> String {
        let policy = json!({"Version": "1.1", "Statement": statements});
        let role = json!({"role": {"display_name": name, "type": "XA", "policy": policy}});
        let made = self.post("/v3.0/OS-ROLE/roles", role).await.expect(201);
        id_of(&made.body["role"])
    }

    /// Id of the policy that people call `name`.
    pub(crate) async fn role(&self, name: &str) -> String {
        let path = format!("/v3/roles?display_name={}", name.replace(' ', "%20"));
        let roles = self.get(&path).await.expect(200).body["roles"].clone();
        let is_meant = |role: &&Value| role["display_name"] == name;
        id_of(roles.as_array().unwrap().iter().find(is_meant).expect(name))
    }

    /// The path of a grant in the first project.
    pub(crate) fn in_project(&self, group: &str, role: &str) -> String {
        format!("/v3/projects/{}/groups/{group}/roles/{role}", self.app.project())
    }

    pub(crate) async fn grant(&self, group: &str, role: &str) {
        self.call("PUT", &self.in_project(group, role), None).await.expect(204);
    }

    pub(crate) async fn grant_in_account(&self, group: &str, role: &str) {
        let path = format!("/v3/domains/{}/groups/{group}/roles/{role}", self.domain);
        self.call("PUT", &path, None).await.expect(204);
    }

    /// A user, logged in, in a group of its own that has these policies in the first project.
    pub(crate) async fn person(&self, name: &str, policies: &[&str]) -> Person {
        let (id, group) = (self.user(name).await, self.group(name).await);
        self.join(&group, &id).await;
        for policy in policies {
            let role = self.role(policy).await;
            self.grant(&group, &role).await;
        }
        let scope = json!({"project": {"id": self.app.project()}});
        let answer = log_in(self.app, name, PASSWORD, &scope).await.expect(201);
        Person { id, name: name.to_owned(), token: token_of(&answer) }
    }

    /// A token of a user that is for no one project.
    pub(crate) async fn whole_token(&self, name: &str) -> String {
        let scope = json!({"domain": {"name": DOMAIN_NAME}});
        token_of(&log_in(self.app, name, PASSWORD, &scope).await.expect(201))
    }

    /// A user, logged in to the account as a whole, with these policies there.
    pub(crate) async fn officer(&self, name: &str, policies: &[&str]) -> Person {
        let (id, group) = (self.user(name).await, self.group(name).await);
        self.join(&group, &id).await;
        for policy in policies {
            let role = self.role(policy).await;
            self.grant_in_account(&group, &role).await;
        }
        Person { id, name: name.to_owned(), token: self.whole_token(name).await }
    }
}

impl Person {
    /// A request below the first project.
    pub(crate) async fn call(
        &self,
        app: &App,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let path = format!("/v3/{}{path}", app.project());
        call(app, &self.token, method, &path, body).await
    }
}

pub(crate) async fn call(
    app: &App,
    token: &str,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> Answer {
    let mut call = Call::new(method, path).token(token);
    if let Some(body) = body {
        call = call.json(&body);
    }
    send(&app.router, call.build()).await
}

pub(crate) async fn log_in(app: &App, user: &str, password: &str, scope: &Value) -> Answer {
    let user = json!({"name": user, "password": password, "domain": {"name": DOMAIN_NAME}});
    let identity = json!({"methods": ["password"], "password": {"user": user}});
    let body = json!({"auth": {"identity": identity, "scope": scope}});
    send(&app.router, Call::new("POST", "/v3/auth/tokens").json(&body).build()).await
}

pub(crate) fn token_of(answer: &Answer) -> String {
    answer.headers["x-subject-token"].to_str().unwrap().to_owned()
}

pub(crate) fn id_of(thing: &Value) -> String {
    thing["id"].as_str().unwrap().to_owned()
}
