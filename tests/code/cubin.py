"""Reads device code without a disassembler: registers, instruction mix of the main loop, register-bank conflicts.

It is read where it is used: from the cubins that lie, as they are, in an object or library that nvcc made.

An instruction is 16 bytes and its low 12 bits are the opcode (sm_70 on). The opcodes were checked against
`cuobjdump --dump-sass`; the bank model (two banks, register number mod 2, an operand in the reuse cache costs no read)
is a warning and no measurement: it ranks loops, it does not time them.
"""

import collections
import struct

OPCODES = {
    0x223: "FFMA", 0x823: "FFMA", 0xA23: "FFMA", 0x23C: "HMMA", 0x984: "LDS", 0x388: "STS", 0xFAE: "LDGSTS",
    0x981: "LDG", 0x986: "STG", 0x983: "LDL", 0x987: "STL", 0xB1D: "BAR", 0x947: "BRA", 0x83B: "LDSM",
}  # fmt: skip
EM_CUDA = 190
BRANCH, FFMA, HMMA = 0x947, 0x223, 0x23C


def bits(word, low, count):
    return (word >> low) & ((1 << count) - 1)


class Kernel:
    """One kernel of a cubin: `name`, `registers`, `code` (a list of 128-bit words)."""

    def __init__(self, name, registers, code):
        self.name, self.registers, self.code = name, registers, code

    def count(self, opcode, code=None):
        return sum(OPCODES.get(bits(word, 0, 12)) == opcode for word in (self.code if code is None else code))

    def local_memory(self):
        return self.count("LDL") + self.count("STL")

    def main_loop(self):
        """The smallest span of a backward branch with two fifths of the math that any has (a kernel may have two)."""
        spans, math = [], HMMA if self.on_tensor_cores() else FFMA
        for at, word in enumerate(self.code):
            if bits(word, 0, 12) != BRANCH:
                continue
            for target in branch_targets(word, at):
                if not 0 <= target <= at:
                    continue
                span = self.code[target : at + 1]
                weight = sum(bits(w, 0, 12) == math for w in span)
                if weight:
                    spans.append((weight, span))
        most = max((weight for weight, _ in spans), default=0)
        return min((span for weight, span in spans if 2.5 * weight >= most), key=len, default=self.code)

    def on_tensor_cores(self):
        return self.count("HMMA") > 0

    def math_share(self):
        """Of the main loop: tensor core instructions where there are any, else FFMAs."""
        loop = self.main_loop()
        return self.count("HMMA" if self.on_tensor_cores() else "FFMA", loop) / len(loop)

    def bank_conflicts(self):
        """Share of the main loop's FMAs that read two operands from one register bank; 0 on tensor cores."""
        if self.on_tensor_cores():
            return 0.0
        conflicts = total = 0
        kept = [None] * 3
        for word in self.main_loop():
            if bits(word, 0, 12) != 0x223:
                kept = [None] * 3
                continue
            total += 1
            registers = [bits(word, 24, 8), bits(word, 32, 8), bits(word, 64, 8)]
            reads = {r for slot, r in enumerate(registers) if r != 255 and kept[slot] != r}
            conflicts += max(sum(r & 1 == bank for r in reads) for bank in (0, 1)) > 1
            kept = [r if bits(word, 122 + slot, 1) else None for slot, r in enumerate(registers)]
        return conflicts / total if total else 0.0

    def instruction_mix(self):
        return collections.Counter(OPCODES.get(bits(w, 0, 12), "other") for w in self.main_loop())


def branch_targets(word, at):
    """Where a BRA may go: its offset has eight more low bits on sm_90, and nothing in the word says which it is."""
    offset = bits(word, 34, 48)
    offset -= (offset >> 47) << 48
    return at + 1 + offset // 4, at + 1 + (offset * 256 + bits(word, 16, 8)) // 4


class Sections:
    """The sections of an ELF file: (name, bytes, link), and the names of its symbols."""

    def __init__(self, blob):
        start, = struct.unpack_from("<Q", blob, 0x28)
        size, count, names = struct.unpack_from("<HHH", blob, 0x3A)
        rows = [struct.unpack_from("<IIQQQQI", blob, start + i * size) for i in range(count)]
        contents = [blob[row[4] : row[4] + row[5]] for row in rows]
        self.rows = [(string_at(contents[names], row[0]), data, row[6]) for row, data in zip(rows, contents)]
        self.symbols = []
        for name, data, link in self.rows:
            if name == ".symtab":
                self.symbols = [string_at(contents[link], entry[0]) for entry in struct.iter_unpack("<IBBHQQ", data)]


def string_at(table, offset):
    return table[offset : table.index(b"\0", offset)].decode()


def register_counts(sections):
    """By kernel, from .nv.info: attribute 0x2f holds a symbol and its register count."""
    counts = {}
    for name, data, _ in sections.rows:
        at = 0
        while name == ".nv.info" and at + 4 <= len(data):
            form, attribute, size = struct.unpack_from("<BBH", data, at)
            payload = data[at + 4 : at + 4 + size] if form == 4 else b""
            if attribute == 0x2F and len(payload) == 8:
                symbol, registers = struct.unpack("<II", payload)
                counts[sections.symbols[symbol]] = registers
            at += 4 + len(payload)
    return counts


def images(path):
    """The cubins within a file: (architecture, bytes from there on)."""
    with open(path, "rb") as file:
        blob = file.read()
    at = blob.find(b"\x7fELF", 1)
    while at >= 0:
        machine, = struct.unpack_from("<H", blob, at + 0x12)
        if machine == EM_CUDA:
            flags, = struct.unpack_from("<I", blob, at + 0x30)
            yield bits(flags, 8, 8), blob[at:]
        at = blob.find(b"\x7fELF", at + 1)


def kernels(path):
    """architecture -> every kernel compiled for it in the object or library at `path`, by name"""
    found = collections.defaultdict(dict)
    for arch, blob in images(path):
        sections = Sections(blob)
        registers = register_counts(sections)
        for name, data, _ in sections.rows:
            if name.startswith(".text."):
                code = [low | high << 64 for low, high in struct.iter_unpack("<QQ", data)]
                found[arch].setdefault(name[6:], Kernel(name[6:], registers.get(name[6:], 0), code))
    return found
