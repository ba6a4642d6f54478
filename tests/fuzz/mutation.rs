//! Alters documents by a seed: the same seed makes the same document.

/// The longest document: readers bound what they take long before.
const LONGEST: usize = 256 * 1024;

/// Pieces at which readers of JSON, YAML, PEM, logs and numbers stumble.
const PIECES: [&str; 32] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "\n",
    "\r\n",
    "\0",
    "\u{feff}",
    "\u{202e}",
    "\\u0000",
    "\\",
    "-",
    "-1",
    "0",
    "18446744073709551616",
    "1e400",
    "9999-12-31T23:59:59Z",
    "-0001-01-01T00:00:00Z",
    "null",
    "true",
    "{}",
    "[]",
    "&a [*a]",
    "-----BEGIN CERTIFICATE-----\n",
    "-----END CERTIFICATE-----\n",
    "-----BEGIN PRIVATE KEY-----\n",
    "spiffe://",
    "outbound|80|v1|a.b.svc",
    "TLS_error:|268435581:SSL routines",
];

/// One seeded way to alter.
pub struct Mutation(fastrand::Rng);

impl Mutation {
    pub fn of(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// One of the documents, altered up to sixteen times.
    pub fn alter(mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut document = corpus[self.0.usize(..corpus.len())].clone();
        for _ in 0..self.0.usize(1..=16) {
            self.once(&mut document, corpus);
            document.truncate(LONGEST);
        }
        document
    }

    fn once(&mut self, document: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let (from, to) = self.span(document.len());
        match self.0.u8(..8) {
            0 if from < document.len() => document[from] ^= 1 << self.0.u8(..8),
            1 if from < document.len() => document[from] = self.0.u8(..),
            2 => drop(document.drain(from..to)),
            3 => {
                let twice = document[from..to].to_vec();
                document.splice(to..to, twice);
            }
            4 => {
                let piece = PIECES[self.0.usize(..PIECES.len())];
                document.splice(from..from, piece.bytes());
            }
            5 => {
                let piece = PIECES[self.0.usize(..PIECES.len())];
                document.splice(from..to.min(from + 8), piece.bytes());
            }
            6 => {
                let other = &corpus[self.0.usize(..corpus.len())];
                let (begin, end) = self.span(other.len());
                document.splice(from..to, other[begin..end].iter().copied());
            }
            _ => {
                let piece = PIECES[self.0.usize(..PIECES.len())];
                let many = piece.repeat(self.0.usize(1..=600));
                document.splice(from..from, many.bytes());
            }
        }
    }

    /// A piece of a document, short ones more often.
    fn span(&mut self, length: usize) -> (usize, usize) {
        let from = self.0.usize(..=length);
        let most = if self.0.bool() { 16 } else { 4096 };
        (from, (from + self.0.usize(..=most)).min(length))
    }
}
