//! The executable's payload: how the compiler lays it out and how the stub finds it.
//!
//! The compiler copies the stub's segments and adds three: the header page with the manifest and the
//! compiler's claims behind it (read-only), the code
//! (executable), the read-only data. They are mapped by the kernel at fixed addresses. The read-only data begins at the first
//! page after the code, in executables and in-process alike, because code refers to it relative to rip.

/// Where the header stands: directly behind what is read of the stub (`stub.ld`), so that they are mapped as one.
pub const PAYLOAD_ADDRESS: u64 = 0x30_8000;
pub const PAGE: u64 = 4096;
pub const MAGIC: [u8; 8] = *b"VWASM\0\0\x01";
/// What the descriptor of an object file's module begins with.
pub const LINKED_MAGIC: [u8; 8] = *b"VWASM\0\0\x02";

pub const fn round_up(value: u64, to: u64) -> u64 {
    value.div_ceil(to) * to
}

/// Stands at [`PAYLOAD_ADDRESS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct ImageHeader {
    pub magic: [u8; 8],
    pub manifest: u64,
    pub manifest_length: u64,
    /// What the checker is told of the code; the stub does not read it.
    pub claims: u64,
    pub claims_length: u64,
    pub code: u64,
    pub code_length: u64,
    pub data: u64,
    pub data_length: u64,
}

impl ImageHeader {
    pub const SIZE: usize = core::mem::size_of::<ImageHeader>();

    /// The header of a payload with parts of these lengths.
    pub fn place(manifest_length: u64, claims_length: u64, code_length: u64, data_length: u64) -> ImageHeader {
        let manifest = PAYLOAD_ADDRESS + ImageHeader::SIZE as u64;
        let claims = manifest + manifest_length;
        let code = round_up(claims + claims_length, PAGE);
        let data = code + round_up(code_length, PAGE);
        ImageHeader { magic: MAGIC, manifest, manifest_length, claims, claims_length, code, code_length, data, data_length }
    }

    /// Whether the parts stand where [`ImageHeader::place`] puts parts of these lengths, each below 4 GiB.
    pub fn is_placed(&self) -> bool {
        let lengths = [self.manifest_length, self.claims_length, self.code_length, self.data_length];
        lengths.iter().all(|length| *length < 1 << 32)
            && *self == ImageHeader::place(lengths[0], lengths[1], lengths[2], lengths[3])
    }

    pub fn to_bytes(&self) -> [u8; ImageHeader::SIZE] {
        let mut bytes = [0; ImageHeader::SIZE];
        bytes[..8].copy_from_slice(&self.magic);
        let fields = [
            self.manifest,
            self.manifest_length,
            self.claims,
            self.claims_length,
            self.code,
            self.code_length,
            self.data,
            self.data_length,
        ];
        for (n, field) in fields.iter().enumerate() {
            bytes[8 + 8 * n..16 + 8 * n].copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }
}
