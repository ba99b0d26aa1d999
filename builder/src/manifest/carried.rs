//! The manifest that an image carries: it must name the image's inputs and nothing else, since whoever packs it again would take
//! files of their own for what it names.

use super::document::Manifest;
use super::profile::take;
use super::read::Variants;
use super::recorded::MANIFEST_NAME;
use super::yaml::{self, Node};
use crate::diagnostics::{Diagnostics, FileId, Source, printable};

/// What comes of a manifest with other names.
const HARM: &str = "; packing it would take files of yours";

/// Checks that every variant of the manifest `text` names these inputs, which are keys and paths, in this order.
///
/// # Errors
/// Says what it names instead, or why it can't be read.
pub fn check_carried(text: &str, inputs: &[(&str, &str)]) -> Result<(), String> {
    let unreadable = |found: &Diagnostics| {
        let first = found.list.first().map(|diagnostic| format!(": {}", diagnostic.message));
        format!("it can't be read{}", first.unwrap_or_default())
    };
    // Before anything is done with it: what it extends would be read.
    let mut found = Diagnostics::default();
    let tree = yaml::parse(FileId::default(), text, &mut found);
    let mut tree = tree.map_err(|diagnostic| unreadable(&diagnostic.into()))?;
    if let Some(base) = take(&mut tree, "extends") {
        let path = if let Node::Text(path) = &base.value { path } else { "another manifest" };
        return Err(format!("it extends `{}`{HARM}", printable(path)));
    }
    let source = Source { path: MANIFEST_NAME.into(), text: text.to_owned() };
    let Variants { chosen, others } =
        Variants::from_source(&source, None).map_err(|failure| unreadable(&failure.diagnostics))?;
    others.iter().chain([&chosen]).try_for_each(|manifest| check_names(manifest, inputs))
}

fn check_names(manifest: &Manifest, inputs: &[(&str, &str)]) -> Result<(), String> {
    let named = manifest.named();
    if named.len() != inputs.len() {
        return Err(format!("it names {} files, the image was built from {}{HARM}", named.len(), inputs.len()));
    }
    for (named, &(key, path)) in named.iter().zip(inputs) {
        let what = if named.is_directory { "the directory " } else { "" };
        if named.is_directory || (&*named.key, &*named.path.value) != (key, path) {
            let written = printable(&named.path.value);
            return Err(format!("it has {what}`{written}` for `{}`, the image has `{path}` ({key}){HARM}", named.key));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_carried_manifest_names_the_images_inputs_and_nothing_else() {
        let start = "version: 1\nname: x\nmemory: 16MiB\n";
        let plain = format!("{start}kernel: {{path: k, protocol: stos}}\n");
        let check = |text: &str| check_carried(text, &[("kernel", "k")]).err().unwrap_or_default();
        assert_eq!(check(&plain), "");
        assert_eq!(check(&format!("{plain}profile: a\nprofiles: {{a: {{}}}}\n")), "");
        let with_archive = format!("{plain}initramfs: {{path: a.cpio}}\n");
        assert_eq!(check_carried(&with_archive, &[("kernel", "k"), ("initramfs", "a.cpio")]), Ok(()));
        for (text, reason) in [
            (plain.replace("k,", "/etc/passwd,"), "it has `/etc/passwd` for `kernel`, the image has `k` (kernel)"),
            (plain.replace("k,", "../k,"), "it has `../k` for `kernel`"),
            (format!("{plain}extends: /dev/stdin\n"), "it extends `/dev/stdin`"),
            (format!("{plain}extends: [1]\n"), "it extends `another manifest`"),
            (format!("{plain}modules: [{{path: k}}]\n"), "it names 2 files, the image was built from 1"),
            (format!("{plain}initramfs: {{directory: /home}}\n"), "it names 2 files"),
            (format!("{plain}profiles: {{a: {{kernel: {{path: ../k}}}}}}\n"), "it has `../k` for `kernel`"),
            (format!("{plain}profiles: {{a: {{initramfs: {{directory: .}}}}}}\n"), "it names 2 files"),
            ("version: 1\n".to_owned(), "it can't be read: the manifest has no `name`"),
            ("a: [".to_owned(), "it can't be read: "),
        ] {
            assert!(check(&text).starts_with(reason), "{text}\n{}", check(&text));
        }
        let directory = check_carried(
            &format!("{plain}initramfs: {{directory: a.cpio}}\n"),
            &[("kernel", "k"), ("initramfs", "a.cpio")],
        );
        assert!(directory.unwrap_err().starts_with("it has the directory `a.cpio` for `initramfs`"));
    }
}
