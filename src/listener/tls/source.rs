//! Files that are in use and may be replaced at any time: read again, compared, taken, or refused.
//!
//! Knows when to take what, and nothing of what is in the files.

use std::path::PathBuf;

use super::SetupError;

/// Files and what is made of them.
pub trait Source {
    /// What the files hold; equal when nothing has changed.
    type Contents: PartialEq;
    /// What is made of it.
    type Product;

    /// The first of the files.
    fn path(&self) -> PathBuf;

    /// Reads them; blocks meanwhile.
    fn read(&self) -> Result<Self::Contents, SetupError>;

    fn make(&self, contents: &Self::Contents) -> Result<Self::Product, SetupError>;

    /// Why `new` should not take the place of `current` although it could, in one line. Called again as long as the files
    /// hold it, since time may do away with the reason.
    fn objection(&self, new: &Self::Product, current: &Self::Product) -> Option<String>;
}

/// Files whose contents are in use.
pub struct InUse<S: Source> {
    source: S,
    contents: Found<S::Contents>,
    product: S::Product,
    waiting: Option<Waiting<S>>,
}

/// What the files hold and is not in use.
struct Waiting<S: Source> {
    found: Found<S::Contents>,
    /// What was made of it, if that was tried: it is the same each time, and may take long.
    made: Option<Result<S::Product, String>>,
    /// Why it is not taken, if that was told.
    told: Option<String>,
}

#[derive(PartialEq)]
enum Found<C> {
    Contents(C),
    /// For this reason.
    Unreadable(String),
}

/// When what the files hold is believed to be all of what was to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// At once; and if it cannot be used, that is told each time.
    None,
    /// When the same was found twice: files are written piece by piece and one after the other, and half of one may
    /// look like a whole one. If it cannot be used, that is told once.
    UntilFoundTwice,
}

/// What came of another look at the files.
#[derive(Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing new, or nothing to be told.
    Unchanged,
    Taken,
    /// What was in use stays, for a reason.
    Kept(String),
}

impl<S: Source> InUse<S> {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// They cannot be used.
    pub fn open(source: S) -> Result<Self, SetupError> {
        let contents = source.read()?;
        let product = source.make(&contents)?;
        Ok(Self { source, contents: Found::Contents(contents), product, waiting: None })
    }

    /// The first of the files.
    pub fn path(&self) -> PathBuf {
        self.source.path()
    }

    /// What was made of the files and is in use.
    pub const fn product(&self) -> &S::Product {
        &self.product
    }

    /// Why what the files hold is not in use, if that was told.
    pub fn trouble(&self) -> Option<&str> {
        self.waiting.as_ref()?.told.as_deref()
    }

    /// Reads the files again and takes what is new, if it can be used.
    pub fn look(&mut self, patience: Patience) -> Look {
        let found = match self.source.read() {
            Ok(contents) => Found::Contents(contents),
            Err(error) => Found::Unreadable(error.to_string()),
        };
        let before = self.waiting.take();
        if found == self.contents {
            return Look::Unchanged;
        }
        let before = before.filter(|before| before.found == found);
        if patience == Patience::UntilFoundTwice && before.is_none() {
            self.waiting = Some(Waiting { found, made: None, told: None });
            return Look::Unchanged;
        }
        let (made, told) = before.map_or((None, None), |before| (before.made, before.told));
        let made = made.unwrap_or_else(|| self.make(&found));
        let (made, reason) = match made {
            Ok(new) => match self.source.objection(&new, &self.product) {
                Some(reason) => (Ok(new), reason),
                None => {
                    (self.contents, self.product) = (found, new);
                    return Look::Taken;
                }
            },
            Err(reason) => (Err(reason.clone()), reason),
        };
        let was_told = told.as_ref() == Some(&reason);
        self.waiting = Some(Waiting { found, made: Some(made), told: Some(reason.clone()) });
        match patience {
            Patience::UntilFoundTwice if was_told => Look::Unchanged,
            Patience::UntilFoundTwice | Patience::None => Look::Kept(reason),
        }
    }

    /// What is made of what was found, or why nothing can be.
    fn make(&self, found: &Found<S::Contents>) -> Result<S::Product, String> {
        match found {
            Found::Contents(contents) => {
                self.source.make(contents).map_err(|error| error.to_string())
            }
            Found::Unreadable(reason) => Err(reason.clone()),
        }
    }
}
