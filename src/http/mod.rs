//! The HTTP surface.

pub mod graphql;
pub mod proxies;
pub mod request_id;

pub use self::proxies::Proxies;
pub use self::request_id::RequestId;
