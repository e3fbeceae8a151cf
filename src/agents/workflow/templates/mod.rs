//! Workflows to run: those that are there from the beginning, whose steps are the predecessor's as far as agents do them, and
//! those that an organization has made for itself.

pub mod graphql;
mod store;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::definition::{self, Definition};
use super::steps;
use crate::db::page::{Page, Slice};
use crate::db::{ReadTx, WriteTx};
use crate::error::{Error, Fault, FaultCode, Result};
use crate::id::{OrganizationId, ProjectId, WorkflowTemplateId};
use crate::{idempotency, input, projects, webhooks};

/// The built-in templates: their keys and their definitions.
const BUILT_IN: [(&str, &str); 3] = [
    ("full", include_str!("full.json")),
    ("posts_only", include_str!("posts_only.json")),
    ("reels_only", include_str!("reels_only.json")),
];
/// Templates of an organization at the most.
pub const MOST: i64 = 100;
/// Characters of a template's name.
const NAME: usize = 100;
/// Characters of a template's description.
const DESCRIPTION: usize = 2_000;

/// The keys of the built-in templates.
pub fn keys() -> impl Iterator<Item = &'static str> {
    BUILT_IN.into_iter().map(|(key, _)| key)
}

/// The built-in template of a key.
///
/// # Errors
/// A fault of ours: a test reads them all.
pub fn built_in(key: &str) -> Result<Option<Definition>> {
    let found = BUILT_IN.into_iter().find(|(known, _)| *known == key);
    found.map(|(_, text)| serde_json::from_str(text).map_err(Error::internal)).transpose()
}

/// An organization's own template.
#[derive(Debug, Clone)]
pub struct Template {
    /// Whose.
    pub organization: OrganizationId,
    /// Its id.
    pub id: WorkflowTemplateId,
    /// The project that it is for; none: for all.
    pub project: Option<ProjectId>,
    /// What runs name it by.
    pub key: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The workflow.
    pub definition: Definition,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// The template that a run names, by its key or its id, with its key: a built-in one, the project's own, or the organization's.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn resolve(tx: &mut ReadTx<'_>, project: ProjectId, name: &str) -> Result<(String, Definition)> {
    if let Some(definition) = built_in(name)? {
        return Ok((name.to_owned(), definition));
    }
    let found = match name.parse::<WorkflowTemplateId>() {
        Ok(id) => find(tx, id).await?.filter(|own| own.project.is_none_or(|only| only == project)),
        Err(_) => store::named(tx, project, name).await?,
    };
    let Some(template) = found else {
        let known: Vec<String> = keys().map(|key| format!("`{key}`")).collect();
        let message = format!(
            "There is no such template for this project. The built-in ones are {}.",
            known.join(", ")
        );
        return Err(Error::fault(Fault::at(FaultCode::NotFound, "template", message)));
    };
    Ok((template.key, template.definition))
}

/// A new template, checked.
#[derive(Debug)]
pub struct NewTemplate {
    project: Option<ProjectId>,
    key: String,
    name: String,
    description: Option<String>,
    definition: Definition,
}

impl NewTemplate {
    /// Checks what a caller wrote.
    ///
    /// # Errors
    /// A fault at the field.
    pub fn parse(
        project: Option<ProjectId>,
        key: &str,
        name: &str,
        description: Option<&str>,
        definition: Definition,
    ) -> Result<Self> {
        let key = key.trim();
        definition::name("key", key)?;
        if keys().any(|known| known == key) {
            let message = format!("`{key}` is a built-in template. Choose another key.");
            return Err(Error::fault(Fault::at(FaultCode::AlreadyExists, "key", message)));
        }
        Ok(Self {
            project,
            key: key.to_owned(),
            name: input::line("name", name, NAME)?,
            description: input::paragraph("description", description, DESCRIPTION)?,
            definition: definition.check(steps::signature)?,
        })
    }
}

/// A change of a template: absent leaves unchanged, null clears.
#[derive(Debug, Default)]
pub struct TemplateUpdate {
    /// Another name.
    pub name: Option<String>,
    /// Another description.
    pub description: Option<Option<String>>,
    /// Other variables.
    pub variables: Option<Vec<definition::Variable>>,
    /// Other steps.
    pub steps: Option<Vec<definition::Step>>,
}

/// What the audit log keeps of a template.
pub fn logged(template: &Template) -> Value {
    let steps: Vec<&str> = template.definition.steps.iter().map(|step| step.key.as_str()).collect();
    json!({
        "key": template.key, "name": template.name, "description": template.description, "steps": steps,
        "definition": fingerprint(&template.definition),
    })
}

/// What tells a definition from another one: whole, it is too long for a log.
fn fingerprint(definition: &Definition) -> String {
    use sha2::{Digest as _, Sha256};
    let bytes = serde_json::to_vec(definition).unwrap_or_default();
    hex::encode(Sha256::digest(bytes))
}

