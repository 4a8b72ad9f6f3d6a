//! TLS: who may enter, what is told in the clear, and the tools of others on either side.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use cbr_nbd::{Client, ClientTls, Error, Exports, Limits, Server, ServerTls, Wishes};
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::support::{MemoryDisk, clock, have, pattern, run};

const SIZE: usize = 2 << 20;
const TLS_REQUIRED: u32 = 0x8000_0005;

/// Certificates in a folder, laid out as QEMU wants them.
struct Certificates(tempfile::TempDir);

impl Certificates {
    /// None: there is no `openssl`, and the test says so.
    async fn make(test: &str) -> Option<Self> {
        if std::process::Command::new("openssl").arg("version").output().is_err() {
            have(test, &["openssl"]);
            return None;
        }
        let all = Self(tempfile::tempdir().unwrap());
        all.authority("ca").await;
        all.authority("other").await;
        for (who, name) in [("server", "DNS:localhost,IP:127.0.0.1"), ("client", "DNS:client")] {
            all.signed(who, name).await;
        }
        Some(all)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.0.path().join(name)).unwrap()
    }

    async fn authority(&self, name: &str) {
        let (cert, key) = (format!("{name}-cert.pem"), format!("{name}-key.pem"));
        let subject = format!("/CN={name}");
        let (cert, key) = (self.path(&cert), self.path(&key));
        let curve =
            ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9"];
        let mut arguments = vec!["req", "-x509", "-subj", &subject, "-out", &cert, "-keyout", &key];
        arguments.extend(curve);
        run("openssl", &arguments).await;
    }

    async fn signed(&self, who: &str, name: &str) {
        let (request, cert, key) = (
            self.path("request"),
            self.path(&format!("{who}-cert.pem")),
            self.path(&format!("{who}-key.pem")),
        );
        let subject = format!("/CN={who}");
        run(
            "openssl",
            &[
                "req",
                "-new",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-subj",
                &subject,
                "-out",
                &request,
                "-keyout",
                &key,
            ],
        )
        .await;
        let extensions = self.path("extensions");
        let usage = format!("subjectAltName={name}\nextendedKeyUsage={who}Auth\n");
        std::fs::write(&extensions, usage).unwrap();
        let (ca, ca_key) = (self.path("ca-cert.pem"), self.path("ca-key.pem"));
        run(
            "openssl",
            &[
                "x509",
                "-req",
                "-in",
                &request,
                "-CA",
                &ca,
                "-CAkey",
                &ca_key,
                "-CAcreateserial",
                "-days",
                "9",
                "-extfile",
                &extensions,
                "-out",
                &cert,
            ],
        )
        .await;
    }

    fn server(&self, demands_certificates: bool, required: bool) -> ServerTls {
        let (chain, key) = (self.read("server-cert.pem"), self.read("server-key.pem"));
        let clients = demands_certificates.then(|| self.read("ca-cert.pem"));
        ServerTls::new(&chain, &key, clients.as_deref(), required).unwrap()
    }

    fn client(&self, authority: &str, shows_certificate: bool) -> Wishes {
        let authority = self.read(&format!("{authority}-cert.pem"));
        let own = (self.read("client-cert.pem"), self.read("client-key.pem"));
        let own = shows_certificate.then_some((&*own.0, &*own.1));
        Wishes::new("").secured(ClientTls::new(&authority, own, "localhost").unwrap())
    }
}

/// A server over TCP, until dropped.
struct Secured {
    port: u16,
    stop: CancellationToken,
}

