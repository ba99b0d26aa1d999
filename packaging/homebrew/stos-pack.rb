# For Homebrew on Linux, built from a checkout whose path is in STOS_SOURCE:
#
#   HOMEBREW_STOS_SOURCE=$PWD brew install --formula packaging/homebrew/stos-pack.rb
#
# Checked: `ruby -c`, and each step of `install` as a command. Not tried with brew, which is not to be had where it was written.
# There is no macOS in it: KVM, the sandbox and much of the runner are Linux', and nothing of it has been compiled there.
class StosPack < Formula
  desc "Boot images for 32-bit teaching kernels, and the runner that starts them"
  url "file://#{ENV.fetch("HOMEBREW_STOS_SOURCE", "/nowhere")}", using: :git
  version "0.1.0"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on "rust" => :build
  depends_on arch: :x86_64
  depends_on :linux

  def install
    system "make", "build", "examples"
    system "scripts/dist.sh", "tree", "target/release", prefix
  end

  test do
    assert_match "Loading complete",
                 shell_output("#{bin}/stos-run -q --backend embedded #{share}/stos-pack/ministos.img")
  end
end
