//! What a vault may be, and how it may change (VLT-10 … VLT-23, VLT-90 … VLT-92, BIL-01, Y.1, Y.4).

use cbr_model::Timestamp;
use cbr_model::name::{Name, check_description};
use cbr_model::size::{Bytes, Gib};
use cbr_model::tag::{TAGS_LIMIT_MAX, TAGS_MAX, Tag, check_tags};
use cbr_model::vault::{
    Charging, ChargingMode, Consistency, Vault, VaultKind, VaultStatus, VaultUse,
};
use cbr_model::{ProjectId, UserId, VaultId};

use super::capacity;
use crate::error::VaultRefusal;
use crate::vaults::{NewVault, VaultChange};
use crate::{Error, Result};

/// The most tags bind rules may have (contract A.9).
const BIND_RULES_MAX: usize = 5;
/// The longest prefix of automatic backups' names, in characters (contract `VaultCreate`).
const NAME_PREFIX_CHARS_MAX: usize = 32;
/// The longest name of an availability zone, in characters (contract `VaultCreate`).
const ZONE_CHARS_MAX: usize = 32;
/// The only service that makes vaults for itself (contract `VaultCreate`).
const LOCK_SOURCE: &str = "SMB";

/// The vault that `wanted` describes, empty, if all its values keep their rules.
pub(crate) fn build(
    wanted: &NewVault,
    id: VaultId,
    project: ProjectId,
    user: UserId,
    now: Timestamp,
) -> Result<Vault> {
    let name = match wanted.prepaid {
        None => check_name("name", &wanted.name)?,
        Some(_) => Name::with_dots(&wanted.name).map_err(|error| Error::invalid("name", error))?,
    };
    if let Some(text) = &wanted.description {
        check_description(text).map_err(|e| Error::invalid("description", e))?;
    }
    check_consistency(wanted.kind, wanted.consistency)?;
    check_auto_bind(wanted.kind, wanted.auto_bind)?;
    capacity::check(wanted.kind, wanted.size, None, Gib(0), Bytes(0))?;
    // How many of them the project may have is checked where that is known.
    check_tags(&wanted.tags, TAGS_LIMIT_MAX)?;
    check_bind_rules(&wanted.bind_rules)?;
    check_enterprise_project(&wanted.enterprise_project)?;
    check_particulars(wanted)?;
    Ok(Vault {
        id,
        project,
        user,
        name,
        description: wanted.description.clone(),
        kind: wanted.kind,
        consistency: wanted.consistency,
        size: wanted.size,
        used: Bytes(0),
        status: VaultStatus::Available,
        enterprise_project: wanted.enterprise_project.clone(),
        tags: wanted.tags.clone(),
        auto_bind: wanted.auto_bind,
        bind_rules: wanted.bind_rules.clone(),
        auto_expand: wanted.auto_expand,
        smn_notify: wanted.smn_notify,
        threshold: check_threshold(wanted.threshold)?,
        locked: wanted.locked,
        charging: Charging {
            mode: wanted.prepaid.map_or(ChargingMode::PostPaid, |_| ChargingMode::PrePaid),
            demand_billing: wanted.demand_billing,
            ..Charging::default()
        },
        availability_zone: wanted.availability_zone.clone(),
        backup_name_prefix: wanted.backup_name_prefix.clone(),
        lock_source: wanted.lock_source.clone(),
        created_at: now,
        updated_at: now,
        resources: Vec::new(),
    })
}