impl Secured {
    async fn start(tls: Option<ServerTls>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, stop) = (listener.local_addr().unwrap().port(), CancellationToken::new());
        let exports = Exports::default().with("", Arc::new(MemoryDisk::new(pattern(SIZE), false)));
        let mut server = Server::new(exports, Limits::default(), clock());
        if let Some(tls) = tls {
            server = server.with_tls(tls);
        }
        let until = stop.clone();
        tokio::spawn(async move { server.serve_tcp(listener, until).await });
        Self { port, stop }
    }

    async fn connect(&self, wishes: Wishes) -> Result<Client, Error> {
        Client::connect_tcp(("127.0.0.1", self.port), wishes, clock()).await
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn content(client: &Client) -> Vec<u8> {
    client.read(0, u32::try_from(SIZE).unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_is_meant_to_enters_and_only_with_tls() {
    let Some(all) = Certificates::make("who enters over TLS").await else { return };
    let open = Secured::start(Some(all.server(false, true))).await;
    assert!(content(&open.connect(all.client("ca", false)).await.unwrap()).await == pattern(SIZE));
    let plain = open.connect(Wishes::new("")).await;
    assert!(matches!(plain, Err(Error::Refused { reply: TLS_REQUIRED, .. })), "{plain:?}");
    let foreign = open.connect(all.client("other", false)).await;
    assert!(matches!(foreign, Err(Error::Connection { .. })), "{foreign:?}");

    let guarded = Secured::start(Some(all.server(true, true))).await;
    let known = guarded.connect(all.client("ca", true)).await.unwrap();
    assert!(content(&known).await == pattern(SIZE));
    let unknown = guarded.connect(all.client("ca", false)).await;
    assert!(matches!(unknown, Err(Error::Connection { .. })), "{unknown:?}");

    let optional = Secured::start(Some(all.server(false, false))).await;
    for wishes in [Wishes::new(""), all.client("ca", false)] {
        let client = optional.connect(wishes).await.unwrap();
        assert!(content(&client).await == pattern(SIZE));
    }
    // A client that wants TLS never goes on without.
    let without = Secured::start(None).await;
    let refused = without.connect(all.client("ca", false)).await;
    assert!(matches!(refused, Err(Error::Refused { option: "STARTTLS", .. })), "{refused:?}");
}

/// An option, and the kind of the first reply to it.
async fn option(
    stream: &mut (impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin),
    option: u32,
    data: &[u8],
) -> u32 {
    let mut bytes = b"IHAVEOPT".to_vec();
    bytes.extend_from_slice(&option.to_be_bytes());
    bytes.extend_from_slice(&u32::try_from(data.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(data);
    stream.write_all(&bytes).await.unwrap();
    let mut header = [0; 20];
    stream.read_exact(&mut header).await.unwrap();
    let length = u32::from_be_bytes(header[16..20].try_into().unwrap());
    stream.read_exact(&mut vec![0; length as usize]).await.unwrap();
    u32::from_be_bytes(header[12..16].try_into().unwrap())
}

/// What somebody on the way put in before TLS began has no effect after.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_agreed_in_the_clear_holds_after_tls_began() {
    const STARTTLS: u32 = 5;
    const STRUCTURED_REPLY: u32 = 8;
    const SET_META_CONTEXT: u32 = 10;
    let Some(all) = Certificates::make("no downgrade of TLS").await else { return };
    let served = Secured::start(Some(all.server(false, false))).await;
    let mut stream = TcpStream::connect(("127.0.0.1", served.port)).await.unwrap();
    stream.read_exact(&mut [0; 18]).await.unwrap();
    stream.write_all(&3_u32.to_be_bytes()).await.unwrap();
    let ack = 1;
    assert_eq!(option(&mut stream, STRUCTURED_REPLY, &[]).await, ack);
    assert_eq!(option(&mut stream, STARTTLS, b"x").await, 0x8000_0003, "it has no data");
    assert_eq!(option(&mut stream, STARTTLS, &[]).await, ack);

    let mut roots = rustls::RootCertStore::empty();
    let authority = all.read("ca-cert.pem");
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(&authority).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    let mut contexts = 0_u32.to_be_bytes().to_vec();
    contexts.extend_from_slice(&0_u32.to_be_bytes());
    let refused = option(&mut stream, SET_META_CONTEXT, &contexts).await;
    assert_eq!(refused, 0x8000_0003, "structured replies were agreed in the clear only");
    assert_eq!(option(&mut stream, STARTTLS, &[]).await, 0x8000_0001, "not twice");
    assert_eq!(option(&mut stream, STRUCTURED_REPLY, &[]).await, ack);
}

#[tokio::test(flavor = "multi_thread")]
async fn qemu_and_libnbd_read_our_server_over_tls() {
    let test = "QEMU and libnbd over TLS";
    let Some(all) = Certificates::make(test).await else { return };
    if !have(test, &["qemu-img", "nbdinfo"]) {
        return;
    }
    let served = Secured::start(Some(all.server(true, true))).await;
    let raw = all.path("raw");
    std::fs::write(&raw, pattern(SIZE)).unwrap();
    let credentials = format!("tls-creds-x509,id=t,endpoint=client,dir={}", all.path(""));
    let theirs = format!("driver=nbd,host=localhost,port={},tls-creds=t", served.port);
    let file = format!("driver=raw,file.driver=file,file.filename={raw}");
    let compare = ["compare", "--object", &credentials, "--image-opts", &file, &theirs];
    run("qemu-img", &compare).await;
    let folder = all.path("");
    let uri = format!("nbds://localhost:{}/?tls-certificates={folder}", served.port);
    assert_eq!(run("nbdinfo", &["--size", &uri]).await.trim(), SIZE.to_string());
    let plain = format!("nbd://localhost:{}/", served.port);
    let refused = std::process::Command::new("nbdinfo").args(["--size", &plain]).output().unwrap();
    assert!(!refused.status.success(), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn our_client_reads_qemu_nbd_over_tls() {
    let test = "our client with qemu-nbd over TLS";
    let Some(all) = Certificates::make(test).await else { return };
    if !have(test, &["qemu-nbd"]) {
        return;
    }
    let raw = all.path("raw");
    std::fs::write(&raw, pattern(SIZE)).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let _server = serve_with_qemu(&all, Path::new(&raw), port).await;
    let wishes = || all.client("ca", true);
    let address = ("127.0.0.1", port);
    let client = Client::connect_tcp(address, wishes(), clock()).await.unwrap();
    assert!(content(&client).await == pattern(SIZE));
    let plain = Client::connect_tcp(address, Wishes::new(""), clock()).await;
    assert!(matches!(plain, Err(Error::Refused { reply: TLS_REQUIRED, .. })), "{plain:?}");
}

async fn serve_with_qemu(all: &Certificates, raw: &Path, port: u16) -> tokio::process::Child {
    let credentials =
        format!("tls-creds-x509,id=t,endpoint=server,verify-peer=yes,dir={}", all.path(""));
    let process = tokio::process::Command::new("qemu-nbd")
        .args([
            "--object",
            &credentials,
            "--tls-creds=t",
            "--shared=4",
            "--persistent",
            "--format=raw",
        ])
        .args(["--bind=127.0.0.1", &format!("--port={port}")])
        .arg(raw)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    for _ in 0..1000 {
        if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return process;
        }
        let mut pause = tokio::time::interval(std::time::Duration::from_millis(10));
        pause.tick().await;
        pause.tick().await;
    }
    panic!("qemu-nbd does not listen");
}
