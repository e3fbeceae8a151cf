//! Typed ids and their prefixed wire form, for example `prj_01jd3x8r5nf6xr8m2zq0v7k9we`.
//!
//! The database stores `uuid` (version 7, made here). On the wire an id is a lower-case prefix, an underscore and
//! 26 characters of Crockford's base32, so that it names its kind, sorts by age and survives a double click.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH: usize = 26;

/// Why a string is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseIdError {
    /// The prefix is another kind's, or missing.
    #[error("expected an id that starts with `{expected}_`")]
    Prefix {
        /// The prefix that was wanted.
        expected: &'static str,
    },
    /// The part after the prefix is not 26 characters of base32.
    #[error("an id has 26 letters and digits after `{expected}_`")]
    Body {
        /// The prefix that was wanted.
        expected: &'static str,
    },
}

/// Writes a uuid as 26 characters of lower-case Crockford base32, most significant bits first.
pub fn encode(id: Uuid) -> String {
    let value = id.as_u128();
    let mut out = String::with_capacity(LENGTH);
    for place in (0..LENGTH).rev() {
        let index = usize::try_from((value >> (place * 5)) & 31).unwrap_or(0);
        out.push(char::from(ALPHABET[index]));
    }
    out
}

/// Reads 26 characters of lower-case Crockford base32; one canonical form only.
pub fn decode(text: &str) -> Option<Uuid> {
    let bytes = text.as_bytes();
    if bytes.len() != LENGTH || bytes[0] > b'7' {
        return None;
    }
    let mut value = 0u128;
    for byte in bytes {
        let digit = ALPHABET.iter().position(|known| known == byte)?;
        value = (value << 5) | u128::try_from(digit).ok()?;
    }
    Some(Uuid::from_u128(value))
}

/// Whether a text has the form of an id of some kind, known here or not.
pub fn is_well_formed(text: &str) -> bool {
    let mut parts = text.split('_');
    let prefix = parts.next().unwrap_or_default();
    prefix.len() == 3
        && prefix.bytes().all(|byte| byte.is_ascii_lowercase())
        && matches!(parts.clone().count(), 1 | 2)
        && parts.all(|part| decode(part).is_some())
}

fn body<'a>(text: &'a str, expected: &'static str) -> Result<&'a str, ParseIdError> {
    text.strip_prefix(expected)
        .and_then(|rest| rest.strip_prefix('_'))
        .ok_or(ParseIdError::Prefix { expected })
}

/// What every id can do.
pub trait WireId: Sized + Copy + fmt::Display + FromStr<Err = ParseIdError> {
    /// The lower-case prefix, without the underscore.
    const PREFIX: &'static str;
    /// The GraphQL type that it names.
    const KIND: &'static str;
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident, $prefix:literal, $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, sqlx::Type)]
        #[sqlx(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A fresh id: sortable by time, never recycled.
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// The stored form.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl WireId for $name {
            const PREFIX: &'static str = $prefix;
            const KIND: &'static str = $kind;
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", $prefix, encode(self.0))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                decode(body(text, $prefix)?).map(Self).ok_or(ParseIdError::Body { expected: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// A person.
    UserId, "usr", "User";
    /// A signed-in device.
    SessionId, "ses", "Session";
    /// An organization: the tenant.
    OrganizationId, "org", "Organization";
    /// One person in one organization.
    MembershipId, "mem", "Membership";
    /// An invitation to an organization or project.
    InvitationId, "inv", "Invitation";
    /// A project of an organization.
    ProjectId, "prj", "Project";
    /// An API key.
    ApiKeyId, "key", "ApiKey";
    /// One row of an organization's audit log.
    AuditEntryId, "aud", "AuditEntry";
    /// One event of a person's own security log.
    SecurityEventId, "sec", "SecurityEvent";
    /// Work that outlives a request.
    JobId, "job", "Job";
    /// A document that questions are answered from.
    DocumentId, "doc", "KnowledgeDocument";
    /// A period of an organization.
    PeriodId, "prd", "Period";
    /// A provider of models that an organization has set up.
    ProviderId, "eng", "Provider";
    /// An account that an organization has connected.
    AccountId, "acc", "Account";
    /// A file.
    AssetId, "ast", "Asset";
    /// An answer to a question.
    AnswerId, "qna", "QaAnswer";
    /// Questions that go on from one another.
    ConversationId, "cnv", "QaConversation";
    /// A set of affirmations.
    AffirmationSetId, "afs", "AffirmationSet";
    /// A set of hashtags.
    HashtagSetId, "hts", "HashtagSet";
    /// A post in variants.
    PostId, "pst", "Post";
    /// Pictures with text.
    VisualPostId, "vip", "VisualPost";
    /// A video.
    VideoId, "vid", "Video";
    /// A plan of what to post.
    StrategyId, "stg", "ContentStrategy";
    /// Something on its way to being public.
    PublicationId, "pub", "Publication";
    /// A run of a workflow.
    WorkflowRunId, "wfr", "ContentWorkflowRun";
    /// A workflow that an organization has made for itself.
    WorkflowTemplateId, "wft", "ContentWorkflowTemplate";
    /// Where an organization has news sent to.
    WebhookEndpointId, "whk", "WebhookEndpoint";
    /// What a project has done at set times.
    ScheduleId, "sch", "Schedule";
}

