#!/usr/bin/env python3
"""Reads a repository of format v1 without the program that wrote it.

A second implementation, written from v1.md alone: it proves that the page is complete, and it
is the last resort of somebody who has the objects and the master key and nothing else. It
checks every checksum, seal and id it meets and stops at the first that is wrong.

    pip install cryptography blake3 zstandard
    reader.py DIRECTORY MASTER-KEY-FILE                   lists all versions, and notes
    reader.py DIRECTORY MASTER-KEY-FILE VERSION OUTPUT    restores one, as the list names it
"""

import hashlib
import hmac
import os
import struct
import sys
import uuid

import zstandard
from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

BLOCK = 65536
MAGIC, TRAILER = bytes.fromhex("894342520d0a1a0a"), bytes.fromhex("0a1a0a0d52424398")
DESCRIPTOR, TENANT_KEY, DOMAIN, DATA_PACK, META_PACK, CLAIM, OUTCOME, DELETE = range(1, 9)
DATA_PATCH, META_PATCH = 10, 11
NOTE = 14
ROLES = {1: b"mac", 2: b"wrap", 3: b"metadata", 4: b"maintenance"}


def check(holds, what):
    if not holds:
        sys.exit(f"damaged: {what}")


def hkdf(key, salt, info):
    return HKDF(hashes.SHA256(), 32, salt, info).derive(key)


def crc(data, polynomial, bits):
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (polynomial if value & 1 else 0)
        table.append(value)
    ones = (1 << bits) - 1
    value = ones
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ ones


def crc32c(data):
    return crc(data, 0x82F63B78, 32)


def crc64nvme(data):
    return crc(data, 0x9A6C9329AC4BC9B5, 64)


