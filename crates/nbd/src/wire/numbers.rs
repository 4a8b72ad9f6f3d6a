//! The protocol's numbers, by the names of its specification
//! (`doc/proto.md` of the NetworkBlockDevice project), without the prefix `NBD_`.

/// Longest string the protocol allows.
pub(crate) const STRING_MAX: usize = 4096;
/// Longest option a server here reads, and longest option reply a client here reads.
pub(crate) const OPTION_BYTES_MAX: u32 = 64 << 10;

pub(crate) const MAGIC: u64 = 0x4e42_444d_4147_4943;
pub(crate) const IHAVEOPT: u64 = 0x4948_4156_454f_5054;
pub(crate) const REP_MAGIC: u64 = 0x0003_e889_0455_65a9;

pub(crate) const FLAG_FIXED_NEWSTYLE: u16 = 1;
pub(crate) const FLAG_NO_ZEROES: u16 = 2;

pub(crate) const OPT_EXPORT_NAME: u32 = 1;
pub(crate) const OPT_ABORT: u32 = 2;
pub(crate) const OPT_LIST: u32 = 3;
pub(crate) const OPT_STARTTLS: u32 = 5;
pub(crate) const OPT_INFO: u32 = 6;
pub(crate) const OPT_GO: u32 = 7;
pub(crate) const OPT_STRUCTURED_REPLY: u32 = 8;
pub(crate) const OPT_LIST_META_CONTEXT: u32 = 9;
pub(crate) const OPT_SET_META_CONTEXT: u32 = 10;
pub(crate) const OPT_EXTENDED_HEADERS: u32 = 11;

pub(crate) const REP_ACK: u32 = 1;
pub(crate) const REP_SERVER: u32 = 2;
pub(crate) const REP_INFO: u32 = 3;
pub(crate) const REP_META_CONTEXT: u32 = 4;
pub(crate) const REP_FLAG_ERROR: u32 = 1 << 31;
pub(crate) const REP_ERR_UNSUP: u32 = REP_FLAG_ERROR + 1;
pub(crate) const REP_ERR_POLICY: u32 = REP_FLAG_ERROR + 2;
pub(crate) const REP_ERR_INVALID: u32 = REP_FLAG_ERROR + 3;
pub(crate) const REP_ERR_TLS_REQD: u32 = REP_FLAG_ERROR + 5;
pub(crate) const REP_ERR_UNKNOWN: u32 = REP_FLAG_ERROR + 6;
pub(crate) const REP_ERR_TOO_BIG: u32 = REP_FLAG_ERROR + 9;
pub(crate) const REP_ERR_EXT_HEADER_REQD: u32 = REP_FLAG_ERROR + 10;

pub(crate) const INFO_EXPORT: u16 = 0;
pub(crate) const INFO_NAME: u16 = 1;
pub(crate) const INFO_DESCRIPTION: u16 = 2;
pub(crate) const INFO_BLOCK_SIZE: u16 = 3;

pub(crate) const TRANS_HAS_FLAGS: u16 = 1;
pub(crate) const TRANS_READ_ONLY: u16 = 1 << 1;
pub(crate) const TRANS_SEND_FLUSH: u16 = 1 << 2;
pub(crate) const TRANS_SEND_FUA: u16 = 1 << 3;
pub(crate) const TRANS_SEND_TRIM: u16 = 1 << 5;
pub(crate) const TRANS_SEND_WRITE_ZEROES: u16 = 1 << 6;
pub(crate) const TRANS_SEND_DF: u16 = 1 << 7;
pub(crate) const TRANS_CAN_MULTI_CONN: u16 = 1 << 8;

pub(crate) const REQUEST_MAGIC: u32 = 0x2560_9513;
pub(crate) const EXTENDED_REQUEST_MAGIC: u32 = 0x21e4_1c71;
pub(crate) const SIMPLE_REPLY_MAGIC: u32 = 0x6744_6698;
pub(crate) const STRUCTURED_REPLY_MAGIC: u32 = 0x668e_33ef;
pub(crate) const EXTENDED_REPLY_MAGIC: u32 = 0x6e8a_278c;

pub(crate) const CMD_READ: u16 = 0;
pub(crate) const CMD_WRITE: u16 = 1;
pub(crate) const CMD_DISC: u16 = 2;
pub(crate) const CMD_FLUSH: u16 = 3;
pub(crate) const CMD_TRIM: u16 = 4;
pub(crate) const CMD_WRITE_ZEROES: u16 = 6;
pub(crate) const CMD_BLOCK_STATUS: u16 = 7;

pub(crate) const CMD_FLAG_FUA: u16 = 1;
pub(crate) const CMD_FLAG_NO_HOLE: u16 = 1 << 1;
pub(crate) const CMD_FLAG_DF: u16 = 1 << 2;
pub(crate) const CMD_FLAG_REQ_ONE: u16 = 1 << 3;
pub(crate) const CMD_FLAG_PAYLOAD_LEN: u16 = 1 << 5;

pub(crate) const REPLY_FLAG_DONE: u16 = 1;
pub(crate) const REPLY_NONE: u16 = 0;
pub(crate) const REPLY_OFFSET_DATA: u16 = 1;
pub(crate) const REPLY_OFFSET_HOLE: u16 = 2;
pub(crate) const REPLY_BLOCK_STATUS: u16 = 5;
pub(crate) const REPLY_BLOCK_STATUS_EXT: u16 = 6;
pub(crate) const REPLY_FLAG_ERROR: u16 = 1 << 15;
pub(crate) const REPLY_ERROR: u16 = REPLY_FLAG_ERROR + 1;
pub(crate) const REPLY_ERROR_OFFSET: u16 = REPLY_FLAG_ERROR + 2;

pub(crate) const EPERM: u32 = 1;
pub(crate) const EIO: u32 = 5;
pub(crate) const ENOMEM: u32 = 12;
pub(crate) const EINVAL: u32 = 22;
pub(crate) const ENOSPC: u32 = 28;
pub(crate) const EOVERFLOW: u32 = 75;
pub(crate) const ENOTSUP: u32 = 95;

/// Everybody's context: which ranges are allocated, which read as zeroes.
pub(crate) const BASE_ALLOCATION: &str = "base:allocation";
/// What QEMU's dirty bitmaps are called; the bitmap's name follows.
pub(crate) const DIRTY_BITMAP: &str = "qemu:dirty-bitmap:";
