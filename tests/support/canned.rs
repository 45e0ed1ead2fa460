//! A service of AWS as a test wants it: answers as the test says, and keeps what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use rollcall::sigv4::{AMAZON_ROOTS, SignedClient};

/// A request that came.
#[derive(Debug, Clone)]
pub struct Asked {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    }
}

/// The service, for as long as the process lives.
pub struct Canned {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Canned {
    /// Answers each request, by its number, with a status and a body.
    pub fn start(answer: impl Fn(usize, &Asked) -> (u16, String) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Some(request) = stream.as_ref().ok().and_then(read) else { continue };
                let (status, body) = answer(kept.lock().unwrap().len(), &request);
                kept.lock().unwrap().push(request);
                let _ = write!(
                    stream.unwrap(),
                    "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        Self { url, asked }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// A client that asks it.
    pub fn client(&self) -> SignedClient {
        let credentials = SharedCredentialsProvider::new(Credentials::from_keys("AKID", "secret", None));
        SignedClient::new("eu-west-1".to_owned(), credentials, Some(self.url.clone()), AMAZON_ROOTS.to_vec()).unwrap()
    }
}

fn read(stream: &std::net::TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let (mut headers, mut length) = (Vec::new(), 0);
    loop {
        let mut text = String::new();
        reader.read_line(&mut text).ok()?;
        let Some((name, value)) = text.trim().split_once(": ") else { break };
        let name = name.to_lowercase();
        if name == "content-length" {
            length = value.parse().ok()?;
        }
        headers.push((name, value.to_owned()));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { line: line.trim().to_owned(), headers, body: String::from_utf8(body).ok()? })
}
