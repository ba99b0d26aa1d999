# For Nix on Linux, from a checkout: nix build 'git+file:.?dir=packaging/nix'
# Checked: Nix 2.8 evaluates each output with a made-up nixpkgs, sources included. Not built: the real nixpkgs was not to be had where it was
# written, so its first build may want something more.
{
  description = "Boot images for 32-bit teaching kernels, and the runner that starts them";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      system = "x86_64-linux";
      pkgs = nixpkgs.legacyPackages.${system};
      source = ../..;
      manifest = builtins.fromTOML (builtins.readFile (source + "/Cargo.toml"));
      stos = pkgs.rustPlatform.buildRustPackage {
        pname = "stos-pack";
        version = manifest.workspace.package.version;
        src = source;
        cargoLock.lockFile = source + "/Cargo.lock";
        cargoBuildFlags = [ "-p" "stos-pack" "-p" "stos-run" ];
        # Nix' flags are for programs of the distribution, not for kernels.
        hardeningDisable = [ "all" ];
        # The tests start guests, compile kernels and want the network: `make test`.
        doCheck = false;
        postBuild = "make -C examples";
        installPhase = ''
          runHook preInstall
          bash scripts/dist.sh tree target/${pkgs.stdenv.hostPlatform.rust.rustcTarget}/release $out
          runHook postInstall
        '';
        doInstallCheck = true;
        installCheckPhase = ''
          $out/bin/stos-run -q --backend embedded $out/share/stos-pack/ministos.img | grep -x 'Loading complete'
        '';
        meta = {
          description = "Boot images for 32-bit teaching kernels, and the runner that starts them";
          license = with pkgs.lib.licenses; [ mit asl20 ];
          platforms = [ system ];
          mainProgram = "stos-run";
        };
      };
    in
    {
      packages.${system}.default = stos;
      apps.${system} = {
        default = self.apps.${system}.stos-run;
        stos-run = { type = "app"; program = "${stos}/bin/stos-run"; };
        stos-pack = { type = "app"; program = "${stos}/bin/stos-pack"; };
      };
      devShells.${system}.default = pkgs.mkShell {
        inputsFrom = [ stos ];
        packages = [ pkgs.qemu ];
      };
    };
}
