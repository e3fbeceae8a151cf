//! Which engine is wanted, by whoever asks, by a route, or by the organization.

use serde::{Deserialize, Serialize};

use super::Providers;
use crate::db::ReadTx;
use crate::engine;
use crate::error::{Detail, Error, Fault, FaultCode, Result};
use crate::id::{ProjectId, ProviderId};
use crate::input;
use crate::jobs::AgentKind;

/// Which engine is wanted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Wanted {
    /// The provider.
    pub provider: String,
    /// Its model; a provider's job has one.
    pub model: Option<String>,
    /// Whether the built-in engine may work when the provider does not.
    pub fallback: bool,
    /// The organization's own provider that the name stands for; none: the server's.
    #[serde(default)]
    pub own: Option<ProviderId>,
    /// Which format the provider speaks, once that has been looked up.
    #[serde(skip)]
    pub kind: Option<engine::Provider>,
}

impl Wanted {
    /// The engine that is wanted, when it is not the built-in one: the organization's own provider of that name, else the
    /// server's.
    ///
    /// # Errors
    /// A fault at the field; `PROVIDER_NOT_CONFIGURED`.
    pub async fn check(self, tx: &mut ReadTx<'_>, providers: &Providers) -> Result<Option<Self>> {
        if self.provider == super::BUILTIN {
            return Ok(None);
        }
        let provider = input::line("engine.provider", &self.provider, 40)?;
        let own = super::named(tx, &provider).await?;
        let usual = own.as_ref().and_then(|own| own.model.clone());
        let model = match self.model {
            Some(model) => input::line("engine.model", &model, 200)?,
            None => usual.ok_or_else(|| {
                let message = "`model` is needed with a provider. Name one of its models.";
                Error::fault(Fault::at(FaultCode::Required, "engine.model", message))
            })?,
        };
        let kind = match &own {
            Some(own) => own.kind,
            None => {
                providers.engines().text(&provider).map(|engine| engine.provider()).map_err(|missing| {
                    let detail = Detail::Provider {
                        provider: provider.clone(),
                        provider_code: None,
                        retryable: false,
                    };
                    Error::fault(
                        Fault::at(FaultCode::ProviderNotConfigured, "engine.provider", missing.to_string())
                            .with(detail),
                    )
                })?
            }
        };
        let own = own.map(|own| own.id);
        Ok(Some(Self { provider, model: Some(model), fallback: self.fallback, own, kind: Some(kind) }))
    }

    /// As [`Wanted::check`], for what an agent has a model do: films are spoken and filmed and pictures are painted, and for
    /// everything else a model writes.
    ///
    /// # Errors
    /// As [`Wanted::check`].
    pub async fn check_for(
        self,
        agent: AgentKind,
        tx: &mut ReadTx<'_>,
        providers: &Providers,
    ) -> Result<Option<Self>> {
        let wanted = self.check(tx, providers).await?;
        let is_written = !matches!(agent, AgentKind::Video | AgentKind::VisualPost);
        let writes = |wanted: &Self| wanted.kind.is_none_or(engine::Provider::writes);
        if let Some(mute) = wanted.as_ref().filter(|wanted| is_written && !writes(wanted)) {
            let does = if mute.kind.is_some_and(engine::Provider::films) { "film" } else { "speak" };
            let message = format!(
                "Models of `{}` {does} and do not write. Name a provider of the kind OPENAI or ANTHROPIC, or the built-in engine.",
                mute.provider
            );
            return Err(Error::fault(Fault::at(
                FaultCode::ProviderNotConfigured,
                "engine.provider",
                message,
            )));
        }
        Ok(wanted)
    }

    /// The engine for an order: the one that its caller names, else the one that the project's route names, else the
    /// organization's; none: the built-in one.
    ///
    /// # Errors
    /// As [`Wanted::check`].
    pub async fn choose(
        wanted: Option<Self>,
        tx: &mut ReadTx<'_>,
        providers: &Providers,
        (project, agent): (Option<ProjectId>, AgentKind),
    ) -> Result<Option<Self>> {
        if let Some(wanted) = wanted {
            return wanted.check_for(agent, tx, providers).await;
        }
        let Some(route) = super::route(tx, project, agent).await? else { return Ok(None) };
        let wanted = Self {
            provider: route.provider,
            model: route.model,
            fallback: route.fallback,
            own: None,
            kind: None,
        };
        let name = wanted.provider.clone();
        wanted.check_for(agent, tx, providers).await.map_err(|error| match error {
            Error::Invalid(faults) => {
                let unusable = faults.into_iter().map(|fault| Fault {
                    message: format!(
                        "This agent is set to work with `{name}`. {} Change that with `engineRouteSet`, or name another engine.",
                        fault.message
                    ),
                    field: None,
                    ..fault
                });
                Error::Invalid(unusable.collect())
            }
            other => other,
        })
    }

    /// The organization's own provider, when it is one, by name and id.
    pub fn own(&self) -> Option<(&str, ProviderId)> {
        Some((self.provider.as_str(), self.own?))
    }
}