/// The vault after `change`, if the vault's state and the rules allow it.
pub(crate) fn changed(mut vault: Vault, change: &VaultChange, now: Timestamp) -> Result<Vault> {
    let wanted = if change.size.is_some_and(|size| size != vault.size)
        || change.consistency.is_some_and(|consistency| consistency != vault.consistency)
    {
        VaultUse::Resize
    } else {
        VaultUse::Edit
    };
    if !vault.status.allows(wanted) {
        return Err(Error::VaultStatus { status: vault.status });
    }
    if let Some(name) = &change.name {
        vault.name = check_name("name", name)?;
    }
    if let Some(size) = change.size {
        capacity::check(vault.kind, size, Some(vault.size), vault.allocated(), vault.used)?;
        vault.size = size;
    }
    if let Some(consistency) = change.consistency {
        check_specification(&vault, consistency)?;
        vault.consistency = consistency;
    }
    if let Some(rules) = &change.bind_rules {
        check_bind_rules(rules)?;
        vault.bind_rules.clone_from(rules);
    }
    if let Some(threshold) = change.threshold {
        vault.threshold = check_threshold(threshold)?;
    }
    match change.locked {
        Some(false) if vault.locked => {
            let reason = "its backups are locked, and a lock cannot be lifted".to_owned();
            return Err(Error::VaultNotEditable { reason });
        }
        Some(locked) => vault.locked = locked,
        None => {}
    }
    if change.auto_expand == Some(true) && vault.charging.mode == ChargingMode::PrePaid {
        let reason = "only a vault that is charged by use grows by itself".to_owned();
        return Err(Error::VaultNotEditable { reason });
    }
    check_auto_bind(vault.kind, change.auto_bind.unwrap_or(false))?;
    vault.auto_bind = change.auto_bind.unwrap_or(vault.auto_bind);
    vault.auto_expand = change.auto_expand.unwrap_or(vault.auto_expand);
    vault.smn_notify = change.smn_notify.unwrap_or(vault.smn_notify);
    vault.updated_at = now;
    Ok(vault)
}

/// Checks a name given by a caller.
pub(crate) fn check_name(field: &'static str, text: &str) -> Result<Name> {
    Name::new(text).map_err(|error| Error::invalid(field, error))
}

/// Checks what most vaults do not have.
fn check_particulars(wanted: &NewVault) -> Result<()> {
    if wanted.auto_expand && wanted.prepaid.is_some() {
        return Err(Error::invalid(
            "auto_expand",
            "only a vault that is charged by use grows by itself",
        ));
    }
    if wanted.demand_billing && wanted.prepaid.is_none() {
        return Err(Error::invalid(
            "demand_billing",
            "only a prepaid vault can be used beyond its capacity",
        ));
    }
    let prefix = &wanted.backup_name_prefix;
    if prefix.chars().count() > NAME_PREFIX_CHARS_MAX {
        let reason = format!("at most {NAME_PREFIX_CHARS_MAX} characters");
        return Err(Error::invalid("backup_name_prefix", reason));
    }
    if !prefix.is_empty() {
        check_name("backup_name_prefix", prefix)?;
    }
    let is_zone = |zone: &String| {
        (1..=ZONE_CHARS_MAX).contains(&zone.chars().count()) && !zone.contains(char::is_control)
    };
    if wanted.availability_zone.as_ref().is_some_and(|zone| !is_zone(zone)) {
        let reason = format!("1 to {ZONE_CHARS_MAX} characters");
        return Err(Error::invalid("availability_zone", reason));
    }
    if !matches!(wanted.lock_source.as_str(), "" | LOCK_SOURCE) {
        let reason = format!("`{LOCK_SOURCE}` or nothing");
        return Err(Error::invalid("sys_lock_source_service", reason));
    }
    Ok(())
}

pub(crate) fn check_threshold(threshold: i64) -> Result<u8> {
    match u8::try_from(threshold) {
        Ok(threshold @ 1..=100) => Ok(threshold),
        _ => Err(Error::invalid("threshold", format!("{threshold} is not 1 to 100"))),
    }
}

fn check_bind_rules(rules: &[Tag]) -> Result<()> {
    if rules.len() > BIND_RULES_MAX {
        return Err(Error::invalid("bind_rules", format!("at most {BIND_RULES_MAX} tags")));
    }
    check_tags(rules, TAGS_MAX).map_err(|error| Error::invalid("bind_rules", error))
}

fn check_enterprise_project(id: &str) -> Result<()> {
    if id == "0" || uuid::Uuid::try_parse(id).is_ok() {
        return Ok(());
    }
    Err(Error::invalid("enterprise_project_id", "it is `0` or an id"))
}

/// A host says itself what of it is meant, so nothing else chooses it (RES-30).
fn check_auto_bind(kind: VaultKind, auto_bind: bool) -> Result<()> {
    if auto_bind && kind == VaultKind::File {
        return Err(Error::invalid("auto_bind", "a file vault binds nothing by itself"));
    }
    Ok(())
}

/// Database backup exists for servers only (VLT-92).
fn check_consistency(kind: VaultKind, consistency: Consistency) -> Result<()> {
    match (kind, consistency) {
        (_, Consistency::CrashConsistent) | (VaultKind::Server, Consistency::AppConsistent) => {
            Ok(())
        }
        (VaultKind::Disk | VaultKind::Turbo | VaultKind::File, Consistency::AppConsistent) => {
            Err(Error::Vault(VaultRefusal::NoDatabases { kind }))
        }
    }
}

