//! `stos-pack inspect --svg`: the picture of an image. `SNAPSHOTS=overwrite cargo test -p stos-tests --test picture` draws
//! the expected one anew; look at it before you keep it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;

use roxmltree::{Document, Node};
use snapbox::Data;
use stos_image::{Description, GuestRange, Permissions, Region, RegionKind};
use stos_pack::image::{LoadedImage, Mapping, Report};
use stos_tests::fixtures::{self, golden_image};
use stos_tests::tools::pack_in;

/// The golden image's picture after `change` to what the image says of itself.
fn drawn(change: impl FnOnce(&mut Description, &mut Vec<Mapping>)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let loaded = LoadedImage::load(&golden_image(folder.path())).unwrap();
    let mut report = Report::new(&loaded);
    let mut description = report.description.clone();
    change(&mut description, &mut report.mappings);
    report.description = &description;
    report.to_svg()
}

/// The left, right, upper and lower edge of a text, with some air.
fn text_box(node: &Node) -> [f64; 4] {
    let number = |name: &str| node.attribute(name).unwrap().parse::<f64>().unwrap();
    let size = number("font-size");
    let columns = f64::from(u32::try_from(node.text().unwrap().chars().count()).unwrap());
    // Monospaced letters are 0.6 of the height wide; the others are not wider on average.
    let width = columns * size * 0.61;
    let left = match node.attribute("text-anchor") {
        Some("end") => number("x") - width,
        Some("middle") => number("x") - width / 2.0,
        _ => number("x"),
    };
    [left, left + width, number("y") - 0.75 * size, number("y") + 0.2 * size]
}

/// Checks what must be true of every picture; returns its texts.
fn assert_sound(svg: &str) -> Vec<String> {
    let document = Document::parse(svg).unwrap();
    let root = document.root_element();
    assert_eq!((root.tag_name().name(), root.attribute("version")), ("svg", Some("1.1")));
    let page = ["width", "height"].map(|name| root.attribute(name).unwrap().parse::<f64>().unwrap());
    let background = root.descendants().find(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "rect")));
    let mut boxes: Vec<([f64; 4], &str)> = Vec::new();
    for node in root.descendants().filter(Node::is_element) {
        let name = node.tag_name().name();
        let known = ["svg", "defs", "pattern", "rect", "path", "g", "title", "text", "line"];
        assert!(known.contains(&name), "<{name}>");
        for attribute in node.attributes() {
            let (name, value) = (attribute.name(), attribute.value());
            assert!(!name.starts_with("on") && !name.ends_with("href") && name != "style", "{name}");
            assert!(!value.contains("url(") || value == "url(#hole)", "{value}");
        }
        if name == "text" {
            let text = node.text().unwrap();
            let edges = text_box(&node);
            let [left, right, top, bottom] = edges;
            assert!(left >= 0.0 && right <= page[0] && top >= 0.0 && bottom <= page[1], "{text:?} is cut off");
            for ([l, r, t, b], other) in &boxes {
                let apart = right <= *l || *r <= left || bottom <= *t || *b <= top;
                assert!(apart, "{text:?} runs into {other:?}");
            }
            boxes.push((edges, text));
        }
    }
    assert!(background.is_some());
    boxes.into_iter().map(|(_, text)| text.to_owned()).collect()
}

#[test]
fn the_golden_image_has_its_golden_picture_in_a_file_and_on_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    golden_image(folder.path());
    let result = pack_in(folder.path(), &["inspect", "golden.img", "--svg", "golden.svg"]);
    assert_eq!((result.status, &*result.stderr), (Some(0), ""));
    let picture = fs::read_to_string(folder.path().join("golden.svg")).unwrap();
    assert_eq!(result.stdout, format!("golden.svg: {} bytes\n", picture.len()));
    let expected = Data::read_from(&fixtures::folder().join("inspect/golden.svg"), None).raw();
    snapbox::Assert::new().action_env("SNAPSHOTS").eq(picture.clone(), expected);
    let result = pack_in(folder.path(), &["inspect", "golden.img", "--svg", "-"]);
    assert_eq!((result.status, &*result.stderr), (Some(0), ""));
    assert!(result.stdout == picture, "standard output differs from the file");
}

#[test]
fn every_region_is_drawn_with_its_address_size_and_permissions() {
    let mut regions = Vec::new();
    let texts = assert_sound(&drawn(|description, _| regions.clone_from(&description.regions)));
    let has = |text: &str| texts.iter().any(|other| other == text);
    for region in &regions {
        assert!(has(&region.name), "{}", region.name);
        assert!(has(&format!("0x{:08x}", region.range.start.0)), "{}", region.name);
        assert!(has(&region.permissions.to_string()), "{}", region.name);
    }
    assert!(regions.len() > 25);
    for text in ["golden", "0x01000000", "0xc0000000 - 0xc03fffff", "2016 B", "rw supervisor → 0x00400000", "unused"]
    {
        assert!(has(text), "{text}");
    }
    let id = fixtures::golden_id();
    assert!(has(&format!("16 MiB of memory  ·  protocol stos  ·  image {}", &id[.."sha256:".len() + 12])), "{texts:?}");
}

