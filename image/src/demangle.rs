//! Names of symbols as people write them: compilers of Rust and C++ put the types and modules of a function into its name.

use std::fmt::{self, Write};

use crate::limits::{TEXT_LIMIT, is_clean};

/// What `name` stands for, when it is the encoded name of a Rust or C++ function or object; any other name as it is. The
/// result has at most 4096 bytes and no control or invisible character that is not in `name` itself.
pub(crate) fn demangle(name: &str) -> String {
    let mut text = Bounded(String::new());
    // Names may encode more than they can reasonably show: repeated parts are stored once.
    let decoded = if name.len() > TEXT_LIMIT {
        Err(fmt::Error)
    } else if let Ok(rust) = rustc_demangle::try_demangle(name) {
        // The alternate form leaves out the hash that tells versions of a crate apart.
        write!(text, "{rust:#}")
    } else if let (true, Ok(cpp)) = (name.starts_with("_Z"), cpp_demangle::Symbol::new(name)) {
        cpp.structured_demangle(&mut text, &cpp_demangle::DemangleOptions::new())
    } else {
        Err(fmt::Error)
    };
    let Bounded(text) = text;
    if decoded.is_err() || !is_clean(&text, TEXT_LIMIT) { name.to_owned() } else { text }
}

/// Text that does not grow past [`TEXT_LIMIT`].
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > TEXT_LIMIT {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_rust_and_cpp_are_shown_as_they_were_written() {
        for (name, shown) in [
            ("_ZN6kernel4heap5alloc17h0123456789abcdefE", "kernel::heap::alloc"),
            ("_RNvCs4fqI2P2rA04_6kernel4main", "kernel::main"),
            ("_ZN5video5clearEjj", "video::clear(unsigned int, unsigned int)"),
            ("_ZN4ListIiE4pushEi", "List<int>::push(int)"),
        ] {
            assert_eq!(demangle(name), shown);
        }
    }

    #[test]
    fn other_names_stay_as_they_are() {
        for name in ["kernel_main", "_start", "_Z", "_Zebra", "_R", "printf.constprop.0", "große_Funktion", ""] {
            assert_eq!(demangle(name), name);
        }
    }

    #[test]
    fn a_name_that_encodes_too_much_is_shown_as_it_is() {
        // Each parameter is a template of the one before, twice: S_ is `A`, S0_ the first parameter, and so on.
        let with_parameters = |count: u32| {
            let digit = |index| char::from_digit(index, 36).unwrap().to_ascii_uppercase();
            let doubled: Vec<String> = (0..count).map(digit).map(|digit| format!("S_IS{digit}_S{digit}_E")).collect();
            format!("_Z1f1AIiE{}", doubled.concat())
        };
        assert_eq!(demangle(&with_parameters(1)), "f(A<int>, A<A<int>, A<int> >)");
        assert_eq!(demangle(&with_parameters(20)), with_parameters(20));
        let long = format!("_ZN{}E", "4name".repeat(1000));
        assert_eq!(demangle(&long), long);
    }

    proptest! {
        #[test]
        fn whatever_a_name_encodes_it_is_shown_within_limits(tail in "[A-Za-z0-9_$.]{0,200}", kind in 0_usize..4) {
            let name = format!("{}{tail}", ["_Z", "_ZN", "_R", "_RNv"][kind]);
            let shown = demangle(&name);
            prop_assert!(!shown.is_empty() && shown.len() <= TEXT_LIMIT && !shown.chars().any(char::is_control));
        }
    }
}
