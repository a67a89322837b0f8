//! A map of others under the layers: added by its address, drawn, and still there when its server is gone.

use crate::programs::driver;
use crate::window::Window;
use crate::{Outcome, TURN, programs};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// A red picture of one pixel: the map stretches it.
const RED: &[u8] = &[
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52, 0x00, 0x00, 0x00,
    0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x02, 0x00, 0x00, 0x00, 0x90, 0x77, 0x53, 0xde, 0x00, 0x00, 0x00, 0x0c, 0x49,
    0x44, 0x41, 0x54, 0x78, 0xda, 0x63, 0xf8, 0xcf, 0xc0, 0x00, 0x00, 0x03, 0x01, 0x01, 0x00, 0xf7, 0x03, 0x41, 0x43,
    0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82,
];

/// A server of red tiles that can be silenced.
struct Tiles {
    port: u16,
    silent: Arc<AtomicBool>,
}

impl Tiles {
    fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let (port, silent) = (listener.local_addr()?.port(), Arc::new(AtomicBool::new(false)));
        let hush = silent.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                // Closed without a word, as a server does that is being stopped.
                if !hush.load(Ordering::Relaxed) {
                    std::thread::spawn(move || answer(socket));
                }
            }
        });
        Ok(Self { port, silent })
    }
}

fn answer(mut socket: TcpStream) {
    let mut request = [0; 4_096];
    let _ = socket.read(&mut request);
    // Old at once: what is shown later has been asked for again.
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nCache-Control: max-age=1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        RED.len()
    );
    let _ = socket.write_all(&[head.as_bytes(), RED].concat());
}

/// The share of the map's middle that is plainly red.
async fn redness(window: &Window) -> Result<f64, Box<dyn std::error::Error>> {
    let png = window.screenshot().await?;
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info()?;
    let mut pixels = vec![0; reader.output_buffer_size().ok_or("a picture too large")?];
    let info = reader.next_frame(&mut pixels)?;
    let (width, height, bytes) = (info.width as usize, info.height as usize, info.color_type.samples());
    let middle =
        (height / 3..height * 2 / 3).flat_map(|y| (width / 2..width * 3 / 4).map(move |x| (y * width + x) * bytes));
    let (mut red, mut all) = (0_u32, 0_u32);
    for at in middle {
        let [r, g, b] = [pixels[at], pixels[at + 1], pixels[at + 2]].map(u32::from);
        red += u32::from(r > 60 && r > 2 * g && r > 2 * b);
        all += 1;
    }
    Ok(f64::from(red) / f64::from(all))
}

async fn until_red(window: &Window) -> Outcome {
    let mut share = 0.0;
    for _ in 0..20 {
        share = redness(window).await?;
        if share > 0.5 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    window.picture("failed").await?;
    Err(format!("only {share:.2} of the map is red; see target/e2e/failed.png").into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_base_map_added_and_seen_without_its_server() -> Outcome {
    let Some(programs) = programs() else { return Ok(()) };
    let _turn = TURN.lock().await;
    let home = tempfile::tempdir()?;
    let tiles = Tiles::start()?;
    let _driver = driver(&programs)?;
    let window = Window::open(&programs, home.path(), "none").await?;
    window.wait("html[data-ready]", Duration::from_secs(60)).await?;
    assert!(redness(&window).await? < 0.05, "the drawn map is not red");
    crate::intake::sign_in(&window).await?;

    // Pasted, tried, added, chosen.
    window.click("[data-testid='basemap-open']").await?;
    window.wait("[data-testid='basemap-drawn']:checked", Duration::from_secs(5)).await?;
    window.click("[data-testid='basemap-add']").await?;
    let address = format!("http://127.0.0.1:{}/{{z}}/{{x}}/{{y}}.png", tiles.port);
    window.type_text("[data-testid='basemap-url']", &address).await?;
    window.press("[data-testid='basemap-url']", "\u{e007}").await?;
    window.wait("[data-testid='basemap-corner']", PATIENCE).await?;
    until_red(&window).await?;
    window.settle().await;
    window.picture("40-base-map").await?;

    // Its list says what is kept; the view can be fetched beforehand.
    window.click("[data-testid='basemap-open']").await?;
    window.wait("[data-testid='preload-open']", Duration::from_secs(5)).await?;
    window.picture("41-base-maps").await?;
    window.click("[data-testid='preload-open']").await?;
    window.wait("[data-testid='preload-begin']:enabled", PATIENCE).await?;
    window.picture("42-base-map-beforehand").await?;
    window.click("[data-testid='preload-begin']").await?;
    let fetched = "return window.__toancanh.state.basemaps.list.some((one) => one.areas.length === 1)";
    assert!(window.until_true(fetched, Duration::from_secs(120)).await, "the area was not fetched");

    // In light colours too.
    window.string("window.__toancanh.state.change({ theme: 'light' }); return ''").await?;
    window.settle().await;
    window.picture("43-base-map-light").await?;
    window.close().await?;

    // A second start, with the server gone.
    tiles.silent.store(true, Ordering::Relaxed);
    // A tile is used for half a minute whatever its server says; older ones are asked for again.
    tokio::time::sleep(Duration::from_secs(31)).await;
    let window = Window::open(&programs, home.path(), "none").await?;
    window.wait("html[data-ready]", Duration::from_secs(60)).await?;
    until_red(&window).await?;
    window.wait("[data-testid='basemap-corner'] .age", PATIENCE).await?;
    let year = window.string("return String(new Date().getFullYear())").await?;
    window.wait_text("[data-testid='basemap-corner']", &year).await?;
    window.picture("44-base-map-offline").await?;
    window.close().await
}
