//! The one way in which lists are fetched.

/// Fetches one page of a list: the same statement in the list's order, or backwards when the page is taken from the end.
/// `$sql` ends in its `where`; its parameters are the key window and then the filter's; the last one is the page's size.
macro_rules! keyset {
    ($row:ty, $tx:expr, $page:expr, $sql:literal, $key:literal $forward:literal / $backward:literal, $size:literal,
     $($argument:expr),* $(,)?) => {
        if $page.from_end {
            sqlx::query_as!($row, $sql + " order by " + $key + " " + $backward + " limit " + $size, $($argument,)* $page.fetch())
                .fetch_all($tx.conn())
                .await?
        } else {
            sqlx::query_as!($row, $sql + " order by " + $key + " " + $forward + " limit " + $size, $($argument,)* $page.fetch())
                .fetch_all($tx.conn())
                .await?
        }
    };
}