#[test]
fn names_from_the_image_are_nothing_but_text() {
    let names = [
        "<script>alert(1)</script>",
        "\"/><image href='http://example.org/'/>",
        "&lt;&#x41; ]]> <!-- -->",
        "right to left \u{202e}gpj.exe",
        "not in XML \u{ffff}",
    ];
    let svg = drawn(|description, _| {
        description.name = names[0].to_owned();
        description.protocol = names[1].to_owned();
        for (region, name) in description.regions.iter_mut().zip(names.iter().cycle()) {
            region.name = (*name).to_owned();
        }
        for input in &mut description.inputs {
            input.path = names[2].to_owned();
        }
    });
    let texts = assert_sound(&svg);
    for text in [names[0], names[2], "right to left \\u{202e}gpj.e…", "not in XML \\u{ffff}"] {
        assert!(texts.iter().any(|other| other == text), "{text}");
    }
}

#[test]
fn the_longest_names_stay_on_the_page() {
    let texts = assert_sound(&drawn(|description, _| {
        description.name = "W".repeat(255);
        description.protocol = "W".repeat(255);
        for region in &mut description.regions {
            region.name = "漢".repeat(85);
        }
    }));
    assert!(texts.contains(&format!("{}…", "W".repeat(55))));
    assert!(texts.contains(&format!("{}…", "漢".repeat(13))));
}

#[test]
fn hundreds_of_regions_and_mappings_are_drawn_without_running_into_each_other() {
    let many = |kind: fn(u64) -> RegionKind| {
        move |description: &mut Description, mappings: &mut Vec<Mapping>| {
            description.memory_size = 3 << 30;
            let template = description.regions[0].clone();
            let region = |index: u64| {
                let mut region: Region = template.clone();
                region.range.start.0 = 0x1000 + index * 0x1010 + index % 7;
                region.range.size = 1 + index % 0x1000;
                region.kind = kind(index);
                region.name = format!("region {index}");
                region
            };
            description.regions = (0..5000).map(region).collect();
            let mapping = mappings[0].clone();
            let spread = |index: u32| Mapping {
                virtual_start: u64::from(index) << 23,
                physical_start: u64::from(index * 37 % 512) << 23,
                big_pages: !index.is_multiple_of(3),
                ..mapping.clone()
            };
            *mappings = (0..512).map(spread).collect();
        }
    };
    for kind in [|_| RegionKind::Module, |index| if index % 2 == 0 { RegionKind::Stack } else { RegionKind::Heap }] {
        let texts = assert_sound(&drawn(many(kind)));
        assert!(texts.iter().any(|text| text == "region 0") && texts.iter().any(|text| text.contains("region 4999")));
    }
}

#[test]
fn an_image_without_regions_and_mappings_is_drawn() {
    let texts = assert_sound(&drawn(|description, mappings| {
        description.regions.clear();
        description.memory_map.clear();
        mappings.clear();
    }));
    for text in ["No page directory", "unused", "16 MiB", "0x00000000", "0x01000000"] {
        assert!(texts.iter().any(|other| other == text), "{text}");
    }
}

#[test]
fn without_paging_the_left_has_what_addresses_mean_and_where_the_kernel_begins() {
    let texts = assert_sound(&drawn(|description, mappings| {
        mappings.clear();
        description.entry.eip = 0x0010_0000;
        description.entry.general.esp = 0x0009_0000;
    }));
    for text in ["EIP 0x00100000", "ESP 0x00090000", "Paging is off: what the kernel calls an address"] {
        assert!(texts.iter().any(|other| other == text), "{text}");
    }
    let paged = assert_sound(&drawn(|_, _| {}));
    assert!(!paged.iter().any(|text| text.starts_with("EIP")), "{paged:?}");
}

#[test]
fn debug_information_shares_a_row() {
    let names = ["kernel section .debug_info", "kernel section .debug_str", "kernel section .symtab", "module a"];
    let texts = assert_sound(&drawn(|description, _| {
        let region = |(index, name): (u64, &&str)| Region {
            range: GuestRange::new(0x0020_0000 + index * 0x1000, 0x1000),
            kind: RegionKind::BootStructure,
            permissions: Permissions::RW,
            name: (*name).to_owned(),
        };
        description.regions = (0..).zip(&names).map(region).collect();
    }));
    assert!(texts.iter().any(|text| text == "module a"), "{texts:?}");
    assert!(!texts.iter().any(|text| text == "kernel section .debug_str"), "{texts:?}");
}

#[test]
fn a_picture_that_can_not_be_written_leaves_everything_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let image = golden_image(folder.path());
    let before = fs::read(&image).unwrap();
    for (picture, status, words) in [
        ("missing/golden.svg", 74, "can't write the picture to `missing/golden.svg`: there is no folder `missing`"),
        ("/dev/full", 74, "can't write the picture to `/dev/full`: no space is left on the device"),
        (".", 74, "can't write the picture to `.`: it is a directory"),
        ("golden.img", 65, "the picture would replace the image `golden.img` that it shows"),
    ] {
        let result = pack_in(folder.path(), &["inspect", "golden.img", "--svg", picture]);
        assert_eq!((result.status, &*result.stdout), (Some(status), ""), "{picture}");
        assert!(result.stderr.contains(words), "{}", result.stderr);
    }
    assert!(fs::read(&image).unwrap() == before);
    assert_eq!(pack_in(folder.path(), &["inspect", "golden.img", "--svg", "x.svg", "--json"]).status, Some(64));
    fs::write(&image, &before[..before.len() - 1]).unwrap();
    assert_eq!(pack_in(folder.path(), &["inspect", "golden.img", "--svg", "x.svg"]).status, Some(65));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
