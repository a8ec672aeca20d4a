//! An app of a test's own, which can be broken and mended while its workers run.

use std::path::Path;

const SOUND: &str = "\
async def app(scope, receive, send):
    assert scope['type'] == 'http'
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': b'ok'})
";

/// An `app.py` in a directory of its own. What runs already is not affected by changes.
pub struct App(tempfile::TempDir);

impl App {
    pub fn sound() -> Self {
        let app = Self(tempfile::tempdir().expect("a directory"));
        app.mend();
        app
    }

    pub fn directory(&self) -> &Path {
        self.0.path()
    }

    /// From now on no worker can be started.
    pub fn break_it(&self) {
        self.write("raise RuntimeError('broken on purpose')\n");
    }

    pub fn mend(&self) {
        self.write(SOUND);
    }

    fn write(&self, text: &str) {
        std::fs::write(self.directory().join("app.py"), text).expect("an app");
    }
}
