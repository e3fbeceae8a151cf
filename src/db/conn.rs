//! A connection as stores see it: every statement on it is counted, and stands in the trace under its name.

use std::borrow::Cow;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, Stream, StreamExt as _};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgConnection, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Describe, Either, Error, Execute, Executor, Postgres, SqlStr};
use tracing::{Instrument as _, Span};

use crate::telemetry::{count, trace};

/// A connection whose statements are counted and traced.
#[derive(Debug)]
pub struct Conn {
    pub(super) raw: PgConnection,
    name: Option<&'static str>,
}

impl Conn {
    pub(super) const fn new(raw: PgConnection) -> Self {
        Self { raw, name: None }
    }

    /// The connection, whose next statement has a name of its own.
    pub(super) const fn named(&mut self, name: &'static str) -> &mut Self {
        self.name = Some(name);
        self
    }
}

/// A statement that has been looked at.
struct Seen {
    sql: SqlStr,
    prepared: Option<PgStatement>,
    arguments: Result<Option<PgArguments>, BoxDynError>,
    persistent: bool,
}

impl Seen {
    /// Looks at a statement, and says in the span what it is.
    fn of<'q>(mut query: impl Execute<'q, Postgres>, name: Option<&str>, span: &Span) -> Self {
        let (prepared, persistent) = (query.statement().cloned(), query.persistent());
        let (arguments, sql) = (query.take_arguments(), query.sql());
        match name {
            Some(name) => trace::stated(span, name),
            None => trace::stated(span, &summarise(sql.as_str())),
        }
        Self { sql, prepared, arguments, persistent }
    }
}

impl Execute<'_, Postgres> for Seen {
    fn sql(self) -> SqlStr {
        self.sql
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.prepared.as_ref()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        std::mem::replace(&mut self.arguments, Ok(None))
    }

    fn persistent(&self) -> bool {
        self.persistent
    }
}

/// What a statement does and to what, without any of its values: `SELECT jobs`, `SELECT app.enter; BEGIN`.
fn summarise(sql: &str) -> String {
    let part = |statement: &str| {
        let mut words = statement.split_whitespace();
        let verb = words.next().map(str::to_ascii_uppercase).unwrap_or_default();
        let verb = ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "BEGIN", "COMMIT", "ROLLBACK"]
            .into_iter()
            .find(|known| *known == verb)?;
        let lists = |word: &&str| {
            ["from", "into", "update", "join"].iter().any(|list| word.eq_ignore_ascii_case(list))
        };
        let mut words = statement.split_whitespace();
        // Of a call without a table the function is what it is about.
        let about = words.find(lists).and_then(|_| words.next()).or_else(|| {
            let mut words = statement.split_whitespace().skip(1);
            words.find(|word| word.contains('('))
        });
        let about = if verb == "UPDATE" { statement.split_whitespace().nth(1) } else { about };
        let named = |c: char| c.is_ascii_alphanumeric() || "_.".contains(c);
        let about = about.map(|word| word.split(|c| !named(c)).next().unwrap_or_default());
        Some(
            about
                .filter(|about| !about.is_empty())
                .map_or_else(|| Cow::Borrowed(verb), |about| Cow::Owned(format!("{verb} {about}"))),
        )
    };
    let parts: Vec<_> = sql.split(';').filter_map(part).collect();
    parts.join("; ")
}

fn failed(span: &Span, error: &Error) {
    let state = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    trace::statement_failed(span, state.as_deref());
}

/// The rows of a statement, read within its span.
struct Rows<'e, T> {
    rows: BoxStream<'e, Result<T, Error>>,
    span: Span,
}

impl<T> Stream for Rows<'_, T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { rows, span } = &mut *self;
        let polled = span.in_scope(|| rows.poll_next_unpin(context));
        if let Poll::Ready(Some(Err(error))) = &polled {
            failed(span, error);
        }
        polled
    }
}

impl<'c> Executor<'c> for &'c mut Conn {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        count().statement();
        let (name, span) = (self.name.take(), trace::statement());
        if span.is_disabled() {
            return self.raw.fetch_many(query);
        }
        let seen = Seen::of(query, name, &span);
        Rows { rows: self.raw.fetch_many(seen), span }.boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        count().statement();
        let (name, span) = (self.name.take(), trace::statement());
        if span.is_disabled() {
            return self.raw.fetch_optional(query);
        }
        let seen = Seen::of(query, name, &span);
        let fetching = self.raw.fetch_optional(seen).instrument(span.clone());
        fetching
            .inspect(move |fetched| _ = fetched.as_ref().inspect_err(|error| failed(&span, error)))
            .boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, Error>>
    where
        'c: 'e,
    {
        self.raw.prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, Error>>
    where
        'c: 'e,
    {
        self.raw.describe(sql)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_says_what_is_done_to_what_and_no_value() {
        let id = "01936c5e-0000-7000-8000-000000000001";
        for (sql, summary) in [
            ("select id, name from projects where slug = $1", "SELECT projects"),
            ("\n  insert into jobs (organization_id, id)\n values ($1, $2)", "INSERT jobs"),
            ("update jobs set status = 'CANCELLED' where id = $1", "UPDATE jobs"),
            ("delete from sessions where id = $1", "DELETE sessions"),
            ("select * from app.claim_job($1, $2)", "SELECT app.claim_job"),
            ("with made as (insert into users (id) values ($1) returning id) select 1", "WITH users"),
            ("select app.wake_workers($1, $2, clock_timestamp())", "SELECT app.wake_workers"),
            ("COMMIT", "COMMIT"),
            ("SELECT 1", "SELECT"),
            ("", ""),
            ("'secret' select", ""),
        ] {
            assert_eq!(summarise(sql), summary, "{sql}");
        }
        let entering =
            format!("ROLLBACK; SELECT app.enter('{id}', '{id}', '{id}', false, 7, null); BEGIN READ ONLY");
        assert_eq!(summarise(&entering), "ROLLBACK; SELECT app.enter; BEGIN");
        let person =
            format!("SELECT set_config('app.organization', '', true), set_config('app.user', '{id}', true)");
        assert_eq!(summarise(&person), "SELECT set_config");
    }
}
