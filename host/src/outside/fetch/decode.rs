//! The body of an answer, decompressed as it comes, into so many bytes and no more.

use crate::plugin::outside::FetchError;
use bytes::Bytes;
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use hyper::header::{CONTENT_ENCODING, HeaderMap};
use std::io::{self, Write};

/// Takes a body piece by piece.
pub struct Decoder {
    encoding: Encoding,
    is_empty: bool,
}

/// By the answer's `Content-Encoding`.
enum Encoding {
    Identity(Kept),
    /// RFC 1952.
    Gzip(Box<MultiGzDecoder<Kept>>),
    /// RFC 1950, which HTTP calls `deflate`.
    Deflate(Box<ZlibDecoder<Kept>>),
}

/// What was decoded.
struct Kept {
    bytes: Vec<u8>,
    max: usize,
    is_over: bool,
}

// === impl Decoder ===

impl Decoder {
    /// The one for these headers, for at most `max` bytes.
    ///
    /// # Errors
    /// When the body is encoded in a way that was not asked for.
    pub fn of(headers: &HeaderMap, max: usize) -> Result<Self, FetchError> {
        let kept = Kept { bytes: Vec::new(), max, is_over: false };
        let values = headers.get_all(CONTENT_ENCODING).iter();
        let values: Vec<_> =
            values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        let encoding = match values.join(",").trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Encoding::Identity(kept),
            "gzip" | "x-gzip" => Encoding::Gzip(Box::new(MultiGzDecoder::new(kept))),
            "deflate" => Encoding::Deflate(Box::new(ZlibDecoder::new(kept))),
            _ => {
                let text = "the answer has a content-encoding other than gzip and deflate";
                return Err(FetchError::Unreachable(text.to_owned()));
            }
        };
        Ok(Self { encoding, is_empty: true })
    }

    /// Whether what is given on is not what the peer sent.
    pub fn is_decoding(&self) -> bool {
        !matches!(self.encoding, Encoding::Identity(_))
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// When there is too much, or it is not what it says it is.
    pub fn write(&mut self, piece: &[u8]) -> Result<(), FetchError> {
        self.is_empty &= piece.is_empty();
        let written = match &mut self.encoding {
            Encoding::Identity(kept) => kept.write_all(piece),
            Encoding::Gzip(decoder) => decoder.write_all(piece),
            Encoding::Deflate(decoder) => decoder.write_all(piece),
        };
        written.map_err(|error| self.failure(&error))
    }

    /// The whole body.
    ///
    /// # Errors
    /// As [`Decoder::write`], or when it ends too early.
    pub fn finish(mut self) -> Result<Bytes, FetchError> {
        // The answer to a HEAD names an encoding and has no body.
        if !self.is_empty {
            let finished = match &mut self.encoding {
                Encoding::Identity(_) => Ok(()),
                Encoding::Gzip(decoder) => decoder.try_finish(),
                Encoding::Deflate(decoder) => decoder.try_finish(),
            };
            finished.map_err(|error| self.failure(&error))?;
        }
        Ok(Bytes::from(std::mem::take(&mut self.kept().bytes)))
    }

    fn kept(&mut self) -> &mut Kept {
        match &mut self.encoding {
            Encoding::Identity(kept) => kept,
            Encoding::Gzip(decoder) => decoder.get_mut(),
            Encoding::Deflate(decoder) => decoder.get_mut(),
        }
    }

    fn failure(&mut self, error: &io::Error) -> FetchError {
        let kept = self.kept();
        if kept.is_over {
            return FetchError::TooLarge { what: "body", max: kept.max };
        }
        FetchError::Unreachable(format!("the answer cannot be decompressed: {error}"))
    }
}

// === impl Kept ===

impl Write for Kept {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if piece.len() > self.max.saturating_sub(self.bytes.len()) {
            self.is_over = true;
            return Err(io::Error::other("over the limit"));
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
