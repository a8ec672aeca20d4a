//! From a file, or its text, to the checked configuration.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::check::{check, check_admin};
use super::checked::{Address, Config};
use super::place::Place;
use super::problem::{Position, Problem, Problems, Severity};
use super::schema::schema;
use super::structure::shape;
use super::yaml::{self, Env, FILE};
use super::{model, yaml::end_of};

/// More than any configuration needs; a wrong file name must not fill the memory.
const LARGEST_FILE: u64 = 16 << 20;

/// The section that says where the admin API is.
const ADMIN: &str = "admin";

/// A configuration, and what is to be said about its file all the same.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    /// May be empty; each is a [`Severity::Warning`].
    pub warnings: Problems,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read at all.
    #[error("{}: cannot be read", .file.display())]
    Unreadable { file: PathBuf, source: io::Error },
    /// It could, and this is what is wrong with it.
    #[error(transparent)]
    Invalid(#[from] Problems),
}

/// Read, validate and resolve the file at `path` with the environment of this process.
///
/// # Errors
/// [`LoadError::Unreadable`] when there is no such file or it cannot be read,
/// [`LoadError::Invalid`] with everything that is wrong with it.
pub fn load(path: &Path) -> Result<Loaded, LoadError> {
    let bytes = read(path)?;
    Ok(parse(text(&bytes, path)?, path, &environment)?)
}

/// Where the instance that was started with the file at `path` has its admin API; `None` when it has none. What else
/// has become of the file since, and of the files that it names, does not matter.
///
/// # Errors
/// [`LoadError::Unreadable`] as for [`load`], [`LoadError::Invalid`] when the file is no YAML or its `admin` section is
/// wrong.
pub fn admin_address(path: &Path) -> Result<Option<Address>, LoadError> {
    let bytes = read(path)?;
    let (tree, mut problems) = yaml::read(text(&bytes, path)?, &environment);
    let Some(tree) = tree else {
        return Err(Problems::new(path, problems).into());
    };
    let shaped = shape(&tree, &schema(), &mut problems);
    let file: model::File = serde_json::from_value(shaped.value.clone()).unwrap_or_default();
    let (address, found) = check_admin(&file, &Place::root(&tree), &directory_of(path));
    problems.retain(|problem| problem.path == ADMIN || problem.path.starts_with("admin."));
    problems.extend(found);
    if problems.is_empty() { Ok(address) } else { Err(Problems::new(path, problems).into()) }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let unreadable = |source| LoadError::Unreadable { file: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST_FILE {
        let error = io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 16 MiB");
        return Err(unreadable(error));
    }
    Ok(bytes)
}

fn text<'a>(bytes: &'a [u8], path: &Path) -> Result<&'a str, Problems> {
    utf8(bytes).map_err(|problem| Problems::new(path, vec![problem]))
}

/// Check `text`, which is what `file` holds. `env` answers for `${NAME}`.
///
/// Of the files that the text names, those with certificates are read; of others only the existence
/// matters. Relative ones start from the directory of `file`.
///
/// # Errors
/// Everything that is wrong, and what would be warned of, in the order of the text.
pub fn parse(text: &str, file: &Path, env: Env<'_>) -> Result<Loaded, Problems> {
    let (tree, mut problems) = yaml::read(text, env);
    let Some(tree) = tree else {
        return Err(Problems::new(file, problems));
    };
    let shaped = shape(&tree, &schema(), &mut problems);
    let root = Place::root(&tree);
    let config = match serde_json::from_value::<model::File>(shaped.value.clone()) {
        Ok(model) => {
            let (config, found) = check(&model, &root, Some(&shaped), &directory_of(file));
            problems.extend(found);
            config
        }
        // The value fits the schema that serde's types made.
        Err(error) => {
            problems.push(root.problem(format!("cannot be understood: {error}"), "the schema"));
            None
        }
    };
    let is_refused = problems.iter().any(|problem| problem.severity == Severity::Error);
    let problems = Problems::new(file, problems);
    match config {
        Some(config) if !is_refused => Ok(Loaded { config, warnings: problems }),
        _ => Err(problems),
    }
}

/// The absolute directory of `file`.
fn directory_of(file: &Path) -> PathBuf {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    absolute.parent().map_or(absolute.clone(), Path::to_owned)
}

fn utf8(bytes: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map_err(|error| {
        let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let position = std::str::from_utf8(valid).map_or(Position::START, end_of);
        let first = bytes.get(error.valid_up_to()).copied().unwrap_or_default();
        Problem {
            severity: Severity::Error,
            position,
            path: FILE.to_owned(),
            what: "is not UTF-8".to_owned(),
            got: format!("the byte 0x{first:02x}"),
            allowed: "UTF-8 text".to_owned(),
        }
    })
}
