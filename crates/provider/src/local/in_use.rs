//! Who uses a file or a block device.
//!
//! Found: file descriptors of other processes, loop devices on top of a file, mounts,
//! swap and device-mapper or RAID holders of a device or of one of its partitions.
//! Locks are found by `lock.rs`.
//!
//! Not found: what a process without privileges may not see (descriptors of other
//! users), a file that is mapped into memory after its descriptor was closed, other
//! hosts that share the file system or the device, processes in containers we cannot see.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// A view of the whole machine, taken once and asked for many volumes.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    /// By device and inode: regular files that other processes have open.
    files: HashMap<(u64, u64), Process>,
    /// By device number: block devices that other processes have open.
    devices: HashMap<u64, Process>,
    /// By device and inode of the file beneath.
    loops: HashMap<(u64, u64), String>,
    /// By device number.
    mounts: HashMap<u64, String>,
    swaps: HashSet<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Process(u32);

impl Usage {
    /// Looks around.
    pub(crate) fn scan() -> Self {
        let mut usage = Self::default();
        usage.scan_processes();
        usage.scan_loops();
        usage.scan_mounts(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default());
        usage.scan_swaps();
        usage
    }

    /// Who has this file open; `None` if nobody is seen to. Locks are asked elsewhere.
    pub(crate) fn of_file(&self, file: &File) -> Option<String> {
        let Ok(metadata) = file.metadata() else { return Some("it cannot be examined".into()) };
        let key = (metadata.dev(), metadata.ino());
        if let Some(process) = self.files.get(&key) {
            return Some(format!("open in {process}"));
        }
        self.loops.get(&key).map(|device| format!("attached as {device}"))
    }

    /// Who uses this block device; `None` if nobody is seen to.
    pub(crate) fn of_device(&self, device: &File) -> Option<String> {
        let Ok(metadata) = device.metadata() else { return Some("it cannot be examined".into()) };
        self.of_device_number(metadata.rdev()).or_else(|| {
            partitions(metadata.rdev()).into_iter().find_map(|number| self.of_device_number(number))
        })
    }

    fn of_device_number(&self, number: u64) -> Option<String> {
        if let Some(place) = self.mounts.get(&number) {
            return Some(format!("mounted at {place}"));
        }
        if self.swaps.contains(&number) {
            return Some("used as swap".into());
        }
        let holders = fs::read_dir(format!("{}/holders", system_path(number)));
        if let Some(holder) = holders.ok().and_then(|mut holders| holders.next()?.ok()) {
            return Some(format!("part of {}", holder.file_name().to_string_lossy()));
        }
        let process = self.devices.get(&number)?;
        Some(format!("open in {process}"))
    }

    fn scan_processes(&mut self) {
        let own = std::process::id();
        let Ok(processes) = fs::read_dir("/proc") else { return };
        for process in processes.flatten() {
            let name = process.file_name();
            let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            if id == own {
                continue;
            }
            // A process may end, or not be ours to look into, at any point.
            let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else { continue };
            for descriptor in descriptors.flatten() {
                let Ok(metadata) = fs::metadata(descriptor.path()) else { continue };
                if metadata.is_file() {
                    self.files.insert((metadata.dev(), metadata.ino()), Process(id));
                } else if metadata.file_type().is_block_device() && !Process(id).is_prober() {
                    self.devices.insert(metadata.rdev(), Process(id));
                }
            }
        }
    }

    fn scan_loops(&mut self) {
        let Ok(devices) = fs::read_dir("/sys/block") else { return };
        for device in devices.flatten() {
            let Ok(path) = fs::read_to_string(device.path().join("loop/backing_file")) else {
                continue;
            };
            if let Ok(metadata) = fs::metadata(path.trim_end_matches('\n')) {
                let name = format!("/dev/{}", device.file_name().to_string_lossy());
                self.loops.insert((metadata.dev(), metadata.ino()), name);
            }
        }
    }

    fn scan_mounts(&mut self, mountinfo: &str) {
        for line in mountinfo.lines() {
            let (Some(numbers), Some(place)) =
                (line.split(' ').nth(2), line.split(' ').nth(4).map(str::to_owned))
            else {
                continue;
            };
            if let Some(number) = device_number(numbers) {
                self.mounts.insert(number, place.clone());
            }
            // Some file systems (btrfs) have a device number of their own; then the source tells.
            let source = line.split(" - ").nth(1).and_then(|rest| rest.split(' ').nth(1));
            if let Some(number) = source.and_then(|path| block_device_at(Path::new(path))) {
                self.mounts.insert(number, place);
            }
        }
    }

