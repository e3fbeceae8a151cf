//! aicos.
