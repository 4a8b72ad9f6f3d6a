//! Tags on real disks.

use cbr_provider::local::TagConfig;
use cbr_provider::{Inventory, LocalConfig};

use crate::support::{MIB, drop_raw, id, open, pool, server};

fn tag(key: &str, value: &str, resources: &[&str]) -> TagConfig {
    let resources = resources.iter().map(|name| (*name).to_owned()).collect();
    TagConfig { key: key.into(), value: value.into(), resources }
}

/// RES-31: of a pool, of one of its volumes, and of a server; what stands last holds.
#[tokio::test]
async fn volumes_and_servers_have_the_tags_that_name_them() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop_raw(dir.path(), "root.raw", MIB);
    drop_raw(dir.path(), "data.raw", MIB);
    let config = LocalConfig {
        servers: vec![server("web", &["root.raw"])],
        tags: vec![
            tag("env", "lab", &["pool", "web"]),
            tag("env", "prod", &["pool/data.raw"]),
            tag("tier", "gold", &["data.raw", "nobody"]),
        ],
        ..pool(dir.path())
    };
    let provider = open(&config, state.path());
    for (name, want) in
        [("root.raw", vec![("env", "lab")]), ("data.raw", vec![("env", "prod"), ("tier", "gold")])]
    {
        let volume = provider.volume(id(&provider, name).await).await.unwrap();
        let tags: Vec<_> = volume.tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(tags, want, "{name}");
    }
    let web = provider.server(id(&provider, "web").await).await.unwrap();
    assert_eq!(web.tags.into_iter().collect::<Vec<_>>(), [("env".to_owned(), "lab".to_owned())]);
}
