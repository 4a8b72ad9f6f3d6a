//! Random policies over all zones of the tz database, with standstills, restarts and wrong clocks: each
//! occurrence is there once, none is lost, and none is unexplained (P16).
//!
//! `CBR_VIRTUAL_YEARS=200 cargo test -p cbr-service virtual_years -- --nocapture` is the long form; with
//! `CBR_VIRTUAL_YEARS_FROM=100` it begins there, so that several processes can share it.

use std::collections::BTreeMap;

use cbr_env::{RandomExt as _, SeededRandom};
use cbr_model::Timestamp;
use cbr_model::policy::run::{PolicyRun, RunReason, RunState};
use cbr_model::policy::zone::PolicyZone;
use cbr_model::query::{Page, PolicyRunFilter};
use cbr_model::vault::VaultKind;

use super::schedules::wanted;
use super::world::{VOLUME, World};
use crate::Schedules;

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// 2026-01-01.
const START: Timestamp = Timestamp(1_767_225_600_000_000);
/// Days of one policy's life.
const LIFE_DAYS: i64 = 73;

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
    fn random(random: &SeededRandom, zones: &[PolicyZone]) -> Self {
        let zone = zones[usize::try_from(below(random, zones.len() as u64)).unwrap()];
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

async fn all_runs(world: &World) -> Vec<PolicyRun> {
    let (filter, mut runs) = (PolicyRunFilter::default(), Vec::new());
    loop {
        let page = Page { offset: runs.len() as u64, ..Page::default() };
        let listed = world.services.schedules.runs(&world.access, &filter, page).await.unwrap();
        runs.extend(listed.rows);
        if runs.len() as u64 >= listed.total {
            return runs;
        }
    }
}

/// One policy's life; gives how many occurrences it had, and how many were missed.
async fn live(seed: u64, zones: &[PolicyZone]) -> (usize, usize) {
    let random = SeededRandom::new(seed);
    let oracle = Oracle::random(&random, zones);
    let world = World::new().await;
    world.clock.set(START);
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let mut policy = wanted(vec![oracle.pattern()], "{}");
    policy.trigger.zone = Some(oracle.zone.name().to_owned());
    let window =
        [None, Some(60), Some(200), Some(480)][usize::try_from(below(&random, 4)).unwrap()];
    policy.trigger.start_window_minutes = window;
    world.policy(&vault, policy).await;
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
    }
    let last = looks.iter().copied().max().unwrap();
    let expected = oracle.occurrences(START, last);
    let runs = all_runs(&world).await;
    let rows: BTreeMap<Timestamp, &PolicyRun> =
        runs.iter().map(|run| (run.occurrence, run)).collect();
    let what = format!("seed {seed}, {} in {}", oracle.pattern(), oracle.zone);
    assert_eq!(rows.len(), runs.len(), "doubled: {what}");
    assert_eq!(rows.keys().copied().collect::<Vec<_>>(), expected, "lost or invented: {what}");
    let mut missed = 0;
    for (index, at) in expected.iter().enumerate() {
        let run = rows[at];
        assert_eq!(run.reason == RunReason::None, run.state == RunState::Started, "{what}");
        let next = expected.get(index + 1).copied().unwrap_or(Timestamp(i64::MAX));
        let open = at.plus_seconds(window.unwrap_or(60) * MINUTE).min(next);
        let was_seen = looks.iter().any(|look| look >= at && *look < open);
        assert_eq!(run.state == RunState::Missed, !was_seen, "{at:?}: {what}: {run:?}");
        missed += usize::from(!was_seen);
    }
    (expected.len(), missed)
}

/// P16, POL-10: over all zones.
#[tokio::test]
async fn virtual_years_of_random_policies_double_and_lose_nothing() {
    let years = std::env::var("CBR_VIRTUAL_YEARS").map_or(2, |text| text.parse().unwrap());
    let from = std::env::var("CBR_VIRTUAL_YEARS_FROM").map_or(0, |text| text.parse().unwrap());
    let zones: Vec<PolicyZone> = PolicyZone::all().collect();
    let (mut occurrences, mut missed) = (0, 0);
    for seed in from * 5..years * 5 {
        let (had, lost) = live(seed, &zones).await;
        (occurrences, missed) = (occurrences + had, missed + lost);
    }
    println!(
        "virtual years {from} to {years}, {} zones, {occurrences} occurrences, {missed} of them missed with a \
         reason; doubled 0, lost 0, unexplained 0",
        zones.len()
    );
    assert!(missed > 0 && missed < occurrences);
}
