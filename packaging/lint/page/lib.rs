//! The linter for a page in a browser, as WebAssembly without imports: it can only compute.
//!
//! The page calls [`input`] for the place of so many bytes, writes the file there, calls [`check`]
//! and reads as many bytes as that returned from [`output`].

use std::sync::Mutex;

use ecs_config::lint::{self, Context, File, render};
use serde_json::json;

static INPUT: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static OUTPUT: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// The module has one thread, and a panic ends it.
fn of(buffer: &Mutex<Vec<u8>>) -> std::sync::MutexGuard<'_, Vec<u8>> {
    buffer.lock().expect("no other thread holds it")
}

/// Where to write a file of this length; null if it is longer than any `ecs.config`.
// The names are only this module's: nothing else is linked into it.
#[unsafe(no_mangle)]
pub extern "C" fn input(length: usize) -> *mut u8 {
    if length > ecs_config::MAX_BYTES {
        return std::ptr::null_mut();
    }
    let mut bytes = of(&INPUT);
    bytes.clear();
    bytes.resize(length, 0);
    bytes.as_mut_ptr()
}

/// Checks what was written; the length of the result, which is JSON: findings as of
/// `ecs-config-lint --output json`, and the text that people read.
#[unsafe(no_mangle)]
pub extern "C" fn check(is_whole: bool) -> usize {
    let bytes = of(&INPUT);
    let file = File { source: "ecs.config", bytes: &bytes };
    let context = Context { whole: is_whole, ..Context::default() };
    let findings = lint::check(&file, &context);
    let style = render::Style { color: false, readers: context.readers() };
    let text = render::text(&file, &findings, style) + &render::summary(&findings) + "\n";
    let result = json!({"findings": findings, "text": text}).to_string();
    *of(&OUTPUT) = result.into_bytes();
    of(&OUTPUT).len()
}

/// Where the result is.
#[unsafe(no_mangle)]
pub extern "C" fn output() -> *const u8 {
    of(&OUTPUT).as_ptr()
}
