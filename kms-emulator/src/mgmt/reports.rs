//! What the HSMs are.

use strongroom_hsm::wire::{CertificateKind, DeviceInfo};

use super::MgmtError;
use super::shell::{Shell, reason};

impl Shell<'_> {
    pub(super) async fn get_hsm_info(&mut self) -> Result<(), MgmtError> {
        let numbers = self.selected();
        self.print(&format!("Getting HSM Info on {} nodes\n", numbers.len()))?;
        for number in numbers {
            let Some((client, label)) = self.reach(number) else { continue };
            match client.info().await {
                Ok(info) => self.print(&hardware(number, &info))?,
                Err(error) => self.fail(&format!(
                    "getHSMInfo failed: {}\ngetHSMInfo failed on server {label}\n",
                    reason(&error)
                ))?,
            }
        }
        Ok(())
    }

    pub(super) async fn get_cert(&mut self, file: &str, kind: &str) -> Result<(), MgmtError> {
        let Some((client, _)) = self.only().and_then(|number| self.reach(number)) else {
            return self.fail("getCert works in server mode; enter it with 'server <server id>'\n");
        };
        let kind = match kind {
            "2" => CertificateKind::ManufacturerHardware,
            "4" => CertificateKind::CustomerRoot,
            "8" => CertificateKind::Cluster,
            "16" => CertificateKind::Hsm,
            "1" => {
                return self
                    .fail("An HSM of the simulation does not hold its manufacturer's root\n");
            }
            _ => return self.fail("The types are 2, 4, 8 and 16\n"),
        };
        match client.certificate(kind).await {
            Ok(pem) => match std::fs::write(file, pem) {
                Ok(()) => self.print("getCert Success\n"),
                Err(error) => self.fail(&format!("cannot write {file}: {error}\n")),
            },
            Err(error) => self.fail(&format!("getCert failed: {}\n", reason(&error))),
        }
    }

    pub(super) async fn info(&mut self, number: &str) -> Result<(), MgmtError> {
        let Some(number) = self.server_number(number) else {
            return self.fail(&format!("There is no server {number}\n"));
        };
        let (state, partition) = match self.reach(number) {
            Some((client, _)) => match client.info().await {
                Ok(info) => ("Connected", info.hsm_id.into_string()),
                Err(_) => ("Disconnected", String::new()),
            },
            None => ("Disconnected", String::new()),
        };
        let Some(server) = self.servers.get(number) else { return Ok(()) };
        let text = format!(
            "Id      Name                    Hostname         Port   State           \
             Partition               LoginState\n\
             {number:<8}{:<24}{:<16}{:<8}{state:<16}{partition:<24}{}\n",
            server.endpoint.name,
            server.endpoint.hostname,
            server.endpoint.port,
            server.login_state()
        );
        self.print(&text)
    }
}

/// Figures that describe hardware are those of the guide's sample; what a simulation has none of is
/// left as the guide shows it.
fn hardware(number: usize, info: &DeviceInfo) -> String {
    format!(
        "                *** Server {number} HSM Info ***

        Label                :cavium
        Model                :NITROX-III CNN35XX-NFBE

        Serial Number        :{}
        HSM Flags            :0
        FIPS state           :2 [FIPS mode with single factor authentication]

        Manufacturer ID      :
        Device ID            :10
        Class Code           :100000
        System vendor ID     :177D
        SubSystem ID         :10


        TotalPublicMemory    :560596
        FreePublicMemory     :294568
        TotalPrivateMemory   :0
        FreePrivateMemory    :0

        Hardware Major       :3
        Hardware Minor       :0

        Firmware Major       :2
        Firmware Minor       :03

        Temperature          :56 C

        Build Number         :13

        Firmware ID          :strongroom-simulated

",
        info.serial
    )
}
