//! A `.tar.gz` of a few small files: POSIX ustar, in gzip with stored blocks, so nothing is
//! compressed. Pure.
//!
//! A bundle is some 50 KiB of text, of which a compressor would save less than it adds to the
//! binary, and no dependency brings one. Numbers and names are those of POSIX.1-2017 (pax, "ustar
//! Interchange Format") and of RFC 1952 and 1951.

use crc_fast::{CrcAlgorithm, checksum};

/// A file in the archive: its name, its text, and when it was changed, in seconds since 1970.
pub(super) type Member = (String, String, u64);

const BLOCK: usize = 512;
/// The most bytes that a stored block of DEFLATE holds.
const STORED: usize = 65535;

/// The files in their order, below one folder. Every name fits: see [`fits`].
pub(super) fn tar_gz(folder: &str, files: &[Member]) -> Vec<u8> {
    let mut tar = Vec::new();
    let newest = files.iter().map(|(.., modified)| *modified).max().unwrap_or_default();
    tar.extend(header(&format!("{folder}/"), 0, newest));
    for (name, text, modified) in files {
        tar.extend(header(&format!("{folder}/{name}"), text.len(), *modified));
        tar.extend(text.as_bytes());
        tar.resize(tar.len().next_multiple_of(BLOCK), 0);
    }
    tar.resize(tar.len() + 2 * BLOCK, 0);
    gzip(&tar)
}

/// Whether a name fits into its field. There is a longer form, which no name of ours needs.
pub(super) fn fits(folder: &str, name: &str) -> bool {
    folder.len() + 1 + name.len() <= 100
}

/// A name that ends in `/` is a folder's. Owned by root, for all to read.
fn header(name: &str, size: usize, modified: u64) -> [u8; BLOCK] {
    let (mode, kind) = if name.ends_with('/') { (0o755, b"5") } else { (0o644, b"0") };
    let mut header = [0; BLOCK];
    let mut put = |at: usize, field: &[u8]| header[at..at + field.len()].copy_from_slice(field);
    put(0, name.as_bytes());
    put(100, format!("{mode:07o}\x000000000\x000000000").as_bytes());
    put(124, format!("{size:011o}\0{modified:011o}").as_bytes());
    put(156, kind);
    put(257, b"ustar\x0000root");
    put(297, b"root");
    // The sum counts its own eight bytes as blanks.
    let sum = header.iter().map(|byte| u32::from(*byte)).sum::<u32>() + 8 * u32::from(b' ');
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// No name, no time, an unknown system; then the bytes as they are, their CRC-32 and length.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut blocks = bytes.chunks(STORED).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).expect("a chunk has at most 65535 bytes");
        gzip.push(u8::from(blocks.peek().is_none()));
        gzip.extend(length.to_le_bytes());
        gzip.extend((!length).to_le_bytes());
        gzip.extend(block);
    }
    gzip.extend(crc32(bytes).to_le_bytes());
    // Modulo 2^32, as the format wants it.
    gzip.extend((bytes.len() as u32).to_le_bytes());
    gzip
}

/// Its high half is empty.
fn crc32(bytes: &[u8]) -> u32 {
    checksum(CrcAlgorithm::Crc32IsoHdlc, bytes) as u32
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn gzip_unpacks_every_length_around_a_block() {
        for length in [1, STORED - 1, STORED, STORED + 1, 3 * STORED] {
            let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let mut child = Command::new("gzip")
                .arg("-dc")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut stdin = child.stdin.take().unwrap();
            let packed = gzip(&bytes);
            let writer =
                std::thread::spawn(move || std::io::Write::write_all(&mut stdin, &packed).unwrap());
            let output = child.wait_with_output().unwrap();
            writer.join().unwrap();
            assert!(output.status.success() && output.stdout == bytes, "{length}");
        }
    }

    #[test]
    fn header_has_octal_numbers_and_the_right_checksum() {
        let header = header("folder/file", 8, 1);
        assert_eq!(&header[124..148], b"00000000010\x0000000000001\0");
        let sum: u32 = header
            .iter()
            .enumerate()
            .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) })
            .sum();
        assert_eq!(
            u32::from_str_radix(std::str::from_utf8(&header[148..154]).unwrap(), 8),
            Ok(sum)
        );
    }
}
