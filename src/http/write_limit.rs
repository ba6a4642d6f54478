//! A connection whose other side has to read: an answer that is not taken in time ends it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// How long an answer may take to go out, from when it could not be written any further: a reader of a byte now and then
/// holds its place no longer than one that does not read.
const ANSWER_TAKEN_WITHIN: Duration = Duration::from_secs(10);

/// A stream with a limit on the time that writes may take.
#[derive(Debug)]
pub(super) struct WriteLimit<S> {
    stream: S,
    /// Runs while something waits to be written.
    limit: Option<Pin<Box<Sleep>>>,
}

impl<S> WriteLimit<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, limit: None }
    }

    /// `written` as it is, or an error when it is pending for too long.
    fn limited<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_pending() {
            let limit = self.limit.get_or_insert_with(|| Box::pin(sleep(ANSWER_TAKEN_WITHIN)));
            ready!(limit.as_mut().poll(context));
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the answer was not read")));
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteLimit<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteLimit<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.limited(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.limited(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes once all of an answer is written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.limit = None;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_reads_a_byte_now_and_then_is_left_like_one_who_reads_nothing() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let mut limited = WriteLimit::new(ours);
        let reading = tokio::spawn(async move {
            let mut byte = [0_u8];
            while theirs.read_exact(&mut byte).await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let error = limited.write_all(&[0; 1024]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(limited);
        reading.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_was_read_in_time_leaves_the_next_one_all_of_its_time() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let mut limited = WriteLimit::new(ours);
        let reading = tokio::spawn(async move {
            let mut piece = [0_u8; 64];
            for _ in 0..4 {
                tokio::time::sleep(Duration::from_secs(6)).await;
                theirs.read_exact(&mut piece).await.unwrap();
            }
        });
        for _ in 0..3 {
            limited.write_all(&[0; 64]).await.unwrap();
            limited.flush().await.unwrap();
        }
        limited.write_all(&[0; 64]).await.unwrap();
        reading.await.unwrap();
    }
}
