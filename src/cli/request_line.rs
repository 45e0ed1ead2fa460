//! The first line of a connection. hyper answers one that it cannot read with 400 and no word; people who type a URL into
//! curl learn what to encode.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use http::{Response, Uri};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use crate::limits::SERVE_LINE_BYTES;

/// What a connection begins with.
pub(super) enum FirstLine {
    /// What hyper reads, or refuses by itself, as far as it was read.
    Acceptable(Bytes),
    /// A request whose target is no URI.
    Unencoded,
}

/// Reads up to the end of the first line.
///
/// # Errors
/// When the connection breaks.
pub(super) async fn read(stream: &mut TcpStream) -> io::Result<FirstLine> {
    let mut read = BytesMut::new();
    // What begins with no letter, such as TLS, is no request.
    let may_be_line = |read: &BytesMut| !read.contains(&b'\n') && read.first().is_none_or(u8::is_ascii_alphabetic);
    while may_be_line(&read) && read.len() < SERVE_LINE_BYTES {
        if stream.read_buf(&mut read).await? == 0 {
            break;
        }
    }
    let line = read.as_ref().split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(if is_unencoded(line) { FirstLine::Unencoded } else { FirstLine::Acceptable(read.freeze()) })
}

/// Whether a line is that of a request, but for its target.
fn is_unencoded(line: &[u8]) -> bool {
    let Ok(line) = std::str::from_utf8(line) else { return false };
    let parts =
        line.trim_end().split_once(' ').and_then(|(method, rest)| Some((method, rest.rsplit_once(" HTTP/1.")?)));
    let Some((method, (target, _))) = parts else { return false };
    let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
    is_method && (target.contains(' ') || Uri::try_from(target).is_err())
}

/// Answers and ends the connection.
///
/// # Errors
/// When it breaks.
pub(super) async fn refuse(mut stream: TcpStream, response: Response<Bytes>) -> io::Result<()> {
    let (head, body) = response.into_parts();
    let mut text = format!("HTTP/1.1 {}\r\ncontent-length: {}\r\nconnection: close\r\n", head.status, body.len());
    for (name, value) in &head.headers {
        text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap_or_default()));
    }
    text.push_str("\r\n");
    stream.write_all(text.as_bytes()).await?;
    stream.write_all(&body).await?;
    stream.shutdown().await?;
    // A connection that ends with bytes unread is reset, and the answer with it.
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// A connection of which something was read already.
pub(super) struct Replayed {
    read: Bytes,
    stream: TcpStream,
}

impl Replayed {
    pub(super) fn new(read: Bytes, stream: TcpStream) -> Self {
        Self { read, stream }
    }
}

impl AsyncRead for Replayed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let count = self.read.len().min(buf.remaining());
        buf.put_slice(&self.read.slice(..count));
        self.read.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Replayed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::is_unencoded;

    #[test]
    fn only_a_target_that_is_no_uri_is_unencoded() {
        for line in [
            "GET /a?filter=userName eq \"bob\" HTTP/1.1\r",
            "GET /a?filter=userName%20eq%20\"bob\" HTTP/1.1\r",
            "POST /a b HTTP/1.0",
            "GET /<a> HTTP/1.1",
        ] {
            assert!(is_unencoded(line.as_bytes()), "{line}");
        }
        for line in [
            "GET /a?filter=a%20eq+%22b%22 HTTP/1.1\r",
            "OPTIONS * HTTP/1.1",
            "GET /",
            "",
            "\u{16}\u{3}",
            "get / HTTP/1.1",
        ] {
            assert!(!is_unencoded(line.as_bytes()), "{line}");
        }
    }
}
