//! Whether the host's KVM can run 32-bit kernels.

use super::host::{VendorModule, vendor_module};
use super::probe::probe;
use super::{KvmMachine, Opening};
use crate::backend::{NoKvm, Reason};

/// KVM when it can run 32-bit kernels, and why it can. Where it will be taken unless it can't be opened, `foresee` is called with it before
/// it is waited for.
///
/// # Errors
/// Why it can't.
pub fn usable(opening: Opening, foresee: impl FnOnce(&Opening)) -> Result<(KvmMachine, Reason), NoKvm> {
    let vendor = vendor_module();
    if let VendorModule::Hardware(_) = vendor {
        foresee(&opening);
    }
    let machine = opening.wait().map_err(NoKvm::Problem)?;
    match vendor {
        VendorModule::Hardware(name) => Ok((machine, Reason::VendorModule(name))),
        VendorModule::Doubtful(module) => match probe() {
            Ok(()) => Ok((machine, Reason::Probed(module))),
            Err(why) => {
                machine.dismiss();
                Err(NoKvm::NoPaging { module, why })
            }
        },
    }
}
