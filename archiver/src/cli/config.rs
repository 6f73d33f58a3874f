//! The configuration file: archival locations by name.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

/// Longest configuration file that is read.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// Longest name of a location, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// Locations by name.
    #[serde(default)]
    pub(super) locations: BTreeMap<String, LocationConfig>,
}

/// How one location is reached. Options and environment overrule it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LocationConfig {
    /// The store's URL.
    pub(super) url: String,
    /// ARN of the key that the location is encrypted under.
    pub(super) key: String,
    /// What the key was called when the location was made, such as an alias.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key_name: Option<String>,
    /// The S3 endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) endpoint: Option<String>,
    /// The bucket's Region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) region: Option<String>,
    /// The AWS profile with the store's credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) profile: Option<String>,
    /// The bucket belongs into the host name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) virtual_hosted_style: bool,
    /// The KMS endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kms_endpoint: Option<String>,
    /// The AWS profile with the KMS's credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kms_profile: Option<String>,
    /// A file with the private half of the recovery key, to use in place of a KMS. Given each time, never kept.
    #[serde(skip)]
    pub(super) recovery_private_key: Option<PathBuf>,
}

/// What is wrong with the configuration file, or with what was asked of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ConfigError {
    /// There is no place for the file.
    #[error("there is no configuration file: neither XDG_CONFIG_HOME nor HOME is set")]
    NoPlace,
    /// It cannot be read or written.
    #[error("cannot {action} {}: {source}", .path.display())]
    Unusable {
        /// Read, write.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("{} is malformed: {source}", .path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Line, column and reason.
        source: Box<toml::de::Error>,
    },
    /// It is longer than any that this program writes.
    #[error("{} has more than {CONFIG_BYTES_MAX} bytes", .path.display())]
    TooLong {
        /// Which file.
        path: PathBuf,
    },
    /// No location has this name.
    #[error("there is no location \"{name}\" in {}", .path.display())]
    Unknown {
        /// The name.
        name: String,
        /// In which file.
        path: PathBuf,
    },
    /// No location was named, and there is not exactly one.
    #[error("no location was named, and {} has {count}", .path.display())]
    None {
        /// How many there are.
        count: usize,
        /// In which file.
        path: PathBuf,
    },
    /// The name is taken.
    #[error("there is a location \"{name}\" in {} already", .path.display())]
    Taken {
        /// The name.
        name: String,
        /// In which file.
        path: PathBuf,
    },
    /// The name could not be told from a URL or an option.
    #[error("\"{name}\" is no name for a location")]
    Name {
        /// What was given.
        name: String,
    },
    /// A location that is given by its URL needs its key.
    #[error("the location {url} is given by its URL, without a key")]
    Keyless {
        /// The URL.
        url: String,
    },
}

impl ConfigError {
    /// The next step, where the exit code's own is not the best.
    pub(super) fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoPlace => "set HOME, or name a file with --config".to_owned(),
            Self::Malformed { path, .. } | Self::TooLong { path } => {
                format!("correct {}, or name another file with --config", path.display())
            }
            Self::None { count: 0, .. } => {
                "make one with `strongroom location create NAME URL --key KEY`".to_owned()
            }
            Self::None { .. } => {
                "name one with --location; `strongroom location list` shows them".to_owned()
            }
            Self::Taken { .. } => "choose another name".to_owned(),
            Self::Name { .. } => {
                format!("use 1 to {NAME_BYTES_MAX} letters, digits, dots, dashes and underscores")
            }
            Self::Keyless { .. } => "add --key".to_owned(),
            _ => return None,
        })
    }
}

/// A configuration file and where it is.
#[derive(Clone, Debug)]
pub(super) struct ConfigFile {
    path: PathBuf,
    /// What it says.
    pub(super) config: Config,
}

impl ConfigFile {
    /// Reads `given`, or the user's own file; one that does not exist is empty.
    pub(super) fn load(given: Option<&Path>) -> Result<Self, ConfigError> {
        let path = match given {
            Some(path) => path.to_owned(),
            None => place(|name| std::env::var_os(name)).ok_or(ConfigError::NoPlace)?,
        };
        let config = read(&path)?;
        Ok(Self { path, config })
    }

