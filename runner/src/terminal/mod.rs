//! The terminal of the person who runs a guest: what is typed on it and what is drawn on it.

mod escapes;
mod guest_text;
mod hold;
mod input;
mod keys;
mod live;
mod lookalike;
mod raw;
mod route;
mod show;
mod typing;

pub use escapes::Escapes;
pub use guest_text::{GuestText, marked, unlike_places};
pub use hold::{HeldWriter, Hold};
#[cfg(feature = "fuzzing")]
pub use input::take_keys;
pub use input::{Escape, Shortcut, spawn_input};
pub use keys::scan_codes;
#[cfg(feature = "fuzzing")]
pub use live::Renderer;
pub use live::{LiveScreen, give_back};
pub use raw::{Input, RawTerminal};
pub use route::{KeyboardChoice, Route};
pub use show::{ScreenMode, Show};
pub use typing::{Reads, Typing};
