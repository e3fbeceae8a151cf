//! Two organizations with people in all four roles: tests read like sentences.

use serde_json::{Value, json};

use super::{Client, Server};

/// Everybody's password.
pub const PASSWORD: &str = "correct horse battery";

/// One person, signed in.
#[derive(Debug, Clone)]
pub struct Person {
    /// Their address.
    pub email: String,
    /// Their id.
    pub id: String,
    /// Their access token.
    pub token: String,
    /// Their refresh token.
    pub refresh: String,
    /// Their membership in the organization of the cast.
    pub membership: String,
}

/// One organization with its people and its default project.
#[derive(Debug, Clone)]
pub struct Organization {
    /// Its id.
    pub id: String,
    /// Its slug.
    pub slug: String,
    /// Its default project.
    pub project: String,
    /// The person in each role.
    pub owner: Person,
    /// The person in each role.
    pub admin: Person,
    /// The person in each role.
    pub member: Person,
    /// The person in each role.
    pub viewer: Person,
}

const AUTH: &str = "accessToken refreshToken user { id } organization { id slug projects { nodes { id } } }";

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

/// Signs somebody up; `extra` is `organizationName` or `invitationToken`.
pub async fn sign_up(server: &Server, name: &str, email: &str, extra: (&str, &str)) -> Value {
    let input = json!({"email": email, "password": PASSWORD, "name": name, extra.0: extra.1});
    server.anonymous().mutate("signup", input, AUTH).await
}

async fn person(server: &Server, auth: &Value, email: &str) -> Person {
    let token = text(&auth["accessToken"]);
    let own = server
        .bearer(&token)
        .ok("{ viewer { memberships { nodes { id organization { id } } } } }", json!({}))
        .await;
    let memberships = own["viewer"]["memberships"]["nodes"].as_array().unwrap().clone();
    let here =
        memberships.iter().find(|row| row["organization"]["id"] == auth["organization"]["id"]).unwrap();
    Person {
        email: email.to_owned(),
        id: text(&auth["user"]["id"]),
        refresh: text(&auth["refreshToken"]),
        membership: text(&here["id"]),
        token,
    }
}

/// Invites somebody and signs them up by the link.
pub async fn invite(
    server: &Server,
    by: &str,
    organization: &str,
    email: &str,
    role: &str,
    project: Option<&str>,
) -> Person {
    let input = json!({"organizationId": organization, "email": email, "role": role, "projectId": project});
    let made = server.bearer(by).mutate("invitationCreate", input, "acceptUrl invitation { id }").await;
    let url = text(&made["acceptUrl"]);
    let token = url.split("token=").nth(1).unwrap();
    let auth = sign_up(server, &email[..email.find('@').unwrap()], email, ("invitationToken", token)).await;
    person(server, &auth, email).await
}

/// An organization with its four people.
pub async fn organization(server: &Server, name: &str) -> Organization {
    let domain = format!("{}.example", name.to_lowercase());
    let email = |local: &str| format!("{local}@{domain}");
    let auth = sign_up(server, "Olivia Owner", &email("olivia"), ("organizationName", name)).await;
    let owner = person(server, &auth, &email("olivia")).await;
    let id = text(&auth["organization"]["id"]);
    let mut others = Vec::new();
    for (local, role) in [("adam", "ADMIN"), ("mia", "MEMBER"), ("victor", "VIEWER")] {
        others.push(invite(server, &owner.token, &id, &email(local), role, None).await);
    }
    let [admin, member, viewer] = others.try_into().unwrap();
    Organization {
        slug: text(&auth["organization"]["slug"]),
        project: text(&auth["organization"]["projects"]["nodes"][0]["id"]),
        id,
        owner,
        admin,
        member,
        viewer,
    }
}

impl Organization {
    /// The four people with the names of their roles, strongest first.
    pub fn people(&self) -> [(&'static str, &Person); 4] {
        [("OWNER", &self.owner), ("ADMIN", &self.admin), ("MEMBER", &self.member), ("VIEWER", &self.viewer)]
    }
}

impl Person {
    /// This person as a caller.
    pub fn at<'a>(&self, server: &'a Server) -> Client<'a> {
        server.bearer(&self.token)
    }
}