    /// The location called `name`; without a name, the only one there is.
    pub(super) fn find(&self, name: Option<&str>) -> Result<(&str, &LocationConfig), ConfigError> {
        let path = || self.path.clone();
        let locations = &self.config.locations;
        let mut all = locations.iter();
        let found = match (name, all.next(), all.next()) {
            (Some(name), ..) => locations.get_key_value(name),
            (None, only, None) => only,
            _ => None,
        };
        let unknown = || match name {
            Some(name) => ConfigError::Unknown { name: name.to_owned(), path: path() },
            None => ConfigError::None { count: locations.len(), path: path() },
        };
        found.map(|(name, location)| (name.as_str(), location)).ok_or_else(unknown)
    }

    /// Refuses a name that is taken or none.
    pub(super) fn check_free(&self, name: &str) -> Result<(), ConfigError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if !begins || name.len() > NAME_BYTES_MAX || !name.bytes().all(plain) {
            return Err(ConfigError::Name { name: name.to_owned() });
        }
        if self.config.locations.contains_key(name) {
            let (name, path) = (name.to_owned(), self.path.clone());
            return Err(ConfigError::Taken { name, path });
        }
        Ok(())
    }

    /// Adds a location and writes the file; locations that others added meanwhile stay.
    pub(super) fn add(&mut self, name: &str, location: LocationConfig) -> Result<(), ConfigError> {
        self.edit(|file| {
            file.check_free(name)?;
            file.config.locations.insert(name.to_owned(), location);
            Ok(())
        })
    }

    /// Notes the key that a location is under now, and writes the file.
    pub(super) fn set_key(
        &mut self,
        name: &str,
        key: &str,
        key_name: Option<String>,
    ) -> Result<(), ConfigError> {
        self.edit(|file| {
            let unknown =
                || ConfigError::Unknown { name: name.to_owned(), path: file.path.clone() };
            let location = file.config.locations.get_mut(name).ok_or_else(unknown)?;
            key.clone_into(&mut location.key);
            location.key_name = key_name;
            Ok(())
        })
    }

    /// Removes a location and writes the file.
    pub(super) fn remove(&mut self, name: &str) -> Result<(), ConfigError> {
        self.edit(|file| match file.config.locations.remove(name) {
            Some(_) => Ok(()),
            None => Err(ConfigError::Unknown { name: name.to_owned(), path: file.path.clone() }),
        })
    }

    /// Reads the file anew, changes it and writes it, while nobody else does.
    fn edit(
        &mut self,
        change: impl FnOnce(&mut Self) -> Result<(), ConfigError>,
    ) -> Result<(), ConfigError> {
        let path = self.path.clone();
        let fail = |source| ConfigError::Unusable { action: "write", path: path.clone(), source };
        let folder = path.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(folder).map_err(fail)?;
        // The folder is locked rather than the file, which is about to be replaced.
        let lock = File::open(folder).map_err(fail)?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive).map_err(|e| fail(e.into()))?;
        self.config = read(&path)?;
        change(self)?;
        let text = toml::to_string_pretty(&self.config).map_err(|e| fail(io::Error::other(e)))?;
        write_durably(&path, &lock, text.as_bytes()).map_err(fail)
    }
}

