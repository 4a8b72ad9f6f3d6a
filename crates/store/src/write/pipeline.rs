//! Setting the threads of a backup up, and collecting what they did.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use cbr_env::Random;
use crossbeam_channel::{Receiver, Sender, bounded};

use super::packer::{Author, Full, Packer, Spare, ToUploader, Uploaded, Uploader};
use super::plan::Plan;
use super::reader::{BUFFERS, Cursor, Item, READ_BLOCKS, Reader};
use super::stop::{Stop, Stopped};
use super::worker::{Shared, Worker};
use crate::crypto::BlockHasher;
use crate::dedup::Borrower;
use crate::error::{Error, Result};
use crate::format::BLOCK_BYTES;
use crate::format::id::PackKind;
use crate::heal::Healer;
use crate::job::{Job, Meter};
use crate::map::assembler::Assembled;
use crate::map::{Assembler, MapReader};
use crate::options::Options;
use crate::packs::Packs;
use crate::source::BlockSource;

/// Items that wait between a reader and its worker; buffers bound the large ones.
const ITEMS_MAX: usize = 16;

/// What a backup works with.
pub(crate) struct Pipeline<'a> {
    pub(crate) packs: &'a Packs,
    pub(crate) hasher: &'a BlockHasher,
    pub(crate) random: &'a dyn Random,
    pub(crate) options: &'a Options,
    pub(crate) author: Author,
    pub(crate) parent: Option<&'a MapReader>,
    pub(crate) healer: Option<&'a Healer<'a>>,
    /// What finds blocks that are stored already; none where nothing is shared, or nothing may be
    /// borrowed.
    pub(crate) borrower: Option<&'a Borrower>,
}

/// What a backup wrote. Everything in it is durable.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) map: Assembled,
    pub(crate) uploaded: Vec<Uploaded>,
    pub(crate) stored_bytes: u64,
    pub(crate) read_bytes: u64,
    pub(crate) changed_blocks: u64,
    pub(crate) borrowed_blocks: u64,
}

impl Pipeline<'_> {
    /// Reads what `plan` says and writes packs and map.
    pub(crate) fn run(&self, source: &dyn BlockSource, plan: &Plan, job: &Job) -> Result<Written> {
        let read_bytes = plan.read_bytes();
        let meter = Meter::new(job, read_bytes);
        meter.add(0, 0);
        let stop = Stop::default();
        let spare = Spare::default();
        let uploader = Uploader::new(self.packs, &stop, &meter, &spare);
        let has_threads = self.options.threads > 0;
        let (send, full) = bounded(0);
        let to_uploader =
            if has_threads { ToUploader::Channel(send) } else { ToUploader::Here(&uploader) };
        let tools = (self.packs, self.random, &spare);
        let data = Packer::new(
            PackKind::Data,
            self.author,
            self.options.pack_bytes,
            tools,
            to_uploader.clone(),
        );
        let full_bytes = self.options.map_pack_bytes;
        let maps = Packer::new(PackKind::Meta, self.author, full_bytes, tools, to_uploader);
        let assembler = Assembler::new(plan, self.parent, &maps, self.hasher)?;
        let (changed_blocks, borrowed_blocks) = (AtomicU64::new(0), AtomicU64::new(0));
        let shared = Shared {
            packs: self.packs,
            packer: &data,
            assembler: &assembler,
            hasher: self.hasher,
            stop: &stop,
            frame_blocks: usize::from(self.options.frame_blocks),
            zstd_level: self.options.zstd_level,
            changed_blocks: &changed_blocks,
            healer: self.healer,
            borrowed_blocks: &borrowed_blocks,
            borrower: self.borrower,
            borrow_run_blocks: self.options.borrow_run_blocks,
        };
        let cursor = Cursor::new(plan);
        let lanes = Lanes { shared: &shared, cursor: &cursor, source, plan, meter: &meter };
        let assemble = || {
            data.finish()
                .and_then(|data_bytes| Ok((assembler.finish()?, data_bytes + maps.finish()?)))
        };
        let finished = if has_threads {
            // Also if a thread panics: the uploader would wait for packs for ever.
            let open = CloseOnDrop([&data, &maps]);
            on_threads(&uploader, full, open, || {
                lanes.run(self.options.threads);
                stop.check(assemble())
            })
        } else {
            lanes.run_here().and_then(|()| stop.check(assemble())).ok()
        };
        let uploaded = uploader.uploaded();
        stop.finish()?;
        let (map, stored_bytes) =
            finished.ok_or_else(|| Error::SelfCheck { what: "a worker panicked".to_owned() })?;
        let changed_blocks = changed_blocks.load(Ordering::Relaxed);
        let borrowed_blocks = borrowed_blocks.load(Ordering::Relaxed);
        Ok(Written { map, uploaded, stored_bytes, read_bytes, changed_blocks, borrowed_blocks })
    }
}

/// What `fill` returns, if the uploader beside it took everything. Errors are kept by `Stop`; an
/// uploader that failed has closed its end.
fn on_threads<T>(
    uploader: &Uploader<'_>,
    full: Receiver<Full>,
    open: CloseOnDrop<'_>,
    fill: impl FnOnce() -> Result<T, Stopped>,
) -> Option<T> {
    thread::scope(|scope| {
        let uploading = scope.spawn(|| uploader.run(full));
        let open = open;
        let filled = fill();
        drop(open);
        match (filled, uploading.join()) {
            (Ok(filled), Ok(Ok(()))) => Some(filled),
            _ => None,
        }
    })
}

struct CloseOnDrop<'a>([&'a Packer<'a>; 2]);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|packer| packer.close());
    }
}

/// What reads and compares, in any number of threads.
struct Lanes<'a> {
    shared: &'a Shared<'a>,
    cursor: &'a Cursor,
    source: &'a dyn BlockSource,
    plan: &'a Plan,
    meter: &'a Meter<'a>,
}

impl<'a> Lanes<'a> {
    /// Two threads per lane.
    fn run(&self, lanes: usize) {
        thread::scope(|scope| {
            for _ in 0..lanes {
                let (items, to_worker) = bounded::<Item>(ITEMS_MAX);
                let (reader, give_back) = self.reader();
                let shared = self.shared;
                scope.spawn(move || reader.run(&mut |item| items.send(item).map_err(|_| Stopped)));
                scope.spawn(move || {
                    shared.stop.check(Worker::new(shared))?.run(&to_worker, &give_back)
                });
            }
        });
    }

    /// No thread: the reader calls the worker.
    fn run_here(&self) -> Result<(), Stopped> {
        let mut worker = self.shared.stop.check(Worker::new(self.shared))?;
        let (reader, give_back) = self.reader();
        reader.run(&mut |item| worker.take(item, &give_back))
    }

    /// A reader, and where its worker gives buffers back.
    fn reader(&self) -> (Reader<'a>, Sender<Vec<u8>>) {
        let (give_back, free) = bounded::<Vec<u8>>(BUFFERS);
        for _ in 0..BUFFERS {
            let buffer = Vec::with_capacity(READ_BLOCKS * BLOCK_BYTES);
            give_back.send(buffer).unwrap_or_default();
        }
        let Self { shared, cursor, source, plan, meter } = *self;
        (Reader { source, plan, cursor, stop: shared.stop, meter, free }, give_back)
    }
}
