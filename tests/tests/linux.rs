//! Linux boots to a shell, which takes a command from standard input and ends the run: `manifests/linux.yaml`, on the emulated
//! backend, on the embedded machine and on a KVM that can page in 32 bits, this machine's or the nested VM's.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, LazyLock};

use libtest_mimic::{Arguments, Failed, Trial};
use stos_tests::backends::kvm_that_pages;
use stos_tests::guests::Text;
use stos_tests::nested::{self, Case, Payload};
use stos_tests::tools::{Run, root, run, tool, tool_path};

/// What the shell is told: to compute, to look at what the kernel was handed, and to end the run by way of the exit port.
const COMMANDS: &str = r"echo sum=$((6 * 7)); uname -m; grep -o 'loglevel=3' /proc/cmdline; grep Reserved /proc/iomem
printf '\0' | dd of=/dev/port bs=1 seek=244
";
/// What must come of it, in this order.
const ANSWERS: &[&str] =
    &["linux# ", "sum=42", "i686", "loglevel=3", "0009fc00-0009ffff : Reserved", "dd of=/dev/port"];

/// A shell script that runs a guest with a shell: the arguments are a folder for its files, the commands, and the command line
/// of `stos-run`. The commands are typed when the prompt is there, because what comes while the kernel sets up its serial port
/// is lost. A guest that ends before ends the wait.
const SCRIPT: &str = r#"
folder=$1 commands=$2
shift 2
touch "$folder/out"
(
    until grep -q 'linux# ' "$folder/out"; do
        [ ! -e "$folder/status" ] || exit
        sleep 0.2
    done
    printf '%s' "$commands"
) | {
    "$@" >"$folder/out"
    echo $? >"$folder/status"
}
cat "$folder/out"
exit "$(cat "$folder/status")"
"#;

/// Nested in an emulated machine, the boot takes a minute or two.
const LIMIT_SECONDS: u32 = 600;

/// `sh` and the arguments that make it run [`SCRIPT`] in `folder`.
fn script(folder: &str, stos_run: &str, backend: &str, image: &str) -> Vec<String> {
    let limit = format!("{LIMIT_SECONDS}s");
    let words =
        ["sh", "-c", SCRIPT, "sh", folder, COMMANDS, stos_run, "--backend", backend, "--timeout", &limit, image];
    words.map(str::to_owned).to_vec()
}

fn check(found: &Run) -> Result<(), Failed> {
    let mistakes = Text::With(ANSWERS, &[]).mistakes(&found.stdout);
    if found.status == Some(0) && mistakes.is_empty() {
        return Ok(());
    }
    Err(format!("expected status 0; {mistakes:?}: {found:?}").into())
}

/// Gets the kernel, and packs it into `image`.
fn pack(image: &Path) -> Result<(), String> {
    let fetched = run(&mut Command::new(root().join("scripts/fetch-linux.sh")));
    if fetched.status != Some(0) {
        return Err(format!("scripts/fetch-linux.sh can't get Linux:\n{}", fetched.stderr));
    }
    let packed = run(tool("stos-pack").arg(root().join("manifests/linux.yaml")).arg("-o").arg(image));
    if packed.status != Some(0) || !packed.stderr.is_empty() {
        return Err(packed.stderr);
    }
    Ok(())
}

/// Runs the image on a backend of this machine, with `folder` for what it takes.
fn run_here(folder: &Path, backend: &str, image: &Path) -> Result<(), Failed> {
    std::fs::create_dir(folder)?;
    let stos_run = tool_path("stos-run");
    let words = script(&folder.to_string_lossy(), &stos_run.to_string_lossy(), backend, &image.to_string_lossy());
    let (program, arguments) = words.split_first().ok_or("no words")?;
    check(&Command::new(program).args(arguments).stdin(Stdio::null()).output()?.into())
}

/// Runs the image on the KVM of the nested VM.
fn run_nested(image: &Path) -> Result<(), Failed> {
    let payload = Payload {
        binaries: vec![tool_path("stos-run")],
        files: vec![(image.to_owned(), "/images/linux.img".to_owned())],
    };
    let argv = script("/tmp", "stos-run", "kvm", "/images/linux.img");
    let case =
        Case { name: "linux".to_owned(), argv, stdin: None, hide_sys: false, timeout_seconds: LIMIT_SECONDS + 30 };
    let results = nested::run(&payload, &[case]).map_err(|error| error.to_string())?;
    let result = results.into_iter().next().ok_or("no result")?;
    check(&result.into())
}

/// The image, packed when the first trial asks for it.
type Packed = LazyLock<Result<PathBuf, String>, Box<dyn FnOnce() -> Result<PathBuf, String> + Send>>;

fn main() -> io::Result<ExitCode> {
    let arguments = Arguments::from_args();
    let folder = tempfile::tempdir()?;
    let image = folder.path().join("linux.img");
    let packed: Arc<Packed> = Arc::new(LazyLock::new(Box::new(move || pack(&image).map(|()| image))));
    let image = move || packed.as_ref().as_ref().map(PathBuf::clone).map_err(Failed::from);
    let has_kvm = kvm_that_pages().is_ok();
    let kvm_folder = has_kvm.then(|| folder.path().join("kvm"));
    let way = if has_kvm { "this machine's KVM" } else { "nested KVM" };
    let here = |backend: &'static str| {
        let (folder, image) = (folder.path().join(backend), image.clone());
        Trial::test(format!("{backend}: a shell on Linux"), move || run_here(&folder, backend, &image()?))
    };
    let there = Trial::test(format!("{way}: a shell on Linux"), {
        let image = image.clone();
        move || match &kvm_folder {
            Some(folder) => run_here(folder, "kvm", &image()?),
            None => run_nested(&image()?),
        }
    });
    let trials = vec![here("emulated"), here("embedded"), there];
    Ok(libtest_mimic::run(&arguments, trials).exit_code())
}
