//! Random policies over all zones of the tz database, with standstills, restarts and wrong clocks: each
//! occurrence is there once, none is lost, and none is unexplained (P16).
//!
//! A year is that of [`TOGETHER`] policies that live beside one another in one installation, each for 73
//! days: whoever looks, looks for all of them at once, as a node does. Sometimes their backups are made
//! before the next occurrence, and sometimes they are in its way.
//!
//! `CBR_VIRTUAL_YEARS=200 cargo test --profile long -p cbr-service virtual_years -- --nocapture` is the
//! long form; with `CBR_VIRTUAL_YEARS_FROM=100` it begins there, so that several processes can share it.

use std::collections::{BTreeMap, BTreeSet};

use cbr_env::{RandomExt as _, SeededRandom};
use cbr_model::policy::run::{PolicyRun, RunReason, RunState};
use cbr_model::policy::zone::PolicyZone;
use cbr_model::query::{BackupFilter, Page, PolicyRunFilter};
use cbr_model::vault::VaultKind;
use cbr_model::{PolicyId, Timestamp};
use cbr_task::Options;

use super::schedules::wanted;
use super::world::{World, id};
use crate::Schedules;

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// 2026-01-01.
const START: Timestamp = Timestamp(1_767_225_600_000_000);
/// Days of one policy's life.
const LIFE_DAYS: i64 = 73;
/// So many policies live at the same time; together their lives are a year.
const TOGETHER: u64 = 5;
/// Neighbours in the list of zones are alike: the next policy's zone is so many further. A prime that does
/// not divide their number, so that all of them have their turn.
const ZONE_STEP: u64 = 137;
/// Disks of a world, one for each policy.
const DISK_BYTES: u64 = 64 << 10;

fn below(random: &SeededRandom, limit: u64) -> i64 {
    let bytes = random.bytes::<8>();
    i64::try_from(u64::from_le_bytes(bytes) % limit).unwrap()
}

/// When a policy is due, read from its pattern in another way than the schedule does it.
struct Oracle {
    zone: PolicyZone,
    /// Bit 0 is Monday; none: every `interval` days.
    weekdays: Option<i64>,
    interval: i64,
    hours: Vec<i64>,
    minute: i64,
}

impl Oracle {
    fn random(random: &SeededRandom, zone: PolicyZone) -> Self {
        let is_weekly = below(random, 2) == 0;
        let hours = (0..24).filter(|_| below(random, 6) == 0).collect::<Vec<_>>();
        Self {
            zone,
            weekdays: is_weekly.then(|| below(random, 127) + 1),
            interval: below(random, 4) + 1,
            hours: if hours.is_empty() { vec![2] } else { hours },
            minute: [0, 30, 59][usize::try_from(below(random, 3)).unwrap()],
        }
    }

