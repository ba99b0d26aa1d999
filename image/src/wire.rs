//! The wire form of metadata and symbols: bincode's, with fixed-width little-endian integers.

use wincode::config::{Configuration, deserialize_exact, serialize};
use wincode::{SchemaRead, SchemaWrite};

use crate::error::ImageError;

/// Most memory in bytes that a count in the file may claim before its elements have been read.
const PREALLOCATION_LIMIT: usize = 64 << 20;

type Wire = Configuration<true, PREALLOCATION_LIMIT>;

const fn wire() -> Wire {
    Configuration::default().with_preallocation_size_limit::<PREALLOCATION_LIMIT>()
}

fn encoding_error(section: &'static str, reason: &impl ToString) -> ImageError {
    ImageError::Encoding { section, reason: reason.to_string() }
}

/// The bytes of `value`.
pub(crate) fn encode<T>(section: &'static str, value: &T) -> Result<Vec<u8>, ImageError>
where
    T: SchemaWrite<Wire, Src = T>,
{
    serialize(value, wire()).map_err(|error| encoding_error(section, &error))
}

/// The value that exactly `bytes` encode. A second encoding of the same value is refused: one image has one encoding.
pub(crate) fn decode<T>(section: &'static str, bytes: &[u8]) -> Result<T, ImageError>
where
    T: for<'de> SchemaRead<'de, Wire, Dst = T> + SchemaWrite<Wire, Src = T>,
{
    let value = deserialize_exact(bytes, wire()).map_err(|error| encoding_error(section, &error))?;
    if encode(section, &value)? == bytes {
        Ok(value)
    } else {
        Err(encoding_error(section, &"it is not in its one canonical form"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{any_metadata, any_symbols};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn metadata_is_written_byte_for_byte_as_bincode_writes_it(metadata in any_metadata()) {
            let ours = encode("metadata", &metadata).unwrap();
            let oracle = bincode::serde::encode_to_vec(&metadata, bincode::config::legacy()).unwrap();
            prop_assert_eq!(&ours, &oracle);
            prop_assert_eq!(decode::<crate::Metadata>("metadata", &ours).unwrap(), metadata);
        }

        #[test]
        fn symbols_are_written_byte_for_byte_as_bincode_writes_them(symbols in any_symbols()) {
            let ours = encode("symbols", &symbols).unwrap();
            let oracle = bincode::serde::encode_to_vec(&symbols, bincode::config::legacy()).unwrap();
            prop_assert_eq!(&ours, &oracle);
            prop_assert_eq!(decode::<crate::Symbols>("symbols", &ours).unwrap(), symbols);
        }

        #[test]
        fn damaged_metadata_never_panics_the_decoder(metadata in any_metadata(), at: prop::sample::Index, byte: u8) {
            let mut bytes = encode("metadata", &metadata).unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(decoded) = decode::<crate::Metadata>("metadata", &bytes) {
                prop_assert_eq!(encode("metadata", &decoded).unwrap(), bytes);
            }
        }
    }

    #[test]
    fn a_count_larger_than_the_section_is_refused() {
        let bytes = u64::MAX.to_le_bytes();
        assert!(matches!(
            decode::<crate::Symbols>("symbols", &bytes),
            Err(ImageError::Encoding { section: "symbols", .. })
        ));
    }
}
