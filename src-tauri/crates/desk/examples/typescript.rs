//! Writes the TypeScript of the bridge: `make typescript`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).ok_or("usage: typescript DIR")?;
    desk::write_typescript(std::path::Path::new(&dir))
}
