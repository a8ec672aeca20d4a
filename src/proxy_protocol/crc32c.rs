//! CRC32c, Castagnoli's polynomial (RFC 9260, appendix A). Bit by bit: headers are short, and seldom.

/// 0x1EDC6F41 with its bits in reverse.
const POLYNOMIAL: u32 = 0x82f6_3b78;

pub fn crc32c(bytes: impl Iterator<Item = u8>) -> u32 {
    !bytes.fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            if sum & 1 == 0 { sum >> 1 } else { sum >> 1 ^ POLYNOMIAL }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_sums() {
        let cases: [(&[u8], u32, &str); 4] = [
            (b"", 0, "nothing"),
            (b"123456789", 0xe306_9283, "the check value of the catalogues"),
            (&[0; 32], 0x8a91_36aa, "zeros (RFC 3720 §B.4)"),
            (&[0xff; 32], 0x62a8_ab43, "ones (RFC 3720 §B.4)"),
        ];
        for (bytes, sum, what) in cases {
            assert_eq!(crc32c(bytes.iter().copied()), sum, "{what}");
        }
    }
}