    fn scan_swaps(&mut self) {
        let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
        for line in swaps.lines().skip(1) {
            let path = line.split_whitespace().next();
            self.swaps.extend(path.and_then(|path| block_device_at(Path::new(path))));
        }
    }
}

impl Process {
    /// udev opens every device for a moment after a change, only to look at it.
    fn is_prober(self) -> bool {
        matches!(self.command().as_str(), "systemd-udevd" | "(udev-worker)" | "udevd")
    }

    fn command(self) -> String {
        let text = fs::read_to_string(format!("/proc/{}/comm", self.0)).unwrap_or_default();
        text.trim_end().to_owned()
    }
}

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {} ({})", self.0, self.command())
    }
}

/// How often a block device has been changed since it was there, by the kernel's count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Changes {
    /// Sectors written.
    pub(crate) written: u64,
    /// Sectors discarded; `None` before Linux 4.18, which does not count them.
    pub(crate) discarded: Option<u64>,
}

/// What the kernel has counted; `None` if it does not count, or does not say.
pub(crate) fn changes(number: u64) -> Option<Changes> {
    let path = system_path(number);
    // A partition is counted if its disk is.
    let switch = fs::read_to_string(format!("{path}/queue/iostats"))
        .or_else(|_| fs::read_to_string(format!("{path}/../queue/iostats")));
    counted(&switch.ok()?, &fs::read_to_string(format!("{path}/stat")).ok()?)
}

/// Reads `queue/iostats` and `stat` of a block device.
fn counted(switch: &str, statistics: &str) -> Option<Changes> {
    if switch.trim().parse::<u64>().ok()? == 0 {
        return None;
    }
    let field = |index| statistics.split_whitespace().nth(index)?.parse().ok();
    Some(Changes { written: field(6)?, discarded: field(13) })
}

/// The device numbers of the partitions of a whole disk.
fn partitions(number: u64) -> Vec<u64> {
    let Ok(entries) = fs::read_dir(system_path(number)) else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.path().join("partition").exists())
        .filter_map(|entry| {
            device_number(fs::read_to_string(entry.path().join("dev")).ok()?.trim_end())
        })
        .collect()
}

fn system_path(number: u64) -> String {
    let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
    format!("/sys/dev/block/{major}:{minor}")
}

fn device_number(text: &str) -> Option<u64> {
    let (major, minor) = text.split_once(':')?;
    Some(rustix::fs::makedev(major.parse().ok()?, minor.parse().ok()?))
}

fn block_device_at(path: &Path) -> Option<u64> {
    let metadata = path.is_absolute().then(|| fs::metadata(path).ok())??;
    metadata.file_type().is_block_device().then(|| metadata.rdev())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_file_open_in_another_process_is_in_use_and_one_open_here_is_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let ours = File::open(file.path()).unwrap();
        assert_eq!(Usage::scan().of_file(&ours), None);
        let mut child = Command::new("sleep")
            .arg("60")
            .stdin(Stdio::from(File::open(file.path()).unwrap()))
            .spawn()
            .unwrap();
        let why = Usage::scan().of_file(&ours);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(why.unwrap().contains(&format!("process {}", child.id())));
        assert_eq!(Usage::scan().of_file(&ours), None);
    }

    #[test]
    fn a_device_that_is_not_counted_is_known_as_such() {
        let line = "1 2 3 4 5 6 77 8 9 10 11 12 13 144 15 16 17\n";
        let changes = Changes { written: 77, discarded: Some(144) };
        assert_eq!(counted("1\n", line), Some(changes));
        assert_eq!(counted("0\n", line), None, "switched off: the figures stand still");
        assert_eq!(counted("", line), None);
        assert_eq!(counted("1\n", "1 2 3 4 5 6"), None);
        let old = Changes { written: 77, discarded: None };
        assert_eq!(counted("1\n", "1 2 3 4 5 6 77 8 9 10 11\n"), Some(old));
    }

    #[test]
    fn mounts_are_found_by_number_and_by_source() {
        let mut usage = Usage::default();
        usage.scan_mounts(
            "36 35 7:3 / /mnt/a\\040b rw,noatime master:1 - ext4 /dev/none rw\n\
             damaged line\n\
             37 35 0:40 / /proc rw - proc proc rw\n",
        );
        let loop3 = rustix::fs::makedev(7, 3);
        assert_eq!(usage.mounts.get(&loop3).map(String::as_str), Some("/mnt/a\\040b"));
        assert_eq!(usage.of_device_number(loop3).unwrap(), "mounted at /mnt/a\\040b");
    }
}
