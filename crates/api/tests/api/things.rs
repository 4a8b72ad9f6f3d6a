//! Things that several tests want: a server, and backups of it and of disks.

use cbr_model::ResourceId;
use serde_json::{Value, json};

use crate::app::{App, VOLUMES};

/// A server, and its system disk and data disk.
pub(crate) const SERVER: &str = "5b0c7f6e-0d0f-4c3a-9d5e-0000000000aa";
pub(crate) const SYSTEM_DISK: &str = "5b0c7f6e-0d0f-4c3a-9d5e-0000000000ab";
pub(crate) const DATA_DISK: &str = "5b0c7f6e-0d0f-4c3a-9d5e-0000000000ac";
const DISK_BYTES: u64 = 4 << 20;

fn id(text: &str) -> ResourceId {
    text.parse().unwrap()
}

impl App {
    /// Puts the server into the provider's inventory.
    pub(crate) fn add_server(&self) {
        for (disk, name) in [(SYSTEM_DISK, "root"), (DATA_DISK, "data")] {
            self.provider.add_volume(id(disk), name, DISK_BYTES);
            self.provider.write(id(disk), 70_000, name.as_bytes());
        }
        self.provider.add_server(id(SERVER), "web", vec![id(SYSTEM_DISK), id(DATA_DISK)]);
    }

    pub(crate) async fn create_server_vault(&self, name: &str) -> String {
        self.clock.advance(std::time::Duration::from_secs(1));
        let body = json!({"vault": {"name": name, "resources": [], "billing": {
            "consistent_level": "crash_consistent", "object_type": "server",
            "protect_type": "backup", "size": 100}}});
        let answer = self.post("/vaults", &body).await.expect(200);
        answer.body["vault"]["id"].as_str().unwrap().to_owned()
    }

    /// Binds the server to the vault.
    pub(crate) async fn bind_server(&self, vault: &str) {
        self.add_server();
        let body = json!({"resources": [{"id": SERVER, "type": "OS::Nova::Server"}]});
        self.post(&format!("/vaults/{vault}/addresources"), &body).await.expect(200);
    }

    /// A vault with the server in it, backed up once: vault and backup.
    pub(crate) async fn back_up_server(&self, vault: &str) -> (String, Value) {
        let vault = self.create_server_vault(vault).await;
        self.bind_server(&vault).await;
        let backup = self.back_up(&vault).await;
        (vault, backup)
    }

    /// A vault with the first disk in it, backed up once: vault and backup.
    pub(crate) async fn back_up_disk(&self, vault: &str) -> (String, Value) {
        let vault = self.create_vault(vault).await;
        let body = json!({"resources": [{"id": VOLUMES[0], "type": "OS::Cinder::Volume"}]});
        self.post(&format!("/vaults/{vault}/addresources"), &body).await.expect(200);
        let backup = self.back_up(&vault).await;
        (vault, backup)
    }

    /// Backs up a vault with one resource; gives the newest backup.
    pub(crate) async fn back_up(&self, vault: &str) -> Value {
        self.clock.advance(std::time::Duration::from_secs(1));
        let run = json!({"checkpoint": {"vault_id": vault}});
        self.post("/checkpoints", &run).await.expect(200);
        self.settle().await;
        let listed = self.get(&format!("/backups?vault_id={vault}")).await.expect(200).body;
        let backup = listed["backups"][0].clone();
        assert_eq!(backup["status"], "available", "{backup}");
        backup
    }
}
