//! `strongroom-kms backup` and `strongroom-kms restore`.

use std::error::Error;
use std::path::PathBuf;

use strongroom_kms::backup;

/// Options of `backup`.
#[derive(Debug, clap::Args)]
pub(crate) struct Backup {
    /// Data directory, of a server that runs or of none
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,

    /// Directory to make: keys, HSMs and the secrets that open them; guard it as you guard the other
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

/// Options of `restore`.
#[derive(Debug, clap::Args)]
pub(crate) struct Restore {
    /// A backup
    #[arg(long, value_name = "DIR")]
    from: PathBuf,

    /// Data directory to make
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

impl Backup {
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(backup::back_up(&self.data_dir, &self.to))?)
    }
}

impl Restore {
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        Ok(backup::restore(&self.from, &self.data_dir)?)
    }
}
