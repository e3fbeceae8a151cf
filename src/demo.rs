//! Two organizations with people in all four roles, made through the same operations that people use.

use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use secrecy::{ExposeSecret as _, SecretString};

use crate::access::{Action, Role};
use crate::db::{Changes, Facts, Record, Target};
use crate::error::{Error, Fault, FaultCode};
use crate::identity::{Identity, NewAccount, SignedIn};
use crate::{invitations, projects};

/// One person of the demo.
struct Person {
    name: &'static str,
    local: &'static str,
    role: Role,
}

const PEOPLE: [Person; 4] = [
    Person { name: "Olivia Owner", local: "olivia", role: Role::Owner },
    Person { name: "Adam Admin", local: "adam", role: Role::Admin },
    Person { name: "Mia Member", local: "mia", role: Role::Member },
    Person { name: "Victor Viewer", local: "victor", role: Role::Viewer },
];

const ORGANIZATIONS: [(&str, &str, [&str; 3]); 2] = [
    ("Nordlicht Studio", "nordlicht.example", ["Spring Campaign", "Seven Cycles", "Podcast"]),
    ("Harbor & Pine", "harbor.example", ["Store Opening", "Newsletter", "Field Notes"]),
];

fn password() -> anyhow::Result<String> {
    let mut bytes = [0; 9];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(format!("demo-{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)))
}

fn facts() -> Facts {
    Facts { request_id: "demo".to_owned(), user_agent: Some("aicos demo".to_owned()), ip: None }
}

/// Fills the database, and returns the logins to print.
///
/// # Errors
/// When the demo is there already, or the database refuses.
pub async fn fill(identity: &Arc<Identity>, progress: &dyn Fn(&str)) -> anyhow::Result<String> {
    let password = password()?;
    let mut out = String::new();
    for (organization, domain, projects) in ORGANIZATIONS {
        progress(&format!("Making {organization} …"));
        write!(out, "\n{organization}\n")?;
        let owner = found(identity, organization, domain, &password).await.map_err(|error| match error {
            Error::Invalid(faults) if faults.iter().any(|fault| fault.code == FaultCode::AlreadyExists) => {
                anyhow::anyhow!("The demo is there already. Sign in with its logins, make new passwords with `aicos user reset-link`, or start with an empty data folder (--data-dir).")
            }
            other => other.into(),
        })?;
        for project in projects {
            make_project(identity, &owner, project).await?;
        }
        for person in &PEOPLE {
            let email = format!("{}@{domain}", person.local);
            if person.role != Role::Owner {
                join(identity, &owner, person, &email, &password).await?;
            }
            writeln!(out, "  {:<7} {email:<30} {password}", person.role.as_str())?;
        }
    }
    writeln!(out, "\nSign in on the page, or with the mutation `login`.")?;
    Ok(out)
}

fn account(name: &str, email: &str, password: &str) -> NewAccount {
    NewAccount {
        email: email.to_owned(),
        password: password.to_owned().into(),
        name: name.to_owned(),
        organization_name: None,
        invitation_token: None,
    }
}

async fn found(
    identity: &Arc<Identity>,
    organization: &str,
    domain: &str,
    password: &str,
) -> crate::error::Result<SignedIn> {
    let owner = &PEOPLE[0];
    let email = format!("{}@{domain}", owner.local);
    let new = NewAccount {
        organization_name: Some(organization.to_owned()),
        ..account(owner.name, &email, password)
    };
    identity.sign_up(&identity.lease(facts()), new).await
}

/// The owner's own scope, as a request of theirs would get it.
async fn scope(
    identity: &Arc<Identity>,
    lease: &crate::db::Lease,
    owner: &SignedIn,
) -> crate::error::Result<Arc<crate::access::Scope>> {
    let caller =
        identity.recognise_token(owner.access_token.expose_secret()).map_err(Error::Unauthenticated)?;
    let organization = owner.organization.ok_or(Error::NotFound)?;
    Ok(identity.scope(lease, &caller, None, organization, true).await?.0)
}

async fn make_project(identity: &Arc<Identity>, owner: &SignedIn, name: &str) -> crate::error::Result<()> {
    let lease = identity.lease(facts());
    let scope = scope(identity, &lease, owner).await?;
    let new = projects::NewProject::parse(name, None, None)?;
    let mut tx = lease.write(&scope, Action::ProjectCreate).await?;
    let (project, _) = projects::create(&mut tx, &new, None).await?;
    tx.commit(Record::with(Target::project(project.id), Changes::made(&project.logged()))).await
}

async fn join(
    identity: &Arc<Identity>,
    owner: &SignedIn,
    person: &Person,
    email: &str,
    password: &str,
) -> crate::error::Result<()> {
    let token = {
        let lease = identity.lease(facts());
        let scope = scope(identity, &lease, owner).await?;
        let new = invitations::NewInvitation::parse(email, person.role, None, 7)?;
        let mut tx = lease.write(&scope, Action::InvitationCreate).await?;
        let made = invitations::create(&mut tx, &scope, new, false, None).await?;
        let changes = Changes::made(&invitations::logged(&made.invitation));
        tx.commit(Record::with(Target::invitation(made.invitation.id), changes)).await?;
        made.secret
    };
    let missing = || Error::fault(Fault::new(FaultCode::Conflict, "The invitation has no link."));
    let token: SecretString = token.ok_or_else(missing)?;
    let new = NewAccount { invitation_token: Some(token), ..account(person.name, email, password) };
    identity.sign_up(&identity.lease(facts()), new).await?;
    Ok(())
}
