//! Where devices come from: the manufacturer's and the owner's roots, and the keys that all their
//! hardware shares.
//!
//! One installation has one factory directory. Its secrets are the simulation's stand-in for what a
//! manufacturer keeps: whoever reads them can make devices that restore the installation's backups.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};

use crate::certificates::{Authority, generate_identity_key, hardware_subject};
use crate::clock::Clock;
use crate::codec::{decode, encode, wire_struct};
use crate::crypto;
use crate::error::HsmError;
use crate::limits::CONTROL_FRAME_BYTES_MAX;
use crate::secret::{KeyBytes, PrivateKey};
use crate::state::{Contents, Hardware, Pem, State};
use crate::store::{Held, Store, make_private_dir, storage};
use crate::wire::{Members, ShortText};

/// Validity of roots and hardware certificates, in days (20 years).
const CERTIFICATE_DAYS: u32 = 7_305;

const SECRETS: &str = "factory.secrets";
const SECRETS_NEW: &str = "factory.new";
const LOCK: &str = "lock";

wire_struct! {
    struct Secrets {
        aws_key: PrivateKey,
        aws_root: Pem,
        manufacturer_key: PrivateKey,
        manufacturer_root: Pem,
        manufacturer_backup_key: KeyBytes,
        owner_backup_key: KeyBytes,
    }
}

/// The factory of an installation.
pub struct Factory {
    secrets: Secrets,
}

impl Factory {
    /// Opens the factory of a directory, or builds one there.
    ///
    /// Several processes may open the same directory at the same time.
    ///
    /// # Errors
    ///
    /// [`HsmError::Storage`] when the directory cannot be used, [`HsmError::NotADevice`] when its
    /// file is damaged, [`HsmError::Certificate`] when a root cannot be made.
    pub fn open(dir: &Path, clock: &dyn Clock) -> Result<Self, HsmError> {
        make_private_dir(dir)?;
        let _building = lock(&dir.join(LOCK))?;
        let path = dir.join(SECRETS);
        match File::open(&path) {
            Ok(file) => Self::read(file, &path),
            Err(error) if error.kind() == ErrorKind::NotFound => Self::build(dir, clock),
            Err(error) => Err(storage("open", &path)(error)),
        }
    }

    /// The root certificate of the fleet's owner, in PEM.
    #[must_use]
    pub fn aws_root_pem(&self) -> &str {
        self.secrets.aws_root.as_str()
    }

    /// The root certificate of the manufacturer, in PEM.
    #[must_use]
    pub fn manufacturer_root_pem(&self) -> &str {
        self.secrets.manufacturer_root.as_str()
    }

    /// Makes a new device in `dir`, with a sealing key, a hardware key and its two certificates.
    ///
    /// A directory that holds a device already is left as it is.
    ///
    /// # Errors
    ///
    /// [`HsmError::InUse`] when a device of that directory is on, [`HsmError::Storage`] when it
    /// cannot be written, [`HsmError::Certificate`] when a certificate cannot be made.
    pub fn manufacture(&self, dir: &Path, hsm_id: &str, clock: &dyn Clock) -> Result<(), HsmError> {
        let store = Store::open(dir)?;
        match store.load::<State>()? {
            Held::State(_) | Held::Tampered => Ok(()),
            Held::Nothing => {
                store.make_sealing_key()?;
                store.save(&self.new_state(hsm_id, clock)?)
            }
        }
    }

    fn new_state(&self, hsm_id: &str, clock: &dyn Clock) -> Result<State, HsmError> {
        Ok(State {
            hardware: Arc::new(self.new_hardware(hsm_id, clock)?),
            reboot_counter: 0,
            members: Members::default(),
            contents: Contents::default(),
        })
    }

    fn new_hardware(&self, hsm_id: &str, clock: &dyn Clock) -> Result<Hardware, HsmError> {
        let [a, b, c]: [u8; 3] = crypto::random_array()?;
        let serial = format!("3.0A0101-ICM{a:02x}{b:02x}{c:02x}");
        let key = generate_identity_key()?;
        let certify = |key_of: &PrivateKey, root: &Pem| {
            let authority = Authority::load(key_of.copy(), root.as_str().to_owned());
            authority
                .certify("hardware", hardware_subject(&serial), &key, CERTIFICATE_DAYS, clock.now())
                .and_then(|pem| Ok(Pem::new(pem)?))
        };
        Ok(Hardware {
            hsm_id: ShortText::new(hsm_id)?,
            aws_certificate: certify(&self.secrets.aws_key, &self.secrets.aws_root)?,
            manufacturer_certificate: certify(
                &self.secrets.manufacturer_key,
                &self.secrets.manufacturer_root,
            )?,
            serial: ShortText::new(serial)?,
            key,
            manufacturer_backup_key: self.secrets.manufacturer_backup_key.copy(),
            owner_backup_key: self.secrets.owner_backup_key.copy(),
        })
    }

    fn build(dir: &Path, clock: &dyn Clock) -> Result<Self, HsmError> {
        let root = |name| Authority::self_signed(name, CERTIFICATE_DAYS, clock.now());
        let aws = root("Strongroom simulated CloudHSM Root G1")?;
        let manufacturer = root("Strongroom simulated LiquidSecurity Root CA")?;
        let secrets = Secrets {
            aws_root: Pem::new(aws.certificate_pem())?,
            aws_key: aws.into_key(),
            manufacturer_root: Pem::new(manufacturer.certificate_pem())?,
            manufacturer_key: manufacturer.into_key(),
            manufacturer_backup_key: crypto::generate_key()?,
            owner_backup_key: crypto::generate_key()?,
        };
        write_durably(dir, &encode(&secrets))?;
        Ok(Self { secrets })
    }

    fn read(file: File, path: &Path) -> Result<Self, HsmError> {
        let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(64 * 1_024));
        file.take(CONTROL_FRAME_BYTES_MAX as u64)
            .read_to_end(&mut bytes)
            .map_err(storage("read", path))?;
        let secrets = decode(&bytes).map_err(|_| HsmError::NotADevice { path: path.into() })?;
        Ok(Self { secrets })
    }
}

fn lock(path: &Path) -> Result<File, HsmError> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(storage("open", path))?;
    flock(&file, FlockOperation::LockExclusive)
        .map_err(|errno| storage("lock", path)(errno.into()))?;
    Ok(file)
}

fn write_durably(dir: &Path, bytes: &[u8]) -> Result<(), HsmError> {
    let new = dir.join(SECRETS_NEW);
    let path = dir.join(SECRETS);
    File::options()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&new, &path))
        .and_then(|()| File::open(dir)?.sync_all())
        .map_err(storage("write", &path))
}
