//! `seeds FOLDER`: writes the seeds of every target into a folder of its name below it.

use std::path::PathBuf;

use cbr_fuzz::TARGETS;

fn main() -> std::io::Result<()> {
    let folder: PathBuf = std::env::args_os().nth(1).unwrap_or_else(|| "fuzz/corpus".into()).into();
    for target in TARGETS {
        let own = folder.join(target.name);
        std::fs::create_dir_all(&own)?;
        for (number, bytes) in (target.seeds)().iter().enumerate() {
            std::fs::write(own.join(format!("seed-{number:03}")), bytes)?;
        }
    }
    Ok(())
}