/// Refuses a definition that sends to where the organization has no endpoint.
async fn require_endpoints(tx: &mut ReadTx<'_>, definition: &Definition) -> Result<()> {
    for step in &definition.steps {
        let definition::Work::Webhook { endpoint, .. } = &step.work else { continue };
        if webhooks::find(tx, *endpoint).await?.is_none() {
            let message = format!(
                "The step `{}` names a webhook endpoint that is not there, or is not visible to you.",
                step.key
            );
            return Err(Error::fault(Fault::at(FaultCode::NotFound, "steps.endpointId", message)));
        }
    }
    Ok(())
}

/// Makes a template. Gives it, and whether it is a new one.
///
/// # Errors
/// `NOT_FOUND` for the project; `ALREADY_EXISTS` for a key that another one has; `CONFLICT` when there are too many;
/// `IDEMPOTENCY_KEY_REUSED`.
pub async fn create(
    tx: &mut WriteTx<'_>,
    new: &NewTemplate,
    repeated: Option<&idempotency::Key>,
) -> Result<(Template, bool)> {
    let id = WorkflowTemplateId::generate();
    if let Some(earlier) = idempotency::claim(tx, repeated, id.uuid()).await? {
        return Ok((find(tx, earlier.into()).await?.ok_or(Error::NotFound)?, false));
    }
    if let Some(project) = new.project
        && projects::find(tx, project).await?.is_none()
    {
        let message = "There is no such project, or it is not visible to you.";
        return Err(Error::fault(Fault::at(FaultCode::NotFound, "projectId", message)));
    }
    require_endpoints(tx, &new.definition).await?;
    tx.take_turn("workflow templates").await?;
    if store::count(tx, None).await? >= MOST {
        let message = format!("An organization has at most {MOST} templates. Delete one that is not used.");
        return Err(Error::fault(Fault::new(FaultCode::Conflict, message)));
    }
    store::insert(tx, id, new).await?;
    Ok((find(tx, id).await?.ok_or(Error::NotFound)?, true))
}

/// Changes a template. Gives it as it was and as it is. Runs that have begun go on as they were.
///
/// # Errors
/// A fault at the field; `NOT_FOUND`.
pub async fn update(
    tx: &mut WriteTx<'_>,
    id: WorkflowTemplateId,
    change: TemplateUpdate,
) -> Result<(Template, Template)> {
    let before = store::lock(tx, id).await?.ok_or(Error::NotFound)?;
    let mut after = before.clone();
    if let Some(name) = change.name {
        after.name = input::line("name", &name, NAME)?;
    }
    if let Some(description) = change.description {
        after.description = input::paragraph("description", description.as_deref(), DESCRIPTION)?;
    }
    if change.variables.is_some() || change.steps.is_some() {
        let Definition { variables, steps } = after.definition;
        let changed = Definition {
            variables: change.variables.unwrap_or(variables),
            steps: change.steps.unwrap_or(steps),
        };
        after.definition = changed.check(steps::signature)?;
        require_endpoints(tx, &after.definition).await?;
    }
    store::update(tx, &after).await?;
    Ok((before, find(tx, id).await?.ok_or(Error::NotFound)?))
}

/// Deletes a template. Gives it as it was. Runs that have begun go on.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn delete(tx: &mut WriteTx<'_>, id: WorkflowTemplateId) -> Result<Template> {
    let before = store::lock(tx, id).await?.ok_or(Error::NotFound)?;
    store::delete(tx, id).await?;
    Ok(before)
}

/// One template.
///
/// # Errors
/// What the database says.
pub async fn find(tx: &mut ReadTx<'_>, id: WorkflowTemplateId) -> Result<Option<Template>> {
    store::find(tx, id).await
}

/// One page of templates, newest first: a project's own, or all of the organization.
///
/// # Errors
/// What the database says.
pub async fn list(
    tx: &mut ReadTx<'_>,
    page: &Page<Uuid>,
    project: Option<ProjectId>,
) -> Result<Slice<Template>> {
    store::list(tx, page, project).await
}

/// How many there are.
///
/// # Errors
/// What the database says.
pub async fn count(tx: &mut ReadTx<'_>, project: Option<ProjectId>) -> Result<i64> {
    store::count(tx, project).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_templates_pass_the_checks_and_need_no_options() {
        for key in keys() {
            let definition = built_in(key).unwrap().unwrap();
            assert_eq!(definition.clone().check(steps::signature).unwrap(), definition, "{key}");
            definition.options(std::collections::BTreeMap::new()).unwrap();
        }
        assert!(built_in("nothing").unwrap().is_none());
    }

    #[test]
    fn a_key_is_a_name_that_no_built_in_template_has() {
        let new = |key: &str| {
            let definition = built_in("posts_only").unwrap().unwrap();
            NewTemplate::parse(None, key, "Mine", Some(" "), definition)
        };
        assert_eq!(new(" mine ").unwrap().key, "mine");
        assert_eq!(new("mine").unwrap().description, None);
        for (key, code) in [("full", FaultCode::AlreadyExists), ("My own", FaultCode::Invalid)] {
            let Error::Invalid(faults) = new(key).unwrap_err() else { panic!("{key}") };
            assert_eq!(faults[0].code, code, "{key}");
        }
    }
}
