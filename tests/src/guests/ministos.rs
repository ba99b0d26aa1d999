//! ministos, with its modules and its initramfs.

use super::guest::Guest;
use super::text::Text;
use crate::tools::root;

/// ministos with its modules and its initramfs, and with `cmdline`.
fn ministos(name: &str, cmdline: &str, status: i32, with: &'static [&'static str]) -> Guest {
    let examples = root().join("examples/ministos").display().to_string();
    let module = |module| format!("  - path: {examples}/{module}.ko\n");
    let modules: String = ["timer", "shell", "init"].map(module).concat();
    let lines = format!("cmdline: {cmdline}\ninitramfs: {{directory: {examples}/initramfs}}\nmodules:\n{modules}");
    let stdout = Text::With(with, &["FAILED"]);
    Guest { lines, stdout, ..Guest::tiny(name, "ministos/kernel", status, "") }
}

/// All of them.
pub fn all() -> Vec<Guest> {
    let loading_complete = &["Boot memory map:", "This is ministos booting (i386) !", "Loading complete"];
    vec![
        ministos("ministos", "init.mode=all timer.hz=100", 0, loading_complete),
        ministos("ministos in 3 GiB", "init.mode=all timer.hz=100", 0, loading_complete).memory("3GiB"),
        ministos("ministos at 1000 Hz", "init.mode=all timer.hz=1000", 0, &["timer: 1000 Hz", "Loading complete"]),
        ministos("ministos shell", "init.mode=tests shell.interactive=1", 7, &["Loading complete", "etc/motd"])
            .input("ls\nexit 7\n"),
        ministos("ministos without a mode", "timer.hz=100", 101, &["Kernel panic: init mode required"])
            .says(&["the guest panicked"]),
        ministos("ministos on the host's processor", "init.mode=all timer.hz=100", 0, loading_complete)
            .options(&["--timeout", "60s", "--cpu", "host"])
            .says(&["stos-run: the guest's CPU is "]),
    ]
}
