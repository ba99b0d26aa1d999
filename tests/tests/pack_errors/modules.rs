//! Modules that a kernel can't link, or probably can't.

use stos_tests::elf::{Content, Elf, Segment, Symbol};
use stos_tests::files::with_extension;
use stos_tests::tools::{root, run, tool};

use super::kernels::close_kernel;
use super::{assert_elf_refused, assert_elf_silent, assert_elf_warned};

/// A module with code and these symbols beside its own function.
fn module_with(symbols: &[Symbol], relocations: &[(u32, u32, u32)]) -> Elf {
    let mut module = Elf::module("first_init");
    // Sections: null, .bss, .modinfo, .text, .rel.text.
    module.contents.push(Content::text(16));
    module.contents.push(Content::relocations(3, relocations));
    module.symbols.extend_from_slice(symbols);
    module
}

#[test]
fn names_that_nobody_defines_get_a_warning_for_each_module() {
    let kernel = Elf {
        symbols: vec![Symbol::function("kernel_main", 0xc010_0000), Symbol::function("kprintf", 0xc010_0002)],
        ..Elf::kernel()
    };
    let misspelt = module_with(&[Symbol::undefined("kprintff"), Symbol::weak("optional_hook")], &[]);
    assert_elf_warned("undefined_symbol", &kernel, &[&misspelt]);

    let names =
        ["kpritnf", "first_inti", "spinlock_acquire", "u00", "u01", "u02", "u03", "u04", "u05", "u06", "u07", "u08"];
    let second = module_with(&names.map(Symbol::undefined), &[]);
    assert_elf_warned("undefined_symbols", &kernel, &[&misspelt, &second]);

    // Another module may come before or after; a local name is nobody else's.
    let uses_second = module_with(&[Symbol::undefined("second_init")], &[]);
    assert_elf_silent(&kernel, &[&uses_second, &Elf::module("second_init")]);
    assert_elf_silent(&kernel, &[&Elf::module("second_init"), &uses_second]);
    let local = Elf { symbols: vec![Symbol { info: 0x02, ..Symbol::function("second_init", 0) }], ..Elf::module("x") };
    assert_elf_warned("undefined_symbol_is_local", &kernel, &[&uses_second, &local]);

    // Without the kernel's symbols, nobody knows.
    assert_elf_silent(&Elf { symbols: Vec::new(), ..Elf::kernel() }, &[&misspelt]);
}

#[test]
fn modules_that_stos_can_probably_not_use_get_a_warning() {
    let no_information = Elf { contents: Vec::new(), ..Elf::module("first_init") };
    assert_elf_warned("module_without_modinfo", &Elf::kernel(), &[&no_information]);
    // R_386_32, R_386_PC32 and R_386_PLT32; R_386_NONE asks for nothing.
    assert_elf_silent(&Elf::kernel(), &[&module_with(&[], &[(0, 1, 1), (4, 1, 2), (8, 1, 4), (12, 0, 0)])]);
    let independent = module_with(&[Symbol::undefined("_GLOBAL_OFFSET_TABLE_")], &[(0, 2, 10), (4, 1, 9), (8, 1, 9)]);
    assert_elf_warned("module_position_independent", &Elf::kernel(), &[&independent]);
    assert_elf_warned("module_with_16_bit_code", &Elf::kernel(), &[&module_with(&[], &[(0, 1, 20), (2, 1, 99)])]);
}

#[test]
fn modules_that_a_kernel_can_not_link_are_refused() {
    let kernel = Elf::kernel().to_bytes();
    assert_elf_refused("module_executable", &kernel, &[&kernel]);
    let module = Elf::module("start").to_bytes();
    assert_elf_refused("module_truncated", &kernel, &[&module[..module.len() - 1]]);
    let mut elf64 = module;
    elf64[4] = 2;
    assert_elf_refused("module_elf64", &kernel, &[&elf64]);
    let stripped = Elf { symbols: Vec::new(), ..Elf::module("start") };
    assert_elf_refused("module_without_symbols", &kernel, &[&stripped.to_bytes()]);
    let one = module_with(&[Symbol::common("counter", 4)], &[]);
    assert_elf_refused("module_common_symbol", &kernel, &[&one.to_bytes()]);
    let two = module_with(&[Symbol::common("counter", 4), Symbol::common("buffer", 512)], &[]);
    assert_elf_refused("module_common_symbols", &kernel, &[&two.to_bytes()]);
}

#[test]
fn modules_whose_tables_lie_are_refused() {
    let kernel = Elf::kernel().to_bytes();
    let refuse = |name: &str, module: &Elf| assert_elf_refused(name, &kernel, &[&module.to_bytes()]);
    refuse("module_symbol_without_section", &module_with(&[Symbol { section: 77, ..Symbol::function("f", 0) }], &[]));
    refuse("module_relocation_without_symbol", &module_with(&[], &[(0, 44, 1)]));
    refuse("module_relocation_outside_section", &module_with(&[], &[(0x7777, 1, 1)]));
    let mut no_target = Elf::module("start");
    no_target.contents.push(Content::relocations(55, &[(0, 1, 1)]));
    refuse("module_relocations_without_target", &no_target);

    // The last header but two is that of the relocations: sh_offset, then sh_link.
    let module = module_with(&[], &[(0, 1, 1)]).to_bytes();
    let header = module.len() - 3 * 40;
    for (name, field, value) in
        [("module_relocations_outside_file", 16, 0x7fff_0000_u32), ("module_relocations_without_symbol_table", 24, 2)]
    {
        let mut lying = module.clone();
        lying[header + field..][..4].copy_from_slice(&value.to_le_bytes());
        assert_elf_refused(name, &kernel, &[&lying]);
    }
}

#[test]
fn all_mistakes_of_kernel_and_modules_are_shown_at_once() {
    let mut kernel = close_kernel(6, 0xc010_0008);
    kernel.segments.push(Segment::new(0x10_0000, 4, &[1; 16]));
    let common = module_with(&[Symbol::common("counter", 4)], &[]);
    assert_elf_refused("many_mistakes", &kernel.to_bytes(), &[&common.to_bytes(), b"no ELF file"]);
}

#[test]
fn the_examples_give_no_warning() {
    let output = tempfile::tempdir().unwrap();
    let mut manifests = 0;
    for manifest in with_extension(&root().join("manifests"), "yaml") {
        // Its kernel is fetched by the test `linux`, which packs it, too.
        if manifest.ends_with("linux.yaml") {
            continue;
        }
        let result = run(tool("stos-pack").arg(&manifest).arg("-o").arg(output.path().join("image.img")));
        assert_eq!((result.status, &*result.stderr), (Some(0), ""), "{}", manifest.display());
        manifests += 1;
    }
    assert!(manifests > 0);
}
