//! The console through which workers are asked to stop: CTRL_BREAK reaches processes of the sender's own console only,
//! and a service has none.
//!
//! One hidden console is made before the first worker, which inherits it, and stays. The other way, to enter the console
//! of each worker for the moment of its stop (`FreeConsole`, `AttachConsole`), is not taken: a process has one console
//! at a time, so that two stops side by side would take it from each other, as would the log if it writes to one; and
//! while it is attached, asgate would have to be deaf to events itself.

#![expect(unsafe_code, reason = "calls into the operating system")]

use std::io;

use windows_sys::Win32::System::Console::{
    AllocConsole, GetConsoleCP, GetConsoleWindow, GetStdHandle, STD_ERROR_HANDLE, STD_HANDLE,
    STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, SetStdHandle,
};
use windows_sys::Win32::UI::WindowsAndMessaging::{SW_HIDE, ShowWindow};

use super::check;

const STREAMS: [STD_HANDLE; 3] = [STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE];

/// Makes a console without a visible window if asgate has none.
///
/// # Errors
/// The system has none to give.
pub(super) fn ensure() -> io::Result<()> {
    if exists() {
        return Ok(());
    }
    // A new console puts itself in the place of the standard streams, where the log may go.
    // SAFETY: no pointers.
    let streams = STREAMS.map(|stream| (stream, unsafe { GetStdHandle(stream) }));
    // SAFETY: no pointers.
    let allocated = check(unsafe { AllocConsole() });
    for (stream, handle) in streams {
        // SAFETY: what the system gave for this stream is given back to it, also if that was nothing.
        unsafe { SetStdHandle(stream, handle) };
    }
    // Another thread may have been faster.
    if let Err(error) = allocated {
        return if exists() { Ok(()) } else { Err(error) };
    }
    hide();
    Ok(())
}

/// Every console has a code page; a window it may lack, as in a terminal of the newer kind.
fn exists() -> bool {
    // SAFETY: no pointers.
    unsafe { GetConsoleCP() != 0 }
}

fn hide() {
    // SAFETY: no pointers.
    let window = unsafe { GetConsoleWindow() };
    if !window.is_null() {
        // SAFETY: the window is that of our own console. The result says whether it was visible.
        unsafe { ShowWindow(window, SW_HIDE) };
    }
}
