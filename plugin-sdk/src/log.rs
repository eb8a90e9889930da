//! Lines in the gateway's log, and a panic's last words.

/// How grave a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// For whoever debugs the plugin.
    Trace = 0,
    /// For whoever debugs the plugin.
    Debug = 1,
    /// What happened.
    Info = 2,
    /// What should not have happened.
    Warn = 3,
    /// What failed.
    Error = 4,
    /// The last words before a trap.
    Fatal = 5,
}

/// Writes one line. The gateway adds the plugin's name and the event's id, and holds its limits on
/// lines and bytes.
pub fn log(level: Level, message: &str, fields: &[(String, String)]) {
    #[cfg(target_arch = "wasm32")]
    crate::bindings::base::livekit_webhook::plugin::log::log(level as u8, message, fields);
    #[cfg(not(target_arch = "wasm32"))]
    crate::native::push_line(level, message, fields);
}

/// Sends a panic's text to the host before the trap. Cheap: it stores a function without state.
#[cfg(target_arch = "wasm32")]
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| log(Level::Fatal, &panic.to_string(), &[])));
}

/// Writes a line for whoever debugs the plugin in depth. As `format!`.
#[macro_export]
macro_rules! trace {
    ($($arg:tt)*) => { $crate::log($crate::Level::Trace, &::std::format!($($arg)*), &[]) };
}

/// Writes a line for whoever debugs the plugin. As `format!`.
#[macro_export]
macro_rules! debug {
    ($($arg:tt)*) => { $crate::log($crate::Level::Debug, &::std::format!($($arg)*), &[]) };
}

/// Writes a line on what happened. As `format!`.
#[macro_export]
macro_rules! info {
    ($($arg:tt)*) => { $crate::log($crate::Level::Info, &::std::format!($($arg)*), &[]) };
}

/// Writes a line on what should not have happened. As `format!`.
#[macro_export]
macro_rules! warn {
    ($($arg:tt)*) => { $crate::log($crate::Level::Warn, &::std::format!($($arg)*), &[]) };
}

/// Writes a line on what failed. As `format!`.
#[macro_export]
macro_rules! error {
    ($($arg:tt)*) => { $crate::log($crate::Level::Error, &::std::format!($($arg)*), &[]) };
}