/// A project and a person: a pair without a row of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProjectMemberId {
    /// The project.
    pub project: ProjectId,
    /// The person.
    pub user: UserId,
}

/// An organization and the start of a period: a pair without a row of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OrganizationUsageId {
    /// The organization.
    pub organization: OrganizationId,
    /// The period's first instant, in seconds since the Unix epoch.
    pub period_start: i64,
}

fn encode_pair(prefix: &str, first: Uuid, second: Uuid, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{prefix}_{}_{}", encode(first), encode(second))
}

fn decode_pair(text: &str, expected: &'static str) -> Result<(Uuid, Uuid), ParseIdError> {
    body(text, expected)?
        .split_once('_')
        .and_then(|(first, second)| Some((decode(first)?, decode(second)?)))
        .ok_or(ParseIdError::Body { expected })
}

impl WireId for ProjectMemberId {
    const PREFIX: &'static str = "pmb";
    const KIND: &'static str = "ProjectMember";
}

impl fmt::Display for ProjectMemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        encode_pair(Self::PREFIX, self.project.uuid(), self.user.uuid(), f)
    }
}

impl FromStr for ProjectMemberId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let (project, user) = decode_pair(text, Self::PREFIX)?;
        Ok(Self { project: project.into(), user: user.into() })
    }
}

impl WireId for OrganizationUsageId {
    const PREFIX: &'static str = "usg";
    const KIND: &'static str = "OrganizationUsage";
}

impl fmt::Display for OrganizationUsageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = Uuid::from_u128(u128::from(self.period_start.unsigned_abs()));
        encode_pair(Self::PREFIX, self.organization.uuid(), start, f)
    }
}

impl FromStr for OrganizationUsageId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let (organization, start) = decode_pair(text, Self::PREFIX)?;
        let period_start =
            i64::try_from(start.as_u128()).map_err(|_| ParseIdError::Body { expected: Self::PREFIX })?;
        Ok(Self { organization: organization.into(), period_start })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_round_trips_and_sorts_like_the_uuid() {
        let mut ids: Vec<ProjectId> = (0..1000).map(|_| ProjectId::generate()).collect();
        for id in &ids {
            assert_eq!(id.to_string().parse::<ProjectId>(), Ok(*id));
        }
        ids.sort_by_key(ToString::to_string);
        assert!(ids.windows(2).all(|pair| pair[0] <= pair[1]));
    }

    /// Attacks: 44.
    #[test]
    fn only_the_canonical_form_of_the_right_kind_is_read() {
        let id = UserId::from(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));
        let wire = id.to_string();
        assert!(wire.parse::<ProjectId>().is_err());
        assert!(wire.to_uppercase().parse::<UserId>().is_err());
        assert!(format!("{wire}0").parse::<UserId>().is_err());
        assert!(format!("usr_8{}", &wire[5..]).parse::<UserId>().is_err());
        for bad in ["", "usr", "usr_", "usr_ü", "1e3", "{00000000-0000-0000-0000-000000000000}"] {
            assert!(bad.parse::<UserId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn any_kind_of_id_is_known_by_its_form() {
        let pair = ProjectMemberId { project: ProjectId::generate(), user: UserId::generate() };
        assert!(is_well_formed(&pair.to_string()) && is_well_formed(&UserId::generate().to_string()));
        for bad in
            ["", "usr", "usr_", "usr_x", "_", &encode(Uuid::nil()), &format!("{pair}_"), &format!("{pair}\0")]
        {
            assert!(!is_well_formed(bad), "{bad}");
        }
    }

    #[test]
    fn pairs_round_trip() {
        let pair = ProjectMemberId { project: ProjectId::generate(), user: UserId::generate() };
        assert_eq!(pair.to_string().parse(), Ok(pair));
        let usage =
            OrganizationUsageId { organization: OrganizationId::generate(), period_start: 1_790_000_000 };
        assert_eq!(usage.to_string().parse(), Ok(usage));
        assert!("pmb_short_short".parse::<ProjectMemberId>().is_err());
    }
}
