//! A bad way to an S3 server, for tests with the real binary: the proxy of `tests/s3`, told what to do
//! on standard input.
//!
//! ```text
//! cargo run -p cbr-store --example faulty_s3 -- 127.0.0.1:3900
//! → 127.0.0.1:41234            its address
//! spoil 7 20                   seed 7, about one request in 20 goes wrong
//! heal                         nothing goes wrong any more
//! hits                         → how many requests it has spoiled
//! ```
//! It ends when standard input does.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a tool of the tests")]

use std::io::BufRead as _;

#[expect(dead_code, reason = "tests in the same process can do more")]
#[path = "../tests/s3/proxy.rs"]
mod proxy;

use proxy::{Proxy, TRANSIENT};

fn main() {
    let upstream = std::env::args().nth(1).unwrap().parse().unwrap();
    let proxy = Proxy::start(upstream, None);
    println!("{}", proxy.address());
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["spoil", seed, one_in] => {
                proxy.seed(seed.parse().unwrap(), one_in.parse().unwrap(), &TRANSIENT);
            }
            ["heal"] => proxy.heal(),
            ["hits"] => {}
            _ => panic!("what is {line:?}?"),
        }
        println!("{}", proxy.hits().values().sum::<u64>());
    }
}