/// VLT-90: forwards only.
fn check_specification(vault: &Vault, wanted: Consistency) -> Result<()> {
    if vault.consistency == Consistency::AppConsistent && wanted == Consistency::CrashConsistent {
        let reason = "a database vault does not become a server vault again".to_owned();
        return Err(Error::VaultNotEditable { reason });
    }
    check_consistency(vault.kind, wanted)
}

#[cfg(test)]
pub(crate) mod tests {
    use cbr_model::resource::{BoundResource, ProtectStatus, ResourceKind};
    use cbr_model::{ChainId, ResourceId};
    use uuid::Uuid;

    use super::*;

    pub(crate) fn wanted() -> NewVault {
        NewVault {
            name: "v".into(),
            description: None,
            kind: VaultKind::Disk,
            consistency: Consistency::CrashConsistent,
            size: Gib(100),
            enterprise_project: "0".into(),
            tags: Vec::new(),
            auto_bind: false,
            bind_rules: Vec::new(),
            auto_expand: false,
            smn_notify: true,
            threshold: 80,
            locked: false,
            prepaid: None,
            demand_billing: false,
            availability_zone: None,
            backup_name_prefix: String::new(),
            lock_source: String::new(),
            backup_policy: None,
            resources: Vec::new(),
        }
    }

    pub(crate) fn vault(kind: VaultKind) -> Vault {
        let id = Uuid::from_u128(1);
        let size = Gib(wanted().size.0.next_multiple_of(kind.capacity_step().0));
        let wanted = NewVault { kind, size, ..wanted() };
        build(
            &wanted,
            VaultId::from_uuid(id),
            ProjectId::from_uuid(id),
            UserId::from_uuid(id),
            Timestamp(0),
        )
        .unwrap()
    }

    pub(crate) fn resource(n: u128, kind: ResourceKind, size: u64) -> BoundResource {
        BoundResource {
            id: ResourceId::from_uuid(Uuid::from_u128(n)),
            kind,
            name: format!("r{n}"),
            size: Gib(size),
            protect_status: ProtectStatus::Available,
            exclude_volumes: Vec::new(),
            include_volumes: Vec::new(),
            auto_protect: true,
            chain: ChainId::from_uuid(Uuid::from_u128(1000 + n)),
            epoch: 0,
            backup_bytes: Bytes(0),
            backup_count: 0,
        }
    }

    fn prepaid() -> crate::vaults::Prepaid {
        use cbr_model::order::{Period, PeriodUnit};
        let period = Period::new(PeriodUnit::Month, 1).unwrap();
        crate::vaults::Prepaid { period, auto_renew: false, auto_pay: true }
    }

    /// VLT-10, VLT-22, Y.4: one wrong value each.
    #[test]
    fn a_new_vault_keeps_every_rule() {
        type Spoil = fn(&mut NewVault);
        let tag = |n: usize| Tag { key: format!("k{n}"), value: String::new() };
        assert_eq!(vault(VaultKind::Disk).name.as_str(), "v");
        let table: [(&str, Spoil, bool); 22] = [
            ("empty name", |v| v.name.clear(), false),
            ("name with a blank", |v| v.name = "a b".into(), false),
            ("long description", |v| v.description = Some("x".repeat(256)), false),
            ("description of 255", |v| v.description = Some("x".repeat(255)), true),
            ("no capacity", |v| v.size = Gib(0), false),
            ("huge capacity", |v| v.size = Gib(10_485_761), false),
            ("threshold 0", |v| v.threshold = 0, false),
            ("threshold 101", |v| v.threshold = 101, false),
            ("foreign enterprise project", |v| v.enterprise_project = "x".into(), false),
            ("database disk", |v| v.consistency = Consistency::AppConsistent, false),
            ("no tag key", |v| v.tags = vec![Tag { key: String::new(), value: "x".into() }], false),
            ("threshold 100", |v| v.threshold = 100, true),
            ("prefix of 32", |v| v.backup_name_prefix = "p".repeat(32), true),
            ("prefix of 33", |v| v.backup_name_prefix = "p".repeat(33), false),
            ("prefix with a blank", |v| v.backup_name_prefix = "a b".into(), false),
            ("no zone", |v| v.availability_zone = Some(String::new()), false),
            ("zone", |v| v.availability_zone = Some("az1".into()), true),
            ("locked by SMB", |v| v.lock_source = "SMB".into(), true),
            ("locked by another", |v| v.lock_source = "XYZ".into(), false),
            ("grows on order", |v| (v.auto_expand, v.prepaid) = (true, Some(prepaid())), false),
            ("beyond capacity by use", |v| v.demand_billing = true, false),
            (
                "beyond capacity on order",
                |v| (v.demand_billing, v.prepaid) = (true, Some(prepaid())),
                true,
            ),
        ];
        for (what, spoil, allowed) in table {
            let mut wanted = wanted();
            spoil(&mut wanted);
            let id = Uuid::from_u128(1);
            let (vault, project, user) =
                (VaultId::from_uuid(id), ProjectId::from_uuid(id), UserId::from_uuid(id));
            let got = build(&wanted, vault, project, user, Timestamp(0));
            assert_eq!(got.is_ok(), allowed, "{what}: {got:?}");
        }
        assert!(check_bind_rules(&(0..6).map(tag).collect::<Vec<_>>()).is_err());
        assert!(check_bind_rules(&(0..5).map(tag).collect::<Vec<_>>()).is_ok());
    }