    fn pattern(&self) -> String {
        let hours: Vec<String> = self.hours.iter().map(i64::to_string).collect();
        let time = format!("BYHOUR={};BYMINUTE={}", hours.join(","), self.minute);
        let Some(bits) = self.weekdays else {
            return format!("FREQ=DAILY;INTERVAL={};{time}", self.interval);
        };
        let names = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];
        let days: Vec<&str> =
            (0..7).filter(|bit| bits & (1_i64 << bit) != 0).map(|bit| names[bit]).collect();
        format!("FREQ=WEEKLY;BYDAY={};{time}", days.join(","))
    }

    /// What a clock of the zone is ahead of UTC.
    fn ahead(&self, seconds: i64) -> i64 {
        self.zone.local_seconds(Timestamp(seconds * 1_000_000)) - seconds
    }

    /// The instant at which a clock of the zone first shows `local`.
    fn instant(&self, local: i64) -> i64 {
        let shows = |at: &i64| at + self.ahead(*at) == local;
        let around = (-48..=48).map(|hours| local - self.ahead(local + hours * HOUR));
        around.filter(shows).min().unwrap_or_else(|| local - self.ahead(local - 2 * DAY))
    }

    /// All occurrences after `start`, until `end`.
    fn occurrences(&self, start: Timestamp, end: Timestamp) -> Vec<Timestamp> {
        let local = |at: Timestamp| at.seconds() + self.ahead(at.seconds());
        let first = local(start).div_euclid(DAY);
        let mut found = Vec::new();
        for day in first - 2..=local(end).div_euclid(DAY) + 2 {
            let is_due = match self.weekdays {
                Some(bits) => bits & (1_i64 << (day + 3).rem_euclid(7)) != 0,
                None => (day - first).rem_euclid(self.interval) == 0,
            };
            let minutes = self.hours.iter().map(|hour| hour * HOUR + self.minute * MINUTE);
            let instants = minutes.map(|seconds| self.instant(day * DAY + seconds) * 1_000_000);
            found.extend(instants.filter(|_| is_due).map(Timestamp));
        }
        found.retain(|at| *at > start && *at <= end);
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// The times at which somebody looks: minutes to hours apart, with standstills of days, clocks set back
/// over something, and clocks that are weeks ahead for a moment.
fn looks(random: &SeededRandom) -> Vec<Timestamp> {
    let (mut now, end) = (START, START.plus_seconds(LIFE_DAYS * DAY));
    let mut looks = Vec::new();
    while now < end {
        match below(random, 60) {
            0 => now = now.plus_seconds(below(random, 4 * 86_400)),
            1 => now = now.plus_seconds(-below(random, 3 * 3600)).max(START),
            2 => looks.push(now.plus_seconds(below(random, 20 * 86_400))),
            _ => now = now.plus_seconds(60 + below(random, 5400)),
        }
        looks.push(now);
    }
    looks
}

/// What became of every occurrence.
pub(super) async fn all_runs(world: &World) -> Vec<PolicyRun> {
    let (filter, mut runs) = (PolicyRunFilter::default(), Vec::new());
    loop {
        let page = Page { offset: runs.len() as u64, limit: 1000, ..Page::default() };
        let listed = world.services.schedules.runs(&world.access, &filter, page).await.unwrap();
        runs.extend(listed.rows);
        if runs.len() as u64 >= listed.total {
            return runs;
        }
    }
}

/// A policy, and when it is due.
struct Life {
    policy: PolicyId,
    oracle: Oracle,
    window: Option<i64>,
}

impl Life {
    async fn begin(world: &World, random: &SeededRandom, zone: PolicyZone, disk: u128) -> Self {
        let oracle = Oracle::random(random, zone);
        world.provider.add_volume(id(disk), "disk", DISK_BYTES);
        let vault = world.vault(VaultKind::Disk, &[disk]).await;
        let mut policy = wanted(vec![oracle.pattern()], "{}");
        policy.trigger.zone = Some(zone.name().to_owned());
        let windows = [None, Some(60), Some(200), Some(480)];
        let window = windows[usize::try_from(below(random, 4)).unwrap()];
        policy.trigger.start_window_minutes = window;
        let policy = world.policy(&vault, policy).await.id;
        Self { policy, oracle, window }
    }

    /// Compares what became of it with what its pattern says.
    fn check(&self, year: u64, looks: &[Timestamp], runs: &[&PolicyRun]) -> Counts {
        let last = looks.iter().copied().max().unwrap();
        let expected = self.oracle.occurrences(START, last);
        let rows: BTreeMap<Timestamp, &PolicyRun> =
            runs.iter().map(|run| (run.occurrence, *run)).collect();
        let what = format!("year {year}, {} in {}", self.oracle.pattern(), self.oracle.zone);
        assert_eq!(rows.len(), runs.len(), "doubled: {what}");
        assert_eq!(rows.keys().copied().collect::<Vec<_>>(), expected, "lost or invented: {what}");
        let mut counts = Counts { occurrences: expected.len(), ..Counts::default() };
        for (index, at) in expected.iter().enumerate() {
            let run = rows[at];
            assert_eq!(run.reason == RunReason::None, run.state == RunState::Started, "{what}");
            let next = expected.get(index + 1).copied().unwrap_or(Timestamp(i64::MAX));
            let open = at.plus_seconds(self.window.unwrap_or(60) * MINUTE).min(next);
            let was_seen = looks.iter().any(|look| look >= at && *look < open);
            assert_eq!(run.state == RunState::Missed, !was_seen, "{at:?}: {what}: {run:?}");
            counts.missed += usize::from(!was_seen);
            counts.started += usize::from(run.state == RunState::Started);
        }
        counts
    }
}

/// What there was.
#[derive(Clone, Copy, Default)]
struct Counts {
    occurrences: usize,
    started: usize,
    missed: usize,
}

/// A year of policies; what there was in it.
async fn live(year: u64, zones: &[PolicyZone]) -> Counts {
    let random = SeededRandom::new(year);
    let world = World::new().await;
    world.clock.set(START);
    let mut lives = Vec::new();
    for n in 0..TOGETHER {
        let zone = zone(zones, year * TOGETHER + n);
        lives.push(Life::begin(&world, &random, zone, 100 + u128::from(n)).await);
    }
    let looks = looks(&random);
    let mut node = Schedules::new(world.core());
    let mut before = START;
    for look in &looks {
        if below(&random, 20) == 0 {
            node = Schedules::new(world.core());
        }
        world.clock.set(*look);
        // As the loop does it.
        if *look < before {
            node.replan_ahead().await.unwrap();
        }
        before = *look;
        // A long standstill is written down in several rounds.
        for _ in 0..3 {
            if node.sweep().await.unwrap() == 0 {
                break;
            }
        }
        // What was started is made now, or is still being made when the next one is due.
        if below(&random, 4) == 0 {
            world.services.engine(Options::default()).run_due().await.unwrap();
        }
    }
    let runs = all_runs(&world).await;
    let mut all = Counts::default();
    for life in &lives {
        let own: Vec<&PolicyRun> = runs.iter().filter(|run| run.policy == life.policy).collect();
        let counts = life.check(year, &looks, &own);
        all.occurrences += counts.occurrences;
        all.started += counts.started;
        all.missed += counts.missed;
    }
    assert_eq!(all.occurrences, runs.len(), "runs of no policy: year {year}");
    let (filter, page) = (BackupFilter::default(), Page::default());
    let backups = world.services.backups.list(&world.access, &filter, page).await.unwrap();
    assert_eq!(backups.total, all.started as u64, "a backup for each run, year {year}");
    all
}

/// The zone of policy `n`.
fn zone(zones: &[PolicyZone], n: u64) -> PolicyZone {
    let index = n * ZONE_STEP % zones.len() as u64;
    zones[usize::try_from(index).unwrap()]
}

/// P16, POL-10: over all zones.
#[tokio::test]
async fn virtual_years_of_random_policies_double_and_lose_nothing() {
    let years = std::env::var("CBR_VIRTUAL_YEARS").map_or(2, |text| text.parse().unwrap());
    let from = std::env::var("CBR_VIRTUAL_YEARS_FROM").map_or(0, |text| text.parse().unwrap());
    let zones: Vec<PolicyZone> = PolicyZone::all().collect();
    let mut all = Counts::default();
    for year in from..years {
        let counts = live(year, &zones).await;
        all.occurrences += counts.occurrences;
        all.started += counts.started;
        all.missed += counts.missed;
    }
    let policies = from * TOGETHER..years * TOGETHER;
    let seen: BTreeSet<&str> = policies.clone().map(|n| zone(&zones, n).name()).collect();
    let length = usize::try_from(policies.end - policies.start).unwrap();
    assert_eq!(seen.len(), zones.len().min(length), "all zones have their turn");
    let skipped = all.occurrences - all.started - all.missed;
    println!(
        "virtual years {from} to {years}: {length} policies in {} of {} zones; {} occurrences, of which \
         {} were started, {} missed and {} skipped, each with its reason; doubled 0, lost 0, unexplained 0",
        seen.len(),
        zones.len(),
        all.occurrences,
        all.started,
        all.missed,
        skipped,
    );
    assert!(all.started > 0 && all.missed > 0 && skipped > 0, "every fate is there");
}
