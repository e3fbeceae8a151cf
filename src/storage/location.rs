//! Where objects are kept, as the setting says it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use secrecy::SecretString;
use url::{Url, form_urlencoded};

/// Where objects are kept.
#[derive(Debug, Clone)]
pub enum Location {
    /// In a folder of this machine.
    Folder(PathBuf),
    /// In a bucket of a store that speaks S3.
    Bucket(Bucket),
}

/// A bucket of a store that speaks S3.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// What every key begins with; empty for none.
    pub prefix: String,
    /// The store's own address; AWS when there is none.
    pub endpoint: Option<Url>,
    /// Its region.
    pub region: String,
    /// The access key's id and its secret; the machine's own role when there are none.
    pub credentials: Option<(String, SecretString)>,
}

const FORM: &str = "STORAGE_URL is `file:` for a folder in the data folder, `file:///some/folder`, or \
    `s3://KEY_ID:SECRET@bucket/prefix?region=eu-central-1&endpoint=https://…`, with `/` and `+` of the secret written as \
    %2F and %2B";

impl Location {
    /// Reads the setting. What is wrong is not repeated: a secret may stand in it.
    ///
    /// # Errors
    /// A sentence that names the fix.
    pub fn parse(text: Option<&str>, data_dir: &Path) -> anyhow::Result<Self> {
        let text = text.map(str::trim).filter(|text| !text.is_empty()).unwrap_or("file:");
        if text == "file:" {
            return Ok(Self::Folder(data_dir.join("assets")));
        }
        let url = Url::parse(text).ok().context(FORM)?;
        match url.scheme() {
            "file" => {
                ensure!(text.starts_with("file:/") && url.query().is_none(), FORM);
                Ok(Self::Folder(url.to_file_path().ok().context(FORM)?))
            }
            "s3" => Ok(Self::Bucket(Bucket::parse(&url)?)),
            _ => anyhow::bail!(FORM),
        }
    }
}

impl Bucket {
    fn parse(url: &Url) -> anyhow::Result<Self> {
        let name = url.host_str().filter(|name| !name.is_empty()).context(FORM)?.to_owned();
        let credentials = match (decoded(url.username()), url.password().map(decoded)) {
            (id, None) if id.is_empty() => None,
            (id, Some(secret)) if !id.is_empty() && !secret.is_empty() => Some((id, secret.into())),
            _ => anyhow::bail!(FORM),
        };
        let (mut region, mut endpoint) = (None, None);
        for (name, value) in url.query_pairs() {
            match &*name {
                "region" if region.is_none() => region = Some(value.into_owned()),
                "endpoint" if endpoint.is_none() => {
                    let url = Url::parse(&value).ok().filter(|url| {
                        matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none()
                    });
                    endpoint = Some(url.context(FORM)?);
                }
                _ => anyhow::bail!("STORAGE_URL has a parameter that is not known, or twice. {FORM}"),
            }
        }
        let plain = |segment: &str| {
            !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        let prefix = url.path().trim_matches('/');
        ensure!(
            prefix.is_empty() || prefix.split('/').all(plain),
            "The prefix in STORAGE_URL has letters, digits, `-` and `_` between its slashes."
        );
        let region = region.unwrap_or_else(|| "us-east-1".to_owned());
        Ok(Self { name, prefix: prefix.to_owned(), endpoint, region, credentials })
    }
}

/// What a part of an address says; a `+` in it is a plus.
fn decoded(text: &str) -> String {
    let pair = format!("v={}", text.replace('+', "%2B").replace('&', "%26"));
    form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn read(text: &str) -> anyhow::Result<Location> {
        Location::parse(Some(text), Path::new("/data"))
    }

    #[test]
    fn a_folder_is_the_data_folders_or_a_named_one() {
        for (text, folder) in
            [("", "/data/assets"), ("file:", "/data/assets"), ("file:///srv/a%20b", "/srv/a b")]
        {
            let Ok(Location::Folder(found)) = read(text) else { panic!("{text}") };
            assert_eq!(found, Path::new(folder));
        }
        for text in ["assets", "file:assets", "http://localhost/", "file:///a?b"] {
            assert!(read(text).unwrap_err().to_string().contains("STORAGE_URL"), "{text}");
        }
    }

    #[test]
    fn a_bucket_has_its_store_region_and_keys() {
        let text = "s3://id:a%2Fb+c%3D@bucket/aicos/files?endpoint=https://x.supabase.co/storage/v1/s3&region=eu-central-1";
        let Ok(Location::Bucket(bucket)) = read(text) else { panic!() };
        assert_eq!(
            (&*bucket.name, &*bucket.prefix, &*bucket.region),
            ("bucket", "aicos/files", "eu-central-1")
        );
        assert_eq!(bucket.endpoint.as_ref().unwrap().path(), "/storage/v1/s3");
        let (id, secret) = bucket.credentials.as_ref().unwrap();
        assert_eq!((&**id, secret.expose_secret()), ("id", "a/b+c="));
        assert!(!format!("{bucket:?}").contains("a/b"));
        let Ok(Location::Bucket(bucket)) = read("s3://bucket") else { panic!() };
        assert!(bucket.credentials.is_none() && bucket.endpoint.is_none() && bucket.prefix.is_empty());
        for text in [
            "s3:",
            "s3://id@bucket",
            "s3://id:hunter2@bucket?colour=red",
            "s3://id:hunter2@bucket/../x%2F..",
            "s3://id:hunter2@bucket?endpoint=ftp://x",
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains("STORAGE_URL") && !error.contains("hunter2"), "{text}: {error}");
        }
    }
}