    /// Contract C5: only what is named changes.
    #[test]
    fn a_change_touches_only_what_it_names() {
        let before = Vault { auto_expand: true, ..vault(VaultKind::Disk) };
        let nothing = changed(before.clone(), &VaultChange::default(), Timestamp(9)).unwrap();
        assert_eq!(Vault { updated_at: Timestamp(0), ..nothing }, before);
        let change = VaultChange { name: Some("w".into()), ..VaultChange::default() };
        let after = changed(before.clone(), &change, Timestamp(9)).unwrap();
        assert_eq!(after.name.as_str(), "w");
        assert_eq!((after.size, after.auto_expand), (before.size, true));
    }

    /// VLT-52, Y.1: a locked vault is renamed but not resized.
    #[test]
    fn resizing_needs_an_available_vault_and_renaming_does_not() {
        let resize = VaultChange { size: Some(Gib(200)), ..VaultChange::default() };
        let same_size = VaultChange { size: Some(Gib(100)), ..VaultChange::default() };
        let rename = VaultChange { name: Some("w".into()), ..VaultChange::default() };
        let table = [
            (VaultStatus::Available, [true, true, true]),
            (VaultStatus::Lock, [false, true, true]),
            (VaultStatus::Frozen, [false, false, false]),
            (VaultStatus::Error, [false, true, true]),
            (VaultStatus::Deleting, [false, false, false]),
        ];
        for (status, allowed) in table {
            for (change, allowed) in [&resize, &same_size, &rename].into_iter().zip(allowed) {
                let vault = Vault { status, ..vault(VaultKind::Disk) };
                let got = changed(vault, change, Timestamp(1));
                assert_eq!(got.is_ok(), allowed, "{status:?}: {change:?}");
            }
        }
    }

    /// VLT-90, contract A.9.
    #[test]
    fn specification_and_lock_go_one_way() {
        let database =
            Vault { consistency: Consistency::AppConsistent, ..vault(VaultKind::Server) };
        let back = VaultChange {
            consistency: Some(Consistency::CrashConsistent),
            ..VaultChange::default()
        };
        let refused = changed(database, &back, Timestamp(1));
        assert!(matches!(refused, Err(Error::VaultNotEditable { .. })));
        let locked = Vault { locked: true, ..vault(VaultKind::Disk) };
        let unlock = VaultChange { locked: Some(false), ..VaultChange::default() };
        let refused = changed(locked, &unlock, Timestamp(1));
        assert!(matches!(refused, Err(Error::VaultNotEditable { .. })));
        assert!(changed(vault(VaultKind::Disk), &unlock, Timestamp(1)).is_ok());
    }

    /// Contract C5: not below what is bound.
    #[test]
    fn a_vault_does_not_shrink_below_what_is_bound() {
        let mut vault = vault(VaultKind::Disk);
        vault.resources.push(resource(1, ResourceKind::Volume, 60));
        let shrink = |size| VaultChange { size: Some(Gib(size)), ..VaultChange::default() };
        assert!(changed(vault.clone(), &shrink(60), Timestamp(1)).is_ok());
        assert!(changed(vault, &shrink(59), Timestamp(1)).is_err());
    }
}
