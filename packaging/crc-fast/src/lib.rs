//! The part of the crate `crc-fast` that the AWS SDK calls (aws-smithy-checksums), for a program
//! that is read from disk at every boot.
//!
//! The real crate brings tables for dozens of checksums, 709,015 bytes or an eighth of the whole
//! binary, and has no feature to leave them out; S3 uses three. It is faster on large bodies; ours
//! have a mebibyte at most. Patched in by Cargo.toml.
//!
//! All three read bits from the low end, begin with all ones and end by flipping them (the CRC
//! RevEng catalogue: CRC-32/ISO-HDLC, CRC-32/ISCSI, CRC-64/NVME).

/// The checksums that S3 knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrcAlgorithm {
    Crc32IsoHdlc,
    Crc32Iscsi,
    Crc64Nvme,
}

static ISO_HDLC: [u64; 256] = table(0xedb8_8320);
static ISCSI: [u64; 256] = table(0x82f6_3b78);
static NVME: [u64; 256] = table(0x9a6c_9329_ac4b_c9b5);

/// What each byte contributes, for a reversed polynomial.
const fn table(polynomial: u64) -> [u64; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut rest = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            rest = if rest & 1 == 1 { (rest >> 1) ^ polynomial } else { rest >> 1 };
            bit += 1;
        }
        table[byte] = rest;
        byte += 1;
    }
    table
}

/// A checksum under way.
#[derive(Clone, Debug)]
pub struct Digest {
    rest: u64,
    ones: u64,
    table: &'static [u64; 256],
}

impl Digest {
    pub fn new(algorithm: CrcAlgorithm) -> Self {
        let (ones, table) = match algorithm {
            CrcAlgorithm::Crc32IsoHdlc => (u64::from(u32::MAX), &ISO_HDLC),
            CrcAlgorithm::Crc32Iscsi => (u64::from(u32::MAX), &ISCSI),
            CrcAlgorithm::Crc64Nvme => (u64::MAX, &NVME),
        };
        Digest { rest: ones, ones, table }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.rest = (self.rest >> 8) ^ self.table[usize::from(self.rest as u8 ^ byte)];
        }
    }

    /// The checksum of all bytes so far; those of 32 bits stand in the lower half.
    pub fn finalize(&self) -> u64 {
        self.rest ^ self.ones
    }
}

/// The checksum of these bytes.
pub fn checksum(algorithm: CrcAlgorithm, bytes: &[u8]) -> u64 {
    let mut digest = Digest::new(algorithm);
    digest.update(bytes);
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The catalogue's check values, each of the nine digits in ASCII.
    #[test]
    fn the_check_values_of_the_catalogue_come_out() {
        let checks = [
            (CrcAlgorithm::Crc32IsoHdlc, 0xcbf4_3926),
            (CrcAlgorithm::Crc32Iscsi, 0xe306_9283),
            (CrcAlgorithm::Crc64Nvme, 0xae8b_1486_0a79_9888),
        ];
        for (algorithm, value) in checks {
            assert_eq!(checksum(algorithm, b"123456789"), value, "{algorithm:?}");
        }
    }

    #[test]
    fn pieces_come_to_the_same_as_the_whole() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
        let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
        bytes.chunks(7).for_each(|piece| digest.update(piece));
        assert_eq!(digest.finalize(), checksum(CrcAlgorithm::Crc64Nvme, &bytes));
    }
}