fn read(path: &Path) -> Result<Config, ConfigError> {
    let fail = |source| ConfigError::Unusable { action: "read", path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Config::default()),
        Err(error) => return Err(fail(error)),
    };
    let mut text = String::new();
    file.take(CONFIG_BYTES_MAX + 1).read_to_string(&mut text).map_err(fail)?;
    if text.len() as u64 > CONFIG_BYTES_MAX {
        return Err(ConfigError::TooLong { path: path.to_owned() });
    }
    toml::from_str(&text).map_err(|source| ConfigError::Malformed {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

/// After a crash the file is the old one or the new one: the new one is whole on the disk before
/// it takes the name, and the name is on the disk before anybody is told.
fn write_durably(path: &Path, folder: &File, bytes: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let mut options = File::options();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    folder.sync_all()
}

/// The user's own configuration file.
fn place(variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> Option<PathBuf> {
    folder(variable, "XDG_CONFIG_HOME", ".config").map(|folder| folder.join("config.toml"))
}

/// The folder for what may be deleted at any time; `None` where there is no home.
pub(super) fn cache_folder() -> Option<PathBuf> {
    folder(|name| std::env::var_os(name), "XDG_CACHE_HOME", ".cache")
}

/// XDG base directories: the variable if it holds an absolute path, else a folder in the home.
fn folder(
    variable: impl Fn(&str) -> Option<std::ffi::OsString>,
    name: &str,
    in_home: &str,
) -> Option<PathBuf> {
    let set = variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || Some(PathBuf::from(variable("HOME").filter(|home| !home.is_empty())?));
    Some(set.or_else(|| Some(home()?.join(in_home)))?.join("strongroom"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(url: &str) -> LocationConfig {
        LocationConfig { url: url.to_owned(), key: "arn".to_owned(), ..LocationConfig::default() }
    }

    #[test]
    fn what_was_added_is_read_back_and_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deeper/config.toml");
        let mut one = ConfigFile::load(Some(&path)).unwrap();
        let mut two = one.clone();
        one.add("a", location("file:///a")).unwrap();
        assert_eq!(one.find(None).unwrap().0, "a");
        two.add("b", location("s3://b")).unwrap();
        let file = ConfigFile::load(Some(&path)).unwrap();
        assert_eq!(file.find(Some("a")).unwrap().1, &location("file:///a"));
        assert!(matches!(file.find(None), Err(ConfigError::None { count: 2, .. })));
        assert!(matches!(file.find(Some("c")), Err(ConfigError::Unknown { .. })));
        let taken = one.add("b", location("memory:"));
        assert!(matches!(taken, Err(ConfigError::Taken { .. })));
        two.remove("a").unwrap();
        let file = ConfigFile::load(Some(&path)).unwrap();
        assert_eq!(file.find(None).unwrap().0, "b");
        assert!(matches!(two.remove("a"), Err(ConfigError::Unknown { .. })));
    }

    #[test]
    fn names_that_look_like_something_else_are_refused() {
        let file = ConfigFile { path: "/x".into(), config: Config::default() };
        for bad in ["", "-a", "a/b", "s3://a", "a b", ".", &"n".repeat(NAME_BYTES_MAX + 1)] {
            assert!(matches!(file.check_free(bad), Err(ConfigError::Name { .. })), "{bad}");
        }
        for good in ["a", "offsite-2.b_c", &"n".repeat(NAME_BYTES_MAX)] {
            file.check_free(good).unwrap();
        }
    }

    #[test]
    fn a_malformed_or_oversized_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, "[locations.a]\nurl = 5\n").unwrap();
        assert!(matches!(ConfigFile::load(Some(&path)), Err(ConfigError::Malformed { .. })));
        let size = usize::try_from(CONFIG_BYTES_MAX).unwrap();
        std::fs::write(&path, "#".repeat(size)).unwrap();
        ConfigFile::load(Some(&path)).unwrap();
        std::fs::write(&path, "#".repeat(size + 1)).unwrap();
        assert!(matches!(ConfigFile::load(Some(&path)), Err(ConfigError::TooLong { .. })));
    }

    #[test]
    fn the_place_follows_xdg() {
        let place = |pairs: &[(&str, &str)]| {
            let pairs = pairs.to_vec();
            place(move |name| Some(pairs.iter().find(|(key, _)| *key == name)?.1.into()))
        };
        let home = ("HOME", "/home/u");
        assert_eq!(place(&[home]), Some("/home/u/.config/strongroom/config.toml".into()));
        let xdg = place(&[home, ("XDG_CONFIG_HOME", "/etc/x")]);
        assert_eq!(xdg, Some("/etc/x/strongroom/config.toml".into()));
        let relative = place(&[home, ("XDG_CONFIG_HOME", "x")]);
        assert_eq!(relative, Some("/home/u/.config/strongroom/config.toml".into()));
        assert_eq!(place(&[]), None);
    }
}
