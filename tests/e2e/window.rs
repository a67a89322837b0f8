//! One window under WebDriver.

use crate::programs::{DRIVER_PORT, Programs};
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Map, Value, json};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

pub struct Window {
    client: Client,
    pictures: PathBuf,
}

impl Window {
    pub async fn open(programs: &Programs, home: &Path, practice_url: &str) -> Result<Self> {
        let mut capabilities = Map::new();
        capabilities.insert(
            "tauri:options".into(),
            json!({
                "application": programs.app,
                "args": ["--home", home, "--practice", practice_url],
            }),
        );
        let client = ClientBuilder::native()
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{DRIVER_PORT}"))
            .await?;
        Ok(Self { client, pictures: programs.pictures.clone() })
    }

    pub async fn title(&self) -> Result<String> {
        Ok(self.client.title().await?)
    }

    /// Waits until something in the page matches.
    pub async fn wait(&self, selector: &str, patience: Duration) -> Result<()> {
        let script = format!("return document.querySelector({}) !== null", json!(selector));
        if self.until_true(&script, patience).await {
            return Ok(());
        }
        let _ = self.picture("failed").await;
        Err(format!("{selector} did not come within {patience:?}; see target/e2e/failed.png").into())
    }

    /// Waits until an element holds a text.
    pub async fn wait_text(&self, selector: &str, text: &str) -> Result<()> {
        let script = format!(
            "return document.querySelector({})?.textContent.includes({}) ?? false",
            json!(selector),
            json!(text)
        );
        if self.until_true(&script, Duration::from_secs(10)).await {
            return Ok(());
        }
        let _ = self.picture("failed").await;
        let found = self.text(selector).await.unwrap_or_default();
        Err(format!("{selector} does not say {text:?} but {found:?}; see target/e2e/failed.png").into())
    }

    pub async fn until_true(&self, script: &str, patience: Duration) -> bool {
        let started = Instant::now();
        loop {
            if matches!(self.client.execute(script, Vec::new()).await, Ok(Value::Bool(true))) {
                return true;
            }
            if started.elapsed() > patience {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub async fn number(&self, script: &str) -> Result<f64> {
        self.client.execute(script, Vec::new()).await?.as_f64().ok_or_else(|| "not a number".into())
    }

    pub async fn string(&self, script: &str) -> Result<String> {
        let value = self.client.execute(script, Vec::new()).await?;
        value.as_str().map(str::to_owned).ok_or_else(|| "not a text".into())
    }

    /// Chooses in a list as a person would, whatever the driver thinks of the list's look.
    pub async fn choose(&self, selector: &str, value: &str) -> Result<()> {
        let script = "const [selector, value] = arguments;
            const list = document.querySelector(selector);
            if (!list || ![...list.options].some((option) => option.value === value)) return false;
            list.value = value;
            list.dispatchEvent(new Event('change', { bubbles: true }));
            return true";
        match self.client.execute(script, vec![json!(selector), json!(value)]).await? {
            Value::Bool(true) => Ok(()),
            _ => Err(format!("{selector} does not offer {value:?}").into()),
        }
    }

    /// Puts a text in the place of what a field says.
    pub async fn fill(&self, selector: &str, text: &str) -> Result<()> {
        let field = self.client.find(Locator::Css(selector)).await?;
        field.clear().await?;
        Ok(field.send_keys(text).await?)
    }

    pub async fn click(&self, selector: &str) -> Result<()> {
        let clicked = self.client.find(Locator::Css(selector)).await?.click().await;
        if clicked.is_err() {
            let _ = self.picture("failed").await;
        }
        clicked.map_err(|error| format!("{selector}: {error}; see target/e2e/failed.png").into())
    }

    pub async fn type_text(&self, selector: &str, text: &str) -> Result<()> {
        Ok(self.client.find(Locator::Css(selector)).await?.send_keys(text).await?)
    }

    /// Sends one key, as WebDriver writes keys.
    pub async fn press(&self, selector: &str, key: &str) -> Result<()> {
        self.type_text(selector, key).await
    }

    pub async fn text(&self, selector: &str) -> Result<String> {
        Ok(self.client.find(Locator::Css(selector)).await?.text().await?)
    }

    /// Flights of the camera, fades and the last tiles.
    pub async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(2_500)).await;
    }

    /// Makes the window as large as told.
    pub async fn resize(&self, width: u32, height: u32) -> Result<()> {
        self.client.set_window_size(width, height).await?;
        let script = format!("return window.innerWidth === {width}");
        if self.until_true(&script, Duration::from_secs(5)).await {
            return Ok(());
        }
        let is = self.number("return window.innerWidth").await?;
        Err(format!("the window is {is} wide and not {width}").into())
    }

    /// The window as a PNG.
    pub async fn screenshot(&self) -> Result<Vec<u8>> {
        Ok(self.client.screenshot().await?)
    }

    /// Keeps a picture of the window, for people to look at.
    pub async fn picture(&self, name: &str) -> Result<()> {
        let png = self.client.screenshot().await?;
        std::fs::write(self.pictures.join(format!("{name}.png")), png)?;
        Ok(())
    }

    pub async fn close(self) -> Result<()> {
        Ok(self.client.close().await?)
    }
}
