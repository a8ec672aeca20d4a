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
    contents: S::Contents,
    product: S::Product,
    refused: Option<Refused<S::Contents>>,
}

/// What the files hold and is not in use.
struct Refused<C> {
    /// `None`: they could not be read.
    contents: Option<C>,
    reason: String,
    told: bool,
}

/// When it is told that the files hold something that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Each time.
    None,
    /// Once, and not before the same was found twice: files are often written one after the other.
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
        Ok(Self { source, contents, product, refused: None })
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
        self.refused.as_ref().filter(|refused| refused.told).map(|refused| &*refused.reason)
    }

    /// Reads the files again and takes what is new, if it can be used.
    pub fn look(&mut self, patience: Patience) -> Look {
        let contents = match self.source.read() {
            Ok(contents) => contents,
            Err(error) => return self.refuse(None, error.to_string(), patience),
        };
        if contents == self.contents {
            self.refused = None;
            return Look::Unchanged;
        }
        match self.judge(&contents) {
            Ok(product) => {
                (self.contents, self.product, self.refused) = (contents, product, None);
                Look::Taken
            }
            Err(reason) => self.refuse(Some(contents), reason, patience),
        }
    }

    fn judge(&self, contents: &S::Contents) -> Result<S::Product, String> {
        let new = self.source.make(contents).map_err(|error| error.to_string())?;
        match self.source.objection(&new, &self.product) {
            Some(reason) => Err(reason),
            None => Ok(new),
        }
    }

    fn refuse(
        &mut self,
        contents: Option<S::Contents>,
        reason: String,
        patience: Patience,
    ) -> Look {
        let before = self
            .refused
            .take()
            .filter(|before| before.contents == contents && before.reason == reason);
        let was_told = before.as_ref().is_some_and(|before| before.told);
        let tell = match patience {
            Patience::None => true,
            Patience::UntilFoundTwice => before.is_some() && !was_told,
        };
        let look = if tell { Look::Kept(reason.clone()) } else { Look::Unchanged };
        self.refused = Some(Refused { contents, reason, told: tell || was_told });
        look
    }
}
