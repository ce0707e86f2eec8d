//! A door in front of a stand-in. It can keep one answer back for ever, so that a test knows that a request has had its
//! effect while whoever sent it is still waiting, or lose one request on its way. Knows no service.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, mpsc},
};

/// What becomes of the request that is meant.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Kept,
    Lost,
}

pub struct Front {
    url: String,
    /// Says when an answer is being kept back.
    kept: mpsc::Receiver<()>,
    hold: Arc<Mutex<Option<String>>>,
}

impl Front {
    /// Before the server at `http://HOST:PORT`. The answer to the first request whose first line contains the text is
    /// kept.
    pub fn keeping(server: &str, text: &str) -> Front {
        Front::of(server, text, Fate::Kept)
    }

    /// The first such request is lost, and its connection closed.
    pub fn losing(server: &str, text: &str) -> Front {
        Front::of(server, text, Fate::Lost)
    }

    fn of(server: &str, hold: &str, fate: Fate) -> Front {
        let behind = server.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (keeping, kept) = mpsc::channel();
        let hold = Arc::new(Mutex::new(Some(hold.to_owned())));
        let held = hold.clone();
        std::thread::spawn(move || {
            // Connections are served in turn; one that is kept stays open until whoever asked has gone.
            let mut kept_open = Vec::new();
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let Some(request) = read_request(&mut stream) else { continue };
                let line = String::from_utf8_lossy(&request).lines().next().unwrap_or_default().to_owned();
                let meant = held.lock().unwrap().take_if(|text| line.contains(text.as_str())).is_some();
                if meant && fate == Fate::Lost {
                    continue;
                }
                let Some(answer) = ask(&behind, &request) else { continue };
                if meant {
                    kept_open.push(stream);
                    if keeping.send(()).is_err() {
                        return;
                    }
                } else {
                    // Whoever asked may be gone by now.
                    let _ = stream.write_all(&answer);
                }
            }
        });
        Front { url, kept, hold }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits until the request has had its effect and its answer is kept back.
    pub fn until_kept(&self) {
        self.kept.recv_timeout(std::time::Duration::from_secs(60)).expect("the request comes");
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        *self.hold.lock().unwrap() = None;
        // The thread sees one last connection, and ends with the tests.
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

/// Head and body, with the wish to close the connection afterwards.
fn read_request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-length") { value.trim().parse::<usize>().ok() } else { None }
    });
    while bytes.len() < end + 4 + length.unwrap_or(0) {
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
    }
    let mut request = format!("{head}\r\nconnection: close\r\n\r\n").into_bytes();
    request.extend_from_slice(&bytes[end + 4..]);
    Some(request)
}

fn ask(behind: &str, request: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(behind).ok()?;
    stream.write_all(request).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    Some(answer)
}