class Decoder:
    """Section 1: takes values from the front."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def raw(self, count):
        check(self.at + count <= len(self.data), "cut short")
        self.at += count
        return self.data[self.at - count : self.at]

    def u8(self):
        return self.raw(1)[0]

    def u16(self):
        return int.from_bytes(self.raw(2), "little")

    def u32(self):
        return int.from_bytes(self.raw(4), "little")

    def varint(self):
        value = shift = 0
        while True:
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def many(self, decode):
        return [decode() for _ in range(self.varint())]

    def bytes(self):
        return self.raw(self.varint())

    def option(self, decode):
        return decode() if self.u8() else None

    def slot(self):
        return self.raw(16), self.varint(), self.varint(), self.varint()

    def pointer(self):
        return self.slot(), self.raw(16)

    def slot_table(self):
        packs = self.many(lambda: self.raw(16))
        return self.many(
            lambda: (packs[self.varint()], self.varint(), self.varint(), self.varint())
        )

    def deed(self):
        """Of a delete record: 0 delete, 1 trash, 2 restore, 3 purge."""
        start, deed = self.at, self.varint() - 65536
        if deed in (1, 2, 3):
            return deed
        self.at = start
        return 0

    def end(self):
        check(self.at == len(self.data), "bytes left over")


class Objects:
    """Sections 3 and 4: objects in a directory, opened with the keys of one owner, by their number."""

    def __init__(self, directory, secrets, owner):
        self.directory, self.secrets, self.owner = directory, secrets, owner

    def path(self, key):
        return os.path.join(self.directory, key)

    def names(self, prefix):
        path = self.path(prefix)
        return sorted(os.listdir(path)) if os.path.isdir(path) else []

    def get(self, key):
        with open(self.path(key), "rb") as file:
            return file.read()

    def role_key(self, key_id, role):
        check(key_id in self.secrets, f"sealed with key {key_id}, which is not there")
        return hkdf(self.secrets[key_id], b"cbr/v1/role", self.owner + b"/" + ROLES[role])

    def open(self, key, kind, damaged=None):
        """The sections of an object, by type; those whose bytes are damaged go into `damaged`."""
        data = self.get(key)
        header, trailer = data[:64], data[-32:]
        length, footer_length, footer_crc, total = struct.unpack("<QIIQ", trailer[:24])
        footer = data[-footer_length:]
        check(header[:8] == MAGIC and trailer[24:] == TRAILER, f"{key}: magic")
        check(header[10] == 1 and header[12:16] == bytes(4), f"{key}: needs a newer reader")
        check(struct.unpack("<H", header[8:10])[0] == kind, f"{key}: kind")
        check(struct.unpack("<I", header[60:])[0] == crc32c(header[:60]), f"{key}: header")
        check(length == len(data) and footer[:64] == header, f"{key}: length")
        check(crc32c(footer[:-20]) == footer_crc, f"{key}: footer")
        is_whole = crc64nvme(data[:-16]) == total
        check(is_whole or damaged is not None, f"{key}: total checksum")
        sections, end = {}, 64
        for at in range(64, footer_length - 32, 40):
            tag, role, offset, size, digest = struct.unpack("<HB5xQQ16s", footer[at : at + 40])
            check(offset == end, f"{key}: directory")
            end += size
            stored = data[offset:end]
            if blake3(stored).digest()[:16] != digest:
                check(damaged is not None and role == 0, f"{key}: section {tag}")
                damaged.append(tag)
            aad = header + struct.pack("<H", tag) + key.encode()
            sections[tag] = self.unprotect(role, tag, header[24:44], aad, stored)
        check(end + footer_length == length, f"{key}: gaps")
        return sections

    def unprotect(self, role, tag, key_and_object, aad, stored):
        if role == 0:
            return stored
        object_uuid = key_and_object[4:]
        key = self.role_key(int.from_bytes(key_and_object[:4], "little"), role)
        if role == 1:
            code = hmac.new(key, aad + stored[:-32], hashlib.sha256).digest()
            check(hmac.compare_digest(code, stored[-32:]), "not this master key")
            return stored[:-32]
        section_key = hkdf(key, b"cbr/v1/section", object_uuid + struct.pack("<H", tag))
        return AESGCM(section_key).decrypt(bytes(12), stored, aad)


class Domain:
    """Sections 5 to 8: the disks of one domain."""

    def __init__(self, objects, tenant, name):
        self.objects, self.prefix = objects, f"t/{tenant}/d/{name}"
        self.scope, (sharer, epoch) = name[0], name[1:].split(".")
        check(self.scope in "vt", f"scope of {name}")
        scope = "vt".index(self.scope) + 1
        tenant, sharer = uuid.UUID(tenant).bytes, uuid.UUID(sharer).bytes
        self.epoch = int(epoch, 16)
        epoch = struct.pack("<I", self.epoch)
        record = Decoder(objects.open(f"{self.prefix}/domain.v1", DOMAIN)[3])
        rules = record.u8(), record.u32(), record.u8(), record.varint(), record.u8(), record.u8()
        check(rules == (scope, self.epoch, 1, BLOCK, 1, 1), "rules that v1 does not know")
        dedup = hkdf(objects.secrets[1], b"cbr/v1/dedup", tenant)
        self.block_key = hkdf(dedup, b"cbr/v1/block", tenant + bytes([scope]) + sharer + epoch)
        self.slot_aad = lambda kind, codec: tenant + bytes([scope, kind, codec, 0]) + epoch + sharer
        self.packs = {}

    def pack(self, kind, name):
        """The plain slots of a pack, by number, each with its sealed length."""
        if (kind, name) in self.packs:
            return self.packs[kind, name]
        prefix = f"{self.prefix}/{'pm'[kind - 1]}/{blake3(name).digest()[:1].hex()}"
        found = [n for n in self.objects.names(prefix) if n.startswith(name.hex() + ".")]
        check(found, f"pack {name.hex()} is missing")
        key = f"{prefix}/{found[-1]}"
        slots = self.slots(kind, name, key, DATA_PACK if kind == 1 else META_PACK, [])
        self.packs[kind, name] = slots
        return slots

    def slots(self, kind, name, key, object_kind, damaged):
        """The plain slots of a pack or patch; `None` where the sealed bytes are damaged."""
        sections = self.objects.open(key, object_kind, damaged)
        layout, identity = Decoder(sections[5]), Decoder(sections[6])
        entries, number, offset = [], 0, 0
        for gap, length, blocks in layout.many(
            lambda: (layout.varint(), layout.varint(), layout.varint())
        ):
            number += gap
            entries.append((number, sections[4][offset : offset + length], blocks))
            number, offset = number + 1, offset + length
        layout.end()
        check(offset == len(sections[4]), "slots")
        heads = [(identity.u8(), identity.varint()) for _ in entries]
        slots, cipher = {}, AESGCM(sections[7])
        for (number, sealed, blocks), (codec, length) in zip(entries, heads):
            aad = self.slot_aad(kind, codec) + name + struct.pack("<II", number, length)
            ids = [identity.raw(32) for _ in range(blocks)]
            try:
                plain = cipher.decrypt(number.to_bytes(12, "big"), sealed, aad)
            except InvalidTag:
                check(damaged, f"{key}: slot {number}")
                slots[number] = None, len(sealed)
                continue
            if codec == 1:
                plain = zstandard.ZstdDecompressor().decompress(plain, max_output_size=length)
            check(len(plain) == length, "plain length")
            size = BLOCK if kind == 1 else length
            for at, expected in zip(range(0, length, size), ids, strict=True):
                digest = blake3(plain[at : at + size], key=self.block_key).digest()
                check(digest == expected, "block id")
            slots[number] = plain, len(sealed)
        identity.end()
        if 8 in sections:
            healed = Decoder(sections[8])
            healed.bytes()
            slots = {n: (plain, healed.u16(), healed.u8()) for n, (plain, _) in slots.items()}
            healed.end()
        return slots

    def healed(self, kind, name, number):
        """Section 6: what patches have of a slot; all of its blocks must be there."""
        prefix = f"{self.prefix}/h{'pm'[kind - 1]}/{blake3(name).digest()[:1].hex()}"
        blocks, of = {}, 1
        for patch in self.objects.names(prefix):
            if not patch.startswith(name.hex() + "."):
                continue
            kinds = DATA_PATCH if kind == 1 else META_PATCH
            found = self.slots(kind, name, f"{prefix}/{patch}", kinds, None)
            if number in found:
                plain, present, of = found[number]
                size = BLOCK if kind == 1 else len(plain)
                places = [at for at in range(of) if present >> at & 1]
                blocks |= {at: plain[n * size : (n + 1) * size] for n, at in enumerate(places)}
        check(sorted(blocks) == list(range(of)), f"slot {number} of {name.hex()} is lost")
        return b"".join(blocks[at] for at in range(of))

    def slot(self, kind, reference):
        pack, number, _birth, length = reference
        plain, sealed_length = self.pack(kind, pack)[number]
        check(sealed_length == length, "slot length")
        return plain if plain is not None else self.healed(kind, pack, number)

    def chains(self):
        return self.objects.names(f"{self.prefix}/c")

    def versions(self, chain):
        """Section 9: (sequence number, claim's owner, commit) of all versions that exist."""
        log = f"{self.prefix}/c/{chain}"
        gone, trashed = set(), set()
        for name in self.objects.names(f"{log}/d"):
            record = Decoder(self.objects.open(f"{log}/d/{name}", DELETE)[3])
            deed = record.deed()
            named, _by = set(record.many(record.varint)), record.bytes()
            record.end()
            if deed == 1:
                trashed |= named - gone
            elif deed == 2:
                trashed -= named
            else:
                gone |= named & trashed if deed == 3 else named
                trashed -= gone
        claims = [n for n in self.objects.names(log) if n.endswith(".claim")]
        for seq, name in enumerate(claims, 1):
            check(int(name[:16], 16) == seq, f"claim {seq} of {log} is missing")
            claim = Decoder(self.objects.open(f"{log}/{name}", CLAIM)[3])
            nonce, flags = claim.raw(12), claim.u8()
            check(flags < 4 and (flags > 1) == (self.scope == "t"), f"{log}: claim {seq}")
            parent = claim.varint() if flags & 1 else None
            _retired = claim.varint() if flags & 2 else None
            owner = claim.bytes()
            outcome = f"{log}/{seq:016x}.outcome"
            if seq in gone | trashed or not os.path.exists(self.objects.path(outcome)):
                continue
            commit = self.commit(outcome, nonce, parent)
            if commit:
                yield seq, owner.decode(), commit

    def commit(self, key, nonce, parent):
        record = Decoder(self.objects.open(key, OUTCOME)[3])
        tag = record.u8()
        check(record.raw(12) == nonce, f"{key}: nonce")
        if tag == 2:
            return None
        check(tag == (3 if self.scope == "t" else 1), f"{key}: tag")
        before = record.option(lambda: (record.varint(), record.raw(32)))
        if before:
            outcome = self.objects.get(f"{key[:-24]}{before[0]:016x}.outcome")
            check(before == (parent, blake3(outcome).digest()), f"{key}: parent")
        height, top = record.u8(), record.option(record.pointer)
        sizes = [record.varint() for _ in range(4)]
        record.many(lambda: (record.u8(), record.raw(16), record.varint()))
        lists = record.many(record.slot)
        births = record.many(lambda: (record.varint(), record.varint()))
        check(self.births(lists) == births, f"{key}: births")
        if tag == 3:
            borrow_lists = record.many(record.slot)
            lenders = record.many(lambda: (record.raw(16), record.varint(), record.varint()))
            check(self.lenders(borrow_lists) == lenders, f"{key}: lenders")
        card = record.bytes()
        record.end()
        return height, top, sizes[0], card

    def references(self, lists):
        """Section 8: (kind, pack, birth, sealed length, references) of every slot that is listed."""
        for reference in lists:
            listed = Decoder(self.slot(2, reference))
            counted = self.scope == "t"
            check(listed.u8() == (4 if counted else 3), "list of references")
            for _ in range(listed.varint()):
                kind, pack = listed.u8(), listed.raw(16)
                for _ in range(listed.varint()):
                    _slot, birth, length = listed.varint(), listed.varint(), listed.varint()
                    yield kind, pack, birth, length, listed.varint() if counted else 1
            listed.end()

    def births(self, lists):
        totals = {}
        for _kind, _pack, birth, length, times in self.references(lists):
            totals[birth] = totals.get(birth, 0) + length * times
        return sorted(totals.items())

    def lenders(self, lists):
        totals = {}
        for _kind, pack, _birth, length, times in self.references(lists):
            references, size = totals.get(pack, (0, 0))
            totals[pack] = references + times, size + length * times
        return sorted((pack, *both) for pack, both in totals.items())

    def restore(self, commit, output):
        height, top, disk_bytes, _card = commit
        with open(output, "xb") as file:
            if top:
                self.write(top, 0, height, file)
            file.truncate(disk_bytes)

    def write(self, pointer, first_block, level, file):
        plain = self.slot(2, pointer[0])
        check(blake3(plain).digest()[:16] == pointer[1], "map node")
        node = Decoder(plain)
        check(node.u8() == (2 if level else 1) and (not level or node.u8() == level), "level")
        table = node.slot_table()
        at = 0
        for _ in range(node.varint()):
            if level:
                position, slot, digest = node.u8(), table[node.varint()], node.raw(16)
                self.write((slot, digest), first_block + position * 256**level, level - 1, file)
                continue
            at += node.varint()
            run = node.varint()
            check(node.u8() == 1, f"blocks from {first_block + at} on are lost")
            content, first = self.slot(1, table[node.varint()]), node.u8()
            file.seek((first_block + at) * BLOCK)
            file.write(content[first * BLOCK : (first + run) * BLOCK])
            at += run
        node.end()


def master_number(objects):
    """Section 4: the end of the names that this master key opens: nothing, or a dot and its number."""
    for name in objects.names(""):
        if name.startswith("store.v1"):
            data = objects.get(name)
            header, at = data[:64], data[-32 - 40 : -32]
            _, _, offset, size, _ = struct.unpack("<HB5xQQ16s", at)
            stored = data[offset : offset + size]
            code = header + struct.pack("<H", 1) + name.encode() + stored[:-32]
            key = objects.role_key(0, 1)
            if hmac.compare_digest(hmac.new(key, code, hashlib.sha256).digest(), stored[-32:]):
                return name.removeprefix("store.v1")
    return sys.exit("this master key does not open the repository")


def notes(objects, tenant):
    """Section 9: (subject, owner, content) of a tenant's notes, in their order."""
    for subject in objects.names(f"t/{tenant}/n"):
        for n, name in enumerate(objects.names(f"t/{tenant}/n/{subject}"), 1):
            check(int(name, 16) == n, f"note {n} about {subject} is missing")
            note = Decoder(objects.open(f"t/{tenant}/n/{subject}/{name}", NOTE)[3])
            owner, content = note.bytes(), note.bytes()
            note.end()
            yield subject, owner, content


def main(directory, key_file, wanted=None, output=None):
    with open(key_file) as file:
        master = bytes.fromhex(file.read().strip().removeprefix("cbr-master-key-v1 "))
    objects = Objects(directory, {0: master}, b"master")
    number = master_number(objects)
    descriptor = Decoder(objects.open("store.v1" + number, DESCRIPTOR)[1])
    descriptor.raw(16)
    check(descriptor.u32() == 0, "the store needs a newer reader")
    for tenant in objects.names("t"):
        names = [name for name in objects.names(f"t/{tenant}/k") if name[8:] == number]
        key = {int(n[:8], 16): objects.open(f"t/{tenant}/k/{n}", TENANT_KEY)[2] for n in names}
        if not key:
            print("the keys of tenant", tenant, "are not there", file=sys.stderr)
            continue
        for name in objects.names(f"t/{tenant}/d"):
            domain = Domain(Objects(directory, key, b"tenant"), tenant, name)
            shared = "shared/" if domain.scope == "t" else ""
            for chain in domain.chains():
                for seq, owner, commit in domain.versions(chain):
                    version = f"{tenant}/{shared}{chain}.{domain.epoch}@{seq}"
                    if wanted is None:
                        print(version, commit[2], "bytes, made by", owner)
                    elif version == wanted:
                        return domain.restore(commit, output)
        if wanted is None:
            for subject, owner, content in notes(Objects(directory, key, b"tenant"), tenant):
                print("note about", subject, "by", owner, content)
    return None if wanted is None else sys.exit(f"there is no version {wanted}")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 5):
        sys.exit(__doc__)
    main(*sys.argv[1:])
