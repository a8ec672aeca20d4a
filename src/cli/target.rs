//! Which running instance a command is about: the address of its admin API.

use std::process::ExitCode;

use clap::Args;

use crate::config::Address;

use super::{File, admin_address, complain};

/// How to find the admin API.
#[derive(Debug, Args)]
pub struct Target {
    #[command(flatten)]
    file: File,
    /// Where the admin API is [default: admin.address of the configuration file]
    #[arg(long, value_name = "ADDR", value_parser = Address::to_connect)]
    admin: Option<Address>,
}

impl Target {
    /// The address; or `failed`, after it was said why there is none.
    pub fn address(self, failed: u8) -> Result<Address, ExitCode> {
        if let Some(address) = self.admin {
            return Ok(address);
        }
        match admin_address(self.file).map_err(|_| ExitCode::from(failed))? {
            Some(Address::Tcp(address)) if address.port() == 0 => {
                let what = "admin.address has port 0, for which the system chose another: give it \
                            with --admin";
                Err(complain(what, failed).into())
            }
            Some(address) => Ok(address),
            None => {
                let what = "the configuration has no admin API: add `admin: { address: \
                            127.0.0.1:9180 }` and start asgate again";
                Err(complain(what, failed).into())
            }
        }
    }
}
